import { configMaps, type KubeObject, type Namespace, namespaces, pods, type ResourceRef, serviceAccounts } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { rootCaPublisher } from '../root-ca/root-ca-publisher.ts';
import { serviceAccountController } from '../serviceaccount/serviceaccount-controller.ts';
import { type ControllerBench, controllerBench, namesOf } from '../testing/controller-bench.ts';
import { namespaceController } from './namespace-controller.ts';

const widgets: ResourceRef = { group: 'example.com', version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true };
const clusterThings: ResourceRef = { group: 'example.com', version: 'v1', resource: 'things', kind: 'Thing', namespaced: false };

async function bench(): Promise<ControllerBench> {
  const made = controllerBench({ namespace: namespaceController, sa: serviceAccountController, ca: rootCaPublisher('CA') });
  made.client.serve(pods, configMaps, serviceAccounts, widgets, clusterThings);
  await made.start();
  return made;
}

function condition({ client }: ControllerBench, type: string) {
  return client.peek<Namespace>(namespaces, 'shop')?.status.conditions?.find((one) => one.type === type);
}

describe('a namespace', () => {
  it('gets its ServiceAccount and root certificate at once, and again when they are removed or changed', async () => {
    await using run = await bench();
    await run.client.create(namespaces, { metadata: { name: 'shop' } });
    await run.settle();
    expect(namesOf(run.client.peekAll(serviceAccounts))).toEqual(['default']);
    expect(run.client.peek(configMaps, 'shop/kube-root-ca.crt')?.data).toEqual({ 'ca.crt': 'CA' });
    await run.client.delete(serviceAccounts, { namespace: 'shop', name: 'default' });
    await run.client.patch(
      configMaps,
      { namespace: 'shop', name: 'kube-root-ca.crt' },
      { kind: 'merge', patch: { data: { 'ca.crt': 'forged' } } },
    );
    await run.settle();
    expect(namesOf(run.client.peekAll(serviceAccounts))).toEqual(['default']);
    expect(run.client.peek(configMaps, 'shop/kube-root-ca.crt')?.data).toEqual({ 'ca.crt': 'CA' });
  });

  it('takes everything in it along, custom kinds too, and nothing else', async () => {
    await using run = await bench();
    await run.client.create(namespaces, { metadata: { name: 'shop' } });
    await run.client.create(namespaces, { metadata: { name: 'other' } });
    for (const namespace of ['shop', 'other']) {
      await run.client.create(configMaps, { metadata: { namespace, name: 'c' } });
      await run.client.create(widgets, { metadata: { namespace, name: 'w' } });
    }
    await run.client.create(clusterThings, { metadata: { name: 't' } });
    await run.client.delete(namespaces, { name: 'shop' });
    await run.settle();
    expect(namesOf(run.client.peekAll(namespaces))).toEqual(['other']);
    const left = [...run.client.peekAll<KubeObject>(configMaps), ...run.client.peekAll(widgets), ...run.client.peekAll(serviceAccounts)];
    expect(new Set(left.map(({ metadata }) => metadata.namespace))).toEqual(new Set(['other']));
    expect(run.client.peekAll(clusterThings)).toHaveLength(1);
  });

  it('waits for Pods to end before it takes what they use', async () => {
    await using run = await bench();
    await run.client.create(namespaces, { metadata: { name: 'shop' } });
    run.client.put(pods, {
      metadata: { namespace: 'shop', name: 'p' },
      spec: { containers: [], nodeName: 'n1', terminationGracePeriodSeconds: 30 },
    });
    await run.client.create(configMaps, { metadata: { namespace: 'shop', name: 'c' } });
    await run.client.delete(namespaces, { name: 'shop' });
    await run.clock.advance(10_000);
    expect(run.client.peek(pods, 'shop/p')?.metadata.deletionTimestamp).toBeDefined();
    expect(run.client.peek(configMaps, 'shop/c')).toBeDefined();
    expect(condition(run, 'NamespaceContentRemaining')).toMatchObject({
      status: 'True',
      reason: 'SomeResourcesRemain',
      message: 'Some resources are remaining: pods. has 1 resource instances',
    });
    run.client.drop(pods, 'shop/p');
    await run.settle();
    expect(run.client.peekAll(namespaces)).toEqual([]);
  });

  it('says which finalizers hold it back, and goes when they are gone', async () => {
    await using run = await bench();
    await run.client.create(namespaces, { metadata: { name: 'shop' } });
    await run.client.create(widgets, { metadata: { namespace: 'shop', name: 'w', finalizers: ['example.com/hold'] } });
    await run.client.delete(namespaces, { name: 'shop' });
    await run.clock.advance(5_000);
    expect(condition(run, 'NamespaceFinalizersRemaining')).toMatchObject({
      status: 'True',
      message: 'Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances',
    });
    await run.client.patch(widgets, { namespace: 'shop', name: 'w' }, { kind: 'merge', patch: { metadata: { finalizers: null } } });
    await run.clock.advance(5_000);
    expect(run.client.peekAll(namespaces)).toEqual([]);
  });

  it('says what could not be deleted, and tries again', async () => {
    await using run = await bench();
    await run.client.create(namespaces, { metadata: { name: 'shop' } });
    await run.client.create(widgets, { metadata: { namespace: 'shop', name: 'w' } });
    const back = run.client.hook(({ verb, ref }) => {
      if (verb === 'deleteCollection' && ref.resource === 'widgets') throw new Error('webhook is down');
    });
    await run.client.delete(namespaces, { name: 'shop' });
    await run.settle();
    expect(condition(run, 'NamespaceDeletionContentFailure')).toMatchObject({ status: 'True', reason: 'ContentDeletionFailed' });
    expect(condition(run, 'NamespaceDeletionContentFailure')?.message).toContain('widgets.example.com: webhook is down');
    back();
    await run.clock.advance(60_000);
    expect(run.client.peekAll(namespaces)).toEqual([]);
  });
});
