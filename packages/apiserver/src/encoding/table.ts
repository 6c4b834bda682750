import type { JsonObject, KubeObject, TableColumn } from '@dure/api';

/** How much of each object a Table's rows carry. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export function parseIncludeObject(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject');
  return value === 'None' || value === 'Object' ? value : 'Metadata';
}

/** `columnDefinitions` of a Table. */
export function columnDefinitions(columns: readonly TableColumn[]): readonly JsonObject[] {
  return columns.map(({ name, type, format = name === 'Name' ? 'name' : '', description = '', priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
}

/** One row. @param object In the version whose columns these are. */
export function tableRow(
  object: KubeObject,
  columns: readonly TableColumn[],
  include: IncludeObject,
  version: string,
  nowMs: number,
): JsonObject {
  const cells = columns.map((column) => cellOf(column, object, nowMs));
  const row: JsonObject = { cells };
  if (include === 'Object') row.object = object as unknown as JsonObject;
  else if (include === 'Metadata') row.object = partialMetadata(object, version);
  return row;
}

/** A Table of `rows`; `columns` empty for the later events of a watch. */
export function table(metadata: JsonObject, columns: readonly JsonObject[], rows: readonly JsonObject[], version: string): JsonObject {
  return { kind: 'Table', apiVersion: `meta.k8s.io/${version}`, metadata, columnDefinitions: [...columns], rows: [...rows] };
}

/** `object` reduced to its metadata. */
export function partialMetadata(object: KubeObject, version: string): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata as unknown as JsonObject };
}

function cellOf(column: TableColumn, object: KubeObject, nowMs: number): string | number | bigint | boolean | null {
  // A stored object may be older than today's validation; one odd field must not cost the whole list.
  try {
    const value = column.value(object as unknown as JsonObject, nowMs);
    return value === undefined ? '<none>' : value;
  } catch {
    return '<unknown>';
  }
}
