import type { Clock, Random } from '@dure/foundation';
import type { Revision, Store } from './contract.ts';
import { History } from './history.ts';
import type { Journal, Written } from './journal.ts';
import { LogStore, type LogStoreLimits } from './log-store.ts';

export interface MemoryStoreOptions extends LogStoreLimits {
  /** Drives the progress that watches get from time to time. Default: only on request. */
  readonly clock?: Clock;
  /** Taken so that every driver opens alike in a simulation. Nothing in this one is left to chance. */
  readonly random?: Random;
}

/** A store that forgets everything with its process. The same calls in the same order give the same answers in the same order. */
export function openMemoryStore({ clock, random: _, ...limits }: MemoryStoreOptions = {}): Store {
  return new LogStore({ journal: new MemoryJournal(), history: new History(), clock, ...limits });
}

class MemoryJournal implements Journal {
  readonly #values = new Map<Revision, Uint8Array>();

  async commit(writes: readonly Written[]): Promise<void> {
    for (const { record, value } of writes) if (value !== undefined) this.#values.set(record.revision, value);
  }

  async read(revisions: readonly Revision[]): Promise<readonly Uint8Array[]> {
    return revisions.map((revision) => {
      const value = this.#values.get(revision);
      if (value === undefined) throw new Error(`read revision ${revision}: no value`);
      return value;
    });
  }

  async forget(_compactedAt: Revision, gone: readonly Revision[]): Promise<void> {
    for (const revision of gone) this.#values.delete(revision);
  }

  async flush(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#values.clear();
  }
}
