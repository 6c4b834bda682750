import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';

export interface LoadResult {
  readonly answers: number;
  readonly failures: readonly string[];
  /** What was answered, with how often. */
  readonly bodies: ReadonlyMap<string, number>;
}

/** Requests in a row from several clients, bounded in number and pace, until `stop` is called. */
export class Load {
  readonly #stop = new AbortController();
  readonly #clients: readonly Promise<void>[];
  readonly #failures: string[] = [];
  readonly #bodies = new Map<string, number>();
  #answers = 0;

  /**
   * @param everyMs Pause of each client between requests.
   * @param connections `kept`: one per client, and losing it is a failure. `fresh`: one per request, where servers may end, since a server that
   * ends closes idle connections, and a request may be on its way on one of them: no proxy and no server can answer that.
   */
  constructor(url: string, clients: number, everyMs: number, connections: 'kept' | 'fresh' = 'kept') {
    this.#clients = Array.from({ length: clients }, () => this.#client(url, everyMs, connections === 'fresh'));
  }

  /** Lets running requests end and gives what happened. */
  async stop(): Promise<LoadResult> {
    this.#stop.abort();
    await Promise.all(this.#clients);
    return { answers: this.#answers, failures: this.#failures, bodies: this.#bodies };
  }

  async #client(url: string, everyMs: number, reset: boolean): Promise<void> {
    const dispatcher = new Agent({ connections: 1, pipelining: 1 });
    while (!this.#stop.signal.aborted) {
      try {
        const { statusCode, body } = await request(url, { dispatcher, reset, headersTimeout: 10_000, bodyTimeout: 10_000 });
        const text = (await body.text()).trim();
        if (statusCode === 200) this.#bodies.set(text, (this.#bodies.get(text) ?? 0) + 1);
        else this.#failures.push(`status ${statusCode}`);
        this.#answers += 1;
      } catch (error) {
        this.#failures.push(error instanceof Error ? `${error.message} ${(error as NodeJS.ErrnoException).code ?? ''}` : String(error));
      }
      await sleep(everyMs);
    }
    await dispatcher.close();
  }
}
