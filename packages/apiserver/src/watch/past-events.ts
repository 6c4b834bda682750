import type { Revision, Store, StoreEvent } from '@dure/store';
import { StoredObject } from '../registry/stored-object.ts';
import type { CacheEvent } from './watch-cache.ts';

export interface PastEventsOptions {
  readonly store: Store;
  readonly prefix: string;
  /** Events after this one, up to and including `through`. */
  readonly after: number;
  readonly through: number;
  /** More than so many are not read. */
  readonly limit: number;
}

/**
 * What the store still knows of the time before a cache's window, so that a watch goes on after a restart of the server as if nothing had been.
 * @returns `undefined` if there are more than `limit`. @throws {CompactedError} The store has forgotten.
 */
export async function pastEvents(
  { store, prefix, after, through, limit }: PastEventsOptions,
  signal: AbortSignal,
): Promise<readonly CacheEvent[] | undefined> {
  const stop = new AbortController();
  const batches = store.watch(prefix, after as Revision, AbortSignal.any([signal, stop.signal]))[Symbol.asyncIterator]();
  const found: CacheEvent[] = [];
  try {
    let next = batches.next();
    // Where nothing happened under the prefix only progress tells that everything has come.
    await Promise.all([next, store.requestProgress()]);
    for (;;) {
      const { done, value: batch } = await next;
      if (done) break;
      if ('kind' in batch) {
        if (batch.revision >= through) return found;
      } else {
        for (const event of batch) {
          if (event.revision > through) return found;
          if (found.length === limit) return undefined;
          found.push(cacheEventOf(event));
          if (event.revision === through) return found;
        }
      }
      next = batches.next();
    }
    signal.throwIfAborted();
    return found;
  } finally {
    stop.abort();
    await batches.return?.();
  }
}

function cacheEventOf(event: StoreEvent): CacheEvent {
  const { key, revision } = event;
  const previous = event.previous && new StoredObject(key, event.previous.value, event.previous.modifiedAt);
  // From before the window: older than whatever its age is asked for.
  const atMs = Number.NEGATIVE_INFINITY;
  if (event.kind === 'put') {
    const object = new StoredObject(key, event.entry.value, revision);
    return { kind: 'event', atMs, deleted: false, revision, object, ...(previous === undefined ? {} : { previous }) };
  }
  const last = new StoredObject(key, event.previous.value, event.previous.modifiedAt);
  return { kind: 'event', atMs, deleted: true, revision, object: last.deletedAt(revision), previous: last };
}
