import { setMaxListeners } from 'node:events';
import { seededRandom } from '@dure/foundation';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Change, Durability, Entry, Page, Progress, Revision, Store, StoreEvent } from '../contract.ts';
import { CompactedError, FutureRevisionError, RevisionConflictError, SlowWatcherError, StoreClosedError } from '../errors.ts';
import { runRandomOperations } from './random-operations.ts';
import { ABSENT, collectEvents, plain, text } from './store-reading.ts';

/** A place for one store at a time, empty at first. Disposing of it removes what lies there. */
export interface StoreFixture extends AsyncDisposable {
  /** Opens the store; if the one before was closed and the driver is persistent, with what that held. */
  open(options?: { readonly watchCapacity?: number }): Promise<Store>;
}

export interface StoreSuiteOptions {
  /** What was written is there again after closing and opening. */
  readonly isPersistent: boolean;
  /** Operations of the random test. Default: 600. */
  readonly randomOperations?: number;
}

/** Registers the contract's tests for one driver. They rely on nothing that the contract leaves open: not on which revisions are given. */
export function describeStore(
  name: string,
  makeFixture: () => Promise<StoreFixture>,
  { isPersistent, randomOperations = 600 }: StoreSuiteOptions,
): void {
  describe(`store contract: ${name}`, () => {
    let fixture: StoreFixture;
    let store: Store;

    beforeEach(async () => {
      fixture = await makeFixture();
      store = await fixture.open();
    });

    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await fixture[Symbol.asyncDispose]();
    });

    const reopen = async (options?: { readonly watchCapacity?: number }): Promise<void> => {
      await store[Symbol.asyncDispose]();
      store = await fixture.open(options);
    };
    const put = (key: string, value: string, expected: Revision = ABSENT, durability: Durability = 'durable'): Promise<Revision> =>
      store.append({ kind: 'put', key, value: text(value) }, expected, durability);
    const remove = (key: string, expected: Revision): Promise<Revision> => store.append({ kind: 'delete', key }, expected, 'durable');
    const keysOf = (page: Page): string[] => page.entries.map(({ key }) => key);
    const eventsAfter = (prefix: string, after: Revision): Promise<readonly StoreEvent[]> => collectEvents(store, prefix, after);

    describe('writes', () => {
      test('a put makes a key, a put by who has seen it replaces it, and each says when', async () => {
        const first = await put('/pods/a', 'one');
        expect(plain(await store.get('/pods/a'))).toEqual({ key: '/pods/a', value: 'one', createdAt: first, modifiedAt: first });
        const second = await put('/pods/a', 'two', first);
        expect(second).toBeGreaterThan(first);
        expect(plain(await store.get('/pods/a'))).toEqual({ key: '/pods/a', value: 'two', createdAt: first, modifiedAt: second });
        expect(await store.revision()).toBeGreaterThanOrEqual(second);
      });

      test('a deleted key is absent, and made again it begins a new life', async () => {
        const first = await put('/pods/a', 'one');
        await remove('/pods/a', first);
        expect(await store.get('/pods/a')).toBeUndefined();
        const again = await put('/pods/a', 'two');
        expect(plain(await store.get('/pods/a'))).toEqual({ key: '/pods/a', value: 'two', createdAt: again, modifiedAt: again });
      });

      test('a change from a stale or wrong revision is refused and names what stands there', async () => {
        const first = await put('/pods/a', 'one');
        const second = await put('/pods/a', 'two', first);
        const winner = { key: '/pods/a', value: 'two', createdAt: first, modifiedAt: second };
        const conflictOf = (attempt: Promise<unknown>): Promise<unknown> =>
          attempt.then(
            () => 'no conflict',
            (error: unknown) => {
              expect(error).toBeInstanceOf(RevisionConflictError);
              return plain((error as RevisionConflictError).winner);
            },
          );
        expect(await conflictOf(put('/pods/a', 'three'))).toEqual(winner);
        expect(await conflictOf(put('/pods/a', 'three', first))).toEqual(winner);
        expect(await conflictOf(put('/pods/a', 'three', first, 'volatile'))).toEqual(winner);
        expect(await conflictOf(remove('/pods/a', first))).toEqual(winner);
        expect(await conflictOf(remove('/pods/a', ABSENT))).toEqual(winner);
        expect(await conflictOf(put('/pods/b', 'one', first))).toBeUndefined();
        expect(await conflictOf(remove('/pods/b', first))).toBeUndefined();
        expect(await conflictOf(remove('/pods/b', ABSENT))).toBeUndefined();
        expect(plain(await store.get('/pods/a'))).toEqual(winner);
      });

      test('of many who replace the same entry at once exactly one wins', async () => {
        const first = await put('/pods/a', 'start');
        const results = await Promise.allSettled(Array.from({ length: 64 }, (_, at) => put('/pods/a', `writer ${at}`, first)));
        const won = results.flatMap((result, at) => (result.status === 'fulfilled' ? [{ at, revision: result.value }] : []));
        expect(won).toHaveLength(1);
        const expected = { value: `writer ${won[0]?.at}`, modifiedAt: won[0]?.revision, createdAt: first };
        expect(plain(await store.get('/pods/a'))).toMatchObject(expected);
        for (const result of results) {
          if (result.status === 'fulfilled') continue;
          expect(result.reason).toBeInstanceOf(RevisionConflictError);
          expect(plain((result.reason as RevisionConflictError).winner)).toMatchObject(expected);
        }
      });

      test('many at once on keys of their own all succeed, each at a revision of its own', async () => {
        const before = await store.revision();
        const revisions = await Promise.all(Array.from({ length: 64 }, (_, at) => put(`/pods/${at}`, 'x')));
        expect(new Set(revisions).size).toBe(64);
        expect((await eventsAfter('/pods/', before)).map(({ revision }) => revision)).toEqual(revisions.toSorted((a, b) => a - b));
      });

      test('bytes come back as they were given', async () => {
        const values = {
          empty: new Uint8Array(),
          all: Uint8Array.from({ length: 256 }, (_, at) => at),
          large: seededRandom(7).bytes(1 << 20),
        };
        for (const [key, value] of Object.entries(values))
          await store.append({ kind: 'put', key: `/bytes/${key}`, value }, ABSENT, 'durable');
        for (const [key, value] of Object.entries(values))
          expect(Buffer.compare((await store.get(`/bytes/${key}`))?.value ?? text('missing'), value)).toBe(0);
      });

      test('nobody waits for a write that has been given up', async () => {
        const reason = new Error('no longer wanted');
        const change: Change = { kind: 'put', key: '/pods/a', value: text('one') };
        await expect(store.append(change, ABSENT, 'durable', AbortSignal.abort(reason))).rejects.toBe(reason);
      });
    });

    describe('reads', () => {
      test('a list has what is under its prefix and nothing beside it, in the order of bytes', async () => {
        // U+FF21 is before U+1F600 in bytes, and behind it in UTF-16.
        const inside = ['/a/', '/a/-', '/a/b', '/a/b/c', '/a/b0', '/a/\u00e9', '/a/\uff21', '/a/\u{1f600}'];
        for (const key of [...inside, '/a', '/a0', '/A/b', '/b/']) await put(key, key);
        expect(keysOf(await store.list('/a/'))).toEqual(inside);
        expect(await store.count('/a/')).toBe(inside.length);
        expect(await store.count('')).toBe(inside.length + 4);
        expect((await store.list('/none/')).entries).toEqual([]);
        expect(keysOf(await store.list('/a/', { after: '/a/b' }))).toEqual(inside.slice(3));
        expect(keysOf(await store.list('/a/', { after: '/a/b/' }))).toEqual(inside.slice(3));
        expect(keysOf(await store.list('/a/', { after: '/0' }))).toEqual(inside);
        expect(keysOf(await store.list('/a/', { after: '/z' }))).toEqual([]);
      });

      test('pages from one revision miss nothing and show nothing later, and count what remains', async () => {
        const keys = Array.from({ length: 25 }, (_, at) => `/pods/${String(at).padStart(2, '0')}`);
        const revisions = new Map<string, Revision>();
        for (const key of keys) revisions.set(key, await put(key, 'old'));
        const first = await store.list('/pods/', { limit: 10 });
        expect([keysOf(first), first.remaining]).toEqual([keys.slice(0, 10), 15]);

        await put('/pods/10', 'new', revisions.get('/pods/10'));
        await remove('/pods/11', revisions.get('/pods/11') ?? ABSENT);
        await put('/pods/12a', 'late');
        const second = await store.list('/pods/', { at: first.revision, limit: 10, after: '/pods/09' });
        const third = await store.list('/pods/', { at: first.revision, limit: 10, after: '/pods/19' });
        expect([keysOf(second), second.remaining, second.revision]).toEqual([keys.slice(10, 20), 5, first.revision]);
        expect([keysOf(third), third.remaining, third.revision]).toEqual([keys.slice(20), 0, first.revision]);
        expect(plain(second.entries[0])).toMatchObject({ value: 'old', modifiedAt: revisions.get('/pods/10') });
        expect(await store.count('/pods/')).toBe(25);
      });

      test('every revision reads as it was when it was newest', async () => {
        const first = await put('/pods/a', 'one');
        const second = await put('/pods/a', 'two', first);
        const third = await remove('/pods/a', second);
        const fourth = await put('/pods/a', 'three');
        const values = await Promise.all([first, second, third, fourth].map(async (at) => plain(await store.get('/pods/a', at))?.value));
        expect(values).toEqual(['one', 'two', undefined, 'three']);
        const lengths = await Promise.all([first, third, fourth].map(async (at) => (await store.list('/pods/', { at })).entries.length));
        expect(lengths).toEqual([1, 0, 1]);
      });

      test('a revision that is not there yet is refused', async () => {
        const future = ((await put('/pods/a', 'one')) + 1_000_000) as Revision;
        await expect(store.get('/pods/a', future)).rejects.toBeInstanceOf(FutureRevisionError);
        await expect(store.list('/pods/', { at: future })).rejects.toBeInstanceOf(FutureRevisionError);
        await expect(next(store.watch('/pods/', future, new AbortController().signal))).rejects.toBeInstanceOf(FutureRevisionError);
      });
    });

    describe('watches', () => {
      test('a watch tells every later change under its prefix once, in order, with what was there before', async () => {
        const before = await put('/pods/a', 'one');
        const stop = new AbortController();
        const watching = take(store.watch('/pods/', before, stop.signal), 4);
        const second = await put('/pods/a', 'two', before);
        await put('/services/a', 'beside');
        const third = await put('/pods/b', 'new');
        const fourth = await remove('/pods/a', second);
        const fifth = await put('/pods/a', 'again');
        const a = { key: '/pods/a', createdAt: before };
        const two = { ...a, value: 'two', modifiedAt: second };
        expect((await watching).map(plainEvent)).toEqual([
          { kind: 'put', key: '/pods/a', revision: second, entry: two, previous: { ...a, value: 'one', modifiedAt: before } },
          { kind: 'put', key: '/pods/b', revision: third, entry: { key: '/pods/b', value: 'new', createdAt: third, modifiedAt: third } },
          { kind: 'delete', key: '/pods/a', revision: fourth, previous: two },
          { kind: 'put', key: '/pods/a', revision: fifth, entry: { key: '/pods/a', value: 'again', createdAt: fifth, modifiedAt: fifth } },
        ]);
        stop.abort();
      });

      test('a watch from any revision replays exactly what came after it', async () => {
        const start = await store.revision();
        const revisions: Revision[] = [];
        let standing = ABSENT;
        for (let at = 0; at < 20; at += 1) {
          const revision = at % 5 === 4 ? await remove('/pods/a', standing) : await put('/pods/a', `${at}`, standing);
          standing = at % 5 === 4 ? ABSENT : revision;
          revisions.push(revision);
        }
        for (const [at, after] of [start, ...revisions].entries())
          expect((await eventsAfter('/pods/', after)).map(({ revision }) => revision)).toEqual(revisions.slice(at));
      });

      test('watches begun while others write have no gap between what was and what comes', async () => {
        const start = await store.revision();
        const stop = new AbortController();
        setMaxListeners(100, stop.signal);
        const watches: Promise<readonly StoreEvent[]>[] = [];
        const writing = Array.from({ length: 8 }, async (_, writer) => {
          let standing = ABSENT;
          for (let at = 0; at < 25; at += 1) {
            standing = await put(`/pods/${writer}`, `${at}`, standing);
            if (at % 5 === writer % 5) watches.push(take(store.watch('/pods/', start, stop.signal), 200));
          }
        });
        await Promise.all(writing);
        const all = (await eventsAfter('/pods/', start)).map(plainEvent);
        expect(all).toHaveLength(200);
        expect(watches).toHaveLength(40);
        for (const watch of watches) expect((await watch).map(plainEvent)).toEqual(all);
        stop.abort();
      });

      test('progress on request is never ahead of an event, and comes to those whose prefix is quiet too', async () => {
        const start = await store.revision();
        const stop = new AbortController();
        const quiet = next(store.watch('/quiet/', start, stop.signal));
        const last = await put('/pods/a', 'one');
        const busy = store.watch('/pods/', start, stop.signal)[Symbol.asyncIterator]();
        const event = busy.next();
        await store.requestProgress();
        expect((await event).value).toMatchObject([{ revision: last }]);
        expect((await busy.next()).value).toEqual({ kind: 'progress', revision: last });
        expect((await quiet) as Progress).toEqual({ kind: 'progress', revision: last });
        stop.abort();
      });

      test('a watcher that falls behind its bound is ended, the others go on', async () => {
        await reopen({ watchCapacity: 10 });
        const start = await store.revision();
        const stop = new AbortController();
        const slow = store.watch('/pods/', start, stop.signal)[Symbol.asyncIterator]();
        const keepingUp = take(store.watch('/pods/', start, stop.signal), 31);
        const first = slow.next();
        let standing = await put('/pods/a', 'first');
        await first;
        for (let at = 0; at < 30; at += 1) standing = await put('/pods/a', `${at}`, standing);
        await expect(drain(slow)).rejects.toBeInstanceOf(SlowWatcherError);
        expect(await keepingUp).toHaveLength(31);
        stop.abort();
      });

      test('a watch ends when it is no longer wanted, whether it waits or has something to tell', async () => {
        const start = await store.revision();
        const waiting = new AbortController();
        const ended = next(store.watch('/pods/', start, waiting.signal));
        const telling = new AbortController();
        const told = store.watch('/pods/', start, telling.signal)[Symbol.asyncIterator]();
        const first = told.next();
        const made = await put('/pods/a', 'one');
        await first;
        await put('/pods/a', 'two', made);
        telling.abort();
        waiting.abort();
        await drain(told);
        // It was told of the first, or not: both are fine; what counts is that it ends.
        await ended;
        expect((await store.watch('/pods/', start, waiting.signal)[Symbol.asyncIterator]().next()).done).toBe(true);
      });
    });

    describe('compaction', () => {
      test('forgets what is older, and only that', async () => {
        const first = await put('/pods/a', 'one');
        const second = await put('/pods/a', 'two', first);
        const gone = await put('/pods/gone', 'x');
        const removed = await remove('/pods/gone', gone);
        const third = await put('/pods/a', 'three', second);
        await store.compact(removed);

        const refusals = [
          store.get('/pods/a', second),
          store.list('/pods/', { at: first }),
          next(store.watch('/pods/', second, new AbortController().signal)),
        ];
        for (const refusal of await Promise.allSettled(refusals)) {
          const error: unknown = refusal.status === 'rejected' ? refusal.reason : 'no error';
          expect(error).toBeInstanceOf(CompactedError);
          expect((error as CompactedError).oldest).toBe(removed);
        }
        expect(plain(await store.get('/pods/a', removed))).toMatchObject({ value: 'two', createdAt: first, modifiedAt: second });
        expect(keysOf(await store.list('/pods/', { at: removed }))).toEqual(['/pods/a']);
        expect((await eventsAfter('/pods/', removed)).map(plainEvent)).toMatchObject([
          { kind: 'put', revision: third, entry: { value: 'three' }, previous: { value: 'two', modifiedAt: second } },
        ]);
        expect(plain(await store.get('/pods/a'))).toMatchObject({ value: 'three', createdAt: first, modifiedAt: third });
        await put('/pods/gone', 'again');
      });

      test('of the newest revision leaves what stands, and a watch from there', async () => {
        const first = await put('/pods/a', 'one');
        await store.compact(first);
        const second = await put('/pods/a', 'two', first);
        expect((await eventsAfter('/pods/', first)).map(plainEvent)).toMatchObject([{ revision: second, previous: { value: 'one' } }]);
      });

      test('of a revision that is not there yet is refused', async () => {
        const future = ((await store.revision()) + 1_000_000) as Revision;
        await expect(store.compact(future)).rejects.toBeInstanceOf(FutureRevisionError);
      });
    });

    describe('volatile writes', () => {
      test('are read, watched and in order at once, like any other', async () => {
        const start = await store.revision();
        const first = await put('/leases/a', 'one');
        const second = await put('/leases/a', 'two', first, 'volatile');
        const third = await put('/leases/a', 'three', second, 'volatile');
        const fourth = await put('/leases/a', 'four', third);
        expect([first, second, third, fourth]).toEqual([first, second, third, fourth].toSorted((a, b) => a - b));
        expect(plain(await store.get('/leases/a', second))).toMatchObject({ value: 'two', createdAt: first });
        const seen = (await eventsAfter('/leases/', start)).map(plainEvent);
        expect(seen.map(({ revision, previous }) => [revision, previous?.value])).toEqual([
          [first, undefined],
          [second, 'one'],
          [third, 'two'],
          [fourth, 'three'],
        ]);
      });

      test('flushed and compacted they are still there', async () => {
        const first = await put('/leases/a', 'one');
        const second = await put('/leases/a', 'two', first, 'volatile');
        await store.flush();
        const third = await put('/leases/a', 'three', second, 'volatile');
        await store.compact(third);
        await store.flush();
        expect(plain(await store.get('/leases/a'))).toMatchObject({ value: 'three', createdAt: first, modifiedAt: third });
      });
    });

    describe('closing', () => {
      test('ends watches and refuses further use', async () => {
        const ended = next(store.watch('/pods/', await store.revision(), new AbortController().signal));
        const refusal = expect(ended).rejects.toBeInstanceOf(StoreClosedError);
        await store[Symbol.asyncDispose]();
        await refusal;
        await expect(store.get('/pods/a')).rejects.toBeInstanceOf(StoreClosedError);
        await expect(put('/pods/a', 'one')).rejects.toBeInstanceOf(StoreClosedError);
        await store[Symbol.asyncDispose]();
      });

      if (!isPersistent) return;

      test('and opening again keeps entries, history, what was compacted, and volatile writes', async () => {
        const first = await put('/pods/a', 'one');
        const second = await put('/pods/a', 'two', first);
        await store.compact(second);
        const third = await put('/pods/a', 'three', second);
        const fourth = await put('/pods/a', 'four', third, 'volatile');
        const fifth = await put('/pods/a', 'five', fourth, 'volatile');
        await reopen();
        expect(plain(await store.get('/pods/a'))).toMatchObject({ value: 'five', createdAt: first, modifiedAt: fifth });
        expect((await eventsAfter('/pods/', second)).map(({ revision }) => revision)).toEqual([third, fourth, fifth]);
        await expect(store.get('/pods/a', first)).rejects.toBeInstanceOf(CompactedError);
        expect(await put('/pods/b', 'later')).toBeGreaterThan(fifth);
      });
    });

    test('random operations agree with a model of the contract', async () => {
      const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
      console.log(`${name}: DURE_SEED=${seed}`);
      await runRandomOperations({
        store: () => store,
        ...(isPersistent && { reopen }),
        random: seededRandom(seed),
        operations: randomOperations,
      });
    });
  });
}

/** The first thing that `watch` tells. */
async function next(watch: AsyncIterable<readonly StoreEvent[] | Progress>): Promise<unknown> {
  return (await watch[Symbol.asyncIterator]().next()).value;
}

async function take(watch: AsyncIterable<readonly StoreEvent[] | Progress>, count: number): Promise<readonly StoreEvent[]> {
  const events: StoreEvent[] = [];
  for await (const batch of watch) {
    if (!('kind' in batch)) events.push(...batch);
    if (events.length >= count) break;
  }
  return events;
}

async function drain(iterator: AsyncIterator<unknown>): Promise<void> {
  while (!(await iterator.next()).done);
}

type PlainEntry = ReturnType<typeof plain>;

function plainEvent(event: StoreEvent): { kind: string; key: string; revision: Revision; entry?: PlainEntry; previous?: PlainEntry } {
  const { kind, key, revision } = event;
  const entry: Entry | undefined = event.kind === 'put' ? event.entry : undefined;
  return { kind, key, revision, ...(entry && { entry: plain(entry) }), ...(event.previous && { previous: plain(event.previous) }) };
}
