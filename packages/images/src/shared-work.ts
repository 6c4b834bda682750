import { abortable } from '@dure/foundation';

/** Whoever began shared work has left, and took with it what the work needed. Personal: others begin anew. */
export class CallerLeftError extends Error {
  override readonly name = 'CallerLeftError';
  readonly code = 'CALLER_LEFT';

  constructor() {
    super('shared work: the caller who began it has left');
  }
}

interface Flight<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiters: number;
}

/**
 * Work that several callers want at once is done once. It is stopped when the last of them stops wanting it.
 * What only concerns the caller who began it (its credentials, its leaving) is no result for the others: they begin anew.
 */
export class SharedWork<T> {
  readonly #flights = new Map<string, Flight<T>>();
  readonly #isPersonal: (error: unknown) => boolean;

  /** @param isPersonal Whether a failure says something about the caller who began the work, and not about the work. */
  constructor(isPersonal: (error: unknown) => boolean) {
    this.#isPersonal = isPersonal;
  }

  /**
   * The result of `work` for `key`, begun by whoever comes first. Failures are shared like results, unless they are personal.
   * @throws the signal's reason once it aborts; the last caller to go waits until the work has ended.
   */
  async run(key: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      let isMine = false;
      const begin = (shared: AbortSignal): Promise<T> => {
        isMine = true;
        return work(shared);
      };
      try {
        return await this.#join(key, begin, signal);
      } catch (error) {
        // Ends: each turn either joins work that somebody else began, or begins it and takes what comes.
        if (isMine || signal.aborted || !this.#isPersonal(error)) throw error;
      }
    }
  }

  async #join(key: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    let flight = this.#flights.get(key);
    // Work on its way out still holds its files: a new beginning has to wait for its end.
    while (flight?.controller.signal.aborted) {
      await flight.result.catch(() => {});
      signal.throwIfAborted();
      flight = this.#flights.get(key);
    }
    if (flight === undefined) flight = this.#begin(key, work);
    flight.waiters += 1;
    try {
      return await abortable(flight.result, signal);
    } catch (error) {
      if (signal.aborted && flight.waiters === 1) {
        flight.controller.abort(signal.reason);
        await flight.result.catch(() => {});
      }
      throw error;
    } finally {
      flight.waiters -= 1;
    }
  }

  /** Stops everything and waits for its end. */
  async stop(reason: unknown): Promise<void> {
    const flights = [...this.#flights.values()];
    for (const { controller } of flights) controller.abort(reason);
    await Promise.allSettled(flights.map(({ result }) => result));
  }

  #begin(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const result = work(controller.signal).finally(() => this.#flights.delete(key));
    // Every waiter sees the failure; should all have left, nobody else needs to.
    result.catch(() => {});
    const flight: Flight<T> = { result, controller, waiters: 0 };
    this.#flights.set(key, flight);
    return flight;
  }
}
