import type { KubeObject } from '@dure/api';
import { type Clock, messageOf } from '@dure/foundation';
import { decodeJwt, jwtVerify } from 'jose';
import type { Authenticated } from '../contract/authenticator.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
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
      return this.#options.issuers.includes(decodeJwt(token).iss ?? '');
    } catch {
      return false;
    }
  }

  /** @param asked Audiences; empty: this server's own. @throws {Error} Why the token is not good. */
  async authenticate(token: string, asked: readonly string[]): Promise<Authenticated> {
    const { keys, issuers, clock, audiences: own } = this.#options;
    const audiences = asked.length === 0 ? own : asked;
    const { payload } = await jwtVerify(
      token,
      ({ kid, alg }) => {
        const key = keys.find(({ keyId, algorithm }) => keyId === kid && algorithm === alg);
        if (key === undefined) throw new Error('token is signed by a key that is not ours');
        return key.publicKey;
      },
      { issuer: [...issuers], audience: [...audiences], currentDate: new Date(clock.now()), clockTolerance: 10 },
    ).catch((cause: unknown) => {
      throw new Error(`service account token: ${messageOf(cause)}`, { cause });
    });
    const claims = parseClaims(payload[CLAIMS_KEY]);
    if (claims === undefined) throw new Error('service account token: the kubernetes.io claims are missing');
    await this.#checkAlive(claims);
    const granted = [payload.aud ?? []].flat().filter((audience) => audiences.includes(audience));
    return { user: userOf(claims, payload.jti), audiences: granted };
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
  return {
    name: `system:serviceaccount:${namespace}:${serviceaccount.name}`,
    uid: serviceaccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    extra: {
      ...bound('pod', pod),
      ...bound('node', node),
      ...(tokenId === undefined ? {} : { 'authentication.kubernetes.io/credential-id': [`JTI=${tokenId}`] }),
    },
  };
}
