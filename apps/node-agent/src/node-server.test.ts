import { request } from 'node:https';
import { PassThrough } from 'node:stream';
import { connect } from 'node:tls';
import { seededRandom, silentLogger, systemClock } from '@dure/foundation';
import { NodeRequestError, NodeServer, type NodeServerHandlers } from '@dure/kubelet';
import { FakeRuntime } from '@dure/kubelet/testing';
import { type Authority, createAuthority, type Identity, issueCertificate } from '@dure/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const context = { clock: systemClock, random: seededRandom(9) };

const handlers: NodeServerHandlers = {
  containerId: async (_namespace, _pod, _uid, container) => {
    if (container === 'gone') throw new NodeRequestError(404, 'container not found ("gone")');
    return 'container-1';
  },
  sandboxId: async () => 'sandbox-1',
  logs: async (_namespace, _pod, container, options) => {
    if (options.previous) throw new NodeRequestError(400, `previous terminated container "${container}" in pod "web" not found`);
    const stream = new PassThrough();
    stream.end(`lines ${options.tailLines ?? 'all'}\n`);
    return stream as AsyncIterable<Buffer>;
  },
  pods: () => ({ kind: 'PodList', items: [] }),
  summary: async () => ({ node: { nodeName: 'a' } }),
  metrics: async (kind) => `# ${kind}\n`,
  config: () => ({}),
};

describe('the node’s server', () => {
  let authority: Authority;
  let server: NodeServer;
  let admin: Identity;
  let nobody: Identity;
  let stranger: Identity;

  beforeAll(async () => {
    authority = await createAuthority({ commonName: 'ca' }, context);
    const other = await createAuthority({ commonName: 'other' }, context);
    const clientOf = (issuer: Authority, commonName: string, organizations: readonly string[]): Promise<Identity> =>
      issueCertificate(issuer, { commonName, organizations, usages: ['client auth'] }, context);
    admin = await clientOf(authority, 'kube-apiserver-kubelet-client', ['system:masters']);
    nobody = await clientOf(authority, 'system:node:b', ['system:nodes']);
    stranger = await clientOf(other, 'kube-apiserver-kubelet-client', ['system:masters']);
    const serving = await issueCertificate(
      authority,
      { commonName: 'system:node:a', organizations: ['system:nodes'], dnsNames: ['a'], usages: ['server auth'] },
      context,
    );
    const runtime = new FakeRuntime(systemClock);
    server = new NodeServer({
      identity: { certificate: serving.certificatePem, key: serving.privateKeyPem, clientAuthority: authority.certificatePem },
      handlers,
      runtime,
      mayCall: ({ groups }) => groups.includes('system:masters'),
      clock: systemClock,
      log: silentLogger,
    });
    await server.listen(0, '127.0.0.1');
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const tls = (who: Identity | undefined) => ({
    host: '127.0.0.1',
    port: server.port,
    servername: 'a',
    ca: authority.certificatePem,
    ...(who === undefined ? {} : { cert: who.certificatePem, key: who.privateKeyPem }),
  });

  function get(path: string, who: Identity | undefined): Promise<{ readonly status: number; readonly body: string }> {
    return new Promise((resolve, reject) => {
      const sent = request({ ...tls(who), path, agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString('utf8');
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  it.each<[string, string, () => Identity | undefined, number]>([
    ['/pods', 'the API server', () => admin, 200],
    ['/pods', 'nobody', () => undefined, 401],
    ['/pods', 'another cluster', () => stranger, 401],
    ['/pods', 'another node', () => nobody, 403],
    ['/healthz', 'nobody', () => undefined, 200],
    ['/no/such/path', 'the API server', () => admin, 404],
  ])('%s for %s', async (path, _who, who, status) => {
    expect((await get(path, who())).status).toBe(status);
  });

  it('streams logs and refuses with a reason', async () => {
    expect(await get('/containerLogs/default/web/c?tailLines=5', admin)).toEqual({ status: 200, body: 'lines 5\n' });
    const refused = await get('/containerLogs/default/web/c?previous=true', admin);
    expect(refused).toEqual({ status: 400, body: 'previous terminated container "c" in pod "web" not found\n' });
    expect((await get('/containerLogs/default/web/c?tailLines=-1', admin)).status).toBe(400);
  });

  it('serves figures', async () => {
    expect(JSON.parse((await get('/stats/summary', admin)).body)).toEqual({ node: { nodeName: 'a' } });
    expect((await get('/metrics/resource', admin)).body).toBe('# resource\n');
  });

  function upgrade(path: string, who: Identity, protocol: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(tls(who), () => {
        socket.write(
          `POST ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
        );
      });
      socket.once('data', (chunk: Buffer) => {
        resolve(chunk.toString('latin1').split('\r\n')[0] ?? '');
        socket.destroy();
      });
      socket.on('error', reject);
    });
  }

  it.each(['SPDY/3.1+portforward.k8s.io', 'v4.channel.k8s.io'])('forwards ports in a WebSocket that speaks %s', async (protocol) => {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(tls(admin), () => {
        socket.write(
          `GET /portForward/default/web?port=80 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
        );
      });
      socket.once('data', (chunk: Buffer) => {
        resolve(chunk.toString('latin1'));
        socket.destroy();
      });
      socket.on('error', reject);
    });
    expect(answer.split('\r\n')).toEqual(
      expect.arrayContaining(['HTTP/1.1 101 Switching Protocols', `Sec-WebSocket-Protocol: ${protocol}`]),
    );
  });

  it('upgrades for those who may, to protocols that it knows', async () => {
    expect(await upgrade('/exec/default/web/c?output=1&command=x', admin, 'v4.channel.k8s.io')).toContain('101');
    expect(await upgrade('/exec/default/web/c?output=1&command=x', nobody, 'v4.channel.k8s.io')).toContain('403');
    expect(await upgrade('/exec/default/web/gone?output=1&command=x', admin, 'v4.channel.k8s.io')).toContain('404');
    expect(await upgrade('/portForward/default/web', admin, 'unknown.k8s.io')).toContain('403');
  });
});
