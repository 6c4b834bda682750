/** Custom kinds: pruning and defaulting by a structural schema. @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/ */
import type { Json, JsonObject, SchemaNode } from '../definition.ts';
import { cloneJson, equalJson, isJsonObject, own, setOwn } from '../json-value.ts';
import { builtinSchemas } from './builtin-book.ts';
import { type Decoded, DecodeError, decodeBySchema } from './decode.ts';

const OBJECT_META: SchemaNode = { ref: 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' };
/** Deeper than any schema that is let in; a bound on recursion that hostile bodies meet. */
const DEPTH_MAX = 200;

/**
 * Prunes what `schema` does not know and fills in its defaults; `metadata` is decoded as every object's is.
 * Values of a wrong type stay, for validation to name. @throws {DecodeError} `value` is no object, or its metadata is malformed.
 */
export function decodeStructural(value: unknown, schema: SchemaNode): Decoded {
  if (!isJsonObject(value)) throw new DecodeError('json: the body is not an object');
  const pruner = new Pruner(true);
  const object = pruner.object(value, { ...schema, 'x-kubernetes-embedded-resource': true }, '', 0);
  defaultNode(object, schema);
  return { object, unknown: pruner.unknown };
}

/** A stored object by today's schema; its metadata stays as it is. Gives `object` itself back where nothing changes. */
export function completeStructural(object: JsonObject, schema: SchemaNode): JsonObject {
  const completed = new Pruner(false).object(object, { ...schema, 'x-kubernetes-embedded-resource': true }, '', 0);
  defaultNode(completed, schema);
  return equalJson(completed, object) ? object : completed;
}

/** The node that describes `key` of an object under `node`. */
export function childNode(node: SchemaNode, key: string): SchemaNode | undefined {
  if (node.properties !== undefined && Object.hasOwn(node.properties, key)) return node.properties[key];
  return typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined;
}

/** A null where the schema wants a value: absent, as far as the API is concerned. */
function isStrayNull(value: Json | undefined, node: SchemaNode | undefined): boolean {
  return value === null && node !== undefined && node.nullable !== true && node.ref === undefined;
}

class Pruner {
  readonly unknown: string[] = [];
  readonly #decodesMetadata: boolean;

  constructor(decodesMetadata: boolean) {
    this.#decodesMetadata = decodesMetadata;
  }

  /** @param node Absent where nothing is known of the value: objects lose all their fields. */
  value(value: Json, node: SchemaNode | undefined, path: string, depth: number): Json {
    if (depth > DEPTH_MAX) throw new DecodeError('json: exceeded max depth');
    if (Array.isArray(value)) return value.map((item, index) => this.value(item, this.#itemNode(node), `${path}[${index}]`, depth + 1));
    return isJsonObject(value) ? this.object(value, node ?? {}, path, depth + 1) : value;
  }

  object(value: JsonObject, node: SchemaNode, path: string, depth: number): JsonObject {
    const result: JsonObject = {};
    for (const [key, item] of Object.entries(value)) {
      const at = path === '' ? key : `${path}.${key}`;
      if (node['x-kubernetes-embedded-resource'] === true && this.#keepsMeta(result, key, item, at)) continue;
      const child = childNode(node, key);
      if (child !== undefined) {
        if (!isStrayNull(item, child) || child.default !== undefined) setOwn(result, key, this.value(item, child, at, depth));
      } else if (node['x-kubernetes-preserve-unknown-fields'] === true) setOwn(result, key, this.#copy(item, depth + 1));
      else if (node.additionalProperties === true) setOwn(result, key, this.value(item, undefined, at, depth));
      else this.unknown.push(at);
    }
    return result;
  }

  #copy(value: Json, depth: number): Json {
    if (depth > DEPTH_MAX) throw new DecodeError('json: exceeded max depth');
    if (Array.isArray(value)) return value.map((item) => this.#copy(item, depth + 1));
    if (!isJsonObject(value)) return value;
    const copy: JsonObject = {};
    for (const [key, item] of Object.entries(value)) setOwn(copy, key, this.#copy(item, depth + 1));
    return copy;
  }

  #itemNode(node: SchemaNode | undefined): SchemaNode | undefined {
    // Nothing is said of the items of a free-form list, so all of them is kept.
    if (node?.items === undefined && node?.['x-kubernetes-preserve-unknown-fields'] === true) return node;
    return node?.items;
  }

  #keepsMeta(result: JsonObject, key: string, item: Json, path: string): boolean {
    if (key === 'apiVersion' || key === 'kind') setOwn(result, key, item);
    else if (key !== 'metadata') return false;
    else if (!this.#decodesMetadata) setOwn(result, key, cloneJson(item));
    else if (item !== null) {
      const metadata = decodeBySchema(item, OBJECT_META, builtinSchemas);
      this.unknown.push(...metadata.unknown.map((at) => `${path}.${at}`));
      setOwn(result, key, metadata.object);
    }
    return true;
  }
}

/** Fills defaults in; a null that the schema does not allow counts as absent where there is a default. */
function defaultNode(value: Json, node: SchemaNode): void {
  if (Array.isArray(value)) {
    const { items } = node;
    if (items === undefined) return;
    for (const [index, item] of value.entries()) {
      if (isStrayNull(item, items) && items.default !== undefined) value[index] = cloneJson(items.default);
      defaultNode(value[index] ?? null, items);
    }
    return;
  }
  if (!isJsonObject(value)) return;
  for (const [key, property] of Object.entries(node.properties ?? {})) {
    if (property.default === undefined) continue;
    const current = own(value, key);
    if (current === undefined || isStrayNull(current, property)) setOwn(value, key, cloneJson(property.default));
  }
  for (const [key, item] of Object.entries(value)) {
    const child = childNode(node, key);
    if (child === undefined) continue;
    if (isStrayNull(item, child) && child.default !== undefined) setOwn(value, key, cloneJson(child.default));
    defaultNode(own(value, key) ?? null, child);
  }
}
