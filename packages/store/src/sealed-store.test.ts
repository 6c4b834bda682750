import { expect, test } from 'vitest';
import { RevisionConflictError, StoreSealedError } from './errors.ts';
import { openMemoryStore } from './memory-store.ts';
import { SealedStore, type ValueSealer } from './sealed-store.ts';
import { ABSENT, collectEvents, plain, text } from './testing/store-reading.ts';
import { describeStore } from './testing/store-suite.ts';

/** Turns each bit round and puts the key before it. */
const turning: ValueSealer = {
  async seal(key, value) {
    return Buffer.concat([Buffer.from(`${key}|`), value.map((byte) => byte ^ 0xff)]);
  },
  async open(key, stored) {
    const head = Buffer.from(`${key}|`);
    if (Buffer.compare(head, stored.subarray(0, head.length)) !== 0) throw new StoreSealedError(key, 'sealed for another key');
    return { value: stored.subarray(head.length).map((byte) => byte ^ 0xff), stale: false };
  },
};

describeStore(
  'sealed over memory',
  async () => ({
    open: async (options) => new SealedStore(openMemoryStore(options), turning),
    async [Symbol.asyncDispose]() {},
  }),
  { isPersistent: false },
);

test('nothing passes by the sealer, whichever way it is read', async () => {
  const inner = openMemoryStore();
  await using store = new SealedStore(inner, turning);
  const first = await store.append({ kind: 'put', key: '/a', value: text('one') }, ABSENT, 'durable');
  const second = await store.append({ kind: 'put', key: '/a', value: text('two') }, first, 'durable');
  expect(plain(await inner.get('/a'))?.value).not.toContain('two');
  const conflict = await store.append({ kind: 'put', key: '/a', value: text('x') }, first, 'durable').catch((error: unknown) => error);
  expect(plain((conflict as RevisionConflictError).winner)).toMatchObject({ value: 'two' });
  expect(conflict).toBeInstanceOf(RevisionConflictError);
  await store.append({ kind: 'delete', key: '/a' }, second, 'durable');
  const events = await collectEvents(store, '/', ABSENT);
  expect(events.map(({ previous }) => plain(previous)?.value)).toEqual([undefined, 'one', 'two']);
  expect(events.flatMap((event) => (event.kind === 'put' ? [plain(event.entry).value] : []))).toEqual(['one', 'two']);
});

test('what cannot be opened ends reads and watches with the reason, and no others', async () => {
  const inner = openMemoryStore();
  await using store = new SealedStore(inner, turning);
  await inner.append({ kind: 'put', key: '/bad/a', value: text('clear') }, ABSENT, 'durable');
  await store.append({ kind: 'put', key: '/good/a', value: text('one') }, ABSENT, 'durable');
  await expect(store.get('/bad/a')).rejects.toBeInstanceOf(StoreSealedError);
  await expect(store.list('/')).rejects.toThrow('transform /bad/a: sealed for another key');
  await expect(collectEvents(store, '/bad/', ABSENT)).rejects.toBeInstanceOf(StoreSealedError);
  expect((await store.list('/good/')).entries).toHaveLength(1);
});
