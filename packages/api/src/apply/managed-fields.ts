/** `metadata.managedFields` as a map from who to what, and back. */
import type { Json, JsonObject } from '../definition.ts';
import { objectAt, objectsAt, own, stringAt } from '../json-value.ts';
import { emptyFieldSet, type FieldSet, fieldSetFromJson, type PathStep } from './field-set.ts';

export interface ManagerId {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  /** Empty for the main resource. */
  readonly subresource: string;
}

export interface Managed extends ManagerId {
  readonly fields: FieldSet;
  /** RFC 3339; empty where unknown. */
  readonly time: string;
}

/** Managers by {@link managerKey}. */
export type Managers = ReadonlyMap<string, Managed>;

const UPDATERS_MAX = 10;
const ANCIENT = 'ancient-changes';

/** Fields that nobody owns: they name the object, or are the server's. */
const UNOWNED: readonly (readonly PathStep[])[] = [
  ['f:apiVersion'],
  ['f:kind'],
  ...['name', 'namespace', 'creationTimestamp', 'selfLink', 'uid', 'clusterName', 'generation', 'managedFields', 'resourceVersion'].map(
    (field) => ['f:metadata', `f:${field}`],
  ),
];

/** Who applies owns one set, in whatever version; who updates owns one in each. */
export function managerKey({ manager, operation, apiVersion, subresource }: ManagerId): string {
  return JSON.stringify([manager, operation, operation === 'Apply' ? '' : apiVersion, subresource]);
}

/** Reads the managers of an object. */
export function managersOf(object: JsonObject | undefined): Managers {
  const managers = new Map<string, Managed>();
  for (const entry of objectsAt(object, 'metadata', 'managedFields')) {
    const managed: Managed = {
      manager: stringAt(entry, 'manager'),
      operation: stringAt(entry, 'operation') === 'Apply' ? 'Apply' : 'Update',
      apiVersion: stringAt(entry, 'apiVersion'),
      subresource: stringAt(entry, 'subresource'),
      time: stringAt(entry, 'time'),
      fields: fieldSetFromJson(own(entry, 'fieldsV1')),
    };
    const key = managerKey(managed);
    const known = managers.get(key);
    managers.set(key, known === undefined ? managed : { ...managed, fields: known.fields.union(managed.fields) });
  }
  return managers;
}

/** The entries for `managers`: appliers first, older before newer; without those that own nothing. */
export function managedFieldsOf(managers: Managers): JsonObject[] {
  return capUpdaters([...managers.values()].filter(({ fields }) => !fields.isEmpty))
    .toSorted(byOperationAndTime)
    .map(({ manager, operation, apiVersion, subresource, time, fields }) => ({
      ...(manager === '' ? {} : { manager }),
      operation,
      apiVersion,
      ...(time === '' ? {} : { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: fields.toJson(),
      ...(subresource === '' ? {} : { subresource }),
    }));
}

/** `object` with `managers` as its managed fields. */
export function withManagers(object: JsonObject, managers: Managers): JsonObject {
  const { managedFields: _old, ...metadata } = objectAt(object, 'metadata') ?? {};
  const entries: Json[] = managedFieldsOf(managers);
  return { ...object, metadata: entries.length === 0 ? metadata : { ...metadata, managedFields: entries } };
}

/** Without what nobody owns, and without what this door leaves alone. */
export function ownable(fields: FieldSet, ignored: readonly (readonly PathStep[])[]): FieldSet {
  return [...UNOWNED, ...ignored].reduce((left, path) => left.without(path), fields);
}

/** What all managers own together. */
export function allOwned(managers: Iterable<Managed>): FieldSet {
  let all = emptyFieldSet;
  for (const { fields } of managers) all = all.union(fields);
  return all;
}

/** Too many updaters would grow every object without end: the oldest share one entry. */
function capUpdaters(managers: readonly Managed[]): readonly Managed[] {
  const updaters = managers.filter(({ operation }) => operation === 'Update').toSorted(byOperationAndTime);
  const surplus = new Set(updaters.slice(0, Math.max(updaters.length - UPDATERS_MAX, 0)));
  if (surplus.size === 0) return managers;
  const buckets = new Map<string, Managed>();
  for (const old of surplus) {
    const known = buckets.get(old.apiVersion);
    const fields = known === undefined ? old.fields : known.fields.union(old.fields);
    buckets.set(old.apiVersion, { ...old, manager: ANCIENT, subresource: '', fields });
  }
  return [...managers.filter((managed) => !surplus.has(managed)), ...buckets.values()];
}

function byOperationAndTime(a: Managed, b: Managed): number {
  return (
    compareText(a.operation, b.operation) ||
    compareText(a.time, b.time) ||
    compareText(a.manager, b.manager) ||
    compareText(a.subresource, b.subresource)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
