/**
 * A signal that aborts with the first of others, and is cut off from them when disposed of. `AbortSignal.any` leaves a trace at a signal that outlives it
 * until it is collected, which a signal of the whole store pays for with each call.
 */
export class LinkedAbort implements Disposable {
  readonly #controller = new AbortController();
  readonly #links: readonly { readonly source: AbortSignal; readonly follow: () => void }[];

  constructor(sources: readonly (AbortSignal | undefined)[]) {
    this.#links = sources
      .filter((source) => source !== undefined)
      .map((source) => ({ source, follow: () => this.#controller.abort(source.reason) }));
    for (const { source, follow } of this.#links) {
      if (source.aborted) follow();
      else source.addEventListener('abort', follow, { once: true });
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    for (const { source, follow } of this.#links) source.removeEventListener('abort', follow);
  }
}
