import { badRequest, childPath, conflict, invalid, invalidObject, type JsonObject, type KubeObject, notFound } from '@dure/api';
import { type Clock, type Random, rfc3339Seconds, uuid } from '@dure/foundation';
import { SignJWT } from 'jose';
import { nodeNameOf } from '../authorization/pod-references.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { ServiceAccountTokens } from '../contract/service-account-tokens.ts';
import type { UserInfo } from '../contract/user.ts';
import { type BoundObject, CLAIMS_KEY, type KubernetesClaims, SUBJECT_PREFIX } from './service-account-claims.ts';
import type { SigningKey } from './service-account-keys.ts';

const HOUR_S = 3600;
const EXPIRATION_MIN_S = 600;
const EXPIRATION_MAX_S = 2 ** 32;
/** What an injected volume asks for: a client that never reloads its token must not break after an hour, so such tokens live a year. */
const WARN_AFTER_S = HOUR_S + 7;
const EXTENDED_S = 365 * 24 * HOUR_S;

export interface ServiceAccountIssuerOptions {
  /** `iss` of every token. */
  readonly issuer: string;
  /** Audiences of a token that asks for none. */
  readonly audiences: readonly string[];
  readonly key: SigningKey;
  /** Longest life of a token; longer ones are shortened. Default: none. */
  readonly lifetimeMaxS?: number;
  /** Whether tokens that injected volumes ask for live a year. Default: true. */
  readonly extends?: boolean;
  readonly reader: ObjectReader;
  readonly clock: Clock;
  readonly random: Random;
}

interface TokenRequestShape {
  readonly audiences?: readonly string[];
  readonly expirationSeconds?: number;
  readonly boundObjectRef?: { readonly kind?: string; readonly apiVersion?: string; readonly name?: string; readonly uid?: string } | null;
}

/** Signs bound tokens, as the `token` subresource of ServiceAccounts gives them out. */
export class ServiceAccountIssuer implements ServiceAccountTokens {
  readonly #options: ServiceAccountIssuerOptions;

  constructor(options: ServiceAccountIssuerOptions) {
    this.#options = options;
  }

  async issue(
    serviceAccount: KubeObject,
    request: JsonObject,
    _user: UserInfo,
    _signal: AbortSignal,
    warn: (message: string) => void,
  ): Promise<JsonObject> {
    const { issuer, key, clock, random, lifetimeMaxS = EXPIRATION_MAX_S } = this.#options;
    const { name, namespace = '', uid } = serviceAccount.metadata;
    const spec = (request.spec ?? {}) as TokenRequestShape;
    const askedS = spec.expirationSeconds ?? HOUR_S;
    const path = childPath('spec', 'expirationSeconds');
    const fault =
      askedS < EXPIRATION_MIN_S
        ? invalid(path, askedS, 'may not specify a duration less than 10 minutes')
        : askedS > EXPIRATION_MAX_S
          ? invalid(path, askedS, 'may not specify a duration larger than 2^32 seconds')
          : undefined;
    if (fault !== undefined) throw invalidObject({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', [fault]);

    const wantedS = Math.min(askedS, lifetimeMaxS);
    if (wantedS < askedS) warn(`requested expiration of ${askedS} seconds shortened to ${wantedS} seconds`);
    const audiences = spec.audiences?.length ? spec.audiences : this.#options.audiences;
    const bound = await this.#bound(spec.boundObjectRef ?? undefined, namespace, name);
    const nowS = Math.floor(clock.now() / 1000);
    const isForUs = audiences.every((audience) => this.#options.audiences.includes(audience));
    const extended = this.#options.extends !== false && wantedS === WARN_AFTER_S && bound.pod !== undefined && isForUs;
    const lifetimeS = extended ? EXTENDED_S : wantedS;
    const claims: KubernetesClaims = {
      namespace,
      serviceaccount: { name, uid },
      ...bound,
      ...(extended ? { warnafter: nowS + WARN_AFTER_S } : {}),
    };
    const token = await new SignJWT({ [CLAIMS_KEY]: claims })
      .setProtectedHeader({ alg: key.algorithm, kid: key.keyId })
      .setIssuer(issuer)
      .setSubject(`${SUBJECT_PREFIX}${namespace}:${name}`)
      .setAudience([...audiences])
      .setIssuedAt(nowS)
      .setNotBefore(nowS)
      .setExpirationTime(nowS + lifetimeS)
      .setJti(uuid(random))
      .sign(key.privateKey);
    // The holder is told the time it asked for, so that it reloads as if the token were not extended.
    return {
      ...request,
      spec: { ...spec, audiences: [...audiences], expirationSeconds: wantedS } as JsonObject,
      status: { token, expirationTimestamp: rfc3339Seconds((nowS + wantedS) * 1000) },
    };
  }

  async #bound(
    reference: NonNullable<TokenRequestShape['boundObjectRef']> | undefined,
    namespace: string,
    accountName: string,
  ): Promise<Pick<KubernetesClaims, 'pod' | 'node' | 'secret'>> {
    if (reference === undefined) return {};
    const { kind = '', apiVersion = '', name = '', uid } = reference;
    const resource = { Pod: 'pods', Secret: 'secrets', Node: 'nodes' }[kind];
    if (resource === undefined || apiVersion !== 'v1')
      throw badRequest(`cannot bind token for serviceaccount "${accountName}" to object of kind ${apiVersion}, ${kind}`);
    const home = kind === 'Node' ? undefined : namespace;
    const found = await this.#options.reader.get('', resource, home, name, { fresh: true });
    if (found === undefined) throw notFound({ group: '', resource }, name);
    if (uid !== undefined && uid !== '' && found.metadata.uid !== uid) {
      throw conflict(
        { group: '', resource },
        name,
        `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    }
    const identity: BoundObject = { name, uid: found.metadata.uid };
    switch (kind) {
      case 'Pod':
        return { pod: identity, ...(await this.#nodeOf(found)) };
      case 'Node':
        return { node: identity };
      default:
        return { secret: identity };
    }
  }

  async #nodeOf(pod: KubeObject): Promise<Pick<KubernetesClaims, 'node'>> {
    const name = nodeNameOf(pod);
    if (name === undefined || name === '') return {};
    const node = await this.#options.reader.get('', 'nodes', undefined, name);
    return node === undefined ? {} : { node: { name, uid: node.metadata.uid } };
  }
}
