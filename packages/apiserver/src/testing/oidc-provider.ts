import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { systemClock, systemRandom } from '@dure/foundation';
import { createAuthority, issueCertificate } from '@dure/pki';
import { SignJWT } from 'jose';

/** An OpenID provider on a free port of the loopback interface: discovery document, key set, and tokens of whatever claims. */
export interface OidcProvider extends AsyncDisposable {
  readonly issuer: string;
  readonly caPem: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** While true every request gets status 503. */
  down: boolean;
  /** What the discovery document says beside the usual. */
  discovery: Record<string, unknown>;
  /** Published before the provider's own key. */
  otherKeys: object[];
  /** Signs with another key from now on; the old one is no longer published. */
  rotate(algorithm?: string): void;
  /** A token good for an hour from `nowMs`, unless `claims` say otherwise. A claim that is `undefined` is left out. */
  token(claims: Readonly<Record<string, unknown>>, nowMs?: number, options?: { readonly namesKey?: boolean }): Promise<string>;
}

export async function startOidcProvider(): Promise<OidcProvider> {
  const context = { clock: systemClock, random: systemRandom };
  const authority = await createAuthority({ commonName: 'oidc-ca' }, context);
  const serving = await issueCertificate(
    authority,
    { commonName: 'oidc', organizations: [], usages: ['server auth'], ipAddresses: ['127.0.0.1'] },
    context,
  );
  let serial = 0;
  let key = newKey('RS256', serial);
  const server = https.createServer({ cert: serving.certificatePem, key: serving.privateKeyPem }, (req, res) => {
    const path = req.url ?? '';
    provider.asked.push(path);
    const documents: Readonly<Record<string, unknown>> = {
      '/.well-known/openid-configuration': { issuer: provider.issuer, jwks_uri: `${provider.issuer}/keys`, ...provider.discovery },
      '/keys': {
        keys: [...provider.otherKeys, { ...key.publicKey.export({ format: 'jwk' }), kid: key.id, alg: key.algorithm, use: 'sig' }],
      },
    };
    const document = documents[path];
    res.writeHead(provider.down ? 503 : document === undefined ? 404 : 200, { 'content-type': 'application/json' });
    res.end(JSON.stringify(document ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider: OidcProvider = {
    issuer,
    caPem: authority.certificatePem,
    asked: [],
    down: false,
    discovery: {},
    otherKeys: [],
    rotate(algorithm = key.algorithm) {
      serial += 1;
      key = newKey(algorithm, serial);
    },
    token(claims, nowMs = systemClock.now(), { namesKey = true } = {}) {
      const issuedAt = Math.floor(nowMs / 1000);
      const all = { iss: issuer, aud: 'kubernetes', sub: 'jane', iat: issuedAt, exp: issuedAt + 3600, ...claims };
      const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
      return new SignJWT(given).setProtectedHeader({ alg: key.algorithm, ...(namesKey ? { kid: key.id } : {}) }).sign(key.privateKey);
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return provider;
}

function newKey(
  algorithm: string,
  serial: number,
): { readonly id: string; readonly algorithm: string; readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  const curve = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[algorithm];
  const pair = curve === undefined ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: curve });
  return { id: `key-${serial}`, algorithm, ...pair };
}
