import { abortable, type Clock, messageOf } from '@dure/foundation';
import type { Change, Durability, Entry, ListOptions, Page, Progress, Revision, Store, StoreEvent } from '../contract.ts';
import {
  CompactedError,
  FutureRevisionError,
  RevisionConflictError,
  StoreClosedError,
  StoreOpenError,
  StoreUnavailableError,
} from '../errors.ts';
import { WatchHub } from '../watch-hub.ts';
import { WatchQueue } from '../watch-queue.ts';
import { type CallOptions, EtcdConnection, type EtcdConnectionOptions } from './etcd-connection.ts';
import { isAnswerTooLarge, isCompacted, isFuture, storeError } from './etcd-errors.ts';
import { EtcdFeed, storeEvent, watchFrom } from './etcd-feed.ts';
import { behind, EtcdKeys } from './etcd-keys.ts';
import {
  COMPACT,
  compareModRevision,
  type EtcdMethod,
  RANGE,
  type RangeRequest,
  type RangeResponse,
  type RequestOp,
  TXN,
} from './etcd-messages.ts';
import { EventAssembly } from './event-assembly.ts';
import { SharedRead } from './shared-read.ts';

export interface EtcdStoreOptions extends EtcdConnectionOptions {
  /**
   * Stands before every key in etcd. Default: '', so that keys are what the layers above make them (`/registry/...`). Nothing else may keep keys that
   * begin with it.
   */
  readonly prefix?: string | undefined;
  /** Events that a watcher may be behind before it is ended. Default: 10 000. */
  readonly watchCapacity?: number | undefined;
  /** How long opening waits for an etcd that does not answer yet. Default: 15 s. */
  readonly openTimeoutMs?: number | undefined;
}

/** Keys asked for before their size is known; later pages aim at so many bytes. */
const PAGE_START = 500;
const PAGE_MAX = 5_000;
const PAGE_BYTES = 4 << 20;

const OPEN_RETRY_MS = 250;
const PROGRESS_INTERVAL_MS = 60_000;

/**
 * The store in an etcd, 3.4 or later, that any number of processes may use at once.
 *
 * Every write is durable: `volatile` costs a sync of etcd's disks as any other. Reads are linearizable. Where etcd does not answer, reads and writes fail
 * with `StoreUnavailableError`, and watches wait and go on where they were.
 * @throws {StoreOpenError} etcd did not answer, or refused us. @throws {RangeError} An endpoint is no URL.
 */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<Store> {
  const { clock, log, endpoints, openTimeoutMs = 15_000 } = options;
  const connection = new EtcdConnection(options);
  const keys = new EtcdKeys(options.prefix ?? '');
  const deadlineMs = clock.monotonicMs() + openTimeoutMs;
  const refusal = (reason: unknown): StoreOpenError => new StoreOpenError(endpoints.join(','), messageOf(reason), { cause: reason });
  let revision: Revision | undefined;
  while (revision === undefined) {
    try {
      revision = await readNewest(connection, keys);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || clock.monotonicMs() > deadlineMs) {
        connection.close();
        throw refusal(error);
      }
      await clock.sleep(OPEN_RETRY_MS);
    }
  }
  const store = new EtcdStore(connection, keys, options);
  const enough = new AbortController();
  const late = clock.sleep(Math.max(deadlineMs - clock.monotonicMs(), OPEN_RETRY_MS), enough.signal).then(
    () => 'late',
    () => undefined,
  );
  const outcome = await Promise.race([store.following, late]);
  enough.abort();
  if (outcome === 'late') {
    await store[Symbol.asyncDispose]();
    throw refusal(store.whyNotFollowing ?? new Error('etcd does not answer a watch'));
  }
  log.info('store opened', { endpoints, revision });
  return store;
}

class EtcdStore implements Store {
  readonly #connection: EtcdConnection;
  readonly #keys: EtcdKeys;
  readonly #hub = new WatchHub();
  readonly #feed: EtcdFeed;
  readonly #running: Promise<unknown>;
  readonly #closing = new AbortController();
  readonly #watchCapacity: number;
  readonly #newest: SharedRead<Revision>;
  /** By this process; what others have compacted etcd knows. */
  #compactedAt = 0;
  #disposed: Promise<void> | undefined;

  constructor(connection: EtcdConnection, keys: EtcdKeys, { clock, log, watchCapacity = 10_000 }: EtcdStoreOptions) {
    this.#connection = connection;
    this.#keys = keys;
    this.#watchCapacity = watchCapacity;
    this.#newest = new SharedRead(() => readNewest(connection, keys));
    this.#feed = new EtcdFeed({ connection, keys, hub: this.#hub, newest: () => this.#newest.get(), clock, log });
    this.#running = Promise.all([this.#feed.run(this.#closing.signal), this.#progressFromTimeToTime(clock)]);
  }

  /** Resolves once etcd has taken the watch that feeds all others. */
  get following(): Promise<void> {
    return this.#feed.started;
  }

  get whyNotFollowing(): unknown {
    return this.#feed.lastError;
  }

  async revision(): Promise<Revision> {
    this.#assertOpen();
    return this.#newest.get();
  }

  async get(key: string, at?: Revision): Promise<Entry | undefined> {
    const { kvs } = await this.#range(`get ${key}`, { key: this.#keys.encode(key), ...revisionOf(at) }, at);
    return kvs[0] && this.#keys.entry(kvs[0]);
  }

  async list(prefix: string, { at, limit = Number.POSITIVE_INFINITY, after, signal }: ListOptions = {}): Promise<Page> {
    signal?.throwIfAborted();
    const what = `list ${prefix}`;
    const range = this.#keys.range(prefix, after);
    if (range === undefined || limit <= 0) {
      const request = range === undefined ? newestRevision(this.#keys) : { ...range, countOnly: true };
      const { header, count } = await this.#range(what, { ...request, ...revisionOf(at) }, at, signal);
      return { entries: [], remaining: range === undefined ? 0 : count, revision: at ?? (header.revision as Revision) };
    }
    const entries: Entry[] = [];
    let { key } = range;
    let revision = at;
    let size = PAGE_START;
    for (;;) {
      const request = { key, rangeEnd: range.rangeEnd, limit: Math.min(size, limit - entries.length), ...revisionOf(revision) };
      let page: RangeResponse;
      try {
        page = await this.#range(what, request, revision, signal);
      } catch (error) {
        if (!(error instanceof Error) || !isAnswerTooLarge(error.cause) || request.limit === 1) throw error;
        size = Math.ceil(request.limit / 4);
        continue;
      }
      // All pages from the revision of the first.
      revision ??= page.header.revision as Revision;
      let bytes = 0;
      for (const kv of page.kvs) {
        entries.push(this.#keys.entry(kv));
        bytes += kv.value.length + kv.key.length;
      }
      const remaining = page.count - page.kvs.length;
      const last = page.kvs.at(-1);
      if (remaining === 0 || last === undefined || entries.length >= limit) return { entries, remaining, revision };
      key = behind(last.key);
      size = Math.min(Math.max(Math.floor((PAGE_BYTES * page.kvs.length) / bytes), 1), PAGE_MAX);
    }
  }

  async count(prefix: string): Promise<number> {
    const range = this.#keys.range(prefix);
    return range === undefined ? 0 : (await this.#range(`count ${prefix}`, { ...range, countOnly: true })).count;
  }

  async append(change: Change, expected: Revision, _durability: Durability, signal?: AbortSignal): Promise<Revision> {
    this.#assertOpen();
    signal?.throwIfAborted();
    const key = this.#keys.encode(change.key);
    // etcd would delete what is absent without a word, and without a revision.
    if (change.kind === 'delete' && expected === 0) throw new RevisionConflictError(change.key, expected, await this.get(change.key));
    const write: RequestOp = change.kind === 'put' ? { requestPut: { key, value: change.value } } : { requestDeleteRange: { key } };
    const { header, succeeded, responses } = await this.#call(
      TXN,
      { compare: [compareModRevision(key, expected)], success: [write], failure: [{ requestRange: { key } }] },
      { what: `append ${change.key}`, repeatable: false, signal },
    );
    if (succeeded) return header.revision as Revision;
    const winner = responses[0]?.responseRange?.kvs[0];
    throw new RevisionConflictError(change.key, expected, winner && this.#keys.entry(winner));
  }

  async *watch(prefix: string, after: Revision, signal: AbortSignal): AsyncGenerator<readonly StoreEvent[] | Progress, void, undefined> {
    this.#assertOpen();
    if (signal.aborted) return;
    const queue = new WatchQueue(prefix, this.#watchCapacity);
    const stop = (): void => queue.end({});
    signal.addEventListener('abort', stop, { once: true });
    // From here on the queue holds what the feed publishes after `through`; what is before it is asked for.
    const through = this.#feed.revision;
    this.#hub.add(queue);
    try {
      if (after > through) {
        const newest = await this.revision();
        if (after > newest) throw new FutureRevisionError(after, newest);
      }
      if (after < this.#compactedAt) throw new CompactedError(after, this.#compactedAt as Revision);
      if (after < through) yield* this.#replay(prefix, after, through, queue, signal);
      for await (const batch of queue.take()) {
        if ('kind' in batch) {
          if (batch.revision >= after) yield batch;
          continue;
        }
        // Where the feed was behind `after` it publishes again what the caller knows.
        const later = (batch[0]?.revision ?? 0) > after ? batch : batch.filter(({ revision }) => revision > after);
        if (later.length > 0) yield later;
      }
    } finally {
      this.#hub.remove(queue);
      signal.removeEventListener('abort', stop);
    }
  }

  async requestProgress(): Promise<void> {
    this.#feed.announce(await this.revision());
  }

  async compact(at: Revision): Promise<void> {
    this.#assertOpen();
    if (at <= 0) return;
    const what = `compact at revision ${at}`;
    try {
      await this.#connection.call(COMPACT, { revision: at }, { what, repeatable: true });
    } catch (error) {
      if (isFuture(error)) throw new FutureRevisionError(at, await this.revision());
      // Somebody else was faster.
      if (!isCompacted(error)) throw this.#translated(what, error);
    }
    this.#compactedAt = Math.max(this.#compactedAt, at);
  }

  async flush(): Promise<void> {
    this.#assertOpen();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    this.#closing.abort(new StoreClosedError());
    this.#hub.destroy(new StoreClosedError());
    this.#connection.close();
    await this.#running;
  }

  /** Events under `prefix` after `after` up to `through`, which has come to pass. */
  async *#replay(
    prefix: string,
    after: Revision,
    through: Revision,
    queue: WatchQueue,
    signal: AbortSignal,
  ): AsyncGenerator<readonly StoreEvent[], void, undefined> {
    let reached = after;
    let ready: StoreEvent[] = [];
    const assembly = new EventAssembly((revision, events) => {
      if (revision <= reached || revision > through) return;
      for (const event of events) {
        const told = storeEvent(event, this.#keys);
        if (told === 'incomplete') throw new CompactedError(after, revision as Revision);
        if (told?.key.startsWith(prefix)) ready.push(told);
      }
      reached = revision as Revision;
    });
    try {
      for await (const response of watchFrom(this.#connection, after, `watch ${prefix}`, signal)) {
        if (response.compactRevision > 0) throw new CompactedError(after, response.compactRevision as Revision);
        assembly.add(response);
        if (ready.length > 0) {
          const told = ready;
          ready = [];
          yield told;
        }
        if (reached >= through || queue.hasEnded) return;
      }
    } catch (error) {
      // Its end, if it was ended, comes from the queue.
      if (queue.hasEnded || signal.aborted) return;
      throw this.#translated(`watch ${prefix}`, error);
    }
  }

  /** A read that `at` is the revision of. @throws {CompactedError} @throws {FutureRevisionError} */
  async #range(what: string, request: RangeRequest, at?: Revision, signal?: AbortSignal): Promise<RangeResponse> {
    this.#assertOpen();
    try {
      return await this.#connection.call(RANGE, request, { what, repeatable: true, signal });
    } catch (error) {
      if (at !== undefined && isCompacted(error)) throw new CompactedError(at, await this.#oldest(at));
      if (at !== undefined && isFuture(error)) throw new FutureRevisionError(at, await this.revision());
      throw this.#translated(what, error);
    }
  }

  async #call<Request, Response>(method: EtcdMethod<Request, Response>, request: Request, options: CallOptions): Promise<Response> {
    try {
      return await this.#connection.call(method, request, options);
    } catch (error) {
      throw this.#translated(options.what, error);
    }
  }

  #translated(what: string, error: unknown): unknown {
    return this.#closing.signal.aborted ? this.#closing.signal.reason : storeError(what, error);
  }

  /** The revision of the last compaction, which only a watch from before it is told. */
  async #oldest(before: Revision): Promise<Revision> {
    for await (const response of watchFrom(this.#connection, before, 'read the oldest revision', this.#closing.signal)) {
      if (response.compactRevision > 0) return response.compactRevision as Revision;
      if (!response.created) break;
    }
    return before;
  }

  async #progressFromTimeToTime(clock: Clock): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await clock.sleep(PROGRESS_INTERVAL_MS, signal).catch(() => undefined);
      // While etcd does not answer there is none to tell.
      if (!signal.aborted) await abortable(this.requestProgress(), signal).catch(() => undefined);
    }
  }

  #assertOpen(): void {
    this.#closing.signal.throwIfAborted();
  }
}

/** Linearizable. @throws {StoreUnavailableError} @throws {StoreAccessError} @throws {StoreClosedError} */
async function readNewest(connection: EtcdConnection, keys: EtcdKeys): Promise<Revision> {
  const what = 'read the newest revision';
  try {
    return (await connection.call(RANGE, newestRevision(keys), { what, repeatable: true })).header.revision as Revision;
  } catch (error) {
    throw storeError(what, error);
  }
}

/** Any read tells the newest revision; this one reads nothing. */
function newestRevision(keys: EtcdKeys): RangeRequest {
  return { key: Buffer.concat([keys.encode(''), Buffer.of(0)]), countOnly: true };
}

/** For etcd 0 is the newest; nothing stood there at 1 either. */
function revisionOf(at: Revision | undefined): { readonly revision?: number } {
  return at === undefined ? {} : { revision: Math.max(at, 1) };
}
