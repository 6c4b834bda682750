/** What objects use of the things that ResourceQuotas limit. @see https://kubernetes.io/docs/concepts/policy/resource-quotas/ */
import type { JsonObject } from '../definition.ts';
import { integerAt, listAt, numberAt, objectAt, objectsAt, stringAt, valueAt } from '../json-value.ts';
import { formatQuantity, quantityFromUnits, quantityOf, quantityToUnits } from '../quantity.ts';
import { type Amounts, amountsOf, maxAmounts, ONE, ZERO } from './amounts.ts';
import { podLimits, podRequests } from './pod-amounts.ts';
import { claimMatchesScope, hasDeadline, podMatchesScope, type QuotaScope } from './scopes.ts';

/** A write of one object, as far as quota asks. */
export interface CountedWrite {
  readonly operation: string;
  readonly subresource: string;
  readonly object: JsonObject;
  readonly oldObject?: JsonObject;
}

/** How the objects of one resource count. Pure. */
export interface QuotaEvaluator {
  /** Whether the objects count towards what a quota calls `name`. */
  counts(name: string): boolean;
  matchesScope(object: JsonObject, scope: QuotaScope): boolean;
  /** @param nowMs Wall time: a Pod that should have ended counts no more. */
  usage(object: JsonObject, nowMs: number): Amounts;
  /** Whether the write may change what is used. */
  handles(write: CountedWrite): boolean;
  /** What the object must say and does not, where a quota limits `names`: `must specify limits.cpu for: app`. */
  omission?(object: JsonObject, names: readonly string[]): string | undefined;
}

/** Kinds that no quota counts: they are not stored, or are Events. */
const UNCOUNTED: ReadonlySet<string> = new Set([
  '/bindings',
  '/componentstatuses',
  '/events',
  'events.k8s.io/events',
  'authentication.k8s.io/selfsubjectreviews',
  'authentication.k8s.io/tokenreviews',
  'authorization.k8s.io/localsubjectaccessreviews',
  'authorization.k8s.io/selfsubjectaccessreviews',
  'authorization.k8s.io/selfsubjectrulesreviews',
  'authorization.k8s.io/subjectaccessreviews',
]);
/** Counted under their bare names too, as before there was `count/`. */
const BARE_NAMES = ['configmaps', 'replicationcontrollers', 'resourcequotas', 'secrets'];
const CLASS_MARK = '.storageclass.storage.k8s.io/';
const DEVICE_CLASS_MARK = '.deviceclass.resource.k8s.io/devices';
const IMPLICIT_DEVICE_CLASS = 'requests.deviceclass.resource.kubernetes.io/';
const HUGE_PAGES = 'hugepages-';
const REQUESTS = 'requests.';

const POD_NAMES: ReadonlySet<string> = new Set([
  'count/pods',
  'pods',
  ...['cpu', 'memory', 'ephemeral-storage'].flatMap((name) => [name, `requests.${name}`, `limits.${name}`]),
]);
/** Where a quota limits these, every container must name an amount. No others were added since: it was a mistake that clients rely on. */
const DEMANDED: ReadonlySet<string> = new Set(['cpu', 'memory'].flatMap((name) => [name, `requests.${name}`, `limits.${name}`]));
const SERVICE_NAMES: ReadonlySet<string> = new Set(['count/services', 'services', 'services.nodeports', 'services.loadbalancers']);

/** How objects of a resource count, or `undefined` where none do. */
export function quotaEvaluator(group: string, resource: string): QuotaEvaluator | undefined {
  const id = `${group}/${resource}`;
  if (UNCOUNTED.has(id)) return undefined;
  switch (id) {
    case '/pods':
      return podEvaluator;
    case '/services':
      return serviceEvaluator;
    case '/persistentvolumeclaims':
      return claimEvaluator;
    case 'resource.k8s.io/resourceclaims':
      return deviceClaimEvaluator;
    default:
      return countEvaluator(group, resource);
  }
}

/** The resources whose objects count towards what a quota calls `name`. */
export function resourcesCountedAs(name: string): readonly { readonly group: string; readonly resource: string }[] {
  if (name.startsWith('count/')) {
    const [resource = '', ...group] = name.slice('count/'.length).split('.');
    return [{ group: group.join('.'), resource }];
  }
  if (BARE_NAMES.includes(name)) return [{ group: '', resource: name }];
  const special = [
    { group: '', resource: 'pods', evaluator: podEvaluator },
    { group: '', resource: 'services', evaluator: serviceEvaluator },
    { group: '', resource: 'persistentvolumeclaims', evaluator: claimEvaluator },
    { group: 'resource.k8s.io', resource: 'resourceclaims', evaluator: deviceClaimEvaluator },
  ];
  return special.filter(({ evaluator }) => evaluator.counts(name)).map(({ group, resource }) => ({ group, resource }));
}

function countEvaluator(group: string, resource: string): QuotaEvaluator {
  const names = [group === '' ? `count/${resource}` : `count/${resource}.${group}`];
  if (group === '' && BARE_NAMES.includes(resource)) names.push(resource);
  const one: Amounts = new Map(names.map((name) => [name, ONE]));
  return {
    counts: (name) => one.has(name),
    matchesScope: () => false,
    usage: () => one,
    handles: ({ operation, subresource }) => operation === 'CREATE' && subresource === '',
  };
}

const podEvaluator: QuotaEvaluator = {
  counts: (name) =>
    POD_NAMES.has(name) || [HUGE_PAGES, `${REQUESTS}${HUGE_PAGES}`].some((prefix) => name.startsWith(prefix)) || isDevice(name),
  matchesScope: podMatchesScope,
  usage(pod, nowMs) {
    const counted: Amounts = new Map([['count/pods', ONE]]);
    if (hasEnded(pod, nowMs)) return counted;
    const options = { overhead: true, status: true };
    return new Map([...counted, ...computeUsage(podRequests(pod, options), podLimits(pod, options))]);
  },
  handles({ operation, subresource, object, oldObject }) {
    if (subresource === 'resize') return operation === 'UPDATE';
    if (subresource !== '') return false;
    return operation === 'CREATE' || (oldObject !== undefined && hasDeadline(object) !== hasDeadline(oldObject));
  },
  omission(pod, names) {
    const own = objectAt(pod, 'spec', 'resources');
    if (Object.keys(own?.requests ?? {}).length + Object.keys(own?.limits ?? {}).length > 0) return undefined;
    const silent = new Map<string, Set<string>>();
    for (const container of [...objectsAt(pod, 'spec', 'containers'), ...objectsAt(pod, 'spec', 'initContainers')]) {
      const said = computeUsage(
        amountsOf(objectAt(container, 'resources', 'requests')),
        amountsOf(objectAt(container, 'resources', 'limits')),
      );
      for (const name of names) {
        if (!DEMANDED.has(name) || said.has(name)) continue;
        silent.set(name, (silent.get(name) ?? new Set()).add(stringAt(container, 'name')));
      }
    }
    if (silent.size === 0) return undefined;
    const parts = [...silent]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, by]) => `${name} for: ${[...by].sort().join(',')}`);
    return `must specify ${parts.join('; ')}`;
  },
};

/** What requests and limits count as. */
function computeUsage(requests: Amounts, limits: Amounts): Amounts {
  const usage = new Map([['pods', ONE]]);
  for (const [name, amount] of requests) {
    const native = name === 'cpu' || name === 'memory' || name === 'ephemeral-storage' || name.startsWith(HUGE_PAGES);
    if (native) usage.set(name, amount);
    if (native || isDevice(`${REQUESTS}${name}`)) usage.set(`${REQUESTS}${name}`, amount);
  }
  for (const name of ['cpu', 'memory', 'ephemeral-storage']) {
    const limit = limits.get(name);
    if (limit !== undefined) usage.set(`limits.${name}`, limit);
  }
  return usage;
}

/** `requests.` and the name of something that is no part of Kubernetes itself: a device. */
function isDevice(name: string): boolean {
  if (!name.startsWith(REQUESTS)) return false;
  if (name.startsWith(IMPLICIT_DEVICE_CLASS)) return true;
  return name.includes('/') && !name.includes('kubernetes.io/');
}

/** A Pod that will not run again, or should be gone: its node may be lost, and its owner must be able to start another. */
function hasEnded(pod: JsonObject, nowMs: number): boolean {
  const phase = stringAt(pod, 'status', 'phase');
  if (phase === 'Failed' || phase === 'Succeeded') return true;
  const graceS = numberAt(pod, 'metadata', 'deletionGracePeriodSeconds');
  const deletedAt = stringAt(pod, 'metadata', 'deletionTimestamp');
  return deletedAt !== '' && graceS !== undefined && nowMs > Date.parse(deletedAt) + graceS * 1000;
}

const serviceEvaluator: QuotaEvaluator = {
  counts: (name) => SERVICE_NAMES.has(name),
  matchesScope: () => false,
  usage(service) {
    const ports = objectsAt(service, 'spec', 'ports');
    const type = stringAt(service, 'spec', 'type');
    // Ports are not allocated yet when this is asked: what counts is what the Service wants.
    const wanting =
      valueAt(service, 'spec', 'allocateLoadBalancerNodePorts') === false ? ports.filter(({ nodePort }) => (nodePort ?? 0) !== 0) : ports;
    const nodePorts = type === 'NodePort' ? ports.length : type === 'LoadBalancer' ? wanting.length : 0;
    return new Map([
      ['count/services', ONE],
      ['services', ONE],
      ['services.nodeports', quantityFromUnits(nodePorts)],
      ['services.loadbalancers', type === 'LoadBalancer' ? ONE : ZERO],
    ]);
  },
  handles: ({ operation, subresource }) => subresource === '' && (operation === 'CREATE' || operation === 'UPDATE'),
};

const CLAIM_NAMES = ['persistentvolumeclaims', 'requests.storage'];

const claimEvaluator: QuotaEvaluator = {
  counts: (name) =>
    name === 'count/persistentvolumeclaims' || CLAIM_NAMES.some((own) => name === own || name.endsWith(`${CLASS_MARK}${own}`)),
  matchesScope: claimMatchesScope,
  usage(claim) {
    const asked = quantityOf(valueAt(claim, 'spec', 'resources', 'requests', 'storage'));
    const allocated = quantityOf(valueAt(claim, 'status', 'allocatedResources', 'storage'));
    const bytes = asked === undefined ? undefined : allocated !== undefined && allocated.nanos > asked.nanos ? allocated : asked;
    const plain = new Map([['persistentvolumeclaims', ONE]]);
    if (bytes !== undefined) plain.set('requests.storage', quantityFromUnits(quantityToUnits(bytes), bytes.format));
    const storageClass = storageClassOf(claim);
    const byClass = storageClass === '' ? [] : [...plain].map(([name, amount]) => [`${storageClass}${CLASS_MARK}${name}`, amount] as const);
    return new Map([['count/persistentvolumeclaims', ONE], ...plain, ...byClass]);
  },
  handles({ operation, subresource, object, oldObject }) {
    if (subresource === 'status') return oldObject !== undefined && statusMatters(object) !== statusMatters(oldObject);
    return subresource === '' && (operation === 'CREATE' || operation === 'UPDATE');
  },
};

function storageClassOf(claim: JsonObject): string {
  const annotations = objectAt(claim, 'metadata', 'annotations');
  // The annotation is older than the field, and wins where both are there.
  return stringAt(annotations, 'volume.beta.kubernetes.io/storage-class') || stringAt(claim, 'spec', 'storageClassName');
}

function statusMatters(claim: JsonObject): string {
  const storage = quantityOf(valueAt(claim, 'status', 'allocatedResources', 'storage'));
  return [
    storage === undefined ? '' : formatQuantity(storage),
    stringAt(claim, 'status', 'currentVolumeAttributesClassName'),
    stringAt(claim, 'status', 'modifyVolumeStatus', 'targetVolumeAttributesClassName'),
  ].join('\n');
}

const deviceClaimEvaluator: QuotaEvaluator = {
  counts: (name) => name === 'count/resourceclaims.resource.k8s.io' || name.endsWith(DEVICE_CLASS_MARK),
  matchesScope: () => false,
  usage(claim) {
    const devices = new Map<string, bigint>();
    for (const request of objectsAt(claim, 'spec', 'devices', 'requests')) {
      for (const [name, count] of devicesOf(request)) devices.set(name, (devices.get(name) ?? 0n) + count);
    }
    return new Map([
      ['count/resourceclaims.resource.k8s.io', ONE],
      ...[...devices].map(([name, count]) => [`${name}${DEVICE_CLASS_MARK}`, quantityFromUnits(count)] as const),
    ]);
  },
  handles: ({ operation, subresource }) => subresource === '' && (operation === 'CREATE' || operation === 'UPDATE'),
};

/** Devices of each class that a request may come to: of alternatives each class' worst case. */
function devicesOf(request: JsonObject): ReadonlyMap<string, bigint> {
  const alternatives =
    listAt(request, 'firstAvailable').length > 0 ? objectsAt(request, 'firstAvailable') : [objectAt(request, 'exactly') ?? {}];
  const worst = alternatives
    .map((one): Amounts => new Map([[stringAt(one, 'deviceClassName'), quantityFromUnits(deviceCount(one))]]))
    .reduce(maxAmounts, new Map());
  return new Map([...worst].map(([name, amount]) => [name, quantityToUnits(amount)]));
}

/** As many as one allocation may hold, where all that match are asked for. */
const DEVICES_MAX = 32;

function deviceCount(request: JsonObject): number | bigint {
  return stringAt(request, 'allocationMode') === 'All' ? DEVICES_MAX : (integerAt(request, 'count') ?? 1);
}
