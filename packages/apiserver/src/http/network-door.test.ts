import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { connect as connectTls } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { builtinKinds, KindRegistry } from '@dure/api';
import { systemClock, systemRandom } from '@dure/foundation';
import { createAuthority, issueCertificate } from '@dure/pki';
import { describe, expect, it } from 'vitest';
import type { PeerCertificate } from '../contract/authenticator.ts';
import type { Authorizer } from '../contract/authorizer.ts';
import { allowKnown, certificateNames } from '../testing/open-parts.ts';
import { testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const kinds = (): KindRegistry => new KindRegistry(builtinKinds);

async function peerSubject({ door, caPem }: TestServer): Promise<string> {
  const socket = connectTls({ host: '127.0.0.1', port: door.address.port, ca: caPem, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const subject = socket.getPeerX509Certificate()?.subject ?? '';
  socket.destroy();
  return subject;
}

describe('the network door', () => {
  it('speaks HTTP/2, many streams on one connection, with client certificates', async () => {
    await using server = await startTestServer(kinds());
    const session = http2.connect(server.url, { ca: server.caPem, cert: server.certPem, key: server.keyPem });
    const statuses = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const stream = session.request({ ':path': CONFIG_MAPS });
        const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
        stream.resume();
        await once(stream, 'end');
        return headers[':status'];
      }),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    session.destroy();
  });

  it('sends a list that is larger than a piece whole, zipped where that is asked for, and its length alone to HEAD', async () => {
    await using server = await startTestServer(kinds());
    await using client = testClient(server);
    for (let index = 0; index < 20; index += 1) {
      await client.send('POST', CONFIG_MAPS, {
        body: { metadata: { name: `big-${index}` }, data: { x: `${index}${'x'.repeat(50_000)}` } },
      });
    }
    const plain = await client.send('GET', CONFIG_MAPS);
    expect(plain.json.items).toHaveLength(20);
    expect(plain.headers['content-length']).toBe(String(Buffer.byteLength(plain.text)));
    const { caPem: ca, certPem: cert, keyPem: key } = server;
    const zipped = https.request(`${server.url}${CONFIG_MAPS}`, { ca, cert, key, headers: { 'accept-encoding': 'gzip' } });
    zipped.end();
    const [answer] = (await once(zipped, 'response')) as [IncomingMessage];
    expect(answer.headers['content-encoding']).toBe('gzip');
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    expect(gunzipSync(Buffer.concat(chunks)).toString()).toBe(plain.text);
    const head = await client.send('HEAD', CONFIG_MAPS);
    expect([head.headers['content-length'], head.text]).toEqual([plain.headers['content-length'], '']);
  });

  it('keeps sixty slow watches and a list on one HTTP/2 connection', async () => {
    await using server = await startTestServer(kinds());
    await using client = testClient(server);
    for (let index = 0; index < 50; index += 1) {
      await client.send('POST', CONFIG_MAPS, { body: { metadata: { name: `big-${index}` }, data: { x: 'x'.repeat(50_000) } } });
    }
    const session = http2.connect(server.url, { ca: server.caPem, cert: server.certPem, key: server.keyPem });
    let refused = 0;
    const watches = Array.from({ length: 60 }, () => {
      const stream = session.request({ ':path': `${CONFIG_MAPS}?watch=1` });
      stream.on('error', () => {
        refused += 1;
      });
      return stream; // Nobody reads: each holds what its window lets through.
    });
    await Promise.all(watches.map((stream) => once(stream, 'response')));
    const list = session.request({ ':path': CONFIG_MAPS });
    const [headers] = (await once(list, 'response')) as [http2.IncomingHttpHeaders];
    expect(headers[':status']).toBe(200);
    expect(refused).toBe(0);
    session.destroy();
  });

  it('reads the certificate of a connection once, and gives no connection that of another', async () => {
    const seen: (PeerCertificate | undefined)[] = [];
    await using server = await startTestServer(kinds(), {
      authenticator: () => ({
        ...certificateNames,
        async authenticate(credentials, signal) {
          seen.push(credentials.certificate);
          return certificateNames.authenticate(credentials, signal);
        },
      }),
    });
    const known = http2.connect(server.url, { ca: server.caPem, cert: server.certPem, key: server.keyPem });
    const nobody = http2.connect(server.url, { ca: server.caPem });
    const statusOf = async (session: http2.ClientHttp2Session): Promise<unknown> => {
      const stream = session.request({ ':path': CONFIG_MAPS });
      const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
      stream.resume();
      await once(stream, 'end');
      return headers[':status'];
    };
    const statuses = [await statusOf(known), await statusOf(nobody), await statusOf(known), await statusOf(nobody)];
    expect(statuses).toEqual([200, 403, 200, 403]);
    const [first, none, again, noneAgain] = seen;
    expect(first?.authorized).toBe(true);
    expect(again).toBe(first);
    expect([none, noneAgain]).toEqual([undefined, undefined]);
    known.destroy();
    nobody.destroy();
  });

  it('shows a new certificate to new connections', async () => {
    await using server = await startTestServer(kinds());
    expect(await peerSubject(server)).toContain('CN=kube-apiserver');
    const context = { clock: systemClock, random: systemRandom };
    const authority = await createAuthority({ commonName: 'next-ca' }, context);
    const next = await issueCertificate(authority, { commonName: 'rotated', organizations: [], usages: ['server auth'] }, context);
    server.door.setSecureContext({ cert: next.certificatePem, key: next.privateKeyPem, clientCa: authority.certificatePem });
    expect(await peerSubject(server)).toContain('CN=rotated');
    expect(() => server.door.setSecureContext({ cert: 'no', key: 'no', clientCa: 'no' })).toThrow();
    expect(await peerSubject(server)).toContain('CN=rotated');
  });

  it('ends watches and closes without waiting for them, and refuses connections after', async () => {
    const server = await startTestServer(kinds());
    await using client = testClient(server);
    await client.send('POST', CONFIG_MAPS, { body: { metadata: { name: 'a' } } });
    const events = client.watch(`${CONFIG_MAPS}?watch=1`, new AbortController().signal)[Symbol.asyncIterator]();
    expect((await events.next()).value?.type).toBe('ADDED');
    await server.server.close();
    let last = await events.next().catch(() => ({ done: true }));
    while (last.done !== true) last = await events.next().catch(() => ({ done: true }));
    await expect(client.send('GET', CONFIG_MAPS)).rejects.toThrow();
    await server.store[Symbol.asyncDispose]();
  });

  it('cuts everything when killed', async () => {
    const server = await startTestServer(kinds());
    await using client = testClient(server);
    await client.send('GET', CONFIG_MAPS);
    const events = client.watch(`${CONFIG_MAPS}?watch=1`, new AbortController().signal)[Symbol.asyncIterator]();
    const pending = events.next().then(
      ({ done }) => done === true,
      () => true,
    );
    await client.send('GET', CONFIG_MAPS);
    server.server.kill();
    expect(await pending).toBe(true);
    await expect(client.send('GET', CONFIG_MAPS)).rejects.toThrow();
    await server.server.close();
    await server.store[Symbol.asyncDispose]();
  });

  it('survives clients that go at any moment', async () => {
    await using server = await startTestServer(kinds());
    await using client = testClient(server);
    await client.send('POST', CONFIG_MAPS, { body: { metadata: { name: 'big' }, data: { x: 'x'.repeat(900_000) } } });
    const { caPem: ca, certPem: cert, keyPem: key, door, url } = server;
    for (let round = 0; round < 30; round += 1) {
      const request = https.request({
        host: '127.0.0.1',
        port: door.address.port,
        path: CONFIG_MAPS,
        method: round % 2 === 0 ? 'GET' : 'POST',
        ca,
        cert,
        key,
        headers: round % 2 === 0 ? {} : { 'content-length': '10' },
      });
      request.on('error', () => undefined);
      request.write('{');
      await once(request, 'socket');
      if (round % 3 !== 0) await new Promise((resolve) => setTimeout(resolve, round % 7));
      request.destroy();
      const session = http2.connect(url, { ca, cert, key });
      session.on('error', () => undefined);
      const stream = session.request({ ':path': CONFIG_MAPS });
      stream.on('error', () => undefined);
      await once(session, 'connect');
      if (round % 2 === 0) stream.close(http2.constants.NGHTTP2_CANCEL);
      session.destroy();
    }
    expect((await client.send('GET', `${CONFIG_MAPS}/big`)).status).toBe(200);
  });

  it('compresses large answers for clients that can read them', async () => {
    await using server = await startTestServer(kinds());
    await using client = testClient(server);
    await client.send('POST', CONFIG_MAPS, { body: { metadata: { name: 'big' }, data: { x: 'x'.repeat(300_000) } } });
    const headers = { 'accept-encoding': 'gzip' };
    expect((await client.send('GET', CONFIG_MAPS, { headers })).headers['content-encoding']).toBe('gzip');
    expect((await client.send('GET', CONFIG_MAPS)).headers['content-encoding']).toBeUndefined();
    expect(
      (await client.send('GET', `${CONFIG_MAPS}?limit=1&fieldSelector=metadata.name%3Dnone`, { headers })).headers['content-encoding'],
    ).toBeUndefined();
  });

  it('answers a malformed request line with 400 and stays up', async () => {
    await using server = await startTestServer(kinds());
    await using client = testClient(server);
    const socket = connectTls({ host: '127.0.0.1', port: server.door.address.port, ca: server.caPem, ALPNProtocols: ['http/1.1'] });
    await once(socket, 'secureConnect');
    socket.write('NONSENSE\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect((await client.send('GET', CONFIG_MAPS)).status).toBe(200);
  });
});

describe('limits', () => {
  /** Holds requests of one path at the door until told to go on. */
  function gate(): { readonly authorizer: Authorizer; open(): void; readonly waiting: () => number } {
    let waiting = 0;
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    return {
      open: () => open(),
      waiting: () => waiting,
      authorizer: {
        ...allowKnown,
        async authorize(query, signal) {
          if (query.kind === 'resource' && query.name === 'held') {
            waiting += 1;
            await Promise.race([opened, once(signal, 'abort').then(() => signal.throwIfAborted())]);
          }
          return allowKnown.authorize(query, signal);
        },
      },
    };
  }

  it('refuse what is too much at once with 429 and Retry-After, but not administrators, and let others in again after', async () => {
    const held = gate();
    await using server = await startTestServer(kinds(), { inFlight: { readOnly: 2, mutating: 1 }, authorizer: () => held.authorizer });
    await using client = testClient(server);
    const headers = { 'impersonate-user': 'somebody' };
    const requests = Array.from({ length: 3 }, () => client.send('GET', `${CONFIG_MAPS}/held`, { headers }));
    await expect.poll(held.waiting).toBe(3);
    const refused = await client.send('GET', CONFIG_MAPS, { headers });
    expect(refused.json).toMatchObject({ code: 429, reason: 'TooManyRequests' });
    expect(refused.headers['retry-after']).toBe('1');
    expect((await client.send('POST', CONFIG_MAPS, { body: { metadata: { name: 'other' } } })).status).toBe(201);
    held.open();
    await Promise.all(requests);
    expect((await client.send('GET', CONFIG_MAPS, { headers })).status).toBe(200);
  });

  it('end a request whose body does not come', async () => {
    await using server = await startTestServer(kinds(), { requestTimeoutMs: 100, inFlight: { readOnly: 1, mutating: 1 } });
    await using client = testClient(server);
    const { caPem: ca, certPem: cert, keyPem: key, door } = server;
    const slow = https.request({
      host: '127.0.0.1',
      port: door.address.port,
      path: CONFIG_MAPS,
      method: 'POST',
      ca,
      cert,
      key,
      headers: { 'content-length': '100' },
    });
    slow.write('{"kind":');
    const [answer] = (await once(slow, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(504);
    slow.destroy();
    expect((await client.send('POST', CONFIG_MAPS, { body: { metadata: { name: 'a' } } })).status).toBe(201);
  });

  it('end a request that takes too long with Timeout', async () => {
    const held = gate();
    await using server = await startTestServer(kinds(), { requestTimeoutMs: 50, authorizer: () => held.authorizer });
    await using client = testClient(server);
    expect((await client.send('GET', `${CONFIG_MAPS}/held`)).json).toMatchObject({ code: 504, reason: 'Timeout' });
  });
});
