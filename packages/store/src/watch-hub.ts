import type { Revision, StoreEvent } from './contract.ts';
import type { WatchQueue } from './watch-queue.ts';

/**
 * Hands each event to the watchers of the prefixes that it falls under, and to nobody else. Watched prefixes have few different
 * lengths, so an event costs one look-up per length, not a comparison per watcher.
 */
export class WatchHub {
  readonly #byLength = new Map<number, Map<string, Set<WatchQueue>>>();

  add(queue: WatchQueue): void {
    const { prefix } = queue;
    const byPrefix = getOrAdd(this.#byLength, prefix.length, () => new Map<string, Set<WatchQueue>>());
    getOrAdd(byPrefix, prefix, () => new Set<WatchQueue>()).add(queue);
  }

  remove(queue: WatchQueue): void {
    const byPrefix = this.#byLength.get(queue.prefix.length);
    const queues = byPrefix?.get(queue.prefix);
    queues?.delete(queue);
    if (queues?.size === 0) byPrefix?.delete(queue.prefix);
    if (byPrefix?.size === 0) this.#byLength.delete(queue.prefix.length);
  }

  publish(event: StoreEvent): void {
    for (const [length, byPrefix] of this.#byLength) {
      if (length > event.key.length) continue;
      for (const queue of byPrefix.get(event.key.slice(0, length)) ?? []) {
        queue.push(event);
        // Its consumer may never come back to see that it was ended.
        if (queue.hasEnded) this.remove(queue);
      }
    }
  }

  progress(revision: Revision): void {
    for (const queue of this.#all()) queue.progress(revision);
  }

  /** Ends every watch with `error`. */
  destroy(error: unknown): void {
    for (const queue of this.#all()) queue.end({ error });
  }

  *#all(): Generator<WatchQueue, void, undefined> {
    for (const byPrefix of this.#byLength.values()) for (const queues of byPrefix.values()) yield* queues;
  }
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
