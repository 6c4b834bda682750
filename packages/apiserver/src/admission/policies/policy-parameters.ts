import {
  compileLabelSelector,
  type JsonObject,
  type KindRegistry,
  type KubeObject,
  type LabelSelectorObject,
  type ParamKind,
  type ParamRef,
} from '@dure/api';
import type { ObjectReader } from '../../contract/object-reader.ts';
import { readStored } from '../../registry/conversion.ts';
import { storageOf } from '../../registry/storage-key.ts';

/** Why the parameters of a binding cannot be had. Upstream's words; the policy's failure policy says what comes of it. */
export class ParametersError extends Error {
  override readonly name = 'ParametersError';
  readonly code = 'POLICY_PARAMETERS';
}

/**
 * The objects with which a policy is evaluated for one binding, once with each; `undefined` as the only one stands for none. With no
 * objects at all the binding lets everything pass.
 * @param namespace Of the request. @throws {ParametersError}
 */
export async function parametersOf(
  paramKind: ParamKind | undefined,
  paramRef: ParamRef | undefined,
  namespace: string,
  { kinds, reads }: { readonly kinds: KindRegistry; readonly reads: ObjectReader },
  signal: AbortSignal,
): Promise<readonly (JsonObject | undefined)[]> {
  if (paramKind === undefined || paramRef === undefined) return [undefined];
  const { apiVersion = '', kind: kindName = '' } = paramKind;
  const kind = kinds.object(apiVersion, kindName);
  if (kind === undefined) throw new ParametersError(`paramKind kind \`&ParamKind{APIVersion:${apiVersion},Kind:${kindName},}\` not known`);
  const { group, resource } = storageOf(kind.definition);
  const { namespaced } = kind.definition;
  if (!namespaced && (paramRef.namespace ?? '') !== '')
    throw new ParametersError('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
  const place = namespaced ? (paramRef.namespace ?? namespace) : undefined;
  if (place === '') throw new ParametersError('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources');

  let found: readonly KubeObject[];
  if (paramRef.name !== undefined && paramRef.name !== '') {
    const { name } = paramRef;
    const object = (await reads.get(group, resource, place, name)) ?? (await reads.get(group, resource, place, name, { fresh: true }));
    found = object === undefined ? [] : [object];
  } else {
    const selector = compileLabelSelector(paramRef.selector as LabelSelectorObject | undefined);
    const where = ({ metadata }: KubeObject): boolean => selector.matches(metadata.labels);
    found = await reads.list(group, resource, { ...(place === undefined ? {} : { namespace: place }), where });
  }
  if (found.length === 0 && paramRef.parameterNotFoundAction === 'Deny')
    throw new ParametersError('no params found for policy binding with `Deny` parameterNotFoundAction');
  return Promise.all(found.map((object) => readStored(kind, object as unknown as JsonObject, signal)));
}
