/** How requests are told apart, and how much of the server each sort may have, where nobody says otherwise. The values are upstream's. */
import type { JsonObject } from '@dure/api';

const API_VERSION = 'flowcontrol.apiserver.k8s.io/v1';
/** "true": a later start may change what the object says; an operator who changes it sets "false". */
export const AUTOUPDATE = 'apf.kubernetes.io/autoupdate-spec';

/** Levels without which requests could not be sorted: put back whenever they are changed or deleted. */
export const mandatoryPriorityLevels: readonly JsonObject[] = [
  priorityLevel('exempt', { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } }),
  priorityLevel('catch-all', {
    type: 'Limited',
    limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: 'Reject' } },
  }),
];

/** Levels of the usual cluster; an operator may change them. */
export const suggestedPriorityLevels: readonly JsonObject[] = [
  // Nodes at work, but for what tells that they live.
  priorityLevel('system', queued(30, 33, 64, 6)),
  // What tells that nodes live, so that it goes through while Pods start by the hundred.
  priorityLevel('node-high', queued(40, 25, 64, 6)),
  priorityLevel('leader-election', queued(10, 0, 16, 4)),
  priorityLevel('workload-high', queued(40, 50, 128, 6)),
  priorityLevel('workload-low', queued(100, 90, 128, 6)),
  priorityLevel('global-default', queued(20, 50, 128, 6)),
];

const EVERYTHING: JsonObject = {
  resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
};
const EVERYBODY = [group('system:unauthenticated'), group('system:authenticated')];

/** Belong to the mandatory levels, and are put back like them. */
export const mandatoryFlowSchemas: readonly JsonObject[] = [
  flowSchema('exempt', 'exempt', 1, undefined, { subjects: [group('system:masters')], ...EVERYTHING }),
  flowSchema('catch-all', 'catch-all', 10_000, 'ByUser', { subjects: EVERYBODY, ...EVERYTHING }),
];

/** In the order in which they are asked. */
export const suggestedFlowSchemas: readonly JsonObject[] = [
  flowSchema('probes', 'exempt', 2, undefined, {
    subjects: EVERYBODY,
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
  }),
  flowSchema('system-leader-election', 'leader-election', 100, 'ByUser', {
    subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler'), systemAccounts()],
    resourceRules: [{ verbs: ['get', 'create', 'update'], apiGroups: ['coordination.k8s.io'], resources: ['leases'], namespaces: ['*'] }],
  }),
  flowSchema('system-node-high', 'node-high', 400, 'ByUser', {
    subjects: [group('system:nodes')],
    resourceRules: [
      { verbs: ['*'], apiGroups: [''], resources: ['nodes', 'nodes/status'], namespaces: ['*'], clusterScope: true },
      { verbs: ['*'], apiGroups: ['coordination.k8s.io'], resources: ['leases'], namespaces: ['*'] },
    ],
  }),
  flowSchema('system-nodes', 'system', 500, 'ByUser', { subjects: [group('system:nodes')], ...EVERYTHING }),
  flowSchema('kube-controller-manager', 'workload-high', 800, 'ByNamespace', {
    subjects: [user('system:kube-controller-manager')],
    ...EVERYTHING,
  }),
  flowSchema('kube-scheduler', 'workload-high', 800, 'ByNamespace', { subjects: [user('system:kube-scheduler')], ...EVERYTHING }),
  flowSchema('kube-system-service-accounts', 'workload-high', 900, 'ByNamespace', { subjects: [systemAccounts()], ...EVERYTHING }),
  flowSchema('service-accounts', 'workload-low', 9000, 'ByUser', { subjects: [group('system:serviceaccounts')], ...EVERYTHING }),
  flowSchema('global-default', 'global-default', 9900, 'ByUser', { subjects: EVERYBODY, ...EVERYTHING }),
];

function priorityLevel(name: string, spec: JsonObject): JsonObject {
  return { apiVersion: API_VERSION, kind: 'PriorityLevelConfiguration', metadata: { name, annotations: { [AUTOUPDATE]: 'true' } }, spec };
}

function queued(nominalConcurrencyShares: number, lendablePercent: number, queues: number, handSize: number): JsonObject {
  const limitResponse = { type: 'Queue', queuing: { queues, handSize, queueLengthLimit: 50 } };
  return { type: 'Limited', limited: { nominalConcurrencyShares, lendablePercent, limitResponse } };
}

function flowSchema(
  name: string,
  level: string,
  matchingPrecedence: number,
  distinguisher: 'ByUser' | 'ByNamespace' | undefined,
  rules: JsonObject,
): JsonObject {
  return {
    apiVersion: API_VERSION,
    kind: 'FlowSchema',
    metadata: { name, annotations: { [AUTOUPDATE]: 'true' } },
    spec: {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence,
      ...(distinguisher === undefined ? {} : { distinguisherMethod: { type: distinguisher } }),
      rules: [rules],
    },
  };
}

function group(name: string): JsonObject {
  return { kind: 'Group', group: { name } };
}

function user(name: string): JsonObject {
  return { kind: 'User', user: { name } };
}

function systemAccounts(): JsonObject {
  return { kind: 'ServiceAccount', serviceAccount: { namespace: 'kube-system', name: '*' } };
}
