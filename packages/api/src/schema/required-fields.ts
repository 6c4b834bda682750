import type { Json, JsonObject, SchemaBook, SchemaNode } from '../definition.ts';
import { childPath, type FieldError, required } from '../field-error.ts';
import { isJsonObject, own } from '../json-value.ts';
import { resolve } from './builtin-book.ts';

/**
 * Fields that the schema requires and `object` lacks: the validation of built-in kinds that have no rules of their own.
 * An empty string counts as absent, since that is what decoding makes of an absent one.
 */
export function validateRequired(object: JsonObject, schema: SchemaNode, book: SchemaBook): FieldError[] {
  const { metadata: _metadata, status: _status, ...body } = object;
  return walk(body, schema, '', book);
}

function walk(value: Json, node: SchemaNode, path: string, book: SchemaBook): FieldError[] {
  const shape = resolve(node, book);
  if (Array.isArray(value)) {
    const items = shape.items;
    return items === undefined ? [] : value.flatMap((item, index) => walk(item, items, `${path}[${index}]`, book));
  }
  if (!isJsonObject(value)) return [];
  const errors: FieldError[] = [];
  for (const name of shape.required ?? []) {
    const given = own(value, name);
    // To upstream an absent list is an empty one, and so it is to protobuf.
    const isList = resolve(shape.properties?.[name] ?? {}, book).type === 'array';
    if ((given === undefined || given === '') && name !== 'metadata' && !isList) errors.push(required(childPath(path, name)));
  }
  for (const [key, item] of Object.entries(value)) {
    const property = shape.properties !== undefined && Object.hasOwn(shape.properties, key) ? shape.properties[key] : undefined;
    const child = property ?? (typeof shape.additionalProperties === 'object' ? shape.additionalProperties : undefined);
    if (child !== undefined) errors.push(...walk(item, child, property === undefined ? `${path}[${key}]` : childPath(path, key), book));
  }
  return errors;
}
