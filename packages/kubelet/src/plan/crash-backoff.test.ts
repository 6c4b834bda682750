import { describe, expect, it } from 'vitest';
import { backoffEndsAtMs, type CrashBackoff, raiseBackoff } from './crash-backoff.ts';

describe('the back-off of a crashing container', () => {
  it('lets the first restart happen at once', () => {
    expect(backoffEndsAtMs(undefined, 5_000)).toBeUndefined();
  });

  it('doubles from 10 s to 300 s and stays there', () => {
    const delays: number[] = [];
    let backoff: CrashBackoff | undefined;
    let endedAtMs = 0;
    for (let crash = 0; crash < 8; crash += 1) {
      backoff = raiseBackoff(backoff, endedAtMs);
      delays.push(backoff.delayMs / 1000);
      endedAtMs = (backoffEndsAtMs(backoff, endedAtMs) ?? 0) + 1_000;
    }
    expect(delays).toEqual([10, 20, 40, 80, 160, 300, 300, 300]);
  });

  it('begins anew after a run of more than ten minutes', () => {
    const long: CrashBackoff = { delayMs: 160_000, raisedAtMs: 0 };
    expect(raiseBackoff(long, 600_000).delayMs).toBe(300_000);
    expect(raiseBackoff(long, 600_001).delayMs).toBe(10_000);
    expect(backoffEndsAtMs(long, 600_001)).toBeUndefined();
  });
});
