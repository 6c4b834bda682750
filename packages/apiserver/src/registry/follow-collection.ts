import { type Clock, isAbort, type Logger, messageOf } from '@dure/foundation';
import type { CacheEvent } from '../watch/watch-cache.ts';
import type { CacheSet } from './cache-set.ts';
import { resourcePrefix } from './storage-key.ts';
import type { StoredObject } from './stored-object.ts';

export interface CollectionFollower {
  readonly group: string;
  readonly resource: string;
  /** Everything that is there: first, and again whenever the watch had to be begun anew. */
  state(objects: readonly StoredObject[]): Promise<void> | void;
  /** What happens after that, in order, one at a time. */
  event(event: CacheEvent): Promise<void> | void;
}

/** Until the next try after a watch was lost, or after the follower threw. */
const RETRY_MS = 250;

/**
 * Tells `follower` of a collection of this server, for the parts of the server that act on what is stored, until `signal` aborts. What it throws is
 * logged and begins the watch anew, so that nothing is left undone.
 */
export async function followCollection(
  { caches, clock, log }: { readonly caches: CacheSet; readonly clock: Clock; readonly log: Logger },
  follower: CollectionFollower,
  signal: AbortSignal,
): Promise<void> {
  const { group, resource } = follower;
  while (!signal.aborted) {
    try {
      const cache = caches.cache(group, resource);
      await cache.ready(signal);
      const watch = cache.watch(resourcePrefix(group, resource));
      const close = (): void => watch.close();
      signal.addEventListener('abort', close, { once: true });
      try {
        await follower.state(watch.initial);
        for await (const item of watch.events) if (item.kind === 'event') await follower.event(item);
      } finally {
        signal.removeEventListener('abort', close);
        watch.close();
      }
    } catch (error) {
      if (isAbort(error, signal)) return;
      log.warn('a part of the server lost its watch, and begins anew', { group, resource, error: messageOf(error) });
    }
    await clock.sleep(RETRY_MS, signal).catch(() => undefined);
  }
}
