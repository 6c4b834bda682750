import {
  type AdmissionInput,
  authorizerValue,
  type CelValue,
  type Json,
  type JsonObject,
  namespaceValue,
  resourceCheckValue,
  untypedValue,
} from '@dure/api';
import type { AuthorizerOracle } from './authorization-oracle.ts';
import type { Match, VersionedRequest } from './versioned-request.ts';

/** The values that expressions see of a request. @param namespace Whether `namespaceObject` is given; webhooks have none. */
export async function expressionInput(
  seen: VersionedRequest,
  match: Match,
  oracle: AuthorizerOracle,
  { namespace }: { readonly namespace: boolean },
): Promise<AdmissionInput> {
  const { group, resource, subresource, name } = seen.request;
  const isNamespace = group === '' && resource === 'namespaces';
  const [object, oldObject, holder] = await Promise.all([
    seen.object(match),
    seen.oldObject(match),
    namespace && !isNamespace ? seen.namespaceObject() : undefined,
  ]);
  return new Map<string, CelValue>([
    ['object', object === undefined ? null : seen.values.of(object, undefined)],
    ['oldObject', oldObject === undefined ? null : seen.values.of(oldObject, undefined)],
    ['request', untypedValue(requestOf(seen, match) as JsonObject)],
    ['namespaceObject', holder === undefined ? null : namespaceValue(holder as unknown as JsonObject)],
    ['authorizer', authorizerValue(oracle)],
    ['authorizer.requestResource', resourceCheckValue(oracle, { group, resource, subresource, namespace: seen.namespace, name })],
  ]);
}

/** The parts of an AdmissionRequest that reviews and expressions share. Empty texts are left out, as upstream's encoding does. */
export function requestOf(seen: VersionedRequest, { kind, resource }: Match): Readonly<Record<string, Json>> {
  const { subresource, name, operation, user, dryRun, options } = seen.request;
  const text = (key: string, value: string): Record<string, Json> => (value === '' ? {} : { [key]: value });
  return {
    kind: { group: kind.group, version: kind.version, kind: kind.kind },
    resource: { group: resource.group, version: resource.version, resource: resource.resource },
    ...text('subResource', subresource),
    requestKind: { ...seen.asked.kind },
    requestResource: { ...seen.asked.resource },
    ...text('requestSubResource', subresource),
    ...text('name', name),
    ...text('namespace', seen.namespace),
    operation,
    userInfo: {
      ...text('username', user.name),
      ...text('uid', user.uid ?? ''),
      ...(user.groups.length === 0 ? {} : { groups: [...user.groups] }),
      ...(user.extra === undefined || Object.keys(user.extra).length === 0
        ? {}
        : { extra: Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]])) }),
    },
    dryRun,
    ...(options === undefined ? {} : { options: options as JsonObject }),
  };
}
