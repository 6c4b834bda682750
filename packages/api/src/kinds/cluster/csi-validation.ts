/** What storage drivers say of themselves, and what is attached where: storage.k8s.io beside classes. */
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required, tooLong } from '../../field-error.ts';
import { integerAt, listAt, objectAt, objectsAt, own, semanticEqual, stringAt, stringsAt } from '../../json-value.ts';
import { type LabelSelectorObject, validateLabelSelector } from '../../label-selector.ts';
import { checkDns1123Subdomain, checkQualifiedName } from '../../name-syntax.ts';
import { checked, immutable, nonNegative, oneOf } from '../rules.ts';
import { validateProvisioner, validateProvisionerParameters } from './storage-validation.ts';

const METADATA_BYTES_MAX = 256 * 1024;
const ERROR_MESSAGE_MAX = 1024;
const NODE_ID_MAX = 256;
const DRIVER_NAME_MAX = 63;
const FS_GROUP_POLICIES = ['File', 'None', 'ReadWriteOnceWithFSType'];
const LIFECYCLE_MODES = ['Persistent', 'Ephemeral'];
const PERIOD_SECONDS_MIN = 10;
const TOKEN_SECONDS_MIN = 600;
const TOKEN_SECONDS_MAX = 2 ** 32;

export function validateVolumeAttachment(attachment: JsonObject): FieldError[] {
  const spec = objectAt(attachment, 'spec');
  const status = objectAt(attachment, 'status');
  return [
    ...driverName('spec.attacher', stringAt(spec, 'attacher')),
    ...attachmentSource(objectAt(spec, 'source') ?? {}),
    ...checked('spec.nodeName', stringAt(spec, 'nodeName'), checkDns1123Subdomain),
    ...metadataSize(objectAt(status, 'attachmentMetadata') ?? {}),
    ...['attachError', 'detachError'].flatMap((field) => volumeError(objectAt(status, field), `status.${field}`)),
  ];
}

export function validateVolumeAttachmentUpdate(attachment: JsonObject, old: JsonObject): FieldError[] {
  return immutable(attachment, old, 'spec', 'spec');
}

export function validateVolumeAttributesClass(attributesClass: JsonObject): FieldError[] {
  return [
    ...validateProvisioner('driverName', stringAt(attributesClass, 'driverName')),
    ...validateProvisionerParameters(attributesClass, { mayBeEmpty: false }),
  ];
}

export function validateVolumeAttributesClassUpdate(attributesClass: JsonObject, old: JsonObject): FieldError[] {
  return ['driverName', 'parameters'].flatMap((field) =>
    semanticEqual(own(attributesClass, field), own(old, field)) ? [] : [forbidden(field, `updates to ${field} are forbidden.`)],
  );
}

export function validateCsiDriver(driver: JsonObject): FieldError[] {
  const spec = objectAt(driver, 'spec') ?? {};
  const errors = [...oneOf(spec, 'fsGroupPolicy', 'spec', FS_GROUP_POLICIES), ...tokenRequests(objectsAt(spec, 'tokenRequests'))];
  for (const mode of stringsAt(spec, 'volumeLifecycleModes')) {
    if (!LIFECYCLE_MODES.includes(mode)) errors.push(notSupported('spec.volumeLifecycleModes', mode, LIFECYCLE_MODES));
  }
  const period = integerAt(spec, 'nodeAllocatableUpdatePeriodSeconds');
  if (period !== undefined && period < PERIOD_SECONDS_MIN)
    errors.push(invalid('spec.nodeAllocatableUpdatePeriodSeconds', period, 'must be greater than or equal to 10 seconds'));
  const inSecrets = own(spec, 'serviceAccountTokenInSecrets');
  if (typeof inSecrets === 'boolean' && listAt(spec, 'tokenRequests').length === 0) {
    const fault = 'serviceAccountTokenInSecrets is set but no tokenRequests are specified';
    errors.push(invalid('spec.serviceAccountTokenInSecrets', inSecrets, fault));
  }
  return errors;
}

export function validateCsiDriverUpdate(driver: JsonObject, old: JsonObject): FieldError[] {
  const [now, before] = [objectAt(driver, 'spec') ?? {}, objectAt(old, 'spec') ?? {}];
  return [
    // Upstream's path has the name that the field had once.
    ...immutable(now, before, 'attachRequired', 'spec.attachedRequired'),
    ...immutable(now, before, 'volumeLifecycleModes', 'spec.volumeLifecycleModes'),
  ];
}

export function validateCsiNode(node: JsonObject): FieldError[] {
  const names = new Set<string>();
  return objectsAt(node, 'spec', 'drivers').flatMap((driver, index) => {
    const path = `spec.drivers[${index}]`;
    const name = stringAt(driver, 'name');
    const nodeId = stringAt(driver, 'nodeID');
    const errors = driverName(`${path}.name`, name);
    if (nodeId === '') errors.push(required(`${path}.nodeID`));
    if (nodeId.length > NODE_ID_MAX) errors.push(invalid(`${path}.nodeID`, nodeId, `must be ${NODE_ID_MAX} characters or less`));
    errors.push(...nonNegative(objectAt(driver, 'allocatable') ?? {}, 'count', `${path}.allocatable`));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    return [...errors, ...topologyKeys(stringsAt(driver, 'topologyKeys'), path)];
  });
}

/** What a driver said of a node stays, but for how much fits there. */
export function validateCsiNodeUpdate(node: JsonObject, old: JsonObject): FieldError[] {
  const before = new Map(objectsAt(old, 'spec', 'drivers').map((driver) => [stringAt(driver, 'name'), driver]));
  return objectsAt(node, 'spec', 'drivers').flatMap((driver) => {
    const known = before.get(stringAt(driver, 'name'));
    if (known === undefined) return [];
    const [{ allocatable: _now, ...rest }, { allocatable: _before, ...kept }] = [driver, known];
    return semanticEqual(rest, kept) ? [] : [invalid('spec.drivers', rest, 'field is immutable')];
  });
}

export function validateCsiStorageCapacity(capacity: JsonObject): FieldError[] {
  const topology = objectAt(capacity, 'nodeTopology');
  return [
    ...(topology === undefined ? [] : validateLabelSelector(topology as unknown as LabelSelectorObject, 'nodeTopology')),
    ...checked('storageClassName', stringAt(capacity, 'storageClassName'), checkDns1123Subdomain),
    ...(stringAt(capacity, 'capacity').startsWith('-')
      ? [invalid('capacity', stringAt(capacity, 'capacity'), 'must be greater than or equal to 0')]
      : []),
  ];
}

export function validateCsiStorageCapacityUpdate(capacity: JsonObject, old: JsonObject): FieldError[] {
  return ['nodeTopology', 'storageClassName'].flatMap((field) => immutable(capacity, old, field, field));
}

/** As DNS writes names, though letters may be large. */
function driverName(path: string, name: string): FieldError[] {
  if (name === '') return [required(path)];
  const errors = name.length > DRIVER_NAME_MAX ? [tooLong(path, DRIVER_NAME_MAX)] : [];
  return [...errors, ...checkDns1123Subdomain(name.toLowerCase()).map((fault) => invalid(path, name, fault))];
}

function attachmentSource(source: JsonObject): FieldError[] {
  const path = 'spec.source';
  const fault = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName';
  const name = own(source, 'persistentVolumeName');
  const inline = objectAt(source, 'inlineVolumeSpec');
  if (name === undefined && inline === undefined) return [required(path, fault)];
  if (name !== undefined && inline !== undefined) return [forbidden(path, fault)];
  if (inline === undefined) {
    if (name === '') return [required(`${path}.persistentVolumeName`, 'must specify non empty persistentVolumeName')];
    return checked(`${path}.persistentVolumeName`, String(name), checkDns1123Subdomain);
  }
  return inlineVolume(inline, `${path}.inlineVolumeSpec`);
}

/** A volume that only this attachment knows: nothing of it may speak of claims, classes or topology. */
function inlineVolume(spec: JsonObject, path: string): FieldError[] {
  const context = 'in the context of inline volumes';
  const absent = (field: string): FieldError[] =>
    own(spec, field) === undefined ? [] : [forbidden(`${path}.${field}`, `may not be specified ${context}`)];
  const errors = [...absent('claimRef'), ...absent('capacity')];
  if (objectAt(spec, 'csi') === undefined) errors.push(required(`${path}.csi`, `has to be specified ${context}`));
  if (listAt(spec, 'accessModes').length === 0) errors.push(required(`${path}.accessModes`));
  if (!['', 'Retain'].includes(stringAt(spec, 'persistentVolumeReclaimPolicy')))
    errors.push(forbidden(`${path}.persistentVolumeReclaimPolicy`, `may only be Retain ${context}`));
  errors.push(...absent('nodeAffinity'), ...(stringAt(spec, 'storageClassName') === '' ? [] : absent('storageClassName')));
  if (!['', 'Filesystem'].includes(stringAt(spec, 'volumeMode')))
    errors.push(forbidden(`${path}.volumeMode`, `may not specify volumeMode other than Filesystem ${context}`));
  return errors;
}

function metadataSize(metadata: JsonObject): FieldError[] {
  const size = Object.entries(metadata).reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(String(value)), 0);
  return size > METADATA_BYTES_MAX ? [tooLong('status.attachmentMetadata', METADATA_BYTES_MAX)] : [];
}

function volumeError(error: JsonObject | undefined, path: string): FieldError[] {
  const errors = Buffer.byteLength(stringAt(error, 'message')) > ERROR_MESSAGE_MAX ? [tooLong(`${path}.message`, ERROR_MESSAGE_MAX)] : [];
  const code = integerAt(error, 'errorCode');
  if (code !== undefined && code < 0) errors.push(invalid(`${path}.errorCode`, code, 'must be between 0 and 2147483647, inclusive'));
  return errors;
}

function tokenRequests(requests: readonly JsonObject[]): FieldError[] {
  const audiences = new Set<string>();
  return requests.flatMap((request, index) => {
    const path = `spec.tokenRequests[${index}]`;
    const audience = stringAt(request, 'audience');
    if (audiences.has(audience)) return [duplicate(`${path}.audience`, audience)];
    audiences.add(audience);
    const seconds = integerAt(request, 'expirationSeconds');
    if (seconds === undefined) return [];
    if (seconds < TOKEN_SECONDS_MIN)
      return [invalid(`${path}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes')];
    if (seconds > TOKEN_SECONDS_MAX)
      return [invalid(`${path}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds')];
    return [];
  });
}

function topologyKeys(keys: readonly string[], path: string): FieldError[] {
  const known = new Set<string>();
  return keys.flatMap((key) => {
    const errors = key === '' ? [required(path)] : [];
    if (known.has(key)) errors.push(duplicate(path, key));
    known.add(key);
    return [...errors, ...checked(path, key, checkQualifiedName)];
  });
}
