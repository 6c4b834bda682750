import type { JsonObject, KubeObject, SchemaBook } from '@dure/api';
import { difference, type FieldSet, fromFieldsV1, isEmpty, NO_FIELDS, union, without } from '../fields/field-set.ts';
import { FieldWalk } from '../fields/field-walk.ts';
import { type ManagerKey, Managers } from '../fields/managers.ts';
import { metaOf } from './object-meta.ts';
import { type RegistryCall, storageVersionOf } from './scope.ts';

/** Fields that nobody owns: the server sets them. */
const UNOWNED: FieldSet = fromFieldsV1({
  'f:apiVersion': {},
  'f:kind': {},
  'f:metadata': {
    'f:name': {},
    'f:namespace': {},
    'f:uid': {},
    'f:selfLink': {},
    'f:generation': {},
    'f:creationTimestamp': {},
    'f:deletionTimestamp': {},
    'f:deletionGracePeriodSeconds': {},
    'f:resourceVersion': {},
    'f:managedFields': {},
  },
});

/**
 * Notes in managedFields what a write that is no apply changed: `manager` owns that now, and nobody else does.
 * @param object Changed in place; what the client sent as managedFields counts as the base. @param now RFC 3339.
 */
export function recordUpdate(
  book: SchemaBook,
  call: RegistryCall,
  object: JsonObject,
  old: KubeObject | undefined,
  manager: string,
  now: string,
): void {
  const meta = metaOf(object);
  const before = old === undefined ? undefined : (old as unknown as JsonObject);
  const kept = before === undefined ? undefined : metaOf(before).managedFields;
  const managers = Managers.parse(meta.managedFields ?? kept) ?? Managers.parse(kept) ?? new Managers();
  const { schema } = storageVersionOf(call.kind.definition);
  const { changed, removed } = new FieldWalk(book).diff(before, object, schema);
  const taken = owned(changed);
  const key: ManagerKey = { manager, operation: 'Update', apiVersion: String(object.apiVersion), subresource: call.subresource };
  if (!isEmpty(taken) || !isEmpty(removed)) {
    for (const other of managers.others(key))
      managers.set({ ...other, fields: without(difference(other.fields, taken), withoutSelf(removed)) });
    const own = without(managers.get(key)?.fields ?? NO_FIELDS, withoutSelf(removed));
    managers.update(key, union(own, taken), now);
  }
  const entries = managers.toJson();
  if (entries.length === 0) delete meta.managedFields;
  else meta.managedFields = entries;
}

/** `fields` without those that nobody owns. */
export function owned(fields: FieldSet): FieldSet {
  return without({ ...fields, self: false }, UNOWNED);
}

function withoutSelf(fields: FieldSet): FieldSet {
  return { ...fields, self: false };
}
