import { connect as connectTls, type TLSSocket } from 'node:tls';
import { eventually } from '@dure/test-support';
import fc from 'fast-check';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ControlPlaneProcess } from './control-plane-process.ts';

const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const ANSWER_MS = 2_000;
/** What a server that many pull at may grow by, and does not keep. */
const GROWTH_BYTES_MAX = 200 << 20;

/** Clients that mean ill, before a control plane as anybody starts it: whatever they do, others are served, and the server does not grow. */
describe(`a hostile client (DURE_SEED=${seed})`, () => {
  let plane: ControlPlaneProcess;
  let agent: Agent;
  let own: { readonly authorization: string };
  let before: number;

  beforeAll(async () => {
    plane = await ControlPlaneProcess.start();
    await plane.kubectl(['wait', '--for=create', 'serviceaccount/default', '--timeout=30s']);
    await plane.kubectl(['create', 'namespace', 'theirs']);
    await plane.kubectl(['create', 'role', 'all', '--verb=*', '--resource=*.*', '-n', 'theirs']);
    await plane.kubectl(['create', 'rolebinding', 'all', '--role=all', '--serviceaccount=theirs:default', '-n', 'theirs']);
    await plane.kubectl(['create', 'secret', 'generic', 'ours', '--from-literal=key=untouched']);
    own = { authorization: `Bearer ${(await plane.kubectl(['create', 'token', 'default', '-n', 'theirs'])).trim()}` };
    agent = new Agent({ connect: { rejectUnauthorized: false }, connections: 16 });
    before = await plane.residentBytes();
  });
  afterAll(async () => {
    await agent?.destroy();
    await plane?.[Symbol.asyncDispose]();
  });

  const url = (path: string): string => `https://127.0.0.1:${plane.port}${path}`;
  /** What everybody else still gets, and how large the server is by now. */
  const othersAreServed = async (): Promise<void> => {
    const startedMs = performance.now();
    expect(await plane.kubectl(['get', '--raw', '/livez'])).toBe('ok');
    expect(Buffer.from(await plane.kubectl(['get', 'secret', 'ours', '-o', 'jsonpath={.data.key}']), 'base64').toString()).toBe(
      'untouched',
    );
    expect(performance.now() - startedMs).toBeLessThan(ANSWER_MS);
    // Memory is given back a moment after the last of it was let go.
    await eventually('the server to be as small as before', async () =>
      (await plane.residentBytes()) - before < GROWTH_BYTES_MAX ? true : undefined,
    );
  };
  const open = (): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const socket = connectTls({ host: '127.0.0.1', port: plane.port, rejectUnauthorized: false }, () => resolve(socket));
      socket.on('error', reject);
    });

  it('is answered, whatever it asks for, and never with a failure of the server', { timeout: 120_000 }, async () => {
    const segment = fc.oneof(
      fc.constantFrom(
        'api',
        'apis',
        'v1',
        'namespaces',
        'theirs',
        'default',
        'pods',
        'secrets',
        'configmaps',
        'apps',
        'deployments',
        'ours',
        'status',
        'scale',
        'exec',
        'proxy',
        'log',
        '..',
        '.',
        '%2e%2e',
        '%00',
        '',
      ),
      fc.string({ maxLength: 20 }).map(encodeURIComponent),
    );
    const query = fc.dictionary(
      fc.constantFrom(
        'labelSelector',
        'fieldSelector',
        'continue',
        'limit',
        'resourceVersion',
        'resourceVersionMatch',
        'dryRun',
        'fieldManager',
        'force',
        'propagationPolicy',
        'gracePeriodSeconds',
        'command',
        'container',
        'timeoutSeconds',
      ),
      fc.oneof(fc.string({ maxLength: 30 }), fc.constantFrom('All', '-1', '0', '99999999999999999999', 'a in (b', '=', 'Exact', '%zz')),
      { maxKeys: 4 },
    );
    const asked = fc.record({
      method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'),
      path: fc.array(segment, { maxLength: 8 }).map((segments) => `/${segments.join('/')}`),
      query,
      type: fc.constantFrom(
        'application/json',
        'application/yaml',
        'application/vnd.kubernetes.protobuf',
        'application/apply-patch+yaml',
        'application/json-patch+json',
        'application/merge-patch+json',
        'text/plain',
      ),
      accept: fc.constantFrom(
        'application/json',
        'application/vnd.kubernetes.protobuf',
        'application/json;as=Table;g=meta.k8s.io;v=v1',
        '*/*',
        ';;;',
        'x/y',
      ),
      body: fc.oneof(
        fc.json({ maxDepth: 4 }),
        fc.string({ maxLength: 100 }),
        fc.constantFrom('', '{}', '[]', 'null', '{"metadata":{"name":"x"}}'),
      ),
      impersonate: fc.option(fc.constantFrom('admin', 'system:masters', ''), { freq: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(asked, async ({ method, path, query: pairs, type, accept, body, impersonate }) => {
        const text = new URLSearchParams(pairs).toString();
        const { statusCode, body: answer } = await request(url(`${path}${text === '' ? '' : `?${text}`}`), {
          dispatcher: agent,
          method,
          headers: { ...own, 'content-type': type, accept, ...(impersonate === null ? {} : { 'impersonate-user': impersonate }) },
          ...(method === 'GET' || method === 'HEAD' || method === 'OPTIONS' ? {} : { body }),
          headersTimeout: 20_000,
          bodyTimeout: 20_000,
        });
        await answer.dump();
        // 501 and 503 say truly what cannot be had; 500 would be something that nobody thought of.
        expect(statusCode, `${method} ${path}?${text}`).not.toBe(500);
      }),
      { seed, numRuns: 500 },
    );
    await othersAreServed();
  });

  it('is refused bodies that are too large, too deep or never end', async () => {
    const path = url('/api/v1/namespaces/theirs/configmaps');
    const headers = { ...own, 'content-type': 'application/json' };
    const post = async (body: string | AsyncIterable<Buffer>): Promise<number> => {
      const { statusCode, body: answer } = await request(path, { dispatcher: agent, method: 'POST', headers, body: body as string });
      await answer.dump();
      return statusCode;
    };
    expect(await post('['.repeat(1_000_000))).toBe(400);
    expect(await post(`{"data":{"a":"${'x'.repeat(4 << 20)}"}}`)).toBe(413);
    async function* endless(): AsyncGenerator<Buffer> {
      for (let sent = 0; sent < 64; sent += 1) yield Buffer.alloc(1 << 20, 'x');
    }
    expect(await post(endless()).catch(() => 'cut off')).toSatisfy((outcome: unknown) => outcome === 413 || outcome === 'cut off');
    // A thousand aliases of a thousand.
    const bomb = `a: &a [${'x,'.repeat(1000)}]\n${Array.from({ length: 20 }, (_, index) => `b${index}: [${'*a,'.repeat(1000)}]`).join('\n')}`;
    const { statusCode, body } = await request(path, {
      dispatcher: agent,
      method: 'POST',
      headers: { ...own, 'content-type': 'application/yaml' },
      body: bomb,
    });
    await body.dump();
    expect(statusCode).toBe(400);
    await othersAreServed();
  });

  it('may open connections and say nothing, nonsense, or half of something', async () => {
    const sockets = await Promise.all(Array.from({ length: 300 }, open));
    for (const [index, socket] of sockets.entries()) {
      socket.on('error', () => undefined);
      if (index % 4 === 1) socket.write('GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ');
      if (index % 4 === 2)
        socket.write(
          `POST /api/v1/namespaces/theirs/configmaps HTTP/1.1\r\nHost: x\r\nAuthorization: ${own.authorization}\r\nContent-Length: 100000\r\n\r\n{`,
        );
      if (index % 4 === 3) socket.write(Buffer.from(Array.from({ length: 500 }, (_, at) => (at * 7919 + index) % 256)));
    }
    await othersAreServed();
    for (const socket of sockets) socket.destroy();
  });

  it('may watch without ever reading, while what it watches changes', async () => {
    const watchers = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket = await open();
        socket.on('error', () => undefined);
        socket.pause();
        socket.write(`GET /api/v1/namespaces/theirs/configmaps?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: ${own.authorization}\r\n\r\n`);
        return socket;
      }),
    );
    const value = 'x'.repeat(100_000);
    await request(url('/api/v1/namespaces/theirs/configmaps'), {
      dispatcher: agent,
      method: 'POST',
      headers: { ...own, 'content-type': 'application/json' },
      body: JSON.stringify({ metadata: { name: 'large' }, data: { value } }),
    }).then(({ body }) => body.dump());
    for (let round = 0; round < 200; round += 1) {
      const { statusCode, body } = await request(url('/api/v1/namespaces/theirs/configmaps/large'), {
        dispatcher: agent,
        method: 'PATCH',
        headers: { ...own, 'content-type': 'application/merge-patch+json' },
        body: JSON.stringify({ data: { round: `${round}` } }),
      });
      await body.dump();
      expect(statusCode).toBe(200);
    }
    for (const socket of watchers) socket.destroy();
    await othersAreServed();
  });

  it('cannot stall the server with rules and patterns of its own', async () => {
    const rules = [
      'self.all(a, self.all(b, self.all(c, self.all(d, a + b + c + d > 0))))',
      'self.map(x, string(x)).all(s, s.matches("^(a+)+$"))',
    ];
    for (const rule of rules) {
      const startedMs = performance.now();
      const definition = {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: 'bombs.theirs.example.com' },
        spec: {
          group: 'theirs.example.com',
          scope: 'Namespaced',
          names: { plural: 'bombs', singular: 'bomb', kind: 'Bomb' },
          versions: [
            {
              name: 'v1',
              served: true,
              storage: true,
              schema: {
                openAPIV3Schema: {
                  type: 'object',
                  properties: { list: { type: 'array', items: { type: 'integer' }, 'x-kubernetes-validations': [{ rule }] } },
                },
              },
            },
          ],
        },
      };
      const made = await plane.kubectl(['create', '-f', '-'], JSON.stringify(definition)).catch(({ message }: Error) => message);
      if (made.includes('created')) {
        await plane.kubectl(['wait', '--for=condition=Established', 'crd/bombs.theirs.example.com', '--timeout=10s']);
        const bomb = {
          apiVersion: 'theirs.example.com/v1',
          kind: 'Bomb',
          metadata: { name: 'b', namespace: 'theirs' },
          list: Array.from({ length: 2_000 }, (_, index) => index),
        };
        const said = await plane.kubectl(['create', '-f', '-'], JSON.stringify(bomb)).catch(({ message }: Error) => message);
        expect(said).toMatch(/call cost exceeds limit|budget|created|failed rule|Invalid value/);
        await plane.kubectl(['delete', 'crd', 'bombs.theirs.example.com']);
      } else expect(made).toMatch(/cost/);
      expect(performance.now() - startedMs).toBeLessThan(15_000);
      await othersAreServed();
    }
  });

  it('reads nothing that is not its own, with any of these', async () => {
    for (const path of [
      '/api/v1/namespaces/default/secrets/ours',
      '/api/v1/secrets',
      '/api/v1/namespaces/theirs/../default/secrets/ours',
      '/api/v1/namespaces/theirs/secrets/..%2f..%2fdefault%2fsecrets%2fours',
    ]) {
      const { statusCode, body } = await request(url(path), { dispatcher: agent, headers: own });
      expect(await body.text(), path).not.toContain('dW50b3VjaGVk');
      expect([403, 404, 400], path).toContain(statusCode);
    }
  });
});
