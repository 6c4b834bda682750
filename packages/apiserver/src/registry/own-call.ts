import { type JsonObject, type KindDefinition, kindAt } from '@dure/api';
import type { UserInfo } from '../contract/user.ts';
import { metaText } from './object-meta.ts';
import { type RegistryCall, storageVersionOf } from './scope.ts';

/** The server's own call about one object of a kind. */
export function callFor(definition: KindDefinition, object: JsonObject, user: UserInfo, signal: AbortSignal): RegistryCall {
  return {
    kind: kindAt(definition, storageVersionOf(definition)),
    namespace: metaText(object, 'namespace'),
    name: metaText(object, 'name'),
    subresource: '',
    user,
    signal,
    warn() {},
    annotate() {},
  };
}
