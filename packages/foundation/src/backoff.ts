/** Bounds of an exponential delay. `baseMs` <= `maxMs`. */
export interface Backoff {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * Delay before a thing is tried again: `baseMs` after the first failure, doubled after each further one, at most `maxMs`.
 * @param failures Consecutive failures so far, an integer >= 1. @throws {RangeError} It is not.
 * @see client-go, `TypedItemExponentialFailureRateLimiter`.
 */
export function retryDelayMs(failures: number, { baseMs, maxMs }: Backoff): number {
  if (!Number.isInteger(failures) || failures < 1) throw new RangeError(`failures must be an integer >= 1, got ${failures}`);
  return Math.min(baseMs * 2 ** (failures - 1), maxMs);
}
