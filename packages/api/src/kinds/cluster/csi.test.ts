import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../definition.ts';
import { KindRegistry } from '../../kind-registry.ts';
import { builtinKinds } from '../builtin.ts';
import { validateChangedObject, validateNewObject } from '../validate-object.ts';

const kinds = new KindRegistry(builtinKinds);
const API_VERSION = 'storage.k8s.io/v1';

function made(kind: string, fields: JsonObject): JsonObject {
  const namespace = kind === 'CSIStorageCapacity' ? { namespace: 'default' } : {};
  const metadata = { name: 'a', uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z', resourceVersion: '1', ...namespace };
  return { apiVersion: API_VERSION, kind, metadata, ...fields };
}

function faults(object: JsonObject, old?: JsonObject): readonly string[] {
  const kind = kinds.object(API_VERSION, String(object.kind));
  if (kind === undefined) throw new Error('not served');
  const errors = old === undefined ? validateNewObject(kind, object) : validateChangedObject(kind, object, old);
  return errors.map(({ field, message }) => `${field}: ${message}`);
}

const attachment = { attacher: 'csi.example.com', nodeName: 'n1', source: { persistentVolumeName: 'pv' } };
const driver = { name: 'csi.example.com', nodeID: 'id' };
const NAME_RULE = /a lowercase RFC 1123 subdomain/;

describe('what is new of storage drivers', () => {
  it.each<[string, JsonObject]>([
    ['VolumeAttachment', { spec: attachment }],
    ['VolumeAttributesClass', { driverName: 'csi.example.com', parameters: { iops: '100' } }],
    [
      'CSIDriver',
      { spec: { fsGroupPolicy: 'File', volumeLifecycleModes: ['Ephemeral'], tokenRequests: [{ audience: '', expirationSeconds: 600 }] } },
    ],
    ['CSINode', { spec: { drivers: [{ ...driver, topologyKeys: ['example.com/zone'], allocatable: { count: 0 } }] } }],
    ['CSIStorageCapacity', { storageClassName: 'fast', capacity: '1Gi', nodeTopology: { matchLabels: { zone: 'a' } } }],
  ])('%s passes as it should be', (kind, fields) => {
    expect(faults(made(kind, fields))).toEqual([]);
  });

  it.each<[string, JsonObject, string | RegExp]>([
    ['VolumeAttachment', { spec: { ...attachment, attacher: '' } }, 'spec.attacher: Required value'],
    ['VolumeAttachment', { spec: { ...attachment, nodeName: 'N!' } }, NAME_RULE],
    [
      'VolumeAttachment',
      { spec: { ...attachment, source: {} } },
      'spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName',
    ],
    [
      'VolumeAttachment',
      { spec: { ...attachment, source: { inlineVolumeSpec: { accessModes: ['ReadWriteOnce'] } } } },
      'spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes',
    ],
    [
      'VolumeAttachment',
      { spec: { ...attachment, source: { inlineVolumeSpec: { accessModes: ['ReadWriteOnce'], csi: {}, capacity: { storage: '1Gi' } } } } },
      'spec.source.inlineVolumeSpec.capacity: Forbidden: may not be specified in the context of inline volumes',
    ],
    ['VolumeAttributesClass', { driverName: '', parameters: { a: 'b' } }, 'driverName: Required value'],
    ['VolumeAttributesClass', { driverName: 'd', parameters: {} }, 'parameters: Required value: must contain at least one key/value pair'],
    ['CSIDriver', { spec: { fsGroupPolicy: 'Some' } }, /spec\.fsGroupPolicy: Unsupported value: "Some"/],
    ['CSIDriver', { spec: { volumeLifecycleModes: ['Brief'] } }, /spec\.volumeLifecycleModes: Unsupported value: "Brief"/],
    [
      'CSIDriver',
      { spec: { tokenRequests: [{ audience: 'a' }, { audience: 'a' }] } },
      'spec.tokenRequests[1].audience: Duplicate value: "a"',
    ],
    [
      'CSIDriver',
      { spec: { tokenRequests: [{ audience: 'a', expirationSeconds: 599 }] } },
      'spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
    ],
    [
      'CSIDriver',
      { spec: { nodeAllocatableUpdatePeriodSeconds: 9 } },
      'spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds',
    ],
    [
      'CSIDriver',
      { spec: { serviceAccountTokenInSecrets: true } },
      /serviceAccountTokenInSecrets is set but no tokenRequests are specified/,
    ],
    ['CSINode', { spec: { drivers: [driver, driver] } }, 'spec.drivers[1].name: Duplicate value: "csi.example.com"'],
    ['CSINode', { spec: { drivers: [{ name: 'csi.example.com', nodeID: '' }] } }, 'spec.drivers[0].nodeID: Required value'],
    [
      'CSINode',
      { spec: { drivers: [{ ...driver, allocatable: { count: -1 } }] } },
      'spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0',
    ],
    ['CSINode', { spec: { drivers: [{ ...driver, topologyKeys: ['a', 'a'] }] } }, 'spec.drivers[0]: Duplicate value: "a"'],
    ['CSIStorageCapacity', { storageClassName: 'Fast!' }, NAME_RULE],
    [
      'CSIStorageCapacity',
      { storageClassName: 'fast', capacity: '-1' },
      'capacity: Invalid value: "-1": must be greater than or equal to 0',
    ],
  ])('%s %j is refused', (kind, fields, fault) => {
    const [found = '', ...more] = faults(made(kind, fields));
    expect(more).toEqual([]);
    if (typeof fault === 'string') expect(found).toBe(fault);
    else expect(found).toMatch(fault);
  });
});

describe('what changes of storage drivers', () => {
  it.each<[string, JsonObject, JsonObject, RegExp | undefined]>([
    ['VolumeAttachment', { spec: attachment }, { spec: { ...attachment, nodeName: 'n2' } }, /^spec: Invalid value: .*field is immutable$/],
    [
      'VolumeAttributesClass',
      { driverName: 'd', parameters: { a: 'b' } },
      { driverName: 'd', parameters: { a: 'c' } },
      /^parameters: Forbidden: updates to parameters are forbidden\.$/,
    ],
    [
      'CSIDriver',
      { spec: { attachRequired: true } },
      { spec: { attachRequired: false } },
      /^spec\.attachedRequired: Invalid value: false: field is immutable$/,
    ],
    [
      'CSINode',
      { spec: { drivers: [driver] } },
      { spec: { drivers: [{ ...driver, nodeID: 'other' }] } },
      /^spec\.drivers: .*field is immutable$/,
    ],
    [
      'CSINode',
      { spec: { drivers: [driver] } },
      {
        spec: {
          drivers: [
            { ...driver, allocatable: { count: 5 } },
            { ...driver, name: 'new.example.com' },
          ],
        },
      },
      undefined,
    ],
    [
      'CSIStorageCapacity',
      { storageClassName: 'a' },
      { storageClassName: 'b' },
      /^storageClassName: Invalid value: "b": field is immutable$/,
    ],
    [
      'StorageClass',
      { provisioner: 'a', volumeBindingMode: 'Immediate' },
      { provisioner: 'b', volumeBindingMode: 'Immediate' },
      /^provisioner: Invalid value: "b": field is immutable$/,
    ],
  ])('%s from %j to %j', (kind, before, after, fault) => {
    const found = faults(made(kind, after), made(kind, before));
    if (fault === undefined) expect(found).toEqual([]);
    else expect(found).toEqual([expect.stringMatching(fault)]);
  });
});
