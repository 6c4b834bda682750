import type { Json, JsonObject } from '@dure/api';
import { equalSets, type FieldSet, fromFieldsV1, isEmpty, NO_FIELDS, toFieldsV1, union } from './field-set.ts';

export interface ManagerKey {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  /** '' for the resource itself. */
  readonly subresource: string;
}

export interface ManagerEntry extends ManagerKey {
  readonly time: string;
  readonly fields: FieldSet;
}

/** Update entries beyond this are merged, the oldest first, as upstream does. */
const UPDATE_ENTRIES_MAX = 10;
const ANCIENT = 'ancient-changes';

/** Who owns which fields of one object. */
export class Managers {
  readonly #entries = new Map<string, ManagerEntry>();

  /** Reads `metadata.managedFields`. @returns `undefined` where it is malformed: it says nothing then. */
  static parse(value: Json | undefined): Managers | undefined {
    const managers = new Managers();
    if (value === undefined || value === null) return managers;
    if (!Array.isArray(value)) return undefined;
    for (const item of value) {
      if (typeof item !== 'object' || item === null || Array.isArray(item)) return undefined;
      const { manager, operation, apiVersion, subresource, time, fieldsType, fieldsV1 } = item;
      // One empty entry is how clients ask for a clean slate.
      if (Object.keys(item).length === 0) continue;
      if ((operation !== 'Apply' && operation !== 'Update') || typeof apiVersion !== 'string' || fieldsType !== 'FieldsV1')
        return undefined;
      managers.set({
        manager: typeof manager === 'string' ? manager : '',
        operation,
        apiVersion,
        subresource: typeof subresource === 'string' ? subresource : '',
        time: typeof time === 'string' ? time : '',
        fields: fromFieldsV1(fieldsV1),
      });
    }
    return managers;
  }

  get(key: ManagerKey): ManagerEntry | undefined {
    return this.#entries.get(nameOf(key));
  }

  /** Entries of everybody but `key`. */
  others(key: ManagerKey): readonly ManagerEntry[] {
    return [...this.#entries.values()].filter((entry) => nameOf(entry) !== nameOf(key));
  }

  /** Replaces an entry; one without fields goes. */
  set(entry: ManagerEntry): void {
    if (isEmpty(entry.fields)) this.#entries.delete(nameOf(entry));
    else this.#entries.set(nameOf(entry), entry);
  }

  /** Replaces the fields, and the time only where they changed. */
  update(key: ManagerKey, fields: FieldSet, now: string): void {
    const known = this.get(key);
    const same = known !== undefined && equalSets(known.fields, fields);
    this.set({ ...key, fields, time: same ? known.time : now });
  }

  /** Fields that anybody but `key` owns. */
  ownedByOthers(key: ManagerKey): FieldSet {
    return this.others(key).reduce<FieldSet>((all, { fields }) => union(all, fields), NO_FIELDS);
  }

  toJson(): Json[] {
    this.#mergeAncient();
    const entries = [...this.#entries.values()].sort((left, right) => sortKey(left).localeCompare(sortKey(right)));
    return entries.map(
      ({ manager, operation, apiVersion, time, fields, subresource }): JsonObject => ({
        manager,
        operation,
        apiVersion,
        ...(time === '' ? {} : { time }),
        fieldsType: 'FieldsV1',
        fieldsV1: toFieldsV1(fields),
        ...(subresource === '' ? {} : { subresource }),
      }),
    );
  }

  #mergeAncient(): void {
    const updates = [...this.#entries.values()]
      .filter(({ operation }) => operation === 'Update')
      .sort((left, right) => (left.time < right.time ? -1 : 1));
    for (const entry of updates.slice(0, Math.max(0, updates.length - UPDATE_ENTRIES_MAX))) {
      if (entry.manager === ANCIENT) continue;
      this.#entries.delete(nameOf(entry));
      const key: ManagerKey = { ...entry, manager: ANCIENT };
      this.set({ ...key, time: entry.time, fields: union(this.get(key)?.fields ?? NO_FIELDS, entry.fields) });
    }
  }
}

function nameOf({ manager, operation, apiVersion, subresource }: ManagerKey): string {
  return JSON.stringify([manager, operation, apiVersion, subresource]);
}

/** Apply before Update, then by time and name. */
function sortKey({ operation, time, manager, apiVersion, subresource }: ManagerEntry): string {
  return [operation === 'Apply' ? '0' : '1', time, manager, apiVersion, subresource].join(' ');
}
