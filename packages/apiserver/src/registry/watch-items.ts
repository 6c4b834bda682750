import { expired, type Status, StatusError } from '@dure/api';
import { type Clock, isAbort, type Random } from '@dure/foundation';
import type { Revision, Store } from '@dure/store';
import type { Feed } from '../watch/feed.ts';
import { type CacheEvent, type CacheWatch, type WatchCache, WatchEndedError } from '../watch/watch-cache.ts';
import { convertAhead } from './conversion.ts';
import type { ListOptions } from './list-options.ts';
import type { RegistryCall } from './scope.ts';
import type { Selection } from './selection.ts';
import type { StoredObject } from './stored-object.ts';

export type WatchItem =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: StoredObject }
  | { readonly type: 'BOOKMARK'; readonly revision: Revision; readonly initialEventsEnd: boolean }
  | { readonly type: 'ERROR'; readonly status: Status };

export interface WatchItemsOptions {
  readonly call: RegistryCall;
  readonly watch: CacheWatch;
  readonly cache: WatchCache;
  readonly options: ListOptions;
  readonly selection: Selection;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
}

const BOOKMARK_INTERVAL_MS = 60_000;
/** Watches without a wish of their own end after 30 to 60 minutes, so that load spreads again. */
const WATCH_TIMEOUT_MIN_MS = 1_800_000;

/** What a watch tells its client: the objects that were there, then what became of those that it selects, until the request aborts or its time is over. */
export class WatchItems implements Feed<WatchItem> {
  /** Settles once what was there at the start has been taken, or the watch has ended. */
  readonly begun: Promise<void>;
  readonly #options: WatchItemsOptions;
  readonly #stop = new AbortController();
  readonly #onAbort = (): void => this.close();
  /** Made already, to be taken next. */
  readonly #made: WatchItem[] = [];
  #initialAt = 0;
  #isInitialConverted = false;
  #hasShownInitial = false;
  #last: number;
  /** Another process is asked for what comes next. */
  #isConverting = false;
  #failure: { readonly error: unknown } | undefined;
  #isOver = false;
  #wake: (() => void) | undefined;
  #begin: () => void = () => {};

  constructor(options: WatchItemsOptions) {
    this.#options = options;
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
    const { call, watch } = options;
    this.#last = watch.revision;
    this.#isInitialConverted = call.kind.version.converter === undefined || watch.initial.length === 0;
    if (call.signal.aborted) this.close();
    else call.signal.addEventListener('abort', this.#onAbort, { once: true });
    // They are given up when the watch ends.
    for (const timer of [this.#endInTime(), this.#bookmarks()]) timer.catch(() => undefined);
  }

  get isOver(): boolean {
    return this.#isOver && this.#made.length === 0;
  }

  onReady(wake: () => void): void {
    this.#wake = wake;
    this.#options.watch.feed.onReady(wake);
  }

  take(): WatchItem | undefined {
    const made = this.#made.shift();
    if (made !== undefined || this.#isOver || this.#isConverting) return made;
    try {
      if (this.#failure !== undefined) throw this.#failure.error;
      return this.#hasShownInitial ? this.#next() : this.#initial();
    } catch (error) {
      return this.#fail(error);
    }
  }

  close(): void {
    this.#isOver = true;
    this.#begin();
    this.#options.call.signal.removeEventListener('abort', this.#onAbort);
    this.#stop.abort(WATCH_ENDED);
    this.#options.watch.close();
  }

  #initial(): WatchItem | undefined {
    const { watch, options, selection } = this.#options;
    if (!this.#isInitialConverted) {
      return this.#convert(watch.initial, () => {
        this.#isInitialConverted = true;
        return undefined;
      });
    }
    while (this.#initialAt < watch.initial.length) {
      const object = watch.initial[this.#initialAt++] as StoredObject;
      if (selection.everything || selection.matches(object.object)) return { type: 'ADDED', object };
    }
    this.#hasShownInitial = true;
    this.#begin();
    return options.sendInitialEvents === true ? { type: 'BOOKMARK', revision: watch.revision, initialEventsEnd: true } : this.#next();
  }

  #next(): WatchItem | undefined {
    const { watch, call, options } = this.#options;
    const { converter } = call.kind.version;
    for (;;) {
      const item = watch.feed.take();
      if (item === undefined) {
        if (watch.feed.isOver) this.close();
        return undefined;
      }
      if (item.kind === 'progress') {
        if (!options.allowWatchBookmarks) continue;
        this.#last = Math.max(this.#last, item.revision);
        return { type: 'BOOKMARK', revision: this.#last as Revision, initialEventsEnd: false };
      }
      this.#last = item.revision;
      if (converter !== undefined) return this.#convert(lookedAt(item), () => this.#shown(item));
      const shown = this.#shown(item);
      if (shown !== undefined) return shown;
    }
  }

  /** What an event is to this client: an object may come into the selection or leave it. */
  #shown({ deleted, object, previous, revision }: CacheEvent): WatchItem | undefined {
    const { selection } = this.#options;
    const isIn = !deleted && (selection.everything || selection.matches(object.object));
    const wasIn = previous !== undefined && (selection.everything || selection.matches(previous.object));
    if (isIn) return { type: wasIn ? 'MODIFIED' : 'ADDED', object };
    return wasIn ? { type: 'DELETED', object: deleted ? object : previous.deletedAt(revision) } : undefined;
  }

  /** Has `objects` converted by whoever must be asked, then goes on with what `made` gives. */
  #convert(objects: readonly StoredObject[], made: () => WatchItem | undefined): undefined {
    const { call } = this.#options;
    this.#isConverting = true;
    const decoded = objects.map(({ object }) => object);
    const going = async (): Promise<WatchItem | undefined> => {
      await convertAhead(call.kind, decoded, call.signal);
      const item = made();
      // What leaves the selection is shown as it was, at the revision of its leaving: another object.
      if (item?.type === 'DELETED') await convertAhead(call.kind, [item.object.object], call.signal);
      return item;
    };
    going()
      .then(
        (item) => item !== undefined && this.#made.push(item),
        (error: unknown) => {
          this.#failure = { error };
        },
      )
      .finally(() => {
        this.#isConverting = false;
        this.#wake?.();
      });
    return undefined;
  }

  /** How a watch ends that went wrong. @throws what no client can be told. */
  #fail(error: unknown): WatchItem | undefined {
    const { call, cache } = this.#options;
    this.close();
    if (isAbort(error, call.signal)) return undefined;
    // Conversion failed: what comes cannot be shown, and nothing may be left out.
    if (error instanceof StatusError) return { type: 'ERROR', status: error.status };
    if (!(error instanceof WatchEndedError)) throw error;
    // The client may try its last revision again; where that has left the window it is told so then.
    return { type: 'ERROR', status: expired(`${error.message}; the newest revision is ${cache.revision}`).status };
  }

  async #endInTime(): Promise<void> {
    const { options, clock, random, watch } = this.#options;
    const timeoutMs =
      options.timeoutSeconds !== undefined && options.timeoutSeconds > 0
        ? options.timeoutSeconds * 1000
        : WATCH_TIMEOUT_MIN_MS + random.integer(WATCH_TIMEOUT_MIN_MS);
    await clock.sleep(timeoutMs, this.#stop.signal);
    if (options.allowWatchBookmarks) watch.mark();
    watch.close();
  }

  async #bookmarks(): Promise<void> {
    const { options, clock, random, store, watch } = this.#options;
    while (options.allowWatchBookmarks && !this.#stop.signal.aborted) {
      await clock.sleep(BOOKMARK_INTERVAL_MS * (0.9 + random.next() * 0.2), this.#stop.signal);
      await store.requestProgress();
      watch.mark();
    }
  }
}

const WATCH_ENDED = new Error('watch ended');

function lookedAt({ object, previous }: CacheEvent): readonly StoredObject[] {
  return previous === undefined ? [object] : [object, previous];
}
