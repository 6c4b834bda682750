import type { Random } from '@dure/foundation';
import { expect } from 'vitest';
import type { Change, Entry, Revision, Store, StoreEvent } from '../contract.ts';
import { CompactedError, RevisionConflictError } from '../errors.ts';
import { StoreModel } from './store-model.ts';
import { ABSENT, collectEvents, text } from './store-reading.ts';

export interface RandomOperations {
  /** The store as it is open now. */
  readonly store: () => Store;
  /** Closes it and opens it again. */
  readonly reopen?: () => Promise<void>;
  readonly random: Random;
  readonly operations: number;
}

/** Does `operations` random things to a store and compares each answer with the model's. */
export async function runRandomOperations({ store, reopen, random, operations }: RandomOperations): Promise<void> {
  const model = new StoreModel();
  const start = await store().revision();
  let compactedAt = start;
  let serial = 0;
  const value = (): Uint8Array => {
    serial += 1;
    return text(`value ${serial}`);
  };

  const pick = <T>(items: readonly T[]): T => items[random.integer(items.length)] as T;
  const keys = ['/a/', '/a/b/', '/b/'].flatMap((prefix) => Array.from({ length: 4 }, (_, at) => `${prefix}${at}`));
  const prefixes = ['', '/a/', '/a/b/', '/b/', '/a/b/2', '/none/'];
  const anyRevision = (): Revision => pick([start, ...model.revisions()]);

  const change = async (): Promise<void> => {
    const key = pick(keys);
    const standing = model.get(key);
    const expected = random.integer(4) > 0 ? (standing?.modifiedAt ?? ABSENT) : pick([ABSENT, ...model.revisions()]);
    const change: Change = random.integer(3) === 0 ? { kind: 'delete', key } : { kind: 'put', key, value: value() };
    const isRight = expected === (standing?.modifiedAt ?? ABSENT) && (change.kind === 'put' || standing !== undefined);
    const outcome = await store()
      .append(change, expected, random.integer(3) === 0 ? 'volatile' : 'durable')
      .catch((error: unknown) => error);
    if (!isRight) {
      expect(outcome).toBeInstanceOf(RevisionConflictError);
      expectEntry((outcome as RevisionConflictError).winner, standing);
      return;
    }
    expect(outcome).toBeTypeOf('number');
    expect(outcome).toBeGreaterThan(model.revisions().at(-1) ?? start);
    model.apply(change, outcome as Revision);
  };

  /** Several changes at once, each right when it is made; the order among keys is the store's. */
  const changeTogether = async (): Promise<void> => {
    const chosen = keys.filter(() => random.integer(3) === 0);
    const changes = chosen.map((key): Change => ({ kind: 'put', key, value: value() }));
    const revisions = await Promise.all(
      changes.map((change) =>
        store().append(change, model.get(change.key)?.modifiedAt ?? ABSENT, random.integer(3) === 0 ? 'volatile' : 'durable'),
      ),
    );
    for (const { change, revision } of changes
      .map((change, at) => ({ change, revision: revisions[at] as Revision }))
      .toSorted((a, b) => a.revision - b.revision))
      model.apply(change, revision);
  };

  const read = async (): Promise<void> => {
    const key = pick(keys);
    expectEntry(await store().get(key), model.get(key));
    const at = anyRevision();
    if (at < compactedAt) await expect(store().get(key, at)).rejects.toBeInstanceOf(CompactedError);
    else expectEntry(await store().get(key, at), model.get(key, at));
  };

  const list = async (): Promise<void> => {
    const prefix = pick(prefixes);
    const at = random.integer(2) === 0 ? anyRevision() : undefined;
    const after = random.integer(2) === 0 ? pick(keys) : undefined;
    const limit = random.integer(2) === 0 ? 1 + random.integer(5) : undefined;
    const listing = store().list(prefix, { ...(at !== undefined && { at }), ...(after && { after }), ...(limit && { limit }) });
    if (at !== undefined && at < compactedAt) {
      await expect(listing).rejects.toBeInstanceOf(CompactedError);
      return;
    }
    const page = await listing;
    const all = model.list(prefix, at).filter(({ key }) => after === undefined || Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0);
    const expected = all.slice(0, limit ?? all.length);
    expect(page.entries.map(({ key }) => key)).toEqual(expected.map(({ key }) => key));
    for (const [index, entry] of page.entries.entries()) expectEntry(entry, expected[index]);
    expect(page.remaining).toBe(all.length - expected.length);
    expect(page.revision).toBe(at ?? (await store().revision()));
    expect(await store().count(prefix)).toBe(model.list(prefix).length);
  };

  const replay = async (): Promise<void> => {
    const prefix = pick(prefixes);
    const after = anyRevision();
    const events = collectEvents(store(), prefix, after);
    if (after < compactedAt) {
      await expect(events).rejects.toBeInstanceOf(CompactedError);
      return;
    }
    expect((await events).map(readable)).toEqual(model.events(prefix, after).map(readable));
  };

  const compact = async (): Promise<void> => {
    const recent = model.revisions().slice(-10);
    if (recent.length === 0) return;
    const at = pick(recent);
    await store().compact(at);
    if (at > compactedAt) compactedAt = at;
  };

  const flush = (): Promise<void> => store().flush();
  const rare = [compact, flush, ...(reopen ? [reopen] : [])];
  for (let done = 0; done < operations; done += 1) {
    if (random.integer(25) === 0) await pick(rare)();
    else await pick([change, change, change, changeTogether, read, list, replay])();
  }
}

function expectEntry(entry: Entry | undefined, expected: Entry | undefined): void {
  expect(entry && readableEntry(entry)).toEqual(expected && readableEntry(expected));
}

function readableEntry({ key, value, createdAt, modifiedAt }: Entry): string {
  return `${key}=${Buffer.from(value).toString()} @${createdAt}/${modifiedAt}`;
}

function readable(event: StoreEvent): string {
  const entry = event.kind === 'put' ? readableEntry(event.entry) : '';
  return `${event.kind} ${event.key} @${event.revision} ${entry} was ${event.previous ? readableEntry(event.previous) : 'absent'}`;
}
