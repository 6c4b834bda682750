/** Volumes, claims and classes. */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, forbidden, invalid, notSupported, required, tooLong } from '../../field-error.ts';
import { cloneJson, listAt, objectAt, own, semanticEqual, stringAt, stringsAt } from '../../json-value.ts';
import { checkDns1123Subdomain, checkQualifiedName } from '../../name-syntax.ts';
import { compareQuantities, quantityOf } from '../../quantity.ts';
import { immutable, oneOf, optionalText } from '../rules.ts';

const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
const PARAMETERS_MAX = 512;
const PARAMETERS_BYTES_MAX = 256 * 1024;
const VOLUME_MODES = ['Block', 'Filesystem'];
const VOLUME_FIELDS = new Set([
  'capacity',
  'accessModes',
  'claimRef',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'mountOptions',
  'volumeMode',
  'nodeAffinity',
  'volumeAttributesClassName',
]);

export function validatePersistentVolumeClaim(claim: JsonObject): FieldError[] {
  const spec = objectAt(claim, 'spec') ?? {};
  const errors = validateAccessModes(spec);
  const storage = quantityOf(own(objectAt(spec, 'resources', 'requests') ?? {}, 'storage'));
  if (storage === undefined) errors.push(required('spec.resources[storage]'));
  else if (storage.nanos <= 0n)
    errors.push(invalid('spec.resources[storage]', stringAt(spec, 'resources', 'requests', 'storage'), 'must be greater than zero'));
  errors.push(...optionalText(spec, 'storageClassName', 'spec', checkDns1123Subdomain), ...oneOf(spec, 'volumeMode', 'spec', VOLUME_MODES));
  return errors;
}

/** A claim's spec stays as it is, but for more space and for what binding fills in. */
export function validatePersistentVolumeClaimUpdate(claim: JsonObject, old: JsonObject): FieldError[] {
  const now = cloneJson(objectAt(claim, 'spec') ?? {});
  const before = objectAt(old, 'spec') ?? {};
  const errors: FieldError[] = [];
  const bound = stringAt(old, 'status', 'phase') === 'Bound';
  if (stringAt(before, 'volumeName') === '') delete now.volumeName;
  const size = quantityOf(own(objectAt(now, 'resources', 'requests') ?? {}, 'storage'));
  const oldSize = quantityOf(own(objectAt(before, 'resources', 'requests') ?? {}, 'storage'));
  if (bound && size !== undefined && oldSize !== undefined) {
    const floor = quantityOf(own(objectAt(old, 'status', 'capacity') ?? {}, 'storage'));
    if (compareQuantities(size, oldSize) < 0 && floor !== undefined && compareQuantities(size, floor) <= 0) {
      errors.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'));
    }
    const requests = objectAt(now, 'resources', 'requests');
    if (requests !== undefined) requests.storage = own(objectAt(before, 'resources', 'requests') ?? {}, 'storage') ?? null;
  }
  if (own(before, 'storageClassName') === undefined) delete now.storageClassName;
  if (bound) {
    const className = own(before, 'volumeAttributesClassName');
    if (className === undefined) delete now.volumeAttributesClassName;
    else now.volumeAttributesClassName = className;
  }
  if (!semanticEqual(now, before)) {
    errors.push(
      forbidden('spec', 'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'),
    );
  }
  return errors;
}

export function validatePersistentVolume(volume: JsonObject): FieldError[] {
  const spec = objectAt(volume, 'spec') ?? {};
  const errors = validateAccessModes(spec);
  const capacity = objectAt(spec, 'capacity') ?? {};
  if (Object.keys(capacity).length === 0) errors.push(required('spec.capacity'));
  for (const name of Object.keys(capacity)) if (name !== 'storage') errors.push(notSupported(`spec.capacity[${name}]`, name, ['storage']));
  const size = quantityOf(own(capacity, 'storage'));
  if (size !== undefined && size.nanos <= 0n)
    errors.push(invalid('spec.capacity[storage]', stringAt(capacity, 'storage'), 'must be greater than zero'));
  errors.push(...oneOf(spec, 'persistentVolumeReclaimPolicy', 'spec', ['Delete', 'Recycle', 'Retain'], true));
  const sources = Object.keys(spec).filter((field) => !VOLUME_FIELDS.has(field));
  if (sources.length === 0) errors.push(required('spec', 'must specify a volume type'));
  if (sources.length > 1) errors.push(forbidden(`spec.${sources[1]}`, 'may not specify more than 1 volume type'));
  errors.push(...optionalText(spec, 'storageClassName', 'spec', checkDns1123Subdomain), ...oneOf(spec, 'volumeMode', 'spec', VOLUME_MODES));
  const path = stringAt(spec, 'hostPath', 'path');
  if (objectAt(spec, 'hostPath') !== undefined && path === '') errors.push(required('spec.hostPath.path'));
  if (path === '/' && stringAt(spec, 'persistentVolumeReclaimPolicy') === 'Recycle') {
    errors.push(forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'"));
  }
  if (objectAt(spec, 'local') !== undefined && objectAt(spec, 'nodeAffinity') === undefined) {
    errors.push(required('spec.nodeAffinity', 'Local volume requires node affinity'));
  }
  return errors;
}

export function validatePersistentVolumeUpdate(volume: JsonObject, old: JsonObject): FieldError[] {
  const now = objectAt(volume, 'spec') ?? {};
  const before = objectAt(old, 'spec') ?? {};
  const errors = immutable(now, before, 'volumeMode', 'spec.volumeMode');
  for (const field of new Set([...Object.keys(now), ...Object.keys(before)])) {
    if (!VOLUME_FIELDS.has(field) && !semanticEqual(own(now, field), own(before, field))) {
      errors.push(forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'));
      break;
    }
  }
  return errors;
}

export function validateStorageClass(storageClass: JsonObject): FieldError[] {
  const errors = [
    ...validateProvisioner('provisioner', stringAt(storageClass, 'provisioner')),
    ...validateProvisionerParameters(storageClass, { mayBeEmpty: true }),
  ];
  errors.push(
    ...oneOf(storageClass, 'reclaimPolicy', '', ['Delete', 'Retain']),
    ...oneOf(storageClass, 'volumeBindingMode', '', ['Immediate', 'WaitForFirstConsumer'], true),
  );
  return errors.map((error) => ({ ...error, field: error.field.replace(/^\./, '') }));
}

/** The name of who makes volumes. */
export function validateProvisioner(path: string, name: string): FieldError[] {
  if (name === '') return [required(path)];
  return checkQualifiedName(name.toLowerCase()).map((fault) => invalid(path, name.toLowerCase(), fault));
}

/** What a class tells it, at `parameters`. */
export function validateProvisionerParameters(of: JsonObject, { mayBeEmpty }: { readonly mayBeEmpty: boolean }): FieldError[] {
  const entries = Object.entries(objectAt(of, 'parameters') ?? {});
  if (entries.length > PARAMETERS_MAX) return [tooLong('parameters', PARAMETERS_MAX)];
  const errors = entries.filter(([key]) => key === '').map(([key]) => invalid('parameters', key, 'field can not be empty.'));
  const size = entries.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(String(value)), 0);
  if (size > PARAMETERS_BYTES_MAX) errors.push(tooLong('parameters', PARAMETERS_BYTES_MAX));
  if (!mayBeEmpty && entries.length === 0) errors.push(required('parameters', 'must contain at least one key/value pair'));
  return errors;
}

export function validateStorageClassUpdate(storageClass: JsonObject, old: JsonObject): FieldError[] {
  return ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode'].flatMap((field) => immutable(storageClass, old, field, field));
}

function validateAccessModes(spec: JsonObject): FieldError[] {
  const modes = stringsAt(spec, 'accessModes');
  const errors: FieldError[] = [];
  if (listAt(spec, 'accessModes').length === 0) errors.push(required('spec.accessModes', 'at least 1 access mode is required'));
  for (const mode of modes) if (!ACCESS_MODES.includes(mode)) errors.push(notSupported('spec.accessModes', mode, ACCESS_MODES));
  if (modes.length > 1 && modes.includes('ReadWriteOncePod')) {
    errors.push(forbidden('spec.accessModes', 'may not use ReadWriteOncePod with other access modes'));
  }
  return errors;
}
