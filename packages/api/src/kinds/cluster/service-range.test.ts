import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../definition.ts';
import { KindRegistry } from '../../kind-registry.ts';
import { builtinKinds } from '../builtin.ts';
import { validateChangedObject, validateNewObject } from '../validate-object.ts';

const kinds = new KindRegistry(builtinKinds);
const API_VERSION = 'networking.k8s.io/v1';

function made(kind: string, name: string, spec: JsonObject): JsonObject {
  return {
    apiVersion: API_VERSION,
    kind,
    metadata: { name, uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z', resourceVersion: '1' },
    spec,
  };
}

function faults(object: JsonObject, old?: JsonObject): readonly string[] {
  const kind = kinds.object(API_VERSION, String(object.kind));
  if (kind === undefined) throw new Error('not served');
  const errors = old === undefined ? validateNewObject(kind, object) : validateChangedObject(kind, object, old);
  return errors.map(({ field, message }) => `${field}: ${message}`);
}

const parentRef = { resource: 'services', namespace: 'default', name: 'web' };

describe('an IPAddress', () => {
  it.each<[string, JsonObject, string | undefined]>([
    ['10.0.0.1', { parentRef }, undefined],
    ['2001:db8::1', { parentRef }, undefined],
    ['2001:db8:0:0::1', { parentRef }, 'metadata.name: Invalid value: "2001:db8:0:0::1": must be in canonical form ("2001:db8::1")'],
    ['10.0.0.01', { parentRef }, 'metadata.name: Invalid value: "10.0.0.01": must not have leading 0s'],
    ['10.0.0.1', {}, 'spec.parentRef: Required value'],
    ['10.0.0.1', { parentRef: { resource: 'services' } }, 'spec.parentRef.name: Required value'],
  ])('%s %j', (name, spec, fault) => {
    expect(faults(made('IPAddress', name, spec))).toEqual(fault === undefined ? [] : [fault]);
  });

  it('belongs to one for good', () => {
    const other = made('IPAddress', '10.0.0.1', { parentRef: { ...parentRef, name: 'other' } });
    expect(faults(other, made('IPAddress', '10.0.0.1', { parentRef }))[0]).toContain('field is immutable');
  });
});

describe('a ServiceCIDR', () => {
  it.each<[string[], string | undefined]>([
    [['10.0.0.0/24'], undefined],
    [['10.0.0.0/24', '2001:db8::/64'], undefined],
    [[], 'spec.cidrs: Required value: at least one CIDR required'],
    [
      ['10.0.0.1/24'],
      'spec.cidrs[0]: Invalid value: "10.0.0.1/24": must not have bits set beyond the prefix length (likely "10.0.0.0/24")',
    ],
    [['10.0.0.0/24', '10.1.0.0/24'], 'spec.cidrs: Invalid value: ["10.0.0.0/24","10.1.0.0/24"]: must specify one IP for each IP family'],
  ])('%j', (cidrs, fault) => {
    expect(faults(made('ServiceCIDR', 'r', { cidrs }))).toEqual(fault === undefined ? [] : [fault]);
  });

  it('may get a second family, and change in nothing else', () => {
    const one = made('ServiceCIDR', 'r', { cidrs: ['10.0.0.0/24'] });
    expect(faults(made('ServiceCIDR', 'r', { cidrs: ['10.0.0.0/24', '2001:db8::/64'] }), one)).toEqual([]);
    expect(faults(made('ServiceCIDR', 'r', { cidrs: ['10.1.0.0/24'] }), one)).toEqual([
      'spec.cidrs[0]: Invalid value: "10.1.0.0/24": field is immutable',
    ]);
  });
});
