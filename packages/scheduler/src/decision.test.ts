import type { Node, Pod, Taint } from '@dure/api';
import { seededRandom } from '@dure/foundation';
import { describe, expect, it } from 'vitest';
import { ClusterState } from './cluster-state.ts';
import { decide, feasibleNodesWanted } from './decision.ts';
import { defaultFilters, defaultScores } from './plugins.ts';
import { podInfo } from './pod-info.ts';

type NodeCase = {
  name: string;
  labels?: Record<string, string>;
  taints?: Taint[];
  allocatable?: Record<string, string>;
  images?: Node['status']['images'];
};
type PodCase = { name: string; on?: string; labels?: Record<string, string>; owner?: string } & Partial<Pod['spec']> & {
    requests?: Record<string, string>;
  };

function toNode({ name, labels = {}, taints = [], allocatable = { cpu: '4', memory: '8Gi', pods: '110' }, images = [] }: NodeCase): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '', labels: { 'kubernetes.io/hostname': name, ...labels } },
    spec: { taints },
    status: { allocatable, images },
  };
}

function toPod({ name, on, labels = {}, owner, requests = {}, ...spec }: PodCase): Pod {
  const ownerReferences =
    owner === undefined ? [] : [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'ns', uid: name, resourceVersion: '1', creationTimestamp: '', labels, ownerReferences },
    spec: { containers: [{ name: 'c', image: 'img:1', resources: { requests } }], ...(on !== undefined && { nodeName: on }), ...spec },
    status: {},
  };
}

function outcome(nodes: readonly NodeCase[], placed: readonly PodCase[], wanted: PodCase): string | Record<string, readonly string[]> {
  const cluster = new ClusterState();
  cluster.setNamespace({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'ns', uid: '', resourceVersion: '', creationTimestamp: '', labels: { team: 'x' } },
    spec: {},
    status: {},
  });
  for (const node of nodes) cluster.setNode(toNode(node));
  for (const pod of placed) cluster.setPod(podInfo(toPod(pod)), pod.on ?? '');
  const decision = decide({
    pod: podInfo(toPod(wanted)),
    cluster,
    filters: defaultFilters,
    scores: defaultScores,
    start: 0,
    random: seededRandom(1),
  });
  if (decision.kind === 'placed') return decision.node.name;
  return Object.fromEntries([...decision.diagnosis.refusals].map(([name, { reasons }]) => [name, reasons]));
}

const zone = (name: string): Record<string, string> => ({ 'topology.kubernetes.io/zone': name });
const near = (labels: Record<string, string>, topologyKey: string) => [{ labelSelector: { matchLabels: labels }, topologyKey }];
const HOST = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';

interface Case {
  readonly title: string;
  readonly nodes: readonly NodeCase[];
  readonly placed?: readonly PodCase[];
  readonly pod: PodCase;
  readonly expected: string | Record<string, readonly string[]>;
}

const cases: readonly Case[] = [
  {
    title: 'init containers count one at a time, sidecars together with what follows',
    nodes: [{ name: 'a', allocatable: { cpu: '3', memory: '1Gi', pods: '9' } }],
    pod: {
      name: 'p',
      requests: { cpu: '1' },
      initContainers: [
        { name: 'sidecar', restartPolicy: 'Always', resources: { requests: { cpu: '1' } } },
        { name: 'init', resources: { requests: { cpu: '2500m' } } },
      ],
    },
    expected: { a: ['Insufficient cpu'] },
  },
  {
    title: 'overhead and extended resources count, several lacks are all named',
    nodes: [{ name: 'a', allocatable: { cpu: '1', memory: '1Gi', pods: '9', 'x.io/gpu': '1' } }],
    pod: { name: 'p', requests: { cpu: '900m', 'x.io/gpu': '2' }, overhead: { cpu: '200m' } },
    expected: { a: ['Insufficient cpu', 'Insufficient x.io/gpu'] },
  },
  {
    title: 'a node takes only so many Pods',
    nodes: [{ name: 'a', allocatable: { cpu: '9', memory: '9Gi', pods: '1' } }],
    placed: [{ name: 'q', on: 'a' }],
    pod: { name: 'p' },
    expected: { a: ['Too many pods'] },
  },
  {
    title: 'host ports meet on one address, on all addresses, and not across protocols',
    nodes: [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
    placed: [
      { name: 'q', on: 'a', containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 80 }] }] },
      { name: 'r', on: 'b', containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 80, protocol: 'UDP' }] }] },
      { name: 's', on: 'c', containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 80, hostIP: '10.0.0.1' }] }] },
    ],
    pod: { name: 'p', containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 80 }] }] },
    expected: 'b',
  },
  {
    title: 'node selector and affinity must both hold; terms are alternatives',
    nodes: [
      { name: 'a', labels: { disk: 'ssd' } },
      { name: 'b', labels: { disk: 'ssd', gen: '5' } },
      { name: 'c', labels: { gen: '5' } },
    ],
    pod: {
      name: 'p',
      nodeSelector: { disk: 'ssd' },
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'gen', operator: 'Gt', values: ['4'] }] },
              { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['nobody'] }] },
              {},
            ],
          },
        },
      },
    },
    expected: 'b',
  },
  {
    title: 'preferred node affinity decides among equals',
    nodes: [{ name: 'a' }, { name: 'b', labels: { disk: 'ssd' } }, { name: 'c' }],
    pod: {
      name: 'p',
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 10, preference: { matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] } },
          ],
        },
      },
    },
    expected: 'b',
  },
  {
    title: 'a taint is tolerated by key, value and effect; PreferNoSchedule only costs points',
    nodes: [
      { name: 'a', taints: [{ key: 'k', value: 'v', effect: 'NoExecute' }] },
      {
        name: 'b',
        taints: [
          { key: 'k', value: 'v', effect: 'NoSchedule' },
          { key: 'soft', effect: 'PreferNoSchedule' },
        ],
      },
      { name: 'c', taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] },
    ],
    pod: { name: 'p', tolerations: [{ key: 'k', operator: 'Equal', value: 'v', effect: 'NoSchedule' }] },
    expected: 'c',
  },
  {
    title: 'an empty key with Exists tolerates everything',
    nodes: [{ name: 'a', taints: [{ key: 'k', effect: 'NoExecute' }] }],
    pod: { name: 'p', tolerations: [{ operator: 'Exists' }] },
    expected: 'a',
  },
  {
    title: 'the emptier node wins',
    nodes: [{ name: 'a' }, { name: 'b' }],
    placed: [{ name: 'q', on: 'a', requests: { cpu: '2', memory: '4Gi' } }],
    pod: { name: 'p', requests: { cpu: '100m' } },
    expected: 'b',
  },
  {
    title: 'a large image that is there draws the Pod',
    nodes: [{ name: 'a' }, { name: 'b', images: [{ names: ['img:1'], sizeBytes: 900 * 1024 * 1024 }] }],
    pod: { name: 'p' },
    expected: 'b',
  },
  {
    title: 'hard topology spread counts only matching Pods, over nodes the Pod could use',
    nodes: [
      { name: 'a', labels: zone('1') },
      { name: 'b', labels: zone('2') },
      { name: 'c', labels: { ...zone('3'), skip: 'yes' } },
    ],
    placed: [
      { name: 'q', on: 'a', labels: { app: 'x' } },
      { name: 'r', on: 'b', labels: { app: 'other' } },
    ],
    pod: {
      name: 'p',
      labels: { app: 'x' },
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'skip', operator: 'DoesNotExist' }] }],
          },
        },
      },
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app: 'x' } } },
      ],
    },
    expected: 'b',
  },
  {
    title: 'too few domains count as empty ones, and nodes without the label are out',
    nodes: [{ name: 'a', labels: zone('1') }, { name: 'b' }],
    placed: [{ name: 'q', on: 'a', labels: { app: 'x' } }],
    pod: {
      name: 'p',
      labels: { app: 'x' },
      topologySpreadConstraints: [
        { maxSkew: 1, minDomains: 2, topologyKey: ZONE, whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app: 'x' } } },
      ],
    },
    expected: {
      a: ["node(s) didn't match pod topology spread constraints"],
      b: ["node(s) didn't match pod topology spread constraints (missing required label)"],
    },
  },
  {
    title: 'soft topology spread decides among equals',
    nodes: [
      { name: 'a', labels: zone('1') },
      { name: 'b', labels: zone('1') },
      { name: 'c', labels: zone('2') },
    ],
    placed: [{ name: 'q', on: 'a', labels: { app: 'x' } }],
    pod: {
      name: 'p',
      labels: { app: 'x' },
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: 'ScheduleAnyway', labelSelector: { matchLabels: { app: 'x' } } },
      ],
    },
    expected: 'c',
  },
  {
    title: 'required Pod affinity goes where the others are',
    nodes: [{ name: 'a' }, { name: 'b' }],
    placed: [{ name: 'q', on: 'b', labels: { app: 'db' } }],
    pod: { name: 'p', affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: near({ app: 'db' }, HOST) } } },
    expected: 'b',
  },
  {
    title: 'the first of a group that wants its own company may go anywhere',
    nodes: [{ name: 'a' }],
    pod: {
      name: 'p',
      labels: { app: 'db' },
      affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: near({ app: 'db' }, HOST) } },
    },
    expected: 'a',
  },
  {
    title: 'but not if it wants the company of others',
    nodes: [{ name: 'a' }],
    pod: { name: 'p', affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: near({ app: 'db' }, HOST) } } },
    expected: { a: ["node(s) didn't match pod affinity rules"] },
  },
  {
    title: 'anti-affinity holds in both directions and over the whole domain',
    nodes: [
      { name: 'a', labels: zone('1') },
      { name: 'b', labels: zone('1') },
      { name: 'c', labels: zone('2') },
      { name: 'd', labels: zone('3') },
    ],
    placed: [
      { name: 'q', on: 'a', labels: { app: 'x' } },
      { name: 'r', on: 'c', affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: near({ app: 'x' }, HOST) } } },
    ],
    pod: {
      name: 'p',
      labels: { app: 'x' },
      affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: near({ app: 'x' }, ZONE) } },
    },
    expected: 'd',
  },
  {
    title: 'terms reach other namespaces by label',
    nodes: [{ name: 'a' }],
    placed: [{ name: 'q', on: 'a', labels: { app: 'x' } }],
    pod: {
      name: 'p',
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            { labelSelector: { matchLabels: { app: 'x' } }, namespaceSelector: { matchLabels: { team: 'x' } }, topologyKey: HOST },
          ],
        },
      },
    },
    expected: { a: ["node(s) didn't match pod anti-affinity rules"] },
  },
  {
    title: 'preferred anti-affinity avoids without forbidding',
    nodes: [{ name: 'a' }, { name: 'b' }],
    placed: [{ name: 'q', on: 'a', labels: { app: 'x' } }],
    pod: {
      name: 'p',
      affinity: {
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 100, podAffinityTerm: { labelSelector: { matchLabels: { app: 'x' } }, topologyKey: HOST } },
          ],
        },
      },
    },
    expected: 'b',
  },
];

describe('a decision', () => {
  it.each(cases)('$title', ({ nodes, placed = [], pod, expected }) => {
    expect(outcome(nodes, placed, pod)).toEqual(expected);
  });

  it('looks at all of few nodes and at a share of many', () => {
    expect([1, 99, 100, 1000, 5000, 20000].map(feasibleNodesWanted)).toEqual([1, 99, 100, 420, 500, 1000]);
  });

  it('forgets nothing and keeps nothing when Pods and nodes come and go', () => {
    const cluster = new ClusterState();
    const pod = podInfo(toPod({ name: 'p', owner: 'rs', requests: { cpu: '1' } }));
    cluster.setPod(pod, 'late');
    cluster.setNode(toNode({ name: 'late' }));
    expect(cluster.node('late')?.requested.cpuMillis).toBe(1000);
    cluster.removeNode('late');
    expect([...cluster.podsIn('ns')]).toEqual([]);
    cluster.setNode(toNode({ name: 'late' }));
    expect(cluster.ownedPerNode('rs').get('late')).toBe(1);
    cluster.setNode(toNode({ name: 'late', labels: zone('1') }));
    cluster.setNode(toNode({ name: 'late', labels: zone('2') }));
    expect([...cluster.ownedPerZone('rs')]).toEqual([['2', 1]]);
    cluster.setPod(pod, 'late');
    cluster.removePod('p');
    expect(cluster.ownedPerZone('rs').size).toBe(0);
    expect(cluster.node('late')?.requested.cpuMillis).toBe(0);
    expect(cluster.ownedPerNode('rs').size).toBe(0);
  });
});
