import { unauthorized } from '@dure/api';
import { type Clock, messageOf } from '@dure/foundation';
import type { Authenticated, Authenticator, Credentials, PeerCertificate } from '../contract/authenticator.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { TokenAuthenticator } from '../contract/token-authenticator.ts';
import { ANONYMOUS_USER, type UserInfo } from '../contract/user.ts';
import { userOfBootstrapToken } from './bootstrap-token.ts';
import { userOfCertificate } from './certificate-authenticator.ts';
import type { AnonymousConfig } from './oidc/authentication-config.ts';
import { userOfFrontProxy } from './request-header.ts';
import type { ServiceAccountAuthenticator } from './service-account-authenticator.ts';

const AUTHENTICATED = 'system:authenticated';
const WEBSOCKET_TOKEN = 'base64url.bearer.authorization.k8s.io.';

export interface ClusterAuthenticatorOptions {
  readonly serviceAccounts: ServiceAccountAuthenticator;
  readonly reader: ObjectReader;
  readonly clock: Clock;
  /** Of this API server; tokens that name none of their own are good for these. */
  readonly audiences: readonly string[];
  /** Asked for each request that shows nothing at all: does it become `system:anonymous`? A bad credential never does. */
  readonly anonymous: () => AnonymousConfig;
  /** Further sorts of tokens, asked in this order after our own. */
  readonly tokens: readonly TokenAuthenticator[];
}

/**
 * Front proxy first, then client certificate, then bearer token (ServiceAccount, bootstrap, those of others), then nobody.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/
 */
export class ClusterAuthenticator implements Authenticator {
  readonly #options: ClusterAuthenticatorOptions;
  /** A connection shows the same one with each of its requests; reading it costs more than many a request. */
  readonly #users = new WeakMap<PeerCertificate, UserInfo>();

  constructor(options: ClusterAuthenticatorOptions) {
    this.#options = options;
  }

  async authenticate(credentials: Credentials, signal: AbortSignal): Promise<Authenticated | undefined> {
    const { certificate, headers, path } = credentials;
    const fronted = userOfFrontProxy(credentials);
    if (fronted !== undefined) return { user: signedIn(fronted) };
    const named = certificate === undefined ? undefined : this.#ofCertificate(certificate);
    if (named !== undefined) return { user: named };
    const token = bearerToken(headers);
    if (token !== undefined)
      return this.#ofToken(token, [], signal).catch((cause: unknown) => Promise.reject(Object.assign(unauthorized(), { cause })));
    // A certificate that does not chain to us says nothing about its holder: treated as none shown, as upstream does.
    const { enabled, paths } = this.#options.anonymous();
    return enabled && (paths?.includes(path) ?? true) ? { user: ANONYMOUS_USER } : undefined;
  }

  async reviewToken(
    token: string,
    audiences: readonly string[],
    signal: AbortSignal,
  ): Promise<{ authenticated?: Authenticated; error?: string }> {
    try {
      return { authenticated: await this.#ofToken(token, audiences, signal) };
    } catch (error) {
      signal.throwIfAborted();
      return { error: messageOf(error) };
    }
  }

  #ofCertificate(certificate: PeerCertificate): UserInfo | undefined {
    const known = this.#users.get(certificate);
    if (known !== undefined) return known;
    const named = userOfCertificate(certificate);
    if (named === undefined) return undefined;
    const user = signedIn(named);
    this.#users.set(certificate, user);
    return user;
  }

  async #ofToken(token: string, audiences: readonly string[], signal: AbortSignal): Promise<Authenticated> {
    const { serviceAccounts, tokens } = this.#options;
    if (serviceAccounts.isOurs(token)) return known(await serviceAccounts.authenticate(token, audiences));
    const bootstrapper = await this.#ofBootstrapToken(token, audiences);
    if (bootstrapper !== undefined) return known(bootstrapper);
    const faults: unknown[] = [];
    for (const one of tokens) {
      try {
        const found = await one.authenticate(token, audiences, signal);
        if (found !== undefined) return known(found);
      } catch (error) {
        signal.throwIfAborted();
        // Another may know the token: an issuer that cannot be reached closes no door but its own.
        faults.push(error);
      }
    }
    throw new Error(['invalid bearer token', ...faults.map(messageOf)].join(', '), { cause: faults[0] });
  }

  /** Such tokens have no audience of their own: they are good for this server's. */
  async #ofBootstrapToken(token: string, audiences: readonly string[]): Promise<Authenticated | undefined> {
    const { reader, clock, audiences: own } = this.#options;
    const granted = audiences.length === 0 ? own : own.filter((audience) => audiences.includes(audience));
    const user = granted.length === 0 ? undefined : await userOfBootstrapToken(token, reader, clock);
    return user === undefined ? undefined : { user, audiences: granted };
  }
}

function known({ user, ...rest }: Authenticated): Authenticated {
  return { user: signedIn(user), ...rest };
}

function signedIn(user: UserInfo): UserInfo {
  // A front proxy may speak for somebody whom it does not know itself.
  return user.groups.includes(AUTHENTICATED) || user.groups.includes('system:unauthenticated')
    ? user
    : { ...user, groups: [...user.groups, AUTHENTICATED] };
}

/** From the Authorization header, or from a WebSocket's sub-protocol, where browsers can set no header. */
function bearerToken(headers: Readonly<Record<string, string>>): string | undefined {
  const [, token] = /^bearer +(\S+)$/i.exec(headers.authorization?.trim() ?? '') ?? [];
  if (token !== undefined) return token;
  const protocol = (headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .find((name) => name.startsWith(WEBSOCKET_TOKEN));
  return protocol === undefined ? undefined : Buffer.from(protocol.slice(WEBSOCKET_TOKEN.length), 'base64url').toString('utf8');
}
