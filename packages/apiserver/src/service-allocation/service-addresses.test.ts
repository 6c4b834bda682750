import { builtinKinds, KindRegistry } from '@dure/api';
import { systemClock } from '@dure/foundation';
import { openMemoryStore } from '@dure/store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';

const SERVICES = '/api/v1/namespaces/default/services';
const ADDRESSES = '/apis/networking.k8s.io/v1/ipaddresses';
const options = { services: { cidrs: ['10.9.0.0/24', '2001:db8::/112'], nodePorts: { from: 30_000, to: 30_010 } } };

let test: TestServer;
let client: TestClient;

beforeEach(async () => {
  test = await startTestServer(new KindRegistry(builtinKinds), options);
  client = testClient(test);
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await test[Symbol.asyncDispose]();
});

const create = (by: TestClient, name: string, spec: object = {}) =>
  by.send('POST', SERVICES, { body: { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } } });
const addressNames = async () =>
  (await client.send('GET', ADDRESSES)).json.items.map((item: { metadata: { name: string } }) => item.metadata.name);

describe('the addresses of a Service', () => {
  it('are objects that say whose they are, as long as it is there', async () => {
    const { json: service } = await create(client, 'web', { ipFamilyPolicy: 'RequireDualStack' });
    const [first, second] = service.spec.clusterIPs;
    expect(await addressNames()).toEqual([first, second]);
    const { json } = await client.send('GET', `${ADDRESSES}/${second}`);
    expect(json).toMatchObject({
      metadata: { labels: { 'ipaddress.kubernetes.io/ip-family': 'IPv6', 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io' } },
      spec: { parentRef: { resource: 'services', namespace: 'default', name: 'web' } },
    });
    await client.send('DELETE', `${SERVICES}/web`);
    expect(await addressNames()).toEqual([]);
  });

  it('are none that somebody keeps for himself', async () => {
    await client.send('POST', ADDRESSES, {
      body: { metadata: { name: '10.9.0.7' }, spec: { parentRef: { group: 'gateways.example.com', resource: 'gateways', name: 'g' } } },
    });
    const refused = await create(client, 'web', { clusterIP: '10.9.0.7' });
    expect(refused.status).toBe(422);
    expect(refused.json.message).toContain('failed to allocate IP 10.9.0.7: provided IP is already allocated');
    // A Service that does not come leaves nothing behind.
    expect(await addressNames()).toEqual(['10.9.0.7']);
  });

  it('are different at two servers that give them out at once', async () => {
    await using store = await openMemoryStore({ clock: systemClock });
    const others = await Promise.all([0, 1].map(() => startTestServer(new KindRegistry(builtinKinds), { ...options, store })));
    const clients = others.map((server) => testClient(server));
    const made = await Promise.all(Array.from({ length: 30 }, (_, index) => create(clients[index % 2] as TestClient, `s${index}`)));
    expect(new Set(made.map(({ json }) => json.spec.clusterIP)).size).toBe(30);
    await Promise.all([...clients, ...others].map((one) => one[Symbol.asyncDispose]()));
  });
});
