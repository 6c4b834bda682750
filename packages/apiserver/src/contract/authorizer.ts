import type { UserInfo } from './user.ts';

/** One question: may `user` do `verb`? */
export type AuthorizationQuery = {
  readonly user: UserInfo;
  /** API verb (`get`, `list`, `deletecollection`, `impersonate`, ...) or the lower-case HTTP method for {@link NonResourceQuery}. */
  readonly verb: string;
} & (ResourceQuery | NonResourceQuery);

export interface ResourceQuery {
  readonly kind: 'resource';
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  /** '' for the resource itself. */
  readonly subresource: string;
  /** '' for cluster scope or all namespaces. */
  readonly namespace: string;
  /** '' where the request names no object. */
  readonly name: string;
  /** As sent with list, watch and deletecollection; '' otherwise. */
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}

export interface NonResourceQuery {
  readonly kind: 'path';
  readonly path: string;
}

export type Decision = 'allow' | 'deny' | 'no-opinion';

/** `reason` is shown to the user and never names secrets. */
export interface AuthorizationResult {
  readonly decision: Decision;
  readonly reason?: string;
  /** Why there is no better answer: unless somebody else allows, the request becomes an InternalError. */
  readonly error?: Error;
}

export interface ResourceRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface NonResourceRule {
  readonly verbs: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

/** For SelfSubjectRulesReview. */
export interface RuleSummary {
  readonly resourceRules: readonly ResourceRule[];
  readonly nonResourceRules: readonly NonResourceRule[];
  readonly incomplete: boolean;
  readonly evaluationError?: string;
}

/** `no-opinion` from the whole chain is a refusal: the server denies by default. Throwing makes the request an InternalError. */
export interface Authorizer {
  authorize(query: AuthorizationQuery, signal: AbortSignal): Promise<AuthorizationResult>;
  rulesFor(user: UserInfo, namespace: string, signal: AbortSignal): Promise<RuleSummary>;
}
