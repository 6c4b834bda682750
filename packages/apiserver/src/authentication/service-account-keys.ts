import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';

/** A key that ServiceAccount tokens are signed with, or only verified against (older ones, after a rotation). */
export interface TokenKey {
  /** Base64url SHA-256 of the public key's DER, as upstream derives it. */
  readonly keyId: string;
  readonly algorithm: 'ES256' | 'RS256';
  readonly publicKey: KeyObject;
}

export interface SigningKey extends TokenKey {
  readonly privateKey: KeyObject;
}

/** @param pem A private key, PKCS#8 or SEC1: P-256 or RSA. @throws {TypeError} Another sort of key. */
export function signingKeyOf(pem: string): SigningKey {
  const privateKey = createPrivateKey(pem);
  return { ...verificationKeyOf(createPublicKey(privateKey)), privateKey };
}

/** @throws {TypeError} The key is neither P-256 nor RSA. */
export function verificationKeyOf(publicKey: KeyObject): TokenKey {
  const keyId = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
  return { keyId, algorithm: algorithmOf(publicKey), publicKey };
}

function algorithmOf(key: KeyObject): TokenKey['algorithm'] {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256';
  throw new TypeError(`service account key: ${key.asymmetricKeyType ?? 'symmetric'} keys are not supported, use P-256 or RSA`);
}
