import type { TokenKey } from './service-account-keys.ts';

/** What others need to verify our ServiceAccount tokens by themselves. @see https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery */
export function openidConfiguration(issuer: string, jwksUri: string, keys: readonly TokenKey[]): object {
  return {
    issuer,
    jwks_uri: jwksUri,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...new Set(keys.map(({ algorithm }) => algorithm))],
  };
}

/** The public keys as a JSON Web Key Set. */
export function keySet(keys: readonly TokenKey[]): object {
  return {
    keys: keys.map(({ keyId, algorithm, publicKey }) => ({
      use: 'sig',
      kid: keyId,
      alg: algorithm,
      ...publicKey.export({ format: 'jwk' }),
    })),
  };
}
