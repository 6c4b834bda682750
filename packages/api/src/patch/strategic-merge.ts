/**
 * Strategic merge patch: lists merge by a key that the schema names, and directives in the patch delete, replace and order.
 * @see https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */

import type { Json, JsonObject, SchemaBook, SchemaNode } from '../definition.ts';
import { toJsonText } from '../json-text.ts';
import { cloneJson, equalJson, isJsonObject, own, setOwn } from '../json-value.ts';
import { resolve } from '../schema/builtin-book.ts';

/** The patch contradicts itself or the schema. At the API's edge: BadRequest. */
export class StrategicMergeError extends Error {
  override readonly name = 'StrategicMergeError';
  readonly code = 'STRATEGIC_MERGE_INVALID';
}

const PATCH = '$patch';
const RETAIN_KEYS = '$retainKeys';
const DELETE_PREFIX = '$deleteFromPrimitiveList/';
const ORDER_PREFIX = '$setElementOrder/';

/** Where the walk stands in the schema; `undefined` for what the schema does not describe, where merging is by RFC 7386. */
type Shape = SchemaNode | undefined;

/** Applies `patch` to `original`; neither is changed. @throws {StrategicMergeError} */
export function applyStrategicMerge(original: JsonObject, patch: JsonObject, schema: SchemaNode, book: SchemaBook): JsonObject {
  return new Merger(book).map(original, patch, schema);
}

class Merger {
  readonly #book: SchemaBook;

  constructor(book: SchemaBook) {
    this.#book = book;
  }

  map(original: JsonObject, patch: JsonObject, shape: Shape): JsonObject {
    const directive = own(patch, PATCH);
    if (directive === 'replace') return this.#withoutDirectives({ ...patch, [PATCH]: null });
    if (directive === 'delete') return {};
    if (directive !== undefined && directive !== 'merge') throw new StrategicMergeError(`Unknown patch type found: ${String(directive)}`);
    const result: JsonObject = { ...original };
    this.#retain(result, patch);
    const done = new Set<string>();
    for (const key of Object.keys(patch)) if (key.startsWith(ORDER_PREFIX)) done.add(this.#ordered(result, patch, key, shape));
    for (const [key, value] of Object.entries(patch)) {
      if (key === PATCH || key === RETAIN_KEYS || key.startsWith(ORDER_PREFIX) || done.has(key)) continue;
      if (key.startsWith(DELETE_PREFIX)) this.#deletePrimitives(result, key, value);
      else if (value === null) delete result[key];
      else setOwn(result, key, this.#value(own(result, key), value, this.#field(shape, key), key));
    }
    return result;
  }

  #value(original: Json | undefined, patch: Json, field: Shape, key: string): Json {
    const strategy = strategyOf(field);
    if (isJsonObject(original) && isJsonObject(patch)) {
      if (strategy === 'replace') return this.#withoutDirectives(patch);
      return this.map(original, patch, this.#resolve(field));
    }
    if (Array.isArray(original) && Array.isArray(patch) && strategy === 'merge') {
      return this.#list(original, patch, field, key);
    }
    return this.#fresh(patch, strategy === 'merge');
  }

  /** A value that meets nothing of its own kind: nulls and directives in it have done their work. */
  #fresh(patch: Json, mergedList: boolean): Json {
    if (isJsonObject(patch)) return this.#withoutDirectives(patch);
    if (Array.isArray(patch) && mergedList) {
      return patch
        .filter((item) => !isJsonObject(item) || (own(item, PATCH) !== 'delete' && !isBareDirective(item)))
        .map((item) => this.#fresh(item, false));
    }
    return Array.isArray(patch) ? patch.map((item) => this.#fresh(item, false)) : patch;
  }

  #withoutDirectives(patch: JsonObject): JsonObject {
    if (own(patch, PATCH) === 'delete') return {};
    const result: JsonObject = {};
    for (const [key, value] of Object.entries(patch)) {
      if (value === null || key === PATCH || key === RETAIN_KEYS || key.startsWith(DELETE_PREFIX) || key.startsWith(ORDER_PREFIX)) continue;
      setOwn(result, key, this.#fresh(value, Array.isArray(value)));
    }
    return result;
  }

  #list(original: readonly Json[], patch: readonly Json[], field: Shape, key: string): Json[] {
    const mergeKey = field?.['x-kubernetes-patch-merge-key'];
    const { merged, items, replaced } = this.#mergeItems(original, patch, field, mergeKey, key);
    if (replaced) return merged;
    return arrange(merged, items, original, mergeKey);
  }

  #mergeItems(
    original: readonly Json[],
    patch: readonly Json[],
    field: Shape,
    mergeKey: string | undefined,
    key: string,
  ): { readonly merged: Json[]; readonly items: readonly Json[]; readonly replaced: boolean } {
    if (mergeKey === undefined) {
      const items = patch.filter((item) => !isJsonObject(item) || own(item, PATCH) === undefined);
      const merged = [...original];
      for (const item of items) if (!merged.some((other) => equalJson(other, item))) merged.push(cloneJson(item));
      return { merged, items, replaced: false };
    }
    const objects = patch.map((item) => {
      if (!isJsonObject(item)) throw new StrategicMergeError(`${key}: cannot merge ${toJsonText(item)} into a list of objects`);
      return item;
    });
    if (objects.some((item) => own(item, PATCH) === 'replace')) {
      const kept = objects.filter((item) => own(item, PATCH) !== 'replace');
      return { merged: kept.map((item) => this.#withoutDirectives(item)), items: kept, replaced: true };
    }
    let merged = [...original];
    const items: JsonObject[] = [];
    for (const item of objects) {
      const id = keyOf(item, mergeKey);
      const directive = own(item, PATCH);
      if (directive === 'delete') {
        merged = merged.filter((other) => !isJsonObject(other) || !equalJson(own(other, mergeKey), id));
        continue;
      }
      items.push(item);
      const at = merged.findIndex((other) => isJsonObject(other) && equalJson(own(other, mergeKey), id));
      const found = merged[at];
      if (isJsonObject(found)) merged[at] = this.map(found, item, this.#itemShape(field));
      else merged.push(this.#withoutDirectives(item));
    }
    return { merged, items, replaced: false };
  }

  /** `$setElementOrder/x` beside `x`: merges the list and puts it in the order that the patch wants. Returns `x`. */
  #ordered(result: JsonObject, patch: JsonObject, directiveKey: string, shape: Shape): string {
    const key = directiveKey.slice(ORDER_PREFIX.length);
    const order = own(patch, directiveKey);
    const field = this.#field(shape, key);
    const original = own(result, key);
    const value = own(patch, key);
    if (!Array.isArray(order)) throw new StrategicMergeError(`${directiveKey} must be a list`);
    if (strategyOf(field) !== 'merge' || value === null) return '';
    const mergeKey = field?.['x-kubernetes-patch-merge-key'];
    const list = Array.isArray(original) ? original : [];
    if (original === undefined && value === undefined) return key;
    const patchList = Array.isArray(value) ? value : [];
    const { merged, replaced } = this.#mergeItems(list, patchList, field, mergeKey, key);
    const deleted = own(patch, DELETE_PREFIX + key);
    const left = Array.isArray(deleted) ? merged.filter((item) => !deleted.some((other) => equalJson(item, other))) : merged;
    // Upstream orders by its list in place, where new entries took over the places of deleted ones: clients compute patches with that.
    result[key] = replaced ? left : arrange(left, order, merged.slice(0, list.length), mergeKey);
    return key;
  }

  #retain(result: JsonObject, patch: JsonObject): void {
    const keys = own(patch, RETAIN_KEYS);
    if (keys === undefined) return;
    if (!Array.isArray(keys)) throw new StrategicMergeError(`${RETAIN_KEYS} must be a list`);
    const stray = Object.keys(patch).find((key) => !key.startsWith('$') && patch[key] !== null && !keys.includes(key));
    if (stray !== undefined) throw new StrategicMergeError(`key ${toJsonText(stray)} of the patch is not in ${RETAIN_KEYS}`);
    for (const key of Object.keys(result)) if (!keys.includes(key)) delete result[key];
  }

  #deletePrimitives(result: JsonObject, directiveKey: string, value: Json): void {
    const key = directiveKey.slice(DELETE_PREFIX.length);
    if (!Array.isArray(value)) throw new StrategicMergeError(`${directiveKey} must be a list`);
    const list = own(result, key);
    if (Array.isArray(list)) result[key] = list.filter((item) => !value.some((other) => equalJson(item, other)));
  }

  #field(shape: Shape, key: string): Shape {
    const node = this.#resolve(shape);
    const property = node?.properties !== undefined && Object.hasOwn(node.properties, key) ? node.properties[key] : undefined;
    if (property !== undefined) return property;
    return typeof node?.additionalProperties === 'object' ? node.additionalProperties : undefined;
  }

  #itemShape(field: Shape): Shape {
    return this.#resolve(this.#resolve(field)?.items);
  }

  #resolve(shape: Shape): Shape {
    return shape === undefined ? undefined : resolve(shape, this.#book);
  }
}

/** `retainKeys` says how clients write patches, not how they are applied. */
function strategyOf(field: Shape): 'merge' | 'replace' | undefined {
  const strategies = field?.['x-kubernetes-patch-strategy']?.split(',') ?? [];
  return strategies.includes('merge') ? 'merge' : strategies.includes('replace') ? 'replace' : undefined;
}

function keyOf(item: JsonObject, mergeKey: string): Json {
  const id = own(item, mergeKey);
  if (id === undefined || id === null) {
    throw new StrategicMergeError(`map: ${toJsonText(item)} does not contain declared merge key: ${mergeKey}`);
  }
  return id;
}

function isBareDirective(item: JsonObject): boolean {
  return own(item, PATCH) !== undefined && Object.keys(item).length === 1;
}

/**
 * Items that `wanted` names come in its order, the others keep theirs, and the two are interleaved as `before` had them.
 * The relative order within each wins over `before`.
 */
function arrange(merged: readonly Json[], wanted: readonly Json[], before: readonly Json[], mergeKey: string | undefined): Json[] {
  const indexIn = (list: readonly Json[], item: Json): number => list.findIndex((other) => sameItem(other, item, mergeKey));
  const named = merged.filter((item) => indexIn(wanted, item) >= 0).sort((a, b) => indexIn(wanted, a) - indexIn(wanted, b));
  const others = merged.filter((item) => indexIn(wanted, item) < 0).sort((a, b) => indexIn(before, a) - indexIn(before, b));
  const result: Json[] = [];
  let next = 0;
  for (const item of named) {
    const at = indexIn(before, item);
    while (next < others.length && at >= 0 && isBefore(indexIn(before, others[next] ?? null), at)) {
      result.push(others[next] ?? null);
      next += 1;
    }
    result.push(item);
  }
  return [...result, ...others.slice(next)];
}

function isBefore(index: number, at: number): boolean {
  return index >= 0 && index < at;
}

function sameItem(a: Json, b: Json, mergeKey: string | undefined): boolean {
  if (mergeKey === undefined) return equalJson(a, b);
  return isJsonObject(a) && isJsonObject(b) && own(a, mergeKey) !== undefined && equalJson(own(a, mergeKey), own(b, mergeKey));
}
