import { performance } from 'node:perf_hooks';

/**
 * Time, passed in so that tests and the simulation own it.
 * Wall time goes into objects; monotonic time measures durations and drives timeouts.
 */
export interface Clock {
  /** Wall time in milliseconds since 1970. May jump. */
  now(): number;
  /** Milliseconds since an arbitrary start. Never goes back. */
  monotonicMs(): number;
  /** Resolves after `ms` of monotonic time. @throws the signal's reason once it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Node's timers take no longer time, and end at once when given one. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The machine's own clock. Its sleeps do not keep the process alive past `signal`. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep(ms, signal) {
    // Node's own promise of a timer wraps the reason in an AbortError, whose stack costs every request that ends before its deadline.
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      let timer: NodeJS.Timeout;
      const wait = (leftMs: number): void => {
        timer = setTimeout(
          () => {
            if (leftMs > TIMER_MS_MAX) return wait(leftMs - TIMER_MS_MAX);
            signal?.removeEventListener('abort', onAbort);
            resolve();
          },
          Math.min(leftMs, TIMER_MS_MAX),
        );
      };
      wait(ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
};

/** RFC 3339 in whole seconds, the form of `metav1.Time`. @param wallMs Milliseconds since 1970. */
export function rfc3339Seconds(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}

/** RFC 3339 with six decimals, the form of `metav1.MicroTime`. @param wallMs Milliseconds since 1970. */
export function rfc3339Micros(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 23)}000Z`;
}
