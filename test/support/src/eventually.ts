import { setTimeout as sleep } from 'node:timers/promises';

const EVERY_MS = 100;

/** Asks `check` until it gives a value that is not `undefined`; what it throws counts as not yet. @throws {Error} naming `what` and the last failure. */
export async function eventually<T>(what: string, check: () => Promise<T | undefined>, timeoutMs = 30_000): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value !== undefined) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs / 1000} s`, { cause: last });
    await sleep(EVERY_MS);
  }
}
