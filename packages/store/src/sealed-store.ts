import type { Change, Durability, Entry, ListOptions, Page, Progress, Revision, Store, StoreEvent } from './contract.ts';
import { RevisionConflictError } from './errors.ts';

/** A value as its reader wants it. */
export interface Opened {
  readonly value: Uint8Array;
  /** Written in a form that {@link ValueSealer.seal} no longer makes. */
  readonly stale: boolean;
}

/** Turns values into what may lie on a disk, and back. What was sealed for one key opens at no other, as far as the form can tell. */
export interface ValueSealer {
  /** @throws {StoreSealedError} It cannot be sealed now. */
  seal(key: string, value: Uint8Array): Promise<Uint8Array>;
  /** @throws {StoreSealedError} Sealed with a key that is not at hand, or damaged. */
  open(key: string, stored: Uint8Array): Promise<Opened>;
}

/** A store whose values lie sealed in `inner`, which it owns. Sizes, revisions and order are those of `inner`. */
export class SealedStore implements Store {
  readonly #inner: Store;
  readonly #sealer: ValueSealer;

  constructor(inner: Store, sealer: ValueSealer) {
    this.#inner = inner;
    this.#sealer = sealer;
  }

  revision(): Promise<Revision> {
    return this.#inner.revision();
  }

  async get(key: string, at?: Revision): Promise<Entry | undefined> {
    const entry = await this.#inner.get(key, at);
    return entry === undefined ? undefined : this.#open(entry);
  }

  async list(prefix: string, options?: ListOptions): Promise<Page> {
    const page = await this.#inner.list(prefix, options);
    return { ...page, entries: await Promise.all(page.entries.map((entry) => this.#open(entry))) };
  }

  count(prefix: string): Promise<number> {
    return this.#inner.count(prefix);
  }

  async append(change: Change, expected: Revision, durability: Durability, signal?: AbortSignal): Promise<Revision> {
    const sealed = change.kind === 'put' ? { ...change, value: await this.#sealer.seal(change.key, change.value) } : change;
    try {
      return await this.#inner.append(sealed, expected, durability, signal);
    } catch (error) {
      if (!(error instanceof RevisionConflictError) || error.winner === undefined) throw error;
      throw new RevisionConflictError(change.key, expected, await this.#open(error.winner));
    }
  }

  async *watch(prefix: string, after: Revision, signal: AbortSignal): AsyncGenerator<readonly StoreEvent[] | Progress> {
    for await (const told of this.#inner.watch(prefix, after, signal)) {
      yield 'kind' in told ? told : await Promise.all(told.map((event) => this.#openEvent(event)));
    }
  }

  requestProgress(): Promise<void> {
    return this.#inner.requestProgress();
  }

  compact(at: Revision): Promise<void> {
    return this.#inner.compact(at);
  }

  flush(): Promise<void> {
    return this.#inner.flush();
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#inner[Symbol.asyncDispose]();
  }

  async #open(entry: Entry): Promise<Entry> {
    const { value, stale } = await this.#sealer.open(entry.key, entry.value);
    return { ...entry, value, ...(stale ? { stale } : {}) };
  }

  async #openEvent(event: StoreEvent): Promise<StoreEvent> {
    const previous = event.previous === undefined ? undefined : await this.#open(event.previous);
    if (event.kind === 'delete') return { ...event, previous: previous ?? event.previous };
    return { ...event, entry: await this.#open(event.entry), ...(previous === undefined ? {} : { previous }) };
  }
}
