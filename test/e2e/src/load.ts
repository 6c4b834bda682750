import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode } from '@dure/foundation';

export interface LoadResult {
  readonly answers: number;
  readonly failures: readonly string[];
  /** Requests sent again, as {@link Connections} `kept` allows. */
  readonly repeated: number;
  /** What was answered, with how often. */
  readonly bodies: ReadonlyMap<string, number>;
}

/**
 * - `held`: one for each client; losing it is a failure.
 * - `kept`: one for each client; a request on a connection that was used before and ended without a byte of an answer is sent once more on a new one,
 *   as HTTP clients do with requests that may be repeated (RFC 9112, section 9.3.1): a server that ends closes idle connections, and a request may be
 *   on its way on one of them. Straight to a Pod that takes 0.1 ms and hardly ever happens; through the proxy of a busy machine it takes 2 ms and does.
 * - `fresh`: one for each request.
 */
export type Connections = 'held' | 'kept' | 'fresh';

const TIMEOUT_MS = 10_000;

/** Requests in a row from several clients, bounded in number and pace, until `stop` is called. */
export class Load {
  readonly #stop = new AbortController();
  readonly #clients: readonly Promise<void>[];
  readonly #failures: string[] = [];
  readonly #bodies = new Map<string, number>();
  #answers = 0;
  #repeated = 0;

  /** @param everyMs Pause of each client between requests. */
  constructor(url: string, clients: number, everyMs: number, connections: Connections) {
    this.#clients = Array.from({ length: clients }, () => this.#client(url, everyMs, connections));
  }

  /** Lets running requests end and gives what happened. */
  async stop(): Promise<LoadResult> {
    this.#stop.abort();
    await Promise.all(this.#clients);
    return { answers: this.#answers, failures: this.#failures, repeated: this.#repeated, bodies: this.#bodies };
  }

  async #client(url: string, everyMs: number, connections: Connections): Promise<void> {
    const agent = new Agent({ keepAlive: connections !== 'fresh', maxSockets: 1 });
    for (let first = true; !this.#stop.signal.aborted; first = false) {
      try {
        const { answer, reused } = await this.#ask(url, agent, connections === 'kept');
        const body = (await text(answer)).trim();
        if (answer.statusCode !== 200) this.#failures.push(`status ${answer.statusCode}`);
        else if (connections === 'held' && !first && !reused) this.#failures.push('the connection was lost between two requests');
        else this.#bodies.set(body, (this.#bodies.get(body) ?? 0) + 1);
        this.#answers += 1;
      } catch (error) {
        this.#failures.push(error instanceof Error ? `${error.message} ${errnoCode(error) ?? ''}` : String(error));
      }
      await sleep(everyMs);
    }
    agent.destroy();
  }

  async #ask(url: string, agent: Agent, mayRepeat: boolean): Promise<{ readonly answer: IncomingMessage; readonly reused: boolean }> {
    const asked = request(url, { agent, timeout: TIMEOUT_MS });
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    try {
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        asked.on('response', resolve).on('error', reject).end();
      });
      return { answer, reused: asked.reusedSocket };
    } catch (error) {
      // Node calls it so too where the other side ended the connection properly ("socket hang up").
      const endedUnanswered = asked.reusedSocket && errnoCode(error) === 'ECONNRESET';
      if (!mayRepeat || !endedUnanswered) throw error;
      this.#repeated += 1;
      return this.#ask(url, agent, false);
    }
  }
}
