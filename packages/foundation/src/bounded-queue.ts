/** The queue held as many items as it may; the producer decides what that means (end a watcher, drop, refuse). */
export class QueueFullError extends Error {
  override readonly name = 'QueueFullError';
  readonly code = 'QUEUE_FULL';

  constructor(capacity: number) {
    super(`push: queue already holds ${capacity} items`);
  }
}

/**
 * First in, first out between one producer side and one consumer, never beyond `capacity`.
 * The consumer iterates; `close()` ends it after what is queued, `destroy(error)` at once with that error.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #capacity: number;
  readonly #items: T[] = [];
  #head = 0;
  #state: { kind: 'open' } | { kind: 'closed' } | { kind: 'destroyed'; error: unknown } = { kind: 'open' };
  #wake: (() => void) | undefined;

  /** @param capacity An integer >= 1. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError(`capacity must be an integer >= 1, got ${capacity}`);
    this.#capacity = capacity;
  }

  /** Items waiting. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  /** Adds `item`; ignored once closed or destroyed. @throws {QueueFullError} `capacity` items wait already. */
  push(item: T): void {
    if (this.#state.kind !== 'open') return;
    if (this.size >= this.#capacity) throw new QueueFullError(this.#capacity);
    this.#items.push(item);
    this.#signal();
  }

  /** No more items; the consumer still gets those queued. May be called twice. */
  close(): void {
    if (this.#state.kind === 'open') this.#state = { kind: 'closed' };
    this.#signal();
  }

  /** Drops what is queued; the consumer throws `error`. May be called twice; the first error stays. */
  destroy(error: unknown): void {
    if (this.#state.kind !== 'destroyed') this.#state = { kind: 'destroyed', error };
    this.#items.length = 0;
    this.#head = 0;
    this.#signal();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      if (this.#state.kind === 'destroyed') throw this.#state.error;
      if (this.size > 0) {
        yield this.#take();
      } else if (this.#state.kind === 'closed') {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #take(): T {
    const item = this.#items[this.#head] as T;
    this.#head += 1;
    // Shifting an array is linear; compacting once the dead half dominates keeps each take constant on average.
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  #signal(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
