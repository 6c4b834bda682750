import { describe, expect, it } from 'vitest';
import { quantile } from './pod-start-bench.ts';

describe('quantile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

  it.each([
    [0.5, 50],
    [0.99, 99],
    [1, 100],
  ])('%d of 1 to 100 is %d', (at, value) => {
    expect(quantile(hundred, at)).toBe(value);
  });

  it('of a few is one of them', () => {
    expect(quantile([3, 1, 2], 0.99)).toBe(3);
    expect(quantile([7], 0.5)).toBe(7);
  });
});
