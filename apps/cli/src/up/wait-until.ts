import { type Clock, messageOf } from '@dure/foundation';

/** What was waited for did not come in time. `cause` is the last failure of the check. */
export class WaitTimeoutError extends Error {
  override readonly name = 'WaitTimeoutError';
  readonly code = 'WAIT_TIMEOUT';
}

export interface WaitOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly everyMs: number;
  readonly signal: AbortSignal;
}

/** Asks `check` until it gives a value; what it throws counts as not yet. @throws {WaitTimeoutError} */
export async function waitUntil<T>(
  what: string,
  check: () => Promise<T | undefined>,
  { clock, timeoutMs, everyMs, signal }: WaitOptions,
): Promise<T> {
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  let last: unknown;
  for (;;) {
    const value = await check().catch((error: unknown) => {
      last = error;
      return undefined;
    });
    if (value !== undefined) return value;
    signal.throwIfAborted();
    if (clock.monotonicMs() >= deadlineMs) {
      throw new WaitTimeoutError(`waited ${timeoutMs / 1000} s for ${what}${last === undefined ? '' : `: ${messageOf(last)}`}`, {
        cause: last,
      });
    }
    await clock.sleep(everyMs, signal);
  }
}
