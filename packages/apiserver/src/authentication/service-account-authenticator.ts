import type { KubeObject } from '@dure/api';
import { type Clock, messageOf } from '@dure/foundation';
import { decodeJwt, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import type { Authenticated } from '../contract/authenticator.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import { LEGACY_ISSUER, legacyTokenFault, parseLegacyClaims } from './legacy-token.ts';
import { type BoundObject, CLAIMS_KEY, type KubernetesClaims, parseClaims } from './service-account-claims.ts';
import type { TokenKey } from './service-account-keys.ts';

/** How long a deleted object's tokens still open doors: long enough for a Pod to clean up after itself. */
const DELETED_GRACE_MS = 60_000;

export interface ServiceAccountAuthenticatorOptions {
  /** Accepted values of `iss`. */
  readonly issuers: readonly string[];
  /** Accepted audiences of this API server. */
  readonly audiences: readonly string[];
  readonly keys: readonly TokenKey[];
  readonly reader: ObjectReader;
  readonly clock: Clock;
}

/** Verifies ServiceAccount tokens, and that what they are bound to still exists. */
export class ServiceAccountAuthenticator {
  readonly #options: ServiceAccountAuthenticatorOptions;

  constructor(options: ServiceAccountAuthenticatorOptions) {
    this.#options = options;
  }

  /** True for a JWT of one of our issuers: then nobody else need look at it. Says nothing about its signature. */
  isOurs(token: string): boolean {
    try {
      const { iss = '' } = decodeJwt(token);
      return iss === LEGACY_ISSUER || this.#options.issuers.includes(iss);
    } catch {
      return false;
    }
  }

  /** @param asked Audiences; empty: this server's own. @throws {Error} Why the token is not good. */
  async authenticate(token: string, asked: readonly string[]): Promise<Authenticated> {
    const audiences = asked.length === 0 ? this.#options.audiences : asked;
    if (decodeJwt(token).iss === LEGACY_ISSUER) return this.#authenticateLegacy(token, audiences);
    const { issuers } = this.#options;
    const payload = await this.#verified(token, { issuer: [...issuers], audience: [...audiences] });
    const claims = parseClaims(payload[CLAIMS_KEY]);
    if (claims === undefined) throw new Error('service account token: the kubernetes.io claims are missing');
    await this.#checkAlive(claims);
    const granted = [payload.aud ?? []].flat().filter((audience) => audiences.includes(audience));
    return { user: userOf(claims, payload.jti), audiences: granted };
  }

  /** Such a token is good for this server only, for as long as it lies in its Secret. */
  async #authenticateLegacy(token: string, audiences: readonly string[]): Promise<Authenticated> {
    const granted = this.#options.audiences.filter((audience) => audiences.includes(audience));
    if (granted.length === 0) throw new Error('service account token: it is for none of these audiences');
    const claims = parseLegacyClaims(await this.#verified(token, { issuer: LEGACY_ISSUER }));
    if (claims === undefined) throw new Error('service account token: its claims are not those of a legacy token');
    const { namespace, secretName, serviceAccount } = claims;
    const { reader } = this.#options;
    const cached = await reader.get('', 'secrets', namespace, secretName);
    // The cache may not have seen the token yet that the client read a moment ago.
    const fault =
      legacyTokenFault(token, cached) && legacyTokenFault(token, await reader.get('', 'secrets', namespace, secretName, { fresh: true }));
    if (fault !== undefined) throw new Error(`service account token: ${fault}`);
    await this.#checkBound('serviceaccounts', namespace, serviceAccount);
    return { user: userOf({ namespace, serviceaccount: serviceAccount }, undefined), audiences: granted };
  }

  /** The claims of a token that is signed by one of our keys, and in time. */
  async #verified(token: string, expected: Pick<JWTVerifyOptions, 'issuer' | 'audience'>): Promise<JWTPayload> {
    const { keys, clock } = this.#options;
    const { payload } = await jwtVerify(
      token,
      ({ kid, alg }) => {
        const key = keys.find(({ keyId, algorithm }) => keyId === kid && algorithm === alg);
        if (key === undefined) throw new Error('token is signed by a key that is not ours');
        return key.publicKey;
      },
      { ...expected, currentDate: new Date(clock.now()), clockTolerance: 10 },
    ).catch((cause: unknown) => {
      throw new Error(`service account token: ${messageOf(cause)}`, { cause });
    });
    return payload;
  }

  async #checkAlive({ namespace, serviceaccount, pod, secret, node }: KubernetesClaims): Promise<void> {
    await this.#checkBound('serviceaccounts', namespace, serviceaccount);
    if (pod !== undefined) await this.#checkBound('pods', namespace, pod);
    if (secret !== undefined) await this.#checkBound('secrets', namespace, secret);
    if (node !== undefined && pod === undefined) await this.#checkBound('nodes', undefined, node);
  }

  async #checkBound(resource: string, namespace: string | undefined, { name, uid }: BoundObject): Promise<void> {
    const { reader, clock } = this.#options;
    const matches = (object: KubeObject | undefined): boolean => object?.metadata.uid === uid;
    let found = await reader.get('', resource, namespace, name);
    // The cache may not have seen yet what the token was issued for a moment ago.
    if (!matches(found)) found = await reader.get('', resource, namespace, name, { fresh: true });
    if (found === undefined || !matches(found))
      throw new Error(`service account token: ${resource} "${name}" has been deleted or replaced`);
    const { deletionTimestamp } = found.metadata;
    if (deletionTimestamp !== undefined && Date.parse(deletionTimestamp) + DELETED_GRACE_MS < clock.now()) {
      throw new Error(`service account token: ${resource} "${name}" has been deleted`);
    }
  }
}

function userOf({ namespace, serviceaccount, pod, node }: KubernetesClaims, tokenId: string | undefined): Authenticated['user'] {
  const bound = (prefix: string, object: BoundObject | undefined): Record<string, readonly string[]> =>
    object === undefined
      ? {}
      : { [`authentication.kubernetes.io/${prefix}-name`]: [object.name], [`authentication.kubernetes.io/${prefix}-uid`]: [object.uid] };
  const extra = {
    ...bound('pod', pod),
    ...bound('node', node),
    ...(tokenId === undefined ? {} : { 'authentication.kubernetes.io/credential-id': [`JTI=${tokenId}`] }),
  };
  return {
    name: `system:serviceaccount:${namespace}:${serviceaccount.name}`,
    uid: serviceaccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}
