export { type AdmissionConfig, parseAdmissionConfig } from './admission/admission-config.ts';
export { type ApiServer, type ApiServerOptions, createApiServer } from './api-server.ts';
export type { AuditSink } from './audit/audit-event.ts';
export { parseAuditPolicy } from './audit/audit-policy.ts';
export { LogSink, type LogSinkOptions } from './audit/log-sink.ts';
export { PolicyAuditor } from './audit/policy-auditor.ts';
export { WebhookSink } from './audit/webhook-sink.ts';
export { type LegacyClaims, legacyTokenSigner } from './authentication/legacy-token.ts';
export {
  type AnonymousConfig,
  AUTHENTICATION_CONFIG_KIND,
  type AuthenticationConfig,
  configOfFlags,
  type JwtAuthenticatorConfig,
  type OidcFlags,
  parseAuthenticationConfig,
} from './authentication/oidc/authentication-config.ts';
export { JwtAuthentication } from './authentication/oidc/jwt-authentication.ts';
export { TokenWebhook, type TokenWebhookOptions } from './authentication/token-webhook.ts';
export {
  type AuthorizationConfig,
  type AuthorizerConfig,
  parseAuthorizationConfig,
  USUAL_AUTHORIZATION,
} from './authorization/authorization-config.ts';
export type { AuthorizationWebhookConfig } from './authorization/authorization-webhook.ts';
export { NO_CONDITIONS } from './authorization/match-conditions.ts';
export {
  type BootstrapFacts,
  bootstrapObjects,
  furtherObjects,
  kubernetesEndpoints,
} from './bootstrap/bootstrap-objects.ts';
export { type ClientAuthorities, clientAuthorities } from './bootstrap/client-authorities.ts';
export { planFlowControl } from './bootstrap/flow-control/flow-control-plan.ts';
export { planCustomApiServices } from './bootstrap/local-api-services.ts';
export { type DefaultObject, type ObjectChange, planDefaults } from './bootstrap/object-change.ts';
export { type ClusterAccess, type ClusterAccessOptions, clusterAccess } from './cluster-access.ts';
export { ConfigFileError, decodeConfigFile } from './config-files/config-file.ts';
export { type NodeDialerTls, nodeDialer, podDialer } from './connect/dialers.ts';
export type { FrontProxyIdentity } from './connect/extension-dialer.ts';
export { type WebhookClient, type WebhookTarget, webhookClient } from './connect/webhook-client.ts';
export type { Admission, AdmissionOperation, AdmissionRequest } from './contract/admission.ts';
export type { Auditor } from './contract/auditor.ts';
export type { Authenticated, Authenticator, Credentials, PeerCertificate } from './contract/authenticator.ts';
export type {
  AuthorizationQuery,
  AuthorizationResult,
  Authorizer,
  Decision,
  NonResourceQuery,
  NonResourceRule,
  ResourceQuery,
  ResourceRule,
  RuleSummary,
} from './contract/authorizer.ts';
export type { EvictionGuard } from './contract/eviction-guard.ts';
export type { MetricsSource, PodUsage, UsageSample } from './contract/metrics-source.ts';
export type { ForwardRequest, ForwardResponse, NodeDialer, NodeEndpoint, PodDialer } from './contract/node-dialer.ts';
export type { ObjectReader, ReaderQuery } from './contract/object-reader.ts';
export type { ServiceAccountTokens } from './contract/service-account-tokens.ts';
export type { TokenAuthenticator } from './contract/token-authenticator.ts';
export { ANONYMOUS_USER, SYSTEM_USER, type UserInfo } from './contract/user.ts';
export { EncryptionAtRest } from './encryption/encryption-at-rest.ts';
export { type EncryptionConfig, parseEncryptionConfig } from './encryption/encryption-config.ts';
export type { HealthCheck } from './health/health.ts';
export type { InProcessTransport } from './http/in-process-door.ts';
export type { DoorTls, NetworkDoor } from './http/network-door.ts';
export { agentMetrics } from './metrics-api/agent-metrics.ts';
export { VOLATILE_PREFIXES } from './registry/durability.ts';
export type { UpkeepOptions } from './registry/upkeep.ts';
export type { InFlightLimits } from './request/in-flight.ts';
export type { ServiceAllocationOptions } from './service-allocation/service-hooks.ts';
