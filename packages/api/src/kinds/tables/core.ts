/** Tables of the core group's kinds, the Pod's aside. */
import type { JsonObject, TableColumn } from '../../definition.ts';
import { formatAge } from '../../human-duration.ts';
import { listAt, numberAt, objectAt, objectsAt, stringAt, stringsAt, trueAt, valueAt } from '../../json-value.ts';
import { formatLabelSelector, type LabelSelectorObject } from '../../label-selector.ts';
import {
  ageColumn,
  column,
  containerColumns,
  count,
  createdAtColumn,
  hasCondition,
  labelsText,
  NONE,
  nameColumn,
  orNone,
  someOf,
  text,
  UNKNOWN,
  UNSET,
  wide,
} from './column.ts';

export const namespaceColumns: readonly TableColumn[] = [
  nameColumn,
  column('Status', (namespace) => stringAt(namespace, 'status', 'phase')),
  ageColumn,
];

export const nodeColumns: readonly TableColumn[] = [
  nameColumn,
  column('Status', nodeStatus),
  column('Roles', nodeRoles),
  ageColumn,
  column('Version', (node) => stringAt(node, 'status', 'nodeInfo', 'kubeletVersion')),
  wide('Internal-IP', (node) => nodeAddress(node, 'InternalIP')),
  wide('External-IP', (node) => nodeAddress(node, 'ExternalIP')),
  wide('OS-Image', (node) => nodeInfo(node, 'osImage')),
  wide('Kernel-Version', (node) => nodeInfo(node, 'kernelVersion')),
  wide('Container-Runtime', (node) => nodeInfo(node, 'containerRuntimeVersion')),
];

export const serviceColumns: readonly TableColumn[] = [
  nameColumn,
  column('Type', (service) => stringAt(service, 'spec', 'type')),
  column('Cluster-IP', (service) => orNone(stringsAt(service, 'spec', 'clusterIPs')[0] ?? '')),
  column('External-IP', externalIP),
  column('Port(s)', servicePorts),
  ageColumn,
  wide('Selector', (service) => labelsText(objectAt(service, 'spec', 'selector'))),
];

export const endpointsColumns: readonly TableColumn[] = [nameColumn, column('Endpoints', endpointsText), ageColumn];

export const endpointSliceColumns: readonly TableColumn[] = [
  nameColumn,
  column('AddressType', (slice) => stringAt(slice, 'addressType')),
  column('Ports', slicePorts),
  column('Endpoints', sliceEndpoints),
  ageColumn,
];

export const configMapColumns: readonly TableColumn[] = [
  nameColumn,
  column('Data', (map) => sizeOf(map, 'data') + sizeOf(map, 'binaryData'), 'integer'),
  ageColumn,
];

export const secretColumns: readonly TableColumn[] = [
  nameColumn,
  column('Type', (secret) => stringAt(secret, 'type')),
  column('Data', (secret) => sizeOf(secret, 'data'), 'integer'),
  ageColumn,
];

export const serviceAccountColumns: readonly TableColumn[] = [
  nameColumn,
  column('Secrets', (account) => listAt(account, 'secrets').length, 'integer'),
  ageColumn,
];

export const eventColumns: readonly TableColumn[] = [
  column('Last Seen', lastSeen),
  column('Type', (event) => stringAt(event, 'type')),
  column('Reason', (event) => stringAt(event, 'reason')),
  column('Object', eventObject),
  wide('Subobject', (event) => stringAt(event, 'involvedObject', 'fieldPath')),
  wide('Source', eventSource),
  column('Message', (event) => stringAt(event, 'message').trim()),
  wide('First Seen', firstSeen),
  wide('Count', (event) => numberAt(event, 'series', 'count') ?? (numberAt(event, 'count') || 1)),
  { ...nameColumn, priority: 1 },
];

export const replicationControllerColumns: readonly TableColumn[] = [
  nameColumn,
  column('Desired', count('spec', 'replicas'), 'integer'),
  column('Current', count('status', 'replicas'), 'integer'),
  column('Ready', count('status', 'readyReplicas'), 'integer'),
  ageColumn,
  ...containerColumns('spec', 'template'),
  wide('Selector', (controller) => labelsText(objectAt(controller, 'spec', 'selector'))),
];

export const persistentVolumeColumns: readonly TableColumn[] = [
  nameColumn,
  column('Capacity', (volume) => stringAt(volume, 'spec', 'capacity', 'storage')),
  column('Access Modes', (volume) => accessModes(stringsAt(volume, 'spec', 'accessModes'))),
  column('Reclaim Policy', (volume) => stringAt(volume, 'spec', 'persistentVolumeReclaimPolicy')),
  column('Status', (volume) => (isLeaving(volume) ? 'Terminating' : stringAt(volume, 'status', 'phase'))),
  column('Claim', (volume) => {
    const claim = objectAt(volume, 'spec', 'claimRef');
    return claim === undefined ? '' : `${stringAt(claim, 'namespace')}/${stringAt(claim, 'name')}`;
  }),
  column('StorageClass', (volume) => stringAt(volume, 'spec', 'storageClassName')),
  column('VolumeAttributesClass', (volume) => orUnset(stringAt(volume, 'spec', 'volumeAttributesClassName'))),
  column('Reason', (volume) => stringAt(volume, 'status', 'reason')),
  ageColumn,
  wide('VolumeMode', (volume) => orUnset(stringAt(volume, 'spec', 'volumeMode'))),
];

export const persistentVolumeClaimColumns: readonly TableColumn[] = [
  nameColumn,
  column('Status', (claim) => (isLeaving(claim) ? 'Terminating' : stringAt(claim, 'status', 'phase'))),
  column('Volume', (claim) => stringAt(claim, 'spec', 'volumeName')),
  column('Capacity', (claim) => (isBound(claim) ? stringAt(claim, 'status', 'capacity', 'storage') : '')),
  column('Access Modes', (claim) => (isBound(claim) ? accessModes(stringsAt(claim, 'status', 'accessModes')) : '')),
  column('StorageClass', (claim) => stringAt(claim, 'spec', 'storageClassName')),
  column('VolumeAttributesClass', (claim) => orUnset(stringAt(claim, 'spec', 'volumeAttributesClassName'))),
  ageColumn,
  wide('VolumeMode', (claim) => orUnset(stringAt(claim, 'spec', 'volumeMode'))),
];

export const resourceQuotaColumns: readonly TableColumn[] = [
  nameColumn,
  column('Request', (quota) => quotaText(quota, (name) => !name.startsWith('limits.'))),
  column('Limit', (quota) => quotaText(quota, (name) => name.startsWith('limits.'))),
  ageColumn,
];

export const limitRangeColumns: readonly TableColumn[] = [nameColumn, createdAtColumn];

export const podTemplateColumns: readonly TableColumn[] = [
  nameColumn,
  ...containerColumns('template').map((each) => ({ ...each, priority: 0 })),
  column('Pod Labels', (template) => labelsText(objectAt(template, 'template', 'metadata', 'labels'))),
];

export const componentStatusColumns: readonly TableColumn[] = [
  nameColumn,
  column('Status', (component) => (componentHealthy(component) ? 'Healthy' : 'Unhealthy')),
  column('Message', (component) => stringAt(objectsAt(component, 'conditions')[0], 'message')),
  column('Error', (component) => stringAt(objectsAt(component, 'conditions')[0], 'error')),
];

function nodeStatus(node: JsonObject): string {
  const known = objectsAt(node, 'status', 'conditions').some((condition) => stringAt(condition, 'type') === 'Ready');
  const ready = hasCondition(node, 'Ready') ? 'Ready' : known ? 'NotReady' : 'Unknown';
  return trueAt(node, 'spec', 'unschedulable') ? `${ready},SchedulingDisabled` : ready;
}

function nodeRoles(node: JsonObject): string {
  const prefix = 'node-role.kubernetes.io/';
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(objectAt(node, 'metadata', 'labels') ?? {})) {
    if (key.startsWith(prefix) && key.length > prefix.length) roles.add(key.slice(prefix.length));
    else if (key === 'kubernetes.io/role' && value !== '') roles.add(String(value));
  }
  return orNone([...roles].sort().join(','));
}

function nodeAddress(node: JsonObject, type: string): string {
  const found = objectsAt(node, 'status', 'addresses').find((address) => stringAt(address, 'type') === type);
  return orNone(stringAt(found, 'address'));
}

function nodeInfo(node: JsonObject, field: string): string {
  return stringAt(node, 'status', 'nodeInfo', field) || UNKNOWN;
}

function externalIP(service: JsonObject): string {
  const own = stringsAt(service, 'spec', 'externalIPs');
  switch (stringAt(service, 'spec', 'type')) {
    case 'ClusterIP':
    case 'NodePort':
      return orNone(own.join(','));
    case 'LoadBalancer': {
      const given = objectsAt(service, 'status', 'loadBalancer', 'ingress').map(
        (entry) => stringAt(entry, 'ip') || stringAt(entry, 'hostname'),
      );
      return [...given.filter((entry) => entry !== ''), ...own].join(',') || '<pending>';
    }
    case 'ExternalName':
      return stringAt(service, 'spec', 'externalName');
    default:
      return UNKNOWN;
  }
}

function servicePorts(service: JsonObject): string {
  const ports = objectsAt(service, 'spec', 'ports').map((port) => {
    const nodePort = numberAt(port, 'nodePort') ?? 0;
    const number = numberAt(port, 'port') ?? 0;
    return `${nodePort > 0 ? `${number}:${nodePort}` : number}/${stringAt(port, 'protocol')}`;
  });
  return orNone(ports.join(','));
}

function endpointsText(endpoints: JsonObject): string {
  const all: string[] = [];
  for (const subset of objectsAt(endpoints, 'subsets')) {
    const addresses = objectsAt(subset, 'addresses').map((address) => stringAt(address, 'ip'));
    const ports = objectsAt(subset, 'ports');
    if (ports.length === 0) all.push(...addresses);
    for (const port of ports) {
      for (const ip of addresses) all.push(`${ip.includes(':') ? `[${ip}]` : ip}:${numberAt(port, 'port') ?? 0}`);
    }
  }
  return all.length === 0 ? NONE : someOf(all);
}

function slicePorts(slice: JsonObject): string {
  const ports = objectsAt(slice, 'ports').map((port) => String(numberAt(port, 'port') ?? '*'));
  return ports.length === 0 ? UNSET : someOf(ports);
}

function sliceEndpoints(slice: JsonObject): string {
  const addresses = objectsAt(slice, 'endpoints').flatMap((endpoint) => stringsAt(endpoint, 'addresses'));
  return addresses.length === 0 ? UNSET : someOf(addresses);
}

function sizeOf(object: JsonObject, field: string): number {
  return Object.keys(objectAt(object, field) ?? {}).length;
}

function firstSeen(event: JsonObject, nowMs: number): string {
  return formatAge(stringAt(event, 'firstTimestamp') || stringAt(event, 'eventTime'), nowMs);
}

function lastSeen(event: JsonObject, nowMs: number): string {
  const series = stringAt(event, 'series', 'lastObservedTime');
  if (series !== '') return formatAge(series, nowMs);
  const last = stringAt(event, 'lastTimestamp');
  return last === '' ? firstSeen(event, nowMs) : formatAge(last, nowMs);
}

function eventObject(event: JsonObject): string {
  const kind = stringAt(event, 'involvedObject', 'kind').toLowerCase();
  const name = stringAt(event, 'involvedObject', 'name');
  return name === '' ? kind : `${kind}/${name}`;
}

function eventSource(event: JsonObject): string {
  const component = stringAt(event, 'source', 'component') || stringAt(event, 'reportingComponent');
  const host =
    stringAt(event, 'source', 'host') || (stringAt(event, 'source', 'component') === '' ? stringAt(event, 'reportingInstance') : '');
  return host === '' ? component : `${component}, ${host}`;
}

function accessModes(modes: readonly string[]): string {
  const short: Readonly<Record<string, string>> = {
    ReadWriteOnce: 'RWO',
    ReadOnlyMany: 'ROX',
    ReadWriteMany: 'RWX',
    ReadWriteOncePod: 'RWOP',
  };
  return Object.keys(short)
    .filter((mode) => modes.includes(mode))
    .map((mode) => short[mode])
    .join(',');
}

function isLeaving(object: JsonObject): boolean {
  return stringAt(object, 'metadata', 'deletionTimestamp') !== '';
}

function isBound(claim: JsonObject): boolean {
  return stringAt(claim, 'spec', 'volumeName') !== '';
}

function orUnset(value: string): string {
  return value === '' ? UNSET : value;
}

function quotaText(quota: JsonObject, wanted: (name: string) => boolean): string {
  const hard = objectAt(quota, 'status', 'hard') ?? {};
  const names = Object.keys(hard).filter(wanted).sort();
  return names.map((name) => `${name}: ${stringAt(quota, 'status', 'used', name) || '0'}/${String(hard[name])}`).join(', ');
}

function componentHealthy(component: JsonObject): boolean {
  return objectsAt(component, 'conditions').some(
    (condition) => stringAt(condition, 'type') === 'Healthy' && stringAt(condition, 'status') === 'True',
  );
}

/** The LabelSelector object at `path` as text. */
export function selectorText(...path: readonly string[]): (object: JsonObject) => string {
  return (object) => formatLabelSelector(valueAt(object, ...path) as LabelSelectorObject | undefined);
}

/** The holder of a Lease and the like. */
export const leaseColumns: readonly TableColumn[] = [
  nameColumn,
  column('Holder', (lease) => stringAt(lease, 'spec', 'holderIdentity')),
  ageColumn,
];

export const priorityClassColumns: readonly TableColumn[] = [
  nameColumn,
  column('Value', count('value'), 'integer'),
  column('Global-Default', (priority) => trueAt(priority, 'globalDefault'), 'boolean'),
  ageColumn,
  column('PreemptionPolicy', text('preemptionPolicy')),
];
