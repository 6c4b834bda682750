import type { Entry, Revision, Store, StoreEvent } from '../contract.ts';

export const ABSENT = 0 as Revision;

export function text(value: string): Uint8Array {
  return Buffer.from(value);
}

/** `entry` with its value as text, so that a failed comparison can be read. */
export function plain(entry: Entry): Omit<Entry, 'value'> & { readonly value: string };
export function plain(entry: Entry | undefined): (Omit<Entry, 'value'> & { readonly value: string }) | undefined;
export function plain(entry: Entry | undefined): (Omit<Entry, 'value'> & { readonly value: string }) | undefined {
  return entry && { ...entry, value: Buffer.from(entry.value).toString() };
}

/** All events under `prefix` from `after` up to now, by a watch that is ended once its progress says so. */
export async function collectEvents(store: Store, prefix: string, after: Revision): Promise<readonly StoreEvent[]> {
  const stop = new AbortController();
  const events: StoreEvent[] = [];
  const now = await store.revision();
  const watch = store.watch(prefix, after, stop.signal)[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Together: the watch may fail while the request is still on its way.
      const [{ value, done }] = await Promise.all([watch.next(), store.requestProgress()]);
      if (done) throw new Error(`watch ${prefix} ended by itself`);
      if (!('kind' in value)) events.push(...value);
      else if (value.revision >= now) return events;
    }
  } finally {
    stop.abort();
  }
}
