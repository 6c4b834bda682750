/**
 * What was opened together and must be given back together, newest first.
 * Stands in for `AsyncDisposableStack`, which Node 20 and 22 lack.
 */
export class Scope implements AsyncDisposable {
  readonly #undo: (() => unknown)[] = [];
  #disposed = false;

  /** Registers `resource` and returns it. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.defer(() => (Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose]() : resource[Symbol.dispose]()));
    return resource;
  }

  /** Registers a step to run at the end. @throws {Error} The scope has ended already. */
  defer(undo: () => unknown): void {
    if (this.#disposed) throw new Error('defer: scope has been disposed');
    this.#undo.push(undo);
  }

  /** Runs every step, also when some fail. @throws {AggregateError} Some did. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const failures: unknown[] = [];
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, `dispose: ${failures.length} of the scope's steps failed`);
  }
}
