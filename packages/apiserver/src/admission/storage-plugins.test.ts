import { builtinKinds, type JsonObject, KindRegistry } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { admit, createRequest, readerOf, updateRequest } from '../testing/admission-bench.ts';
import { testClient } from '../testing/test-client.ts';
import { startTestServer } from '../testing/test-server.ts';
import { admissionChain } from './admission-chain.ts';
import { persistentVolumeClaimResize } from './claim-resize.ts';
import { defaultIngressClass, defaultStorageClass } from './default-class.ts';
import { storageObjectInUseProtection } from './storage-object-in-use-protection.ts';

const classes = (mark: string, ...named: readonly (readonly [name: string, created: string, isDefault: boolean])[]) =>
  named.map(([name, creationTimestamp, isDefault]) => ({
    metadata: { name, creationTimestamp, annotations: { [mark]: String(isDefault) } },
  }));

describe('the default class', () => {
  const storage = defaultStorageClass(
    readerOf({
      'storage.k8s.io/storageclasses': classes(
        'storageclass.kubernetes.io/is-default-class',
        ['old', '2025-01-01T00:00:00Z', true],
        ['new-b', '2026-01-01T00:00:00Z', true],
        ['new-a', '2026-01-01T00:00:00Z', true],
        ['other', '2026-06-01T00:00:00Z', false],
      ),
    }),
  );
  const ingress = defaultIngressClass(
    readerOf({
      'networking.k8s.io/ingressclasses': classes('ingressclass.kubernetes.io/is-default-class', ['nginx', '2026-01-01T00:00:00Z', true]),
    }),
  );
  const claim = (object: JsonObject) => admit(storage, createRequest('persistentvolumeclaims', object));

  it('of claims is the newest, by name where they are as old', async () => {
    expect(await claim({ metadata: {}, spec: {} })).toMatchObject({ spec: { storageClassName: 'new-a' } });
  });

  it('is not given to a claim that names one, or says that it wants none', async () => {
    expect(await claim({ spec: { storageClassName: '' } })).toEqual({ spec: { storageClassName: '' } });
    const annotated = { metadata: { annotations: { 'volume.beta.kubernetes.io/storage-class': 'x' } }, spec: {} };
    expect(await claim(annotated)).toEqual(annotated);
  });

  it('of Ingresses is given where neither field nor annotation names one', async () => {
    const make = (object: JsonObject) => admit(ingress, createRequest('ingresses', object, { group: 'networking.k8s.io' }));
    expect(await make({ spec: {} })).toEqual({ spec: { ingressClassName: 'nginx' } });
    expect(await make({ spec: { ingressClassName: 'own' } })).toEqual({ spec: { ingressClassName: 'own' } });
    const annotated = { metadata: { annotations: { 'kubernetes.io/ingress.class': 'x' } }, spec: {} };
    expect(await make(annotated)).toEqual(annotated);
  });
});

it.each<[string, string, string]>([
  ['', 'persistentvolumeclaims', 'kubernetes.io/pvc-protection'],
  ['', 'persistentvolumes', 'kubernetes.io/pv-protection'],
  ['storage.k8s.io', 'volumeattributesclasses', 'kubernetes.io/vac-protection'],
])('%s %s are held by %s, once', async (group, resource, finalizer) => {
  const first = await admit(storageObjectInUseProtection, createRequest(resource, { metadata: { finalizers: ['own'] } }, { group }));
  expect(first).toEqual({ metadata: { finalizers: ['own', finalizer] } });
  expect(await admit(storageObjectInUseProtection, createRequest(resource, first, { group }))).toEqual(first);
});

describe('a claim that grows', () => {
  const plugin = persistentVolumeClaimResize(
    readerOf({
      'storage.k8s.io/storageclasses': [{ metadata: { name: 'elastic' }, allowVolumeExpansion: true }, { metadata: { name: 'stiff' } }],
    }),
  );
  const claim = (storage: string, storageClassName: string, phase = 'Bound'): JsonObject => ({
    metadata: { name: 'data' },
    spec: { storageClassName, resources: { requests: { storage } } },
    status: { phase },
  });
  const grow = (from: JsonObject, to: JsonObject) => admit(plugin, updateRequest('persistentvolumeclaims', from, to, { name: 'data' }));

  it('must be bound, and of a class that allows it', async () => {
    await expect(grow(claim('1Gi', 'elastic'), claim('2Gi', 'elastic'))).resolves.toBeDefined();
    await expect(grow(claim('1Gi', 'elastic', 'Pending'), claim('2Gi', 'elastic'))).rejects.toThrow(
      'persistentvolumeclaims "data" is forbidden: Only bound persistent volume claims can be expanded',
    );
    for (const name of ['stiff', '', 'gone']) {
      await expect(grow(claim('1Gi', name), claim('2Gi', name))).rejects.toThrow('only dynamically provisioned pvc can be resized');
    }
  });

  it('is not one that stays as it is', async () => {
    await expect(grow(claim('1Gi', 'stiff'), claim('1024Mi', 'stiff'))).resolves.toBeDefined();
  });
});

it('a volume whose name the server makes has one, and its finalizer', async () => {
  const test = await startTestServer(new KindRegistry(builtinKinds), { admission: () => admissionChain([storageObjectInUseProtection]) });
  const client = testClient(test);
  const { status, json } = await client.send('POST', '/api/v1/persistentvolumes', {
    body: {
      metadata: { generateName: 'pv-' },
      spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, hostPath: { path: '/x' } },
    },
  });
  expect(status).toBe(201);
  expect(json.metadata).toMatchObject({ name: expect.stringMatching(/^pv-.{5}$/), finalizers: ['kubernetes.io/pv-protection'] });
  expect(Number(json.metadata.resourceVersion)).toBeGreaterThan(0);
  await client[Symbol.asyncDispose]();
  await test[Symbol.asyncDispose]();
});
