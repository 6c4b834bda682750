import type { Clock } from '@dure/foundation';
import type { WebhookClient } from '../connect/webhook-client.ts';
import type { AuthorizationQuery, AuthorizationResult, Authorizer, RuleSummary } from '../contract/authorizer.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { UserInfo } from '../contract/user.ts';
import type { AuthorizationConfig, AuthorizerConfig } from './authorization-config.ts';
import { AuthorizationWebhook } from './authorization-webhook.ts';
import { AuthorizerChain } from './authorizer-chain.ts';
import { NodeAuthorizer } from './node-authorizer.ts';
import { RbacAuthorizer } from './rbac-authorizer.ts';

export interface ConfiguredAuthorizerDeps {
  /** Asked for each question; another value than before builds the chain anew, with empty caches. */
  readonly config: () => AuthorizationConfig;
  readonly reader: ObjectReader;
  readonly client: WebhookClient;
  readonly clock: Clock;
}

/** Asks the authorizers that the configuration names now, in its order. */
export class ConfiguredAuthorizer implements Authorizer {
  readonly #deps: ConfiguredAuthorizerDeps;
  #built: { readonly config: AuthorizationConfig; readonly chain: AuthorizerChain } | undefined;

  constructor(deps: ConfiguredAuthorizerDeps) {
    this.#deps = deps;
  }

  authorize(query: AuthorizationQuery, signal: AbortSignal): Promise<AuthorizationResult> {
    return this.#chain().authorize(query, signal);
  }

  rulesFor(user: UserInfo, namespace: string, signal: AbortSignal): Promise<RuleSummary> {
    return this.#chain().rulesFor(user, namespace, signal);
  }

  #chain(): AuthorizerChain {
    const config = this.#deps.config();
    if (this.#built?.config !== config) this.#built = { config, chain: new AuthorizerChain(config.map((one) => this.#build(one))) };
    return this.#built.chain;
  }

  #build(config: AuthorizerConfig): Authorizer {
    const { reader, client, clock } = this.#deps;
    switch (config.kind) {
      case 'Node':
        return new NodeAuthorizer(reader);
      case 'RBAC':
        return new RbacAuthorizer(reader);
      case 'Webhook':
        return new AuthorizationWebhook(config.webhook, client, clock);
      case 'AlwaysAllow':
        return always('allow', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }], [{ verbs: ['*'], nonResourceURLs: ['*'] }]);
      case 'AlwaysDeny':
        return always('no-opinion', [], [], 'Everything is forbidden.');
    }
  }
}

function always(
  decision: AuthorizationResult['decision'],
  resourceRules: RuleSummary['resourceRules'],
  nonResourceRules: RuleSummary['nonResourceRules'],
  reason?: string,
): Authorizer {
  return {
    authorize: async () => ({ decision, ...(reason === undefined ? {} : { reason }) }),
    rulesFor: async () => ({ resourceRules, nonResourceRules, incomplete: false }),
  };
}
