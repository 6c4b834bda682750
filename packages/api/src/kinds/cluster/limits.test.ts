import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../definition.ts';
import { KindRegistry } from '../../kind-registry.ts';
import { builtinKinds } from '../builtin.ts';
import { validateChangedObject, validateNewObject } from '../validate-object.ts';

const kinds = new KindRegistry(builtinKinds);

function made(kind: string, spec: JsonObject): JsonObject {
  const metadata = { name: 'x', namespace: 'default', uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z', resourceVersion: '1' };
  return { apiVersion: 'v1', kind, metadata, spec };
}

function faults(kindName: string, spec: JsonObject, old?: JsonObject): readonly string[] {
  const kind = kinds.object('v1', kindName);
  if (kind === undefined) throw new Error('not served');
  const object = made(kindName, spec);
  const errors = old === undefined ? validateNewObject(kind, object) : validateChangedObject(kind, object, made(kindName, old));
  return errors.map(({ field, message }) => `${field}: ${message}`);
}

describe('a ResourceQuota', () => {
  const expression = (scopeName: string, operator: string, values: string[] = []): JsonObject => ({
    scopeSelector: { matchExpressions: [{ scopeName, operator, values }] },
  });
  it.each<[string, JsonObject, string[]]>([
    [
      'names of every sort',
      {
        hard: {
          pods: '1',
          'requests.cpu': '500m',
          'requests.example.com/gpu': '1',
          'count/widgets.example.com': '1',
          'gold.storageclass.storage.k8s.io/requests.storage': '1Gi',
          'hugepages-2Mi': '2Mi',
        },
      },
      [],
    ],
    ['a class', { hard: { pods: '1' }, ...expression('PriorityClass', 'In', ['high']) }, []],
    [
      'an unknown name',
      { hard: { foo: '1' } },
      [
        'spec.hard[foo]: Invalid value: "foo": must be a standard resource type or fully qualified',
        'spec.hard[foo]: Invalid value: "foo": must be a standard resource for quota',
      ],
    ],
    ['a negative amount', { hard: { cpu: '-1' } }, ['spec.hard[cpu]: Invalid value: "-1": must be greater than or equal to 0']],
    ['half a Pod', { hard: { pods: '500m' } }, ['spec.hard[pods]: Invalid value: "500m": must be an integer']],
    ['an unknown scope', { hard: { pods: '1' }, scopes: ['Big'] }, ['spec.scopes: Invalid value: ["Big"]: unsupported scope']],
    [
      'a scope of Pods over Services',
      { hard: { services: '1' }, scopes: ['Terminating'] },
      ['spec.scopes: Invalid value: ["Terminating"]: unsupported scope applied to resource'],
    ],
    [
      'scopes that exclude each other',
      { hard: { pods: '1' }, scopes: ['BestEffort', 'NotBestEffort'] },
      ['spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'],
    ],
    [
      'a class of none',
      { hard: { pods: '1' }, ...expression('PriorityClass', 'In') },
      [
        "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
      ],
    ],
  ])('%s', (_what, spec, expected) => {
    expect(faults('ResourceQuota', spec)).toEqual(expected);
  });

  it('keeps its scopes', () => {
    const before = { hard: { pods: '1' }, scopes: ['Terminating'] };
    expect(faults('ResourceQuota', { hard: { pods: '2' }, scopes: ['Terminating'] }, before)).toEqual([]);
    expect(faults('ResourceQuota', { hard: { pods: '1' } }, before)).toEqual(['spec.scopes: Invalid value: []: field is immutable']);
  });
});

describe('a LimitRange', () => {
  const at = 'spec.limits[0]';
  it.each<[string, JsonObject, string[]]>([
    [
      'of containers',
      {
        type: 'Container',
        min: { cpu: '50m' },
        max: { cpu: '500m' },
        default: { cpu: '300m' },
        defaultRequest: { cpu: '100m' },
        maxLimitRequestRatio: { cpu: '4' },
      },
      [],
    ],
    ['of a type of one’s own', { type: 'example.com/Disk', max: { storage: '1Gi' } }, []],
    ['of an unknown type', { type: 'Disk' }, [`${at}.type: Invalid value: "Disk": must be a standard limit type or fully qualified`]],
    [
      'of Pods with defaults',
      { type: 'Pod', default: { cpu: '1' } },
      [`${at}.default: Forbidden: may not be specified when \`type\` is 'Pod'`],
    ],
    [
      'of claims without bounds',
      { type: 'PersistentVolumeClaim' },
      [`${at}.limits: Required value: either minimum or maximum storage value is required, but neither was provided`],
    ],
    [
      'of things that containers have not',
      { type: 'Container', max: { pods: '1' } },
      [`${at}.max[pods]: Invalid value: "pods": must be a standard resource for containers`],
    ],
    [
      'upside down',
      { type: 'Container', min: { cpu: '2' }, max: { cpu: '1' } },
      [`${at}.min[cpu]: Invalid value: "2": min value 2 is greater than max value 1`],
    ],
    [
      'with defaults out of bounds',
      { type: 'Container', min: { cpu: '1' }, max: { cpu: '2' }, defaultRequest: { cpu: '500m' }, default: { cpu: '3' } },
      [
        `${at}.defaultRequest[cpu]: Invalid value: "500m": min value 1 is greater than default request value 500m`,
        `${at}.default[cpu]: Invalid value: "2": default value 3 is greater than max value 2`,
      ],
    ],
    [
      'with a ratio that cannot be',
      { type: 'Container', min: { cpu: '1' }, max: { cpu: '2' }, maxLimitRequestRatio: { cpu: '3' } },
      [`${at}.maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000`],
    ],
    [
      'with devices of two minds',
      { type: 'Container', default: { 'example.com/gpu': '2' }, defaultRequest: { 'example.com/gpu': '1' } },
      [
        `${at}.defaultRequest[example.com/gpu]: Invalid value: "1": default value 2 must equal to defaultRequest value 1 in example.com/gpu`,
      ],
    ],
  ])('%s', (_what, item, expected) => {
    expect(faults('LimitRange', { limits: [item] })).toEqual(expected);
  });
});
