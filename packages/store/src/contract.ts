/**
 * The store's contract is etcd's: keys and bytes, one global revision per write. Drivers differ in where the bytes lie, in nothing else.
 * Meaning (kinds, validation, garbage collection) stays above.
 *
 * Keys are well-formed Unicode; their order is that of their UTF-8 bytes. Values belong to both sides once handed over: nobody changes them.
 * A write is seen (by reads and watches) only once it is acknowledged, and in the order of revisions. Revisions grow; nobody promises
 * by how much. History is kept until {@link Store.compact}; a driver may compact by itself only to keep a forgotten store from growing without bound.
 *
 * What every member may throw besides what stands there: `StoreClosedError` after the store was disposed of; `StoreDamagedError`, the disk gave back
 * other bytes than were written; where the store is another process, `StoreUnavailableError` while that does not answer and `StoreAccessError` when it
 * refuses. A watch that has begun waits for such a store and goes on without a gap, or ends so that its caller lists anew.
 */

declare const revisionBrand: unique symbol;

/** A point in the store's history, an integer >= 0; 0 is before the first write. Never given out twice, across crashes too. Some are skipped. */
export type Revision = number & { readonly [revisionBrand]: 'revision' };

/** What stands at a key. */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the write that made the key, since it was last absent. */
  readonly createdAt: Revision;
  /** Revision of the newest write to the key. */
  readonly modifiedAt: Revision;
  /** The value lies on the disk in a form that is no longer written (another key): writing it again is worth something though it says the same. */
  readonly stale?: boolean;
}

/** One write. */
export type Change =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: string };

/** What happened to one key at `revision`. `previous` is the entry before it; absent when the key was absent. */
export type StoreEvent =
  | { readonly kind: 'put'; readonly key: string; readonly revision: Revision; readonly entry: Entry; readonly previous?: Entry }
  | { readonly kind: 'delete'; readonly key: string; readonly revision: Revision; readonly previous: Entry };

/** Nothing relevant happened up to and including `revision`: every event at or before it has been delivered. */
export interface Progress {
  readonly kind: 'progress';
  readonly revision: Revision;
}

/**
 * `durable`: acknowledged only when a power cut cannot take it back.
 * `volatile`: visible and ordered at once, kept in memory, flushed at most each minute (and by any later durable write to the same key);
 * a crash may bring back the key's last durable value. Only for Lease renewals by the same holder, Event updates and Node heartbeats.
 * After such a crash, reads at and watches from revisions that may have shown what was lost get {@link CompactedError}, unless they are about keys
 * that a driver knows are never written so. Closing the store in order loses nothing. A driver whose every write is durable takes `volatile` for
 * `durable`.
 */
export type Durability = 'durable' | 'volatile';

/** Which entries of a prefix to read, and when. */
export interface ListOptions {
  /** Read as of this revision. Default: newest. */
  readonly at?: Revision;
  /** At most so many entries. Default: all. */
  readonly limit?: number;
  /** Only keys greater than this one, in byte order. */
  readonly after?: string;
  readonly signal?: AbortSignal;
}

/** Some entries of a prefix. */
export interface Page {
  readonly entries: readonly Entry[];
  /** How many further entries under the prefix come after the last one of this page. */
  readonly remaining: number;
  /** The revision that the page was read at. */
  readonly revision: Revision;
}

/** A store that is open. Disposing of it ends its watches with `StoreClosedError`, writes what is volatile, and gives its files back. */
export interface Store extends AsyncDisposable {
  /** The newest revision. */
  revision(): Promise<Revision>;
  /** The entry at `at` (default: newest); `undefined` if absent. @throws {CompactedError} `at` is older than the log. @throws {FutureRevisionError} */
  get(key: string, at?: Revision): Promise<Entry | undefined>;
  /** Entries under `prefix` in byte order of their keys, all from one revision. @throws {CompactedError} @throws {FutureRevisionError} */
  list(prefix: string, options?: ListOptions): Promise<Page>;
  /** How many keys stand under `prefix` now. */
  count(prefix: string): Promise<number>;
  /**
   * Makes `change` if its key is still at `expected` (`modifiedAt`; 0: absent) and returns the revision of the write. Deleting what is absent
   * is a conflict too.
   * @param signal Stops waiting; the write may or may not happen.
   * @throws {RevisionConflictError} with the entry that stands there. @throws {StoreFullError} the disk takes no more puts; deletions and volatile
   * writes may still go through. @throws {StoreBrokenError} the disk refuses writes for another reason. @throws {StoreTooLargeError} the driver takes no
   * values of this size.
   */
  append(change: Change, expected: Revision, durability: Durability, signal?: AbortSignal): Promise<Revision>;
  /**
   * Batches of events under `prefix` after revision `after`, in order of revision, none missing, none twice; and progress, on
   * {@link requestProgress} and from time to time, never ahead of an event still to come. Runs from the first `next()` on, and ends when `signal`
   * aborts; what had not been taken by then is dropped.
   * @throws {CompactedError} Events after `after` are gone: list anew. @throws {SlowWatcherError} The consumer fell behind its bound: list anew.
   * @throws {FutureRevisionError} The store has not come to `after`.
   */
  watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<readonly StoreEvent[] | Progress>;
  /** Makes every running watch deliver a {@link Progress} at or after the present revision soon. */
  requestProgress(): Promise<void>;
  /**
   * Forgets what no reader at or after `at` can need. Reads at and watches after revisions before `at` then throw {@link CompactedError}.
   * Does nothing if that has been forgotten already. @throws {FutureRevisionError} The store has not come to `at`.
   * @throws {StoreFullError | StoreBrokenError} History is forgotten, but the disk could not be told; the space comes back later.
   */
  compact(at: Revision): Promise<void>;
  /** Writes volatile changes to disk now. Returns when they are durable. @throws {StoreFullError | StoreBrokenError} They stay in memory. */
  flush(): Promise<void>;
}
