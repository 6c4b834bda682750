import type { Progress, Revision, StoreEvent } from './contract.ts';
import { SlowWatcherError } from './errors.ts';

/** What one watcher has still to take: events in order, and progress once none is left. Holds at most `capacity` events. */
export class WatchQueue {
  readonly prefix: string;
  readonly #capacity: number;
  #events: StoreEvent[] = [];
  #progress: Revision | undefined;
  #end: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(prefix: string, capacity: number) {
    this.prefix = prefix;
    this.#capacity = capacity;
  }

  /** Nothing more will be taken in. */
  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Ends the watch with {@link SlowWatcherError} instead, if `event` is one too many. */
  push(event: StoreEvent): void {
    if (this.#end !== undefined) return;
    if (this.#events.length >= this.#capacity) {
      this.end({ error: new SlowWatcherError(this.prefix, this.#capacity) });
      return;
    }
    this.#events.push(event);
    this.#signal();
  }

  /** Everything at or before `revision` has been pushed. */
  progress(revision: Revision): void {
    this.#progress = revision;
    this.#signal();
  }

  /** Drops what waits; the consumer throws `error`, or just ends. The first end stays. */
  end(how: { readonly error?: unknown }): void {
    this.#end ??= how;
    this.#events = [];
    this.#signal();
  }

  async *take(): AsyncGenerator<readonly StoreEvent[] | Progress, void, undefined> {
    for (;;) {
      if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      }
      if (this.#events.length > 0) {
        const events = this.#events;
        this.#events = [];
        yield events;
      } else if (this.#progress !== undefined) {
        const revision = this.#progress;
        this.#progress = undefined;
        yield { kind: 'progress', revision };
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #signal(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
