import type { Clock } from '@dure/foundation';

/** Wakes one waiter: by {@link kick}, or when time has come. A kick while nobody waits is kept. */
export class Wake {
  #kicked = false;
  #resolve: (() => void) | undefined;

  kick(): void {
    this.#kicked = true;
    this.#resolve?.();
  }

  /** Resolves at the next kick, at `atMs` (wall time), or when `signal` aborts. */
  async wait(clock: Clock, atMs: number | undefined, signal: AbortSignal): Promise<void> {
    const isDue = atMs !== undefined && atMs <= clock.now();
    if (!this.#kicked && !isDue && !signal.aborted) {
      const done = new AbortController();
      const kicked = new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
      const stop = AbortSignal.any([signal, done.signal]);
      const waits: Promise<void>[] = [kicked, new Promise((resolve) => stop.addEventListener('abort', () => resolve(), { once: true }))];
      if (atMs !== undefined) waits.push(clock.sleep(Math.max(atMs - clock.now(), 0), stop).catch(() => undefined));
      await Promise.race(waits);
      this.#resolve = undefined;
      done.abort();
    }
    this.#kicked = false;
  }
}
