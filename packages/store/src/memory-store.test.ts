import { FakeClock } from '@dure/foundation/testing';
import { expect, test } from 'vitest';
import type { Revision } from './contract.ts';
import { CompactedError } from './errors.ts';
import { openMemoryStore } from './memory-store.ts';
import { ABSENT, collectEvents, plain, text } from './testing/store-reading.ts';
import { describeStore } from './testing/store-suite.ts';

describeStore(
  'memory',
  async () => ({
    open: async (options) => openMemoryStore(options),
    async [Symbol.asyncDispose]() {},
  }),
  { isPersistent: false },
);

test.each([{ historyMax: 100 }, { historyBytesMax: 1000 }])('history has a bound when nobody compacts: %o', async (limits) => {
  await using store = openMemoryStore(limits);
  const first = await store.append({ kind: 'put', key: '/pods/still', value: text('here') }, ABSENT, 'durable');
  let standing = ABSENT;
  for (let at = 0; at < 300; at += 1)
    standing = await store.append({ kind: 'put', key: '/pods/a', value: text('0123456789') }, standing, 'durable');
  await expect(collectEvents(store, '', first)).rejects.toBeInstanceOf(CompactedError);
  expect((await collectEvents(store, '', (standing - 20) as Revision)).length).toBe(20);
  expect(plain(await store.get('/pods/still'))).toMatchObject({ value: 'here', modifiedAt: first });
  expect(await store.count('/pods/')).toBe(2);
});

test('a watch gets progress from time to time without anybody asking', async () => {
  const clock = new FakeClock();
  await using store = openMemoryStore({ clock });
  const made = await store.append({ kind: 'put', key: '/pods/a', value: text('one') }, ABSENT, 'durable');
  const stop = new AbortController();
  const told = store.watch('/quiet/', ABSENT, stop.signal)[Symbol.asyncIterator]().next();
  await clock.advance(60_000);
  expect((await told).value).toEqual({ kind: 'progress', revision: made });
  stop.abort();
});
