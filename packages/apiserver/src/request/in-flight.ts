/** Requests that may be served at once, together the seats of priority and fairness. */
export interface InFlightLimits {
  readonly readOnly: number;
  readonly mutating: number;
}

/** Upstream's defaults. */
export const IN_FLIGHT_LIMITS: InFlightLimits = { readOnly: 400, mutating: 200 };

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Counts what is served now; long-running requests and those of the server's own parts are left out. Who may come in is decided elsewhere. */
export class InFlight {
  #readOnly = 0;
  #mutating = 0;

  get readOnly(): number {
    return this.#readOnly;
  }

  get mutating(): number {
    return this.#mutating;
  }

  enter(method: string): void {
    if (READING.has(method)) this.#readOnly += 1;
    else this.#mutating += 1;
  }

  leave(method: string): void {
    if (READING.has(method)) this.#readOnly -= 1;
    else this.#mutating -= 1;
  }
}
