import { type Clock, type Logger, messageOf } from '@dure/foundation';
import { ClassicLevel } from 'classic-level';
import type { Revision } from './contract.ts';
import type { DiskReserve } from './disk-reserve.ts';
import type { LogRecord } from './history.ts';
import { type Journal, NoSpaceError, type Written } from './journal.ts';
import {
  decodeRecord,
  decodeState,
  decodeValue,
  encodeRecord,
  encodeState,
  encodeValue,
  type JournalState,
  RECORD_RANGE,
  recordKey,
  STATE_KEY,
  valueKey,
  WHOLE_RANGE,
} from './level-layout.ts';

/** How far ahead revisions are reserved: one small write per so many volatile ones, and so many numbers skipped by a crash. */
const RESERVE_AHEAD = 10_000;
/** Volatile values kept in memory, flushed or superseded; beyond it they all go to disk. */
const VOLATILE_BYTES_MAX = 8 << 20;
const FORGET_CHUNK = 500;
/**
 * On a full disk LevelDB's own compactions fail too, and every write after them until it is opened again; a small write right after that
 * opening goes through.
 */
const ESSENTIAL_ATTEMPTS = 5;

const LEVEL_OPTIONS = {
  keyEncoding: 'buffer',
  valueEncoding: 'buffer',
  // Every object is in the API server's watch cache anyway.
  cacheSize: 1 << 20,
  writeBufferSize: 1 << 20,
  // Small tables: a compaction rewrites whole ones, and needs room for them beside the old.
  maxFileSize: 1 << 20,
  maxOpenFiles: 128,
} as const;

type Level = ClassicLevel<Buffer, Buffer>;
type Operation = { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer } | { readonly type: 'del'; readonly key: Buffer };

interface BatchOptions {
  /** Whose revisions are removed later, should the batch fail. */
  readonly writes?: readonly Written[];
  /** Frees space, or ends the store: goes on while the disk is full. */
  readonly isEssential: boolean;
  /** Whether a power cut must not take it back. Default: true. */
  readonly sync?: boolean;
}

export interface LevelJournalOptions {
  readonly directory: string;
  readonly reserve: DiskReserve;
  readonly clock: Clock;
  readonly log: Logger;
  /** @see EmbeddedStoreOptions.volatileUnder */
  readonly volatileUnder: readonly string[];
  readonly flushIntervalMs: number;
}

/** What a journal held when it was opened. */
export interface OpenedJournal {
  readonly journal: LevelJournal;
  readonly state: JournalState;
  /** The newest revision from here on. */
  readonly revision: Revision;
  /** In order of revision. */
  readonly records: readonly Omit<LogRecord, 'previous'>[];
}

/**
 * Bytes in LevelDB. A durable commit is one batch and one sync. Volatile writes stay in memory; the newest of each key is written with
 * {@link flush}, those that were superseded before only when the store closes or they grow too large.
 */
export class LevelJournal implements Journal {
  readonly #db: Level;
  readonly #reserve: DiskReserve;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  readonly #volatileUnder: readonly string[];
  readonly #flushing: Promise<void>;
  #state: JournalState;
  #newest: Revision;
  /** Volatile writes that are not on disk, in order of revision: those that wait for it, and superseded ones that only history needs. */
  readonly #volatile = new Map<Revision, Written>();
  #volatileBytes = 0;
  /** Of those, the newest of each key that no durable write has superseded. */
  readonly #unflushed = new Map<string, Revision>();
  /** The reserve is let go: puts are refused until there is room to take it again. */
  #isFull = false;
  /** The disk failed in another way: no write can be trusted until the store is opened anew. */
  #broken: unknown;
  /** Revisions whose commit failed, though their bytes may have reached the disk. */
  #failed: Revision[] = [];
  #reopening: Promise<void> | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(db: Level, state: JournalState, isFull: boolean, options: LevelJournalOptions) {
    const { reserve, clock, log, volatileUnder, flushIntervalMs } = options;
    this.#db = db;
    this.#state = state;
    this.#newest = state.base;
    this.#isFull = isFull;
    this.#reserve = reserve;
    this.#log = log;
    this.#volatileUnder = volatileUnder;
    this.#flushing = this.#flushFromTimeToTime(clock, flushIntervalMs);
  }

  /** @throws whatever LevelDB says: locked by another process, corrupt, no space even without the reserve. */
  static async open(options: LevelJournalOptions): Promise<OpenedJournal> {
    const { directory, reserve, log, volatileUnder } = options;
    const db: Level = new ClassicLevel<Buffer, Buffer>(directory, LEVEL_OPTIONS);
    try {
      await db.open();
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      await reserve.release();
      await db.open();
    }
    let journal: LevelJournal | undefined;
    try {
      const stored = await db.get(STATE_KEY);
      const records: Omit<LogRecord, 'previous'>[] = [];
      for await (const [key, value] of db.iterator(RECORD_RANGE)) records.push(decodeRecord(key, value));
      const state = nextState(stored && decodeState(stored), records.at(-1)?.revision, volatileUnder);
      const isFull = !(await reserve.take());
      if (isFull) log.error('disk is full: the store refuses writes', { directory, neededBytes: reserve.neededBytes });
      journal = new LevelJournal(db, { ...state }, isFull, options);
      await journal.#writeBatch([], state, { isEssential: true });
      return { journal, state, revision: state.base, records };
    } catch (error) {
      if (journal !== undefined) journal.#closing.abort();
      await db.close();
      throw error;
    }
  }

  async commit(writes: readonly Written[]): Promise<void> {
    const newest = writes.at(-1)?.record.revision ?? this.#newest;
    const durable = writes.filter((write) => !this.#isVolatile(write));
    const volatile = writes.filter((write) => this.#isVolatile(write));
    if (durable.length > 0 || newest > this.#state.ceiling) {
      const isEssential = durable.every(({ record }) => record.kind === 'delete');
      await this.#exclusive(async () => {
        if (!isEssential) await this.#assertRoom();
        const dirtySince = this.#oldestVolatile() ?? volatile[0]?.record.revision;
        // Half a block early, so that a steady stream of durable writes carries the new ceiling along and nobody waits for it alone.
        const isNear = newest + RESERVE_AHEAD / 2 > this.#state.ceiling;
        const reserved = isNear ? { ...this.#state, ceiling: (newest + RESERVE_AHEAD) as Revision } : this.#state;
        const state = withDirtySince(reserved, dirtySince);
        await this.#writeBatch(durable.flatMap(operationsOf), state, { writes: durable, isEssential });
      });
    }
    for (const { record } of durable) this.#unflushed.delete(record.key);
    for (const write of volatile) this.#keep(write);
    this.#newest = newest;
    if (this.#volatileBytes > VOLATILE_BYTES_MAX) await this.#spill();
  }

  #isVolatile({ durability, record }: Written): boolean {
    return durability === 'volatile' && this.#volatileUnder.some((prefix) => record.key.startsWith(prefix));
  }

  async read(revisions: readonly Revision[]): Promise<readonly Uint8Array[]> {
    if (revisions.length === 0) return [];
    const values = new Map<Revision, Uint8Array>();
    const stored: Revision[] = [];
    for (const revision of revisions) {
      const value = this.#volatile.get(revision)?.value;
      if (value === undefined) stored.push(revision);
      else values.set(revision, value);
    }
    // LevelDB takes its snapshot when it is called, so without a wait before.
    if (this.#reopening !== undefined) await this.#reopening;
    if (this.#db.status !== 'open') await this.#exclusive(() => this.#reopen());
    // In the order of the disk: neighbours share a block, which is then read and unpacked once.
    stored.sort((a, b) => a - b);
    const bytes = stored.length > 0 ? await this.#db.getMany(stored.map(valueKey)) : [];
    for (const [at, revision] of stored.entries()) {
      const value = bytes[at];
      if (value === undefined) throw new Error(`read revision ${revision}: no value`);
      values.set(revision, decodeValue(revision, value));
    }
    return revisions.map((revision) => values.get(revision) as Uint8Array);
  }

  async forget(compactedAt: Revision, gone: readonly Revision[]): Promise<void> {
    // A volatile write may have superseded one that goes: without it on disk a crash would lose the key.
    await this.#exclusive(() => this.#writeVolatile('newest', true));
    for (let at = 0; at === 0 || at < gone.length; at += FORGET_CHUNK) {
      const chunk = gone.slice(at, at + FORGET_CHUNK);
      await this.#exclusive(async () => {
        const compacted = { ...withoutLost(this.#state, compactedAt), compactedAt };
        const state = withDirtySince(compacted, this.#oldestVolatile(new Set(gone)));
        const stored = chunk.filter((revision) => !this.#volatile.has(revision));
        // The state goes first, and the next durable write syncs them all: what a crash leaves behind is removed at the next opening.
        await this.#writeBatch(stored.flatMap(removalsOf), state, { isEssential: true, sync: false });
        // Not before: until the disk knows of the compaction, these are what a crash would take out of history.
        for (const revision of chunk) this.#drop(revision);
      });
    }
    // LevelDB gives space back only when it rewrites tables, which it does when it sees fit; on a full disk that is now.
    if (this.#isFull && gone.length > 0) await this.#exclusive(() => this.#db.compactRange(WHOLE_RANGE.start, WHOLE_RANGE.end));
  }

  async flush(): Promise<void> {
    if (this.#unflushed.size === 0) return;
    await this.#exclusive(async () => {
      await this.#assertRoom();
      await this.#writeVolatile('newest');
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#flushing;
    await this.#exclusive(async () => {
      try {
        await this.#writeVolatile('all', true);
        await this.#writeBatch([], { ...this.#state, ceiling: this.#newest, clean: true }, { isEssential: true });
      } catch (error) {
        this.#log.warn('store closed without its last volatile writes', { error });
      }
      await this.#db.close();
    });
  }

  /** The commit before it stands, whatever comes of this. */
  async #spill(): Promise<void> {
    try {
      await this.#exclusive(() => this.#writeVolatile('all'));
    } catch (error) {
      this.#log.warn('volatile writes stay in memory', { error });
    }
  }

  #keep(write: Written): void {
    this.#volatile.set(write.record.revision, write);
    this.#volatileBytes += write.value?.length ?? 0;
    this.#unflushed.set(write.record.key, write.record.revision);
  }

  #drop(revision: Revision): void {
    const write = this.#volatile.get(revision);
    if (write === undefined) return;
    this.#volatile.delete(revision);
    this.#volatileBytes -= write.value?.length ?? 0;
  }

  async #writeVolatile(which: 'newest' | 'all', isEssential = false): Promise<void> {
    const flushed = [...this.#unflushed];
    const revisions = new Set(which === 'all' ? this.#volatile.keys() : flushed.map(([, revision]) => revision));
    const state = withDirtySince(this.#state, this.#oldestVolatile(revisions));
    const writes = [...revisions].flatMap((revision) => this.#volatile.get(revision) ?? []);
    await this.#writeBatch(writes.flatMap(operationsOf), state, { isEssential });
    for (const revision of revisions) this.#drop(revision);
    for (const [key, revision] of flushed) if (this.#unflushed.get(key) === revision) this.#unflushed.delete(key);
  }

  /** The first write that a crash would take out of history, now or once those `besides` are on disk. */
  #oldestVolatile(besides?: ReadonlySet<Revision>): Revision | undefined {
    for (const revision of this.#volatile.keys()) if (!besides?.has(revision)) return revision;
    return undefined;
  }

  /** One batch, at most one sync; `state` goes along if it is new. What is essential may use up the reserve. @throws {NoSpaceError} */
  async #writeBatch(
    operations: readonly Operation[],
    state: JournalState,
    { writes = [], isEssential, sync = true }: BatchOptions,
  ): Promise<void> {
    const isNewState = state !== this.#state;
    if (operations.length === 0 && !isNewState) return;
    const stateOperations = isNewState ? [{ type: 'put', key: STATE_KEY, value: encodeState(state) } as const] : [];
    for (let attempt = 1; ; attempt += 1) {
      if (this.#broken !== undefined) throw this.#broken;
      try {
        await this.#reopen();
        await this.#db.batch([...this.#failed.flatMap(removalsOf), ...stateOperations, ...operations], { sync });
        this.#failed = [];
        this.#state = state;
        return;
      } catch (cause) {
        this.#failed.push(...writes.map(({ record }) => record.revision));
        await this.#survive(cause);
        if (!isEssential || attempt === ESSENTIAL_ATTEMPTS) throw new NoSpaceError('write batch: no space left on the disk', { cause });
      }
    }
  }

  /** Makes what can be made of a failed write. @throws what the disk said, if it was not about space. */
  async #survive(cause: unknown): Promise<void> {
    if (isNoSpace(cause)) return this.#enterFull();
    if (this.#closing.signal.aborted) throw cause;
    this.#broken = cause;
    this.#log.error('disk refuses writes: the store is readable only', { error: cause });
    throw cause;
  }

  /** LevelDB's log may now end in half a record, and what followed it would be lost: opening again puts that right. */
  async #enterFull(): Promise<void> {
    if (!this.#isFull)
      this.#log.error('disk is full: the store refuses writes', { directory: this.#db.location, neededBytes: this.#reserve.neededBytes });
    this.#isFull = true;
    await this.#reserve.release();
    this.#reopening = this.#db
      .close()
      .then(() => this.#db.open())
      .catch((error: unknown) => this.#log.error('store not readable: no space to open it again', { error }));
    await this.#reopening;
    this.#reopening = undefined;
  }

  async #reopen(): Promise<void> {
    if (this.#db.status === 'open') return;
    this.#closing.signal.throwIfAborted();
    await this.#db.open();
  }

  /** @throws {NoSpaceError} The disk was full, and still has no room for the reserve. */
  async #assertRoom(): Promise<void> {
    if (!this.#isFull) return;
    if (!(await this.#reserve.take())) throw new NoSpaceError('take space: the disk is still full');
    this.#isFull = false;
    this.#log.info('disk has room again: the store takes writes', { directory: this.#db.location });
  }

  async #flushFromTimeToTime(clock: Clock, intervalMs: number): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      try {
        await clock.sleep(intervalMs, signal);
      } catch {
        return;
      }
      await this.flush().catch((error: unknown) => this.#log.warn('volatile writes stay in memory', { error }));
    }
  }

  /** Batches one after the other: each carries the state as the one before left it. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => {});
    return result;
  }
}

/** What to start from, given how the last run ended. */
function nextState(last: JournalState | undefined, newestRecord: Revision | undefined, volatileUnder: readonly string[]): JournalState {
  if (last === undefined) {
    const none = 0 as Revision;
    return { format: 1, ceiling: RESERVE_AHEAD as Revision, base: none, clean: false, compactedAt: none, volatileUnder };
  }
  const { dirtySince, ...rest } = last;
  const opened = { ...rest, volatileUnder, base: last.ceiling, ceiling: (last.ceiling + RESERVE_AHEAD) as Revision, clean: false };
  if (last.clean) return opened;
  const from = Math.min(
    dirtySince ?? Number.POSITIVE_INFINITY,
    Math.max(last.base, newestRecord ?? 0) + 1,
    last.lost?.from ?? Number.POSITIVE_INFINITY,
  );
  if (from >= last.ceiling) return opened;
  const under = new Set([...(last.volatileUnder ?? ['']), ...(last.lost?.under ?? [])]);
  return { ...opened, lost: { from: from as Revision, to: last.ceiling, under: [...under] } };
}

/** The same object if nothing changes, which is how the batch knows. */
function withDirtySince(state: JournalState, dirtySince: Revision | undefined): JournalState {
  if (state.dirtySince === dirtySince) return state;
  const { dirtySince: _, ...rest } = state;
  return { ...rest, ...(dirtySince !== undefined && { dirtySince }) };
}

function withoutLost({ lost, ...state }: JournalState, compactedAt: Revision): JournalState {
  return { ...state, ...(lost !== undefined && lost.to > compactedAt && { lost }) };
}

function operationsOf({ record, value }: Written): readonly Operation[] {
  const put = { type: 'put', key: recordKey(record.revision), value: encodeRecord(record) } as const;
  return value === undefined ? [put] : [put, { type: 'put', key: valueKey(record.revision), value: encodeValue(value) }];
}

function removalsOf(revision: Revision): readonly Operation[] {
  return [
    { type: 'del', key: recordKey(revision) },
    { type: 'del', key: valueKey(revision) },
  ];
}

function isNoSpace(error: unknown): boolean {
  return /no space left on device|disk quota exceeded/i.test(messageOf(error));
}
