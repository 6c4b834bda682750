import type { Clock, Random } from '@dure/foundation';
import { type AdmissionPlugin, admissionChain } from './admission/admission-chain.ts';
import { certificateRequestIdentity } from './admission/certificate-request-identity.ts';
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from './admission/certificate-signers.ts';
import { persistentVolumeClaimResize } from './admission/claim-resize.ts';
import { defaultIngressClass, defaultStorageClass } from './admission/default-class.ts';
import { defaultTolerationSeconds } from './admission/default-toleration-seconds.ts';
import { limitRanger } from './admission/limit-ranger.ts';
import { namespaceLifecycle } from './admission/namespace-lifecycle.ts';
import { nodeRestriction } from './admission/node-restriction.ts';
import { podSecurity } from './admission/pod-security/pod-security.ts';
import type { PodSecurityConfig } from './admission/pod-security/pod-security-config.ts';
import { podTopologyLabels } from './admission/pod-topology-labels.ts';
import { priority } from './admission/priority.ts';
import { rbacEscalation } from './admission/rbac-escalation.ts';
import { resourceQuota } from './admission/resource-quota.ts';
import { runtimeClass } from './admission/runtime-class.ts';
import { serviceAccount } from './admission/service-account.ts';
import { storageObjectInUseProtection } from './admission/storage-object-in-use-protection.ts';
import { taintNodesByCondition } from './admission/taint-nodes-by-condition.ts';
import { ClusterAuthenticator } from './authentication/cluster-authenticator.ts';
import type { AnonymousConfig } from './authentication/oidc/authentication-config.ts';
import { keySet, openidConfiguration } from './authentication/oidc-discovery.ts';
import { ServiceAccountAuthenticator } from './authentication/service-account-authenticator.ts';
import { ServiceAccountIssuer } from './authentication/service-account-issuer.ts';
import { signingKeyOf } from './authentication/service-account-keys.ts';
import { type AuthorizationConfig, USUAL_AUTHORIZATION } from './authorization/authorization-config.ts';
import { ConfiguredAuthorizer } from './authorization/configured-authorizer.ts';
import { RbacAuthorizer } from './authorization/rbac-authorizer.ts';
import type { WebhookClient } from './connect/webhook-client.ts';
import type { Admission } from './contract/admission.ts';
import type { Authenticator } from './contract/authenticator.ts';
import type { Authorizer } from './contract/authorizer.ts';
import type { EvictionGuard } from './contract/eviction-guard.ts';
import type { ObjectReader } from './contract/object-reader.ts';
import type { ServiceAccountTokens } from './contract/service-account-tokens.ts';
import type { StatusSwap } from './contract/status-swap.ts';
import type { TokenAuthenticator } from './contract/token-authenticator.ts';
import { BudgetGuard } from './eviction/budget-guard.ts';

export interface ClusterAccessOptions {
  /** `iss` of ServiceAccount tokens, and the audience of those that name none. */
  readonly issuer: string;
  /** Where others are told to fetch the public keys. Default: below the issuer. */
  readonly jwksUri?: string;
  /** PEM of the key that signs them. */
  readonly serviceAccountKeyPem: string;
  /** Longest life of a ServiceAccount token that is asked for, in seconds. Default: as long as is asked. */
  readonly tokenLifetimeMaxS?: number;
  /** Whether tokens that injected volumes ask for live a year, for clients that never read them again. Default: true. */
  readonly extendsTokens?: boolean;
  /** Which requests without credentials are served as `system:anonymous`; asked for each. Default: all. */
  readonly anonymous?: () => AnonymousConfig;
  /** Further sorts of bearer tokens, asked in this order. */
  readonly tokens?: readonly TokenAuthenticator[];
  /** Who decides what users may; asked for each question. Default: nodes by what their Pods need, then roles. */
  readonly authorization?: () => AuthorizationConfig;
  /** For the webhooks among them. */
  readonly webhooks: WebhookClient;
  /** What Pods are held to where namespaces do not say, and who is exempt. Default: nothing, and nobody. */
  readonly podSecurity?: PodSecurityConfig | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

/** Who may do what in an ordinary cluster: the makers that an API server is given. */
export interface ClusterAccess {
  authenticator(reads: ObjectReader): Authenticator;
  authorizer(reads: ObjectReader): Authorizer;
  admission(reads: ObjectReader, authorizer: Authorizer, statuses: StatusSwap, configured: readonly AdmissionPlugin[]): Admission;
  serviceAccountTokens(reads: ObjectReader): ServiceAccountTokens;
  eviction(reads: ObjectReader, statuses: StatusSwap): EvictionGuard;
  /** What those need who verify ServiceAccount tokens by themselves. */
  readonly documents: Readonly<Record<string, { readonly contentType: string; render(): unknown }>>;
}

export function clusterAccess(options: ClusterAccessOptions): ClusterAccess {
  const { issuer, jwksUri = `${issuer}/openid/v1/jwks`, serviceAccountKeyPem, clock, random } = options;
  const key = signingKeyOf(serviceAccountKeyPem);
  const audiences = [issuer];
  return {
    authenticator: (reader) =>
      new ClusterAuthenticator({
        serviceAccounts: new ServiceAccountAuthenticator({ issuers: [issuer], audiences, keys: [key], reader, clock }),
        reader,
        clock,
        audiences,
        anonymous: options.anonymous ?? (() => ({ enabled: true })),
        tokens: options.tokens ?? [],
      }),
    authorizer: (reader) =>
      new ConfiguredAuthorizer({ config: options.authorization ?? (() => USUAL_AUTHORIZATION), reader, client: options.webhooks, clock }),
    // In upstream's order: what fills in comes before what judges.
    admission: (reader, authorizer, statuses, configured) =>
      admissionChain([
        namespaceLifecycle(reader),
        certificateRequestIdentity,
        limitRanger(reader),
        serviceAccount(reader, random),
        nodeRestriction(reader),
        taintNodesByCondition,
        podSecurity(reader, options.podSecurity),
        priority(reader),
        defaultTolerationSeconds,
        defaultStorageClass(reader),
        storageObjectInUseProtection,
        persistentVolumeClaimResize(reader),
        runtimeClass(reader),
        certificateApproval(authorizer),
        certificateSigning(authorizer),
        certificateSubjectRestriction,
        defaultIngressClass(reader),
        podTopologyLabels(reader),
        rbacEscalation(authorizer, new RbacAuthorizer(reader)),
        ...configured,
        resourceQuota(reader, statuses, clock),
      ]),
    serviceAccountTokens: (reader) =>
      new ServiceAccountIssuer({
        issuer,
        audiences,
        key,
        reader,
        clock,
        random,
        ...(options.tokenLifetimeMaxS === undefined ? {} : { lifetimeMaxS: options.tokenLifetimeMaxS }),
        ...(options.extendsTokens === undefined ? {} : { extends: options.extendsTokens }),
      }),
    eviction: (reader, statuses) => new BudgetGuard(reader, statuses, clock),
    documents: {
      '/.well-known/openid-configuration': {
        contentType: 'application/json',
        render: () => openidConfiguration(issuer, jwksUri, [key]),
      },
      '/openid/v1/jwks': { contentType: 'application/jwk-set+json', render: () => keySet([key]) },
    },
  };
}
