import { type PersistentVolumeClaim, type Pod, persistentVolumeClaims, persistentVolumes, pods, volumeAttributesClasses } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { type ControllerBench, controllerBench } from '../testing/controller-bench.ts';
import { pvProtectionController } from './pv-protection-controller.ts';
import { pvcProtectionController } from './pvc-protection-controller.ts';
import { vacProtectionController } from './vac-protection-controller.ts';

const CLAIM = 'kubernetes.io/pvc-protection';

async function bench(): Promise<ControllerBench> {
  const made = controllerBench({ pvc: pvcProtectionController, pv: pvProtectionController, vac: vacProtectionController });
  made.client.serve(pods, persistentVolumeClaims, persistentVolumes, volumeAttributesClasses);
  await made.start();
  return made;
}

function claim(run: ControllerBench, name: string, more: object = {}): void {
  run.client.put<PersistentVolumeClaim>(persistentVolumeClaims, {
    metadata: { namespace: 'shop', name, finalizers: [CLAIM] },
    ...more,
  } as never);
}

function pod(run: ControllerBench, name: string, volume: object, nodeName = 'n1'): void {
  run.client.put<Pod>(pods, {
    metadata: { namespace: 'shop', name },
    spec: { containers: [], nodeName, volumes: [{ name: 'v', ...volume }] },
  } as never);
}

const standing = ({ client }: ControllerBench) => client.peekAll(persistentVolumeClaims).map(({ metadata }) => metadata.name);

describe('a claim that is deleted', () => {
  it('stays while a Pod on a node uses it', async () => {
    await using run = await bench();
    claim(run, 'data');
    pod(run, 'p', { persistentVolumeClaim: { claimName: 'data' } });
    await run.client.delete(persistentVolumeClaims, { namespace: 'shop', name: 'data' });
    await run.settle();
    expect(standing(run)).toEqual(['data']);
    run.client.drop(pods, 'shop/p');
    await run.settle();
    expect(standing(run)).toEqual([]);
  });

  it('stays while the Pod that it was made for is there', async () => {
    await using run = await bench();
    claim(run, 'p-v');
    pod(run, 'p', { ephemeral: {} });
    await run.client.delete(persistentVolumeClaims, { namespace: 'shop', name: 'p-v' });
    await run.settle();
    expect(standing(run)).toEqual(['p-v']);
  });

  it('goes where the Pod has no node, or there is none', async () => {
    await using run = await bench();
    claim(run, 'data');
    pod(run, 'p', { persistentVolumeClaim: { claimName: 'data' } }, '');
    await run.client.delete(persistentVolumeClaims, { namespace: 'shop', name: 'data' });
    await run.settle();
    expect(standing(run)).toEqual([]);
  });

  it('stays where only the server knows of the Pod yet', async () => {
    await using run = await bench();
    claim(run, 'data');
    // The cache of Pods hears of nothing until this is over.
    const delay = held();
    run.client.watchDelay = async (ref) => (ref.resource === 'pods' ? delay.promise : undefined);
    pod(run, 'p', { persistentVolumeClaim: { claimName: 'data' } });
    await run.client.delete(persistentVolumeClaims, { namespace: 'shop', name: 'data' });
    await run.settle();
    expect(standing(run)).toEqual(['data']);
    delay.resolve();
  });
});

/** A promise that is kept when somebody says so. */
function held(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

it('a claim made without protection gets it', async () => {
  await using run = await bench();
  run.client.put(persistentVolumeClaims, { metadata: { namespace: 'shop', name: 'old' } } as never);
  await run.settle();
  expect(run.client.peek(persistentVolumeClaims, 'shop/old')?.metadata.finalizers).toEqual([CLAIM]);
});

it('a volume stays while it is bound', async () => {
  await using run = await bench();
  const volume = { metadata: { name: 'pv', finalizers: ['kubernetes.io/pv-protection'] } };
  run.client.put(persistentVolumes, { ...volume, status: { phase: 'Bound' } } as never);
  await run.client.delete(persistentVolumes, { name: 'pv' });
  await run.settle();
  const stored = run.client.peek(persistentVolumes, 'pv');
  expect(stored).toBeDefined();
  run.client.put(persistentVolumes, { ...stored, status: { phase: 'Released' } } as never);
  await run.settle();
  expect(run.client.peek(persistentVolumes, 'pv')).toBeUndefined();
});

it('a class of attributes stays while a claim wants it', async () => {
  await using run = await bench();
  run.client.put(volumeAttributesClasses, { metadata: { name: 'gold', finalizers: ['kubernetes.io/vac-protection'] } } as never);
  claim(run, 'data', { spec: { volumeAttributesClassName: 'gold' } });
  await run.client.delete(volumeAttributesClasses, { name: 'gold' });
  await run.settle();
  expect(run.client.peek(volumeAttributesClasses, 'gold')).toBeDefined();
  run.client.drop(persistentVolumeClaims, 'shop/data');
  await run.settle();
  expect(run.client.peek(volumeAttributesClasses, 'gold')).toBeUndefined();
});
