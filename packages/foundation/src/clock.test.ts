import { afterEach, describe, expect, it, vi } from 'vitest';
import { rfc3339Micros, rfc3339Seconds, systemClock } from './clock.ts';
import { FakeClock } from './testing/fake-clock.ts';

describe('FakeClock', () => {
  it('wakes sleepers in the order of their due times, and what they start in between', async () => {
    const clock = new FakeClock();
    const woken: string[] = [];
    const late = clock.sleep(30).then(() => woken.push(`late at ${clock.monotonicMs()}`));
    const early = clock
      .sleep(10)
      .then(() => woken.push(`early at ${clock.monotonicMs()}`))
      .then(() => clock.sleep(5))
      .then(() => woken.push(`again at ${clock.monotonicMs()}`));
    await clock.advance(29);
    expect(woken).toEqual(['early at 10', 'again at 15']);
    await clock.advance(1);
    await Promise.all([late, early]);
    expect(woken).toEqual(['early at 10', 'again at 15', 'late at 30']);
  });

  it('rejects with the reason of an abort and forgets the sleeper', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const sleep = clock.sleep(1000, controller.signal);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(sleep).rejects.toBe(reason);
    expect(clock.sleeping).toBe(0);
  });

  it('moves wall time alone on a jump', () => {
    const clock = new FakeClock(0);
    clock.jumpTo(5000);
    expect([clock.now(), clock.monotonicMs()]).toEqual([5000, 0]);
  });
});

describe('systemClock', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('sleeps longer than a timer of Node can', async () => {
    vi.useFakeTimers();
    const days = (count: number): number => count * 86_400_000;
    const controller = new AbortController();
    let woken = false;
    const sleep = systemClock.sleep(days(60)).then(() => {
      woken = true;
    });
    const other = systemClock.sleep(days(60), controller.signal);
    await vi.advanceTimersByTimeAsync(days(59));
    expect(woken).toBe(false);
    controller.abort(new Error('enough'));
    await expect(other).rejects.toThrow('enough');
    await vi.advanceTimersByTimeAsync(days(1));
    await sleep;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('throws the reason that the signal was aborted with', async () => {
    const controller = new AbortController();
    const sleep = systemClock.sleep(60_000, controller.signal);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(sleep).rejects.toBe(reason);
    await expect(systemClock.sleep(1, controller.signal)).rejects.toBe(reason);
  });
});

describe('timestamps', () => {
  it('prints metav1.Time and metav1.MicroTime', () => {
    const wallMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
    expect(rfc3339Seconds(wallMs)).toBe('2026-01-02T03:04:05Z');
    expect(rfc3339Micros(wallMs)).toBe('2026-01-02T03:04:05.678000Z');
  });
});
