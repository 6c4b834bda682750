/** Work that goes on at once, bounded by count and by the memory it holds. The first failure is kept and thrown at the next call. */
export class Lanes {
  readonly #countMax: number;
  readonly #bytesMax: number;
  readonly #running = new Set<Promise<void>>();
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(bounds: { readonly countMax: number; readonly bytesMax: number }) {
    this.#countMax = bounds.countMax;
    this.#bytesMax = bounds.bytesMax;
  }

  /** Starts `work` once there is room for it. Resolves when it has started; the returned `done` never rejects. */
  async start(bytes: number, work: () => Promise<void>): Promise<{ readonly done: Promise<void> }> {
    while (this.#running.size > 0 && (this.#running.size >= this.#countMax || this.#bytes + bytes > this.#bytesMax)) {
      await Promise.race(this.#running);
    }
    this.#throwFailure();
    this.#bytes += bytes;
    const done = work()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#bytes -= bytes;
        this.#running.delete(done);
      });
    this.#running.add(done);
    return { done };
  }

  /** Waits for all that was started. @throws the first failure. */
  async drain(): Promise<void> {
    await this.settle();
    this.#throwFailure();
  }

  /** Waits for all that was started, whatever came of it. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
