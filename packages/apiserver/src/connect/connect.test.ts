import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { builtinKinds, KindRegistry } from '@dure/api';
import { systemClock, systemRandom } from '@dure/foundation';
import { createAuthority, issueCertificate } from '@dure/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { PodDialer } from '../contract/node-dialer.ts';
import { type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';
import { nodeDialer, podDialer } from './dialers.ts';

const context = { clock: systemClock, random: systemRandom };
const PODS = '/api/v1/namespaces/default/pods';
let agent: https.Server;
let backend: http.Server;
let server: TestServer;
let client: TestClient;
let callers: string[];

beforeAll(async () => {
  callers = [];
  const authority = await createAuthority({ commonName: 'cluster-ca' }, context);
  const node = await issueCertificate(
    authority,
    { commonName: 'system:node:n1', organizations: ['system:nodes'], usages: ['server auth'], dnsNames: ['n1'] },
    context,
  );
  const own = await issueCertificate(
    authority,
    { commonName: 'kube-apiserver-kubelet-client', organizations: ['system:masters'], usages: ['client auth'] },
    context,
  );
  agent = https.createServer(
    { cert: node.certificatePem, key: node.privateKeyPem, ca: authority.certificatePem, requestCert: true, rejectUnauthorized: true },
    (req, res) => {
      callers.push(`${(req.socket as TLSSocket).getPeerX509Certificate()?.subject ?? ''} ${req.headers.authorization ?? 'no token'}`);
      if (req.url?.startsWith('/containerLogs/default/p/c')) {
        res.write(`one ${req.url}\n`);
        setImmediate(() => res.end('two\n'));
      } else if (req.url === '/stats/summary') {
        res.end(
          JSON.stringify({
            node: { cpu: { usageNanoCores: 5_000_000 }, memory: { workingSetBytes: 2048 } },
            pods: [
              {
                podRef: { name: 'p', namespace: 'default' },
                containers: [{ name: 'c', cpu: { usageNanoCores: 1000 }, memory: { workingSetBytes: 4096 } }],
              },
            ],
          }),
        );
      } else {
        res.writeHead(400).end(`container "c" in pod "p" is waiting to start: ContainerCreating`);
      }
    },
  );
  agent.on('upgrade', (req: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => undefined);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${req.headers.upgrade}\r\nx-path: ${req.url}\r\nx-protocol: ${req.headers['sec-websocket-protocol'] ?? ''}\r\n\r\n`,
    );
    socket.write(head);
    socket.pipe(socket);
  });
  backend = http.createServer((req, res) => {
    if (req.url === '/moved') res.writeHead(302, { location: '/here' }).end();
    else if (req.url === '/page') res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<a href="/x">');
    else if (req.url === '/packed')
      res.writeHead(200, { 'content-type': 'text/html', 'content-encoding': 'gzip' }).end(gzipSync('<a href="/x">'));
    else req.on('data', () => undefined).on('end', () => res.setHeader('x-method', req.method ?? '').end(`backend saw ${req.url}`));
  });
  for (const listening of [agent, backend]) {
    listening.listen(0, '127.0.0.1');
    await once(listening, 'listening');
  }
  const tls = { ca: authority.certificatePem, cert: own.certificatePem, key: own.privateKeyPem };
  server = await startTestServer(new KindRegistry(builtinKinds), { nodes: nodeDialer(() => tls), pods: podsAtLoopback() });
  client = testClient(server);

  const port = (agent.address() as AddressInfo).port;
  for (const [name, dns] of [
    ['n1', '127.0.0.1'],
    ['other', '127.0.0.1'],
  ] as const) {
    await client.send('POST', '/api/v1/nodes', { body: { metadata: { name } } });
    await client.send('PATCH', `/api/v1/nodes/${name}/status`, {
      body: { status: { addresses: [{ type: 'InternalIP', address: dns }], daemonEndpoints: { kubeletEndpoint: { Port: port } } } },
      contentType: 'application/merge-patch+json',
    });
  }
  for (const [name, nodeName] of [
    ['p', 'n1'],
    ['waiting', 'n1'],
    ['stranger', 'other'],
  ] as const) {
    await client.send('POST', PODS, {
      body: {
        metadata: { name },
        spec: {
          nodeName,
          containers: [{ name: 'c', image: 'i', ports: [{ name: 'web', containerPort: (backend.address() as AddressInfo).port }] }],
        },
      },
    });
    await client.send('PATCH', `${PODS}/${name}/status`, {
      body: { status: { phase: 'Running', podIP: '127.0.0.1' } },
      contentType: 'application/merge-patch+json',
    });
  }
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  agent.closeAllConnections();
  agent.close();
  backend.closeAllConnections();
  backend.close();
});

/** Dials this machine whatever the Pod's address: the API refuses loopback addresses in endpoints. */
function podsAtLoopback(): PodDialer {
  const dialer = podDialer();
  return {
    request: (target, request, signal) => dialer.request({ ...target, host: '127.0.0.1' }, request, signal),
    connect: (target, signal) => dialer.connect({ ...target, host: '127.0.0.1' }, signal),
  };
}

/** Upgrades through the server over HTTP/1.1 and sends `text` to be echoed. */
async function upgrade(
  path: string,
  headers: Record<string, string>,
  text: string,
): Promise<{ readonly answer: http.IncomingMessage; readonly echoed: string }> {
  const { caPem: ca, certPem: cert, keyPem: key, door } = server;
  const request = https.request({
    host: '127.0.0.1',
    port: door.address.port,
    path,
    method: 'GET',
    ca,
    cert,
    key,
    headers: { connection: 'Upgrade', authorization: 'Bearer mine', ...headers },
  });
  request.end();
  const [answer, socket] = (await once(request, 'upgrade')) as [http.IncomingMessage, Duplex];
  socket.write(text);
  let echoed = '';
  for await (const chunk of socket) {
    echoed += String(chunk);
    if (echoed.length >= text.length) break;
  }
  socket.destroy();
  return { answer, echoed };
}

describe('ways to nodes', () => {
  it("reads logs with the options in the agent's words and the server's own certificate", async () => {
    const { status, text } = await client.send('GET', `${PODS}/p/log?tailLines=5&timestamps=1`);
    expect(status).toBe(200);
    expect(text).toBe('one /containerLogs/default/p/c?timestamps=true&tailLines=5\ntwo\n');
    expect(callers.at(-1)).toContain('kube-apiserver-kubelet-client');
    expect(callers.at(-1)).toContain('no token');
  });

  it.each([
    ['binary.k8s.io', (data: Buffer) => data.toString('utf8')],
    ['base64.binary.k8s.io', (data: Buffer) => Buffer.from(data.toString('latin1'), 'base64').toString('utf8')],
  ])('sends logs as the messages of a WebSocket, in %s', async (protocol, decode) => {
    const { caPem: ca, certPem: cert, keyPem: key, door } = server;
    const socket = new WebSocket(`wss://127.0.0.1:${door.address.port}${PODS}/p/log`, protocol, { ca, cert, key });
    let text = '';
    socket.on('message', (data: Buffer) => {
      text += decode(data);
    });
    const [code] = await once(socket, 'close');
    expect(code).toBe(1000);
    expect(socket.protocol).toBe(protocol);
    expect(text).toBe('one /containerLogs/default/p/c?\ntwo\n');
  });

  it('sends a watch as the messages of a WebSocket', async () => {
    const { caPem: ca, certPem: cert, keyPem: key, door } = server;
    const socket = new WebSocket(`wss://127.0.0.1:${door.address.port}${PODS}?watch=1&fieldSelector=metadata.name=p`, { ca, cert, key });
    const [data, isBinary] = (await once(socket, 'message')) as [Buffer, boolean];
    expect(isBinary).toBe(false);
    expect(JSON.parse(data.toString('utf8'))).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'p' } } });
    socket.close();
    await once(socket, 'close');
  });

  it("gives the agent's refusal to the client as it was meant", async () => {
    expect((await client.send('GET', `${PODS}/waiting/log`)).json).toMatchObject({
      code: 400,
      reason: 'BadRequest',
      message: expect.stringContaining('is waiting to start'),
    });
  });

  it('does not talk to an agent whose certificate is for another node', async () => {
    expect((await client.send('GET', `${PODS}/stranger/log`)).json).toMatchObject({ code: 500, reason: 'InternalError' });
  });

  it.each([
    [
      'WebSocket',
      {
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-protocol': 'v5.channel.k8s.io',
      },
    ],
    ['SPDY', { upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' }],
  ])('tunnels exec over %s', async (_name, headers) => {
    const big = 'x'.repeat(300_000);
    const { answer, echoed } = await upgrade(
      `${PODS}/p/exec?command=sh&command=-c&stdin=1&stdout=true&tty=0`,
      headers as Record<string, string>,
      big,
    );
    expect(answer.statusCode).toBe(101);
    expect(answer.headers['x-path']).toBe('/exec/default/p/c?input=1&output=1&command=sh&command=-c');
    expect(echoed).toBe(big);
  });

  it('tunnels portforward', async () => {
    const { answer, echoed } = await upgrade(`${PODS}/p/portforward`, { upgrade: 'SPDY/3.1' }, 'hello');
    expect(answer.headers['x-path']).toBe('/portForward/default/p');
    expect(echoed).toBe('hello');
  });

  it('shows usage as metrics.k8s.io', async () => {
    expect((await client.send('GET', '/apis/metrics.k8s.io/v1beta1/nodes/n1')).json).toMatchObject({
      kind: 'NodeMetrics',
      usage: { cpu: '5000000n', memory: '2Ki' },
    });
    const { json } = await client.send('GET', '/apis/metrics.k8s.io/v1beta1/namespaces/default/pods');
    expect(json.items).toHaveLength(1);
    expect(json.items[0]).toMatchObject({ metadata: { name: 'p' }, containers: [{ name: 'c', usage: { cpu: '1000n', memory: '4Ki' } }] });
  });
});

describe('proxy', () => {
  it('reaches a Pod by name and port, with any method', async () => {
    expect((await client.send('GET', `${PODS}/p:web/proxy/a/b?c=d`)).text).toBe('backend saw /a/b?c=d');
    expect(await client.send('GET', `${PODS}/p:web/proxy?c=d`)).toMatchObject({
      status: 301,
      headers: { location: `${PODS}/p:web/proxy/?c=d` },
    });
    const posted = await client.send('POST', `${PODS}/p/proxy/`, { body: 'x'.repeat(100_000), contentType: 'text/plain' });
    expect(posted.text).toBe('backend saw /');
    expect(posted.headers['x-method']).toBe('POST');
  });

  it('keeps redirects within the proxy', async () => {
    expect((await client.send('GET', `${PODS}/p/proxy/moved`)).headers.location).toBe(`${PODS}/p/proxy/here`);
  });

  it.each(['page', 'packed'])('keeps the links of a %s within the proxy', async (name) => {
    expect((await client.send('GET', `${PODS}/p/proxy/${name}`)).text).toBe(`<a href="${PODS}/p/proxy/x">`);
  });

  it('reaches a Service through its endpoints, and says when there are none', async () => {
    const { port } = backend.address() as AddressInfo;
    await client.send('POST', '/api/v1/namespaces/default/services', {
      body: { metadata: { name: 's' }, spec: { ports: [{ name: 'http', port: 80 }] } },
    });
    expect((await client.send('GET', '/api/v1/namespaces/default/services/s:http/proxy/')).json).toMatchObject({
      code: 503,
      reason: 'ServiceUnavailable',
    });
    await client.send('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
      body: {
        metadata: { name: 's-1', labels: { 'kubernetes.io/service-name': 's' } },
        addressType: 'IPv4',
        ports: [{ name: 'http', port, protocol: 'TCP' }],
        endpoints: [{ addresses: ['10.42.0.9'], conditions: { ready: true } }],
      },
    });
    await expect
      .poll(async () => (await client.send('GET', '/api/v1/namespaces/default/services/http:s:http/proxy/x')).text)
      .toBe('backend saw /x');
  });

  it("reaches a node's agent", async () => {
    expect((await client.send('GET', '/api/v1/nodes/n1/proxy/stats/summary')).json.node.memory.workingSetBytes).toBe(2048);
  });
});
