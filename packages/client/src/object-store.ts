import type { KubeObject } from '@dure/api';
import { keyOf } from './resource-path.ts';

/** The values under which an index finds `object`; none leaves it out. Pure, and cheap: it runs on every change. */
export type IndexFunction<T extends KubeObject> = (object: T) => readonly string[];

/**
 * What a controller reads instead of asking the API server. Objects are shared and deeply readonly.
 * It may lag behind the server, and never shows an older state of an object after a newer one.
 */
export interface Lister<T extends KubeObject> {
  /** @param key `NAMESPACE/NAME`, or `NAME` for cluster-scoped kinds. */
  get(key: string): T | undefined;
  /** All objects, or those of one namespace, in no particular order. */
  list(namespace?: string): readonly T[];
  /** Objects with `uid` among their owner references, controller or not. */
  ownedBy(uid: string): readonly T[];
  /** Objects that the index `name` files under `value`. @throws {RangeError} No such index was added. */
  byIndex(name: string, value: string): readonly T[];
  readonly size: number;
}

export type StoreChange<T extends KubeObject> =
  | { readonly kind: 'add'; readonly object: T }
  | { readonly kind: 'update'; readonly object: T; readonly old: T }
  | { readonly kind: 'delete'; readonly object: T };

const NAMESPACE_INDEX = 'namespace';
const OWNER_INDEX = 'owner';

function namespacesOf({ metadata }: KubeObject): readonly string[] {
  return metadata.namespace === undefined ? [] : [metadata.namespace];
}

function ownersOf({ metadata }: KubeObject): readonly string[] {
  return metadata.ownerReferences?.map((owner) => owner.uid) ?? [];
}

interface Index<T extends KubeObject> {
  readonly valuesOf: IndexFunction<T>;
  readonly entries: Map<string, Map<string, T>>;
}

/** The informer's cache: objects by key, and indexes that are built when first needed. */
export class ObjectStore<T extends KubeObject> implements Lister<T> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(namespace?: string): readonly T[] {
    if (namespace === undefined) return [...this.#objects.values()];
    this.addIndex(NAMESPACE_INDEX, namespacesOf);
    return this.byIndex(NAMESPACE_INDEX, namespace);
  }

  ownedBy(uid: string): readonly T[] {
    this.addIndex(OWNER_INDEX, ownersOf);
    return this.byIndex(OWNER_INDEX, uid);
  }

  byIndex(name: string, value: string): readonly T[] {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new RangeError(`no index "${name}"`);
    const found = index.entries.get(value);
    return found === undefined ? [] : [...found.values()];
  }

  /** Adds an index and files what is there already. A second call with the same function changes nothing. @throws {RangeError} The name has another. */
  addIndex(name: string, valuesOf: IndexFunction<T>): void {
    const known = this.#indexes.get(name);
    if (known?.valuesOf === valuesOf) return;
    // Whoever came second would read what the first one filed.
    if (known !== undefined) throw new RangeError(`index "${name}" has another function already`);
    const index: Index<T> = { valuesOf, entries: new Map() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) file(index, key, object);
  }

  /** Puts `object` in place. @returns What changed; `undefined` if the same resourceVersion was there already. */
  set(object: T): StoreChange<T> | undefined {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    if (old !== undefined && sameState(old, object)) return undefined;
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) {
      if (old !== undefined) unfile(index, key, old);
      file(index, key, object);
    }
    return old === undefined ? { kind: 'add', object } : { kind: 'update', object, old };
  }

  /** @returns What changed; `undefined` if nothing was there. `last` is the newer state when the server told it. */
  delete(key: string, last?: T): StoreChange<T> | undefined {
    const old = this.#objects.get(key);
    if (old === undefined) return undefined;
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) unfile(index, key, old);
    return { kind: 'delete', object: last ?? old };
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }
}

/** A name deleted and made again between two looks is another object, even if a fake gave it the same version. */
function sameState(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.resourceVersion === b.metadata.resourceVersion && a.metadata.uid === b.metadata.uid;
}

function file<T extends KubeObject>(index: Index<T>, key: string, object: T): void {
  for (const value of index.valuesOf(object)) {
    const entries = index.entries.get(value);
    if (entries === undefined) index.entries.set(value, new Map([[key, object]]));
    else entries.set(key, object);
  }
}

function unfile<T extends KubeObject>(index: Index<T>, key: string, object: T): void {
  for (const value of index.valuesOf(object)) {
    const entries = index.entries.get(value);
    entries?.delete(key);
    if (entries?.size === 0) index.entries.delete(value);
  }
}
