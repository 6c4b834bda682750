import { type Backoff, type Clock, retryDelayMs } from '@dure/foundation';

/** What a queue tells about itself. Called synchronously: record and return. */
export interface WorkQueueMetrics {
  /** Keys that wait, after each change. */
  depth?(waiting: number): void;
  /** How long a key waited before a worker took it. */
  waited?(durationMs: number): void;
  /** How long a worker held a key. */
  worked?(durationMs: number): void;
  retried?(): void;
}

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** Delay of {@link WorkQueue.retry}. Default: 5 ms, doubled up to 1000 s. */
  readonly backoff?: Backoff;
  readonly metrics?: WorkQueueMetrics;
}

const BACKOFF: Backoff = { baseMs: 5, maxMs: 1_000_000 };
/** Timers are 32-bit. A key woken too early finds nothing to do and asks again. */
const DELAY_MS_MAX = 2 ** 31 - 1;

/**
 * Keys that need work, first in first out.
 *
 * Fair: keys are handed out in the order they came. Stingy: a key that waits already is not added again, and no key is given to two
 * workers at once. A key added while a worker holds it comes again after `done`: nothing that happened meanwhile is lost.
 * Bounded by the number of distinct keys. Does not promise anything across a restart: whoever fills it lists everything anew.
 * @see client-go, `util/workqueue`
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #metrics: WorkQueueMetrics;
  /** Keys in order, with when each began to wait. Disjoint from `#held`. */
  readonly #waiting = new Map<string, number>();
  /** Keys with workers: when taken, and whether they were added again since. */
  readonly #held = new Map<string, { readonly takenAtMs: number; again: boolean }>();
  readonly #delayed = new Map<string, { readonly dueMs: number; readonly cancel: AbortController }>();
  readonly #failures = new Map<string, number>();
  readonly #idle: (() => void)[] = [];
  #closed = false;

  constructor({ clock, backoff = BACKOFF, metrics = {} }: WorkQueueOptions) {
    this.#clock = clock;
    this.#backoff = backoff;
    this.#metrics = metrics;
  }

  /** Keys that wait, without those held or delayed. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Nothing waits, nothing is held; delayed keys do not count. */
  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#held.size === 0;
  }

  add(key: string): void {
    if (this.#closed) return;
    this.#cancelDelay(key);
    const held = this.#held.get(key);
    if (held !== undefined) {
      held.again = true;
      return;
    }
    if (this.#waiting.has(key)) return;
    this.#waiting.set(key, this.#clock.monotonicMs());
    this.#metrics.depth?.(this.#waiting.size);
    this.#idle.shift()?.();
  }

  /** Adds `key` after `delayMs`. The earliest of several delays counts, and an `add` meanwhile makes it needless. */
  addAfter(key: string, delayMs: number): void {
    if (this.#closed) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const dueMs = this.#clock.monotonicMs() + delayMs;
    const sooner = this.#delayed.get(key);
    if (sooner !== undefined && sooner.dueMs <= dueMs) return;
    sooner?.cancel.abort();
    const delay = { dueMs, cancel: new AbortController() };
    this.#delayed.set(key, delay);
    this.#clock.sleep(Math.min(delayMs, DELAY_MS_MAX), delay.cancel.signal).then(
      () => {
        if (this.#delayed.get(key) === delay) this.add(key);
      },
      // Cancelled: something sooner took its place.
      () => undefined,
    );
  }

  /** Adds `key` after a delay that grows with each failure since `forget`. */
  retry(key: string): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    this.#metrics.retried?.();
    // Beyond this the delay is at its maximum anyway, and 2 ** n would overflow.
    this.addAfter(key, retryDelayMs(Math.min(failures, 64), this.#backoff));
  }

  /** The next failure of `key` is a first one. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Consecutive failures of `key`. */
  failuresOf(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, as soon as there is one; the caller holds it until `done`. @returns `undefined` once closed or `signal` aborted. */
  async next(signal: AbortSignal): Promise<string | undefined> {
    while (!this.#closed && !signal.aborted) {
      const [first] = this.#waiting;
      if (first !== undefined) {
        const [key, sinceMs] = first;
        const nowMs = this.#clock.monotonicMs();
        this.#waiting.delete(key);
        this.#held.set(key, { takenAtMs: nowMs, again: false });
        this.#metrics.depth?.(this.#waiting.size);
        this.#metrics.waited?.(nowMs - sinceMs);
        return key;
      }
      await this.#added(signal);
    }
    return undefined;
  }

  /** Gives back a key from `next`. */
  done(key: string): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    this.#held.delete(key);
    this.#metrics.worked?.(this.#clock.monotonicMs() - held.takenAtMs);
    if (held.again) this.add(key);
  }

  /** No more keys in or out; delays are dropped. May be called twice. */
  close(): void {
    this.#closed = true;
    for (const { cancel } of this.#delayed.values()) cancel.abort();
    this.#delayed.clear();
    this.#waiting.clear();
    for (const wake of this.#idle.splice(0)) wake();
  }

  #cancelDelay(key: string): void {
    const delay = this.#delayed.get(key);
    if (delay === undefined) return;
    this.#delayed.delete(key);
    delay.cancel.abort();
  }

  #added(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        const at = this.#idle.indexOf(wake);
        if (at >= 0) this.#idle.splice(at, 1);
        resolve();
      };
      this.#idle.push(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
