import type { KindRegistry, KubeObject } from '@dure/api';
import type { Clock, Logger } from '@dure/foundation';
import type { Store } from '@dure/store';
import type { ObjectReader, ReaderQuery } from '../contract/object-reader.ts';
import { WatchCache } from '../watch/watch-cache.ts';
import { listPrefix, objectKey, resourcePrefix } from './storage-key.ts';

export interface CacheSetOptions {
  readonly store: Store;
  readonly kinds: KindRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  /** Ends every cache. */
  readonly signal: AbortSignal;
  readonly windowEvents?: number;
  readonly watcherEvents?: number;
}

/** The watch cache of each resource, made on first use. */
export class CacheSet {
  readonly #options: CacheSetOptions;
  readonly #caches = new Map<string, { readonly cache: WatchCache; readonly stop: AbortController; readonly running: Promise<void> }>();

  constructor(options: CacheSetOptions) {
    this.#options = options;
    options.kinds.onChange((change) => {
      const prefix = resourcePrefix(change.definition.group, change.definition.resource);
      if (change.kind === 'removed') this.#end(prefix);
      // Running watches show what their definition said when they began.
      if (change.kind === 'replaced') this.#caches.get(prefix)?.cache.closeWatchers();
    });
  }

  /** The resource's cache, filled or being filled. */
  cache(group: string, resource: string): WatchCache {
    const prefix = resourcePrefix(group, resource);
    const known = this.#caches.get(prefix);
    if (known !== undefined) return known.cache;
    const { store, clock, log, signal, windowEvents, watcherEvents } = this.#options;
    const cache = new WatchCache({
      store,
      prefix,
      clock,
      log,
      ...(windowEvents === undefined ? {} : { windowEvents }),
      ...(watcherEvents === undefined ? {} : { watcherEvents }),
    });
    const stop = new AbortController();
    this.#caches.set(prefix, { cache, stop, running: cache.run(AbortSignal.any([stop.signal, signal])) });
    return cache;
  }

  /** The resource's cache if somebody has used it. */
  known(group: string, resource: string): WatchCache | undefined {
    return this.#caches.get(resourcePrefix(group, resource))?.cache;
  }

  /** Settles once every cache has ended. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#caches.values()].map(({ running }) => running));
  }

  /** Caches in use, by prefix. */
  list(): readonly { readonly prefix: string; readonly cache: WatchCache }[] {
    return [...this.#caches].map(([prefix, { cache }]) => ({ prefix, cache }));
  }

  #end(prefix: string): void {
    this.#caches.get(prefix)?.stop.abort(new Error('the kind was removed'));
    this.#caches.delete(prefix);
  }
}

/** Reads from `caches`, for the server's own parts. */
export function objectReader(caches: CacheSet, store: Store, signal: AbortSignal): ObjectReader {
  const readable = async (group: string, resource: string, fresh: boolean): Promise<WatchCache> => {
    const cache = caches.cache(group, resource);
    await (fresh ? cache.waitFor(await store.revision(), signal) : cache.ready(signal));
    return cache;
  };
  return {
    async get(group, resource, namespace, name, { fresh = false } = {}) {
      const cache = await readable(group, resource, fresh);
      return cache.get(objectKey(group, resource, namespace ?? '', name))?.object;
    },
    async list(group, resource, { namespace = '', where, fresh = false }: ReaderQuery = {}) {
      const cache = await readable(group, resource, fresh);
      const objects: KubeObject[] = [];
      for (const { object } of cache.range(listPrefix(group, resource, namespace))) {
        if (where === undefined || where(object)) objects.push(object);
      }
      return objects;
    },
    peek(group, resource) {
      const cache = caches.cache(group, resource);
      return cache.isReady ? objectsOf(cache) : undefined;
    },
    revisionOf: (group, resource) => caches.cache(group, resource).changes,
  };
}

/** The cache's objects by key, decoded as they are read. */
function objectsOf(cache: WatchCache): ReadonlyMap<string, KubeObject> {
  return new Map([...cache.objects].map(([key, stored]) => [key, stored.object]));
}
