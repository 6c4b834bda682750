import {
  deployments,
  type KubeObject,
  type Pod,
  type PodDisruptionBudget,
  podDisruptionBudgets,
  pods,
  type ResourceRef,
  replicaSets,
  replicationControllers,
  statefulSets,
} from '@dure/api';
import { describe, expect, it } from 'vitest';
import { type ControllerBench, controllerBench } from '../testing/controller-bench.ts';
import { disruptionController } from './disruption-controller.ts';

interface PodFacts {
  readonly ready?: boolean;
  readonly going?: boolean;
  readonly phase?: string;
  readonly owner?: { readonly kind: string; readonly name: string; readonly apiVersion?: string };
}

async function bench(): Promise<ControllerBench> {
  const run = controllerBench({ disruption: disruptionController });
  run.client.serve(pods, podDisruptionBudgets, deployments, replicaSets, statefulSets, replicationControllers);
  await run.start();
  return run;
}

function pod(run: ControllerBench, name: string, { ready = true, going = false, phase = 'Running', owner }: PodFacts = {}): void {
  const ownerReferences =
    owner === undefined ? [] : [{ apiVersion: 'apps/v1', uid: `${owner.kind}-${owner.name}`, controller: true, ...owner }];
  run.client.put(pods, {
    metadata: {
      namespace: 'shop',
      name,
      labels: { app: 'web' },
      ownerReferences,
      ...(going ? { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['x/y'] } : {}),
    },
    spec: { containers: [] },
    status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  } as never);
}

/** Something with `spec.replicas` that Pods may name as their owner. */
function owner(
  run: ControllerBench,
  ref: ResourceRef,
  name: string,
  replicas: number,
  above?: { readonly kind: string; readonly name: string },
): void {
  const ownerReferences =
    above === undefined ? [] : [{ apiVersion: 'apps/v1', uid: `${above.kind}-${above.name}`, controller: true, ...above }];
  run.client.put(ref, { metadata: { namespace: 'shop', name, uid: `${ref.kind}-${name}`, ownerReferences }, spec: { replicas } } as never);
}

async function budget(run: ControllerBench, spec: Record<string, unknown>): Promise<void> {
  const object = {
    metadata: { namespace: 'shop', name: 'web', generation: 1 },
    spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
  };
  await run.client.create<PodDisruptionBudget>(podDisruptionBudgets, object as never);
  await run.settle();
}

const statusOf = ({ client }: ControllerBench) => client.peek<PodDisruptionBudget>(podDisruptionBudgets, 'shop/web')?.status;

/** As the API server takes an allowance. */
async function allow(run: ControllerBench, podName: string): Promise<void> {
  const object = run.client.peek<PodDisruptionBudget>(podDisruptionBudgets, 'shop/web');
  if (object === undefined) throw new Error('there is no budget');
  const disruptedPods = { ...object.status.disruptedPods, [podName]: new Date(run.clock.now()).toISOString() };
  run.client.put<PodDisruptionBudget>(podDisruptionBudgets, {
    ...object,
    status: { ...object.status, disruptedPods, disruptionsAllowed: 0 },
  });
  await run.settle();
}

describe('a budget', () => {
  it('counts the healthy Pods that it selects, again with every change', async () => {
    await using run = await bench();
    for (const name of ['a', 'b', 'c']) pod(run, name);
    pod(run, 'sick', { ready: false });
    pod(run, 'done', { phase: 'Succeeded' });
    await budget(run, { minAvailable: 2 });
    expect(statusOf(run)).toMatchObject({
      currentHealthy: 3,
      desiredHealthy: 2,
      disruptionsAllowed: 1,
      expectedPods: 4,
      observedGeneration: 1,
      conditions: [{ type: 'DisruptionAllowed', status: 'True', reason: 'SufficientPods' }],
    });
    pod(run, 'b', { going: true });
    await run.settle();
    expect(statusOf(run)).toMatchObject({
      currentHealthy: 2,
      disruptionsAllowed: 0,
      conditions: [{ status: 'False', reason: 'InsufficientPods' }],
    });
  });

  it('counts what may be unavailable from what a Deployment wants, once for all its ReplicaSets', async () => {
    await using run = await bench();
    owner(run, deployments, 'web', 4);
    for (const name of ['old', 'new']) owner(run, replicaSets, name, 3, { kind: 'Deployment', name: 'web' });
    for (const name of ['a', 'b']) pod(run, name, { owner: { kind: 'ReplicaSet', name: 'old' } });
    for (const name of ['c', 'd']) pod(run, name, { owner: { kind: 'ReplicaSet', name: 'new' } });
    await budget(run, { maxUnavailable: '30%' });
    expect(statusOf(run)).toMatchObject({ expectedPods: 4, desiredHealthy: 2, disruptionsAllowed: 2 });
    owner(run, deployments, 'web', 6);
    await run.settle();
    expect(statusOf(run)).toMatchObject({ expectedPods: 6, desiredHealthy: 4, disruptionsAllowed: 0 });
  });

  it.each([
    { ref: statefulSets, kind: 'StatefulSet', apiVersion: 'apps/v1' },
    { ref: replicationControllers, kind: 'ReplicationController', apiVersion: 'v1' },
    { ref: replicaSets, kind: 'ReplicaSet', apiVersion: 'apps/v1' },
  ])('counts from a $kind', async ({ ref, kind, apiVersion }) => {
    await using run = await bench();
    owner(run, ref as ResourceRef<KubeObject>, 'web', 3);
    for (const name of ['a', 'b', 'c']) pod(run, name, { owner: { kind, name: 'web', apiVersion } });
    await budget(run, { maxUnavailable: 1 });
    expect(statusOf(run)).toMatchObject({ expectedPods: 3, desiredHealthy: 2, disruptionsAllowed: 1 });
  });

  it('lets nobody go, and says why, where nobody says how many there should be', async () => {
    await using run = await bench();
    pod(run, 'alone');
    await budget(run, { maxUnavailable: 1 });
    expect(statusOf(run)).toMatchObject({
      disruptionsAllowed: 0,
      observedGeneration: 1,
      conditions: [{ status: 'False', reason: 'SyncFailed', message: 'found no controller ref for pod "alone"' }],
    });
    expect(run.told.join('\n')).toContain('web CalculateExpectedPodCountFailed');
  });

  it('holds a Pod that was allowed to go for gone, until it is or two minutes have passed', async () => {
    await using run = await bench();
    for (const name of ['a', 'b', 'c']) pod(run, name);
    await budget(run, { minAvailable: 2 });
    await allow(run, 'a');
    // A count from Pods as they stand would give the allowance away again.
    expect(statusOf(run)).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 0 });
    expect(Object.keys(statusOf(run)?.disruptedPods ?? {})).toEqual(['a']);
    await run.clock.advance(120_001);
    await run.settle();
    expect(statusOf(run)).toMatchObject({ currentHealthy: 3, disruptionsAllowed: 1 });
    expect(statusOf(run)?.disruptedPods).toBeUndefined();
    expect(run.told).toContain('a NotDeleted Pod was expected by PDB to be deleted but it was not');
    await allow(run, 'b');
    await run.client.delete(pods, { namespace: 'shop', name: 'b' }, { gracePeriodSeconds: 0 });
    await run.settle();
    expect(statusOf(run)?.disruptedPods).toBeUndefined();
    expect(run.client.peek<Pod>(pods, 'shop/b')).toBeUndefined();
  });
});
