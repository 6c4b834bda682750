/** Defaults of the core group's kinds, Pods aside. */
import type { JsonObject } from '../../definition.ts';
import { cloneJson, ensureObject, numberAt, objectAt, objectsAt, own, setDefault, stringAt, stringsAt } from '../../json-value.ts';
import { setIfEmpty } from '../pods/pod-spec-defaults.ts';

const AFFINITY_TIMEOUT_SECONDS = 10_800;
const NAME_LABEL = 'kubernetes.io/metadata.name';

/** A Namespace carries its own name as a label, so that selectors can name it. */
export function defaultNamespace(namespace: JsonObject): void {
  const metadata = ensureObject(namespace, 'metadata');
  const name = stringAt(metadata, 'name');
  if (name !== '') ensureObject(metadata, 'labels')[NAME_LABEL] = name;
  setIfEmpty(ensureObject(namespace, 'status'), 'phase', 'Active');
}

export function defaultNode(node: JsonObject): void {
  const status = ensureObject(node, 'status');
  const capacity = objectAt(status, 'capacity');
  if (capacity !== undefined && own(status, 'allocatable') === undefined) status.allocatable = cloneJson(capacity);
}

export function defaultService(service: JsonObject): void {
  const spec = ensureObject(service, 'spec');
  setIfEmpty(spec, 'sessionAffinity', 'None');
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'ClientIP') {
    const client = ensureObject(ensureObject(spec, 'sessionAffinityConfig'), 'clientIP');
    setDefault(client, 'timeoutSeconds', AFFINITY_TIMEOUT_SECONDS);
  }
  setIfEmpty(spec, 'type', 'ClusterIP');
  for (const port of objectsAt(spec, 'ports')) {
    const target = own(port, 'targetPort');
    if (target === undefined || target === 0 || target === '') port.targetPort = numberAt(port, 'port') ?? 0;
  }
  const type = stringAt(spec, 'type');
  const reachable = type === 'NodePort' || type === 'LoadBalancer' || (type === 'ClusterIP' && stringsAt(spec, 'externalIPs').length > 0);
  if (reachable) setIfEmpty(spec, 'externalTrafficPolicy', 'Cluster');
  if (type !== 'ExternalName') setIfEmpty(spec, 'internalTrafficPolicy', 'Cluster');
  if (type === 'LoadBalancer') setDefault(spec, 'allocateLoadBalancerNodePorts', true);
}

export function defaultEndpoints(endpoints: JsonObject): void {
  for (const subset of objectsAt(endpoints, 'subsets')) {
    for (const port of objectsAt(subset, 'ports')) setIfEmpty(port, 'protocol', 'TCP');
  }
}

export function defaultEndpointSlice(slice: JsonObject): void {
  for (const port of objectsAt(slice, 'ports')) {
    setDefault(port, 'name', '');
    setDefault(port, 'protocol', 'TCP');
  }
}

export function defaultSecret(secret: JsonObject): void {
  setIfEmpty(secret, 'type', 'Opaque');
}

export function defaultPersistentVolume(volume: JsonObject): void {
  const spec = ensureObject(volume, 'spec');
  setIfEmpty(spec, 'persistentVolumeReclaimPolicy', 'Retain');
  setDefault(spec, 'volumeMode', 'Filesystem');
  const hostPath = objectAt(spec, 'hostPath');
  if (hostPath !== undefined) setDefault(hostPath, 'type', '');
  setIfEmpty(ensureObject(volume, 'status'), 'phase', 'Pending');
}

export function defaultPersistentVolumeClaim(claim: JsonObject): void {
  setDefault(ensureObject(claim, 'spec'), 'volumeMode', 'Filesystem');
  setIfEmpty(ensureObject(claim, 'status'), 'phase', 'Pending');
}

/** A container's missing default limit is its maximum, and its missing default request the default limit or the minimum. */
export function defaultLimitRange(limitRange: JsonObject): void {
  for (const item of objectsAt(limitRange, 'spec', 'limits')) {
    if (stringAt(item, 'type') !== 'Container') continue;
    const limits = ensureObject(item, 'default');
    const requests = ensureObject(item, 'defaultRequest');
    for (const [name, amount] of Object.entries(objectAt(item, 'max') ?? {})) setDefault(limits, name, amount);
    for (const [name, amount] of Object.entries(limits)) setDefault(requests, name, amount);
    for (const [name, amount] of Object.entries(objectAt(item, 'min') ?? {})) setDefault(requests, name, amount);
    if (Object.keys(limits).length === 0) delete item.default;
    if (Object.keys(requests).length === 0) delete item.defaultRequest;
  }
}
