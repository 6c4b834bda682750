import { applyConflict, badRequest, type Json, type JsonObject, type SchemaBook, type StatusCause } from '@dure/api';
import { difference, type FieldSet, fromFieldsV1, intersection, isEmpty, NO_FIELDS, placesOf, without } from '../fields/field-set.ts';
import { FieldWalk } from '../fields/field-walk.ts';
import { type ManagerEntry, type ManagerKey, Managers } from '../fields/managers.ts';
import { cloneObject } from './conversion.ts';
import { owned } from './managed-fields.ts';
import { decodeObject } from './object-decoder.ts';
import { metaOf } from './object-meta.ts';
import { apiVersionOf, type RegistryCall } from './scope.ts';
import type { WriteOptions } from './write-options.ts';
import type { UpdateRequest } from './writer.ts';

/** What the other door may not set. */
const STATUS: FieldSet = fromFieldsV1({ 'f:status': {} });

/**
 * Server-side apply: the object becomes such that `config` holds, what the manager applied before and leaves out now goes if nobody else
 * wants it, and what others own is a conflict unless forced. @see https://kubernetes.io/docs/reference/using-api/server-side-apply/
 * @throws {StatusError} BadRequest.
 */
export function applyRequest(
  call: RegistryCall,
  config: JsonObject,
  options: WriteOptions,
  part: UpdateRequest['part'],
  book: SchemaBook,
  now: () => string,
): UpdateRequest {
  const apiVersion = apiVersionOf(call.kind);
  if (config.apiVersion === undefined || config.kind === undefined) throw badRequest('apiVersion and kind must be set in an apply');
  if (metaOf(config).managedFields !== undefined) throw badRequest('metadata.managedFields must be nil');
  // Decoding checks kind, name and fields of what was sent; its defaults are not the manager's wish, so the sent form is what is owned.
  const decode = (value: Json): JsonObject => decodeObject(call, { value, duplicates: [] }, 'Ignore', book);
  decodeObject(call, { value: structuredClone(config), duplicates: [] }, options.fieldValidation, book);

  const { schema } = call.kind.version;
  const walk = new FieldWalk(book);
  const key: ManagerKey = { manager: options.fieldManager, operation: 'Apply', apiVersion, subresource: call.subresource };
  const hasStatus = call.kind.definition.subresources.some(({ name }) => name === 'status');
  const hidden = part === 'main' && hasStatus ? STATUS : NO_FIELDS;

  const onto = (live: JsonObject): JsonObject => {
    const wanted = cloneObject(config);
    const { resourceVersion } = metaOf(wanted);
    if (part === 'main' && hasStatus) delete wanted.status;
    const fields = without(owned(walk.fieldsOf(wanted, schema)), hidden);
    const managers = Managers.parse(metaOf(live).managedFields) ?? new Managers();
    const before = managers.get(key)?.fields ?? NO_FIELDS;
    const merged = decode(structuredClone(walk.merge(live, wanted, schema) ?? wanted));

    const { changed } = walk.diff(live, merged, schema);
    const contested = intersection(fields, changed);
    const conflicts = managers.others(key).flatMap((entry) => {
      const taken = intersection(contested, entry.fields);
      return isEmpty(taken) ? [] : [{ entry, taken }];
    });
    if (conflicts.length > 0 && !options.force) throw conflictOf(conflicts);
    for (const { entry, taken } of conflicts) managers.set({ ...entry, fields: difference(entry.fields, taken) });

    const left = withoutOwned(difference(before, fields), managers.ownedByOthers(key));
    const pruned = isEmpty(left) ? merged : decode(walk.remove(merged, left, schema) ?? {});
    managers.update(key, fields, now());
    const meta = metaOf(pruned);
    const entries = managers.toJson();
    if (entries.length === 0) delete meta.managedFields;
    else meta.managedFields = entries;
    if (resourceVersion !== undefined) meta.resourceVersion = resourceVersion;
    return pruned;
  };

  return {
    part,
    retries: true,
    managesFields: true,
    transform: onto,
    ...(call.subresource === '' ? { createIfAbsent: () => onto({ apiVersion, kind: call.kind.definition.kind, metadata: {} }) } : {}),
  };
}

/** `fields` without what others own, and without the containers of what others own. */
function withoutOwned(fields: FieldSet, others: FieldSet): FieldSet {
  const children = new Map<string, FieldSet>();
  for (const [step, child] of fields.children) {
    const other = others.children.get(step);
    const left = other === undefined ? child : withoutOwned(child, other);
    if (!isEmpty(left)) children.set(step, left);
  }
  const held = others.self || others.children.size > 0;
  return { self: fields.self && !held, children };
}

function conflictOf(conflicts: readonly { readonly entry: ManagerEntry; readonly taken: FieldSet }[]): Error {
  const causes: StatusCause[] = [];
  const lines: string[] = [];
  for (const { entry, taken } of conflicts) {
    const { manager, operation, apiVersion, subresource, time } = entry;
    const through = subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`;
    const who =
      operation === 'Apply'
        ? `conflict with ${JSON.stringify(manager)}${through}`
        : `conflict with ${JSON.stringify(manager)}${through} using ${apiVersion}${time === '' ? '' : ` at ${time}`}`;
    const places = [...placesOf(taken)];
    for (const field of places) causes.push({ reason: 'FieldManagerConflict', message: who, field });
    const short =
      operation === 'Apply'
        ? `conflict with ${JSON.stringify(manager)}${through}`
        : `conflict with ${JSON.stringify(manager)}${through} using ${apiVersion}`;
    lines.push(
      places.length === 1
        ? `${short}: ${places[0]}`
        : `${short.replace('conflict', 'conflicts')}:\n${places.map((place) => `- ${place}`).join('\n')}`,
    );
  }
  const count = causes.length;
  const message = `Apply failed with ${count} conflict${count === 1 ? '' : 's'}: ${lines.join('\n')}`;
  return applyConflict(causes, message);
}
