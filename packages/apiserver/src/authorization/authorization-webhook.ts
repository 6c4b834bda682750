import { type Clock, messageOf } from '@dure/foundation';
import { fieldsOf, textOf } from '../config-files/config-file.ts';
import { AnswerCache } from '../connect/answer-cache.ts';
import type { WebhookClient, WebhookTarget } from '../connect/webhook-client.ts';
import { callWithRetries } from '../connect/webhook-retry.ts';
import type { AuthorizationQuery, AuthorizationResult, Authorizer, RuleSummary } from '../contract/authorizer.ts';
import { type AccessReviewSpec, accessReviewSpec } from './access-review-spec.ts';
import type { MatchConditions } from './match-conditions.ts';

/** Longer questions, which a client may make up, are not remembered. */
const KEY_LENGTH_MAX = 10_000;

export interface AuthorizationWebhookConfig {
  /** For messages. */
  readonly name: string;
  readonly target: WebhookTarget;
  readonly version: 'v1' | 'v1beta1';
  readonly timeoutMs: number;
  /** How long answers count; 0: not at all. */
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
  /** What it means that no answer came. */
  readonly failurePolicy: 'NoOpinion' | 'Deny';
  readonly matchConditions: MatchConditions;
}

/**
 * Asks another server whether a user may.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/webhook/
 */
export class AuthorizationWebhook implements Authorizer {
  readonly #config: AuthorizationWebhookConfig;
  readonly #client: WebhookClient;
  readonly #clock: Clock;
  readonly #answers: AnswerCache<AuthorizationResult>;

  constructor(config: AuthorizationWebhookConfig, client: WebhookClient, clock: Clock) {
    this.#config = config;
    this.#client = client;
    this.#clock = clock;
    this.#answers = new AnswerCache(clock);
  }

  async authorize(query: AuthorizationQuery, signal: AbortSignal): Promise<AuthorizationResult> {
    const { failurePolicy, matchConditions, authorizedTtlMs, unauthorizedTtlMs, name } = this.#config;
    const spec = accessReviewSpec(query);
    try {
      if (!matchConditions.hold(spec)) return { decision: 'no-opinion' };
      const key = JSON.stringify(spec);
      const known = this.#answers.get(key);
      if (known !== undefined) return known;
      const answer = await this.#ask(spec, signal);
      if (key.length <= KEY_LENGTH_MAX) this.#answers.put(key, answer, answer.decision === 'allow' ? authorizedTtlMs : unauthorizedTtlMs);
      return answer;
    } catch (cause) {
      signal.throwIfAborted();
      const error = new Error(`authorization webhook ${name}: ${messageOf(cause)}`, { cause });
      return { decision: failurePolicy === 'Deny' ? 'deny' : 'no-opinion', error };
    }
  }

  /** A webhook answers questions and tells no rules. */
  async rulesFor(): Promise<RuleSummary> {
    return {
      resourceRules: [],
      nonResourceRules: [],
      incomplete: true,
      evaluationError: 'webhook authorizer does not support user rule resolution',
    };
  }

  async #ask(spec: AccessReviewSpec, signal: AbortSignal): Promise<AuthorizationResult> {
    const { target, version, timeoutMs } = this.#config;
    const review = {
      apiVersion: `authorization.k8s.io/${version}`,
      kind: 'SubjectAccessReview',
      metadata: { creationTimestamp: null },
      spec: sentSpec(spec, version),
      status: { allowed: false },
    };
    const answer = fieldsOf(await callWithRetries(this.#client, this.#clock, target, review, { timeoutMs, signal }));
    const { allowed, denied, reason } = fieldsOf(answer.status);
    if (allowed === true && denied === true) throw new Error('webhook subject access review returned both allow and deny response');
    const said = textOf(reason) === '' ? {} : { reason: textOf(reason) };
    return { decision: denied === true ? 'deny' : allowed === true ? 'allow' : 'no-opinion', ...said };
  }
}

/** Without what says nothing, as upstream leaves it out. The older version calls the groups `group`. */
function sentSpec({ groups, ...spec }: AccessReviewSpec, version: 'v1' | 'v1beta1'): unknown {
  const given = (fields: object): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(fields).filter(([, value]) => value !== '' && !(typeof value === 'object' && Object.keys(value).length === 0)),
    );
  const { resourceAttributes, nonResourceAttributes, ...subject } = spec;
  return {
    ...(resourceAttributes === undefined ? {} : { resourceAttributes: given(resourceAttributes) }),
    ...(nonResourceAttributes === undefined ? {} : { nonResourceAttributes: given(nonResourceAttributes) }),
    ...given({ ...subject, [version === 'v1' ? 'groups' : 'group']: groups }),
  };
}
