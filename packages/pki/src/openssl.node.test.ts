import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock, systemRandom } from '@dure/foundation';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createAuthority, issueCertificate, signRequest } from './authority.ts';
import { certificatePin, parseCertificate, splitBundle, verifyCertificate } from './certificate.ts';
import { keyId } from './key-pair.ts';
import { createRequest, parseRequest } from './request.ts';

const real = { clock: systemClock, random: systemRandom };
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dure-pki-'));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

beforeEach((context) => {
  if (!hasOpenssl) context.skip('openssl is not installed');
});

test('openssl follows the chain, sees the same names and the uses, and checks the request', async () => {
  const authority = await createAuthority({ commonName: 'dure-ca' }, real);
  const { certificatePem } = await issueCertificate(
    authority,
    {
      commonName: 'kube',
      organizations: ['g1', 'g2'],
      dnsNames: ['kubernetes'],
      ipAddresses: ['10.43.0.1', 'fd00::1'],
      usages: ['server auth'],
    },
    real,
  );
  await put('ca.pem', authority.certificatePem);
  await put('server.pem', certificatePem);
  expect(
    await openssl('verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'kubernetes', '-CAfile', 'ca.pem', 'server.pem'),
  ).toContain('OK');
  expect(
    await openssl('verify', '-x509_strict', '-purpose', 'sslserver', '-verify_ip', 'fd00::1', '-CAfile', 'ca.pem', 'server.pem'),
  ).toContain('OK');
  await expect(openssl('verify', '-purpose', 'sslclient', '-CAfile', 'ca.pem', 'server.pem')).rejects.toThrow(
    /unsuitable certificate purpose|unsupported certificate purpose/,
  );
  await expect(openssl('verify', '-verify_hostname', 'other', '-CAfile', 'ca.pem', 'server.pem')).rejects.toThrow(/hostname mismatch/i);

  const text = await openssl('x509', '-in', 'server.pem', '-noout', '-text', '-fingerprint', '-sha256', '-serial', '-nameopt', 'RFC2253');
  const info = parseCertificate(certificatePem);
  expect(text).toContain('Subject: CN=kube,O=g2,O=g1');
  expect(text).toContain('DNS:kubernetes, IP Address:10.43.0.1, IP Address:FD00:0:0:0:0:0:0:1');
  expect(text).toContain('TLS Web Server Authentication');
  expect(text.replaceAll(':', '').toLowerCase()).toContain(info.fingerprint);
  expect(text.toLowerCase()).toContain(`serial=${info.serialNumber}`);
  expect(text).toContain('prime256v1');

  const { requestPem, privateKeyPem } = await createRequest({
    commonName: 'system:node:a',
    organizations: ['system:nodes'],
    dnsNames: ['a'],
  });
  await put('own.csr', requestPem);
  await put('own.key', privateKeyPem);
  const request = await openssl('req', '-in', 'own.csr', '-noout', '-verify', '-text');
  expect(request).toContain('DNS:a');
  expect(await openssl('pkey', '-in', 'own.key', '-pubout')).toBe((await parseRequest(requestPem)).publicKeyPem);
});

test('pin and key id are what openssl computes from the same key', async () => {
  const { certificatePem } = await createAuthority({ commonName: 'dure-ca' }, real);
  await put('pin.pem', certificatePem);
  await openssl('x509', '-in', 'pin.pem', '-pubkey', '-noout', '-out', 'pin.pub');
  await openssl('pkey', '-pubin', '-in', 'pin.pub', '-outform', 'DER', '-out', 'pin.der');
  const digest = (await openssl('dgst', '-sha256', '-hex', 'pin.der')).trim().split(' ').at(-1) ?? '';
  expect(certificatePin(certificatePem)).toBe(`sha256:${digest}`);
  expect(keyId(await readFile(join(directory, 'pin.pub'), 'utf8'))).toBe(Buffer.from(digest, 'hex').toString('base64url'));
});

const keys = {
  'RSA 2048': ['-newkey', 'rsa:2048'],
  'RSA 4096 with SHA-512': ['-newkey', 'rsa:4096', '-sha512'],
  'P-256': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
  'P-384 with SHA-384': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp384r1', '-sha384'],
  'P-521 with SHA-256': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp521r1', '-sha256'],
  Ed25519: ['-newkey', 'ed25519'],
};

test.each(Object.entries(keys))('a request by openssl with %s is read, and its certificate verifies', async (_name, key) => {
  const extensions = [
    'subjectAltName=DNS:web,IP:10.0.0.1,IP:fd00::2,email:a@example.com,URI:spiffe://a/b',
    'keyUsage=digitalSignature',
    'extendedKeyUsage=clientAuth',
  ];
  const subject = '/O=dev/O=ops/CN=jane';
  await openssl(
    'req',
    '-new',
    '-nodes',
    ...key,
    '-keyout',
    'r.key',
    '-out',
    'r.csr',
    '-subj',
    subject,
    ...extensions.flatMap((extension) => ['-addext', extension]),
  );
  const pem = await readFile(join(directory, 'r.csr'), 'utf8');
  const info = await parseRequest(pem);
  expect(info).toMatchObject({
    commonName: 'jane',
    organizations: ['dev', 'ops'],
    dnsNames: ['web'],
    emailAddresses: ['a@example.com'],
    uris: ['spiffe://a/b'],
  });
  expect(info.ipAddresses).toHaveLength(2);
  expect(info.usages).toEqual(['digital signature', 'client auth']);

  const authority = await createAuthority({ commonName: 'dure-ca' }, real);
  await put('ca.pem', authority.certificatePem);
  await put('r.pem', await signRequest(authority, pem, { usages: ['digital signature', 'client auth'], validityMs: 3_600_000 }, real));
  expect(await openssl('verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'ca.pem', 'r.pem')).toContain('OK');
  expect(await openssl('x509', '-in', 'r.pem', '-pubkey', '-noout')).toBe(await openssl('pkey', '-in', 'r.key', '-pubout'));
});

test.each(['rsa:2048', 'ec'])('an authority by openssl with a key of type %s can be used, whatever form its key has', async (type) => {
  const key = type === 'ec' ? ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'] : ['-newkey', type];
  await openssl(
    'req',
    '-x509',
    '-nodes',
    ...key,
    '-keyout',
    'own.key',
    '-out',
    'own.pem',
    '-days',
    '10',
    '-subj',
    '/C=KR/CN=own authority',
  );
  await openssl(type === 'ec' ? 'ec' : 'rsa', '-in', 'own.key', '-out', 'traditional.key', ...(type === 'ec' ? [] : ['-traditional']));
  const certificatePem = await readFile(join(directory, 'own.pem'), 'utf8');
  for (const file of ['own.key', 'traditional.key']) {
    const authority = { certificatePem, privateKeyPem: await readFile(join(directory, file), 'utf8') };
    const leaf = await issueCertificate(authority, { commonName: 'a', organizations: [], usages: ['client auth'] }, real);
    await put('leaf.pem', leaf.certificatePem);
    expect(await openssl('verify', '-purpose', 'sslclient', '-CAfile', 'own.pem', 'leaf.pem')).toContain('OK');
    await verifyCertificate(leaf.certificatePem, { authorityPem: certificatePem, atMs: Date.now(), usage: 'client auth' });
  }
});

test('the bundle of the machine can be taken apart', async (context) => {
  const bundle = await readFile('/etc/ssl/certs/ca-certificates.crt', 'utf8').catch(() => undefined);
  if (bundle === undefined) context.skip('this machine has no certificate bundle');
  else for (const pem of splitBundle(bundle)) expect(parseCertificate(pem).isAuthority).toBe(true);
});

async function put(file: string, content: string): Promise<void> {
  await writeFile(join(directory, file), content);
}

async function openssl(...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('openssl', args, { cwd: directory })).stdout;
}
