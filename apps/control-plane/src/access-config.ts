import { resolve } from 'node:path';

/** Who is let in, who decides, what is written down and what is encrypted: upstream's flags under their names. Paths are absolute. */
export interface AccessConfig {
  /** `undefined` where the flag was not given: then a file may say it. */
  readonly anonymousAuth: boolean | undefined;
  readonly oidc: OidcConfig | undefined;
  readonly authenticationFile: string | undefined;
  /** Of ServiceAccount tokens that are asked for; `undefined`: as long as is asked. */
  readonly tokenLifetimeMaxS: number | undefined;
  readonly extendsTokens: boolean;
  readonly tokenWebhook: { readonly file: string; readonly version: 'v1' | 'v1beta1'; readonly cacheTtlMs: number } | undefined;
  /** In the order in which they are asked. With {@link authorizationFile} nothing. */
  readonly authorizationModes: readonly string[];
  readonly authorizationFile: string | undefined;
  readonly authorizationWebhook:
    | {
        readonly file: string;
        readonly version: 'v1' | 'v1beta1';
        readonly authorizedTtlMs: number;
        readonly unauthorizedTtlMs: number;
      }
    | undefined;
  readonly admissionFile: string | undefined;
  readonly audit: AuditConfig | undefined;
  readonly encryptionFile: string | undefined;
  /** Whether the file is read again when it changes. */
  readonly encryptionReload: boolean;
}

export interface OidcConfig {
  readonly issuerUrl: string;
  readonly clientId: string;
  readonly caFile: string | undefined;
  readonly usernameClaim: string;
  readonly usernamePrefix: string;
  readonly groupsClaim: string;
  readonly groupsPrefix: string;
  readonly requiredClaims: Readonly<Record<string, string>>;
  readonly signingAlgorithms: readonly string[];
}

export interface AuditConfig {
  readonly policyFile: string;
  readonly logFile: string | undefined;
  readonly logBytesMax: number;
  readonly logBackupsMax: number;
  readonly logAgeMaxDays: number;
  readonly logCompress: boolean;
  readonly webhookFile: string | undefined;
}

export const ACCESS_DEFAULTS = {
  'anonymous-auth': '',
  'authentication-config': '',
  'authentication-token-webhook-config-file': '',
  'authentication-token-webhook-version': 'v1beta1',
  'authentication-token-webhook-cache-ttl': '2m0s',
  'oidc-issuer-url': '',
  'oidc-client-id': '',
  'oidc-ca-file': '',
  'oidc-username-claim': 'sub',
  'oidc-username-prefix': '',
  'oidc-groups-claim': '',
  'oidc-groups-prefix': '',
  'oidc-required-claim': [] as string[],
  'oidc-signing-algs': 'RS256',
  'service-account-max-token-expiration': '0s',
  'service-account-extend-token-expiration': 'true',
  'authorization-mode': 'Node,RBAC',
  'authorization-config': '',
  'authorization-webhook-config-file': '',
  'authorization-webhook-version': 'v1beta1',
  'authorization-webhook-cache-authorized-ttl': '5m0s',
  'authorization-webhook-cache-unauthorized-ttl': '30s',
  'admission-control-config-file': '',
  'audit-policy-file': '',
  'audit-log-path': '',
  'audit-log-maxage': '366',
  'audit-log-maxbackup': '100',
  'audit-log-maxsize': '100',
  'audit-log-compress': 'false',
  'audit-webhook-config-file': '',
  'encryption-provider-config': '',
  'encryption-provider-config-automatic-reload': 'false',
} as const;

/** Those that may stand without a value. */
export const ACCESS_SWITCHES: readonly string[] = [
  'service-account-extend-token-expiration',
  'anonymous-auth',
  'audit-log-compress',
  'encryption-provider-config-automatic-reload',
];

export const ACCESS_MEANINGS: Readonly<Record<string, string>> = {
  'anonymous-auth': 'whether requests without credentials are served as system:anonymous, default true',
  'authentication-config': 'file with an AuthenticationConfiguration; read again when it changes',
  'authentication-token-webhook-config-file': 'kubeconfig of a server that is sent TokenReviews',
  'oidc-issuer-url': 'https URL of an OpenID issuer whose ID tokens are good here',
  'oidc-client-id': 'audience that its tokens must have',
  'oidc-ca-file': 'file with the certificates that the issuer is trusted by, default those of the system',
  'oidc-username-prefix': 'stands before names, default "ISSUER#" unless the claim is email; "-" for none',
  'oidc-groups-claim': 'claim that holds the groups, default none',
  'oidc-groups-prefix': 'stands before groups, default none',
  'oidc-required-claim': 'KEY=VALUE that a token must have, may be repeated',
  'oidc-signing-algs': 'algorithms of its tokens, several with commas, default RS256',
  'service-account-max-token-expiration': 'longest life of a ServiceAccount token that is asked for, default as long as is asked',
  'service-account-extend-token-expiration': 'whether tokens of injected volumes live a year, default true',
  'authorization-mode': 'Node, RBAC, Webhook, AlwaysAllow, AlwaysDeny in the order they are asked, default Node,RBAC',
  'authorization-config': 'file with an AuthorizationConfiguration; read again when it changes',
  'authorization-webhook-config-file': 'with mode Webhook: kubeconfig of a server that is sent SubjectAccessReviews',
  'admission-control-config-file': 'file with an AdmissionConfiguration, default none; PodSecurity can be configured',
  'audit-policy-file': 'file with an audit Policy, default none',
  'audit-log-path': 'file that audit events are appended to, default none',
  'audit-log-maxage': 'days that audit files are kept, 0 for ever, default 366',
  'audit-log-maxbackup': 'audit files that are kept, 0 for all, default 100',
  'audit-log-maxsize': 'megabytes of an audit file, default 100',
  'audit-webhook-config-file': 'kubeconfig of a server that audit events are sent to',
  'encryption-provider-config': 'file with an EncryptionConfiguration for what the store keeps, default none',
};

const MODES: readonly string[] = ['Node', 'RBAC', 'Webhook', 'AlwaysAllow', 'AlwaysDeny'];
const ALGORITHMS: readonly string[] = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];
const HOUR_MS = 3_600_000;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

type Flag = keyof typeof ACCESS_DEFAULTS;

export interface AccessValues {
  /** What was given, or the default. */
  text(name: Flag): string;
  list(name: Flag): readonly string[];
  isGiven(name: Flag): boolean;
}

/** @param check Takes each fault where its first argument is false. */
export function parseAccessConfig({ text, list, isGiven }: AccessValues, check: (good: boolean, fault: string) => void): AccessConfig {
  const path = (name: Flag): string | undefined => (text(name) === '' ? undefined : resolve(text(name)));
  const isTrue = (name: Flag): boolean => {
    check(['true', 'false'].includes(text(name)), `--${name} ${text(name)}: expected true or false`);
    return text(name) === 'true';
  };
  const durationMs = (name: Flag): number => {
    const parts = [...text(name).matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
    check(
      parts.length > 0 && parts.map(([part]) => part).join('') === text(name),
      `--${name} ${text(name)}: expected a duration such as 5m0s`,
    );
    return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNIT_MS[unit ?? ''] ?? 0), 0);
  };
  const count = (name: Flag): number => {
    check(/^\d+$/.test(text(name)), `--${name} ${text(name)}: expected a number`);
    return Number(text(name));
  };
  const version = (name: Flag): 'v1' | 'v1beta1' => {
    check(['v1', 'v1beta1'].includes(text(name)), `--${name} ${text(name)}: expected v1 or v1beta1`);
    return text(name) === 'v1' ? 'v1' : 'v1beta1';
  };

  const lifetimeMaxMs = durationMs('service-account-max-token-expiration');
  check(
    lifetimeMaxMs === 0 || (lifetimeMaxMs >= HOUR_MS && lifetimeMaxMs <= 2 ** 32 * 1000),
    '--service-account-max-token-expiration: expected at least 1h and at most 2^32 seconds',
  );
  const oidc = parseOidc({ text, list, isGiven }, check);
  const authenticationFile = path('authentication-config');
  check(authenticationFile === undefined || oidc === undefined, '--authentication-config and --oidc-*: one of them says who is let in');

  const authorizationFile = path('authorization-config');
  const modes = text('authorization-mode').split(',');
  for (const [index, mode] of modes.entries()) {
    check(MODES.includes(mode), `--authorization-mode ${mode}: expected ${MODES.join(', ')}`);
    check(!modes.slice(0, index).includes(mode), `--authorization-mode ${mode}: named twice`);
  }
  const authorizationWebhook = path('authorization-webhook-config-file');
  check(
    authorizationFile === undefined || (!isGiven('authorization-mode') && authorizationWebhook === undefined),
    '--authorization-config: says itself who decides; --authorization-mode and --authorization-webhook-* must not',
  );
  check(
    authorizationFile !== undefined || modes.includes('Webhook') === (authorizationWebhook !== undefined),
    '--authorization-mode Webhook and --authorization-webhook-config-file: one is of no use without the other',
  );

  const tokenWebhook = path('authentication-token-webhook-config-file');
  const encryptionReload = isTrue('encryption-provider-config-automatic-reload');
  check(
    !encryptionReload || path('encryption-provider-config') !== undefined,
    '--encryption-provider-config-automatic-reload: needs --encryption-provider-config',
  );
  return {
    anonymousAuth: isGiven('anonymous-auth') ? isTrue('anonymous-auth') : undefined,
    oidc,
    authenticationFile,
    tokenLifetimeMaxS: lifetimeMaxMs === 0 ? undefined : lifetimeMaxMs / 1000,
    extendsTokens: isTrue('service-account-extend-token-expiration'),
    tokenWebhook:
      tokenWebhook === undefined
        ? undefined
        : {
            file: tokenWebhook,
            version: version('authentication-token-webhook-version'),
            cacheTtlMs: durationMs('authentication-token-webhook-cache-ttl'),
          },
    authorizationModes: authorizationFile === undefined ? modes : [],
    authorizationFile,
    authorizationWebhook:
      authorizationWebhook === undefined
        ? undefined
        : {
            file: authorizationWebhook,
            version: version('authorization-webhook-version'),
            authorizedTtlMs: durationMs('authorization-webhook-cache-authorized-ttl'),
            unauthorizedTtlMs: durationMs('authorization-webhook-cache-unauthorized-ttl'),
          },
    admissionFile: path('admission-control-config-file'),
    audit: parseAudit(path, { count, isTrue }, check),
    encryptionFile: path('encryption-provider-config'),
    encryptionReload,
  };
}

function parseAudit(
  path: (name: Flag) => string | undefined,
  { count, isTrue }: { count(name: Flag): number; isTrue(name: Flag): boolean },
  check: (good: boolean, fault: string) => void,
): AuditConfig | undefined {
  const policyFile = path('audit-policy-file');
  const logFile = path('audit-log-path');
  const webhookFile = path('audit-webhook-config-file');
  const limits = {
    logAgeMaxDays: count('audit-log-maxage'),
    logBackupsMax: count('audit-log-maxbackup'),
    logBytesMax: count('audit-log-maxsize') * 1024 * 1024,
    logCompress: isTrue('audit-log-compress'),
  };
  const isKept = logFile !== undefined || webhookFile !== undefined;
  check(
    policyFile !== undefined || !isKept,
    '--audit-log-path, --audit-webhook-config-file: without --audit-policy-file nothing is written',
  );
  check(policyFile === undefined || isKept, '--audit-policy-file: needs --audit-log-path or --audit-webhook-config-file');
  return policyFile === undefined ? undefined : { policyFile, logFile, webhookFile, ...limits };
}

function parseOidc({ text, list, isGiven }: AccessValues, check: (good: boolean, fault: string) => void): OidcConfig | undefined {
  const given = (Object.keys(ACCESS_DEFAULTS) as Flag[]).filter((name) => name.startsWith('oidc-') && isGiven(name));
  if (given.length === 0) return undefined;
  const [issuerUrl, clientId] = [text('oidc-issuer-url'), text('oidc-client-id')];
  check(issuerUrl !== '' && clientId !== '', '--oidc-issuer-url and --oidc-client-id: both are needed where any --oidc-* is given');
  check(issuerUrl === '' || /^https:\/\/[^?#]+$/.test(issuerUrl), `--oidc-issuer-url ${issuerUrl}: expected https://HOST/PATH`);
  const signingAlgorithms = text('oidc-signing-algs').split(',');
  for (const algorithm of signingAlgorithms)
    check(ALGORITHMS.includes(algorithm), `--oidc-signing-algs ${algorithm}: expected ${ALGORITHMS.join(', ')}`);
  const pairs = list('oidc-required-claim').flatMap((one) => one.split(','));
  for (const pair of pairs) check(/^[^=]+=/.test(pair), `--oidc-required-claim ${pair}: expected KEY=VALUE`);
  return {
    issuerUrl,
    clientId,
    caFile: text('oidc-ca-file') === '' ? undefined : resolve(text('oidc-ca-file')),
    usernameClaim: text('oidc-username-claim'),
    usernamePrefix: text('oidc-username-prefix'),
    groupsClaim: text('oidc-groups-claim'),
    groupsPrefix: text('oidc-groups-prefix'),
    requiredClaims: Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)])),
    signingAlgorithms,
  };
}
