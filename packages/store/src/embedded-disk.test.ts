import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Durability, Revision, Store } from './contract.ts';
import { type EmbeddedStoreOptions, openEmbeddedStore } from './embedded-store.ts';
import { CompactedError, StoreBrokenError, StoreDamagedError, StoreFullError, StoreLockedError, StoreOpenError } from './errors.ts';
import { encodeState, STATE_KEY, valueKey } from './level-layout.ts';
import { ABSENT, collectEvents, plain, text } from './testing/store-reading.ts';

let directory: string;
let clock: FakeClock;
let store: Store;
const opened: Store[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dure-disk-'));
  clock = new FakeClock();
  store = await openAt('db');
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const each of opened.splice(0)) await each[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

async function openAt(name: string, options: Partial<EmbeddedStoreOptions> = {}): Promise<Store> {
  const made = await openEmbeddedStore({ directory: join(directory, name), clock, log: silentLogger, reserveBytes: 1 << 16, ...options });
  opened.push(made);
  return made;
}

/** Opens what a kill at this instant would leave: the files as they are. */
async function crash(name = 'crashed', options: Partial<EmbeddedStoreOptions> = {}, from = 'db'): Promise<Store> {
  await cp(join(directory, from), join(directory, name), { recursive: true });
  await rm(join(directory, name, 'level', 'LOCK'), { force: true });
  return openAt(name, options);
}

const put = (key: string, value: string, expected: Revision = ABSENT, durability: Durability = 'durable'): Promise<Revision> =>
  store.append({ kind: 'put', key, value: text(value) }, expected, durability);

describe('a crash', () => {
  test('keeps durable writes and their history, and takes volatile ones back to the last durable value', async () => {
    const first = await put('/leases/a', 'held');
    const second = await put('/leases/a', 'renewed', first, 'volatile');
    const third = await put('/pods/a', 'made');
    const crashed = await crash();
    expect(plain(await crashed.get('/leases/a'))).toMatchObject({ value: 'held', modifiedAt: first });
    expect(plain(await crashed.get('/pods/a'))).toMatchObject({ value: 'made', modifiedAt: third });
    expect(await crashed.revision()).toBeGreaterThanOrEqual(third);
    expect(plain(await crashed.get('/leases/a', first))?.value).toBe('held');

    // Whoever had seen the volatile write must list anew, whoever had not goes on.
    for (const seen of [second, third]) {
      await expect(crashed.get('/leases/a', seen)).rejects.toBeInstanceOf(CompactedError);
      await expect(collectEvents(crashed, '/leases/', seen)).rejects.toBeInstanceOf(CompactedError);
    }
    expect((await collectEvents(crashed, '', first)).map(({ revision }) => revision)).toEqual([third]);
    const again = await crashed.append({ kind: 'put', key: '/leases/a', value: text('renewed again') }, first, 'durable');
    expect(again).toBeGreaterThan(third);
    expect((await collectEvents(crashed, '/leases/', ABSENT)).map(({ revision }) => revision)).toEqual([first, again]);
  });

  test('after durable writes only lets every watcher go on from where it was', async () => {
    const first = await put('/pods/a', 'one');
    const second = await put('/pods/a', 'two', first);
    const crashed = await crash();
    expect((await collectEvents(crashed, '', first)).map(({ revision }) => revision)).toEqual([second]);
    expect(await collectEvents(crashed, '', second)).toEqual([]);
  });

  test('lets watchers of keys that are never written volatile go on, whatever else was', async () => {
    const options = { volatileUnder: ['/leases/'] };
    store = await openAt('db-of-few', options);
    const held = await put('/leases/a', 'held');
    const first = await put('/pods/a', 'one');
    const seen = await put('/leases/a', 'renewed', held, 'volatile');
    const second = await put('/pods/a', 'two', first);
    const unseen = await put('/leases/a', 'renewed again', seen, 'volatile');
    // Asked for in vain: it is on disk before it is acknowledged.
    const third = await put('/pods/a', 'three', second, 'volatile');
    const crashed = await crash('crashed', options, 'db-of-few');
    const after = async (prefix: string, revision: Revision): Promise<readonly Revision[]> =>
      (await collectEvents(crashed, prefix, revision)).map((event) => event.revision);
    expect(await after('/pods/', seen)).toEqual([second, third]);
    expect(await after('/pods/a', unseen)).toEqual([third]);
    for (const prefix of ['/leases/', '/leases/a', '/', '']) {
      await expect(collectEvents(crashed, prefix, seen), prefix).rejects.toBeInstanceOf(CompactedError);
    }
    // An older program had other keys in mind: what it lost stays lost.
    const again = await crash('again', { volatileUnder: [] }, 'db-of-few');
    await expect(collectEvents(again, '/leases/', seen)).rejects.toBeInstanceOf(CompactedError);
  });

  test('after thousands of volatile writes still gives none of their revisions again', async () => {
    let newest = await put('/leases/a', 'held');
    for (let at = 0; at < 12_000; at += 1) newest = await put('/leases/a', `${at}`, newest, 'volatile');
    const crashed = await crash();
    const entry = await crashed.get('/leases/a');
    expect(
      await crashed.append({ kind: 'put', key: '/leases/a', value: text('next') }, entry?.modifiedAt ?? ABSENT, 'volatile'),
    ).toBeGreaterThan(newest);
  });

  test('after another crash, or an orderly end, remembers what cannot be read any more', async () => {
    const first = await put('/leases/a', 'held');
    const second = await put('/leases/a', 'renewed', first, 'volatile');
    const once = await crash();
    await once[Symbol.asyncDispose]();
    const twice = await openAt('crashed');
    await expect(twice.get('/leases/a', second)).rejects.toBeInstanceOf(CompactedError);
    await twice.compact(await twice.revision());
    await expect(twice.get('/leases/a', second)).rejects.toBeInstanceOf(CompactedError);
    expect(plain(await twice.get('/leases/a'))?.value).toBe('held');
  });

  test('in the middle of a compaction leaves nothing that a reader could see, and the next opening tidies up', async () => {
    const first = await put('/pods/a', 'one');
    const second = await put('/pods/a', 'two', first);
    await store[Symbol.asyncDispose]();
    await withLevel(async (level) => {
      const state = JSON.parse(String(await level.get(STATE_KEY)));
      await level.put(STATE_KEY, encodeState({ ...state, compactedAt: second }));
    });
    const again = await openAt('db');
    await expect(again.get('/pods/a', first)).rejects.toBeInstanceOf(CompactedError);
    await again[Symbol.asyncDispose]();
    await withLevel(async (level) => {
      expect(await level.get(valueKey(first))).toBeUndefined();
      expect(await level.get(valueKey(second))).toBeDefined();
    });
  });
});

describe('volatile writes', () => {
  test('are on disk after a minute, the newest of each key', async () => {
    const first = await put('/leases/a', 'held');
    const second = await put('/leases/a', 'renewed', first, 'volatile');
    await put('/leases/a', 'renewed again', second, 'volatile');
    await clock.advance(59_000);
    expect(plain(await (await crash('before')).get('/leases/a'))?.value).toBe('held');
    await clock.advance(1000);
    // What is queued behind the flush comes after it.
    await store.flush();
    expect(plain(await (await crash('after')).get('/leases/a'))).toMatchObject({ value: 'renewed again', createdAt: first });
  });

  test('cost nothing on disk until then', async () => {
    const batch = vi.spyOn(ClassicLevel.prototype, 'batch');
    let newest = await put('/leases/a', 'held');
    batch.mockClear();
    for (let at = 0; at < 100; at += 1) newest = await put('/leases/a', `${at}`, newest, 'volatile');
    expect(batch).not.toHaveBeenCalled();
    await store.flush();
    expect(batch).toHaveBeenCalledTimes(1);
  });

  test('that were superseded before they came to the disk are not made up for in history', async () => {
    const first = await put('/leases/a', 'held');
    const second = await put('/leases/a', 'renewed', first, 'volatile');
    const third = await put('/leases/a', 'taken', second);
    await store.flush();
    expect(plain(await store.get('/leases/a', second))?.value).toBe('renewed');
    const crashed = await crash();
    expect(plain(await crashed.get('/leases/a'))).toMatchObject({ value: 'taken', modifiedAt: third });
    await expect(crashed.get('/leases/a', second)).rejects.toBeInstanceOf(CompactedError);
    expect((await collectEvents(crashed, '', first)).map(({ revision }) => revision)).toEqual([third]);
  });

  test('are flushed in the midst of writes that never pause', async () => {
    let isDone = false;
    const writing = (async () => {
      for (let at = 0; !isDone; at += 1) await put(`/pods/${at}`, 'x');
    })();
    const first = await put('/leases/a', 'held');
    await put('/leases/a', 'renewed', first, 'volatile');
    await store.flush();
    expect(plain(await (await crash()).get('/leases/a'))?.value).toBe('renewed');
    isDone = true;
    await writing;
  });

  test('are not lost with the durable value that they replaced when that is compacted', async () => {
    const first = await put('/leases/a', 'held');
    const second = await put('/leases/a', 'renewed', first, 'volatile');
    await store.compact(second);
    expect(plain(await (await crash()).get('/leases/a'))).toMatchObject({ value: 'renewed', createdAt: first, modifiedAt: second });
  });
});

describe('the disk', () => {
  test('is synced about once for 64 writes at a time', async () => {
    const batch = vi.spyOn(ClassicLevel.prototype, 'batch');
    await Promise.all(Array.from({ length: 64 }, (_, at) => put(`/pods/${at}`, 'x')));
    expect(batch).toHaveBeenCalledTimes(1);
    expect(batch).toHaveBeenCalledWith(expect.anything(), { sync: true });
  });

  test('stays small however often the same keys are written, given that somebody compacts', async () => {
    const revisions = new Map<string, Revision>();
    for (let round = 0; round < 40; round += 1) {
      const keys = Array.from({ length: 50 }, (_, at) => `/pods/${at}`);
      const value = Buffer.alloc(20_000, `${round}`);
      for (let at = 0; at < value.length; at += 16) value.writeDoubleLE(Math.random(), at);
      const made = await Promise.all(keys.map((key) => store.append({ kind: 'put', key, value }, revisions.get(key) ?? ABSENT, 'durable')));
      for (const [at, key] of keys.entries()) revisions.set(key, made[at] as Revision);
      await store.compact(await store.revision());
    }
    // 40 MB went through; 1 MB stands.
    expect(await sizeOf(join(directory, 'db', 'level'))).toBeLessThan(20 << 20);
  });

  test('that refuses writes for another reason leaves the store readable, and is not tried again', async () => {
    const first = await put('/pods/a', 'one');
    const batch = vi.spyOn(ClassicLevel.prototype, 'batch').mockRejectedValueOnce(new Error('IO error: 000005.log: Input/output error'));
    await expect(put('/pods/a', 'two', first)).rejects.toBeInstanceOf(StoreBrokenError);
    await expect(put('/pods/a', 'two', first)).rejects.toBeInstanceOf(StoreBrokenError);
    expect(batch).toHaveBeenCalledTimes(1);
    expect(plain(await store.get('/pods/a'))).toMatchObject({ value: 'one', modifiedAt: first });
    expect(await collectEvents(store, '', first)).toEqual([]);
  });

  test('that refused a write has given its revision to nobody, nor will it, after closing and opening either', async () => {
    const first = await put('/pods/a', 'one');
    vi.spyOn(ClassicLevel.prototype, 'batch').mockRejectedValueOnce(new Error('IO error: 000005.log: No space left on device'));
    await expect(put('/pods/a', 'two', first)).rejects.toBeInstanceOf(StoreFullError);
    expect(await store.revision()).toBe(first);
    const second = await put('/pods/a', 'three', first);
    expect(plain(await store.get('/pods/a'))).toMatchObject({ value: 'three', modifiedAt: second });
    await store[Symbol.asyncDispose]();
    store = await openAt('db');
    expect(await store.revision()).toBe(second);
    expect((await collectEvents(store, '', first)).map(({ revision }) => revision)).toEqual([second]);
  });

  test('that went bad is an error, never another value', async () => {
    const first = await put('/pods/a', 'one');
    await put('/pods/b', 'two');
    await store[Symbol.asyncDispose]();
    await withLevel(async (level) => {
      const bytes = Buffer.from((await level.get(valueKey(first))) ?? []);
      bytes[bytes.length - 1] = 0;
      await level.put(valueKey(first), bytes);
    });
    const again = await openAt('db');
    await expect(again.get('/pods/a')).rejects.toBeInstanceOf(StoreDamagedError);
    expect(plain(await again.get('/pods/b'))?.value).toBe('two');
  });
});

describe('opening', () => {
  test('a directory that this process has open is refused by name', async () => {
    await expect(openAt('db')).rejects.toThrow(StoreLockedError);
    await expect(openAt('db')).rejects.toThrow(/open store .*db: another process has it open/);
  });

  test('a directory that another process has open is refused until that one ends', async () => {
    await store[Symbol.asyncDispose]();
    const program = `const { ClassicLevel } = require(${JSON.stringify(createRequire(import.meta.url).resolve('classic-level'))});
      new ClassicLevel(${JSON.stringify(join(directory, 'db', 'level'))}).open().then(() => process.stdout.write('open'));
      setInterval(() => {}, 1000);`;
    const other = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(other.stdout, 'data');
      await expect(openAt('db')).rejects.toBeInstanceOf(StoreLockedError);
    } finally {
      other.kill('SIGKILL');
      await once(other, 'exit');
    }
    await openAt('db');
  });

  test('what another version wrote, or what is no directory, is refused with the reason', async () => {
    await store[Symbol.asyncDispose]();
    await withLevel((level) => level.put(STATE_KEY, Buffer.from('{"format":2}')));
    await expect(openAt('db')).rejects.toThrow(/format 2 is unknown/);
    await expect(openAt('db/reserve')).rejects.toBeInstanceOf(StoreOpenError);
  });
});

async function withLevel(work: (level: ClassicLevel<Buffer, Buffer>) => Promise<void>): Promise<void> {
  const level = new ClassicLevel<Buffer, Buffer>(join(directory, 'db', 'level'), { keyEncoding: 'buffer', valueEncoding: 'buffer' });
  await level.open();
  try {
    await work(level);
  } finally {
    await level.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  // LevelDB tidies up by itself: a file of the listing may have gone by now.
  const sizeOfFile = (file: string): Promise<number> =>
    stat(join(path, file)).then(
      ({ size }) => size,
      () => 0,
    );
  const sizes = await Promise.all((await readdir(path)).map(sizeOfFile));
  return sizes.reduce((sum, size) => sum + size, 0);
}
