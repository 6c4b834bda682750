import { type Draft, leases, type Node, nodes, type Pod, pods } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { podGcController } from '../pod-gc/pod-gc-controller.ts';
import { type ControllerBench, controllerBench, namesOf } from '../testing/controller-bench.ts';
import { nodeIpamController } from './node-ipam-controller.ts';
import { nodeLifecycleController } from './node-lifecycle-controller.ts';
import { taintEvictionController } from './taint-eviction-controller.ts';
import { evictionTimeMs } from './taint-eviction-plan.ts';

const START = '2026-01-01T00:00:00Z';

function node(name: string, ready: 'True' | 'False' = 'True', spec: Partial<Node['spec']> = {}): Draft<Node> {
  return {
    metadata: { name },
    spec,
    status: { conditions: [{ type: 'Ready', status: ready, lastHeartbeatTime: START, lastTransitionTime: START }] },
  };
}

function pod(name: string, nodeName: string, spec: Partial<Pod['spec']> = {}): Draft<Pod> {
  return {
    metadata: { namespace: 'default', name },
    spec: { containers: [], nodeName, ...spec },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: START }] },
  };
}

function renew({ client, clock }: ControllerBench, name: string): void {
  client.put(leases, { metadata: { namespace: 'kube-node-lease', name }, spec: { renewTime: new Date(clock.now()).toISOString() } });
}

function taintsOf({ client }: ControllerBench, name: string): readonly string[] {
  return (client.peek<Node>(nodes, name)?.spec.taints ?? []).map(({ key, effect }) => `${key}:${effect}`).sort();
}

describe('node lifecycle', () => {
  it('calls a node Unknown after 40 s without a sign, taints it, and takes its Pods out of service', async () => {
    await using run = controllerBench({ lifecycle: nodeLifecycleController(), eviction: taintEvictionController });
    for (const name of ['alive', 'dead']) run.client.put(nodes, node(name));
    run.client.put(
      pods,
      pod('p', 'dead', {
        tolerations: [{ key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }],
      }),
    );
    run.client.put(pods, pod('forever', 'dead', { tolerations: [{ operator: 'Exists' }] }));
    await run.start();
    for (let passed = 0; passed < 390; passed += 10) {
      renew(run, 'alive');
      await run.clock.advance(10_000);
      const ready = run.client.peek<Node>(nodes, 'dead')?.status.conditions?.find(({ type }) => type === 'Ready')?.status;
      if (passed < 30) expect(ready).toBe('True');
      if (passed === 40) {
        expect(ready).toBe('Unknown');
        expect(taintsOf(run, 'dead')).toEqual(['node.kubernetes.io/unreachable:NoExecute', 'node.kubernetes.io/unreachable:NoSchedule']);
        expect(run.client.peek<Pod>(pods, 'default/p')?.status.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('False');
        expect(run.client.peek<Node>(nodes, 'dead')?.status.conditions).toMatchObject([
          { type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting node status.' },
          { type: 'MemoryPressure', status: 'Unknown', reason: 'NodeStatusNeverUpdated' },
          { type: 'DiskPressure', status: 'Unknown' },
          { type: 'PIDPressure', status: 'Unknown' },
        ]);
      }
      if (passed === 300) expect(run.client.peek<Pod>(pods, 'default/p')?.metadata.deletionTimestamp).toBeUndefined();
    }
    expect(run.client.peek<Pod>(pods, 'default/p')?.metadata.deletionTimestamp).toBeDefined();
    expect(run.client.peek<Pod>(pods, 'default/p')?.status.conditions).toContainEqual(
      expect.objectContaining({ type: 'DisruptionTarget', reason: 'DeletionByTaintManager' }),
    );
    expect(run.client.peek<Pod>(pods, 'default/forever')?.metadata.deletionTimestamp).toBeUndefined();
    expect(taintsOf(run, 'alive')).toEqual([]);
    expect(run.told).toContain('dead NodeNotReady Node dead status is now: NodeNotReady');
    expect(run.complaints).toEqual([]);
  });

  it('takes the taints back when the node speaks again', async () => {
    await using run = controllerBench({ lifecycle: nodeLifecycleController() });
    for (const name of ['alive', 'back']) run.client.put(nodes, node(name));
    await run.start();
    for (let passed = 0; passed < 60; passed += 10) {
      renew(run, 'alive');
      await run.clock.advance(10_000);
    }
    expect(taintsOf(run, 'back')).toHaveLength(2);
    renew(run, 'back');
    await run.client.patch(
      nodes,
      { name: 'back' },
      { kind: 'strategic', patch: { status: { conditions: [{ type: 'Ready', status: 'True' }] } } },
      { subresource: 'status' },
    );
    await run.settle();
    expect(taintsOf(run, 'back')).toEqual([]);
  });

  it('pushes nobody out while no node at all is ready, and one node after the other when many fail', async () => {
    await using run = controllerBench({ lifecycle: nodeLifecycleController() });
    for (const name of ['a', 'b', 'c']) run.client.put(nodes, node(name));
    await run.start();
    await run.clock.advance(50_000);
    for (const name of ['a', 'b', 'c']) expect(taintsOf(run, name)).toEqual(['node.kubernetes.io/unreachable:NoSchedule']);
    run.client.put(nodes, node('d'));
    const emptied = (): number => ['a', 'b', 'c'].filter((name) => taintsOf(run, name).length === 2).length;
    const seen: number[] = [];
    for (let passed = 0; passed < 45; passed += 1) {
      renew(run, 'd');
      await run.clock.advance(1_000);
      seen.push(emptied());
    }
    expect(seen.at(-1)).toBe(3);
    expect(seen.filter((count) => count === 1).length).toBeGreaterThanOrEqual(9);
  });

  it('mirrors cordoning and pressure in taints, and leaves foreign taints alone', async () => {
    await using run = controllerBench({ lifecycle: nodeLifecycleController() });
    const base = node('n', 'False', { unschedulable: true, taints: [{ key: 'mine', effect: 'NoSchedule' }] });
    const conditions = [
      ...(base.status?.conditions ?? []),
      { type: 'DiskPressure', status: 'True' },
      { type: 'MemoryPressure', status: 'False' },
    ];
    run.client.put(nodes, { ...base, status: { conditions } });
    run.client.put(nodes, node('other'));
    await run.start();
    expect(taintsOf(run, 'n')).toEqual([
      'mine:NoSchedule',
      'node.kubernetes.io/disk-pressure:NoSchedule',
      'node.kubernetes.io/not-ready:NoExecute',
      'node.kubernetes.io/not-ready:NoSchedule',
      'node.kubernetes.io/unschedulable:NoSchedule',
    ]);
  });
});

describe('eviction by taints', () => {
  const nowMs = Date.parse(START) + 60_000;
  const pushing = { key: 'k', value: 'v', effect: 'NoExecute' as const, timeAdded: START };
  const tolerating = (...tolerations: Pod['spec']['tolerations'] & object): Pod =>
    ({ ...pod('p', 'n', { tolerations }), apiVersion: 'v1', kind: 'Pod' }) as unknown as Pod;

  it.each([
    ['does not concern NoSchedule', tolerating(), [{ key: 'k', effect: 'NoSchedule' as const }], undefined],
    ['is at once without a toleration', tolerating(), [pushing], 0],
    ['never comes with an endless one', tolerating({ key: 'k', operator: 'Exists' }), [pushing], undefined],
    [
      'counts from when the taint came',
      tolerating({ key: 'k', operator: 'Equal', value: 'v', tolerationSeconds: 90 }),
      [pushing],
      Date.parse(START) + 90_000,
    ],
    [
      'takes the shortest of several',
      tolerating({ operator: 'Exists', tolerationSeconds: 90 }, { key: 'k', operator: 'Exists', tolerationSeconds: 30 }),
      [pushing],
      Date.parse(START) + 30_000,
    ],
    [
      'needs every taint tolerated',
      tolerating({ key: 'k', operator: 'Exists' }),
      [pushing, { key: 'other', effect: 'NoExecute' as const }],
      0,
    ],
  ])('%s', (_title, subject, taints, expected) => {
    expect(evictionTimeMs(subject, taints, nowMs)).toBe(expected);
  });
});

describe('node ipam', () => {
  it('gives every node a subnet of its own, keeps those given, and reuses those of nodes that went', async () => {
    await using run = controllerBench({ ipam: nodeIpamController({ clusterCidr: '10.42.0.0/22' }) });
    run.client.put(nodes, node('old', 'True', { podCIDR: '10.42.1.0/24', podCIDRs: ['10.42.1.0/24'] }));
    await run.start();
    for (const name of ['a', 'b', 'c', 'd']) await run.client.create(nodes, { metadata: { name }, spec: {} });
    await run.settle();
    const given = (): readonly (string | undefined)[] =>
      ['old', 'a', 'b', 'c', 'd'].map((name) => run.client.peek<Node>(nodes, name)?.spec.podCIDR);
    expect(given()).toEqual(['10.42.1.0/24', '10.42.0.0/24', '10.42.2.0/24', '10.42.3.0/24', undefined]);
    expect(run.told).toContain('d CIDRNotAvailable Node d status is now: CIDRNotAvailable');
    run.client.drop(nodes, 'b');
    await run.settle();
    expect(given().at(-1)).toBe('10.42.2.0/24');
  });

  it('never gives one subnet to two nodes while its cache lags', async () => {
    await using run = controllerBench({ ipam: nodeIpamController({ clusterCidr: '10.42.0.0/16' }) });
    run.client.watchDelay = () => run.clock.sleep(500);
    let refuse = true;
    run.client.hook(({ verb }) => {
      refuse = !refuse;
      if (verb === 'patch' && refuse) throw new Error('lost');
    });
    await run.start();
    for (let index = 0; index < 20; index += 1) run.client.put(nodes, { metadata: { name: `n${index}` }, spec: {} });
    await run.clock.advance(60_000);
    const given = run.client.peekAll<Node>(nodes).map(({ spec }) => spec.podCIDR);
    expect(new Set(given).size).toBe(20);
    expect(given).not.toContain(undefined);
  });

  it('refuses a network that holds no subnet', () => {
    expect(() => nodeIpamController({ clusterCidr: '10.42.0.0/25' })({} as never)).toThrow(RangeError);
    expect(() => nodeIpamController({ clusterCidr: 'nonsense' })).toThrow(RangeError);
  });
});

describe('pod garbage collection', () => {
  it('removes Pods of nodes that are gone, after a while and after asking', async () => {
    await using run = controllerBench({ gc: podGcController });
    run.client.put(nodes, node('here'));
    run.client.put(pods, pod('stays', 'here'));
    run.client.put(pods, pod('orphan', 'gone'));
    run.client.put(pods, { ...pod('unplaced', ''), metadata: { namespace: 'default', name: 'unplaced', deletionTimestamp: START } });
    await run.start();
    expect(namesOf(run.client.peekAll(pods))).toEqual(['orphan', 'stays']);
    await run.clock.advance(30_000);
    expect(namesOf(run.client.peekAll(pods))).toEqual(['orphan', 'stays']);
    await run.clock.advance(40_000);
    expect(namesOf(run.client.peekAll(pods))).toEqual(['stays']);
    expect(run.client.writes('patch').at(-1)).toMatchObject({ name: 'orphan', subresource: 'status' });
  });
});
