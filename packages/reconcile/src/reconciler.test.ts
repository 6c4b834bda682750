import { conflict } from '@dure/api';
import { type Logger, silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, it } from 'vitest';
import { type Reconciler, runReconciler, TerminalError } from './reconciler.ts';
import { WorkQueue } from './work-queue.ts';

function setUp(reconciler: Reconciler, workers = 1) {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock });
  const stop = new AbortController();
  const logged: string[] = [];
  const at = (level: string) => (message: string) => void logged.push(`${level} ${message}`);
  const log: Logger = { ...silentLogger, debug: at('debug'), warn: at('warn'), error: at('error'), child: () => log };
  const ended = runReconciler({ name: 'test', reconciler, queue, workers, clock, log }, stop.signal);
  return { clock, queue, stop, ended, logged };
}

describe('runReconciler', () => {
  it('runs a key again after the time it asked for', async () => {
    let passes = 0;
    const { clock, queue } = setUp(async () => {
      passes += 1;
      return passes === 1 ? { requeueAfterMs: 1_000 } : {};
    });
    queue.add('a');
    await clock.advance(999);
    expect(passes).toBe(1);
    await clock.advance(60_000);
    expect(passes).toBe(2);
  });

  it('retries what failed, later each time, and forgets failures after a success', async () => {
    const at: number[] = [];
    const { clock, queue, logged } = setUp(async () => {
      at.push(clock.monotonicMs());
      if (at.length < 4) throw new Error('not yet');
      return {};
    });
    queue.add('a');
    await clock.advance(10_000);
    expect(at).toEqual([0, 5, 15, 35]);
    expect(queue.failuresOf('a')).toBe(0);
    expect(logged).toEqual(Array(3).fill('warn reconcile failed, trying again'));
  });

  it('does not retry a TerminalError, and does not cry over a Conflict', async () => {
    let passes = 0;
    const { clock, queue, logged } = setUp(async (key) => {
      passes += 1;
      if (key === 'bad') throw new TerminalError('impossible');
      if (passes === 2) throw conflict({ group: '', resource: 'pods' }, key);
      return {};
    });
    queue.add('bad');
    queue.add('stale');
    await clock.advance(10_000);
    expect(passes).toBe(3);
    expect(logged).toEqual(['error reconcile cannot succeed', 'debug reconcile met a newer state, trying again']);
  });

  it('settles only when running passes have ended, and passes them the abort', async () => {
    let cleaned = false;
    const { clock, queue, stop, ended } = setUp(async (_key, signal) => {
      await clock.sleep(1_000_000, signal).catch(() => undefined);
      await clock.sleep(10);
      cleaned = true;
      return {};
    });
    queue.add('a');
    await clock.advance(5);
    stop.abort();
    let settled = false;
    void ended.then(() => {
      settled = true;
    });
    await clock.advance(5);
    expect(settled).toBe(false);
    await clock.advance(10);
    expect([settled, cleaned]).toEqual([true, true]);
  });

  it('works on several keys at once, but never twice on one', async () => {
    const running = new Set<string>();
    let most = 0;
    const { clock, queue } = setUp(async (key) => {
      if (running.has(key)) throw new Error(`${key} twice`);
      running.add(key);
      most = Math.max(most, running.size);
      await clock.sleep(10);
      running.delete(key);
      return {};
    }, 3);
    for (let round = 0; round < 5; round += 1) {
      for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
      await clock.advance(3);
    }
    await clock.advance(1_000);
    expect(most).toBe(3);
    expect(queue.isIdle).toBe(true);
  });
});
