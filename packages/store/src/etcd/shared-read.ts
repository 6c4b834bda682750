/**
 * Makes many callers share few reads. Each gets the result of a read that began after its call, so what it learns is as new as if it had read
 * alone; at most one read is under way and one waits.
 */
export class SharedRead<T> {
  readonly #read: () => Promise<T>;
  #running: Promise<T> | undefined;
  #waiting: Promise<T> | undefined;

  constructor(read: () => Promise<T>) {
    this.#read = read;
  }

  get(): Promise<T> {
    if (this.#running === undefined) return this.#start();
    this.#waiting ??= this.#running.then(
      () => this.#next(),
      () => this.#next(),
    );
    return this.#waiting;
  }

  #next(): Promise<T> {
    this.#waiting = undefined;
    return this.#start();
  }

  #start(): Promise<T> {
    const running = this.#read().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}
