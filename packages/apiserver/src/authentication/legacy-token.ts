import { createHash, timingSafeEqual } from 'node:crypto';
import type { KubeObject } from '@dure/api';
import { SignJWT } from 'jose';
import { SUBJECT_PREFIX } from './service-account-claims.ts';
import { signingKeyOf } from './service-account-keys.ts';

/** `iss` of the tokens that lie in Secrets of type `kubernetes.io/service-account-token`. They have no end and no audience. */
export const LEGACY_ISSUER = 'kubernetes/serviceaccount';
/** Set by whoever finds that nobody uses the token any more. */
const INVALID_SINCE = 'kubernetes.io/legacy-token-invalid-since';
const CLAIM = `${LEGACY_ISSUER.replace('kubernetes/', 'kubernetes.io/')}/`;

/** Whose a legacy token is, and where it lies. */
export interface LegacyClaims {
  readonly namespace: string;
  readonly secretName: string;
  readonly serviceAccount: { readonly name: string; readonly uid: string };
}

/** Makes the token of a Secret. @param pem The key of ServiceAccount tokens. @see https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#legacy-serviceaccount-token-tracking-controller */
export function legacyTokenSigner(pem: string): (claims: LegacyClaims) => Promise<string> {
  const key = signingKeyOf(pem);
  return ({ namespace, secretName, serviceAccount: { name, uid } }) =>
    new SignJWT({
      [`${CLAIM}namespace`]: namespace,
      [`${CLAIM}secret.name`]: secretName,
      [`${CLAIM}service-account.name`]: name,
      [`${CLAIM}service-account.uid`]: uid,
    })
      .setProtectedHeader({ alg: key.algorithm, kid: key.keyId })
      .setIssuer(LEGACY_ISSUER)
      .setSubject(`${SUBJECT_PREFIX}${namespace}:${name}`)
      .sign(key.privateKey);
}

/** One parser for claims of a token whose signature has been verified; `undefined` where they are not a legacy token's. */
export function parseLegacyClaims(payload: Readonly<Record<string, unknown>>): LegacyClaims | undefined {
  const text = (name: string): string => {
    const value = payload[`${CLAIM}${name}`];
    return typeof value === 'string' ? value : '';
  };
  const [namespace, secretName, name, uid] = [
    text('namespace'),
    text('secret.name'),
    text('service-account.name'),
    text('service-account.uid'),
  ];
  if (namespace === '' || secretName === '' || name === '' || uid === '') return undefined;
  return payload.sub === `${SUBJECT_PREFIX}${namespace}:${name}` ? { namespace, secretName, serviceAccount: { name, uid } } : undefined;
}

/** Why the token that lies in `secret` opens nothing; `undefined` if it does. A Secret that is gone, or holds another token, ends it. */
export function legacyTokenFault(token: string, secret: KubeObject | undefined): string | undefined {
  if (secret === undefined || secret.metadata.deletionTimestamp !== undefined) return 'token has been invalidated';
  const held = (secret as { readonly data?: Readonly<Record<string, string>> }).data?.token ?? '';
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  if (!timingSafeEqual(digest(Buffer.from(held, 'base64').toString('utf8')), digest(token)))
    return 'token does not match the Secret that it is of';
  if (secret.metadata.labels?.[INVALID_SINCE] !== undefined) return 'the token in secret has been marked invalid';
  return undefined;
}
