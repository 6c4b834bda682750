/** A map that can be read in the order of its keys, from any key on. */
export class SortedMap<V> {
  readonly #values = new Map<string, V>();
  #keys: string[] = [];
  /** Keys were added or removed since `#keys` was sorted. */
  #stale = false;

  get size(): number {
    return this.#values.size;
  }

  get map(): ReadonlyMap<string, V> {
    return this.#values;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  set(key: string, value: V): void {
    if (!this.#values.has(key)) this.#stale = true;
    this.#values.set(key, value);
  }

  delete(key: string): void {
    if (this.#values.delete(key)) this.#stale = true;
  }

  clear(): void {
    this.#values.clear();
    this.#keys = [];
    this.#stale = false;
  }

  /** Values of the keys that start with `prefix` and come after `after`, in order. The map must not change while this is read. */
  *range(prefix: string, after?: string): Generator<V> {
    const keys = this.#sorted();
    const from = after === undefined || after < prefix ? lowerBound(keys, prefix) : upperBound(keys, after);
    for (let index = from; index < keys.length; index += 1) {
      const key = keys[index] as string;
      if (!key.startsWith(prefix)) return;
      yield this.#values.get(key) as V;
    }
  }

  #sorted(): readonly string[] {
    if (this.#stale) {
      // Sorting nearly sorted input is close to linear; writes stay constant time.
      this.#keys = [...this.#values.keys()].sort(compareKeys);
      this.#stale = false;
    }
    return this.#keys;
  }
}

function compareKeys(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function upperBound(keys: readonly string[], key: string): number {
  const at = lowerBound(keys, key);
  return keys[at] === key ? at + 1 : at;
}
