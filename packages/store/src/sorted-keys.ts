import { compareKeys } from './key-order.ts';

/** A chunk is split in two beyond this, so that adding a key moves few others however many there are. */
const CHUNK_MAX = 512;

/** A set of keys in byte order: adding and removing stay cheap at 100 000 keys, and a prefix is found by bisection. */
export class SortedKeys {
  readonly #chunks: string[][] = [];

  /** Adds `key` unless it is in. */
  add(key: string): void {
    const chunkAt = Math.min(this.#chunkOf(key), this.#chunks.length - 1);
    const chunk = this.#chunks[chunkAt];
    if (chunk === undefined) {
      this.#chunks.push([key]);
      return;
    }
    const at = lowerBound(chunk, key);
    if (chunk[at] === key) return;
    chunk.splice(at, 0, key);
    if (chunk.length > CHUNK_MAX) this.#chunks.splice(chunkAt + 1, 0, chunk.splice(CHUNK_MAX >> 1));
  }

  /** Removes `key` if it is in. */
  delete(key: string): void {
    const chunkAt = this.#chunkOf(key);
    const chunk = this.#chunks[chunkAt];
    if (chunk === undefined) return;
    const at = lowerBound(chunk, key);
    if (chunk[at] !== key) return;
    chunk.splice(at, 1);
    if (chunk.length === 0) this.#chunks.splice(chunkAt, 1);
  }

  /** Keys that start with `prefix` and are greater than `after` (default: all), in order. Change the set only after the last one. */
  *under(prefix: string, after?: string): Generator<string, void, undefined> {
    const start = after !== undefined && compareKeys(after, prefix) > 0 ? after : prefix;
    for (let chunkAt = this.#chunkOf(start); chunkAt < this.#chunks.length; chunkAt += 1) {
      const chunk = this.#chunks[chunkAt] as string[];
      for (let at = lowerBound(chunk, start); at < chunk.length; at += 1) {
        const key = chunk[at] as string;
        if (!key.startsWith(prefix)) return;
        if (key !== after) yield key;
      }
    }
  }

  /** The first chunk whose last key is at or after `key`; as many as there are chunks when all keys are before it. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const chunk = this.#chunks[middle] as string[];
      if (compareKeys(chunk[chunk.length - 1] as string, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys(keys[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
