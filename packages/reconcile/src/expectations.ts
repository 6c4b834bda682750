import type { Clock } from '@dure/foundation';

/** A watch that lost an event would otherwise stop a key for good. @see `ExpectationsTimeout` in pkg/controller */
const TIMEOUT_MS = 300_000;

interface Expected {
  creations: number;
  /** Uids of objects that were asked to go. */
  readonly deletions: Set<string>;
  readonly sinceMs: number;
}

/**
 * Own writes that the cache does not show yet. A plan made from such a cache would create the same children twice, or delete others in
 * place of those that go already. Expect before writing, since the informer may be faster than the answer.
 */
export class Expectations {
  readonly #clock: Clock;
  readonly #expected = new Map<string, Expected>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The cache shows all that was written for `key`, or it has been too long to go on waiting. */
  settled(key: string): boolean {
    const expected = this.#expected.get(key);
    if (expected === undefined) return true;
    const done = expected.creations <= 0 && expected.deletions.size === 0;
    if (!done && this.#clock.monotonicMs() - expected.sinceMs < TIMEOUT_MS) return false;
    this.#expected.delete(key);
    return true;
  }

  /** `count` creates are about to be sent for `key`. */
  expectCreations(key: string, count: number): void {
    if (count > 0) this.#of(key).creations += count;
  }

  /** A create was seen by the informer, or failed. */
  creationDone(key: string, count = 1): void {
    const expected = this.#expected.get(key);
    if (expected !== undefined) expected.creations -= count;
  }

  /** A delete of the object with `uid` is about to be sent for `key`. */
  expectDeletion(key: string, uid: string): void {
    this.#of(key).deletions.add(uid);
  }

  /** The informer saw the object going or gone, or the delete failed. */
  deletionDone(key: string, uid: string): void {
    this.#expected.get(key)?.deletions.delete(uid);
  }

  /** `key` itself is gone. */
  forget(key: string): void {
    this.#expected.delete(key);
  }

  #of(key: string): Expected {
    let expected = this.#expected.get(key);
    if (expected === undefined) {
      expected = { creations: 0, deletions: new Set(), sinceMs: this.#clock.monotonicMs() };
      this.#expected.set(key, expected);
    }
    return expected;
  }
}
