import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom, silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Entry, Revision, Store } from './contract.ts';
import { openEmbeddedStore } from './embedded-store.ts';
import { StoreFullError } from './errors.ts';

const ABSENT = 0 as Revision;
const DISK_MB = 96;
const VALUE_BYTES = 40_000;

let directory: string;
let isMounted = false;
// Values that LevelDB cannot compress.
const random = seededRandom(1);

beforeEach(async (context) => {
  if (process.getuid?.() !== 0) context.skip('mounting a small disk needs root');
  directory = await mkdtemp(join(tmpdir(), `dure-full-${process.pid}-`));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m`, 'tmpfs', directory]);
  isMounted = true;
});

afterEach(async () => {
  if (isMounted) execFileSync('umount', [directory]);
  isMounted = false;
  await rm(directory, { recursive: true, force: true });
});

const openHere = (): Promise<Store> => openEmbeddedStore({ directory: join(directory, 'db'), clock: new FakeClock(), log: silentLogger });

test('a store that fills its disk refuses puts, reads and deletes on, and takes puts again once there is room', async () => {
  const standing = new Map<string, Revision>();
  let store = await openHere();
  try {
    const lease = await store.append({ kind: 'put', key: '/leases/a', value: Buffer.from('one') }, ABSENT, 'durable');
    await fill(store, standing);
    expect(standing.size).toBeGreaterThan(300);

    await expect(store.append(put('/pods/more'), ABSENT, 'durable')).rejects.toBeInstanceOf(StoreFullError);
    await expectAll(store, standing);
    const renewed = await store.append({ kind: 'put', key: '/leases/a', value: Buffer.from('two') }, lease, 'volatile');
    expect(Buffer.from((await store.get('/leases/a'))?.value ?? []).toString()).toBe('two');

    await store[Symbol.asyncDispose]();
    store = await openHere();
    await expectAll(store, standing);
    expect(Buffer.from((await store.get('/leases/a'))?.value ?? []).toString()).toBe('two');

    for (const [key, revision] of [...standing].slice(0, standing.size - 20)) {
      await store.append({ kind: 'delete', key }, revision, 'durable');
      standing.delete(key);
    }
    await expectAll(store, standing);
    await store.compact(await store.revision());
    await expectAll(store, standing);

    standing.set('/pods/again', await store.append(put('/pods/again'), ABSENT, 'durable'));
    await store[Symbol.asyncDispose]();
    store = await openHere();
    await expectAll(store, standing);
    expect((await store.get('/leases/a'))?.modifiedAt).toBe(renewed);
  } finally {
    await store[Symbol.asyncDispose]();
  }
});

test('a disk filled by somebody else is survived, and so is a crash on it', async () => {
  const standing = new Map<string, Revision>();
  const store = await openHere();
  try {
    for (let at = 0; at < 50; at += 1) standing.set(`/pods/${at}`, await store.append(put(`/pods/${at}`), ABSENT, 'durable'));
    await writeFile(join(directory, 'filler'), random.bytes(DISK_MB << 20)).catch(() => {});
    await fill(store, standing);
    await expectAll(store, standing);
    // What a kill would leave: the files as they are now.
    const copy = `${directory}-crashed`;
    execFileSync('mkdir', [copy]);
    execFileSync('cp', ['-r', join(directory, 'db'), copy]);
    try {
      await using crashed = await openEmbeddedStore({
        directory: join(copy, 'db'),
        clock: new FakeClock(),
        log: silentLogger,
        reserveBytes: 4 << 20,
      });
      await expectAll(crashed, standing);
      expect(await crashed.count('/pods/')).toBe(standing.size);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
    await rm(join(directory, 'filler'));
    standing.set('/pods/after', await store.append(put('/pods/after'), ABSENT, 'durable'));
    await expectAll(store, standing);
  } finally {
    await store[Symbol.asyncDispose]();
  }
});

function put(key: string): { kind: 'put'; key: string; value: Uint8Array } {
  return { kind: 'put', key, value: random.bytes(VALUE_BYTES) };
}

/** Puts until nothing more goes in: LevelDB frees a little space by itself after the first refusal. */
async function fill(store: Store, standing: Map<string, Revision>): Promise<void> {
  for (let at = 0, refusals = 0; refusals < 5; at += 1) {
    const key = `/pods/filling-${at}`;
    try {
      standing.set(key, await store.append(put(key), ABSENT, 'durable'));
      refusals = 0;
    } catch (error) {
      expect(error).toBeInstanceOf(StoreFullError);
      refusals += 1;
    }
  }
}

async function expectAll(store: Store, standing: ReadonlyMap<string, Revision>): Promise<void> {
  const { entries } = await store.list('/pods/');
  expect(entries.map(({ key, modifiedAt }: Entry) => `${key}@${modifiedAt}`).toSorted()).toEqual(
    [...standing].map(([key, revision]) => `${key}@${revision}`).toSorted(),
  );
  for (const { value } of entries) expect(value.length).toBe(VALUE_BYTES);
}
