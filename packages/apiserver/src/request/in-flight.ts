import { tooManyRequests } from '@dure/api';

/** Requests that may be served at once. Long-running ones are not counted. */
export interface InFlightLimits {
  readonly readOnly: number;
  readonly mutating: number;
}

/** Upstream's defaults. */
export const IN_FLIGHT_LIMITS: InFlightLimits = { readOnly: 400, mutating: 200 };

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Refuses what is too much at once, so that what runs still ends. */
export class InFlight {
  readonly #limits: InFlightLimits;
  #readOnly = 0;
  #mutating = 0;

  constructor(limits: InFlightLimits) {
    this.#limits = limits;
  }

  get readOnly(): number {
    return this.#readOnly;
  }

  get mutating(): number {
    return this.#mutating;
  }

  /** Takes a place; the returned function gives it back, once. @throws {StatusError} TooManyRequests. */
  enter(method: string): () => void {
    const reads = READING.has(method);
    if (reads ? this.#readOnly >= this.#limits.readOnly : this.#mutating >= this.#limits.mutating) {
      throw tooManyRequests('Too many requests, please try again later.', 1);
    }
    if (reads) this.#readOnly += 1;
    else this.#mutating += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      if (reads) this.#readOnly -= 1;
      else this.#mutating -= 1;
    };
  }
}
