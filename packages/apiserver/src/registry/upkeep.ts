import type { Clock, Logger } from '@dure/foundation';
import { isAbort } from '@dure/foundation';
import { CompactedError, type Revision, RevisionConflictError, type Store } from '@dure/store';
import type { CacheSet } from './cache-set.ts';
import type { StoredObject } from './stored-object.ts';

/** How long the server keeps what nobody asks for by itself. */
export interface UpkeepOptions {
  /** History older than this is compacted away; reads and watches from before it are answered Expired. Default 5 minutes, as upstream. */
  readonly historyMs?: number;
  /** Events go this long after they were last written. Default 1 hour, as upstream. */
  readonly eventTtlMs?: number;
}

interface EventTimes {
  readonly eventTime?: string | null;
  readonly lastTimestamp?: string | null;
  readonly series?: { readonly lastObservedTime?: string } | null;
}

const HISTORY_MS = 300_000;
const EVENT_TTL_MS = 3_600_000;
const EXPIRE_EVERY_MS = 60_000;
/** Expired Events removed in one round: the rest waits for the next. */
const EXPIRED_PER_ROUND_MAX = 1000;

/** Compacts history and removes old Events until `signal` aborts. Several servers on one store may do so at the same time. */
export async function runUpkeep(
  store: Store,
  caches: CacheSet,
  clock: Clock,
  log: Logger,
  { historyMs = HISTORY_MS, eventTtlMs = EVENT_TTL_MS }: UpkeepOptions,
  signal: AbortSignal,
): Promise<void> {
  const every = async (ms: number, name: string, work: () => Promise<void>): Promise<void> => {
    while (!signal.aborted) {
      try {
        await clock.sleep(ms, signal);
        await work();
      } catch (error) {
        if (isAbort(error, signal)) return;
        log.warn('upkeep of the store failed; it is tried again', { task: name, error });
      }
    }
  };
  let before: Revision | undefined;
  await Promise.all([
    every(historyMs, 'compaction', async () => {
      const now = await store.revision();
      if (before !== undefined && before > 0) await compact(store, before);
      before = now;
    }),
    every(Math.min(EXPIRE_EVERY_MS, eventTtlMs), 'event expiry', () => expireEvents(store, caches, clock.now() - eventTtlMs, signal)),
  ]);
}

async function compact(store: Store, at: Revision): Promise<void> {
  try {
    await store.compact(at);
  } catch (error) {
    // Another server was faster.
    if (!(error instanceof CompactedError)) throw error;
  }
}

async function expireEvents(store: Store, caches: CacheSet, beforeMs: number, signal: AbortSignal): Promise<void> {
  const cache = caches.cache('', 'events');
  await cache.ready(signal);
  const old: StoredObject[] = [];
  for (const stored of cache.objects.values()) {
    if (lastWrittenMs(stored) < beforeMs) old.push(stored);
    if (old.length === EXPIRED_PER_ROUND_MAX) break;
  }
  for (const { key, revision } of old) {
    signal.throwIfAborted();
    await store.append({ kind: 'delete', key }, revision, 'durable').catch((error: unknown) => {
      // It was written again, or is gone.
      if (!(error instanceof RevisionConflictError)) throw error;
    });
  }
}

function lastWrittenMs({ object }: StoredObject): number {
  const { eventTime, lastTimestamp, series } = object as typeof object & EventTimes;
  const times = [object.metadata.creationTimestamp, eventTime, lastTimestamp, series?.lastObservedTime];
  return Math.max(...times.map((time) => Date.parse(time ?? '')).filter((ms) => !Number.isNaN(ms)), 0);
}
