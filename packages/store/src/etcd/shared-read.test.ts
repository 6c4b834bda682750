import { expect, test } from 'vitest';
import { SharedRead } from './shared-read.ts';

test('callers during a read share the next one, and nobody gets a read that began before the call', async () => {
  const ends: ((value: number) => void)[] = [];
  const shared = new SharedRead(() => new Promise<number>((resolve) => ends.push(resolve)));
  const first = shared.get();
  const later = [shared.get(), shared.get(), shared.get()];
  expect(ends).toHaveLength(1);
  ends[0]?.(1);
  expect(await first).toBe(1);
  await expect.poll(() => ends.length).toBe(2);
  const last = shared.get();
  ends[1]?.(2);
  expect(await Promise.all(later)).toEqual([2, 2, 2]);
  await expect.poll(() => ends.length).toBe(3);
  ends[2]?.(3);
  expect(await last).toBe(3);
});

test('a failed read fails those who share it, and the next is tried anew', async () => {
  let reads = 0;
  const shared = new SharedRead(async () => {
    reads += 1;
    if (reads < 3) throw new Error(`read ${reads}`);
    return reads;
  });
  const calls = [shared.get(), shared.get(), shared.get()];
  expect((await Promise.allSettled(calls)).map((result) => (result.status === 'rejected' ? result.reason.message : ''))).toEqual([
    'read 1',
    'read 2',
    'read 2',
  ]);
  expect(await shared.get()).toBe(3);
});
