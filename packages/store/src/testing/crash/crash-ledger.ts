import type { Durability, Revision, Store } from '../../contract.ts';
import { CompactedError } from '../../errors.ts';
import { collectEvents } from '../store-reading.ts';
import { readCrashValue } from './crash-value.ts';

interface Attempt {
  readonly serial: number;
  readonly kind: 'put' | 'delete';
  readonly key: string;
  /** Turns durable with a flush. */
  durability: Durability;
  /** Missing: it was never acknowledged. */
  revision?: Revision;
}

/** What writers said before they were killed, and what must therefore be in the store. Each fault found is a line of text. */
export class CrashLedger {
  /** For each key what stood there when it was last looked at, and all that was tried since. */
  readonly #attempts = new Map<string, Attempt[]>();
  readonly #given = new Set<Revision>();
  #newest = 0;
  #compactedAt = 0 as Revision;
  #nextSerial = 1;
  #round: Attempt[] = [];
  acknowledged = 0;
  unanswered = 0;

  /** The first serial that no writer has used. */
  get nextSerial(): number {
    return this.#nextSerial;
  }

  /** Takes down what one writer said. Faults: revisions that had been given before. */
  record(lines: readonly string[]): readonly string[] {
    const faults: string[] = [];
    const bySerial = new Map<number, Attempt>();
    let flushing: readonly Attempt[] = [];
    for (const [word, first, second, third, fourth] of lines.map((line) => line.split(' '))) {
      if (word === 'ready' && Number(first) < this.#newest) faults.push(`opened at revision ${first}, ${this.#newest} had been given`);
      if (word === 'try') {
        const attempt: Attempt = { serial: Number(first), kind: second as 'put', durability: third as Durability, key: fourth ?? '' };
        bySerial.set(attempt.serial, attempt);
        this.#attempts.set(attempt.key, [...(this.#attempts.get(attempt.key) ?? []), attempt]);
        this.#nextSerial = Math.max(this.#nextSerial, attempt.serial + 1);
      }
      const attempt = bySerial.get(Number(first));
      if (word === 'ack' && attempt !== undefined) {
        attempt.revision = Number(second) as Revision;
        if (this.#given.has(attempt.revision)) faults.push(`revision ${second} was given twice`);
        if (attempt.revision <= this.#newest) faults.push(`revision ${second} was given after a run that had come to ${this.#newest}`);
        this.#given.add(attempt.revision);
      }
      if (word === 'flushing') flushing = [...bySerial.values()].filter(({ revision }) => revision !== undefined);
      if (word === 'flushed') for (const flushed of flushing) flushed.durability = 'durable';
      if (word === 'compacted') this.#compactedAt = Number(first) as Revision;
    }
    this.#round = [...bySerial.values()].filter(({ revision }) => revision !== undefined);
    this.#newest = Math.max(this.#newest, ...this.#round.map(({ revision }) => revision ?? 0));
    this.acknowledged += this.#round.length;
    this.unanswered += bySerial.size - this.#round.length;
    return faults;
  }

  /** Compares the store that was opened after the kill. What stands there is what the next round starts from. */
  async compare(store: Store): Promise<readonly string[]> {
    const revision = await store.revision();
    const past = revision < this.#newest ? [`newest revision is ${revision}, ${this.#newest} had been given`] : [];
    return [
      ...past,
      ...(await this.#compareKeys(store)),
      ...(await this.#compareHistory(store)),
      ...(await compareEvents(store, this.#compactedAt)),
    ];
  }

  async #compareKeys(store: Store): Promise<readonly string[]> {
    const faults: string[] = [];
    for (const [key, tried] of this.#attempts) {
      const entry = await store.get(key);
      const serial = entry && readCrashValue(entry.value);
      // The last write that must have survived, or anything that may have come after it.
      const kept = tried.findLastIndex(({ revision, durability }) => revision !== undefined && durability === 'durable');
      const possible = tried.slice(Math.max(kept, 0));
      const standing = possible.find((attempt) => (entry === undefined ? attempt.kind === 'delete' : attempt.serial === serial));
      const mayBeNew = entry === undefined && kept < 0;
      if (standing === undefined && !mayBeNew)
        faults.push(`${key} is ${serial ?? 'absent'}, possible: ${possible.map(({ kind, serial }) => `${kind} ${serial}`)}`);
      if (entry !== undefined && standing?.revision !== undefined && entry.modifiedAt !== standing.revision)
        faults.push(`${key} is at ${entry.modifiedAt}, acknowledged at ${standing.revision}`);
      this.#attempts.set(key, entry && standing ? [{ ...standing, durability: 'durable', revision: entry.modifiedAt }] : []);
    }
    return faults;
  }

  /** Every durable write of the last run can be read as of its revision, unless the store says that it cannot. */
  async #compareHistory(store: Store): Promise<readonly string[]> {
    const faults: string[] = [];
    for (const { key, kind, durability, revision, serial } of this.#round) {
      if (durability !== 'durable' || revision === undefined) continue;
      try {
        const entry = await store.get(key, revision);
        const found = entry && readCrashValue(entry.value);
        if (found !== (kind === 'put' ? serial : undefined))
          faults.push(`${key} was ${found ?? 'absent'} at ${revision}, not ${kind} ${serial}`);
      } catch (error) {
        if (!(error instanceof CompactedError)) throw error;
      }
    }
    return faults;
  }
}

/** Replays everything there is: values are whole, revisions ascend. */
async function compareEvents(store: Store, after: Revision): Promise<readonly string[]> {
  try {
    const events = await collectEvents(store, '', after);
    for (const event of events) {
      if (event.previous) readCrashValue(event.previous.value);
      if (event.kind === 'put') readCrashValue(event.entry.value);
    }
    const isOrdered = events.every(({ revision }, at) => revision > (events[at - 1]?.revision ?? after));
    return isOrdered ? [] : ['replay is out of order'];
  } catch (error) {
    if (error instanceof CompactedError) return [];
    throw error;
  }
}
