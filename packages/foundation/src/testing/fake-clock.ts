import type { Clock } from '../clock.ts';

interface Sleeper {
  readonly dueMs: number;
  readonly order: number;
  readonly wake: () => void;
}

/** A clock that moves only when told to. Sleepers wake in the order of their due times. */
export class FakeClock implements Clock {
  #elapsedMs = 0;
  #order = 0;
  #wallOffsetMs: number;
  readonly #sleepers = new Set<Sleeper>();

  /** @param startMs Wall time at the start, milliseconds since 1970. */
  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#wallOffsetMs = startMs;
  }

  now(): number {
    return this.#wallOffsetMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  /** How many sleeps wait. Lets a test wait for the code under test to have reached its sleep. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        dueMs: this.#elapsedMs + Math.max(ms, 0),
        order: this.#order++,
        wake: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#sleepers.add(sleeper);
    });
  }

  /** Moves time on by `ms`, waking sleepers one after the other and letting what they start run in between. */
  async advance(ms: number): Promise<void> {
    const targetMs = this.#elapsedMs + ms;
    await settle();
    for (let next = this.#nextBy(targetMs); next !== undefined; next = this.#nextBy(targetMs)) {
      this.#elapsedMs = next.dueMs;
      this.#sleepers.delete(next);
      next.wake();
      await settle();
    }
    this.#elapsedMs = targetMs;
    await settle();
  }

  /** Sets wall time only, as an operator or NTP would. */
  jumpTo(wallMs: number): void {
    this.#wallOffsetMs = wallMs - this.#elapsedMs;
  }

  #nextBy(targetMs: number): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (sleeper.dueMs > targetMs) continue;
      if (first === undefined || sleeper.dueMs < first.dueMs || (sleeper.dueMs === first.dueMs && sleeper.order < first.order))
        first = sleeper;
    }
    return first;
  }
}

/** Lets promises, and the immediates they schedule, run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
