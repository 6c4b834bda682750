import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import {
  type AdmissionConfig,
  type AnonymousConfig,
  AUTHENTICATION_CONFIG_KIND,
  type Auditor,
  type AuditSink,
  type AuthorizationConfig,
  type AuthorizerConfig,
  ConfigFileError,
  configOfFlags,
  decodeConfigFile,
  EncryptionAtRest,
  JwtAuthentication,
  LogSink,
  NO_CONDITIONS,
  PolicyAuditor,
  parseAdmissionConfig,
  parseAuditPolicy,
  parseAuthenticationConfig,
  parseAuthorizationConfig,
  parseEncryptionConfig,
  type TokenAuthenticator,
  TokenWebhook,
  type WebhookClient,
  WebhookSink,
  type WebhookTarget,
} from '@dure/apiserver';
import { loadKubeconfig } from '@dure/client';
import { type Clock, type Logger, messageOf, Scope } from '@dure/foundation';
import type { AccessConfig, AuditConfig } from './access-config.ts';
import { applyFiles, type FollowedFile, followFiles } from './followed-file.ts';

export interface AccessFilesDeps {
  /** `iss` and audience of ServiceAccount tokens. */
  readonly issuer: string;
  readonly webhooks: WebhookClient;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What the access flags and their files come to. Disposing of it writes what waits for the audit log. */
export interface OpenedAccess extends AsyncDisposable {
  readonly tokens: readonly TokenAuthenticator[];
  readonly anonymous: () => AnonymousConfig;
  readonly authorization: () => AuthorizationConfig;
  readonly admission: AdmissionConfig;
  readonly auditor: Auditor | undefined;
  readonly encryption: EncryptionAtRest | undefined;
  /** Reads files again that change, until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const WEBHOOK_TIMEOUT_MS = 30_000;

/** @throws {ConfigFileError} or the system's error for a file that cannot be read. */
export async function openAccess(config: AccessConfig, deps: AccessFilesDeps): Promise<OpenedAccess> {
  const { issuer, webhooks, clock, log } = deps;
  const scope = new Scope();
  const jwt = scope.use(new JwtAuthentication(clock, [issuer]));
  let anonymous: AnonymousConfig = { enabled: config.anonymousAuth ?? true };
  let authorization: AuthorizationConfig = await authorizationOfFlags(config);
  let encryption: EncryptionAtRest | undefined;
  const files: FollowedFile[] = [];
  const once: FollowedFile[] = [];

  if (config.oidc !== undefined) {
    const { caFile, ...flags } = config.oidc;
    jwt.configure([configOfFlags({ ...flags, ...(caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }) })]);
  }
  if (config.authenticationFile !== undefined) {
    files.push({
      path: config.authenticationFile,
      apply(text) {
        const parsed = parseAuthenticationConfig(decodeConfigFile(text, AUTHENTICATION_CONFIG_KIND), [issuer]);
        if (parsed.anonymous !== undefined && config.anonymousAuth !== undefined)
          throw new ConfigFileError(AUTHENTICATION_CONFIG_KIND.kind, ['anonymous: --anonymous-auth says it already']);
        jwt.configure(parsed.jwt);
        anonymous = parsed.anonymous ?? { enabled: config.anonymousAuth ?? true };
      },
    });
  }
  if (config.authorizationFile !== undefined) {
    files.push({
      path: config.authorizationFile,
      async apply(text) {
        authorization = await parseAuthorizationConfig(text, webhookTarget);
      },
    });
  }
  if (config.encryptionFile !== undefined) {
    (config.encryptionReload ? files : once).push({
      path: config.encryptionFile,
      apply(text) {
        const parsed = parseEncryptionConfig(text);
        if (encryption === undefined) encryption = scope.use(new EncryptionAtRest(parsed, clock));
        else encryption.configure(parsed);
      },
    });
  }
  let admission: AdmissionConfig = {};
  const { admissionFile } = config;
  if (admissionFile !== undefined) {
    once.push({
      path: admissionFile,
      async apply(text) {
        admission = await parseAdmissionConfig(text, (path) => readFile(resolve(dirname(admissionFile), path), 'utf8'));
      },
    });
  }
  await applyFiles(once);
  const known = await applyFiles(files);
  const { tokenWebhook } = config;
  const tokens: TokenAuthenticator[] = [jwt];
  if (tokenWebhook !== undefined) {
    const { file, version, cacheTtlMs } = tokenWebhook;
    tokens.push(new TokenWebhook({ client: webhooks, target: await webhookTarget(file), version, cacheTtlMs, audiences: [issuer], clock }));
  }
  const auditor = config.audit === undefined ? undefined : scope.use(await openAudit(config.audit, deps));
  return {
    tokens,
    anonymous: () => anonymous,
    authorization: () => authorization,
    admission,
    auditor,
    encryption,
    run: (signal) => followFiles(files, known, { clock, log }, signal),
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

async function authorizationOfFlags({ authorizationModes, authorizationWebhook }: AccessConfig): Promise<AuthorizationConfig> {
  return Promise.all(
    authorizationModes.map(async (mode): Promise<AuthorizerConfig> => {
      if (mode !== 'Webhook' || authorizationWebhook === undefined) return { kind: mode as 'Node' | 'RBAC' | 'AlwaysAllow' | 'AlwaysDeny' };
      const { file, ...settings } = authorizationWebhook;
      return {
        kind: 'Webhook',
        webhook: {
          ...settings,
          name: 'webhook',
          target: await webhookTarget(file),
          timeoutMs: WEBHOOK_TIMEOUT_MS,
          failurePolicy: 'NoOpinion',
          matchConditions: NO_CONDITIONS,
        },
      };
    }),
  );
}

async function openAudit(config: AuditConfig, { webhooks: client, clock, log }: AccessFilesDeps): Promise<PolicyAuditor> {
  const policy = parseAuditPolicy(await readFile(config.policyFile, 'utf8'));
  const { logFile, logBytesMax: bytesMax, logBackupsMax: backupsMax, logAgeMaxDays, logCompress: compress, webhookFile } = config;
  const sinks: AuditSink[] = [];
  const ageMaxMs = logAgeMaxDays * 24 * 3_600_000;
  if (logFile !== undefined) sinks.push(new LogSink({ path: logFile, bytesMax, backupsMax, ageMaxMs, compress, clock, log }));
  if (webhookFile !== undefined) sinks.push(new WebhookSink({ client, target: await webhookTarget(webhookFile), clock, log }));
  return new PolicyAuditor({ policy, sinks, clock });
}

/** The server that a kubeconfig describes, as webhooks are called. @throws {ConfigFileError} */
export async function webhookTarget(path: string): Promise<WebhookTarget> {
  try {
    const { servers, ca, certificate, key, token, serverName, insecureSkipTlsVerify } = await loadKubeconfig(path);
    if (insecureSkipTlsVerify === true) throw new Error('insecure-skip-tls-verify is not supported: give its certificate-authority');
    const bearerToken = typeof token === 'function' ? await token() : token;
    const [url = ''] = servers;
    return {
      url,
      ...(ca === undefined ? {} : { caBundle: Buffer.from(ca).toString('base64') }),
      ...(serverName === undefined ? {} : { serverName }),
      credentials: {
        ...(certificate === undefined ? {} : { certPem: certificate }),
        ...(key === undefined ? {} : { keyPem: key }),
        ...(bearerToken === undefined ? {} : { bearerToken }),
      },
    };
  } catch (error) {
    throw new ConfigFileError(`kubeconfig ${path}`, [messageOf(error)]);
  }
}
