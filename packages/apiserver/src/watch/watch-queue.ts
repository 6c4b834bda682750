import type { Feed } from './feed.ts';

export interface WatchQueueLimits {
  readonly events: number;
  /** Of what the events that wait hold: they keep objects in memory that everybody else has forgotten. */
  readonly bytes: number;
}

interface Waiting<T> {
  readonly item: T;
  readonly bytes: number;
}

/** What one watcher has still to take, within bounds. What is added wakes nobody: whoever adds says when, so that events that come together are taken together. */
export class WatchQueue<T> implements Feed<T> {
  readonly #limits: WatchQueueLimits;
  #items: Waiting<T>[] = [];
  #head = 0;
  #bytes = 0;
  #isClosed = false;
  #error: unknown;
  #wake: (() => void) | undefined;

  constructor(limits: WatchQueueLimits) {
    this.#limits = limits;
  }

  get isOver(): boolean {
    return this.#isClosed && this.#head === this.#items.length;
  }

  /** False where it is full. Ignored once closed. */
  add(item: T, bytes: number): boolean {
    if (this.#isClosed) return true;
    const count = this.#items.length - this.#head;
    // One event alone may be as large as it likes: it has to come through some time.
    if (count >= this.#limits.events || (count > 0 && this.#bytes + bytes > this.#limits.bytes)) return false;
    this.#put(item, bytes);
    return true;
  }

  /** What was there before the watcher came; its own bound holds, not this one's. */
  addBacklog(item: T, bytes: number): void {
    this.#put(item, bytes);
  }

  wake(): void {
    this.#wake?.();
  }

  /** No more is added; what waits can still be taken. */
  close(): void {
    this.#isClosed = true;
    this.wake();
  }

  /** Forgets what waits; the reader is thrown `error`. */
  destroy(error: unknown): void {
    if (this.#isClosed && this.#error === undefined && this.isOver) return;
    this.#items = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#error ??= error;
    this.close();
  }

  take(): T | undefined {
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      throw error;
    }
    const next = this.#items[this.#head];
    if (next === undefined) return undefined;
    this.#head += 1;
    this.#bytes -= next.bytes;
    // Shifting an array is linear; cutting it once the dead half dominates keeps each take constant on average.
    if (this.#head === this.#items.length || this.#head > 64 + this.#items.length / 2) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return next.item;
  }

  onReady(wake: () => void): void {
    this.#wake = wake;
  }

  #put(item: T, bytes: number): void {
    this.#items.push({ item, bytes });
    this.#bytes += bytes;
  }
}
