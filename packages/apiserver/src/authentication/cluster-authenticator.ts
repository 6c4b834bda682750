import { unauthorized } from '@dure/api';
import { type Clock, messageOf } from '@dure/foundation';
import type { Authenticated, Authenticator, Credentials, PeerCertificate } from '../contract/authenticator.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import { ANONYMOUS_USER, type UserInfo } from '../contract/user.ts';
import { userOfBootstrapToken } from './bootstrap-token.ts';
import { userOfCertificate } from './certificate-authenticator.ts';
import { userOfFrontProxy } from './request-header.ts';
import type { ServiceAccountAuthenticator } from './service-account-authenticator.ts';

const AUTHENTICATED = 'system:authenticated';
const WEBSOCKET_TOKEN = 'base64url.bearer.authorization.k8s.io.';

export interface ClusterAuthenticatorOptions {
  readonly serviceAccounts: ServiceAccountAuthenticator;
  readonly reader: ObjectReader;
  readonly clock: Clock;
  /** Whether a request that shows nothing at all becomes `system:anonymous`. A bad credential never does. */
  readonly anonymous: boolean;
}

/**
 * Front proxy first, then client certificate, then bearer token (ServiceAccount, bootstrap), then nobody.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/
 */
export class ClusterAuthenticator implements Authenticator {
  readonly #options: ClusterAuthenticatorOptions;
  /** A connection shows the same one with each of its requests; reading it costs more than many a request. */
  readonly #users = new WeakMap<PeerCertificate, UserInfo>();

  constructor(options: ClusterAuthenticatorOptions) {
    this.#options = options;
  }

  async authenticate(credentials: Credentials): Promise<Authenticated | undefined> {
    const { certificate, headers } = credentials;
    const fronted = userOfFrontProxy(credentials);
    if (fronted !== undefined) return { user: signedIn(fronted) };
    const named = certificate === undefined ? undefined : this.#ofCertificate(certificate);
    if (named !== undefined) return { user: named };
    const token = bearerToken(headers);
    if (token !== undefined)
      return this.#ofToken(token).catch((cause: unknown) => Promise.reject(Object.assign(unauthorized(), { cause })));
    // A certificate that does not chain to us says nothing about its holder: treated as none shown, as upstream does.
    return this.#options.anonymous ? { user: ANONYMOUS_USER } : undefined;
  }

  async reviewToken(token: string, audiences: readonly string[]): Promise<{ authenticated?: Authenticated; error?: string }> {
    try {
      return { authenticated: await this.#ofToken(token, audiences.length > 0 ? audiences : undefined) };
    } catch (error) {
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

  async #ofToken(token: string, audiences?: readonly string[]): Promise<Authenticated> {
    const { serviceAccounts, reader, clock } = this.#options;
    if (serviceAccounts.isOurs(token)) {
      const { user, ...rest } = await serviceAccounts.authenticate(token, audiences);
      return { user: signedIn(user), ...rest };
    }
    const user = await userOfBootstrapToken(token, reader, clock);
    if (user === undefined) throw new Error('invalid bearer token');
    return { user: signedIn(user) };
  }
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
