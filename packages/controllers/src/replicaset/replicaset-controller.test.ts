import {
  conflict,
  forbiddenRequest,
  type Pod,
  pods,
  type ReplicaSet,
  type ReplicationController,
  replicaSets,
  replicationControllers,
} from '@dure/api';
import { TransportError } from '@dure/client';
import { describe, expect, it } from 'vitest';
import { isPodActive } from '../pod-state.ts';
import { type ControllerBench, controllerBench, namesOf } from '../testing/controller-bench.ts';
import { byDeletionRank } from './pod-ranking.ts';
import { replicaSetController, replicationControllerController } from './replicaset-controller.ts';

const labels = { app: 'web' };
const spec = (replicas: number, more: Partial<ReplicaSet['spec']> = {}): ReplicaSet['spec'] => ({
  replicas,
  selector: { matchLabels: labels },
  template: { metadata: { labels, annotations: { note: 'x' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  ...more,
});

async function bench(replicas = 3, more: Partial<ReplicaSet['spec']> = {}): Promise<ControllerBench> {
  const made = controllerBench({ rs: replicaSetController, rc: replicationControllerController });
  made.client.put(replicaSets, {
    metadata: { namespace: 'default', name: 'web', uid: 'rs', generation: 1 },
    spec: spec(replicas, more),
    status: { replicas: 0 },
  });
  await made.start();
  return made;
}

const all = ({ client }: ControllerBench): readonly Pod[] => client.peekAll<Pod>(pods);
const current = ({ client }: ControllerBench): ReplicaSet | undefined => client.peek<ReplicaSet>(replicaSets, 'default/web');

async function scale(run: ControllerBench, replicas: number): Promise<void> {
  const set = current(run);
  if (set === undefined) throw new Error('gone');
  await run.client.update(replicaSets, { ...set, spec: { ...set.spec, replicas } });
  await run.settle();
}

describe('replica set', () => {
  it('makes the Pods that its template describes, and says how many there are', async () => {
    await using run = await bench();
    expect(all(run)).toHaveLength(3);
    expect(all(run)[0]).toMatchObject({
      metadata: {
        labels,
        annotations: { note: 'x' },
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'rs', controller: true, blockOwnerDeletion: true },
        ],
      },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    });
    expect(current(run)?.status).toEqual({ replicas: 3, fullyLabeledReplicas: 3, terminatingReplicas: 0, observedGeneration: 1 });
    expect(run.told.filter((line) => line.includes('SuccessfulCreate Created pod: web-'))).toHaveLength(3);
  });

  it('replaces Pods that fail, and those that go', async () => {
    await using run = await bench();
    const [one, two] = all(run);
    run.client.drop(pods, `default/${one?.metadata.name}`);
    await run.client.patch(
      pods,
      two?.metadata ?? { name: '' },
      { kind: 'merge', patch: { status: { phase: 'Failed' } } },
      { subresource: 'status' },
    );
    await run.settle();
    expect(all(run).filter(isPodActive)).toHaveLength(3);
  });

  it('removes the least useful Pods when it shrinks', async () => {
    await using run = await bench();
    const [first, ...others] = all(run);
    for (const { metadata } of others) {
      const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }];
      await run.client.patch(
        pods,
        metadata,
        { kind: 'merge', patch: { status: { phase: 'Running', conditions } } },
        { subresource: 'status' },
      );
    }
    await run.settle();
    expect(current(run)?.status.readyReplicas).toBe(2);
    await scale(run, 2);
    expect(namesOf(all(run))).toEqual(namesOf(others));
    expect(run.told.at(-1)).toBe(`web SuccessfulDelete Deleted pod: ${first?.metadata.name}`);
  });

  it('counts a Pod as available only after minReadySeconds', async () => {
    await using run = await bench(1, { minReadySeconds: 10 });
    const [pod] = all(run);
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }];
    await run.client.patch(
      pods,
      pod?.metadata ?? { name: '' },
      { kind: 'merge', patch: { status: { conditions } } },
      { subresource: 'status' },
    );
    await run.settle();
    expect(current(run)?.status).toMatchObject({ readyReplicas: 1 });
    expect(current(run)?.status.availableReplicas).toBeUndefined();
    await run.clock.advance(10_000);
    expect(current(run)?.status.availableReplicas).toBe(1);
  });

  it('adopts matching orphans and lets go of what no longer matches', async () => {
    await using run = await bench(2);
    run.client.put(pods, {
      metadata: { namespace: 'default', name: 'orphan', labels },
      spec: { containers: [] },
      status: { phase: 'Running' },
    });
    run.client.put(pods, { metadata: { namespace: 'other', name: 'elsewhere', labels }, spec: { containers: [] } });
    await run.settle();
    expect(
      all(run).filter(
        ({ metadata }) => metadata.namespace === 'default' && isPodActive(run.client.peek<Pod>(pods, `default/${metadata.name}`) as Pod),
      ),
    ).toHaveLength(2);
    expect(run.client.peek<Pod>(pods, 'other/elsewhere')?.metadata.ownerReferences).toBeUndefined();
    const kept = all(run).find(({ metadata }) => metadata.namespace === 'default');
    await run.client.patch(pods, kept?.metadata ?? { name: '' }, { kind: 'merge', patch: { metadata: { labels: { app: 'debug' } } } });
    await run.settle();
    expect(run.client.peek<Pod>(pods, `default/${kept?.metadata.name}`)?.metadata.ownerReferences).toBeUndefined();
    expect(all(run).filter(({ metadata }) => metadata.ownerReferences?.length === 1)).toHaveLength(2);
  });

  it('sends few requests into a wall, says why, and goes on when it is gone', async () => {
    const made = controllerBench({ rs: replicaSetController });
    await using run = made;
    const back = run.client.hook(({ verb }) => {
      if (verb === 'create') throw forbiddenRequest({ group: '', resource: 'pods' }, 'web-x', 'exceeded quota');
    });
    run.client.put(replicaSets, {
      metadata: { namespace: 'default', name: 'web', uid: 'rs', generation: 1 },
      spec: spec(100),
      status: { replicas: 0 },
    });
    await run.start();
    // The first try, and one more because telling the failure changed the ReplicaSet itself.
    expect(run.client.writes('create')).toHaveLength(2);
    expect(current(run)?.status.conditions).toMatchObject([{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate' }]);
    expect(run.told[0]).toContain('web FailedCreate Error creating: pods "web-x" is forbidden: exceeded quota');
    back();
    await run.clock.advance(60_000);
    expect(all(run)).toHaveLength(100);
    expect(current(run)?.status.conditions).toBeUndefined();
  });

  it('never makes a Pod twice while its cache lags', async () => {
    const made = controllerBench({ rs: replicaSetController });
    await using run = made;
    run.client.watchDelay = () => run.clock.sleep(400);
    let turn = 0;
    run.client.hook(({ verb, ref, name }) => {
      turn += 1;
      if (verb === 'updateStatus' && turn % 3 === 0) throw conflict(ref, name ?? '');
    });
    run.client.put(replicaSets, {
      metadata: { namespace: 'default', name: 'web', uid: 'rs', generation: 1 },
      spec: spec(7),
      status: { replicas: 0 },
    });
    await run.start();
    await run.clock.advance(60_000);
    expect(run.client.writes('create')).toHaveLength(7);
    expect(run.client.writes('delete')).toHaveLength(0);
  });

  it('does not wait for ever for a Pod that it made and never heard of', async () => {
    await using run = await bench(0);
    run.client.watchDelay = (ref) =>
      ref.resource === 'pods'
        ? Promise.reject(new TransportError({ method: 'GET', path: '/' }, 'cut', { mayHaveArrived: true }))
        : Promise.resolve();
    await scale(run, 1);
    for (const { metadata } of all(run)) run.client.drop(pods, `default/${metadata.name}`);
    run.client.compact();
    run.client.watchDelay = undefined;
    await run.clock.advance(400_000);
    expect(all(run)).toHaveLength(1);
  });

  it('works for ReplicationControllers alike', async () => {
    await using run = await bench(0);
    run.client.put(replicationControllers, {
      metadata: { namespace: 'default', name: 'old', uid: 'rc' },
      spec: { replicas: 2, selector: { app: 'old' }, template: { metadata: { labels: { app: 'old' } }, spec: { containers: [] } } },
      status: { replicas: 0 },
    });
    await run.settle();
    expect(all(run).map(({ metadata }) => metadata.ownerReferences?.[0]?.kind)).toEqual(['ReplicationController', 'ReplicationController']);
    expect(run.client.peek<ReplicationController>(replicationControllers, 'default/old')?.status).toMatchObject({
      replicas: 2,
      fullyLabeledReplicas: 2,
    });
  });
});

describe('which Pod goes first', () => {
  const nowMs = Date.parse('2026-01-02T00:00:00Z');
  const make = (
    name: string,
    change: { node?: string; phase?: Pod['status']['phase']; readySince?: string; cost?: string; restarts?: number; created?: string } = {},
  ): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      uid: name,
      resourceVersion: '1',
      creationTimestamp: change.created ?? '2026-01-01T00:00:00Z',
      annotations: change.cost === undefined ? {} : { 'controller.kubernetes.io/pod-deletion-cost': change.cost },
    },
    spec: { containers: [], ...(change.node !== undefined && { nodeName: change.node }) },
    status: {
      phase: change.phase ?? 'Running',
      conditions: change.readySince === undefined ? [] : [{ type: 'Ready', status: 'True', lastTransitionTime: change.readySince }],
      containerStatuses: [{ name: 'c', restartCount: change.restarts ?? 0, ready: true, image: '', imageID: '' }],
    },
  });
  const old = '2026-01-01T00:00:00Z';

  it.each([
    ['unassigned before assigned', make('z'), make('a', { node: 'n' })],
    ['pending before running', make('z', { node: 'n', phase: 'Pending' }), make('a', { node: 'n' })],
    ['not ready before ready', make('z', { node: 'n' }), make('a', { node: 'n', readySince: old })],
    ['cheaper before dearer', make('z', { node: 'n', readySince: old, cost: '-5' }), make('a', { node: 'n', readySince: old })],
    ['from the crowded node', make('z', { node: 'crowd', readySince: old }), make('a', { node: 'n', readySince: old })],
    ['ready for a shorter time', make('z', { node: 'n', readySince: '2026-01-01T23:59:00Z' }), make('a', { node: 'n', readySince: old })],
    ['restarted more often', make('z', { node: 'n', readySince: old, restarts: 3 }), make('a', { node: 'n', readySince: old })],
    [
      'created later',
      make('z', { node: 'n', readySince: old, created: '2026-01-01T23:00:00Z' }),
      make('a', { node: 'n', readySince: old }),
    ],
  ])('%s', (_title, first, second) => {
    const order = byDeletionRank(
      new Map([
        ['crowd', 3],
        ['n', 1],
      ]),
      nowMs,
    );
    expect([second, first].sort(order).map(({ metadata }) => metadata.name)).toEqual(['z', 'a']);
    expect([first, second].sort(order).map(({ metadata }) => metadata.name)).toEqual(['z', 'a']);
  });
});
