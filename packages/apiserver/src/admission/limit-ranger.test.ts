import type { JsonObject } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { admit, createRequest, readerOf, updateRequest } from '../testing/admission-bench.ts';
import { limitRanger } from './limit-ranger.ts';

function rangerOf(...limits: JsonObject[]) {
  return limitRanger(readerOf({ '/limitranges': [{ metadata: { name: 'r', namespace: 'default' }, spec: { limits } }] }));
}

const podOf = (resources: JsonObject, more: JsonObject = {}): JsonObject => ({
  metadata: { name: 'web' },
  spec: { containers: [{ name: 'c', resources }], ...more },
});
const claimOf = (storage: string): JsonObject => ({ metadata: { name: 'data' }, spec: { resources: { requests: { storage } } } });

/** As in upstream's conformance test. */
const CONTAINERS: JsonObject = {
  type: 'Container',
  min: { cpu: '50m', memory: '100Mi', 'ephemeral-storage': '100Gi' },
  max: { cpu: '500m', memory: '500Mi', 'ephemeral-storage': '500Gi' },
  default: { cpu: '500m', memory: '500Mi', 'ephemeral-storage': '500Gi' },
  defaultRequest: { cpu: '100m', memory: '200Mi', 'ephemeral-storage': '200Gi' },
};

describe('defaults', () => {
  it('fill in what containers do not say, and tell so', async () => {
    const pod = podOf({ requests: { cpu: '300m' } }, { initContainers: [{ name: 'i' }] });
    expect(await admit(rangerOf(CONTAINERS), createRequest('pods', pod))).toEqual({
      metadata: {
        name: 'web',
        annotations: {
          'kubernetes.io/limit-ranger':
            'LimitRanger plugin set: ephemeral-storage, memory request for container c; cpu, ephemeral-storage, memory limit for container c; ' +
            'cpu, ephemeral-storage, memory request for init container i; cpu, ephemeral-storage, memory limit for init container i',
        },
      },
      spec: {
        containers: [
          {
            name: 'c',
            resources: {
              requests: { cpu: '300m', memory: '200Mi', 'ephemeral-storage': '200Gi' },
              limits: { cpu: '500m', memory: '500Mi', 'ephemeral-storage': '500Gi' },
            },
          },
        ],
        initContainers: [{ name: 'i', resources: { requests: CONTAINERS.defaultRequest, limits: CONTAINERS.default } }],
      },
    });
  });

  it('leave alone a Pod that says everything, another namespace, and updates', async () => {
    const pod = podOf({});
    expect(await admit(rangerOf(CONTAINERS), createRequest('pods', pod, { namespace: 'other' }))).toEqual(pod);
    expect(await admit(rangerOf(CONTAINERS), updateRequest('pods', pod, pod))).toEqual(pod);
  });
});

describe('bounds', () => {
  const say = (why: string) => `pods "web" is forbidden: ${why}`;
  it.each<[string, JsonObject, JsonObject, string]>([
    [
      'a request below the minimum',
      { type: 'Container', min: { cpu: '50m' } },
      podOf({ requests: { cpu: '10m' } }),
      'minimum cpu usage per Container is 50m, but request is 10m',
    ],
    [
      'no request',
      { type: 'Container', min: { memory: '1Mi' } },
      podOf({ limits: { cpu: '1' } }),
      'minimum memory usage per Container is 1Mi.  No request is specified',
    ],
    [
      'a limit above the maximum',
      { type: 'Container', max: { cpu: '500m' } },
      podOf({ requests: { cpu: '100m' }, limits: { cpu: '600m' } }),
      'maximum cpu usage per Container is 500m, but limit is 600m',
    ],
    [
      'no limit',
      { type: 'Container', max: { cpu: '500m' } },
      podOf({ requests: { cpu: '100m' } }),
      'maximum cpu usage per Container is 500m.  No limit is specified',
    ],
    [
      'too far between request and limit',
      { type: 'Container', maxLimitRequestRatio: { cpu: '2' } },
      podOf({ requests: { cpu: '100m' }, limits: { cpu: '250m' } }),
      'cpu max limit to request ratio per Container is 2, but provided ratio is 2.500000',
    ],
    [
      'no request to compare with',
      { type: 'Container', maxLimitRequestRatio: { cpu: '2' } },
      podOf({ limits: { cpu: '250m' } }),
      'cpu max limit to request ratio per Container is 2, but no request is specified or request is 0',
    ],
    [
      'containers that are too much together',
      { type: 'Pod', max: { cpu: '1' } },
      { metadata: { name: 'web' }, spec: { containers: ['a', 'b'].map((name) => ({ name, resources: { limits: { cpu: '600m' } } })) } },
      'maximum cpu usage per Pod is 1, but limit is 1200m',
    ],
    [
      'a Pod that says too much as a whole',
      { type: 'Pod', max: { cpu: '1' } },
      podOf({}, { resources: { limits: { cpu: '2' } } }),
      'maximum cpu usage per Pod is 1, but limit is 2',
    ],
    [
      'more than one fault',
      { type: 'Container', min: { cpu: '1', memory: '1Gi' } },
      podOf({ requests: { cpu: '1m', memory: '1Mi' } }),
      '[minimum cpu usage per Container is 1, but request is 1m, minimum memory usage per Container is 1Gi, but request is 1Mi]',
    ],
  ])('refuse %s', async (_what, item, pod, why) => {
    await expect(admit(rangerOf(item), createRequest('pods', pod, { name: 'web' }))).rejects.toMatchObject({
      message: say(why),
      status: { code: 403, reason: 'Forbidden' },
    });
  });

  it('hold in init containers, and in a resize', async () => {
    const ranger = rangerOf({ type: 'Container', max: { cpu: '1' } });
    const good = { name: 'c', resources: { limits: { cpu: '1' } } };
    const bad = { name: 'c', resources: { limits: { cpu: '2' } } };
    const pod = (containers: JsonObject[], initContainers: JsonObject[] = []) => ({
      metadata: { name: 'web' },
      spec: { containers, initContainers },
    });
    await expect(admit(ranger, createRequest('pods', pod([good], [bad])))).rejects.toThrow('but limit is 2');
    await expect(admit(ranger, updateRequest('pods', pod([good]), pod([bad]), { subresource: 'resize' }))).rejects.toThrow(
      'but limit is 2',
    );
    await expect(admit(ranger, updateRequest('pods', pod([good]), pod([good]), { subresource: 'resize' }))).resolves.toBeDefined();
  });

  it('hold for claims, also where they grow', async () => {
    const ranger = rangerOf({ type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '10Gi' } });
    await expect(admit(ranger, createRequest('persistentvolumeclaims', claimOf('1Mi'), { name: 'data' }))).rejects.toThrow(
      'persistentvolumeclaims "data" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi',
    );
    await expect(admit(ranger, updateRequest('persistentvolumeclaims', claimOf('2Gi'), claimOf('11Gi')))).rejects.toThrow(
      'maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 11Gi',
    );
    await expect(admit(ranger, createRequest('persistentvolumeclaims', claimOf('2Gi')))).resolves.toBeDefined();
  });

  it('do not keep an object that is going from going', async () => {
    const ranger = rangerOf({ type: 'PersistentVolumeClaim', min: { storage: '1Gi' } });
    const going = { ...claimOf('1Mi'), metadata: { name: 'data', deletionTimestamp: '2026-01-01T00:00:00Z' } };
    await expect(admit(ranger, updateRequest('persistentvolumeclaims', going, going))).resolves.toBeDefined();
  });
});
