/**
 * Values seen through their schema, as server-side apply needs them: which fields they set, how two of them merge, and what
 * differs. Lists and maps are atomic, sets or associative as the schema says; without a word from it lists are atomic and maps
 * are not.
 */

import type { Json, JsonObject, SchemaBook, SchemaNode } from '../definition.ts';
import { toJsonText } from '../json-text.ts';
import { cloneJson, equalJson, isJsonObject, own, setOwn } from '../json-value.ts';
import { resolve } from '../schema/builtin-book.ts';
import { FieldSet, type PathStep } from './field-set.ts';

/** An entry of an associative list lacks a key. At the API's edge: BadRequest. */
export class MissingKeyError extends Error {
  override readonly name = 'MissingKeyError';
  readonly code = 'APPLY_KEY_MISSING';
}

type Shape = SchemaNode | undefined;

interface FieldShape {
  readonly atomic: boolean;
  /** The fields of a struct are no members of a set themselves; the keys of a map are. */
  readonly struct: boolean;
  child(key: string): Shape;
}

export class TypedSchema {
  readonly #book: SchemaBook;
  readonly #root: SchemaNode;

  constructor(root: SchemaNode, book: SchemaBook) {
    this.#root = root;
    this.#book = book;
  }

  /** The fields that `object` sets. @throws {MissingKeyError} */
  fieldsOf(object: JsonObject): FieldSet {
    return this.#fields(object, this.#root);
  }

  /** `applied` laid over `live`; neither is changed. @throws {MissingKeyError} */
  merge(live: JsonObject, applied: JsonObject): JsonObject {
    return this.#merge(live, applied, this.#root) as JsonObject;
  }

  /** Fields whose values differ between the two, present in both. */
  modified(before: JsonObject, after: JsonObject): FieldSet {
    return this.#modified(before, after, this.#root);
  }

  /** `object` without what `dropped` touches and `owned` does not. */
  prune(object: JsonObject, dropped: FieldSet, owned: FieldSet): JsonObject {
    return this.#prune(object, this.#root, dropped, owned) as JsonObject;
  }

  /** Where `object` sets what is replaced as a whole: atomic lists, maps and structs. Paths as upstream shows them: `.spec.list[0].x`. */
  atomicsIn(object: JsonObject): string[] {
    return this.#atomics(object, this.#root, '');
  }

  /** Where `object` sets what the schema does not know. */
  undeclaredIn(object: JsonObject): string[] {
    return this.#undeclared(object, this.#root, '');
  }

  #atomics(value: Json, shape: Shape, path: string): string[] {
    if (Array.isArray(value)) {
      const below = value.flatMap((item, index) => this.#atomics(item, this.#itemShape(shape), `${path}[${index}]`));
      return this.#isLeaf(value, shape) ? [path, ...below] : below;
    }
    if (!isJsonObject(value)) return [];
    const fields = this.#mapShape(shape);
    // The keys of a map are no fields; what a map holds is not looked into.
    const below = fields.struct
      ? Object.entries(value).flatMap(([key, item]) => this.#atomics(item, fields.child(key), `${path}.${key}`))
      : [];
    return fields.atomic ? [path, ...below] : below;
  }

  #undeclared(value: Json, shape: Shape, path: string): string[] {
    if (Array.isArray(value)) return value.flatMap((item, index) => this.#undeclared(item, this.#itemShape(shape), `${path}[${index}]`));
    const node = this.#resolve(shape);
    if (!isJsonObject(value) || node?.properties === undefined || node['x-kubernetes-preserve-unknown-fields'] === true) return [];
    const fields = this.#mapShape(shape);
    return Object.entries(value).flatMap(([key, item]) => {
      const child = fields.child(key);
      const inherent = path === '' && ['apiVersion', 'kind', 'metadata'].includes(key);
      return child === undefined && !inherent ? [`${path}.${key}`] : this.#undeclared(item, child, `${path}.${key}`);
    });
  }

  #fields(value: Json, shape: Shape): FieldSet {
    const members = new Set<PathStep>();
    const children = new Map<PathStep, FieldSet>();
    if (Array.isArray(value)) {
      for (const [step, item] of this.#items(value, shape)) {
        members.add(step);
        if (!this.#isLeaf(item, this.#itemShape(shape))) children.set(step, this.#fields(item, this.#itemShape(shape)));
      }
      return new FieldSet(members, children);
    }
    if (!isJsonObject(value)) return new FieldSet();
    const fields = this.#mapShape(shape);
    for (const [key, item] of Object.entries(value)) {
      const step = `f:${key}`;
      const child = fields.child(key);
      const leaf = this.#isLeaf(item, child);
      if (leaf || !fields.struct || (isJsonObject(item) && Object.keys(item).length === 0)) members.add(step);
      if (!leaf) children.set(step, this.#fields(item, child));
    }
    return new FieldSet(members, children);
  }

  #merge(live: Json | undefined, applied: Json, shape: Shape): Json {
    if (live === undefined || this.#isLeaf(applied, shape)) return cloneJson(applied);
    if (Array.isArray(applied)) return Array.isArray(live) ? this.#mergeLists(live, applied, shape) : cloneJson(applied);
    if (!isJsonObject(applied) || !isJsonObject(live)) return cloneJson(applied);
    const result = cloneJson(live);
    const fields = this.#mapShape(shape);
    for (const [key, item] of Object.entries(applied)) setOwn(result, key, this.#merge(own(live, key), item, fields.child(key)));
    return result;
  }

  /** Applied entries keep their order; live ones that are not applied stay where they stand among the others. */
  #mergeLists(live: readonly Json[], applied: readonly Json[], shape: Shape): Json[] {
    const itemShape = this.#itemShape(shape);
    const liveItems = this.#items(live, shape);
    const appliedItems = this.#items(applied, shape);
    const known = new Map(liveItems);
    const wanted = new Set(appliedItems.map(([step]) => step));
    const done = new Set<PathStep>();
    const result: Json[] = [];
    let next = 0;
    const takeApplied = () => {
      const [step, item] = appliedItems[next] ?? ['', null];
      next += 1;
      done.add(step);
      result.push(this.#merge(known.get(step), item, itemShape));
    };
    for (const [step, item] of liveItems) {
      if (!wanted.has(step)) result.push(cloneJson(item));
      else while (!done.has(step) && next < appliedItems.length) takeApplied();
    }
    while (next < appliedItems.length) takeApplied();
    return result;
  }

  #modified(before: Json, after: Json, shape: Shape): FieldSet {
    const members = new Set<PathStep>();
    const children = new Map<PathStep, FieldSet>();
    const compare = (step: PathStep, a: Json, b: Json, child: Shape): void => {
      const leaf = this.#isLeaf(a, child) || this.#isLeaf(b, child);
      if (!leaf) children.set(step, this.#modified(a, b, child));
      else if (!equalJson(a, b)) members.add(step);
    };
    if (Array.isArray(before) && Array.isArray(after)) {
      const known = new Map(this.#items(before, shape));
      for (const [step, item] of this.#items(after, shape)) {
        const old = known.get(step);
        if (old !== undefined) compare(step, old, item, this.#itemShape(shape));
      }
    } else if (isJsonObject(before) && isJsonObject(after)) {
      const fields = this.#mapShape(shape);
      for (const [key, item] of Object.entries(after)) {
        const old = own(before, key);
        if (old !== undefined) compare(`f:${key}`, old, item, fields.child(key));
      }
    }
    return new FieldSet(members, children);
  }

  #prune(value: Json, shape: Shape, dropped: FieldSet, owned: FieldSet): Json {
    if (this.#isLeaf(value, shape)) return value;
    if (Array.isArray(value)) {
      const itemShape = this.#itemShape(shape);
      return this.#items(value, shape)
        .filter(([step]) => !dropped.touches(step) || owned.touches(step))
        .map(([step, item]) => (dropped.touches(step) ? this.#prune(item, itemShape, dropped.child(step), owned.child(step)) : item));
    }
    if (!isJsonObject(value)) return value;
    const fields = this.#mapShape(shape);
    const result: JsonObject = {};
    for (const [key, item] of Object.entries(value)) {
      const step = `f:${key}`;
      if (!dropped.touches(step)) setOwn(result, key, item);
      else if (owned.touches(step)) setOwn(result, key, this.#prune(item, fields.child(key), dropped.child(step), owned.child(step)));
    }
    return result;
  }

  /** Owned as a whole: plain values, nulls, and what the schema calls atomic. */
  #isLeaf(value: Json, shape: Shape): boolean {
    if (Array.isArray(value)) {
      const type = this.#own(shape, 'x-kubernetes-list-type');
      return type !== 'set' && type !== 'map';
    }
    return !isJsonObject(value) || this.#mapShape(shape).atomic;
  }

  /** Entries of a set or an associative list with the steps that name them. */
  #items(list: readonly Json[], shape: Shape): readonly (readonly [PathStep, Json])[] {
    if (this.#own(shape, 'x-kubernetes-list-type') === 'set') return list.map((item) => [`v:${toJsonText(item)}`, item]);
    const keys = [...((this.#own(shape, 'x-kubernetes-list-map-keys') as readonly string[] | undefined) ?? [])].sort();
    const properties = this.#resolve(this.#itemShape(shape))?.properties ?? {};
    return list.map((item, index) => {
      const identity: JsonObject = {};
      for (const key of keys) {
        const value = (isJsonObject(item) ? own(item, key) : undefined) ?? properties[key]?.default;
        if (value === undefined || value === null) {
          throw new MissingKeyError(
            `element ${index}: associative list with keys has an element that omits key field ${JSON.stringify(key)} (and doesn't have default value)`,
          );
        }
        identity[key] = value;
      }
      return [`k:${toJsonText(identity)}`, item];
    });
  }

  #mapShape(shape: Shape): FieldShape {
    const node = this.#resolve(shape);
    const properties = node?.properties;
    const rest = typeof node?.additionalProperties === 'object' ? node.additionalProperties : undefined;
    return {
      atomic: this.#own(shape, 'x-kubernetes-map-type') === 'atomic',
      struct: properties !== undefined,
      child: (key) => (properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : rest),
    };
  }

  #itemShape(shape: Shape): Shape {
    return this.#resolve(shape)?.items;
  }

  /** A mark on the field itself, or else on the definition that it refers to. */
  #own<K extends keyof SchemaNode>(shape: Shape, mark: K): SchemaNode[K] | undefined {
    return shape?.[mark] ?? this.#resolve(shape)?.[mark];
  }

  #resolve(shape: Shape): Shape {
    return shape === undefined ? undefined : resolve(shape, this.#book);
  }
}
