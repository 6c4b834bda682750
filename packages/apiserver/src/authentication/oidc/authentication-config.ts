import { isDeepStrictEqual } from 'node:util';
import { type Fields, FileFaults, fieldsOf, listOf, textOf } from '../../config-files/config-file.ts';

/** Where a string of the user comes from: a claim behind a prefix, or an expression. */
export type ClaimSource =
  | { readonly kind: 'claim'; readonly claim: string; readonly prefix: string }
  | { readonly kind: 'expression'; readonly expression: string };

export interface JwtIssuer {
  /** `iss` of its tokens, and where its discovery document lies unless {@link discoveryURL} says otherwise. */
  readonly url: string;
  readonly discoveryURL?: string;
  /** PEM. Default: the authorities that the system trusts. */
  readonly certificateAuthority?: string;
  /** A token must be for one of them. */
  readonly audiences: readonly string[];
}

export type ClaimValidationRule =
  | { readonly kind: 'claim'; readonly claim: string; readonly requiredValue: string }
  | { readonly kind: 'expression'; readonly expression: string; readonly message: string };

/** How tokens of one issuer become users. */
export interface JwtAuthenticatorConfig {
  readonly issuer: JwtIssuer;
  readonly claimValidationRules: readonly ClaimValidationRule[];
  readonly username: ClaimSource;
  readonly groups?: ClaimSource;
  readonly uid?: ClaimSource;
  readonly extra: readonly { readonly key: string; readonly valueExpression: string }[];
  readonly userValidationRules: readonly { readonly expression: string; readonly message: string }[];
  /** Absent: all that are known. */
  readonly signingAlgorithms?: readonly string[];
}

/** Who is served without credentials. */
export interface AnonymousConfig {
  readonly enabled: boolean;
  /** Absent: everywhere; else only at these paths. */
  readonly paths?: readonly string[];
}

/** What an AuthenticationConfiguration file says. */
export interface AuthenticationConfig {
  readonly jwt: readonly JwtAuthenticatorConfig[];
  readonly anonymous?: AnonymousConfig;
}

export const AUTHENTICATION_CONFIG_KIND = {
  group: 'apiserver.config.k8s.io',
  versions: ['v1', 'v1beta1', 'v1alpha1'],
  kind: 'AuthenticationConfiguration',
} as const;

const ISSUERS_MAX = 64;
const RESERVED_DOMAIN = /(^|\.)(kubernetes\.io|k8s\.io)$/;
const EXTRA_KEY = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\/[a-z0-9A-Z._~!$&'()*+,;=:@%/-]+$/;

/**
 * Reads an AuthenticationConfiguration. Expressions are not compiled yet.
 * @param ownIssuers Of ServiceAccount tokens; nobody else may be one. @throws {ConfigFileError} with every fault.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
 */
export function parseAuthenticationConfig(content: Fields, ownIssuers: readonly string[]): AuthenticationConfig {
  const faults = new FileFaults(content);
  faults.knowOnly(content, '', ['apiVersion', 'kind', 'jwt', 'anonymous']);
  const issuers = listOf(content.jwt);
  if (issuers.length > ISSUERS_MAX) faults.add('jwt', `Too many: ${issuers.length}: must have at most ${ISSUERS_MAX} items`);
  const jwt = issuers.map((issuer, index) => parseJwt(fieldsOf(issuer), `jwt[${index}]`, ownIssuers, faults));
  for (const [index, { issuer }] of jwt.entries()) {
    const twice = (pick: (issuer: JwtIssuer) => string | undefined): boolean =>
      pick(issuer) !== undefined && pick(issuer) !== '' && jwt.slice(0, index).some((other) => pick(other.issuer) === pick(issuer));
    if (twice(({ url }) => url)) faults.add(`jwt[${index}].issuer.url`, `Duplicate value: ${JSON.stringify(issuer.url)}`);
    if (twice(({ discoveryURL }) => discoveryURL))
      faults.add(`jwt[${index}].issuer.discoveryURL`, `Duplicate value: ${JSON.stringify(issuer.discoveryURL)}`);
  }
  const anonymous = content.anonymous === undefined ? undefined : parseAnonymous(fieldsOf(content.anonymous), faults);
  faults.throwIfAny();
  return { jwt, ...(anonymous === undefined ? {} : { anonymous }) };
}

function parseAnonymous(anonymous: Fields, faults: FileFaults): AnonymousConfig {
  faults.knowOnly(anonymous, 'anonymous', ['enabled', 'conditions']);
  const enabled = anonymous.enabled === true;
  const conditions = listOf(anonymous.conditions);
  const paths = conditions.map((condition) => textOf(fieldsOf(condition).path));
  for (const [index, path] of paths.entries())
    if (path === '') faults.add(`anonymous.conditions[${index}].path`, 'Required value: path is required');
  if (!enabled && conditions.length > 0)
    faults.add('anonymous.conditions', 'Invalid value: enabled should be set to true when conditions are defined');
  return { enabled, ...(conditions.length > 0 ? { paths } : {}) };
}

function parseJwt(jwt: Fields, path: string, ownIssuers: readonly string[], faults: FileFaults): JwtAuthenticatorConfig {
  faults.knowOnly(jwt, path, ['issuer', 'claimValidationRules', 'claimMappings', 'userValidationRules']);
  const mappings = fieldsOf(jwt.claimMappings);
  faults.knowOnly(mappings, `${path}.claimMappings`, ['username', 'groups', 'uid', 'extra']);
  const mapping = (name: 'username' | 'groups' | 'uid'): ClaimSource | undefined =>
    parseSource(fieldsOf(mappings[name]), `${path}.claimMappings.${name}`, name, faults);
  const username = mapping('username');
  const groups = mapping('groups');
  const uid = mapping('uid');
  return {
    issuer: parseIssuer(fieldsOf(jwt.issuer), `${path}.issuer`, ownIssuers, faults),
    claimValidationRules: parseClaimRules(jwt.claimValidationRules, `${path}.claimValidationRules`, faults),
    username: username ?? { kind: 'claim', claim: '', prefix: '' },
    ...(groups === undefined ? {} : { groups }),
    ...(uid === undefined ? {} : { uid }),
    extra: parseExtra(mappings.extra, `${path}.claimMappings.extra`, faults),
    userValidationRules: listOf(jwt.userValidationRules).map((rule, index) => {
      const { expression, message } = fieldsOf(rule);
      const at = `${path}.userValidationRules[${index}].expression`;
      if (textOf(expression) === '') faults.add(at, 'Required value: expression is required');
      return { expression: textOf(expression), message: textOf(message) };
    }),
  };
}

function parseIssuer(issuer: Fields, path: string, ownIssuers: readonly string[], faults: FileFaults): JwtIssuer {
  faults.knowOnly(issuer, path, ['url', 'discoveryURL', 'certificateAuthority', 'audiences', 'audienceMatchPolicy', 'egressSelectorType']);
  const url = textOf(issuer.url);
  const discoveryURL = textOf(issuer.discoveryURL);
  const certificateAuthority = textOf(issuer.certificateAuthority);
  checkUrl(url, `${path}.url`, faults);
  if (ownIssuers.includes(url))
    faults.add(
      `${path}.url`,
      `Invalid value: ${JSON.stringify(url)}: URL must not overlap with disallowed issuers: [${ownIssuers.join(' ')}]`,
    );
  if (discoveryURL !== '') {
    checkUrl(discoveryURL, `${path}.discoveryURL`, faults);
    if (discoveryURL.replace(/\/$/, '') === url.replace(/\/$/, ''))
      faults.add(`${path}.discoveryURL`, `Invalid value: ${JSON.stringify(discoveryURL)}: discoveryURL must be different from URL`);
  }
  if (certificateAuthority !== '' && !certificateAuthority.includes('-----BEGIN CERTIFICATE-----'))
    faults.add(`${path}.certificateAuthority`, 'Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates');
  const audiences = listOf(issuer.audiences).map(textOf);
  if (audiences.length === 0) faults.add(`${path}.audiences`, 'Required value: at least one jwt[].issuer.audiences is required');
  for (const [index, audience] of audiences.entries())
    if (audience === '') faults.add(`${path}.audiences[${index}]`, "Required value: audience can't be empty");
  const policy = textOf(issuer.audienceMatchPolicy);
  if (audiences.length > 1 && policy !== 'MatchAny')
    faults.add(
      `${path}.audienceMatchPolicy`,
      `Invalid value: ${JSON.stringify(policy)}: audienceMatchPolicy must be MatchAny for multiple audiences`,
    );
  else if (policy !== '' && policy !== 'MatchAny')
    faults.add(
      `${path}.audienceMatchPolicy`,
      `Invalid value: ${JSON.stringify(policy)}: audienceMatchPolicy must be empty or MatchAny for single audience`,
    );
  return {
    url,
    audiences,
    ...(discoveryURL === '' ? {} : { discoveryURL }),
    ...(certificateAuthority === '' ? {} : { certificateAuthority }),
  };
}

function checkUrl(text: string, path: string, faults: FileFaults): void {
  const invalid = (why: string): void => faults.add(path, `Invalid value: ${JSON.stringify(text)}: ${why}`);
  if (text === '') {
    faults.add(path, 'Required value: URL is required');
    return;
  }
  if (!URL.canParse(text)) {
    invalid('URL cannot be parsed');
    return;
  }
  const url = new URL(text);
  if (url.protocol !== 'https:') invalid('URL scheme must be https');
  if (url.username !== '' || url.password !== '') invalid('URL must not contain a username or password');
  if (url.search !== '') invalid('URL must not contain a query');
  if (url.hash !== '') invalid('URL must not contain a fragment');
}

function parseClaimRules(rules: unknown, path: string, faults: FileFaults): ClaimValidationRule[] {
  const seen = new Set<string>();
  return listOf(rules).map((rule, index) => {
    const at = `${path}[${index}]`;
    const fields = fieldsOf(rule);
    const [claim, requiredValue, expression, message] = ['claim', 'requiredValue', 'expression', 'message'].map((name) =>
      textOf(fields[name]),
    ) as [string, string, string, string];
    const identity = claim === '' ? `expression ${expression}` : `claim ${claim}`;
    if (seen.has(identity))
      faults.add(`${at}.${claim === '' ? 'expression' : 'claim'}`, `Duplicate value: ${JSON.stringify(claim || expression)}`);
    seen.add(identity);
    if (claim !== '' && expression !== '')
      faults.add(at, `Invalid value: ${JSON.stringify(claim)}: claim and expression can't both be set`);
    if (claim === '' && expression === '') faults.add(at, 'Required value: claim or expression is required');
    if (claim !== '' && message !== '')
      faults.add(`${at}.message`, `Invalid value: ${JSON.stringify(message)}: message can't be set when claim is set`);
    if (expression !== '' && requiredValue !== '')
      faults.add(
        `${at}.requiredValue`,
        `Invalid value: ${JSON.stringify(requiredValue)}: requiredValue can't be set when expression is set`,
      );
    return expression === '' ? { kind: 'claim', claim, requiredValue } : { kind: 'expression', expression, message };
  });
}

function parseSource(source: Fields, path: string, name: 'username' | 'groups' | 'uid', faults: FileFaults): ClaimSource | undefined {
  const claim = textOf(source.claim);
  const expression = textOf(source.expression);
  const hasPrefix = typeof source.prefix === 'string';
  faults.knowOnly(source, path, name === 'uid' ? ['claim', 'expression'] : ['claim', 'expression', 'prefix']);
  if (claim === '' && expression === '') {
    if (name === 'username') faults.add(path, 'Required value: claim or expression is required');
    else if (hasPrefix) faults.add(`${path}.claim`, 'Required value: non-empty claim name is required');
    return undefined;
  }
  if (claim !== '' && expression !== '') faults.add(path, 'Invalid value: "": claim and expression can\'t both be set');
  if (expression !== '' && hasPrefix)
    faults.add(`${path}.prefix`, `Invalid value: ${JSON.stringify(source.prefix)}: prefix can't be set when expression is set`);
  // So that no issuer can name system users by leaving the prefix out unawares.
  if (claim !== '' && name !== 'uid' && !hasPrefix)
    faults.add(
      `${path}.prefix`,
      'Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing',
    );
  return expression === '' ? { kind: 'claim', claim, prefix: textOf(source.prefix) } : { kind: 'expression', expression };
}

function parseExtra(extra: unknown, path: string, faults: FileFaults): JwtAuthenticatorConfig['extra'] {
  const parsed = listOf(extra).map((one, index) => {
    const fields = fieldsOf(one);
    const [key, valueExpression] = [textOf(fields.key), textOf(fields.valueExpression)];
    const invalid = (why: string): void => faults.add(`${path}[${index}].key`, `Invalid value: ${JSON.stringify(key)}: ${why}`);
    if (key === '') faults.add(`${path}[${index}].key`, 'Required value');
    else if (!EXTRA_KEY.test(key)) invalid('must be a domain-prefixed path (such as "acme.io/foo")');
    else if (key !== key.toLowerCase()) invalid('key must be lowercase');
    else if (RESERVED_DOMAIN.test(key.split('/')[0] ?? ''))
      invalid('k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use');
    if (valueExpression === '') faults.add(`${path}[${index}].valueExpression`, 'Required value: valueExpression is required');
    return { key, valueExpression };
  });
  for (const [index, { key }] of parsed.entries())
    if (parsed.slice(0, index).some((other) => other.key === key))
      faults.add(`${path}[${index}].key`, `Duplicate value: ${JSON.stringify(key)}`);
  return parsed;
}

/** Whether two configurations would treat every token alike: a reload that changes nothing keeps the keys that were fetched. */
export function sameJwtConfig(one: JwtAuthenticatorConfig, other: JwtAuthenticatorConfig): boolean {
  return isDeepStrictEqual(one, other);
}

/** The `--oidc-*` flags. */
export interface OidcFlags {
  readonly issuerUrl: string;
  readonly clientId: string;
  /** PEM. */
  readonly ca?: string;
  readonly usernameClaim: string;
  /** '' : the issuer's URL and `#`, unless the claim is `email`; '-': none. */
  readonly usernamePrefix: string;
  /** '' : no groups. */
  readonly groupsClaim: string;
  readonly groupsPrefix: string;
  readonly requiredClaims: Readonly<Record<string, string>>;
  readonly signingAlgorithms: readonly string[];
}

/** The flags as the configuration that means the same. */
export function configOfFlags(flags: OidcFlags): JwtAuthenticatorConfig {
  const { usernamePrefix, usernameClaim, issuerUrl } = flags;
  const prefix = usernamePrefix === '-' ? '' : usernamePrefix !== '' ? usernamePrefix : usernameClaim === 'email' ? '' : `${issuerUrl}#`;
  return {
    issuer: { url: issuerUrl, audiences: [flags.clientId], ...(flags.ca === undefined ? {} : { certificateAuthority: flags.ca }) },
    claimValidationRules: Object.entries(flags.requiredClaims).map(([claim, requiredValue]) => ({ kind: 'claim', claim, requiredValue })),
    username: { kind: 'claim', claim: usernameClaim, prefix },
    ...(flags.groupsClaim === '' ? {} : { groups: { kind: 'claim', claim: flags.groupsClaim, prefix: flags.groupsPrefix } }),
    extra: [],
    userValidationRules: [],
    signingAlgorithms: flags.signingAlgorithms,
  };
}
