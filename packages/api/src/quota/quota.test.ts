import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../definition.ts';
import { addAmounts, amountsJson, amountsOf, printAmounts, subtractAmounts } from './amounts.ts';
import { quotaEvaluator, resourcesCountedAs } from './evaluator.ts';
import { podLimits, podRequests } from './pod-amounts.ts';
import { quotaScopes } from './scopes.ts';
import { inScopes, totalUsage } from './usage.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

function container(requests: JsonObject, limits: JsonObject = {}, more: JsonObject = {}): JsonObject {
  return { name: 'c', resources: { requests, limits }, ...more };
}

function usageOf(group: string, resource: string, object: JsonObject): JsonObject {
  const evaluator = quotaEvaluator(group, resource);
  if (evaluator === undefined) throw new Error(`nothing counts ${resource}`);
  return amountsJson(evaluator.usage(object, NOW));
}

describe('what a Pod asks for', () => {
  const plain = { overhead: false, status: false };
  it.each<[string, JsonObject, string]>([
    ['containers together', { containers: [container({ cpu: '100m' }), container({ cpu: '1', memory: '1Gi' })] }, 'cpu=1100m,memory=1Gi'],
    [
      'init containers one after the other',
      { containers: [container({ cpu: '1' })], initContainers: [container({ cpu: '2' }), container({ cpu: '3' })] },
      'cpu=3',
    ],
    [
      'a sidecar beside what starts after it and beside the containers',
      {
        containers: [container({ cpu: '1' })],
        initContainers: [container({ cpu: '500m' }, {}, { restartPolicy: 'Always' }), container({ cpu: '2' })],
      },
      'cpu=2500m',
    ],
    [
      'what the Pod says as a whole',
      { resources: { requests: { cpu: '4' } }, containers: [container({ cpu: '1', 'example.com/gpu': '2' })] },
      'cpu=4,example.com/gpu=2',
    ],
  ])('counts %s', (_what, spec, expected) => {
    expect(printAmounts(podRequests({ spec }, plain))).toBe(expected);
  });

  it('adds overhead to requests, and to limits where there are some', () => {
    const pod = { spec: { overhead: { cpu: '250m', memory: '120Mi' }, containers: [container({ cpu: '1' }, { memory: '1Gi' })] } };
    expect(printAmounts(podRequests(pod, { overhead: true, status: false }))).toBe('cpu=1250m,memory=120Mi');
    expect(printAmounts(podLimits(pod, { overhead: true, status: false }))).toBe('memory=1144Mi');
  });

  it('counts what a container still holds while it is being made smaller', () => {
    const pod = {
      spec: { containers: [container({ cpu: '1' })] },
      status: { containerStatuses: [{ name: 'c', resources: { requests: { cpu: '2' } } }] },
    };
    expect(printAmounts(podRequests(pod, { overhead: true, status: true }))).toBe('cpu=2');
    expect(printAmounts(podRequests(pod, plain))).toBe('cpu=1');
  });
});

describe('usage', () => {
  it('of a Pod: itself, requests and limits, devices', () => {
    const spec = { containers: [container({ cpu: '500m', memory: '252Mi', 'example.com/dongle': '3' }, { cpu: '1' })] };
    expect(usageOf('', 'pods', { spec })).toEqual({
      'count/pods': '1',
      pods: '1',
      cpu: '500m',
      'requests.cpu': '500m',
      'limits.cpu': '1',
      memory: '252Mi',
      'requests.memory': '252Mi',
      'requests.example.com/dongle': '3',
    });
  });

  it.each<[string, JsonObject]>([
    ['failed', { status: { phase: 'Failed' } }],
    ['succeeded', { status: { phase: 'Succeeded' } }],
    ['should be gone', { metadata: { deletionTimestamp: '2025-12-31T23:59:00Z', deletionGracePeriodSeconds: 30 } }],
  ])('of a Pod that %s is its place only', (_what, more) => {
    expect(usageOf('', 'pods', { spec: { containers: [container({ cpu: '1' })] }, ...more })).toEqual({ 'count/pods': '1' });
  });

  it('of a Pod that is being deleted goes on until its time is over', () => {
    const metadata = { deletionTimestamp: '2026-01-01T00:00:10Z', deletionGracePeriodSeconds: 30 };
    expect(usageOf('', 'pods', { metadata, spec: { containers: [] } })).toEqual({ 'count/pods': '1', pods: '1' });
  });

  it.each<[string, JsonObject, string, string]>([
    ['ClusterIP', { type: 'ClusterIP', ports: [{ port: 1 }] }, '0', '0'],
    ['NodePort', { type: 'NodePort', ports: [{ port: 1 }, { port: 2 }] }, '2', '0'],
    ['LoadBalancer', { type: 'LoadBalancer', ports: [{ port: 1 }] }, '1', '1'],
    [
      'LoadBalancer without node ports of its own',
      { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{ port: 1 }, { port: 2, nodePort: 30_000 }] },
      '1',
      '1',
    ],
  ])('of a Service of type %s', (_type, spec, nodePorts, balancers) => {
    expect(usageOf('', 'services', { spec })).toEqual({
      'count/services': '1',
      services: '1',
      'services.nodeports': nodePorts,
      'services.loadbalancers': balancers,
    });
  });

  it('of a claim: by its class too, in whole bytes, and what was allocated where that is more', () => {
    const claim = { spec: { storageClassName: 'gold', resources: { requests: { storage: '1500m' } } } };
    expect(usageOf('', 'persistentvolumeclaims', claim)).toEqual({
      'count/persistentvolumeclaims': '1',
      persistentvolumeclaims: '1',
      'requests.storage': '2',
      'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
      'gold.storageclass.storage.k8s.io/requests.storage': '2',
    });
    const grown = { spec: { resources: { requests: { storage: '1Gi' } } }, status: { allocatedResources: { storage: '2Gi' } } };
    expect(usageOf('', 'persistentvolumeclaims', grown)['requests.storage']).toBe('2Gi');
  });

  it('of anything else is its number, by its full name and by the old one where there is one', () => {
    expect(usageOf('example.com', 'widgets', {})).toEqual({ 'count/widgets.example.com': '1' });
    expect(usageOf('', 'secrets', {})).toEqual({ 'count/secrets': '1', secrets: '1' });
    expect(quotaEvaluator('', 'events')).toBeUndefined();
  });

  it('of device claims counts each class at its worst', () => {
    const spec = {
      devices: {
        requests: [
          { name: 'a', exactly: { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 2 } },
          {
            name: 'b',
            firstAvailable: [
              { deviceClassName: 'gpu', count: 3 },
              { deviceClassName: 'tpu', allocationMode: 'All' },
            ],
          },
        ],
      },
    };
    expect(usageOf('resource.k8s.io', 'resourceclaims', { spec })).toEqual({
      'count/resourceclaims.resource.k8s.io': '1',
      'gpu.deviceclass.resource.k8s.io/devices': '5',
      'tpu.deviceclass.resource.k8s.io/devices': '32',
    });
  });
});

it.each<[string, string]>([
  ['pods', '/pods'],
  ['requests.example.com/dongle', '/pods'],
  ['requests.hugepages-2Mi', '/pods'],
  ['requests.storage', '/persistentvolumeclaims'],
  ['gold.storageclass.storage.k8s.io/requests.storage', '/persistentvolumeclaims'],
  ['services.nodeports', '/services'],
  ['secrets', '/secrets'],
  ['count/replicasets.apps', 'apps/replicasets'],
  ['count/widgets.example.com', 'example.com/widgets'],
])('%s is counted in %s', (name, place) => {
  expect(resourcesCountedAs(name).map(({ group, resource }) => `${group}/${resource}`)).toEqual([place]);
});

describe('scopes', () => {
  const scoped = (scopes: string[], expressions: JsonObject[] = []) =>
    quotaScopes({ spec: { scopes, scopeSelector: { matchExpressions: expressions } } });
  const high = { priorityClassName: 'high' };
  it.each<[string, ReturnType<typeof scoped>, JsonObject, boolean]>([
    ['Terminating', scoped(['Terminating']), { activeDeadlineSeconds: 3600 }, true],
    ['Terminating', scoped(['Terminating']), {}, false],
    ['NotTerminating', scoped(['NotTerminating']), {}, true],
    ['BestEffort', scoped(['BestEffort']), {}, true],
    ['BestEffort', scoped(['BestEffort']), { containers: [container({ cpu: '1' })] }, false],
    ['NotBestEffort and Terminating', scoped(['NotBestEffort', 'Terminating']), { containers: [container({ cpu: '1' })] }, false],
    ['a class in', scoped([], [{ scopeName: 'PriorityClass', operator: 'In', values: ['high', 'low'] }]), high, true],
    ['a class not in', scoped([], [{ scopeName: 'PriorityClass', operator: 'NotIn', values: ['high'] }]), high, false],
    ['any class', scoped([], [{ scopeName: 'PriorityClass', operator: 'Exists' }]), {}, false],
    ['no class', scoped([], [{ scopeName: 'PriorityClass', operator: 'DoesNotExist' }]), {}, true],
    [
      'affinity to other namespaces',
      scoped(['CrossNamespacePodAffinity']),
      { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ namespaces: ['other'] }] } } },
      true,
    ],
  ])('%s: %#', (_what, scopes, spec, expected) => {
    const pods = quotaEvaluator('', 'pods');
    expect(pods !== undefined && inScopes(pods, { spec }, scopes)).toBe(expected);
  });

  it('keep out of the total what they do not speak of', () => {
    const pods = quotaEvaluator('', 'pods');
    if (pods === undefined) throw new Error('Pods are counted');
    const objects = [
      { spec: { activeDeadlineSeconds: 1, containers: [container({ cpu: '1' })] } },
      { spec: { containers: [container({ cpu: '2' })] } },
    ];
    const total = totalUsage(pods, objects, scoped(['NotTerminating']), ['pods', 'cpu', 'memory', 'services'], NOW);
    expect(amountsJson(total)).toEqual({ pods: '1', cpu: '2', memory: '0' });
  });
});

it('demands cpu and memory of every container where a quota limits them, and nothing else', () => {
  const pods = quotaEvaluator('', 'pods');
  const pod = { spec: { containers: [container({ cpu: '1' }), { name: 'b' }], initContainers: [{ name: 'a' }] } };
  expect(pods?.omission?.(pod, ['pods', 'cpu', 'limits.memory', 'requests.ephemeral-storage'])).toBe(
    'must specify cpu for: a,b; limits.memory for: a,b,c',
  );
  expect(pods?.omission?.({ spec: { ...pod.spec, resources: { requests: { cpu: '1' } } } }, ['cpu'])).toBeUndefined();
});

it('a sum that begins at nothing is spelled as what is added', () => {
  expect(printAmounts(addAmounts(amountsOf({ memory: '0' }), amountsOf({ memory: '100Mi', cpu: '1' })))).toBe('cpu=1,memory=100Mi');
});

it('a difference of amounts is never negative', () => {
  const [small, large] = ['1', '3'].map((cpu) =>
    podRequests({ spec: { containers: [container({ cpu })] } }, { overhead: false, status: false }),
  );
  expect(small !== undefined && large !== undefined && printAmounts(subtractAmounts(small, large))).toBe('cpu=0');
});
