import type { CelCompiler, CelValue, Expression } from '@dure/api';
import { type Clock, messageOf } from '@dure/foundation';
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose';
import type { FileFaults } from '../../config-files/config-file.ts';
import type { UserInfo } from '../../contract/user.ts';
import type { ClaimSource, JwtAuthenticatorConfig } from './authentication-config.ts';
import { ClaimEvaluation, compileClaims, compileUser } from './claim-expressions.ts';
import { IssuerKeys } from './issuer-keys.ts';

const SIGNING_ALGORITHMS: readonly string[] = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];
/** Clocks of others run ahead. */
const NOT_BEFORE_LEEWAY_MS = 5 * 60_000;

type Claims = Readonly<Record<string, unknown>>;
type CompiledSource = Extract<ClaimSource, { kind: 'claim' }> | { readonly kind: 'compiled'; readonly expression: Expression };

interface CompiledRules {
  readonly claimRules: readonly { readonly expression: Expression; readonly message: string; readonly text: string }[];
  readonly username: CompiledSource;
  readonly groups: CompiledSource | undefined;
  readonly uid: CompiledSource | undefined;
  readonly extra: readonly { readonly key: string; readonly expression: Expression }[];
  readonly userRules: readonly { readonly expression: Expression; readonly message: string; readonly text: string }[];
}

/** Verifies the tokens of one issuer and makes users of their claims. */
export class JwtAuthenticator implements AsyncDisposable {
  readonly config: JwtAuthenticatorConfig;
  readonly #rules: CompiledRules;
  readonly #keys: IssuerKeys;
  readonly #clock: Clock;

  /** @param path Of the configuration in its file. @param faults Gets what is wrong with its expressions; then the authenticator must not be used. */
  constructor(config: JwtAuthenticatorConfig, clock: Clock, path: string, compiler: CelCompiler, faults: FileFaults) {
    this.config = config;
    this.#clock = clock;
    this.#rules = compileRules(config, path, compiler, faults);
    this.#keys = new IssuerKeys(config.issuer, clock);
  }

  /** True for a JWT that says it is of this issuer; nothing of it is verified yet. */
  isIssuerOf(token: string): boolean {
    return issuerOf(token) === this.config.issuer.url;
  }

  /** @throws {Error} Why the token is not good. */
  async authenticate(token: string, signal: AbortSignal): Promise<UserInfo> {
    const claims = await this.#verified(token, signal);
    const { issuer, claimValidationRules } = this.config;
    const audiences = [claims.aud].flat();
    if (!issuer.audiences.some((audience) => audiences.includes(audience)))
      throw new Error(
        `oidc: verify token: oidc: expected audience in ${JSON.stringify(issuer.audiences)} got ${JSON.stringify(audiences)}`,
      );
    this.#checkTimes(claims);

    const evaluation = new ClaimEvaluation(claims);
    const user = this.#userOf(claims, evaluation);
    for (const rule of claimValidationRules) if (rule.kind === 'claim') checkRequired(claims, rule.claim, rule.requiredValue);
    for (const { expression, message, text } of this.#rules.claimRules) {
      if (evaluation.claims(expression, `claim validation expression '${text}'`) !== true)
        throw new Error(`oidc: error evaluating claim validation expression: validation expression '${text}' failed: ${message}`);
    }
    for (const { expression, message, text } of this.#rules.userRules) {
      if (evaluation.user(expression, user, `user info validation rule '${text}'`) !== true)
        throw new Error(`oidc: error evaluating user info validation rule: validation expression '${text}' failed: ${message}`);
    }
    return user;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keys[Symbol.asyncDispose]();
  }

  async #verified(token: string, signal: AbortSignal): Promise<Claims> {
    const { alg = '', kid } = decodeProtectedHeader(token);
    const allowed = this.config.signingAlgorithms ?? SIGNING_ALGORITHMS;
    if (!allowed.includes(alg))
      throw new Error(
        `oidc: verify token: oidc: id token signed with unsupported algorithm, expected ${JSON.stringify(allowed)} got ${JSON.stringify(alg)}`,
      );
    let fault: unknown;
    for (const key of await this.#keys.candidates(alg, kid, signal)) {
      try {
        const { payload } = await compactVerify(token, key, { algorithms: [alg] });
        const claims: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
        if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) throw new Error('the claims are not an object');
        return claims as Claims;
      } catch (error) {
        fault = error;
      }
    }
    throw new Error(`oidc: verify token: failed to verify signature: ${messageOf(fault)}`, { cause: fault });
  }

  #checkTimes({ exp, nbf }: Claims): void {
    const nowMs = this.#clock.now();
    if (typeof exp !== 'number' || exp * 1000 <= nowMs) throw new Error('oidc: verify token: oidc: token is expired');
    if (typeof nbf === 'number' && nbf * 1000 > nowMs + NOT_BEFORE_LEEWAY_MS)
      throw new Error('oidc: verify token: oidc: current time is before the nbf (not before) time');
  }

  #userOf(claims: Claims, evaluation: ClaimEvaluation): UserInfo {
    const { username, groups, uid, extra } = this.#rules;
    const name =
      username.kind === 'compiled' ? evaluation.claims(username.expression, 'username claim expression') : nameOf(claims, username.claim);
    if (typeof name !== 'string' || name === '') throw new Error('oidc: username must be a string and must not be empty');
    const id =
      uid === undefined ? '' : uid.kind === 'compiled' ? evaluation.claims(uid.expression, 'uid claim expression') : claims[uid.claim];
    if (typeof id !== 'string') throw new Error('oidc: uid must be a string');
    const extras: Record<string, readonly string[]> = {};
    for (const { key, expression } of extra) {
      const values = textsOf(evaluation.claims(expression, `extra claim expression for key ${key}`), `extra claim ${key}`);
      if (values.length > 0) extras[key] = values;
    }
    return {
      name: username.kind === 'claim' ? username.prefix + name : name,
      ...(id === '' ? {} : { uid: id }),
      groups: groups === undefined ? [] : groupsOf(claims, groups, evaluation),
      ...(Object.keys(extras).length === 0 ? {} : { extra: extras }),
    };
  }
}

/** `iss` of what looks like a JWT; `undefined` for anything else. */
export function issuerOf(token: string): string | undefined {
  if (token.split('.').length !== 3) return undefined;
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

function compileRules(config: JwtAuthenticatorConfig, path: string, compiler: CelCompiler, faults: FileFaults): CompiledRules {
  const source = (name: 'username' | 'groups' | 'uid'): CompiledSource | undefined => {
    const from = config[name];
    if (from === undefined || from.kind === 'claim') return from;
    const expression = compileClaims(from.expression, `${path}.claimMappings.${name}.expression`, compiler, faults, 'any');
    return expression === undefined ? undefined : { kind: 'compiled', expression };
  };
  const given = <T extends { readonly expression: Expression | undefined }>(rules: readonly T[]) =>
    rules.flatMap((rule) => (rule.expression === undefined ? [] : [{ ...rule, expression: rule.expression }]));
  checkEmail(config, path, faults);
  return {
    claimRules: given(
      config.claimValidationRules.flatMap((rule, index) =>
        rule.kind === 'claim'
          ? []
          : [
              {
                text: rule.expression,
                message: rule.message,
                expression: compileClaims(rule.expression, `${path}.claimValidationRules[${index}].expression`, compiler, faults, 'bool'),
              },
            ],
      ),
    ),
    username: source('username') ?? { kind: 'claim', claim: '', prefix: '' },
    groups: source('groups'),
    uid: source('uid'),
    extra: given(
      config.extra.map(({ key, valueExpression }, index) => ({
        key,
        expression: compileClaims(valueExpression, `${path}.claimMappings.extra[${index}].valueExpression`, compiler, faults, 'any'),
      })),
    ),
    userRules: given(
      config.userValidationRules.map(({ expression, message }, index) => ({
        text: expression,
        message,
        expression: compileUser(expression, `${path}.userValidationRules[${index}].expression`, compiler, faults),
      })),
    ),
  };
}

/** An expression that trusts an address must ask whether its holder was verified; a plain `email` claim is checked without being asked. */
function checkEmail({ username, extra, claimValidationRules }: JwtAuthenticatorConfig, path: string, faults: FileFaults): void {
  if (username.kind !== 'expression' || !/\bclaims\s*\.\s*email\b/.test(username.expression)) return;
  const expressions = [
    username.expression,
    ...extra.map(({ valueExpression }) => valueExpression),
    ...claimValidationRules.flatMap((rule) => (rule.kind === 'expression' ? [rule.expression] : [])),
  ];
  if (!expressions.some((text) => /\bclaims\s*\.\s*\??\s*email_verified\b/.test(text))) {
    faults.add(
      `${path}.claimMappings.username.expression`,
      `Invalid value: ${JSON.stringify(username.expression)}: claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression`,
    );
  }
}

function nameOf(claims: Claims, claim: string): string {
  const name = claims[claim];
  if (name === undefined) throw new Error(`oidc: parse username claims "${claim}": claim not present`);
  if (typeof name !== 'string') throw new Error(`oidc: parse username claims "${claim}": not a string`);
  if (claim === 'email' && claims.email_verified !== undefined) {
    if (typeof claims.email_verified !== 'boolean') throw new Error("oidc: parse 'email_verified' claim: not a boolean");
    if (!claims.email_verified) throw new Error('oidc: email not verified');
  }
  return name;
}

function groupsOf(claims: Claims, groups: CompiledSource, evaluation: ClaimEvaluation): readonly string[] {
  if (groups.kind === 'compiled') return textsOf(evaluation.claims(groups.expression, 'group claim expression'), 'groups');
  const value = claims[groups.claim];
  if (value === undefined) return [];
  const names = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(names) || names.some((name) => typeof name !== 'string'))
    throw new Error(`oidc: parse groups claim "${groups.claim}": neither a string nor a list of strings`);
  return names.map((name) => groups.prefix + String(name));
}

/** Text, a list of it, or null for none; empty texts are none. */
function textsOf(value: CelValue, what: string): readonly string[] {
  if (value === null) return [];
  const list = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || list.some((item) => typeof item !== 'string'))
    throw new Error(`oidc: ${what}: expression must return a string or a list of strings`);
  return (list as readonly string[]).filter((item) => item !== '');
}

function checkRequired(claims: Claims, claim: string, wanted: string): void {
  const value = claims[claim];
  if (value === undefined) throw new Error(`oidc: required claim ${claim} not present in ID token`);
  if (typeof value !== 'string') throw new Error(`oidc: parse claim ${claim}: not a string`);
  if (value !== wanted) throw new Error(`oidc: required claim ${claim} value does not match. Got = ${value}, want = ${wanted}`);
}
