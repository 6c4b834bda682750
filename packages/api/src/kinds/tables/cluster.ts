/** Tables of access, network, storage, admission and extension kinds. */
import type { JsonObject, TableColumn } from '../../definition.ts';
import { humanDuration } from '../../human-duration.ts';
import { listAt, numberAt, objectAt, objectsAt, stringAt, stringsAt, trueAt, valueAt } from '../../json-value.ts';
import { formatLabelSelector, type LabelSelectorObject } from '../../label-selector.ts';
import { ageColumn, column, count, createdAtColumn, NONE, nameColumn, orNone, text, UNSET, wide } from './column.ts';

export const roleColumns: readonly TableColumn[] = [nameColumn, createdAtColumn];

export const roleBindingColumns: readonly TableColumn[] = [
  nameColumn,
  column('Role', (binding) => `${stringAt(binding, 'roleRef', 'kind')}/${stringAt(binding, 'roleRef', 'name')}`),
  ageColumn,
  wide('Users', (binding) => subjects(binding, 'User')),
  wide('Groups', (binding) => subjects(binding, 'Group')),
  wide('ServiceAccounts', (binding) => subjects(binding, 'ServiceAccount')),
];

export const certificateSigningRequestColumns: readonly TableColumn[] = [
  nameColumn,
  ageColumn,
  column('SignerName', text('spec', 'signerName')),
  column('Requestor', (request) => stringAt(request, 'spec', 'username')),
  column('RequestedDuration', (request) => {
    const seconds = numberAt(request, 'spec', 'expirationSeconds');
    return seconds === undefined ? NONE : humanDuration(seconds * 1000);
  }),
  column('Condition', certificateCondition),
];

export const ingressColumns: readonly TableColumn[] = [
  nameColumn,
  column('Class', text('spec', 'ingressClassName')),
  column('Hosts', ingressHosts),
  column('Address', (ingress) =>
    objectsAt(ingress, 'status', 'loadBalancer', 'ingress')
      .map((entry) => stringAt(entry, 'ip') || stringAt(entry, 'hostname'))
      .join(','),
  ),
  column('Ports', (ingress) => (listAt(ingress, 'spec', 'tls').length > 0 ? '80, 443' : '80')),
  ageColumn,
];

export const ingressClassColumns: readonly TableColumn[] = [
  nameColumn,
  column('Controller', (ingressClass) => stringAt(ingressClass, 'spec', 'controller')),
  column('Parameters', (ingressClass) => {
    const parameters = objectAt(ingressClass, 'spec', 'parameters');
    if (parameters === undefined) return NONE;
    const group = stringAt(parameters, 'apiGroup');
    return `${stringAt(parameters, 'kind')}${group === '' ? '' : `.${group}`}/${stringAt(parameters, 'name')}`;
  }),
  ageColumn,
];

export const networkPolicyColumns: readonly TableColumn[] = [
  nameColumn,
  column('Pod-Selector', (policy) => formatLabelSelector(valueAt(policy, 'spec', 'podSelector') as LabelSelectorObject | undefined)),
  ageColumn,
];

export const ipAddressColumns: readonly TableColumn[] = [
  nameColumn,
  column('ParentRef', (address) => {
    const parent = objectAt(address, 'spec', 'parentRef');
    if (parent === undefined) return NONE;
    const group = stringAt(parent, 'group');
    const owner = [stringAt(parent, 'namespace'), stringAt(parent, 'name')].filter((part) => part !== '').join('/');
    return `${stringAt(parent, 'resource')}${group === '' ? '' : `.${group}`}/${owner}`;
  }),
  ageColumn,
];

export const serviceCIDRColumns: readonly TableColumn[] = [
  nameColumn,
  column('CIDRs', (cidr) => stringsAt(cidr, 'spec', 'cidrs').join(',')),
  ageColumn,
];

export const storageClassColumns: readonly TableColumn[] = [
  column('Name', (storageClass) => `${stringAt(storageClass, 'metadata', 'name')}${isDefaultClass(storageClass) ? ' (default)' : ''}`),
  column('Provisioner', (storageClass) => stringAt(storageClass, 'provisioner')),
  column('ReclaimPolicy', (storageClass) => stringAt(storageClass, 'reclaimPolicy') || 'Delete'),
  column('VolumeBindingMode', (storageClass) => stringAt(storageClass, 'volumeBindingMode') || 'Immediate'),
  column('AllowVolumeExpansion', (storageClass) => trueAt(storageClass, 'allowVolumeExpansion')),
  ageColumn,
];

export const volumeAttachmentColumns: readonly TableColumn[] = [
  nameColumn,
  column('Attacher', (attachment) => stringAt(attachment, 'spec', 'attacher')),
  column('PV', (attachment) => stringAt(attachment, 'spec', 'source', 'persistentVolumeName')),
  column('Node', (attachment) => stringAt(attachment, 'spec', 'nodeName')),
  column('Attached', (attachment) => trueAt(attachment, 'status', 'attached')),
  ageColumn,
];

export const volumeAttributesClassColumns: readonly TableColumn[] = [
  nameColumn,
  column('DriverName', (attributesClass) => stringAt(attributesClass, 'driverName')),
  ageColumn,
];

export const csiDriverColumns: readonly TableColumn[] = [
  nameColumn,
  column('AttachRequired', (driver) => valueAt(driver, 'spec', 'attachRequired') !== false, 'boolean'),
  column('PodInfoOnMount', (driver) => trueAt(driver, 'spec', 'podInfoOnMount'), 'boolean'),
  column('StorageCapacity', (driver) => trueAt(driver, 'spec', 'storageCapacity'), 'boolean'),
  column('TokenRequests', (driver) => {
    const audiences = objectsAt(driver, 'spec', 'tokenRequests').map((request) => stringAt(request, 'audience'));
    return audiences.length === 0 ? UNSET : audiences.join(',');
  }),
  column('RequiresRepublish', (driver) => trueAt(driver, 'spec', 'requiresRepublish'), 'boolean'),
  column('Modes', (driver) => orNone(stringsAt(driver, 'spec', 'volumeLifecycleModes').join(','))),
  ageColumn,
];

export const csiNodeColumns: readonly TableColumn[] = [
  nameColumn,
  column('Drivers', (node) => listAt(node, 'spec', 'drivers').length, 'integer'),
  ageColumn,
];

export const runtimeClassColumns: readonly TableColumn[] = [
  nameColumn,
  column('Handler', (runtimeClass) => stringAt(runtimeClass, 'handler')),
  ageColumn,
];

export const webhookConfigurationColumns: readonly TableColumn[] = [
  nameColumn,
  column('Webhooks', (configuration) => listAt(configuration, 'webhooks').length, 'integer'),
  ageColumn,
];

export const validatingPolicyColumns: readonly TableColumn[] = [
  nameColumn,
  column('Validations', (policy) => listAt(policy, 'spec', 'validations').length, 'integer'),
  column('ParamKind', paramKind),
  ageColumn,
];

export const mutatingPolicyColumns: readonly TableColumn[] = [
  nameColumn,
  column('Mutations', (policy) => listAt(policy, 'spec', 'mutations').length, 'integer'),
  column('ParamKind', paramKind),
  ageColumn,
];

export const policyBindingColumns: readonly TableColumn[] = [
  nameColumn,
  column('PolicyName', (binding) => stringAt(binding, 'spec', 'policyName')),
  column('ParamRef', (binding) => {
    const parameter = objectAt(binding, 'spec', 'paramRef');
    if (parameter === undefined) return UNSET;
    const name = stringAt(parameter, 'name') || '*';
    const namespace = stringAt(parameter, 'namespace');
    return namespace === '' ? name : `${namespace}/${name}`;
  }),
  ageColumn,
];

export const flowSchemaColumns: readonly TableColumn[] = [
  nameColumn,
  column('PriorityLevel', (schema) => stringAt(schema, 'spec', 'priorityLevelConfiguration', 'name')),
  column('MatchingPrecedence', count('spec', 'matchingPrecedence'), 'integer'),
  column('DistinguisherMethod', text('spec', 'distinguisherMethod', 'type')),
  ageColumn,
  column('MissingPL', (schema) => {
    const dangling = objectsAt(schema, 'status', 'conditions').find((condition) => stringAt(condition, 'type') === 'Dangling');
    return dangling === undefined ? '?' : stringAt(dangling, 'status');
  }),
];

export const priorityLevelColumns: readonly TableColumn[] = [
  nameColumn,
  column('Type', (level) => stringAt(level, 'spec', 'type')),
  column('NominalConcurrencyShares', numberText('spec', 'limited', 'nominalConcurrencyShares')),
  column('Queues', numberText('spec', 'limited', 'limitResponse', 'queuing', 'queues')),
  column('HandSize', numberText('spec', 'limited', 'limitResponse', 'queuing', 'handSize')),
  column('QueueLengthLimit', numberText('spec', 'limited', 'limitResponse', 'queuing', 'queueLengthLimit')),
  ageColumn,
];

export const apiServiceColumns: readonly TableColumn[] = [
  nameColumn,
  column('Service', (service) => {
    const target = objectAt(service, 'spec', 'service');
    return target === undefined ? 'Local' : `${stringAt(target, 'namespace')}/${stringAt(target, 'name')}`;
  }),
  column('Available', (service) => {
    const condition = objectsAt(service, 'status', 'conditions').find((each) => stringAt(each, 'type') === 'Available');
    if (condition === undefined) return 'Unknown';
    const status = stringAt(condition, 'status');
    return status === 'True' ? status : `${status} (${stringAt(condition, 'reason')})`;
  }),
  ageColumn,
];

export const resourceClaimColumns: readonly TableColumn[] = [nameColumn, column('State', claimState), ageColumn];

export const resourceClaimTemplateColumns: readonly TableColumn[] = [nameColumn, ageColumn];

export const deviceClassColumns: readonly TableColumn[] = [nameColumn, ageColumn];

export const resourceSliceColumns: readonly TableColumn[] = [
  nameColumn,
  column('Node', (slice) => orNone(stringAt(slice, 'spec', 'nodeName'))),
  column('Driver', (slice) => stringAt(slice, 'spec', 'driver')),
  column('Pool', (slice) => stringAt(slice, 'spec', 'pool', 'name')),
  ageColumn,
];

function subjects(binding: JsonObject, kind: string): string {
  return objectsAt(binding, 'subjects')
    .filter((subject) => stringAt(subject, 'kind') === kind)
    .map((subject) =>
      kind === 'ServiceAccount' ? `${stringAt(subject, 'namespace')}/${stringAt(subject, 'name')}` : stringAt(subject, 'name'),
    )
    .join(', ');
}

function certificateCondition(request: JsonObject): string {
  const conditions = objectsAt(request, 'status', 'conditions').map((condition) => stringAt(condition, 'type'));
  const verdicts = ['Approved', 'Denied', 'Failed'].filter((type) => conditions.includes(type));
  if (stringAt(request, 'status', 'certificate') !== '') verdicts.push('Issued');
  return verdicts.length === 0 ? 'Pending' : verdicts.join(',');
}

const HOSTS_SHOWN_MAX = 3;

function ingressHosts(ingress: JsonObject): string {
  const hosts = objectsAt(ingress, 'spec', 'rules')
    .map((rule) => stringAt(rule, 'host'))
    .filter((host) => host !== '');
  if (hosts.length === 0) return '*';
  const shown = hosts.slice(0, HOSTS_SHOWN_MAX).join(',');
  return hosts.length > HOSTS_SHOWN_MAX ? `${shown} + ${hosts.length - HOSTS_SHOWN_MAX} more...` : shown;
}

function isDefaultClass(storageClass: JsonObject): boolean {
  return ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class'].some(
    (annotation) => stringAt(storageClass, 'metadata', 'annotations', annotation) === 'true',
  );
}

function paramKind(policy: JsonObject): string {
  const kind = objectAt(policy, 'spec', 'paramKind');
  return kind === undefined ? UNSET : `${stringAt(kind, 'apiVersion')}/${stringAt(kind, 'kind')}`;
}

function numberText(...path: readonly string[]): (object: JsonObject) => string {
  return (object) => String(numberAt(object, ...path) ?? NONE);
}

function claimState(claim: JsonObject): string {
  const states: string[] = [];
  if (stringAt(claim, 'metadata', 'deletionTimestamp') !== '') states.push('deleted');
  if (objectAt(claim, 'status', 'allocation') === undefined) {
    if (states.length === 0) states.push('pending');
  } else {
    states.push('allocated');
    if (listAt(claim, 'status', 'reservedFor').length > 0) states.push('reserved');
  }
  return states.join(',');
}
