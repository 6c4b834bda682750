import { seededRandom } from '@dure/foundation';
import { expect, test } from 'vitest';
import { compareKeys } from './key-order.ts';
import { SortedKeys } from './sorted-keys.ts';

/** Byte by byte, as etcd and LevelDB order keys. */
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

test('keys compare as their UTF-8 bytes do', () => {
  const keys = [
    '',
    'a',
    'ab',
    'b',
    '/',
    '\u00e9',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{1f600}',
    '\u{1f600}a',
    'a\u{1f600}',
    'a\uffff',
  ];
  for (const a of keys) for (const b of keys) expect(Math.sign(compareKeys(a, b)), `${a} ${b}`).toBe(byBytes(a, b));
});

test('thousands of keys stay in order while some come and go, and prefixes find theirs', () => {
  const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`sorted keys: DURE_SEED=${seed}`);
  const random = seededRandom(seed);
  const keys = new SortedKeys();
  const model = new Set<string>();
  for (let step = 0; step < 6000; step += 1) {
    const key = `/${'abc'[random.integer(3)]}/${random.integer(2500)}`;
    if (random.integer(4) === 0) {
      keys.delete(key);
      model.delete(key);
    } else {
      keys.add(key);
      model.add(key);
    }
  }
  const all = [...model].sort(byBytes);
  expect(all.length).toBeGreaterThan(2000);
  expect([...keys.under('')]).toEqual(all);
  for (const prefix of ['/', '/b', '/b/', '/b/1', '/c/99', '/d/', '0'])
    for (const after of [undefined, '/b/1000', '/b/1', '/z', '']) {
      const expected = all.filter((key) => key.startsWith(prefix) && (after === undefined || byBytes(key, after) > 0));
      expect([...keys.under(prefix, after)], `${prefix} after ${after}`).toEqual(expected);
    }
  for (const key of all) keys.delete(key);
  expect([...keys.under('')]).toEqual([]);
});
