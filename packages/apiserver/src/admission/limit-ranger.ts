import {
  type Amounts,
  amountsJson,
  amountsOf,
  compareQuantities,
  formatQuantity,
  type JsonObject,
  objectAt,
  objectsAt,
  podLimits,
  podRequests,
  type Quantity,
  stringAt,
} from '@dure/api';
import type { AdmissionRequest } from '../contract/admission.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import { type AdmissionPlugin, writes } from './admission-chain.ts';
import { asObject, objectsIn, textIn } from './pod-shape.ts';
import { refusal } from './refusal.ts';

const ANNOTATION = 'kubernetes.io/limit-ranger';

/**
 * Gives containers the requests and limits that their namespace's LimitRanges name as defaults, and refuses Pods and claims outside the bounds.
 * @see https://kubernetes.io/docs/concepts/policy/limit-range/
 */
export function limitRanger(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'LimitRanger',
    async mutate(request) {
      if (!isLimited(request) || request.resource !== 'pods' || request.object === undefined) return;
      for (const item of await limitsIn(reader, request.namespace)) setDefaults(request.object, item);
    },
    async validate(request) {
      if (!isLimited(request) || request.object === undefined) return;
      for (const item of await limitsIn(reader, request.namespace)) {
        const faults = [...new Set(request.resource === 'pods' ? podFaults(request.object, item) : claimFaults(request.object, item))];
        if (faults.length === 0) continue;
        const why = faults.length === 1 ? (faults[0] ?? '') : `[${faults.join(', ')}]`;
        throw refusal(request, why);
      }
    },
  };
}

/** Updates of a Pod change no resources, but for the one door that is there for it. */
function isLimited(request: AdmissionRequest): boolean {
  if (request.group !== '' || request.oldObject?.metadata.deletionTimestamp !== undefined) return false;
  if (request.resource === 'pods' && request.subresource === 'resize') return request.operation === 'UPDATE';
  if (writes(request, 'pods')) return request.operation === 'CREATE';
  return writes(request, 'persistentvolumeclaims') && (request.operation === 'CREATE' || request.operation === 'UPDATE');
}

/** The limits of all LimitRanges of the namespace, from the cache: every Pod asks, and a range counts from when it is seen. */
async function limitsIn(reader: ObjectReader, namespace: string): Promise<readonly JsonObject[]> {
  const ranges = await reader.list('', 'limitranges', { namespace });
  return ranges.flatMap((range) => objectsAt(range as unknown as JsonObject, 'spec', 'limits'));
}

function setDefaults(pod: JsonObject, item: JsonObject): void {
  if (item.type !== 'Container') return;
  const set: string[] = [];
  for (const [list, words] of [
    ['containers', 'container'],
    ['initContainers', 'init container'],
  ] as const) {
    for (const container of objectsIn(asObject(pod.spec)?.[list])) {
      const resources = { ...asObject(container.resources) };
      for (const [side, field, word] of [
        ['requests', 'defaultRequest', 'request'],
        ['limits', 'default', 'limit'],
      ] as const) {
        const own = asObject(resources[side]) ?? {};
        const missing = [...amountsOf(objectAt(item, field))].filter(([name]) => !Object.hasOwn(own, name));
        if (missing.length === 0) continue;
        resources[side] = { ...own, ...amountsJson(new Map(missing)) };
        set.push(
          `${missing
            .map(([name]) => name)
            .sort()
            .join(', ')} ${word} for ${words} ${textIn(container.name)}`,
        );
      }
      if (Object.keys(resources).length > 0) container.resources = resources;
    }
  }
  if (set.length === 0) return;
  const metadata = asObject(pod.metadata) ?? {};
  metadata.annotations = { ...asObject(metadata.annotations), [ANNOTATION]: `LimitRanger plugin set: ${set.join('; ')}` };
  pod.metadata = metadata;
}

function podFaults(pod: JsonObject, item: JsonObject): readonly string[] {
  const type = stringAt(item, 'type');
  if (type === 'Container') {
    return [...objectsAt(pod, 'spec', 'containers'), ...objectsAt(pod, 'spec', 'initContainers')].flatMap((container) =>
      boundFaults(
        type,
        item,
        amountsOf(objectAt(container, 'resources', 'requests')),
        amountsOf(objectAt(container, 'resources', 'limits')),
      ),
    );
  }
  if (type !== 'Pod') return [];
  const options = { overhead: false, status: false };
  return boundFaults(type, item, podRequests(pod, options), podLimits(pod, options));
}

/** Claims have requests only. */
function claimFaults(claim: JsonObject, item: JsonObject): readonly string[] {
  const type = stringAt(item, 'type');
  if (type !== 'PersistentVolumeClaim') return [];
  const requests = amountsOf(objectAt(claim, 'spec', 'resources', 'requests'));
  return [
    ...bounds(item, 'min').flatMap((bound) => minimumFault(type, bound, requests, new Map())),
    ...bounds(item, 'max').flatMap(([name, max]) => {
      const request = requests.get(name);
      const rule = `maximum ${name} usage per ${type} is ${formatQuantity(max)}`;
      if (request === undefined) return [`${rule}.  No request is specified`];
      return compareQuantities(request, max) > 0 ? [`${rule}, but request is ${formatQuantity(request)}`] : [];
    }),
  ];
}

function boundFaults(type: string, item: JsonObject, requests: Amounts, limits: Amounts): readonly string[] {
  return [
    ...bounds(item, 'min').flatMap((bound) => minimumFault(type, bound, requests, limits)),
    ...bounds(item, 'max').flatMap((bound) => maximumFault(type, bound, requests, limits)),
    ...bounds(item, 'maxLimitRequestRatio').flatMap((bound) => ratioFault(type, bound, requests, limits)),
  ];
}

type Bound = readonly [name: string, bound: Quantity];

function bounds(item: JsonObject, field: string): readonly Bound[] {
  return [...amountsOf(objectAt(item, field))].sort(([one], [other]) => (one < other ? -1 : 1));
}

function minimumFault(type: string, [name, min]: Bound, requests: Amounts, limits: Amounts): readonly string[] {
  const request = requests.get(name);
  const limit = limits.get(name);
  const rule = `minimum ${name} usage per ${type} is ${formatQuantity(min)}`;
  if (request === undefined) return [`${rule}.  No request is specified`];
  if (compareQuantities(request, min) < 0) return [`${rule}, but request is ${formatQuantity(request)}`];
  return limit !== undefined && compareQuantities(limit, min) < 0 ? [`${rule}, but limit is ${formatQuantity(limit)}`] : [];
}

function maximumFault(type: string, [name, max]: Bound, requests: Amounts, limits: Amounts): readonly string[] {
  const request = requests.get(name);
  const limit = limits.get(name);
  const rule = `maximum ${name} usage per ${type} is ${formatQuantity(max)}`;
  if (limit === undefined) return [`${rule}.  No limit is specified`];
  if (compareQuantities(limit, max) > 0) return [`${rule}, but limit is ${formatQuantity(limit)}`];
  return request !== undefined && compareQuantities(request, max) > 0 ? [`${rule}, but request is ${formatQuantity(request)}`] : [];
}

function ratioFault(type: string, [name, max]: Bound, requests: Amounts, limits: Amounts): readonly string[] {
  const request = requests.get(name)?.nanos ?? 0n;
  const limit = limits.get(name)?.nanos ?? 0n;
  const rule = `${name} max limit to request ratio per ${type} is ${formatQuantity(max)}`;
  if (request === 0n) return [`${rule}, but no request is specified or request is 0`];
  if (limit === 0n) return [`${rule}, but no limit is specified or limit is 0`];
  const isWithin = limit * 1_000_000_000n <= max.nanos * request;
  return isWithin ? [] : [`${rule}, but provided ratio is ${(Number(limit) / Number(request)).toFixed(6)}`];
}
