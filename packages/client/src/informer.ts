import type { KubeObject, ResourceRef } from '@dure/api';
import { abortable, type Clock, type Logger, type Random } from '@dure/foundation';
import type { Client } from './client.ts';
import { type IndexFunction, type Lister, ObjectStore, type StoreChange } from './object-store.ts';
import { runReflector } from './reflector.ts';
import { keyOf } from './resource-path.ts';

/**
 * Told of each change right after the cache has it, in order. Handlers run one after the other on the informer's turn: they map the
 * object to keys and enqueue those, and never wait. What one throws is logged and stops nobody else.
 */
export interface InformerHandler<T extends KubeObject> {
  add?(object: T): void;
  update?(object: T, old: T): void;
  /** `last` is the newest state known; after a missed watch that may be older than what was deleted. */
  delete?(last: T): void;
}

export interface InformerOptions<T extends KubeObject> {
  readonly client: Client;
  readonly ref: ResourceRef<T>;
  /** Only this namespace. Default: all. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>;
  /** Shrinks an object before it is kept ({@link withoutManagedFields}). Not for a server in the same process: there it would copy. */
  readonly transform?: (object: T) => T;
  readonly pageSize?: number;
  readonly watchList?: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/**
 * A cache of one collection, shared by all who need it, and its changes. After a broken watch handlers hear what changed meanwhile, as
 * the difference between the two states: every object's newest state is told, not every state in between.
 */
export interface Informer<T extends KubeObject> extends Lister<T> {
  /** Adds an index, which all who share the informer may read; the same one may be added again. @throws {RangeError} The name has another function. */
  addIndex(name: string, valuesOf: IndexFunction<T>): void;
  /** Tells `handler` of everything there now and of every change from here on. @returns Takes it away again. */
  addHandler(handler: InformerHandler<T>): () => void;
  readonly hasSynced: boolean;
  /** Resolves once the first full state is in the cache. @throws the signal's reason. */
  whenSynced(signal: AbortSignal): Promise<void>;
  /** Follows the collection until `signal` aborts. @throws {Error} It runs already. */
  run(signal: AbortSignal): Promise<void>;
}

/** An informer that does nothing until `run`. */
export function createInformer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
  return new CachingInformer(options);
}

/** `object` without its field ownership, which is often half of it and of no use to a reader. */
export function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _dropped, ...metadata } = object.metadata;
  return { ...object, metadata };
}

class CachingInformer<T extends KubeObject> implements Informer<T> {
  readonly #options: InformerOptions<T>;
  readonly #store = new ObjectStore<T>();
  readonly #handlers = new Set<InformerHandler<T>>();
  readonly #synced: Promise<void>;
  #resolveSynced: () => void = () => undefined;
  #hasSynced = false;
  #running = false;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#synced = new Promise((resolve) => {
      this.#resolveSynced = resolve;
    });
    for (const [name, valuesOf] of Object.entries(options.indexes ?? {})) this.#store.addIndex(name, valuesOf);
  }

  get size(): number {
    return this.#store.size;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  get(key: string): T | undefined {
    return this.#store.get(key);
  }

  list(namespace?: string): readonly T[] {
    return this.#store.list(namespace);
  }

  ownedBy(uid: string): readonly T[] {
    return this.#store.ownedBy(uid);
  }

  byIndex(name: string, value: string): readonly T[] {
    return this.#store.byIndex(name, value);
  }

  addIndex(name: string, valuesOf: IndexFunction<T>): void {
    this.#store.addIndex(name, valuesOf);
  }

  addHandler(handler: InformerHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.#store.list()) this.#tellOne(handler, { kind: 'add', object });
    return () => this.#handlers.delete(handler);
  }

  whenSynced(signal: AbortSignal): Promise<void> {
    return abortable(this.#synced, signal);
  }

  async run(signal: AbortSignal): Promise<void> {
    if (this.#running) throw new Error(`informer for ${this.#options.ref.resource} runs already`);
    this.#running = true;
    const { transform = (object: T): T => object, indexes: _indexes, ...options } = this.#options;
    try {
      await runReflector<T>(
        {
          ...options,
          target: {
            replace: (items) => this.#replace(items.map(transform)),
            apply: (type, object) => {
              const shrunk = transform(object);
              this.#tell(type === 'DELETED' ? this.#store.delete(keyOf(shrunk), shrunk) : this.#store.set(shrunk));
            },
          },
        },
        signal,
      );
    } finally {
      this.#running = false;
    }
  }

  #replace(items: readonly T[]): void {
    const gone = new Set(this.#store.keys());
    for (const item of items) gone.delete(keyOf(item));
    for (const key of gone) this.#tell(this.#store.delete(key));
    for (const item of items) {
      const old = this.#store.get(keyOf(item));
      // Deleted and made again while nobody watched: whoever counts lives by uid must hear both.
      if (old !== undefined && old.metadata.uid !== item.metadata.uid) this.#tell(this.#store.delete(keyOf(item)));
      this.#tell(this.#store.set(item));
    }
    this.#hasSynced = true;
    this.#resolveSynced();
  }

  #tell(change: StoreChange<T> | undefined): void {
    if (change === undefined) return;
    for (const handler of this.#handlers) this.#tellOne(handler, change);
  }

  #tellOne(handler: InformerHandler<T>, change: StoreChange<T>): void {
    try {
      if (change.kind === 'add') handler.add?.(change.object);
      else if (change.kind === 'update') handler.update?.(change.object, change.old);
      else handler.delete?.(change.object);
    } catch (error) {
      this.#options.log.error('informer handler failed', { resource: this.#options.ref.resource, key: keyOf(change.object), error });
    }
  }
}
