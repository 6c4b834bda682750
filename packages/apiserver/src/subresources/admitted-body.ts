import { type JsonObject, joinApiVersion, type KubeObject, type ServedKind } from '@dure/api';
import type { Admission } from '../contract/admission.ts';
import { admissionOptions } from '../registry/admission-options.ts';
import type { RegistryCall } from '../registry/scope.ts';
import { deepFreeze } from '../registry/stored-object.ts';
import type { DeleteOptions, WriteOptions } from '../registry/write-options.ts';

/** A body that is not stored: of another kind than the resource's, sent to one of its subresources, or a review. */
export interface SubresourceBody {
  /** What the body is. */
  readonly kind: ServedKind;
  readonly operation: 'CREATE' | 'UPDATE';
  /** Mutating admission changes it in place. */
  readonly object: JsonObject;
  readonly oldObject?: JsonObject;
}

/**
 * Puts a body that is not stored through admission: what is written to the resource because of it is not admitted again.
 * @param target Where it was sent. @throws {StatusError}
 */
export async function admitBody(
  admission: Admission,
  target: RegistryCall,
  { kind, operation, object, oldObject }: SubresourceBody,
  options: WriteOptions | DeleteOptions,
): Promise<void> {
  const { definition, version } = target.kind;
  const request = {
    operation,
    group: definition.group,
    version: version.name,
    kind: definition.kind,
    resource: definition.resource,
    subresource: target.subresource,
    namespace: target.namespace,
    name: target.name,
    bodyKind: { group: kind.definition.group, version: kind.version.name, kind: kind.definition.kind },
    object: Object.assign(object, { kind: kind.definition.kind, apiVersion: joinApiVersion(kind.definition.group, kind.version.name) }),
    ...(oldObject === undefined ? {} : { oldObject: deepFreeze(oldObject) as unknown as KubeObject }),
    // The body says how; that it is a delete is its own matter.
    options: { ...admissionOptions(operation, options), kind: operation === 'CREATE' ? 'CreateOptions' : 'UpdateOptions' },
    dryRun: options.dryRun,
    user: target.user,
    warn: target.warn,
    annotate: target.annotate,
  };
  await admission.mutate(request, target.signal);
  await admission.validate(request, target.signal);
}
