import { CelCompiler } from '@dure/api';
import { decodeConfigFile, durationMsOf, type Fields, FileFaults, fieldsOf, listOf, textOf } from '../config-files/config-file.ts';
import type { WebhookTarget } from '../connect/webhook-client.ts';
import type { AuthorizationWebhookConfig } from './authorization-webhook.ts';
import { compileConditions } from './match-conditions.ts';

export type AuthorizerConfig =
  | { readonly kind: 'Node' | 'RBAC' | 'AlwaysAllow' | 'AlwaysDeny' }
  | { readonly kind: 'Webhook'; readonly webhook: AuthorizationWebhookConfig };

/** Authorizers in the order in which they are asked. */
export type AuthorizationConfig = readonly AuthorizerConfig[];

/** What decides where nothing else is configured. */
export const USUAL_AUTHORIZATION: AuthorizationConfig = [{ kind: 'Node' }, { kind: 'RBAC' }];

const KIND = { group: 'apiserver.config.k8s.io', versions: ['v1', 'v1beta1', 'v1alpha1'], kind: 'AuthorizationConfiguration' } as const;
const TYPES: readonly string[] = ['AlwaysAllow', 'AlwaysDeny', 'Node', 'RBAC', 'Webhook'];
const TIMEOUT_MAX_MS = 30_000;
const AUTHORIZED_TTL_MS = 5 * 60_000;
const UNAUTHORIZED_TTL_MS = 30_000;
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/**
 * Reads an AuthorizationConfiguration.
 * @param targetOf Reads the kubeconfig that a webhook is described by. @throws {ConfigFileError} with every fault.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authorization/#using-configuration-file-for-authorization
 */
export async function parseAuthorizationConfig(
  text: string,
  targetOf: (kubeconfigFile: string) => Promise<WebhookTarget>,
): Promise<AuthorizationConfig> {
  const content = decodeConfigFile(text, KIND);
  const faults = new FileFaults(content);
  const compiler = new CelCompiler();
  faults.knowOnly(content, '', ['apiVersion', 'kind', 'authorizers']);
  const entries = listOf(content.authorizers).map(fieldsOf);
  if (entries.length === 0) faults.add('authorizers', 'Required value: at least one authorization mode must be defined');
  const parsed: AuthorizerConfig[] = [];
  for (const [index, entry] of entries.entries()) {
    const path = `authorizers[${index}]`;
    const before = entries.slice(0, index);
    const [type, name] = [textOf(entry.type), textOf(entry.name)];
    faults.knowOnly(entry, path, ['type', 'name', 'webhook']);
    if (!TYPES.includes(type)) {
      faults.add(
        `${path}.type`,
        `Unsupported value: ${JSON.stringify(type)}: supported values: ${TYPES.map((one) => `"${one}"`).join(', ')}`,
      );
      continue;
    }
    if (type !== 'Webhook' && before.some((other) => other.type === type))
      faults.add(`${path}.type`, `Duplicate value: ${JSON.stringify(type)}`);
    if (name === '') faults.add(`${path}.name`, 'Required value');
    else if (!NAME.test(name)) faults.add(`${path}.name`, `Invalid value: ${JSON.stringify(name)}: authorizer name is not a DNS subdomain`);
    if (before.some((other) => other.name === name)) faults.add(`${path}.name`, `Duplicate value: ${JSON.stringify(name)}`);
    if (type === 'Webhook') {
      parsed.push({
        kind: 'Webhook',
        webhook: await parseWebhook(name, fieldsOf(entry.webhook), `${path}.webhook`, faults, compiler, targetOf),
      });
    } else {
      if (entry.webhook !== undefined) faults.add(`${path}.webhook`, 'Invalid value: may only be specified when type=Webhook');
      parsed.push({ kind: type as 'Node' | 'RBAC' | 'AlwaysAllow' | 'AlwaysDeny' });
    }
  }
  faults.throwIfAny();
  return parsed;
}

async function parseWebhook(
  name: string,
  webhook: Fields,
  path: string,
  faults: FileFaults,
  compiler: CelCompiler,
  targetOf: (kubeconfigFile: string) => Promise<WebhookTarget>,
): Promise<AuthorizationWebhookConfig> {
  faults.knowOnly(webhook, path, [
    'authorizedTTL',
    'cacheAuthorizedRequests',
    'unauthorizedTTL',
    'cacheUnauthorizedRequests',
    'timeout',
    'subjectAccessReviewVersion',
    'matchConditionSubjectAccessReviewVersion',
    'failurePolicy',
    'connectionInfo',
    'matchConditions',
  ]);
  const duration = (field: string): number | undefined => {
    try {
      return durationMsOf(webhook[field]);
    } catch (error) {
      faults.add(`${path}.${field}`, `Invalid value: ${JSON.stringify(webhook[field])}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const oneOf = (field: string, values: readonly string[]): string => {
    const value = textOf(webhook[field]);
    const supported = values.map((one) => `"${one}"`).join(', ');
    if (value === '') faults.add(`${path}.${field}`, 'Required value');
    else if (!values.includes(value))
      faults.add(`${path}.${field}`, `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}`);
    return value;
  };
  const timeoutMs = duration('timeout');
  if (timeoutMs === undefined) faults.add(`${path}.timeout`, 'Required value');
  else if (timeoutMs <= 0 || timeoutMs > TIMEOUT_MAX_MS)
    faults.add(`${path}.timeout`, `Invalid value: ${JSON.stringify(webhook.timeout)}: must be > 0s and <= 30s`);
  const version = oneOf('subjectAccessReviewVersion', ['v1', 'v1beta1']);
  const failurePolicy = oneOf('failurePolicy', ['NoOpinion', 'Deny']);
  const conditions = listOf(webhook.matchConditions).map((condition) => textOf(fieldsOf(condition).expression));
  if (conditions.length > 0 || webhook.matchConditionSubjectAccessReviewVersion !== undefined)
    oneOf('matchConditionSubjectAccessReviewVersion', ['v1']);
  const expressions = compileConditions(conditions, `${path}.matchConditions`, compiler, faults);
  const ttl = (field: string, cached: string, usualMs: number): number => (webhook[cached] === false ? 0 : (duration(field) ?? usualMs));
  return {
    name,
    target: await targetOfConnection(fieldsOf(webhook.connectionInfo), `${path}.connectionInfo`, faults, targetOf),
    version: version === 'v1beta1' ? 'v1beta1' : 'v1',
    timeoutMs: timeoutMs ?? TIMEOUT_MAX_MS,
    authorizedTtlMs: ttl('authorizedTTL', 'cacheAuthorizedRequests', AUTHORIZED_TTL_MS),
    unauthorizedTtlMs: ttl('unauthorizedTTL', 'cacheUnauthorizedRequests', UNAUTHORIZED_TTL_MS),
    failurePolicy: failurePolicy === 'Deny' ? 'Deny' : 'NoOpinion',
    matchConditions: expressions,
  };
}

async function targetOfConnection(
  connection: Fields,
  path: string,
  faults: FileFaults,
  targetOf: (kubeconfigFile: string) => Promise<WebhookTarget>,
): Promise<WebhookTarget> {
  faults.knowOnly(connection, path, ['type', 'kubeConfigFile']);
  const [type, file] = [textOf(connection.type), textOf(connection.kubeConfigFile)];
  // In a Pod the server's own address is given by the environment; this server runs in none.
  if (type !== 'KubeConfigFile')
    faults.add(`${path}.type`, `Unsupported value: ${JSON.stringify(type)}: supported values: "KubeConfigFile"`);
  else if (file === '') faults.add(`${path}.kubeConfigFile`, 'Required value');
  else {
    try {
      return await targetOf(file);
    } catch (error) {
      faults.add(`${path}.kubeConfigFile`, `Invalid value: ${JSON.stringify(file)}: ${(error as Error).message}`);
    }
  }
  return {};
}
