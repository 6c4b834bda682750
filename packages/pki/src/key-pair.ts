import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, webcrypto } from 'node:crypto';
import { PemError } from './errors.ts';

/** Two halves of one key, in PEM: PKCS #8 and SPKI. */
export interface KeyPair {
  readonly privateKeyPem: string;
  readonly publicKeyPem: string;
}

/** A new P-256 key. Its chance is the operating system's own and cannot be passed in: no library makes keys from anything else. */
export function createKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return { privateKeyPem: privateKey, publicKeyPem: publicKey };
}

/** The public half of a private key. @throws {PemError} */
export function publicKeyOf(privateKeyPem: string): string {
  return createPublicKey(readPrivateKey(privateKeyPem)).export({ type: 'spki', format: 'pem' }).toString();
}

/**
 * The `kid` of a ServiceAccount signing key: base64url of the SHA-256 of its SPKI, as kube-apiserver derives it, so that tokens stay
 * good and key sets comparable when keys are carried over. @throws {PemError}
 */
export function keyId(publicKeyPem: string): string {
  return createHash('sha256')
    .update(readPublicKey(publicKeyPem).export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}

/** A private key as WebCrypto wants it, with the algorithm it signs with. Understands PKCS #8, SEC 1 and PKCS #1. @throws {PemError} */
export async function importSigningKey(privateKeyPem: string): Promise<CryptoKeyPair> {
  const key = readPrivateKey(privateKeyPem);
  const algorithm = importAlgorithm(key);
  const { subtle } = webcrypto;
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return {
    privateKey: await subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']),
    publicKey: await subtle.importKey('spki', spki, algorithm, true, ['verify']),
  };
}

/** The pair that `importSigningKey` gives; named here since Node's types keep it in a namespace. */
export interface CryptoKeyPair {
  readonly privateKey: webcrypto.CryptoKey;
  readonly publicKey: webcrypto.CryptoKey;
}

/** What a certificate over this key is signed with. */
export function signingAlgorithm(key: webcrypto.CryptoKey): { readonly name: string; readonly hash?: string } {
  return key.algorithm.name === 'ECDSA' ? { name: 'ECDSA', hash: ecdsaHash(key) } : { name: key.algorithm.name };
}

function ecdsaHash(key: webcrypto.CryptoKey): string {
  const { namedCurve } = key.algorithm as webcrypto.EcKeyAlgorithm;
  if (namedCurve === 'P-384') return 'SHA-384';
  return namedCurve === 'P-521' ? 'SHA-512' : 'SHA-256';
}

const CURVES: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };

function importAlgorithm(key: KeyObject): webcrypto.EcKeyImportParams | webcrypto.RsaHashedImportParams {
  const curve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (key.asymmetricKeyType === 'ec' && curve !== undefined) return { name: 'ECDSA', namedCurve: curve };
  if (key.asymmetricKeyType === 'rsa') return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  throw new PemError(
    'private key',
    `keys of type ${key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType} cannot sign certificates here`,
  );
}

function readPrivateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new PemError('private key', 'no PEM of an unencrypted private key', { cause });
  }
}

function readPublicKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw new PemError('public key', 'no PEM of a public key', { cause });
  }
}
