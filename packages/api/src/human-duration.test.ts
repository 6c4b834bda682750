import { describe, expect, it } from 'vitest';
import { formatGoDuration, parseGoDurationMs } from './go-duration.ts';
import { formatAge, humanDuration } from './human-duration.ts';

const S = 1000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;

describe('durations for people', () => {
  it.each([
    [-1.5 * S, '0s'],
    [-3 * S, '<invalid>'],
    [0, '0s'],
    [119 * S, '119s'],
    [2 * M, '2m'],
    [5 * M + 32 * S, '5m32s'],
    [10 * M + 5 * S, '10m'],
    [179 * M, '179m'],
    [3 * H, '3h'],
    [3 * H + 12 * M, '3h12m'],
    [8 * H + 30 * M, '8h'],
    [47 * H, '47h'],
    [2 * D, '2d'],
    [3 * D + 4 * H, '3d4h'],
    [9 * D + 4 * H, '9d'],
    [400 * D, '400d'],
    [2 * 365 * D, '2y'],
    [3 * 365 * D + 5 * D, '3y5d'],
    [9 * 365 * D + 5 * D, '9y'],
  ])('%d ms is %s', (durationMs, text) => {
    expect(humanDuration(durationMs)).toBe(text);
  });

  it('gives the age of a time, and says when there is none', () => {
    expect(formatAge('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:01:00Z'))).toBe('60s');
    expect(formatAge('', 0)).toBe('<unknown>');
    expect(formatAge(null, 0)).toBe('<unknown>');
  });
});

describe('durations in fields', () => {
  it.each([
    ['1h30m', 5_400_000, '1h30m0s'],
    ['1.5s', 1500, '1.5s'],
    ['250ms', 250, '250ms'],
    ['0', 0, '0s'],
    ['-2m', -120_000, '-2m0s'],
    ['100us', 0.1, '100µs'],
  ])('%s is %d ms, written %s', (text, durationMs, canonical) => {
    expect(parseGoDurationMs(text)).toBeCloseTo(durationMs);
    expect(formatGoDuration(durationMs)).toBe(canonical);
  });

  it.each(['', '1', 'x', '1d', '1h 2m', 'h'])('refuses %j', (text) => {
    expect(parseGoDurationMs(text)).toBeUndefined();
  });
});
