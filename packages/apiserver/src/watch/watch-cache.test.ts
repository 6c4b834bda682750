import { silentLogger, systemClock } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { openMemoryStore, type Revision, type Store } from '@dure/store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CacheEvent, TooLargeRevisionError, TooOldRevisionError, WatchCache, WatchEndedError } from './watch-cache.ts';

let store: Store;
let stop: AbortController;

beforeEach(() => {
  store = openMemoryStore();
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort(new Error('test ended'));
  await store[Symbol.asyncDispose]();
});

function put(key: string, at = 0): Promise<Revision> {
  return store.append({ kind: 'put', key, value: Buffer.from('{"metadata":{"name":"x"}}') }, at as Revision, 'durable');
}

function openCache(options: { windowEvents?: number; watcherEvents?: number; watcherBytes?: number } = {}): WatchCache {
  const cache = new WatchCache({ store, prefix: '/r/', clock: systemClock, log: silentLogger, ...options });
  void cache.run(stop.signal);
  return cache;
}

describe('WatchCache', () => {
  it('shows what stood before it began and what comes after, in key order', async () => {
    await put('/r/b');
    await put('/other/x');
    const cache = openCache();
    await cache.ready(stop.signal);
    const revision = await put('/r/a');
    await cache.waitFor(revision, stop.signal);
    expect([...cache.range('/r/')].map(({ key }) => key)).toEqual(['/r/a', '/r/b']);
    expect([...cache.range('/r/', '/r/a')].map(({ key }) => key)).toEqual(['/r/b']);
  });

  it('reaches revisions of other resources without events of its own', async () => {
    const cache = openCache();
    await cache.ready(stop.signal);
    const revision = await put('/other/x');
    await cache.waitFor(revision, stop.signal);
    expect(cache.revision).toBeGreaterThanOrEqual(revision);
  });

  it('gives up on a revision that does not come', async () => {
    const cache = openCache();
    await expect(cache.waitFor(1000, stop.signal)).rejects.toThrow(TooLargeRevisionError);
  });

  it('replays what happened after a revision, from the window or from the store, and refuses what the store has forgotten', async () => {
    const cache = openCache({ windowEvents: 4 });
    await cache.ready(stop.signal);
    const revisions: number[] = [];
    for (let index = 0; index < 20; index += 1) revisions.push(await put(`/r/${index}`));
    await cache.waitFor(revisions.at(-1) ?? 0, stop.signal);
    const seenAfter = async (revision: number, count: number): Promise<readonly number[]> => {
      const watch = await cache.watchAfter('/r/', revision, stop.signal);
      const seen: number[] = [];
      for await (const event of watch.events) {
        seen.push(event.revision);
        if (seen.length === count) watch.close();
      }
      return seen;
    };
    expect(await seenAfter(revisions.at(-3) ?? 0, 2)).toEqual(revisions.slice(-2));
    expect(await seenAfter(revisions[2] ?? 0, 17)).toEqual(revisions.slice(3));
    await store.compact(revisions[5] as Revision);
    await expect(cache.watchAfter('/r/', revisions[2] ?? 0, stop.signal)).rejects.toThrow(TooOldRevisionError);
    expect(await seenAfter(revisions[5] ?? 0, 14)).toEqual(revisions.slice(6));
  });

  it('forgets events after five minutes, but for the last ones', async () => {
    const clock = new FakeClock();
    const cache = new WatchCache({ store, prefix: '/r/', clock, log: silentLogger });
    void cache.run(stop.signal);
    await cache.ready(stop.signal);
    const revisions: number[] = [];
    for (let index = 0; index < 300; index += 1) {
      revisions.push(await put(`/r/${index}`));
      await clock.advance(10_000);
    }
    await cache.waitFor(revisions.at(-1) ?? 0, stop.signal);
    await store.compact(await store.revision());
    await expect(cache.watchAfter('/r/', revisions[50] ?? 0, stop.signal)).rejects.toThrow(TooOldRevisionError);
    const watch = await cache.watchAfter('/r/', revisions.at(-128) ?? 0, stop.signal);
    watch.close();
  });

  it('ends a watcher that does not read, and no other', async () => {
    const cache = openCache({ watcherEvents: 3 });
    await cache.ready(stop.signal);
    const lazy = cache.watch('/r/');
    const eager = cache.watch('/r/');
    const read: string[] = [];
    const reading = (async () => {
      for await (const event of eager.events) {
        read.push((event as CacheEvent).object.key);
        if (read.length === 6) return;
      }
    })();
    for (let index = 0; index < 6; index += 1) await cache.waitFor(await put(`/r/${index}`), stop.signal);
    await reading;
    expect(read).toHaveLength(6);
    await expect(lazy.events[Symbol.asyncIterator]().next()).rejects.toThrow(WatchEndedError);
    expect(cache.watcherCount).toBe(0);
  });

  it('ends a watcher who keeps more bytes in memory than he may', async () => {
    const cache = openCache({ watcherBytes: 90 });
    await cache.ready(stop.signal);
    const lazy = cache.watch('/r/');
    for (let index = 0; index < 4; index += 1) await cache.waitFor(await put(`/r/${index}`), stop.signal);
    expect(cache.watcherCount).toBe(0);
    await expect(lazy.events[Symbol.asyncIterator]().next()).rejects.toThrow(WatchEndedError);
  });

  it('says what an object was when it was deleted, at the revision of the deletion', async () => {
    const created = await put('/r/a');
    const cache = openCache();
    await cache.ready(stop.signal);
    const watch = cache.watch('/r/');
    const deleted = await store.append({ kind: 'delete', key: '/r/a' }, created, 'durable');
    const first = await watch.events[Symbol.asyncIterator]().next();
    expect(first.value).toMatchObject({ deleted: true, revision: deleted });
    expect((first.value as CacheEvent).object.object.metadata.resourceVersion).toBe(String(deleted));
  });
});
