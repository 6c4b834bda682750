import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, it } from 'vitest';
import { WorkQueue } from './work-queue.ts';

const never = new AbortController().signal;

function setUp() {
  const clock = new FakeClock();
  return { clock, queue: new WorkQueue({ clock }) };
}

describe('work queue', () => {
  it('hands keys out in order, each once', async () => {
    const { queue } = setUp();
    for (const key of ['b', 'a', 'b', 'c', 'a']) queue.add(key);
    expect(queue.size).toBe(3);
    expect([await queue.next(never), await queue.next(never), await queue.next(never)]).toEqual(['b', 'a', 'c']);
  });

  it('never gives a key to two workers, and gives it again after done', async () => {
    const { queue } = setUp();
    queue.add('a');
    await queue.next(never);
    queue.add('a');
    queue.add('a');
    expect(queue.size).toBe(0);
    queue.done('a');
    expect(queue.size).toBe(1);
    expect(await queue.next(never)).toBe('a');
    queue.done('a');
    expect(queue.isIdle).toBe(true);
  });

  it('wakes a waiting worker per key', async () => {
    const { queue } = setUp();
    const first = queue.next(never);
    const second = queue.next(never);
    queue.add('a');
    queue.add('b');
    expect(new Set(await Promise.all([first, second]))).toEqual(new Set(['a', 'b']));
  });

  it('adds after a delay, the earliest of several', async () => {
    const { clock, queue } = setUp();
    queue.addAfter('a', 100);
    queue.addAfter('a', 50);
    queue.addAfter('a', 80);
    await clock.advance(49);
    expect(queue.size).toBe(0);
    await clock.advance(1);
    expect(queue.size).toBe(1);
    await queue.next(never);
    queue.done('a');
    await clock.advance(1_000);
    expect(queue.size).toBe(0);
    expect(clock.sleeping).toBe(0);
  });

  it('forgets a delay when the key is added meanwhile', async () => {
    const { clock, queue } = setUp();
    queue.addAfter('a', 100);
    queue.add('a');
    await queue.next(never);
    queue.done('a');
    await clock.advance(200);
    expect(queue.size).toBe(0);
  });

  it('doubles the delay with each failure, until forgotten', async () => {
    const { clock, queue } = setUp();
    const delays: number[] = [];
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const beforeMs = clock.monotonicMs();
      queue.retry('a');
      const next = queue.next(never);
      await clock.advance(1_000);
      await next;
      queue.done('a');
      delays.push(clock.monotonicMs() - beforeMs);
    }
    expect(queue.failuresOf('a')).toBe(4);
    queue.retry('a');
    await clock.advance(79);
    expect(queue.size).toBe(0);
    await clock.advance(1);
    expect(queue.size).toBe(1);
    queue.forget('a');
    expect(queue.failuresOf('a')).toBe(0);
    for (let attempt = 0; attempt < 200; attempt += 1) queue.retry('b');
  });

  it('lets workers go on abort and on close', async () => {
    const { queue } = setUp();
    const stop = new AbortController();
    const waiting = queue.next(stop.signal);
    stop.abort();
    expect(await waiting).toBeUndefined();
    const other = queue.next(never);
    queue.close();
    expect(await other).toBeUndefined();
    queue.add('a');
    expect(await queue.next(never)).toBeUndefined();
  });

  it('is not lost on a worker that aborted', async () => {
    const { queue } = setUp();
    const stop = new AbortController();
    const gone = queue.next(stop.signal);
    const staying = queue.next(never);
    stop.abort();
    await gone;
    queue.add('a');
    expect(await staying).toBe('a');
  });

  it('tells its metrics', async () => {
    const clock = new FakeClock();
    const told: string[] = [];
    const queue = new WorkQueue({
      clock,
      metrics: {
        depth: (waiting) => told.push(`depth ${waiting}`),
        waited: (ms) => told.push(`waited ${ms}`),
        worked: (ms) => told.push(`worked ${ms}`),
        retried: () => told.push('retried'),
      },
    });
    queue.add('a');
    await clock.advance(30);
    await queue.next(never);
    await clock.advance(7);
    queue.done('a');
    queue.retry('a');
    expect(told).toEqual(['depth 1', 'depth 0', 'waited 30', 'worked 7', 'retried']);
  });
});
