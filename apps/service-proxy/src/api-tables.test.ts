import { type Draft, type EndpointSlice, endpointSlices, nodes, type Service, services } from '@dure/api';
import { FakeClient } from '@dure/client/testing';
import { seededRandom, silentLogger, systemClock } from '@dure/foundation';
import { describe, expect, it } from 'vitest';
import { followTables } from './api-tables.ts';
import type { Tables } from './saved-tables.ts';

const config = { nodeName: 'n1', clusterDomain: 'cluster.local', dnsAddress: '10.43.0.10' };

function web(name: string): Draft<Service> {
  return { metadata: { name, namespace: 'default' }, spec: { clusterIP: '10.43.0.5', ports: [{ port: 80 }] }, status: {} };
}
function slice(addresses: readonly string[]): Draft<EndpointSlice> {
  return {
    metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ port: 8080 }],
    endpoints: addresses.map((address) => ({ addresses: [address] })),
  };
}

/** Follows `client` and hands out what comes, one table at a time. */
function follow(client: FakeClient): { next(): Promise<Tables>; count(): number; stop(): Promise<void> } {
  const stop = new AbortController();
  const queue: Tables[] = [];
  let wake = (): void => {};
  let count = 0;
  const running = followTables(
    { client, config, clock: systemClock, random: seededRandom(1), log: silentLogger },
    (tables) => {
      count += 1;
      queue.push(tables);
      wake();
    },
    stop.signal,
  );
  return {
    count: () => count,
    async next() {
      for (let tables = queue.shift(); ; tables = queue.shift()) {
        if (tables) return tables;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    async stop() {
      stop.abort();
      await running;
    },
  };
}

describe('following the API', () => {
  it('gives whole tables, with the zone of this node, and again after each change', async () => {
    const client = new FakeClient();
    client.put(services, web('web'));
    client.put(endpointSlices, slice(['10.42.1.2']));
    client.put(nodes, { metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'attic' } }, spec: {}, status: {} });
    client.put(nodes, { metadata: { name: 'n2', labels: { 'topology.kubernetes.io/zone': 'cellar' } }, spec: {}, status: {} });
    const following = follow(client);
    const first = await following.next();
    expect(first.services).toMatchObject({
      zone: 'attic',
      services: [{ name: 'web', ports: [{ endpoints: [{ address: '10.42.1.2' }] }] }],
    });
    expect(first.zone.services).toMatchObject([{ name: 'web', clusterIPs: ['10.43.0.5'] }]);

    client.put(endpointSlices, slice(['10.42.1.2', '10.42.1.3']));
    expect((await following.next()).services.services[0]?.ports[0]?.endpoints).toHaveLength(2);
    client.drop(services, 'default/web');
    expect((await following.next()).services.services).toEqual([]);
    await following.stop();
  });

  it('makes one table of many changes at once', async () => {
    const client = new FakeClient();
    const following = follow(client);
    await following.next();
    const before = following.count();
    for (let index = 0; index < 50; index += 1) client.put(services, web(`web-${index}`));
    let tables = await following.next();
    while (tables.services.services.length < 50) tables = await following.next();
    expect(following.count() - before).toBeLessThan(5);
    await following.stop();
  });

  it('says nothing while it knows only a part', async () => {
    const client = new FakeClient();
    client.put(services, web('web'));
    let release = (): void => {};
    const isHeld = new Promise<void>((resolve) => {
      release = resolve;
    });
    let held = 0;
    client.hook(async ({ verb, ref }) => {
      if (verb !== 'list' || ref.resource !== 'endpointslices') return;
      held += 1;
      await isHeld;
    });
    const following = follow(client);
    while (held === 0) await new Promise((resolve) => setImmediate(resolve));
    await systemClock.sleep(60);
    expect(following.count()).toBe(0);
    release();
    expect((await following.next()).services.services).toHaveLength(1);
    await following.stop();
  });
});
