import { abortable, type Clock } from '@dure/foundation';
import type { Change, Durability, Entry, ListOptions, Page, Progress, Revision, Store, StoreEvent } from './contract.ts';
import {
  CompactedError,
  FutureRevisionError,
  RevisionConflictError,
  StoreBrokenError,
  StoreClosedError,
  StoreFullError,
} from './errors.ts';
import { type History, type LogRecord, NO_REVISION } from './history.ts';
import { type Journal, NoSpaceError, type Written } from './journal.ts';
import { WatchHub } from './watch-hub.ts';
import { WatchQueue } from './watch-queue.ts';

/** Writes that share one commit; bounds what a crash can interrupt and how long the first of them waits for the last. */
const BATCH_MAX = 512;
const BATCH_BYTES_MAX = 4 << 20;
/** Events per batch of a replay. */
const REPLAY_MAX = 256;

const PROGRESS_INTERVAL_MS = 60_000;

export interface LogStoreLimits {
  /** Events that a watcher may be behind before it is ended. Default: 10 000. */
  readonly watchCapacity?: number | undefined;
  /** Records of history kept when nobody compacts; beyond it the older half is compacted. Default: 500 000. */
  readonly historyMax?: number | undefined;
  /** The same in bytes put since the last compaction. Default: 1 GiB. */
  readonly historyBytesMax?: number | undefined;
}

export interface LogStoreOptions extends LogStoreLimits {
  readonly journal: Journal;
  /** What the journal holds at the start. */
  readonly history: History;
  readonly clock?: Clock | undefined;
}

interface Request {
  readonly change: Change;
  readonly expected: Revision;
  readonly durability: Durability;
  readonly resolve: (revision: Revision) => void;
  readonly reject: (error: unknown) => void;
}

interface Accepted extends Written {
  readonly request: Request;
}

interface Decision {
  readonly accepted: readonly Accepted[];
  /** Refused because of what stands in the store; the record is the winner. */
  readonly refused: readonly { readonly request: Request; readonly winner: LogRecord | undefined }[];
  /** Refused because of a write in the same batch, which may yet fail. */
  readonly overtaken: readonly Request[];
}

/**
 * The store over a {@link Journal}. One writer decides requests in the order they came, a batch at a time: conflicts are found in memory, what
 * is accepted is committed together, and only then is it visible, in readers and in watches, in the order of its revisions.
 */
export class LogStore implements Store {
  readonly #journal: Journal;
  readonly #history: History;
  readonly #hub = new WatchHub();
  readonly #watchCapacity: number;
  readonly #historyMax: number;
  readonly #historyBytesMax: number;
  #historyBytes = 0;
  readonly #closing = new AbortController();
  readonly #progressing: Promise<void>;
  /** One for each caller that waits, so their number is the callers' bound. */
  #queue: Request[] = [];
  #writing: Promise<void> | undefined;
  #forgetting: Promise<void> = Promise.resolve();
  /** Counts revisions up; those of writes that failed are skipped, since their bytes may have reached the disk. */
  #assigned: Revision;
  #disposed: Promise<void> | undefined;

  constructor({ journal, history, clock, watchCapacity = 10_000, historyMax = 500_000, historyBytesMax = 1 << 30 }: LogStoreOptions) {
    this.#journal = journal;
    this.#history = history;
    this.#watchCapacity = watchCapacity;
    this.#historyMax = historyMax;
    this.#historyBytesMax = historyBytesMax;
    this.#assigned = history.revision;
    this.#progressing = clock === undefined ? Promise.resolve() : this.#progressFromTimeToTime(clock);
  }

  async revision(): Promise<Revision> {
    this.#assertOpen();
    return this.#history.revision;
  }

  async get(key: string, at?: Revision): Promise<Entry | undefined> {
    this.#assertReadable(key, at);
    const record = this.#history.get(key, at);
    return record === undefined ? undefined : (await this.#entries([record]))[0];
  }

  async list(prefix: string, { at, limit = Number.POSITIVE_INFINITY, after, signal }: ListOptions = {}): Promise<Page> {
    signal?.throwIfAborted();
    this.#assertReadable(prefix, at);
    const revision = at ?? this.#history.revision;
    const { records, remaining } = this.#history.list(prefix, revision, limit, after);
    const entries = this.#entries(records);
    return { entries: await (signal ? abortable(entries, signal) : entries), remaining, revision };
  }

  async count(prefix: string): Promise<number> {
    this.#assertOpen();
    return this.#history.count(prefix);
  }

  async append(change: Change, expected: Revision, durability: Durability, signal?: AbortSignal): Promise<Revision> {
    this.#assertOpen();
    signal?.throwIfAborted();
    const written = new Promise<Revision>((resolve, reject) => {
      this.#queue.push({ change, expected, durability, resolve, reject });
    });
    this.#writing ??= this.#write();
    return signal ? abortable(written, signal) : written;
  }

  async *watch(prefix: string, after: Revision, signal: AbortSignal): AsyncGenerator<readonly StoreEvent[] | Progress, void, undefined> {
    this.#assertReadable(prefix, after);
    const queue = new WatchQueue(prefix, this.#watchCapacity);
    const stop = (): void => queue.end({});
    if (signal.aborted) return;
    signal.addEventListener('abort', stop, { once: true });
    // From here on the queue holds what is published after `through`; what is before it comes from history.
    const through = this.#history.revision;
    this.#hub.add(queue);
    try {
      for (let reached = after; reached < through && !signal.aborted; ) {
        // The consumer may have taken so long over the last batch that the next one is gone.
        if (reached < this.#history.compactedAt) throw new CompactedError(reached, this.#history.compactedAt);
        const replay = this.#history.replay(prefix, reached, through, REPLAY_MAX);
        if (replay.records.length > 0) yield await this.#events(replay.records);
        reached = replay.reached;
      }
      yield* queue.take();
    } finally {
      this.#hub.remove(queue);
      signal.removeEventListener('abort', stop);
    }
  }

  async requestProgress(): Promise<void> {
    this.#assertOpen();
    this.#hub.progress(this.#history.revision);
  }

  async compact(at: Revision): Promise<void> {
    this.#assertOpen();
    if (at > this.#history.revision) throw new FutureRevisionError(at, this.#history.revision);
    await this.#compact(at);
  }

  async flush(): Promise<void> {
    this.#assertOpen();
    // Whatever is acknowledged is in the journal's hands already.
    try {
      await this.#journal.flush();
    } catch (error) {
      throw diskError('flush', error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    this.#closing.abort(new StoreClosedError());
    await this.#writing;
    await this.#forgetting;
    await this.#progressing;
    this.#hub.destroy(new StoreClosedError());
    await this.#journal[Symbol.asyncDispose]();
  }

  /** Runs until nothing waits. */
  async #write(): Promise<void> {
    // Everybody who asks in this turn shares the first commit.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const { accepted, refused, overtaken } = this.#decide(this.#nextBatch());
      await Promise.all([this.#commit(accepted, overtaken), ...refused.map(({ request, winner }) => this.#refuse(request, winner))]);
    }
    this.#writing = undefined;
  }

  #nextBatch(): readonly Request[] {
    let bytes = 0;
    let length = 0;
    while (length < Math.min(this.#queue.length, BATCH_MAX) && bytes < BATCH_BYTES_MAX) {
      const change = this.#queue[length]?.change;
      bytes += change?.kind === 'put' ? change.value.length : 0;
      length += 1;
    }
    return this.#queue.splice(0, length);
  }

  #decide(requests: readonly Request[]): Decision {
    const accepted: Accepted[] = [];
    const refused: { request: Request; winner: LogRecord | undefined }[] = [];
    const overtaken: Request[] = [];
    const written = new Map<string, LogRecord>();
    for (const request of requests) {
      const { change, expected, durability } = request;
      const { key } = change;
      const inBatch = written.get(key);
      const current = inBatch ?? this.#history.get(key);
      const standing = current?.kind === 'put' ? current : undefined;
      if ((standing?.revision ?? 0) !== expected || (change.kind === 'delete' && standing === undefined)) {
        if (inBatch === undefined) refused.push({ request, winner: standing });
        else overtaken.push(request);
        continue;
      }
      this.#assigned = (this.#assigned + 1) as Revision;
      const record: LogRecord = {
        kind: change.kind,
        key,
        revision: this.#assigned,
        createdAt: standing?.createdAt ?? this.#assigned,
        previous: standing?.revision ?? NO_REVISION,
      };
      written.set(key, record);
      accepted.push({ request, record, value: change.kind === 'put' ? change.value : undefined, durability });
    }
    return { accepted, refused, overtaken };
  }

  async #commit(accepted: readonly Accepted[], overtaken: readonly Request[]): Promise<void> {
    const reading = this.#previousValues(accepted).catch((error: unknown) => ({ error }));
    try {
      if (accepted.length > 0) await this.#journal.commit(accepted);
      const previous = await reading;
      // The writes stand all the same; who watches must list anew and will meet the damage there.
      if ('error' in previous) this.#hub.destroy(previous.error);
      for (const { request, record, value } of accepted) {
        this.#history.apply(record);
        this.#historyBytes += value?.length ?? 0;
        if (!('error' in previous)) this.#hub.publish(eventOf(record, value, previous.get(record.revision)));
        request.resolve(record.revision);
      }
    } catch (error) {
      this.#fail(accepted, error);
    }
    // Decided anew against what has become of the writes that were before them.
    this.#queue.unshift(...overtaken);
    if (this.#history.length > this.#historyMax || this.#historyBytes > this.#historyBytesMax) this.#compactOlderHalf();
  }

  /** On a full disk only puts that must be durable are lost; deletions and volatile writes get another try without them. */
  #fail(accepted: readonly Accepted[], error: unknown): void {
    const isLost = ({ request }: Accepted): boolean => request.durability === 'durable' && request.change.kind === 'put';
    const again = error instanceof NoSpaceError && accepted.some(isLost) ? accepted.filter((write) => !isLost(write)) : [];
    for (const write of accepted) {
      if (again.includes(write)) continue;
      const { key } = write.request.change;
      write.request.reject(diskError(`append ${key}`, error));
    }
    this.#queue.unshift(...again.map(({ request }) => request));
  }

  async #refuse({ change, expected, reject }: Request, winner: LogRecord | undefined): Promise<void> {
    try {
      const entry = winner === undefined ? undefined : (await this.#entries([winner]))[0];
      reject(new RevisionConflictError(change.key, expected, entry));
    } catch (error) {
      reject(error);
    }
  }

  /** For each write the bytes that it replaces, by the revision of the write. Read while the commit runs, so nobody waits for them. */
  async #previousValues(accepted: readonly Accepted[]): Promise<ReadonlyMap<Revision, Uint8Array>> {
    const batch = new Map(accepted.map(({ record, value }) => [record.revision, value]));
    const values = new Map<Revision, Uint8Array>();
    const stored: LogRecord[] = [];
    for (const { record } of accepted) {
      if (record.previous === 0) continue;
      const inBatch = batch.get(record.previous);
      if (inBatch === undefined) stored.push(record);
      else values.set(record.revision, inBatch);
    }
    const read = stored.length > 0 ? await this.#journal.read(stored.map(({ previous }) => previous)) : [];
    for (const [at, record] of stored.entries()) values.set(record.revision, read[at] as Uint8Array);
    return values;
  }

  async #entries(records: readonly LogRecord[]): Promise<readonly Entry[]> {
    const values = await this.#journal.read(records.map(({ revision }) => revision));
    return records.map((record, at) => entryOf(record, record.revision, values[at] as Uint8Array));
  }

  async #events(records: readonly LogRecord[]): Promise<readonly StoreEvent[]> {
    const puts = records.flatMap(({ kind, revision }) => (kind === 'put' ? [revision] : []));
    const previous = records.flatMap((record) => (record.previous === 0 ? [] : [record.previous]));
    const wanted = [...new Set([...puts, ...previous])];
    const values = await this.#journal.read(wanted);
    const byRevision = new Map(wanted.map((revision, at) => [revision, values[at]]));
    return records.map((record) => eventOf(record, byRevision.get(record.revision), byRevision.get(record.previous)));
  }

  /** What fails here is met again, and told, by the next who writes or compacts. */
  #compactOlderHalf(): void {
    const middle = this.#history.fromEnd(this.#history.length >> 1);
    if (middle !== undefined) void this.#compact(middle.revision).catch(() => {});
  }

  async #compact(at: Revision): Promise<void> {
    if (at <= this.#history.compactedAt) return;
    const gone = this.#history.compact(at);
    this.#historyBytes = 0;
    const forgotten = this.#forgetting.then(() => this.#journal.forget(this.#history.compactedAt, gone));
    this.#forgetting = forgotten.catch(() => {});
    try {
      await forgotten;
    } catch (error) {
      throw diskError(`compact at revision ${at}`, error);
    }
  }

  async #progressFromTimeToTime(clock: Clock): Promise<void> {
    const { signal } = this.#closing;
    try {
      while (!signal.aborted) {
        await clock.sleep(PROGRESS_INTERVAL_MS, signal);
        this.#hub.progress(this.#history.revision);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #assertOpen(): void {
    this.#closing.signal.throwIfAborted();
  }

  #assertReadable(prefix: string, at: Revision | undefined): void {
    this.#assertOpen();
    if (at !== undefined) this.#history.assertReadable(prefix, at);
  }
}

function diskError(what: string, cause: unknown): StoreFullError | StoreBrokenError {
  return cause instanceof NoSpaceError ? new StoreFullError(what, { cause }) : new StoreBrokenError(what, { cause });
}

function entryOf(record: LogRecord, modifiedAt: Revision, value: Uint8Array): Entry {
  return { key: record.key, value, createdAt: record.createdAt, modifiedAt };
}

function eventOf(record: LogRecord, value: Uint8Array | undefined, previousValue: Uint8Array | undefined): StoreEvent {
  const { kind, key, revision } = record;
  const previous = previousValue && entryOf(record, record.previous, previousValue);
  if (kind === 'put') return { kind, key, revision, entry: entryOf(record, revision, value as Uint8Array), ...(previous && { previous }) };
  return { kind, key, revision, previous: previous as Entry };
}
