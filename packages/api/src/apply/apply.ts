/**
 * Server-side apply and the ownership that it needs of every other write, as pure functions over values.
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
import type { JsonObject, SchemaBook, SchemaNode } from '../definition.ts';
import { equalJson, objectAt } from '../json-value.ts';
import { quoted } from '../quoted.ts';
import type { StatusCause } from '../status.ts';
import { emptyFieldSet, type FieldSet, type PathStep, renderPath } from './field-set.ts';
import { MOVING_MANAGER, standingLastApplied, withLastApplied } from './last-applied.ts';
import {
  allOwned,
  type Managed,
  type ManagerId,
  type Managers,
  managedFieldsOf,
  managerKey,
  managersOf,
  ownable,
  withManagers,
} from './managed-fields.ts';
import { TypedSchema } from './typed-value.ts';

export interface WriteContext {
  /** Of the version that the request speaks. */
  readonly schema: SchemaNode;
  readonly book: SchemaBook;
  readonly manager: string;
  readonly apiVersion: string;
  /** Empty or absent: the main resource. */
  readonly subresource?: string;
  /** Top-level fields that this door leaves alone (`status` on the main resource): nobody comes to own them here. */
  readonly ignored?: readonly string[];
  /** RFC 3339, whole seconds. */
  readonly time: string;
  /**
   * Where versions name fields differently: the write as every other version shows it that a manager spoke, by apiVersion. Who spoke a version that is
   * not here owns nothing any more, since nobody can tell what that was. Absent: versions share their fields.
   */
  readonly otherVersions?: ReadonlyMap<string, VersionedWrite> | undefined;
}

/** A write as one version shows it. */
export interface VersionedWrite {
  readonly schema: SchemaNode;
  readonly before: JsonObject;
  readonly after: JsonObject;
}

export interface Applied {
  /** The merged object with its managed fields; not yet defaulted or validated. */
  readonly object: JsonObject;
  /** Whether anything differs from the live object, ownership included. */
  readonly changed: boolean;
}

export interface FieldConflict {
  readonly manager: ManagerId;
  readonly path: readonly PathStep[];
}

/** Applying would change fields that others own. At the API's edge: Conflict, with {@link causes}. */
export class ApplyConflictError extends Error {
  override readonly name = 'ApplyConflictError';
  readonly code = 'APPLY_CONFLICT';
  readonly conflicts: readonly FieldConflict[];

  constructor(conflicts: readonly FieldConflict[]) {
    super(conflictMessage(conflicts));
    this.conflicts = conflicts;
  }

  get causes(): readonly StatusCause[] {
    return this.conflicts.map(({ manager, path }) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${shownManager(manager)}`,
      field: renderPath(path),
    }));
  }
}

const BEFORE_FIRST_APPLY = 'before-first-apply';

/**
 * {@link lay}, and for kubectl also what lets an object that was applied on the client until now go on from there.
 * @param live Absent: the object is made by this request.
 * @throws {ApplyConflictError} Others own changed fields, and `force` is not set. @throws {MissingKeyError}
 */
export function applyFields(live: JsonObject | undefined, applied: JsonObject, context: WriteContext, force: boolean): Applied {
  const typed = new TypedSchema(context.schema, context.book);
  if (live === undefined || context.manager !== MOVING_MANAGER) return lay(live, applied, context, typed, force);
  let laid: Applied;
  try {
    laid = lay(live, applied, context, typed, force);
  } catch (error) {
    if (!(error instanceof ApplyConflictError)) throw error;
    const own = standingLastApplied(live, typed);
    if (own === undefined) throw error;
    const left = error.conflicts.filter(({ path }) => !own.has(path));
    if (left.length > 0) throw new ApplyConflictError(left);
    laid = lay(live, applied, context, typed, true);
  }
  const object = withLastApplied(laid.object, applied);
  return { object, changed: laid.changed || !equalJson(object, laid.object) };
}

/**
 * Lays `applied` over `live`, takes out what this manager applied before and no longer does, and records who owns what.
 * @throws {ApplyConflictError} @throws {MissingKeyError}
 */
function lay(live: JsonObject | undefined, applied: JsonObject, context: WriteContext, typed: TypedSchema, force: boolean): Applied {
  const ignored = ignoredPaths(context);
  const id = idOf(context, 'Apply');
  const key = managerKey(id);
  const before = live ?? {};
  const managers = new Map(live === undefined ? [] : initialManagers(live, typed, context));
  const last = managers.get(key);
  // What was applied in a version of other fields says nothing in this one: it stays where it is.
  const isReadable = context.otherVersions === undefined || last?.apiVersion === context.apiVersion;
  const previous = (isReadable ? last?.fields : undefined) ?? emptyFieldSet;
  const wanted = withoutTopLevel(applied, context.ignored ?? []);
  const fields = ownable(typed.fieldsOf(wanted), ignored);

  const merged = typed.merge(before, wanted);
  const others = [...managers.values()].filter((managed) => managerKey(managed) !== key);
  const owned = allOwned(others).union(fields);
  const result = typed.prune(merged, previous.difference(fields), owned);

  const changes = changesBetween(typed, before, result, ignored);
  settleOthers(managers, key, changes, context, force);
  const unchangedFields = previous.equals(fields) && live !== undefined;
  managers.set(key, { ...id, fields, time: unchangedFields ? (managers.get(key)?.time ?? context.time) : context.time });

  const object = withManagers(result, managers);
  return { object, changed: live === undefined || !equalJson(object, withManagers(live, managersOf(live))) };
}

/**
 * Who owns what after `object` replaced `live` by any other way of writing: the writer comes to own what it changed.
 * `object`'s own idea of its managed fields counts, so that a client can give ownership up.
 * @returns The object with its managed fields.
 */
export function trackUpdate(live: JsonObject | undefined, object: JsonObject, context: WriteContext): JsonObject {
  const typed = new TypedSchema(context.schema, context.book);
  const ignored = ignoredPaths(context);
  const id = idOf(context, 'Update');
  const key = managerKey(id);
  // An update that clears the list resets it; one that leaves it out keeps what stands there.
  const given = objectAt(object, 'metadata')?.managedFields;
  const managers = new Map(Array.isArray(given) ? managersOf(object) : managersOf(live));
  const changes = changesBetween(typed, live ?? {}, object, ignored);
  settleOthers(managers, key, changes, context, true);
  const mine = managers.get(key);
  const fields = (mine?.fields ?? emptyFieldSet).difference(changes.removed).union(changes.modified).union(changes.added);
  const touched = mine === undefined || !mine.fields.equals(fields) || !changes.modified.isEmpty;
  managers.set(key, { ...id, fields, time: touched ? context.time : mine.time });
  return withManagers(object, managers);
}

/** The managed fields of an object, in the form and order they are stored in. */
export function managedFieldEntries(object: JsonObject): JsonObject[] {
  return managedFieldsOf(managersOf(object));
}

interface Changes {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

function changesBetween(typed: TypedSchema, before: JsonObject, after: JsonObject, ignored: readonly (readonly PathStep[])[]): Changes {
  const old = typed.fieldsOf(before);
  const now = typed.fieldsOf(after);
  return {
    added: ownable(now.difference(old), ignored),
    modified: ownable(typed.modified(before, after), ignored),
    removed: ownable(old.difference(now), ignored),
  };
}

/** Takes what changed from everybody else. @throws {ApplyConflictError} Somebody owns it, and `force` is not set. */
function settleOthers(managers: Map<string, Managed>, key: string, ours: Changes, context: WriteContext, force: boolean): void {
  const conflicts: FieldConflict[] = [];
  for (const [other, managed] of [...managers]) {
    if (other === key) continue;
    const changes = managed.apiVersion === context.apiVersion ? ours : changesIn(managed.apiVersion, ours, context);
    if (changes === undefined) {
      managers.delete(other);
      continue;
    }
    const { added, modified, removed } = changes;
    const changed = added.union(modified);
    const lost = managed.fields.intersection(changed);
    for (const path of lost.paths()) conflicts.push({ manager: managed, path });
    managers.set(other, { ...managed, fields: managed.fields.difference(lost).difference(removed) });
  }
  if (conflicts.length > 0 && !force) throw new ApplyConflictError(conflicts);
}

/** The changes as another version shows them; `undefined` where that is not known. */
function changesIn(apiVersion: string, ours: Changes, context: WriteContext): Changes | undefined {
  const { otherVersions, book } = context;
  if (otherVersions === undefined) return ours;
  const write = otherVersions.get(apiVersion);
  if (write === undefined) return undefined;
  return changesBetween(new TypedSchema(write.schema, book), write.before, write.after, ignoredPaths(context));
}

/** An object that nobody's writes were tracked on belongs to its past. */
function initialManagers(live: JsonObject, typed: TypedSchema, context: WriteContext): Managers {
  const managers = managersOf(live);
  if (managers.size > 0) return managers;
  const past: Managed = {
    manager: BEFORE_FIRST_APPLY,
    operation: 'Update',
    apiVersion: context.apiVersion,
    subresource: '',
    time: context.time,
    fields: ownable(typed.fieldsOf(live), ignoredPaths(context)),
  };
  return new Map([[managerKey(past), past]]);
}

function idOf({ manager, apiVersion, subresource = '' }: WriteContext, operation: 'Apply' | 'Update'): ManagerId {
  return { manager, operation, apiVersion, subresource };
}

function ignoredPaths({ ignored = [] }: WriteContext): readonly (readonly PathStep[])[] {
  return ignored.map((field) => [`f:${field}`]);
}

function withoutTopLevel(object: JsonObject, fields: readonly string[]): JsonObject {
  const { metadata, ...rest } = object;
  const result: JsonObject = { ...rest };
  for (const field of fields) delete result[field];
  if (metadata === undefined || fields.includes('metadata')) return result;
  const { managedFields: _managedFields, ...kept } = objectAt(object, 'metadata') ?? {};
  return { ...result, metadata: kept };
}

function conflictMessage(conflicts: readonly FieldConflict[]): string {
  const [first] = conflicts;
  if (conflicts.length === 1 && first !== undefined) {
    return `Apply failed with 1 conflict: conflict with ${shownManager(first.manager)}: ${renderPath(first.path)}`;
  }
  const byManager = new Map<string, string[]>();
  for (const { manager, path } of conflicts) {
    const name = shownManager(manager);
    byManager.set(name, [...(byManager.get(name) ?? []), `- ${renderPath(path)}`]);
  }
  const parts = [...byManager]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, paths]) => [`conflicts with ${name}:`, ...paths].join('\n'));
  return `Apply failed with ${conflicts.length} conflicts: ${parts.join('\n')}`;
}

function shownManager({ manager, operation, apiVersion, subresource }: ManagerId): string {
  if (operation === 'Apply') return quoted(manager);
  return `${quoted(manager)}${subresource === '' ? '' : ` with subresource ${quoted(subresource)}`} using ${apiVersion}`;
}
