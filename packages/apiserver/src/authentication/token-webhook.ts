import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '@dure/foundation';
import { fieldsOf, listOf, textOf } from '../config-files/config-file.ts';
import { AnswerCache } from '../connect/answer-cache.ts';
import type { WebhookClient, WebhookTarget } from '../connect/webhook-client.ts';
import { callWithRetries } from '../connect/webhook-retry.ts';
import type { Authenticated } from '../contract/authenticator.ts';
import type { TokenAuthenticator } from '../contract/token-authenticator.ts';
import type { UserInfo } from '../contract/user.ts';

const CALL_TIMEOUT_MS = 30_000;

export interface TokenWebhookOptions {
  readonly client: WebhookClient;
  readonly target: WebhookTarget;
  /** Of the TokenReview that is sent. */
  readonly version: 'v1' | 'v1beta1';
  /** How long an answer counts, be it yes or no. */
  readonly cacheTtlMs: number;
  /** Of this API server: what is asked for where nobody named others, and what an answer without audiences means. */
  readonly audiences: readonly string[];
  readonly clock: Clock;
}

/**
 * Asks another server whose a token is.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
 */
export class TokenWebhook implements TokenAuthenticator {
  readonly #options: TokenWebhookOptions;
  readonly #answers: AnswerCache<Authenticated | 'nobody'>;
  /** Tokens are remembered by what only this process can make of them: a dump of its memory opens no doors. */
  readonly #secret = randomBytes(32);

  constructor(options: TokenWebhookOptions) {
    this.#options = options;
    this.#answers = new AnswerCache(options.clock);
  }

  async authenticate(token: string, asked: readonly string[], signal: AbortSignal): Promise<Authenticated | undefined> {
    const audiences = asked.length === 0 ? this.#options.audiences : asked;
    const key = createHmac('sha256', this.#secret)
      .update(JSON.stringify([token, audiences]))
      .digest('base64');
    const known = this.#answers.get(key);
    if (known !== undefined) return known === 'nobody' ? undefined : known;
    const answer = await this.#ask(token, audiences, signal);
    this.#answers.put(key, answer ?? 'nobody', this.#options.cacheTtlMs);
    return answer;
  }

  /** @throws {Error} The webhook could not be asked, or says what is wrong. Such answers are not remembered. */
  async #ask(token: string, audiences: readonly string[], signal: AbortSignal): Promise<Authenticated | undefined> {
    const { client, target, version, clock } = this.#options;
    const review = {
      apiVersion: `authentication.k8s.io/${version}`,
      kind: 'TokenReview',
      metadata: { creationTimestamp: null },
      spec: { token, ...(audiences.length > 0 ? { audiences } : {}) },
      status: { user: {} },
    };
    const answer = fieldsOf(await callWithRetries(client, clock, target, review, { timeoutMs: CALL_TIMEOUT_MS, signal }));
    const status = fieldsOf(answer.status);
    if (status.authenticated !== true) {
      if (textOf(status.error) !== '') throw new Error(textOf(status.error));
      return undefined;
    }
    const answered = listOf(status.audiences).map(textOf);
    // A webhook that says nothing of audiences knows only ours.
    const good = answered.length > 0 ? answered : this.#options.audiences;
    const granted = audiences.filter((audience) => good.includes(audience));
    if (audiences.length > 0 && granted.length === 0) return undefined;
    return { user: userOf(fieldsOf(status.user)), ...(granted.length > 0 ? { audiences: granted } : {}) };
  }
}

function userOf(user: Readonly<Record<string, unknown>>): UserInfo {
  const name = textOf(user.username);
  if (name === '') throw new Error('the token webhook names no user');
  const extra = Object.entries(fieldsOf(user.extra)).map(([key, values]) => [key.toLowerCase(), listOf(values).map(textOf)] as const);
  return {
    name,
    groups: listOf(user.groups).map(textOf),
    ...(textOf(user.uid) === '' ? {} : { uid: textOf(user.uid) }),
    ...(extra.length === 0 ? {} : { extra: Object.fromEntries(extra) }),
  };
}
