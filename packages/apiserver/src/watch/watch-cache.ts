import { abortable, type Clock, isAbort, type Logger } from '@dure/foundation';
import { CompactedError, type Revision, type Store, type StoreEvent, StoreSealedError } from '@dure/store';
import { StoredObject } from '../registry/stored-object.ts';
import { type Feed, iterate, whenClosed } from './feed.ts';
import { pastEvents } from './past-events.ts';
import { SortedMap } from './sorted-map.ts';
import { WatchQueue } from './watch-queue.ts';

/** What happened to one object. For a deletion `object` is its last state at the revision of the deletion. */
export interface CacheEvent {
  readonly kind: 'event';
  readonly deleted: boolean;
  readonly revision: Revision;
  readonly object: StoredObject;
  readonly previous?: StoredObject;
  /** Monotonic time of its arrival. */
  readonly atMs: number;
}

/** Everything up to `revision` has been delivered. */
export interface CacheProgress {
  readonly kind: 'progress';
  readonly revision: Revision;
}

/** The cache has not been filled yet. At the API edge: TooManyRequests with Retry-After. */
export class CacheNotReadyError extends Error {
  override readonly name = 'CacheNotReadyError';
  readonly code = 'CACHE_NOT_READY';
}

/** The cache did not reach the wanted revision in time. At the API edge: Timeout, "Too large resource version". */
export class TooLargeRevisionError extends Error {
  override readonly name = 'TooLargeRevisionError';
  readonly code = 'CACHE_REVISION_TOO_LARGE';
  readonly wanted: number;
  readonly current: number;

  constructor(wanted: number, current: number) {
    super(`wait for revision ${wanted}: the newest is ${current}`);
    this.wanted = wanted;
    this.current = current;
  }
}

/** Events after `wanted` have left the window. At the API edge: Expired. */
export class TooOldRevisionError extends Error {
  override readonly name = 'TooOldRevisionError';
  readonly code = 'CACHE_REVISION_TOO_OLD';
  readonly wanted: number;
  readonly oldest: number;

  constructor(wanted: number, oldest: number) {
    super(`watch from revision ${wanted}: the oldest is ${oldest}`);
    this.wanted = wanted;
    this.oldest = oldest;
  }
}

/** A watch ends: its consumer was too slow, or the cache has to be filled anew. The client comes back. */
export class WatchEndedError extends Error {
  override readonly name = 'WatchEndedError';
  readonly code = 'WATCH_ENDED';
}

export interface WatchCacheOptions {
  readonly store: Store;
  /** With a trailing slash. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Events kept for watches that start from an older revision. */
  readonly windowEvents?: number;
  /** Events a watcher may lag behind before it is ended. */
  readonly watcherEvents?: number;
  /** Bytes of objects that the events may hold. */
  readonly watcherBytes?: number;
}

/** A registered watcher: what stood there when it registered, and what came after. */
export interface CacheWatch {
  /** The revision that {@link initial} shows, or the one that was asked for. */
  readonly revision: Revision;
  /** In key order; empty for a watch from a revision. */
  readonly initial: readonly StoredObject[];
  /** Throws {@link WatchEndedError} when the watcher is ended by the cache. Closing it, or the watch, is the same. */
  readonly feed: Feed<CacheEvent | CacheProgress>;
  /** The same to wait for. */
  readonly events: AsyncIterable<CacheEvent | CacheProgress>;
  /** Queues progress at the present revision, for a bookmark in its right place. */
  mark(): void;
  /** No more events; those queued still come. */
  close(): void;
}

const WINDOW_EVENTS = 4096;
/** Older events go, but for so many: a Lease that is renewed every few seconds must not fill memory with its past. */
const WINDOW_AGE_MS = 300_000;
const WINDOW_KEPT = 128;
const WINDOW_CHUNK = 64;
const WATCHER_EVENTS = 8192;
const WATCHER_BYTES = 64 * 1024 * 1024;
const FILL_PAGE = 1000;
const READY_TIMEOUT_MS = 5_000;
/** Upstream waits as long before it says "Too large resource version". */
const REVISION_TIMEOUT_MS = 3_000;
const REFILL_DELAY_MS = 250;

interface Waiter {
  readonly revision: number;
  resolve(): void;
}

interface Watcher {
  readonly prefix: string;
  readonly after: number;
  readonly queue: WatchQueue<CacheEvent | CacheProgress>;
}

/**
 * All objects of one resource as of one revision, fed by a store watch, with the last events kept for watches from an older revision.
 * Lists, gets and watches of clients are served from here; the store sees one watch however many clients there are.
 */
export class WatchCache {
  readonly #options: WatchCacheOptions;
  readonly #objects = new SortedMap<StoredObject>();
  readonly #watchers = new Set<Watcher>();
  readonly #waiters = new Set<Waiter>();
  #window: CacheEvent[] = [];
  /** Every event after this one is in the window. */
  #windowStart = 0;
  #revision = 0;
  #changes = 0;
  #ready = false;
  /** What keeps the cache from the store's state, where waiting does not help: a key that this server does not have. */
  #obstacle: StoreSealedError | undefined;
  #wakeReady: (() => void)[] = [];
  #running: Promise<void> | undefined;

  constructor(options: WatchCacheOptions) {
    this.#options = options;
  }

  /** Fills the cache and follows the store until `signal` aborts. Called once; later calls return the first one's promise. */
  run(signal: AbortSignal): Promise<void> {
    this.#running ??= this.#loop(signal);
    return this.#running;
  }

  /** The revision that the cache shows. */
  get revision(): Revision {
    return this.#revision as Revision;
  }

  get isReady(): boolean {
    return this.#ready;
  }

  /** Rises with every change. */
  get changes(): number {
    return this.#changes;
  }

  get watcherCount(): number {
    return this.#watchers.size;
  }

  /** Objects by key, live. */
  get objects(): ReadonlyMap<string, StoredObject> {
    return this.#objects.map;
  }

  /** @throws {CacheNotReadyError} It was not filled in time. @throws {StoreSealedError} It cannot be. */
  async ready(signal: AbortSignal): Promise<void> {
    if (this.#ready) return;
    if (this.#obstacle !== undefined) throw this.#obstacle;
    const { clock, prefix } = this.#options;
    const stop = new AbortController();
    const filled = new Promise<true>((resolve) => this.#wakeReady.push(() => resolve(true)));
    const late = clock.sleep(READY_TIMEOUT_MS, stop.signal).catch(() => undefined);
    try {
      const outcome = await abortable(Promise.race([filled, late]), signal);
      if (!this.#ready && this.#obstacle !== undefined) throw this.#obstacle;
      if (outcome !== true) throw new CacheNotReadyError(`fill the cache of ${prefix}: still waiting for the store`);
    } finally {
      stop.abort();
    }
  }

  /** Resolves once the cache shows `revision` or a later one. @throws {TooLargeRevisionError} @throws {CacheNotReadyError} */
  async waitFor(revision: number, signal: AbortSignal): Promise<void> {
    await this.ready(signal);
    if (this.#revision >= revision) return;
    if (this.#obstacle !== undefined) throw this.#obstacle;
    const { clock, store } = this.#options;
    const stop = new AbortController();
    let waiter: Waiter | undefined;
    const reached = new Promise<true>((resolve) => {
      waiter = { revision, resolve: () => resolve(true) };
      this.#waiters.add(waiter);
    });
    const late = clock.sleep(REVISION_TIMEOUT_MS, stop.signal).catch(() => undefined);
    try {
      await store.requestProgress();
      const outcome = await abortable(Promise.race([reached, late]), signal);
      if (outcome !== true) throw new TooLargeRevisionError(revision, this.#revision);
    } finally {
      stop.abort();
      if (waiter !== undefined) this.#waiters.delete(waiter);
    }
  }

  get(key: string): StoredObject | undefined {
    return this.#objects.get(key);
  }

  /** In key order. */
  range(prefix: string, after?: string): Iterable<StoredObject> {
    return this.#objects.range(prefix, after);
  }

  /** Registers a watcher in one step with the present state. */
  watch(prefix: string): CacheWatch {
    return this.#register(prefix, this.#revision, [...this.#objects.range(prefix)], []);
  }

  /** Registers a watcher for what came after a revision: from the window, and what is older from the store. @throws {TooOldRevisionError} */
  async watchAfter(prefix: string, after: number, signal: AbortSignal): Promise<CacheWatch> {
    const { store, watcherEvents: limit = WATCHER_EVENTS } = this.#options;
    const backlog: CacheEvent[] = [];
    let reached = after;
    // The window may have moved on while the store was read.
    while (reached < this.#windowStart) {
      const through = this.#windowStart;
      const past = await pastEvents({ store, prefix, after: reached, through, limit: limit - backlog.length }, signal).catch(
        (error: unknown) => {
          throw error instanceof CompactedError ? new TooOldRevisionError(after, error.oldest) : error;
        },
      );
      if (past === undefined) throw new TooOldRevisionError(after, this.#windowStart);
      backlog.push(...past);
      reached = through;
    }
    for (let index = firstAfter(this.#window, reached); index < this.#window.length; index += 1) {
      const event = this.#window[index] as CacheEvent;
      if (event.object.key.startsWith(prefix)) backlog.push(event);
    }
    return this.#register(prefix, after, [], backlog);
  }

  #register(prefix: string, after: number, initial: readonly StoredObject[], backlog: readonly CacheEvent[]): CacheWatch {
    const { watcherEvents: events = WATCHER_EVENTS, watcherBytes: bytes = WATCHER_BYTES } = this.#options;
    const queue = new WatchQueue<CacheEvent | CacheProgress>({ events, bytes });
    for (const event of backlog) queue.addBacklog(event, bytesOf(event));
    const watcher: Watcher = { prefix, after, queue };
    this.#watchers.add(watcher);
    const feed = whenClosed(queue, () => this.#watchers.delete(watcher));
    return {
      revision: after as Revision,
      initial,
      feed,
      events: { [Symbol.asyncIterator]: () => iterate(feed) },
      mark: () => {
        this.#push(watcher, { kind: 'progress', revision: this.#revision as Revision });
        queue.wake();
      },
      close: () => feed.close(),
    };
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { log, clock, prefix } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#fill(signal);
        await this.#follow(signal);
      } catch (error) {
        if (isAbort(error, signal)) break;
        if (error instanceof CompactedError) log.info('watch cache fell behind the log', { prefix });
        else log.warn('watch cache lost the store', { prefix, error });
        if (error instanceof StoreSealedError) this.#meet(error);
      }
      if (signal.aborted) break;
      await clock.sleep(REFILL_DELAY_MS, signal).catch(() => undefined);
    }
    this.#endWatchers('the server is shutting down');
  }

  /** Those who wait hear at once what it is. */
  #meet(obstacle: StoreSealedError): void {
    this.#obstacle = obstacle;
    for (const wake of this.#wakeReady.splice(0)) wake();
  }

  async #fill(signal: AbortSignal): Promise<void> {
    const { store, prefix } = this.#options;
    const filled: StoredObject[] = [];
    let at: Revision | undefined;
    let after: string | undefined;
    for (;;) {
      const page = await store.list(prefix, {
        limit: FILL_PAGE,
        signal,
        ...(at === undefined ? {} : { at }),
        ...(after === undefined ? {} : { after }),
      });
      at = page.revision;
      for (const entry of page.entries) filled.push(new StoredObject(entry.key, entry.value, entry.modifiedAt));
      after = page.entries.at(-1)?.key;
      if (page.remaining === 0 || after === undefined) break;
    }
    // Watchers of the time before cannot be told what happened in between.
    this.#endWatchers('the watch cache was filled anew');
    this.#objects.clear();
    for (const object of filled) this.#objects.set(object.key, object);
    this.#window = [];
    this.#windowStart = at;
    this.#changes += 1;
    this.#ready = true;
    this.#obstacle = undefined;
    this.#advance(at);
    for (const wake of this.#wakeReady.splice(0)) wake();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { store, prefix } = this.#options;
    for await (const batch of store.watch(prefix, this.#revision as Revision, signal)) {
      if (!('kind' in batch)) {
        const reached = new Set<Watcher>();
        for (const event of batch) this.#apply(event, reached);
        for (const watcher of reached) watcher.queue.wake();
      } else {
        this.#advance(batch.revision);
      }
    }
    signal.throwIfAborted();
  }

  /** @param reached Gets the watchers who have something to take. */
  #apply(event: StoreEvent, reached: Set<Watcher>): void {
    const known = this.#objects.get(event.key);
    const atMs = this.#options.clock.monotonicMs();
    let cached: CacheEvent;
    if (event.kind === 'put') {
      const object = new StoredObject(event.key, event.entry.value, event.revision);
      this.#objects.set(event.key, object);
      cached = {
        kind: 'event',
        atMs,
        deleted: false,
        revision: event.revision,
        object,
        ...(known === undefined ? {} : { previous: known }),
      };
    } else {
      const previous = known ?? new StoredObject(event.key, event.previous.value, event.previous.modifiedAt);
      this.#objects.delete(event.key);
      cached = { kind: 'event', atMs, deleted: true, revision: event.revision, object: previous.deletedAt(event.revision), previous };
    }
    this.#changes += 1;
    this.#remember(cached);
    for (const watcher of this.#watchers) {
      if (!event.key.startsWith(watcher.prefix) || event.revision <= watcher.after) continue;
      this.#push(watcher, cached);
      reached.add(watcher);
    }
    this.#advance(event.revision);
  }

  #remember(event: CacheEvent): void {
    const limit = this.#options.windowEvents ?? WINDOW_EVENTS;
    this.#window.push(event);
    // Cut in chunks, so that keeping the window is constant time on average.
    if (this.#window.length >= limit * 2) {
      this.#cutWindow(this.#window.length - limit);
    } else if (this.#window.length >= WINDOW_KEPT + WINDOW_CHUNK) {
      const newestOfChunk = this.#window[WINDOW_CHUNK - 1];
      if (newestOfChunk !== undefined && event.atMs - newestOfChunk.atMs > WINDOW_AGE_MS) this.#cutWindow(WINDOW_CHUNK);
    }
  }

  #cutWindow(count: number): void {
    const dropped = this.#window.splice(0, count);
    this.#windowStart = dropped.at(-1)?.revision ?? this.#windowStart;
  }

  #push(watcher: Watcher, item: CacheEvent | CacheProgress): void {
    if (watcher.queue.add(item, item.kind === 'event' ? bytesOf(item) : 0)) return;
    this.#watchers.delete(watcher);
    watcher.queue.destroy(new WatchEndedError(`watch ${watcher.prefix}: the client reads too slowly`));
  }

  #advance(revision: number): void {
    if (revision > this.#revision) this.#revision = revision;
    for (const waiter of this.#waiters) {
      if (waiter.revision <= this.#revision) {
        this.#waiters.delete(waiter);
        waiter.resolve();
      }
    }
  }

  /** Ends every watch in order, after what is queued: what is to be shown, or how, is another from now on. Clients go on from where they were. */
  closeWatchers(): void {
    for (const watcher of this.#watchers) watcher.queue.close();
    this.#watchers.clear();
  }

  #endWatchers(reason: string): void {
    for (const watcher of this.#watchers) watcher.queue.destroy(new WatchEndedError(`watch ${watcher.prefix}: ${reason}`));
    this.#watchers.clear();
  }
}

/** Index of the first event after `revision`; the window is in order. */
function firstAfter(window: readonly CacheEvent[], revision: number): number {
  let low = 0;
  let high = window.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((window[middle] as CacheEvent).revision <= revision) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What an event keeps in memory once the cache and its window have forgotten it. */
function bytesOf({ object, previous }: CacheEvent): number {
  return object.stored.length + (previous === undefined || previous.stored === object.stored ? 0 : previous.stored.length);
}
