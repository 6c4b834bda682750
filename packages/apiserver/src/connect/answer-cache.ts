import type { Clock } from '@dure/foundation';

/** More than so many answers are not kept; the one that was put in first goes. */
const ENTRIES_MAX = 8192;

/** Remembers answers for a while, bounded in number. */
export class AnswerCache<Answer> {
  readonly #clock: Clock;
  readonly #entries = new Map<string, { readonly answer: Answer; readonly endsMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: string): Answer | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.endsMs > this.#clock.monotonicMs()) return entry.answer;
    this.#entries.delete(key);
    return undefined;
  }

  /** @param forMs 0 or less: not kept. */
  put(key: string, answer: Answer, forMs: number): void {
    if (forMs <= 0) return;
    this.#entries.delete(key);
    this.#entries.set(key, { answer, endsMs: this.#clock.monotonicMs() + forMs });
    if (this.#entries.size <= ENTRIES_MAX) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
