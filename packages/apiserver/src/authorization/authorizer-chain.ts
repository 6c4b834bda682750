import type { AuthorizationQuery, AuthorizationResult, Authorizer, RuleSummary } from '../contract/authorizer.ts';
import type { UserInfo } from '../contract/user.ts';

/** The group that no rule can lock out: the first kubeconfig's. */
const SUPERUSERS = 'system:masters';

/** Asks one authorizer after the other until one has an opinion. Members of `system:masters` pass before any is asked. */
export class AuthorizerChain implements Authorizer {
  readonly #authorizers: readonly Authorizer[];

  constructor(authorizers: readonly Authorizer[]) {
    this.#authorizers = authorizers;
  }

  async authorize(query: AuthorizationQuery, signal: AbortSignal): Promise<AuthorizationResult> {
    if (query.user.groups.includes(SUPERUSERS)) return { decision: 'allow' };
    const reasons: string[] = [];
    const errors: Error[] = [];
    for (const authorizer of this.#authorizers) {
      const result = await authorizer.authorize(query, signal);
      if (result.decision === 'deny' && result.error !== undefined) throw result.error;
      if (result.decision !== 'no-opinion') return result;
      if (result.reason !== undefined) reasons.push(result.reason);
      if (result.error !== undefined) errors.push(result.error);
    }
    const [error] = errors;
    if (error !== undefined)
      throw errors.length === 1 ? error : new AggregateError(errors, errors.map(({ message }) => message).join(', '));
    return { decision: 'no-opinion', ...(reasons.length > 0 ? { reason: reasons.join('; ') } : {}) };
  }

  async rulesFor(user: UserInfo, namespace: string, signal: AbortSignal): Promise<RuleSummary> {
    const everything = user.groups.includes(SUPERUSERS)
      ? {
          resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
          nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
        }
      : { resourceRules: [], nonResourceRules: [] };
    const summaries = await Promise.all(this.#authorizers.map((authorizer) => authorizer.rulesFor(user, namespace, signal)));
    const faults = summaries.flatMap(({ evaluationError }) => evaluationError ?? []);
    return {
      resourceRules: [...everything.resourceRules, ...summaries.flatMap(({ resourceRules }) => resourceRules)],
      nonResourceRules: [...everything.nonResourceRules, ...summaries.flatMap(({ nonResourceRules }) => nonResourceRules)],
      incomplete: summaries.some(({ incomplete }) => incomplete),
      ...(faults.length > 0 ? { evaluationError: faults.join(', ') } : {}),
    };
  }
}
