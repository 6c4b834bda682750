/** Building blocks of the tables that `kubectl get` prints. */
import type { JsonObject, TableColumn } from '../../definition.ts';
import { formatAge } from '../../human-duration.ts';
import { isJsonObject, isNumeric, objectAt, objectsAt, stringAt, valueAt } from '../../json-value.ts';

export type CellValue = (object: JsonObject, nowMs: number) => string | number | bigint | boolean | undefined;

/** What tables show in place of nothing. */
export const NONE = '<none>';
export const UNSET = '<unset>';
export const UNKNOWN = '<unknown>';

/** A column that is always shown. */
export function column(name: string, value: CellValue, type: TableColumn['type'] = 'string'): TableColumn {
  return Object.freeze({ name, type, description: name, priority: 0, value });
}

/** A column of `-o wide`. */
export function wide(name: string, value: CellValue): TableColumn {
  return Object.freeze({ name, type: 'string', description: name, priority: 1, value });
}

export const nameColumn: TableColumn = Object.freeze({
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'The name, unique within the namespace',
  priority: 0,
  value: (object: JsonObject) => stringAt(object, 'metadata', 'name'),
});

export const ageColumn: TableColumn = Object.freeze({
  name: 'Age',
  type: 'string',
  description: 'How long ago it was created',
  priority: 0,
  value: (object: JsonObject, nowMs: number) => formatAge(stringAt(object, 'metadata', 'creationTimestamp'), nowMs),
});

/** In place of the age, for kinds whose table was never designed. */
export const createdAtColumn: TableColumn = Object.freeze({
  name: 'Created At',
  type: 'date',
  description: 'When it was created',
  priority: 0,
  value: (object: JsonObject) => stringAt(object, 'metadata', 'creationTimestamp'),
});

export const plainColumns: readonly TableColumn[] = Object.freeze([nameColumn, createdAtColumn]);

/** The string at `path`, or `<none>`. */
export function text(...path: readonly string[]): CellValue {
  return (object) => orNone(stringAt(object, ...path));
}

/** The number at `path`, or 0. */
export function count(...path: readonly string[]): CellValue {
  return (object) => {
    const value = valueAt(object, ...path);
    return isNumeric(value) ? value : 0;
  };
}

export function orNone(value: string): string {
  return value === '' ? NONE : value;
}

/** `True`, `False`, or `<unset>`. */
export function flag(...path: readonly string[]): CellValue {
  return (object) => {
    const value = valueAt(object, ...path);
    return value === true ? 'True' : value === false ? 'False' : UNSET;
  };
}

/** `a=1,b=2`, or `<none>`. */
export function labelsText(labels: JsonObject | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${String(value)}`);
  return orNone(pairs.sort().join(','));
}

/** The wide columns of everything that has a Pod template at `path`. */
export function containerColumns(...path: readonly string[]): readonly TableColumn[] {
  return [
    wide('Containers', (object) =>
      containersOf(object, path)
        .map((container) => stringAt(container, 'name'))
        .join(','),
    ),
    wide('Images', (object) =>
      containersOf(object, path)
        .map((container) => stringAt(container, 'image'))
        .join(','),
    ),
  ];
}

/** At most `max` of `items`, and how many more there are. */
export function someOf(items: readonly string[], max = 3): string {
  const rest = items.length - max;
  const shown = items.slice(0, max).join(',');
  return rest > 0 ? `${shown} + ${rest} more...` : shown;
}

/** Whether the condition `type` of the object's status is True. */
export function hasCondition(object: JsonObject, type: string): boolean {
  return objectsAt(object, 'status', 'conditions').some(
    (condition) => stringAt(condition, 'type') === type && stringAt(condition, 'status') === 'True',
  );
}

function containersOf(object: JsonObject, path: readonly string[]): readonly JsonObject[] {
  const spec = objectAt(object, ...path, 'spec');
  return isJsonObject(spec) ? objectsAt(spec, 'containers') : [];
}
