import { type Clock, isAbort, type Logger, messageOf, retryDelayMs } from '@dure/foundation';
import type { WebhookClient, WebhookTarget } from '../connect/webhook-client.ts';
import type { AuditEvent, AuditSink } from './audit-event.ts';

export interface WebhookSinkOptions {
  readonly client: WebhookClient;
  readonly target: WebhookTarget;
  readonly clock: Clock;
  readonly log: Logger;
  /** Events of one call. Default 400. */
  readonly batchMax?: number;
  /** How long an event waits for others. Default 30 s. */
  readonly waitMaxMs?: number;
  /** Events that wait; more are lost, and the log of the server says so. Default 10000. */
  readonly waitingMax?: number;
}

const TRIES = 5;
const PAUSE = { baseMs: 10_000, maxMs: 60_000 };
const CALL_TIMEOUT_MS = 30_000;
/** What a server that ends still gives the webhook. */
const CLOSE_TIMEOUT_MS = 5_000;

/** Sends events in batches, one batch after the other. */
export class WebhookSink implements AuditSink {
  readonly #options: WebhookSinkOptions;
  readonly #stop = new AbortController();
  #waiting: AuditEvent[] = [];
  #lost = 0;
  #running: Promise<void> | undefined;
  /** Ends the wait for further events. */
  #full = new AbortController();

  constructor(options: WebhookSinkOptions) {
    this.#options = options;
  }

  record(event: AuditEvent): void {
    const { waitingMax = 10_000, batchMax = 400 } = this.#options;
    if (this.#stop.signal.aborted) return;
    if (this.#waiting.length >= waitingMax) {
      this.#lost += 1;
      return;
    }
    this.#waiting.push(event);
    if (this.#waiting.length >= batchMax) this.#full.abort();
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Sends what waits, once, within a few seconds. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the audit log is closing'));
    await this.#running;
    const left = this.#waiting.splice(0);
    if (left.length === 0) return;
    await this.#send(left, CLOSE_TIMEOUT_MS, new AbortController().signal).catch((error: unknown) => this.#tellLost(error, left.length));
  }

  async #run(): Promise<void> {
    const { clock, batchMax = 400, waitMaxMs = 30_000 } = this.#options;
    const { signal } = this.#stop;
    try {
      while (this.#waiting.length > 0) {
        if (this.#waiting.length < batchMax) {
          this.#full = new AbortController();
          await clock.sleep(waitMaxMs, AbortSignal.any([this.#full.signal, signal])).catch(() => undefined);
          signal.throwIfAborted();
        }
        await this.#deliver(this.#waiting.slice(0, batchMax), signal);
      }
    } catch (error) {
      if (!signal.aborted && !isAbort(error)) throw error;
    }
  }

  /** Leaves the events where they wait until they have arrived or were given up. */
  async #deliver(batch: readonly AuditEvent[], signal: AbortSignal): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await this.#send(batch, CALL_TIMEOUT_MS, signal);
        break;
      } catch (error) {
        signal.throwIfAborted();
        if (tries === TRIES) {
          this.#tellLost(error, batch.length);
          break;
        }
        await this.#options.clock.sleep(retryDelayMs(tries, PAUSE), signal);
      }
    }
    this.#waiting.splice(0, batch.length);
    if (this.#lost > 0) this.#tellLost(new Error('too many events wait'), 0);
  }

  async #send(items: readonly AuditEvent[], timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { client, target } = this.#options;
    const list = { kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items };
    await client.call(target, list, { timeoutMs, signal }).catch((error: unknown) => {
      // An answer that says nothing is an answer.
      if ((error as { situation?: string }).situation !== 'unreadable') throw error;
    });
  }

  #tellLost(error: unknown, events: number): void {
    this.#options.log.error('audit events were lost', { events: events + this.#lost, why: messageOf(error) });
    this.#lost = 0;
  }
}
