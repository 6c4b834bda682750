/** Custom kinds: pruning and defaulting by a structural schema. @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/ */
import type { Json, JsonObject, SchemaNode } from '../definition.ts';
import { cloneJson, isJsonObject, own, setOwn } from '../json-value.ts';
import { quoted } from '../quoted.ts';
import { builtinSchemas } from './builtin-book.ts';
import { type Decoded, DecodeError, decodeBySchema } from './decode.ts';

const OBJECT_META: SchemaNode = { ref: 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' };

/**
 * Prunes what `schema` does not know and fills in its defaults; `metadata` is decoded as every object's is.
 * Values of a wrong type stay, for validation to name. @throws {DecodeError} `value` is no object, or its metadata is malformed.
 */
export function decodeStructural(value: unknown, schema: SchemaNode): Decoded {
  if (!isJsonObject(value)) throw new DecodeError('json: the body is not an object');
  const unknown: string[] = [];
  const object = pruneObject(value, { ...schema, 'x-kubernetes-embedded-resource': true }, '', unknown);
  defaultNode(object, schema);
  return { object, unknown };
}

function prune(value: Json, node: SchemaNode, path: string, unknown: string[]): Json {
  if (Array.isArray(value)) {
    const items = node.items;
    return items === undefined ? cloneJson(value) : value.map((item, index) => prune(item, items, `${path}[${index}]`, unknown));
  }
  if (!isJsonObject(value)) return value;
  return pruneObject(value, node, path, unknown);
}

function pruneObject(value: JsonObject, node: SchemaNode, path: string, unknown: string[]): JsonObject {
  const result: JsonObject = {};
  const embedded = node['x-kubernetes-embedded-resource'] === true;
  for (const [key, item] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`;
    const property = node.properties !== undefined && Object.hasOwn(node.properties, key) ? node.properties[key] : undefined;
    if (embedded && (key === 'apiVersion' || key === 'kind')) setOwn(result, key, item);
    else if (embedded && key === 'metadata') {
      if (item === null) continue;
      const metadata = decodeBySchema(item, OBJECT_META, builtinSchemas);
      unknown.push(...metadata.unknown.map((message) => message.replace('"', `"${at}.`)));
      setOwn(result, key, metadata.object);
    } else if (property !== undefined) setOwn(result, key, prune(item, property, at, unknown));
    else if (typeof node.additionalProperties === 'object') setOwn(result, key, prune(item, node.additionalProperties, at, unknown));
    else if (node['x-kubernetes-preserve-unknown-fields'] === true || node.additionalProperties === true)
      setOwn(result, key, cloneJson(item));
    else unknown.push(`unknown field ${quoted(at)}`);
  }
  return result;
}

/** Fills defaults in; a null that the schema does not allow counts as absent where there is a default. */
function defaultNode(value: Json, node: SchemaNode): void {
  if (Array.isArray(value)) {
    if (node.items !== undefined) for (const item of value) defaultNode(item, node.items);
    return;
  }
  if (!isJsonObject(value)) return;
  for (const [key, property] of Object.entries(node.properties ?? {})) {
    if (property.default === undefined) continue;
    const current = own(value, key);
    if (current === undefined || (current === null && property.nullable !== true)) setOwn(value, key, cloneJson(property.default));
  }
  for (const [key, item] of Object.entries(value)) {
    const property = node.properties !== undefined && Object.hasOwn(node.properties, key) ? node.properties[key] : undefined;
    const child = property ?? (typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined);
    if (child === undefined) continue;
    if (item === null && child.nullable !== true && child.default !== undefined && property === undefined)
      setOwn(value, key, cloneJson(child.default));
    defaultNode(own(value, key) ?? null, child);
  }
}
