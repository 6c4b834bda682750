import { configMaps, type KubeObject, type OwnerReference, pods, type ResourceRef } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { type ControllerBench, controllerBench, namesOf } from '../testing/controller-bench.ts';
import { planCollection } from './collection-plan.ts';
import { garbageCollector } from './garbage-collector.ts';

const widgets: ResourceRef = { group: 'example.com', version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true };
const clusters: ResourceRef = { group: 'example.com', version: 'v1', resource: 'clusters', kind: 'Cluster', namespaced: false };

async function bench(): Promise<ControllerBench> {
  const made = controllerBench({ gc: garbageCollector });
  made.client.serve(configMaps, pods, widgets, clusters);
  await made.start();
  return made;
}

function owner(object: KubeObject, ref: ResourceRef, more: Partial<OwnerReference> = {}): OwnerReference {
  const apiVersion = ref.group === '' ? ref.version : `${ref.group}/${ref.version}`;
  return { apiVersion, kind: ref.kind, name: object.metadata.name, uid: object.metadata.uid, ...more };
}

function make(
  { client }: ControllerBench,
  ref: ResourceRef,
  name: string,
  owners: readonly OwnerReference[] = [],
  namespace = 'a',
): Promise<KubeObject> {
  return client.create(ref, { metadata: { ...(ref.namespaced && { namespace }), name, ownerReferences: owners } });
}

describe('garbage collector', () => {
  it('deletes what an owner leaves in the background, through several generations and kinds', async () => {
    await using run = await bench();
    const top = await make(run, widgets, 'top');
    const middle = await make(run, configMaps, 'middle', [owner(top, widgets)]);
    await make(run, pods, 'leaf', [owner(middle, configMaps)]);
    await make(run, pods, 'stranger');
    await run.settle();
    await run.client.delete(widgets, { namespace: 'a', name: 'top' }, { propagationPolicy: 'Background' });
    await run.settle();
    expect(namesOf([...run.client.peekAll(configMaps), ...run.client.peekAll(pods)])).toEqual(['stranger']);
  });

  it('deletes dependents first in the foreground, the owner last', async () => {
    await using run = await bench();
    const top = await make(run, widgets, 'top');
    const middle = await make(run, configMaps, 'middle', [owner(top, widgets, { blockOwnerDeletion: true })]);
    await make(run, pods, 'leaf', [owner(middle, configMaps, { blockOwnerDeletion: true })]);
    await make(run, pods, 'free', [owner(top, widgets)]);
    await run.client.patch(pods, { namespace: 'a', name: 'leaf' }, { kind: 'merge', patch: { metadata: { finalizers: ['test/hold'] } } });
    await run.settle();
    await run.client.delete(widgets, { namespace: 'a', name: 'top' }, { propagationPolicy: 'Foreground' });
    await run.settle();
    expect(run.client.peek(widgets, 'a/top')?.metadata.finalizers).toEqual(['foregroundDeletion']);
    expect(run.client.peek(configMaps, 'a/middle')?.metadata.deletionTimestamp).toBeDefined();
    expect(run.client.peek(pods, 'a/free')).toBeUndefined();
    await run.client.patch(pods, { namespace: 'a', name: 'leaf' }, { kind: 'merge', patch: { metadata: { finalizers: null } } });
    await run.settle();
    expect([...run.client.peekAll(widgets), ...run.client.peekAll(configMaps), ...run.client.peekAll(pods)]).toEqual([]);
  });

  it('leaves dependents behind where asked, without their owner', async () => {
    await using run = await bench();
    const top = await make(run, widgets, 'top');
    await make(run, configMaps, 'child', [owner(top, widgets)]);
    await run.settle();
    await run.client.delete(widgets, { namespace: 'a', name: 'top' }, { propagationPolicy: 'Orphan' });
    await run.settle();
    expect(run.client.peek(widgets, 'a/top')).toBeUndefined();
    expect(run.client.peek(configMaps, 'a/child')?.metadata.ownerReferences).toBeUndefined();
  });

  it('keeps an object while one owner is left, and drops only the reference to the other', async () => {
    await using run = await bench();
    const one = await make(run, widgets, 'one');
    const two = await make(run, widgets, 'two');
    await make(run, configMaps, 'child', [owner(one, widgets), owner(two, widgets)]);
    await run.settle();
    await run.client.delete(widgets, { namespace: 'a', name: 'one' });
    await run.settle();
    expect(run.client.peek(configMaps, 'a/child')?.metadata.ownerReferences?.map(({ name }) => name)).toEqual(['two']);
    await run.client.delete(widgets, { namespace: 'a', name: 'two' });
    await run.settle();
    expect(run.client.peek(configMaps, 'a/child')).toBeUndefined();
  });

  it('ends a circle of owners in the foreground', async () => {
    await using run = await bench();
    const a = await make(run, configMaps, 'a');
    const b = await make(run, configMaps, 'b', [owner(a, configMaps, { blockOwnerDeletion: true })]);
    const ownerReferences = [owner(b, configMaps, { blockOwnerDeletion: true })];
    await run.client.patch(configMaps, { namespace: 'a', name: 'a' }, { kind: 'merge', patch: { metadata: { ownerReferences } } });
    await run.settle();
    await run.client.delete(configMaps, { namespace: 'a', name: 'a' }, { propagationPolicy: 'Foreground' });
    await run.clock.advance(30_000);
    expect(run.client.peekAll(configMaps)).toEqual([]);
  });

  it('deletes objects whose owner never was, or is another object of the same name', async () => {
    await using run = await bench();
    const real = await make(run, widgets, 'w');
    await make(run, configMaps, 'dangling', [{ ...owner(real, widgets), name: 'nobody', uid: 'u-nobody' }]);
    await make(run, configMaps, 'mistaken', [{ ...owner(real, widgets), uid: 'u-earlier' }]);
    await make(run, configMaps, 'right', [owner(real, widgets)]);
    await run.settle();
    expect(namesOf(run.client.peekAll(configMaps))).toEqual(['right']);
  });

  it('takes an owner in another namespace for none, and one without a namespace for one', async () => {
    await using run = await bench();
    const foreign = await make(run, widgets, 'w', [], 'b');
    const cluster = await make(run, clusters, 'c');
    await make(run, configMaps, 'across', [owner(foreign, widgets)]);
    await make(run, configMaps, 'below', [owner(cluster, clusters)]);
    await run.settle();
    expect(namesOf(run.client.peekAll(configMaps))).toEqual(['below']);
  });

  it('does not delete what has an owner that its own caches do not show yet', async () => {
    await using run = await bench();
    // The owner's watch lags far behind the dependent's.
    run.client.watchDelay = (ref) => (ref.resource === 'widgets' ? run.clock.sleep(60_000) : Promise.resolve());
    const top = await make(run, widgets, 'top');
    await make(run, configMaps, 'child', [owner(top, widgets)]);
    await run.clock.advance(30_000);
    expect(run.client.peek(configMaps, 'a/child')).toBeDefined();
    expect(run.client.writes('delete')).toEqual([]);
  });

  it('deletes nothing when the owner is of a kind that is not served', async () => {
    await using run = await bench();
    await make(run, configMaps, 'child', [{ apiVersion: 'gone.example.com/v1', kind: 'Gone', name: 'x', uid: 'u' }]);
    await run.clock.advance(120_000);
    expect(run.client.peek(configMaps, 'a/child')).toBeDefined();
  });

  it('finds at its start what was left while it was away', async () => {
    const made = controllerBench({ gc: garbageCollector });
    await using run = made;
    run.client.serve(configMaps, widgets);
    run.client.put(configMaps, {
      metadata: { namespace: 'a', name: 'left', ownerReferences: [{ apiVersion: 'example.com/v1', kind: 'Widget', name: 'w', uid: 'u' }] },
    });
    await run.start();
    expect(run.client.peekAll(configMaps)).toEqual([]);
  });
});

describe('planCollection', () => {
  const reference = (uid: string): OwnerReference => ({ apiVersion: 'v1', kind: 'X', name: uid, uid });
  const object = (owners: readonly string[], finalizers: readonly string[] = []): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Y',
    metadata: { name: 'y', uid: 'y', resourceVersion: '1', creationTimestamp: '', ownerReferences: owners.map(reference), finalizers },
  });

  it.each([
    ['no owners: nothing', object([]), {}, { kind: 'nothing' }],
    ['all there: nothing', object(['a', 'b']), { a: 'present', b: 'present' }, { kind: 'nothing' }],
    [
      'some there: drop the others',
      object(['a', 'b', 'c']),
      { a: 'present', b: 'absent', c: 'waits-for-dependents' },
      { kind: 'drop-references', uids: ['b', 'c'] },
    ],
    ['none there: delete', object(['a']), { a: 'absent' }, { kind: 'delete', policy: 'Background', unblock: [] }],
    ['as somebody asked before', object(['a'], ['orphan']), { a: 'absent' }, { kind: 'delete', policy: 'Orphan', unblock: [] }],
    [
      'owner waits, nothing below: just delete',
      object(['a']),
      { a: 'waits-for-dependents' },
      { kind: 'delete', policy: 'Background', unblock: [] },
    ],
  ] as const)('%s', (_title, latest, states, expected) => {
    expect(planCollection(latest, new Map(Object.entries(states)), [])).toEqual(expected);
  });
});
