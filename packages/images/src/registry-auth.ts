import type { RegistryCredentials } from './contract.ts';

/** One challenge of a WWW-Authenticate header. Scheme and parameter names are lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The challenges in a WWW-Authenticate header; what cannot be read is left out. @see RFC 9110, section 11.6.1 */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /\s*,?\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/y;
  while (token.lastIndex < header.length) {
    const match = token.exec(header);
    if (match === null) break;
    const [, name = '', quoted, plain] = match;
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain;
    const current = challenges.at(-1);
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: {} });
    else if (current !== undefined) current.parameters[name.toLowerCase()] = value;
  }
  return challenges;
}

/** What a token server answered. */
export interface Token {
  readonly value: string;
  readonly lifetimeMs: number;
}

/** A token server need not say how long its token lives; the specification then means this. */
const TOKEN_LIFETIME_DEFAULT_MS = 60_000;

/** Reads a token server's answer, `undefined` if there is no token in it. @see https://distribution.github.io/distribution/spec/auth/token/ */
export function parseToken(document: unknown): Token | undefined {
  if (typeof document !== 'object' || document === null) return undefined;
  const { token, access_token: accessToken, expires_in: expiresIn } = document as Record<string, unknown>;
  const value = typeof token === 'string' && token !== '' ? token : accessToken;
  // A header is made of it: anything but visible ASCII would be a way to add headers.
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) return undefined;
  const lifetimeMs = typeof expiresIn === 'number' && expiresIn > 0 ? expiresIn * 1000 : TOKEN_LIFETIME_DEFAULT_MS;
  return { value, lifetimeMs };
}

/** The URL that asks a token server for `scope`, or `undefined` if the challenge names no usable server. */
export function tokenUrl({ parameters }: Challenge, scope: string): URL | undefined {
  const { realm, service } = parameters;
  if (realm === undefined || !URL.canParse(realm)) return undefined;
  const url = new URL(realm);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return undefined;
  if (service !== undefined) url.searchParams.set('service', service);
  url.searchParams.append('scope', scope);
  return url;
}

export function basicAuthorization({ username, password }: RegistryCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}
