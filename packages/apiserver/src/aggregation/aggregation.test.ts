import { once } from 'node:events';
import type http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { builtinKinds, KindRegistry } from '@dure/api';
import { systemClock, systemRandom } from '@dure/foundation';
import { createAuthority, issueCertificate } from '@dure/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podDialer } from '../connect/dialers.ts';
import type { PodDialer } from '../contract/node-dialer.ts';
import { type ExtensionServer, startExtensionServer } from '../testing/extension-server.ts';
import { type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';

const context = { clock: systemClock, random: systemRandom };
const GROUP = 'wardle.example.com';
const NAME = `v1alpha1.${GROUP}`;
const SERVICES = '/apis/apiregistration.k8s.io/v1/apiservices';
const FLUNDERS = `/apis/${GROUP}/v1alpha1/namespaces/default/flunders`;
const AGGREGATED = { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' };
const METRICS = 'v1beta1.metrics.k8s.io';

let server: TestServer;
let client: TestClient;
let extension: ExtensionServer;
let metrics: ExtensionServer;

/** Pods of other nodes cannot be had in a test: whatever their address, they are on this machine. */
function podsAtLoopback(): PodDialer {
  const dialer = podDialer();
  return {
    request: (target, request, signal) => dialer.request({ ...target, host: '127.0.0.1' }, request, signal),
    connect: (target, signal) => dialer.connect({ ...target, host: '127.0.0.1' }, signal),
  };
}

beforeAll(async () => {
  const proxies = await createAuthority({ commonName: 'front-proxy-ca' }, context);
  const proxy = await issueCertificate(proxies, { commonName: 'front-proxy-client', organizations: [], usages: ['client auth'] }, context);
  const frontProxyCa = proxies.certificatePem;
  extension = await startExtensionServer({ group: GROUP, version: 'v1alpha1', dnsNames: ['sample-api.default.svc'], frontProxyCa });
  metrics = await startExtensionServer({
    group: 'metrics.k8s.io',
    version: 'v1beta1',
    dnsNames: ['metrics.default.svc'],
    frontProxyCa,
    aggregated: true,
    older: true,
  });
  server = await startTestServer(new KindRegistry(builtinKinds), {
    frontProxy: () => ({ cert: proxy.certificatePem, key: proxy.privateKeyPem }),
    pods: podsAtLoopback(),
    metrics: () => ({ node: async () => undefined, pods: async () => [] }),
  });
  client = testClient(server);
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await extension[Symbol.asyncDispose]();
  await metrics[Symbol.asyncDispose]();
});

function apiService(name: string, service: { name: string; port: number } | undefined, more: Record<string, unknown> = {}) {
  const [version = '', ...group] = name.split('.');
  return {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name },
    spec: {
      group: group.join('.'),
      version,
      groupPriorityMinimum: 2000,
      versionPriority: 200,
      ...(service === undefined ? {} : { service: { namespace: 'default', ...service } }),
      ...more,
    },
  };
}

/** The Available condition once it has `reason`. */
async function available(name: string, reason: string): Promise<{ status: string; message: string }> {
  const stop = AbortSignal.timeout(10_000);
  for await (const { object } of client.watch(`${SERVICES}?watch=1&fieldSelector=metadata.name%3D${name}`, stop)) {
    const { conditions = [] } = (object.status ?? {}) as { conditions?: { reason: string; status: string; message: string }[] };
    const found = conditions.find((condition) => condition.reason === reason);
    if (found !== undefined) return { status: found.status, message: found.message };
  }
  const { json } = await client.send('GET', `${SERVICES}/${name}`);
  throw new Error(`${name} did not become ${reason}: ${JSON.stringify(json.status)}`);
}

/** Deletes the APIService, and settles once the server knows. */
async function remove(name: string): Promise<void> {
  const path = `${SERVICES}?watch=1&fieldSelector=metadata.name%3D${name}`;
  for await (const { type } of client.watch(path, AbortSignal.timeout(10_000))) {
    if (type === 'ADDED') await client.send('DELETE', `${SERVICES}/${name}`);
    if (type === 'DELETED') return;
  }
  throw new Error(`${name} is still there`);
}

async function expose(name: string, port: number, targetPort: number): Promise<void> {
  const made = await client.send('POST', '/api/v1/namespaces/default/services', {
    body: { metadata: { name }, spec: { ports: [{ port, protocol: 'TCP' }] } },
  });
  expect(made.status).toBe(201);
  await slice(name, targetPort);
}

async function slice(name: string, port: number): Promise<void> {
  const made = await client.send('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    body: {
      metadata: { name, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.9.8.7'], conditions: { ready: true } }],
      ports: [{ name: '', port, protocol: 'TCP' }],
    },
  });
  expect(made.status).toBe(201);
}

const ca = (of: ExtensionServer): string => Buffer.from(of.ca).toString('base64');
const lastAsked = (of: ExtensionServer) => of.seen.at(-1)?.url;
const lastSeen = (of: ExtensionServer) => of.seen.filter(({ user }) => user !== 'system:kube-aggregator').at(-1);

describe('an APIService', () => {
  it('says why its server cannot be asked, one reason after the other, until it can', async () => {
    const made = await client.send('POST', SERVICES, {
      body: apiService(NAME, { name: 'sample-api', port: 7443 }, { caBundle: ca(extension) }),
    });
    expect(made.status).toBe(201);
    expect(await available(NAME, 'ServiceNotFound')).toEqual({
      status: 'False',
      message: 'service/sample-api in "default" is not present',
    });
    expect(await client.send('GET', FLUNDERS)).toMatchObject({ status: 503, text: 'service unavailable\n' });

    const wrongPort = { metadata: { name: 'sample-api' }, spec: { ports: [{ port: 1, protocol: 'TCP' }] } };
    await client.send('POST', '/api/v1/namespaces/default/services', { body: wrongPort });
    expect((await available(NAME, 'ServicePortError')).message).toBe('service/sample-api in "default" is not listening on port 7443');
    await client.send('PATCH', '/api/v1/namespaces/default/services/sample-api', {
      contentType: 'application/merge-patch+json',
      body: { spec: { ports: [{ port: 7443, protocol: 'TCP' }] } },
    });
    expect((await available(NAME, 'EndpointsNotFound')).message).toBe('cannot find endpointslices for service/sample-api in "default"');

    extension.isBroken = true;
    await slice('sample-api', extension.port);
    expect((await available(NAME, 'FailedDiscoveryCheck')).message).toBe(
      `failing or missing response from https://sample-api.default.svc:7443/apis/${GROUP}/v1alpha1: bad status from https://sample-api.default.svc:7443/apis/${GROUP}/v1alpha1: 500`,
    );
    extension.isBroken = false;
    expect(await available(NAME, 'Passed')).toEqual({ status: 'True', message: 'all checks passed' });
  }, 30_000);

  it('is always available where this server serves it, whatever is written into it', async () => {
    await client.send('POST', SERVICES, { body: apiService('v1.apps', undefined) });
    expect(await available('v1.apps', 'Local')).toEqual({ status: 'True', message: 'Local APIServices are always available' });
    await client.send('PATCH', `${SERVICES}/v1.apps`, {
      contentType: 'application/merge-patch+json',
      body: { spec: { service: { namespace: 'default', name: 'nowhere' }, insecureSkipTLSVerify: true } },
    });
    expect((await client.send('GET', '/apis/apps/v1/deployments')).status).toBe(200);
    await client.send('DELETE', `${SERVICES}/v1.apps`);
    expect((await client.send('GET', '/apis/apps/v1/deployments')).status).toBe(200);
  });
});

describe('a condition', () => {
  it('that another server of the store wrote is not contradicted at once', async () => {
    const written = { type: 'Available', status: 'False', reason: 'Other', message: 'not from here' };
    const before = extension.seen.length;
    const patched = await client.send('PATCH', `${SERVICES}/${NAME}/status`, {
      contentType: 'application/merge-patch+json',
      body: { status: { conditions: [written] } },
    });
    expect(patched.status).toBe(200);
    // Another APIService that changes after it shows that the event of this one was seen.
    await client.send('POST', SERVICES, { body: apiService('v1.after.example.com', { name: 'none', port: 443 }) });
    await available('v1.after.example.com', 'ServiceNotFound');
    expect((await client.send('GET', `${SERVICES}/${NAME}`)).json.status.conditions).toMatchObject([written]);
    expect(extension.seen.length).toBe(before);
    await remove('v1.after.example.com');
    await client.send('PATCH', `${SERVICES}/${NAME}`, {
      contentType: 'application/merge-patch+json',
      body: { spec: { versionPriority: 199 } },
    });
    await available(NAME, 'Passed');
  });
});

describe('a request for an aggregated group version', () => {
  it('reaches the server with the user that this one authenticated, and nothing that the client says of itself', async () => {
    const made = await client.send('POST', FLUNDERS, {
      body: { apiVersion: `${GROUP}/v1alpha1`, kind: 'Flunder', metadata: { name: 'one' }, color: 'red' },
      headers: {
        'x-remote-user': 'mallory',
        'x-remote-group': 'system:masters',
        authorization: 'Bearer mine',
        'x-kept': 'yes',
      },
    });
    expect(made).toMatchObject({ status: 201, json: { color: 'red', metadata: { uid: 'uid-one' } } });
    expect(lastSeen(extension)).toMatchObject({
      method: 'POST',
      proxy: 'front-proxy-client',
      user: 'admin',
      groups: ['system:masters', 'system:authenticated'],
      headers: { 'x-kept': 'yes', host: 'sample-api.default.svc:7443', 'x-forwarded-uri': FLUNDERS },
    });
    expect(lastSeen(extension)?.headers.authorization).toBeUndefined();
    expect((await client.send('GET', `${FLUNDERS}?limit=5&labelSelector=a%3Db`)).json).toMatchObject({ kind: 'FlunderList' });
    expect(lastSeen(extension)?.url).toBe(`${FLUNDERS}?limit=5&labelSelector=a%3Db`);
  });

  it('passes failures on as they are, and is refused here where the user may not', async () => {
    const missing = await client.send('GET', `${FLUNDERS}/none`);
    expect(missing).toMatchObject({ status: 404, json: { message: 'the extension says NotFound' } });
    const last = lastSeen(extension);
    expect((await client.send('GET', FLUNDERS, { anonymous: true })).status).toBe(403);
    expect(lastSeen(extension)).toBe(last);
  });

  it('carries a watch event by event, to clients and within the process', async () => {
    const stop = new AbortController();
    const outside = client.watch(`${FLUNDERS}?watch=1`, stop.signal)[Symbol.asyncIterator]();
    const first = outside.next();
    const transport = server.server.transport({ name: 'gc', groups: ['system:masters'] }, 'test');
    const response = await transport.send({ method: 'GET', path: `${FLUNDERS}?watch=1`, headers: {} }, stop.signal);
    const inside = response.frames()[Symbol.asyncIterator]();
    const within = inside.next();
    while (extension.watchers < 2) await new Promise(setImmediate);
    extension.emit('ADDED', 'a');
    expect((await first).value).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'a' } } });
    expect((await within).value).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'a' } } });
    extension.emit('DELETED', 'a');
    expect((await outside.next()).value).toMatchObject({ type: 'DELETED' });
    stop.abort();
    await transport[Symbol.asyncDispose]();
    await inside.return?.(undefined);
    while (extension.watchers > 0) await new Promise(setImmediate);
  });

  it('may become another protocol, as the user', async () => {
    const { door, caPem, certPem, keyPem } = server;
    const request = https.request({
      host: '127.0.0.1',
      port: door.address.port,
      path: `${FLUNDERS}/one/console/1?x=y`,
      ca: caPem,
      cert: certPem,
      key: keyPem,
      headers: { connection: 'Upgrade', upgrade: 'echo', 'x-remote-user': 'mallory' },
    });
    request.end();
    const [answer, socket] = (await once(request, 'upgrade')) as [http.IncomingMessage, Duplex];
    expect(answer.headers).toMatchObject({ upgrade: 'echo', 'x-user': 'admin', 'x-path': `${FLUNDERS}/one/console/1?x=y` });
    socket.write('hello');
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('hello');
    socket.destroy();
  });

  it('carries nothing behind an upgrade that the server refused', async () => {
    const { door, caPem: ca, certPem: cert, keyPem: key } = server;
    const socket = connect({ host: '127.0.0.1', port: door.address.port, ca, cert, key, ALPNProtocols: ['http/1.1'] });
    await once(socket, 'secureConnect');
    const smuggled = `GET ${FLUNDERS} HTTP/1.1\r\nHost: x\r\nX-Remote-User: root\r\nX-Remote-Group: system:masters\r\n\r\n`;
    const upgrade = `GET ${FLUNDERS}/one/refuse HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, X-Remote-User\r\nUpgrade: echo\r\n\r\n`;
    socket.write(`${upgrade}${smuggled}`);
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      // Once more, now that the answer is there.
      if (socket.writable) socket.write(smuggled);
    });
    socket.on('error', () => undefined);
    await once(socket, 'close');
    expect(text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(text).toMatch(/\r\n\r\nrefused$/);
    expect(extension.smuggled).toEqual([]);
    expect(lastSeen(extension)).toMatchObject({ user: 'admin', headers: { connection: 'Upgrade' } });
  });

  it('cannot be redirected by the server, with or without an upgrade', async () => {
    const text = 'the backend attempted to redirect this request, which is not permitted';
    const moved = await client.send('GET', `${FLUNDERS}/one/moved`);
    expect([moved.status, moved.text, moved.headers.location]).toEqual([502, text, undefined]);
    const { door, caPem: ca, certPem: cert, keyPem: key } = server;
    const headers = { connection: 'Upgrade', upgrade: 'echo' };
    const path = `${FLUNDERS}/one/refuse/moved`;
    const request = https.request({ host: '127.0.0.1', port: door.address.port, path, ca, cert, key, headers }).end();
    const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
    expect([answer.statusCode, answer.headers.location]).toEqual([502, undefined]);
    answer.resume();
  });

  it('is refused where the server does not show a certificate for its Service from its authority', async () => {
    await client.send('PATCH', `${SERVICES}/${NAME}`, {
      contentType: 'application/merge-patch+json',
      body: { spec: { caBundle: ca(metrics) } },
    });
    const refused = await client.send('GET', FLUNDERS);
    expect(refused.status).toBe(503);
    expect(refused.text).toMatch(/^error trying to reach service: .*(certificate|signature)/);
    await client.send('PATCH', `${SERVICES}/${NAME}`, {
      contentType: 'application/merge-patch+json',
      body: { spec: { caBundle: Buffer.from(extension.certificate).toString('base64') } },
    });
    expect((await client.send('GET', FLUNDERS)).status).toBe(200);
    await client.send('PATCH', `${SERVICES}/${NAME}`, {
      contentType: 'application/merge-patch+json',
      body: { spec: { caBundle: null, insecureSkipTLSVerify: true } },
    });
    expect((await client.send('GET', FLUNDERS)).status).toBe(200);
    await client.send('PATCH', `${SERVICES}/${NAME}`, {
      contentType: 'application/merge-patch+json',
      body: { spec: { caBundle: ca(extension), insecureSkipTLSVerify: null } },
    });
  });
});

describe('discovery', () => {
  it('shows the group in its place, plain and aggregated, and the server its own list', async () => {
    const { groups } = (await client.send('GET', '/apis')).json as { groups: { name: string; preferredVersion: { version: string } }[] };
    expect(groups[0]?.name).toBe('apiregistration.k8s.io');
    expect(groups.find(({ name }) => name === GROUP)).toMatchObject({ preferredVersion: { version: 'v1alpha1' } });
    expect((await client.send('GET', `/apis/${GROUP}`)).json).toMatchObject({ kind: 'APIGroup', name: GROUP });
    expect((await client.send('GET', `/apis/${GROUP}/v1alpha1`)).json.resources[0]).toMatchObject({ name: 'flunders', shortNames: ['fl'] });
    const { items } = (await client.send('GET', '/apis', { headers: AGGREGATED })).json;
    expect(items.find((item: { metadata: { name: string } }) => item.metadata.name === GROUP).versions).toEqual([
      {
        version: 'v1alpha1',
        freshness: 'Current',
        resources: [
          {
            resource: 'flunders',
            responseKind: { group: GROUP, version: 'v1alpha1', kind: 'Flunder' },
            scope: 'Namespaced',
            singularResource: 'flunder',
            verbs: ['create', 'delete', 'get', 'list', 'watch'],
            shortNames: ['fl'],
            subresources: [{ subresource: 'status', responseKind: { group: GROUP, version: 'v1alpha1', kind: 'Flunder' }, verbs: ['get'] }],
          },
        ],
      },
    ]);
  });

  it('keeps what it knew as stale while the server does not answer', async () => {
    extension.isBroken = true;
    await client.send('PATCH', `${SERVICES}/${NAME}`, {
      contentType: 'application/merge-patch+json',
      body: { spec: { versionPriority: 201 } },
    });
    expect((await available(NAME, 'FailedDiscoveryCheck')).status).toBe('False');
    const { items } = (await client.send('GET', '/apis', { headers: AGGREGATED })).json;
    const [version] = items.find((item: { metadata: { name: string } }) => item.metadata.name === GROUP).versions;
    expect(version).toMatchObject({ freshness: 'Stale', resources: [{ resource: 'flunders' }] });
    extension.isBroken = false;
    expect((await available(NAME, 'Passed')).status).toBe('True');
  }, 40_000);
});

describe('OpenAPI', () => {
  it('holds what the server says of its own group version, under names that are free', async () => {
    const swagger = (await client.send('GET', '/openapi/v2')).json;
    const path = `/apis/${GROUP}/v1alpha1/namespaces/{namespace}/flunders`;
    const { schema } = swagger.paths[path].get.responses[200];
    expect(swagger.definitions[schema.$ref.replace('#/definitions/', '')]).toMatchObject({
      description: 'A Flunder of the extension server.',
      properties: { metadata: { $ref: '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta_v2' } },
    });
    const LIST_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta';
    expect(Object.keys(swagger.definitions[`${LIST_META}_v2`].properties)).toEqual(['more']);
    expect(swagger.definitions[LIST_META].properties.resourceVersion).toBeDefined();
    expect(swagger.definitions.Unused).toBeUndefined();
    expect(swagger.paths['/version']).toBeUndefined();
  });

  it('sends those who ask for one group version to its server', async () => {
    const { paths } = (await client.send('GET', '/openapi/v3')).json;
    const url = `/openapi/v3/apis/${GROUP}/v1alpha1?hash=ABC`;
    expect(paths[`apis/${GROUP}/v1alpha1`]).toEqual({ serverRelativeURL: url });
    expect(paths['apis/apps/v1'].serverRelativeURL).toMatch(/hash=/);
    expect((await client.send('GET', url)).json).toMatchObject({ openapi: '3.0.0', info: { title: 'extension' } });
    expect(lastAsked(extension)).toBe(url);
  });
});

describe('a Service with an external name', () => {
  it('leads to the server of that name, but nobody to it who only proxies', async () => {
    const spec = { type: 'ExternalName', externalName: 'localhost' };
    await client.send('POST', '/api/v1/namespaces/default/services', { body: { metadata: { name: 'outside' }, spec } });
    const service = apiService(`v1.outside.${GROUP}`, { name: 'outside', port: extension.port }, { insecureSkipTLSVerify: true });
    await client.send('POST', SERVICES, { body: service });
    // It was asked, and does not have this group.
    expect((await available(`v1.outside.${GROUP}`, 'FailedDiscoveryCheck')).message).toMatch(/: bad status from .*: 404$/);
    expect((await client.send('GET', `/api/v1/namespaces/default/services/https:outside:${extension.port}/proxy/`)).status).toBe(503);
    await remove(`v1.outside.${GROUP}`);
  });
});

describe('metrics.k8s.io', () => {
  it('gives way to a registered server and comes back when that goes', async () => {
    const nodes = '/apis/metrics.k8s.io/v1beta1';
    expect((await client.send('GET', nodes)).json.resources.map(({ name }: { name: string }) => name)).toEqual(['nodes', 'pods']);
    await expose('metrics', 443, metrics.port);
    await client.send('POST', SERVICES, { body: apiService(METRICS, { name: 'metrics', port: 443 }, { caBundle: ca(metrics) }) });
    await available(METRICS, 'Passed');
    expect((await client.send('GET', nodes)).json.resources[0].name).toBe('flunders');
    const { items } = (await client.send('GET', '/apis', { headers: AGGREGATED })).json;
    const [version] = items.find((item: { metadata: { name: string } }) => item.metadata.name === 'metrics.k8s.io').versions;
    expect(version).toMatchObject({ freshness: 'Current', resources: [{ resource: 'flunders', verbs: ['list'] }] });
    // This one speaks the older OpenAPI only.
    const { paths } = (await client.send('GET', '/openapi/v3')).json;
    const { json: document } = await client.send('GET', paths['apis/metrics.k8s.io/v1beta1'].serverRelativeURL);
    expect(document.components.schemas['io.k8s.metrics.v1beta1.Flunder'].properties.color.type).toBe('string');
    expect(Object.keys(document.paths)).toEqual(['/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/flunders']);
    await remove(METRICS);
    expect((await client.send('GET', nodes)).json.resources.map(({ name }: { name: string }) => name)).toEqual(['nodes', 'pods']);
    expect((await client.send('GET', `${nodes}/nodes`)).json).toMatchObject({ kind: 'NodeMetricsList', items: [] });
  }, 20_000);
});
