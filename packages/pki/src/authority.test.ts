import { once } from 'node:events';
import { checkServerIdentity, connect, createServer, type TLSSocket } from 'node:tls';
import { systemClock, systemRandom } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, test } from 'vitest';
import { type Authority, BACKDATE_MS, createAuthority, type Identity, issueCertificate, signRequest } from './authority.ts';
import { certificatePin, matchesPin, parseCertificate, splitBundle, verifyCertificate } from './certificate.ts';
import { CertificateDistrustError, PemError } from './errors.ts';
import { createRequest } from './request.ts';

const DAY_MS = 86_400_000;
const real = { clock: systemClock, random: systemRandom };

describe('an authority', () => {
  test('signs itself, may sign others, and begins a little before now', async () => {
    const clock = new FakeClock(Date.UTC(2026, 4, 1, 12, 0, 0, 900));
    const { certificatePem } = await createAuthority({ commonName: 'dure-ca' }, { clock, random: systemRandom });
    const info = parseCertificate(certificatePem);
    expect(info).toMatchObject({ commonName: 'dure-ca', issuer: { commonName: 'dure-ca' }, isAuthority: true });
    expect(info.usages).toContain('cert sign');
    expect(info.notBeforeMs).toBe(Date.UTC(2026, 4, 1, 12, 0, 0) - BACKDATE_MS);
    expect(info.notAfterMs - info.notBeforeMs).toBeGreaterThan(3649 * DAY_MS);
    await expect(verifyCertificate(certificatePem, { authorityPem: certificatePem, atMs: clock.now() })).resolves.toBeDefined();
  });

  test('made anew with its key keeps its pin, another one does not', async () => {
    const first = await createAuthority({ commonName: 'dure-ca' }, real);
    const renewed = await createAuthority({ commonName: 'dure-ca', privateKeyPem: first.privateKeyPem }, real);
    const other = await createAuthority({ commonName: 'dure-ca' }, real);
    const pin = certificatePin(first.certificatePem);
    expect(pin).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(renewed.certificatePem).not.toBe(first.certificatePem);
    expect([first, renewed, other].map(({ certificatePem }) => matchesPin(certificatePem, pin))).toEqual([true, true, false]);
    expect(matchesPin(first.certificatePem, pin.toUpperCase().replace('SHA256', 'sha256'))).toBe(true);
    expect(matchesPin(first.certificatePem, 'sha256:')).toBe(false);
  });
});

describe('an issued certificate', () => {
  test('names user, groups, names and addresses as they were given, odd characters too', async () => {
    const authority = await createAuthority({ commonName: 'dure-ca' }, real);
    const names = { dnsNames: ['kubernetes.default.svc', '*.example.com'], ipAddresses: ['10.43.0.1', 'fd00::1', '::1'] };
    const subject = { commonName: '#user, with = signs "and" \u00fc', organizations: ['system:nodes', 'a,b+c', 'system:masters'] };
    const { certificatePem } = await issueCertificate(authority, { ...subject, ...names, usages: ['client auth', 'server auth'] }, real);
    const info = parseCertificate(certificatePem);
    expect(info).toMatchObject({ ...subject, dnsNames: names.dnsNames, isAuthority: false, issuer: { commonName: 'dure-ca' } });
    expect(info.ipAddresses.map((address) => new URL(`http://${address.includes(':') ? `[${address}]` : address}`).hostname)).toEqual([
      '10.43.0.1',
      '[fd00::1]',
      '[::1]',
    ]);
    expect(info.usages).toEqual(['digital signature', 'server auth', 'client auth']);
  });

  test('ends no later than its authority and begins no earlier', async () => {
    const clock = new FakeClock(Date.UTC(2026, 0, 1));
    const context = { clock, random: systemRandom };
    const authority = await createAuthority({ commonName: 'dure-ca', validityMs: 10 * DAY_MS }, context);
    const { certificatePem } = await issueCertificate(
      authority,
      { commonName: 'a', organizations: [], usages: ['client auth'], validityMs: 20 * DAY_MS },
      context,
    );
    const [info, root] = [certificatePem, authority.certificatePem].map(parseCertificate);
    expect(info?.notAfterMs).toBe(root?.notAfterMs);
    expect(info?.notBeforeMs).toBe(root?.notBeforeMs);
  });

  test('has a serial number and a fingerprint of its own', async () => {
    const authority = await createAuthority({ commonName: 'dure-ca' }, real);
    const options = { commonName: 'a', organizations: [], usages: ['client auth'] } as const;
    const [one, two] = await Promise.all([issueCertificate(authority, options, real), issueCertificate(authority, options, real)]);
    const infos = [one, two].map(({ certificatePem }) => parseCertificate(certificatePem));
    expect(infos[0]?.serialNumber).toMatch(/^[4-7][0-9a-f]{31}$/);
    expect(infos[0]?.serialNumber).not.toBe(infos[1]?.serialNumber);
    expect(infos[0]?.fingerprint).not.toBe(infos[1]?.fingerprint);
  });

  test('is believed at the times, from the authority and for the uses it was made for, and only then', async () => {
    const clock = new FakeClock(Date.UTC(2026, 0, 1));
    const context = { clock, random: systemRandom };
    const authority = await createAuthority({ commonName: 'dure-ca' }, context);
    const impostor = await createAuthority({ commonName: 'dure-ca' }, context);
    const { certificatePem } = await issueCertificate(
      authority,
      { commonName: 'a', organizations: [], usages: ['client auth'], validityMs: DAY_MS },
      context,
    );
    const believe = (authorityPem: string, atMs: number, usage?: 'client auth' | 'server auth'): Promise<string> =>
      verifyCertificate(certificatePem, { authorityPem, atMs, ...(usage && { usage }) }).then(
        () => 'believed',
        (error: unknown) => (error instanceof CertificateDistrustError ? error.reason : String(error)),
      );
    const now = clock.now();
    expect(await believe(authority.certificatePem, now, 'client auth')).toBe('believed');
    expect(await believe(authority.certificatePem, now, 'server auth')).toBe('not made for this use');
    expect(await believe(authority.certificatePem, now - BACKDATE_MS - 1000)).toBe('not valid yet');
    expect(await believe(authority.certificatePem, now + DAY_MS + 1000)).toBe('expired');
    expect(await believe(impostor.certificatePem, now)).toBe('not signed by the authority');
    expect(await believe(certificatePem, now)).toBe('issuer is no authority');
  });
});

describe('a TLS connection', () => {
  test('knows the client by its certificate, over IPv6 by address and by name, and refuses one of another authority', async () => {
    const authority = await createAuthority({ commonName: 'dure-ca' }, real);
    const impostor = await createAuthority({ commonName: 'dure-ca' }, real);
    const node = { commonName: 'system:node:a', organizations: ['system:nodes'] };
    const server = await issueCertificate(
      authority,
      {
        commonName: 'kube-apiserver',
        organizations: [],
        dnsNames: ['kubernetes'],
        ipAddresses: ['127.0.0.1', '::1'],
        usages: ['server auth'],
      },
      real,
    );
    const asked = await createRequest(node);
    const clientCertificate = await signRequest(
      authority,
      asked.requestPem,
      { usages: ['digital signature', 'client auth'], validityMs: DAY_MS },
      real,
    );
    const client = { certificatePem: clientCertificate, privateKeyPem: asked.privateKeyPem };
    const stranger = await issueCertificate(impostor, { ...node, usages: ['client auth'] }, real);
    const wrongUse = await issueCertificate(authority, { ...node, usages: ['server auth'] }, real);

    expect(await handshake(authority, server, client, 'kubernetes')).toEqual({ user: 'system:node:a', groups: 'system:nodes' });
    expect(await handshake(authority, server, client, '::1')).toEqual({ user: 'system:node:a', groups: 'system:nodes' });
    expect(await handshake(authority, server, client, 'elsewhere')).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(await handshake(authority, server, stranger, 'kubernetes')).toMatch(/^refused/);
    expect(await handshake(authority, server, wrongUse, 'kubernetes')).toMatch(/^refused/);
  });
});

describe('PEM', () => {
  test('that is none, or of something else, is an error that says so', async () => {
    const { certificatePem, privateKeyPem } = await createAuthority({ commonName: 'dure-ca' }, real);
    const torn = certificatePem.replace(/\n.{64}\n/, '\n');
    for (const bad of ['', 'hello', privateKeyPem, torn]) expect(() => parseCertificate(bad)).toThrow(PemError);
    expect(() => splitBundle('')).toThrow(PemError);
    await expect(
      issueCertificate({ certificatePem, privateKeyPem: 'hello' }, { commonName: 'a', organizations: [], usages: [] }, real),
    ).rejects.toBeInstanceOf(PemError);
  });

  test('with several certificates and remarks is taken apart', async () => {
    const pems = await Promise.all(['a', 'b'].map(async (commonName) => (await createAuthority({ commonName }, real)).certificatePem));
    expect(splitBundle(`# both\n${pems.join('# next\n')}`)).toEqual(pems);
    expect(parseCertificate(pems.join('')).commonName).toBe('a');
  });
});

/** One TLS 1.3 connection over loopback: whom the server saw, or why there was none. `name` is checked by the client. */
async function handshake(authority: Authority, server: Identity, client: Identity, name: string): Promise<unknown> {
  const listener = createServer({
    key: server.privateKeyPem,
    cert: server.certificatePem,
    ca: authority.certificatePem,
    requestCert: true,
    rejectUnauthorized: true,
  });
  const refused = once(listener, 'tlsClientError').then(([error]) => `refused: ${(error as Error).message}`);
  const seen = once(listener, 'secureConnection').then(([socket]) => {
    const peer = (socket as TLSSocket).getPeerCertificate().subject;
    (socket as TLSSocket).on('error', () => {}).destroy();
    return { user: peer.CN, groups: peer.O };
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as { port: number };
  const socket = connect({
    port,
    host: '127.0.0.1',
    ...(name.includes(':') ? {} : { servername: name }),
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
    key: client.privateKeyPem,
    cert: client.certificatePem,
    ca: authority.certificatePem,
  });
  const failed = once(socket, 'error').then(([error]) => (error as NodeJS.ErrnoException).code);
  try {
    // A client that refuses the server makes an alert there too; its own reason is the one to tell.
    const connected = once(socket, 'secureConnect').then(
      () => Promise.race([seen, refused]),
      () => failed,
    );
    return await connected;
  } finally {
    socket.destroy();
    listener.close();
  }
}
