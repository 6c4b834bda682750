import type { Revision } from './contract.ts';
import { CompactedError, FutureRevisionError } from './errors.ts';
import type { LostRange } from './journal.ts';
import { SortedKeys } from './sorted-keys.ts';

/** One write without its bytes. */
export interface LogRecord {
  readonly kind: 'put' | 'delete';
  readonly key: string;
  readonly revision: Revision;
  /** Revision that made the key; for a deletion, of the life that it ends. */
  readonly createdAt: Revision;
  /** Revision of the value that this write replaced or deleted; 0: the key was absent. */
  readonly previous: Revision;
}

export const NO_REVISION = 0 as Revision;

export interface RecordPage {
  readonly records: readonly LogRecord[];
  readonly remaining: number;
}

/**
 * What was written when, in memory: for each key its versions back to the compacted revision, and all records after it in order.
 * Values are not here; a revision finds them. Nothing in here waits, so whoever reads twice in one turn reads one state.
 */
export class History {
  readonly #versions = new Map<string, LogRecord[]>();
  readonly #keys = new SortedKeys();
  #records: LogRecord[] = [];
  #revision: Revision;
  #compactedAt: Revision;
  readonly #lost: LostRange | undefined;

  /** @param compactedAt The oldest readable revision. @param revision The newest one. @param lost What no longer can be read as it was. */
  constructor(compactedAt: Revision = NO_REVISION, revision: Revision = compactedAt, lost?: LostRange) {
    this.#compactedAt = compactedAt;
    this.#revision = revision;
    this.#lost = lost;
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** The oldest revision that can be read. */
  get compactedAt(): Revision {
    return this.#compactedAt;
  }

  /** @throws {CompactedError} History of what is under `prefix` is gone at `at`. @throws {FutureRevisionError} */
  assertReadable(prefix: string, at: Revision): void {
    if (at > this.#revision) throw new FutureRevisionError(at, this.#revision);
    if (at < this.#compactedAt) throw new CompactedError(at, this.#compactedAt);
    // Who reads or goes on from there holds, or would miss, what the crash took back.
    if (this.#lost !== undefined && at >= this.#lost.from && at < this.#lost.to && this.#lost.under.some((lost) => overlap(lost, prefix)))
      throw new CompactedError(at, this.#lost.to);
  }

  /** How many records are kept for replay. */
  get length(): number {
    return this.#records.length;
  }

  /** The record that is `count` records before the newest. */
  fromEnd(count: number): LogRecord | undefined {
    return this.#records[this.#records.length - 1 - count];
  }

  /** Adds `record`; its revision is greater than that of every record before. */
  apply(record: LogRecord): void {
    const versions = this.#versions.get(record.key);
    if (versions === undefined) {
      this.#versions.set(record.key, [record]);
      this.#keys.add(record.key);
    } else {
      versions.push(record);
    }
    if (record.revision > this.#compactedAt) this.#records.push(record);
    if (record.revision > this.#revision) this.#revision = record.revision;
  }

  /** The put that stands at `key` as of `at`; `undefined` if the key was absent then. */
  get(key: string, at: Revision = this.#revision): LogRecord | undefined {
    const record = newestAt(this.#versions.get(key), at);
    return record?.kind === 'put' ? record : undefined;
  }

  /** Puts under `prefix` as of `at` after the key `after`, at most `limit`, and how many more there are. */
  list(prefix: string, at: Revision, limit: number, after?: string): RecordPage {
    const records: LogRecord[] = [];
    let remaining = 0;
    for (const key of this.#keys.under(prefix, after)) {
      const record = this.get(key, at);
      if (record === undefined) continue;
      if (records.length < limit) records.push(record);
      else remaining += 1;
    }
    return { records, remaining };
  }

  /** How many keys stand under `prefix` now. */
  count(prefix: string): number {
    return this.list(prefix, this.#revision, 0).remaining;
  }

  /** Records under `prefix` in (`after`, `through`], at most `limit`; `reached` is how far they go. `after` >= {@link compactedAt}. */
  replay(prefix: string, after: Revision, through: Revision, limit: number): { records: readonly LogRecord[]; reached: Revision } {
    const records: LogRecord[] = [];
    for (let at = this.#firstAfter(after); at < this.#records.length; at += 1) {
      const record = this.#records[at] as LogRecord;
      if (record.revision > through) break;
      if (!record.key.startsWith(prefix)) continue;
      records.push(record);
      if (records.length === limit) return { records, reached: record.revision };
    }
    return { records, reached: through };
  }

  /** Forgets what no reader at or after `at` can need and returns the revisions whose records and values may go. `at` <= {@link revision}. */
  compact(at: Revision): Revision[] {
    if (at <= this.#compactedAt) return [];
    this.#compactedAt = at;
    const keep = this.#firstAfter(at);
    const touched = new Set(this.#records.slice(0, keep).map((record) => record.key));
    this.#records = this.#records.slice(keep);
    return [...touched].flatMap((key) => this.#prune(key));
  }

  /** Forgets the same of every key: what a compaction that was cut short had left. */
  pruneAll(): Revision[] {
    return [...this.#versions.keys()].flatMap((key) => this.#prune(key));
  }

  #prune(key: string): Revision[] {
    const versions = this.#versions.get(key);
    if (versions === undefined) return [];
    const floor = newestAt(versions, this.#compactedAt);
    const isGone = (record: LogRecord): boolean => record.revision <= this.#compactedAt && (record !== floor || record.kind === 'delete');
    const gone = versions.filter(isGone);
    if (gone.length === versions.length) {
      this.#versions.delete(key);
      this.#keys.delete(key);
    } else if (gone.length > 0) {
      this.#versions.set(
        key,
        versions.filter((record) => !isGone(record)),
      );
    }
    return gone.map((record) => record.revision);
  }

  #firstAfter(revision: Revision): number {
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#records[middle] as LogRecord).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function newestAt(versions: readonly LogRecord[] | undefined, at: Revision): LogRecord | undefined {
  // From the end: nearly every read wants the newest, and a key has few versions.
  for (let index = (versions?.length ?? 0) - 1; index >= 0; index -= 1) {
    const record = versions?.[index];
    if (record !== undefined && record.revision <= at) return record;
  }
  return undefined;
}

/** Whether a key may be under both prefixes. */
function overlap(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a);
}
