import { type Clock, retryDelayMs } from '@dure/foundation';
import { WebhookCallError, type WebhookCallOptions, type WebhookClient, type WebhookTarget } from './webhook-client.ts';

const TRIES = 5;
const PAUSE = { baseMs: 500, maxMs: 4000 };
/** Statuses by which a server says that asking again may help. */
const PASSING: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/** Calls again, a few times with growing pauses, where the failure may pass: a connection that broke off, a server that is busy. @throws {WebhookCallError} */
export async function callWithRetries(
  client: WebhookClient,
  clock: Clock,
  target: WebhookTarget,
  body: unknown,
  options: WebhookCallOptions,
): Promise<unknown> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await client.call(target, body, options);
    } catch (error) {
      if (tries === TRIES || !mayPass(error)) throw error;
      await clock.sleep(retryDelayMs(tries, PAUSE), options.signal);
    }
  }
}

function mayPass(error: unknown): boolean {
  if (!(error instanceof WebhookCallError)) return false;
  return error.situation === 'unreachable'
    ? /EOF|connection reset/.test(error.message)
    : error.status !== undefined && PASSING.has(error.status);
}
