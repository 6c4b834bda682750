import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { systemClock, systemRandom } from '@dure/foundation';
import { createAuthority, issueCertificate } from '@dure/pki';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ObjectReader } from '../contract/object-reader.ts';
import { podDialer } from './dialers.ts';
import { type WebhookCallError, type WebhookClient, type WebhookTarget, webhookClient } from './webhook-client.ts';

const context = { clock: systemClock, random: systemRandom };
let server: https.Server;
let port: number;
let caBundle: string;
let servingPem: string;
let strangerBundle: string;
let own: { readonly certPem: string; readonly keyPem: string };
let seen: { readonly path: string; readonly body: string; readonly peer: string; readonly authorization: string; readonly type: string }[];
let connections: number;
let respond: (res: ServerResponse) => void;

const pods = podDialer();
const objects = new Map<string, unknown>();
const reads = {
  get: async (_group: string, resource: string, namespace: string, name: string) => objects.get(`${resource}/${namespace}/${name}`),
  list: async (_group: string, resource: string) => [objects.get(resource)].filter((slice) => slice !== undefined),
} as unknown as ObjectReader;
let client: WebhookClient;

beforeAll(async () => {
  const authority = await createAuthority({ commonName: 'webhook-ca' }, context);
  const stranger = await createAuthority({ commonName: 'stranger-ca' }, context);
  const serving = await issueCertificate(
    authority,
    {
      commonName: 'hook',
      organizations: [],
      usages: ['server auth'],
      dnsNames: ['hook.hooks.svc', 'localhost'],
      ipAddresses: ['127.0.0.1'],
    },
    context,
  );
  const shown = await issueCertificate(authority, { commonName: 'the-server', organizations: [], usages: ['client auth'] }, context);
  own = { certPem: shown.certificatePem, keyPem: shown.privateKeyPem };
  servingPem = serving.certificatePem;
  caBundle = Buffer.from(authority.certificatePem).toString('base64');
  strangerBundle = Buffer.from(stranger.certificatePem).toString('base64');
  server = https.createServer(
    {
      cert: serving.certificatePem,
      key: serving.privateKeyPem,
      ca: authority.certificatePem,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (req, res) => {
      let body = '';
      req.on('data', (chunk) => {
        body += chunk;
      });
      req.on('end', () => {
        const peer = (req.socket as TLSSocket).getPeerX509Certificate()?.subject ?? '';
        const { authorization = '', 'content-type': type = '' } = req.headers;
        seen.push({ path: req.url ?? '', body, peer, authorization, type });
        respond(res);
      });
    },
  );
  server.on('secureConnection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  objects.set('services/hooks/hook', { metadata: { name: 'hook' }, spec: { ports: [{ port: 443, targetPort: 8443 }] } });
  objects.set('services/hooks/empty', { metadata: { name: 'empty' }, spec: { ports: [{ port: 8443 }] } });
});

beforeEach(async () => {
  seen = [];
  connections = 0;
  respond = (res) => res.end('{"answer":42}');
  objects.set('endpointslices', { endpoints: [{ addresses: ['127.0.0.1'] }], ports: [{ port }] });
  await client?.[Symbol.asyncDispose]();
  client = webhookClient({ reads, pods, ...context });
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await pods[Symbol.asyncDispose]();
  server.closeAllConnections();
  server.close();
});

const call = (
  target: WebhookTarget,
  options: { timeoutMs?: number; signal?: AbortSignal; answerBytesMax?: number } = {},
): Promise<unknown> => client.call(target, { question: 'x' }, { timeoutMs: 10_000, signal: new AbortController().signal, ...options });
const failure = (target: WebhookTarget, options: Parameters<typeof call>[1] = {}): Promise<WebhookCallError> =>
  call(target, options).then(
    (answer) => {
      throw new Error(`the call answered ${JSON.stringify(answer)}`);
    },
    (error: WebhookCallError) => error,
  );
const atUrl = (path = '/hook?a=b'): WebhookTarget => ({ url: `https://127.0.0.1:${port}${path}`, caBundle });
const service = (more: Partial<NonNullable<WebhookTarget['service']>> = {}): WebhookTarget => ({
  service: { namespace: 'hooks', name: 'hook', path: '/validate', ...more },
  caBundle,
});

describe('webhookClient', () => {
  it('posts JSON to a URL with the timeout in the query and gives the decoded answer', async () => {
    expect(await call(atUrl(), { timeoutMs: 3000 })).toEqual({ answer: 42 });
    expect(seen).toEqual([
      { path: '/hook?a=b&timeout=3s', body: '{"question":"x"}', peer: '', authorization: '', type: 'application/json' },
    ]);
  });

  it('reaches a Service at a ready endpoint and expects a certificate for its name', async () => {
    expect(await call(service())).toEqual({ answer: 42 });
    expect(seen[0]?.path).toBe('/validate?timeout=10s');
  });

  it('believes whatever is in the bundle, an authority below another or the certificate itself, as Go does', async () => {
    expect(await call({ ...service(), caBundle: Buffer.from(servingPem).toString('base64') })).toEqual({ answer: 42 });
  });

  it('refuses the certificate of another name or another authority', async () => {
    objects.set('services/hooks/other', { metadata: { name: 'other' }, spec: { ports: [{ port: 443 }] } });
    expect((await failure(service({ name: 'other' }))).message).toContain(
      'Post "https://other.hooks.svc:443/validate?timeout=10s": tls: failed to verify certificate: x509: certificate is not valid for other.hooks.svc',
    );
    for (const bundle of [strangerBundle, '']) {
      const error = await failure({ ...service(), caBundle: bundle });
      expect(error.message).toBe(
        'Post "https://hook.hooks.svc:443/validate?timeout=10s": tls: failed to verify certificate: x509: certificate signed by unknown authority',
      );
      expect(error.situation).toBe('unreachable');
    }
    expect(seen).toEqual([]);
  });

  it('says in upstream words why a Service cannot be reached', async () => {
    expect((await failure(service({ name: 'absent' }))).message).toBe(
      'Post "https://absent.hooks.svc:443/validate?timeout=10s": service "absent" not found',
    );
    expect((await failure(service({ name: 'empty', port: 1 }))).message).toContain('no service port "1" found for service "empty"');
    objects.delete('endpointslices');
    expect((await failure(service({ name: 'empty', port: 8443 }))).message).toBe(
      'Post "https://empty.hooks.svc:8443/validate?timeout=10s": no endpoints available for service "empty"',
    );
  });

  it('says that nobody listens', async () => {
    const closed = https.createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port: free } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');
    expect((await failure({ url: `https://127.0.0.1:${free}/`, caBundle })).message).toBe(
      `Post "https://127.0.0.1:${free}/?timeout=10s": dial tcp 127.0.0.1:${free}: connect: connection refused`,
    );
  });

  it('gives up after the timeout, and with the caller', async () => {
    respond = () => undefined;
    const late = await failure(atUrl(), { timeoutMs: 50 });
    expect(late.situation).toBe('timeout');
    expect(late.message).toBe(`Post "https://127.0.0.1:${port}/hook?a=b&timeout=50ms": context deadline exceeded`);
    const caller = new AbortController();
    const gone = new Error('gone');
    const calling = failure(atUrl(), { signal: caller.signal });
    caller.abort(gone);
    expect(await calling).toBe(gone);
  });

  it('repeats what a refusing webhook says', async () => {
    respond = (res) => res.writeHead(500).end('boom');
    const failed = await failure(atUrl());
    expect(failed.message).toBe('an error on the server ("boom") has prevented the request from succeeding');
    expect(failed.status).toBe(500);
    respond = (res) => res.writeHead(403).end('{"kind":"Status","apiVersion":"v1","status":"Failure","message":"not you","code":403}');
    expect(await failure(atUrl())).toMatchObject({ situation: 'refused', status: 403, message: 'not you' });
  });

  it('refuses what is no JSON and what is too long', async () => {
    respond = (res) => res.end('<html>');
    expect((await failure(atUrl())).situation).toBe('unreadable');
    respond = (res) => res.end(JSON.stringify('x'.repeat(2000)));
    expect((await failure(atUrl(), { answerBytesMax: 1000 })).message).toBe("the webhook's answer is longer than 1000 bytes");
  });

  it('shows its credentials', async () => {
    await call({ ...atUrl(), credentials: { ...own, bearerToken: 'secret' } });
    expect(seen[0]).toMatchObject({ peer: 'CN=the-server', authorization: 'Bearer secret' });
  });

  it('uses connections again, but not for another target', async () => {
    for (const path of ['/1', '/2', '/3', '/4', '/5']) await call(service({ path }));
    // A call that follows at once may find the one connection still ending its last answer.
    expect(connections).toBeLessThan(3);
    const before = connections;
    await call(atUrl());
    await call({ ...service(), credentials: own });
    expect(connections).toBe(before + 2);
  });

  it('tries once more where the webhook cut the connection', async () => {
    let cut = 1;
    respond = (res) => {
      cut -= 1;
      if (cut >= 0) res.destroy();
      else res.end('{}');
    };
    expect(await call(atUrl())).toEqual({});
    cut = 2;
    expect((await failure(atUrl())).message).toMatch(/: EOF$/);
  });
});
