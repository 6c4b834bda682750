import type { Clock } from '@dure/foundation';

/** Says what is being waited for and how long it took, one line each. */
export class Progress {
  readonly #clock: Clock;
  readonly #write: (line: string) => void;

  constructor(clock: Clock, write: (line: string) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  say(line: string): void {
    this.#write(line);
  }

  /** Runs `work`, announced before and timed after it. */
  async step<T>(what: string, work: () => Promise<T>): Promise<T> {
    const startedMs = this.#clock.monotonicMs();
    this.#write(`${what} ...`);
    const result = await work();
    this.#write(`${what}: done in ${((this.#clock.monotonicMs() - startedMs) / 1000).toFixed(1)} s`);
    return result;
  }
}
