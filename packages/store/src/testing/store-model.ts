import type { Change, Entry, Revision, StoreEvent } from '../contract.ts';

/** The contract in a few lines: all events there ever were, and what they add up to. */
export class StoreModel {
  readonly #events: StoreEvent[] = [];

  apply(change: Change, revision: Revision): void {
    const { key } = change;
    const previous = this.get(key);
    if (change.kind === 'put') {
      const entry = { key, value: change.value, createdAt: previous?.createdAt ?? revision, modifiedAt: revision };
      this.#events.push({ kind: 'put', key, revision, entry, ...(previous && { previous }) });
    } else if (previous !== undefined) {
      this.#events.push({ kind: 'delete', key, revision, previous });
    }
  }

  /** Everything after `after` under `prefix`. */
  events(prefix: string, after: Revision): readonly StoreEvent[] {
    return this.#events.filter(({ key, revision }) => revision > after && key.startsWith(prefix));
  }

  /** Revisions of all writes, in order. */
  revisions(): readonly Revision[] {
    return this.#events.map(({ revision }) => revision);
  }

  get(key: string, at = Number.POSITIVE_INFINITY): Entry | undefined {
    return this.list(key, at).find((entry) => entry.key === key);
  }

  /** Entries under `prefix` as of `at`, in order of the bytes of their keys. */
  list(prefix: string, at = Number.POSITIVE_INFINITY): readonly Entry[] {
    const entries = new Map<string, Entry>();
    for (const event of this.#events) {
      if (event.revision > at || !event.key.startsWith(prefix)) continue;
      if (event.kind === 'put') entries.set(event.key, event.entry);
      else entries.delete(event.key);
    }
    return [...entries.values()].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  }
}
