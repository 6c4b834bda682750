import { type Draft, type Node, nodes, type Pod, pods, type Taint } from '@dure/api';
import { createInformerFactory, type EventRecorder } from '@dure/client';
import { FakeClient } from '@dure/client/testing';
import { seededRandom, silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createScheduler } from './scheduler.ts';

type Resources = Record<string, string>;

function node(
  name: string,
  options: { allocatable?: Resources; labels?: Record<string, string>; taints?: Taint[]; unschedulable?: boolean } = {},
): Draft<Node> {
  const { allocatable = { cpu: '4', memory: '8Gi', pods: '110' }, labels = {}, taints, unschedulable } = options;
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
    spec: { ...(taints && { taints }), ...(unschedulable && { unschedulable }) },
    status: { allocatable },
  };
}

function pod(
  name: string,
  spec: Partial<Pod['spec']> & { requests?: Resources } = {},
  metadata: Partial<Pod['metadata']> = {},
): Draft<Pod> {
  const { requests = {}, ...rest } = spec;
  return {
    metadata: { namespace: 'default', name, ...metadata },
    spec: { containers: [{ name: 'c', image: 'i', resources: { requests } }], ...rest },
  };
}

describe('scheduler', () => {
  let clock: FakeClock;
  let fake: FakeClient;
  let stop: AbortController;
  let running: Promise<unknown>;
  let told: string[];

  beforeEach(() => {
    clock = new FakeClock();
    fake = new FakeClient({ clock });
    stop = new AbortController();
    told = [];
  });

  afterEach(async () => {
    stop.abort();
    await running;
  });

  async function start(): Promise<void> {
    const informers = createInformerFactory({ client: fake, clock, random: seededRandom(1), log: silentLogger });
    const events: EventRecorder = { record: (about, _type, reason, message) => void told.push(`${about.name} ${reason} ${message}`) };
    const scheduler = createScheduler({ client: fake, informers, events, clock, random: seededRandom(2), log: silentLogger });
    running = Promise.all([informers.run(stop.signal), scheduler.run(stop.signal)]);
    await settle();
  }

  async function settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn += 1) await clock.advance(0);
  }

  const placeOf = (name: string): string | undefined => fake.peek(pods, `default/${name}`)?.spec.nodeName;

  it('binds Pods that are there and Pods that come, and says so', async () => {
    fake.put(nodes, node('a'));
    fake.put(pods, pod('early'));
    await start();
    await fake.create(pods, pod('late'));
    await settle();
    expect([placeOf('early'), placeOf('late')]).toEqual(['a', 'a']);
    expect(told).toContain('late Scheduled Successfully assigned default/late to a');
  });

  it('leaves Pods of other schedulers, gated and going ones alone', async () => {
    fake.put(nodes, node('a'));
    fake.put(pods, pod('other', { schedulerName: 'mine' }));
    fake.put(pods, pod('gated', { schedulingGates: [{ name: 'wait' }] }));
    fake.put(pods, pod('going', {}, { deletionTimestamp: '2026-01-01T00:00:00Z' }));
    await start();
    expect([placeOf('other'), placeOf('gated'), placeOf('going')]).toEqual([undefined, undefined, undefined]);
    await fake.patch(pods, { namespace: 'default', name: 'gated' }, { kind: 'merge', patch: { spec: { schedulingGates: null } } });
    await settle();
    expect(placeOf('gated')).toBe('a');
  });

  it('does not fill a node beyond what it has, even before the cache shows the first Pods', async () => {
    for (const name of ['a', 'b', 'c']) fake.put(nodes, node(name, { allocatable: { cpu: '2', memory: '4Gi', pods: '10' } }));
    await start();
    for (let index = 0; index < 9; index += 1) await fake.create(pods, pod(`p${index}`, { requests: { cpu: '900m' } }));
    await settle();
    const places = Array.from({ length: 9 }, (_unused, index) => placeOf(`p${index}`));
    for (const name of ['a', 'b', 'c']) expect(places.filter((place) => place === name)).toHaveLength(2);
    expect(places.filter((place) => place === undefined)).toHaveLength(3);
  });

  it('says why a Pod fits nowhere, in its condition and an Event, and places it when that changes', async () => {
    fake.put(nodes, node('small', { allocatable: { cpu: '1', memory: '1Gi', pods: '10' } }));
    fake.put(nodes, node('tainted', { taints: [{ key: 'dedicated', value: 'db', effect: 'NoSchedule' }] }));
    fake.put(nodes, node('cordoned', { unschedulable: true }));
    fake.put(pods, pod('big', { requests: { cpu: '3' } }));
    await start();
    const message =
      '0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {dedicated: db}, 1 node(s) were unschedulable. ' +
      'preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.';
    expect(fake.peek(pods, 'default/big')?.status.conditions).toMatchObject([
      { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message },
    ]);
    expect(told).toEqual([`big FailedScheduling ${message}`]);

    // Our own status patch is no reason to look again.
    await clock.advance(60_000);
    expect(told).toHaveLength(1);

    await fake.patch(nodes, { name: 'cordoned' }, { kind: 'merge', patch: { spec: { unschedulable: null } } });
    await clock.advance(2_000);
    await settle();
    expect(placeOf('big')).toBe('cordoned');
  });

  it('waits for a first node', async () => {
    fake.put(pods, pod('lonely'));
    await start();
    expect(told).toEqual(['lonely FailedScheduling no nodes available to schedule pods']);
    await fake.create(nodes, node('a'));
    fake.put(nodes, node('a'));
    await clock.advance(1_500);
    await settle();
    expect(placeOf('lonely')).toBe('a');
  });

  it('spreads the Pods of one owner over the nodes', async () => {
    for (const name of ['a', 'b', 'c']) fake.put(nodes, node(name));
    await start();
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'u', controller: true }];
    for (let index = 0; index < 6; index += 1) await fake.create(pods, pod(`p${index}`, {}, { ownerReferences }));
    await settle();
    const places = Array.from({ length: 6 }, (_unused, index) => placeOf(`p${index}`)).sort();
    expect(places).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
  });

  it('gives the place back when binding fails, and tries again', async () => {
    fake.put(nodes, node('a', { allocatable: { cpu: '1', memory: '1Gi', pods: '10' } }));
    let failures = 2;
    fake.hook(({ subresource }) => {
      if (subresource === 'binding' && failures > 0) {
        failures -= 1;
        throw new Error('no');
      }
    });
    await start();
    await fake.create(pods, pod('p', { requests: { cpu: '1' } }));
    await clock.advance(10_000);
    await settle();
    expect(placeOf('p')).toBe('a');
  });

  it('decides by priority when Pods wait together', async () => {
    fake.put(nodes, node('a', { allocatable: { cpu: '1', memory: '1Gi', pods: '10' } }));
    fake.put(pods, pod('low', { requests: { cpu: '1' }, priority: 1 }));
    fake.put(pods, pod('high', { requests: { cpu: '1' }, priority: 10 }));
    await start();
    expect([placeOf('low'), placeOf('high')]).toEqual([undefined, 'a']);
  });

  it('makes room for a more important Pod, with the least harm, and keeps that room for it', async () => {
    fake.put(nodes, node('a', { allocatable: { cpu: '2', memory: '4Gi', pods: '10' } }));
    fake.put(nodes, node('b', { allocatable: { cpu: '2', memory: '4Gi', pods: '10' } }));
    const running = { phase: 'Running' as const, startTime: '2026-01-01T00:00:00Z' };
    fake.put(pods, { ...pod('a1', { requests: { cpu: '2' }, priority: 5, nodeName: 'a' }), status: running });
    fake.put(pods, { ...pod('b1', { requests: { cpu: '1' }, priority: 1, nodeName: 'b' }), status: running });
    fake.put(pods, { ...pod('b2', { requests: { cpu: '1' }, priority: 1, nodeName: 'b' }), status: running });
    await start();
    await fake.create(pods, pod('vip', { requests: { cpu: '1' }, priority: 100 }));
    await settle();
    const victims = ['a1', 'b1', 'b2'].filter((name) => fake.peek(pods, `default/${name}`)?.metadata.deletionTimestamp !== undefined);
    expect(victims).toHaveLength(1);
    expect(victims[0]).toMatch(/^b/);
    expect(fake.peek(pods, 'default/vip')?.status.nominatedNodeName).toBe('b');
    expect(fake.peek(pods, `default/${victims[0]}`)?.status.conditions).toMatchObject([
      { type: 'DisruptionTarget', reason: 'PreemptionByScheduler' },
    ]);

    await fake.create(pods, pod('thief', { requests: { cpu: '1' }, priority: 50 }));
    await settle();
    fake.drop(pods, `default/${victims[0]}`);
    await clock.advance(12_000);
    await settle();
    expect(placeOf('vip')).toBe('b');
    // One victim more was made for it, by the rules: it is more important than what is left.
    expect(placeOf('thief')).toBeUndefined();
  });
});
