import { seededRandom, silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, it } from 'vitest';
import { discoverResources } from './discovery.ts';
import { createInformerFactory } from './informer-factory.ts';
import { FakeClient } from './testing/fake-client.ts';
import { things } from './testing/things.ts';

const paths: Record<string, unknown> = {
  '/apis': {
    groups: [
      { name: 'apps', versions: [{ version: 'v1beta1' }, { version: 'v1' }], preferredVersion: { version: 'v1' } },
      { name: 'broken', versions: [{ version: 'v1' }], preferredVersion: { version: 'v1' } },
    ],
  },
  '/api/v1': {
    resources: [
      { name: 'pods', kind: 'Pod', namespaced: true, verbs: ['list'] },
      { name: 'pods/log', kind: 'Pod', namespaced: true, verbs: ['get'] },
    ],
  },
  '/apis/apps/v1': { resources: [{ name: 'deployments', kind: 'Deployment', namespaced: true, verbs: ['list', 'watch'] }] },
  '/apis/apps/v1beta1': {
    resources: [
      { name: 'deployments', kind: 'Deployment', namespaced: true, verbs: [] },
      { name: 'olds', kind: 'Old', namespaced: false, verbs: [] },
    ],
  },
};

describe('discovery', () => {
  it('names each collection once, in the preferred version, without subresources, and tells what did not answer', async () => {
    const client = Object.assign(Object.create(new FakeClient()) as FakeClient, {
      request: async (_method: string, path: string) => {
        if (!(path in paths)) throw new Error(`no ${path}`);
        return paths[path];
      },
    });
    const { resources, failures } = await discoverResources(client);
    expect(resources.map(({ group, version, resource, namespaced }) => [group, version, resource, namespaced])).toEqual([
      ['', 'v1', 'pods', true],
      ['apps', 'v1', 'deployments', true],
      ['apps', 'v1beta1', 'olds', false],
    ]);
    expect(resources[1]?.verbs.has('watch')).toBe(true);
    expect(failures.map(({ groupVersion }) => groupVersion)).toEqual(['broken/v1']);
  });
});

describe('informer factory', () => {
  it('has one informer per kind and selection, and starts those asked for late', async () => {
    const clock = new FakeClock();
    const client = new FakeClient({ clock });
    client.put(things, { metadata: { namespace: 'a', name: 'x' } });
    const factory = createInformerFactory({ client, clock, random: seededRandom(1), log: silentLogger });
    const early = factory.informer(things);
    expect(factory.informer(things)).toBe(early);
    const stop = new AbortController();
    const ended = factory.run(stop.signal);
    await factory.whenSynced(stop.signal);
    const late = factory.informer(things, { namespace: 'b' });
    expect(late).not.toBe(early);
    await late.whenSynced(stop.signal);
    expect([early.size, late.size]).toEqual([1, 0]);
    expect(client.calls.filter(({ verb }) => verb === 'list')).toHaveLength(2);
    stop.abort();
    await ended;
  });
});
