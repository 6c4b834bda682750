import { describe, expect, it } from 'vitest';
import { retryDelayMs } from './backoff.ts';

describe('retryDelayMs', () => {
  const bounds = { baseMs: 5, maxMs: 1_000_000 };

  it.each([
    [1, 5],
    [2, 10],
    [3, 20],
    [18, 655_360],
    [19, 1_000_000],
    [5000, 1_000_000],
  ])('waits after %i failures %i ms', (failures, delayMs) => {
    expect(retryDelayMs(failures, bounds)).toBe(delayMs);
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses %d failures', (failures) => {
    expect(() => retryDelayMs(failures, bounds)).toThrow(RangeError);
  });
});
