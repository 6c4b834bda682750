import { type Json, type JsonObject, resolveSchema, type SchemaBook, type SchemaNode } from '@dure/api';

/** How a value at some place of an object is owned and merged. */
export type FieldShape =
  /** As one: scalars, atomic lists and maps. */
  | { readonly kind: 'whole' }
  /** Field by field. `open`: its keys are data, such as labels. */
  | { readonly kind: 'fields'; readonly open: boolean; child(name: string): SchemaNode | undefined }
  /** Item by item, each known by some of its fields. */
  | { readonly kind: 'items'; readonly keys: readonly string[]; readonly item: SchemaNode }
  /** Item by item, each known by its value. */
  | { readonly kind: 'set' };

const WHOLE: FieldShape = { kind: 'whole' };
/** Of what no schema speaks: maps by field, all else as one. */
const UNKNOWN: FieldShape = { kind: 'fields', open: true, child: () => undefined };

/** The shape of `value` where the schema is `node`; `undefined` where there is none. */
export function shapeOf(value: Json | undefined, node: SchemaNode | undefined, book: SchemaBook): FieldShape {
  if (typeof value !== 'object' || value === null) return WHOLE;
  if (node === undefined) return Array.isArray(value) ? WHOLE : UNKNOWN;
  const listType = node['x-kubernetes-list-type'];
  const mapType = node['x-kubernetes-map-type'];
  const resolved = resolveSchema(node, book);
  if (Array.isArray(value)) {
    const type = listType ?? resolved['x-kubernetes-list-type'];
    if (type === 'set' && value.every((item) => typeof item !== 'object')) return { kind: 'set' };
    const keys = node['x-kubernetes-list-map-keys'] ?? resolved['x-kubernetes-list-map-keys'];
    if (type === 'map' && keys !== undefined && resolved.items !== undefined && value.every(isObject))
      return { kind: 'items', keys, item: resolved.items };
    return WHOLE;
  }
  if ((mapType ?? resolved['x-kubernetes-map-type']) === 'atomic') return WHOLE;
  const { properties, additionalProperties } = resolved;
  if (properties === undefined && typeof additionalProperties === 'object')
    return { kind: 'fields', open: true, child: () => additionalProperties };
  if (properties === undefined) return UNKNOWN;
  return { kind: 'fields', open: false, child: (name) => (Object.hasOwn(properties, name) ? properties[name] : undefined) };
}

/** The step that names `item` in a list of items with keys. Absent keys count with the schema's default. */
export function itemStep(item: JsonObject, keys: readonly string[], schema: SchemaNode, book: SchemaBook): string {
  const properties = resolveSchema(schema, book).properties;
  const named: JsonObject = {};
  for (const key of [...keys].sort()) {
    const value = item[key] ?? properties?.[key]?.default;
    if (value !== undefined && value !== null) named[key] = value;
  }
  return `k:${JSON.stringify(named)}`;
}

export function valueStep(value: Json): string {
  return `v:${JSON.stringify(value)}`;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
