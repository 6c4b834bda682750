import { systemClock, systemRandom } from '@dure/foundation';
import { describe, expect, test } from 'vitest';
import { createAuthority, signRequest } from './authority.ts';
import { parseCertificate, verifyCertificate } from './certificate.ts';
import { PemError, RequestSignatureError, UnknownUsageError } from './errors.ts';
import { createKeyPair, keyId, publicKeyOf } from './key-pair.ts';
import { createRequest, parseRequest } from './request.ts';
import { parseUsage } from './usage.ts';

const real = { clock: systemClock, random: systemRandom };
const node = { commonName: 'system:node:a', organizations: ['system:nodes'], dnsNames: ['a'], ipAddresses: ['192.168.1.7', 'fe80::1'] };

describe('a certificate request', () => {
  test('says whom it is for, with a key that stays where it was made', async () => {
    const { requestPem, privateKeyPem } = await createRequest(node);
    expect(requestPem).toMatch(/^-----BEGIN CERTIFICATE REQUEST-----\n/);
    const info = await parseRequest(requestPem);
    expect(info).toMatchObject({ ...node, emailAddresses: [], uris: [], usages: [] });
    expect(info.publicKeyPem).toBe(publicKeyOf(privateKeyPem));
  });

  test('for a key that exists is for that key', async () => {
    const { privateKeyPem, publicKeyPem } = createKeyPair();
    const request = await createRequest({ ...node, privateKeyPem });
    expect((await parseRequest(request.requestPem)).publicKeyPem).toBe(publicKeyPem);
  });

  test('that was changed after it was signed is refused', async () => {
    const { requestPem } = await createRequest(node);
    const der = Buffer.from(requestPem.replace(/-----.*-----|\n/g, ''), 'base64');
    der[der.indexOf('system:node:a') + 12] = 'b'.charCodeAt(0);
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    await expect(parseRequest(forged)).rejects.toBeInstanceOf(RequestSignatureError);
    const authority = await createAuthority({ commonName: 'dure-ca' }, real);
    await expect(signRequest(authority, forged, { usages: ['client auth'], validityMs: 1000 }, real)).rejects.toBeInstanceOf(
      RequestSignatureError,
    );
  });

  test('that is none is refused', async () => {
    for (const bad of ['', 'hello', '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n'])
      await expect(parseRequest(bad)).rejects.toBeInstanceOf(PemError);
  });

  test('signed gets exactly the uses and the time that the signer says', async () => {
    const authority = await createAuthority({ commonName: 'dure-ca' }, real);
    const { requestPem, privateKeyPem } = await createRequest(node);
    const usages = (['digital signature', 'key encipherment', 'client auth'] as const).map(parseUsage);
    const pem = await signRequest(authority, requestPem, { usages, validityMs: 3_600_000 }, real);
    const info = await verifyCertificate(pem, { authorityPem: authority.certificatePem, atMs: Date.now(), usage: 'client auth' });
    expect(info).toMatchObject({ ...node, usages, isAuthority: false });
    expect(info.publicKeyPem).toBe(publicKeyOf(privateKeyPem));
    expect(Math.abs(info.notAfterMs - Date.now() - 3_600_000)).toBeLessThan(60_000);
    expect(parseCertificate(pem).issuer.commonName).toBe('dure-ca');
  });

  test('for a usage that nobody knows is refused by name', () => {
    expect(() => parseUsage('mining')).toThrow(UnknownUsageError);
    expect(() => parseUsage('toString')).toThrow(UnknownUsageError);
  });
});

test('the id of a signing key is that of its public half, however it is written down', () => {
  const { privateKeyPem, publicKeyPem } = createKeyPair();
  expect(keyId(publicKeyPem)).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(keyId(publicKeyOf(privateKeyPem))).toBe(keyId(publicKeyPem));
  expect(keyId(createKeyPair().publicKeyPem)).not.toBe(keyId(publicKeyPem));
});
