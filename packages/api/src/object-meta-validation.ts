/** What every object's metadata must satisfy. @see apimachinery, `api/validation`. */
import type { JsonObject } from './definition.ts';
import { type FieldError, forbidden, invalid, required, tooLong } from './field-error.ts';
import { equalJson, integerAt, objectAt, objectsAt, own, stringAt, stringsAt } from './json-value.ts';
import { splitApiVersion } from './kind-registry.ts';
import { validateLabels } from './label-selector.ts';
import { checkDns1123Label, checkDns1123Subdomain, checkQualifiedName, maskTrailingDash } from './name-syntax.ts';
import { quoted } from './quoted.ts';

const ANNOTATIONS_BYTES_MAX = 256 * 1024;
const MANAGER_BYTES_MAX = 128;
const SUBRESOURCE_BYTES_MAX = 256;
const ORPHAN = 'orphan';
const FOREGROUND = 'foregroundDeletion';
/** Fields that only the server sets, and never again. */
const IMMUTABLE = ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'];

/** Faults in the metadata of a new object whose name has been generated already. */
export function validateObjectMeta(
  metadata: JsonObject,
  namespaced: boolean,
  checkName: (name: string) => string[] = checkDns1123Subdomain,
  path = 'metadata',
): FieldError[] {
  const errors: FieldError[] = [];
  const prefix = stringAt(metadata, 'generateName');
  if (prefix !== '') errors.push(...checkName(maskTrailingDash(prefix)).map((fault) => invalid(`${path}.generateName`, prefix, fault)));
  const name = stringAt(metadata, 'name');
  if (name === '') errors.push(required(`${path}.name`, 'name or generateName is required'));
  else errors.push(...checkName(name).map((fault) => invalid(`${path}.name`, name, fault)));
  const namespace = stringAt(metadata, 'namespace');
  if (namespaced) {
    if (namespace === '') errors.push(required(`${path}.namespace`));
    else errors.push(...checkDns1123Label(namespace).map((fault) => invalid(`${path}.namespace`, namespace, fault)));
  } else if (namespace !== '') {
    errors.push(forbidden(`${path}.namespace`, 'not allowed on this type'));
  }
  const generation = integerAt(metadata, 'generation') ?? 0;
  if (generation < 0) errors.push(invalid(`${path}.generation`, generation, 'must be greater than or equal to 0'));
  errors.push(...validateMaps(metadata, path), ...validateOwners(metadata, path), ...validateFinalizers(metadata, path));
  errors.push(...validateManagers(metadata, path));
  return errors;
}

/** Faults in changed metadata. */
export function validateObjectMetaUpdate(metadata: JsonObject, old: JsonObject, path = 'metadata'): FieldError[] {
  const errors: FieldError[] = [];
  if (stringAt(old, 'deletionTimestamp') !== '') {
    const added = stringsAt(metadata, 'finalizers').filter((name) => !stringsAt(old, 'finalizers').includes(name));
    if (added.length > 0) {
      const list = `[]string{${added.toSorted().map(quoted).join(', ')}}`;
      const rule = `no new finalizers can be added if the object is being deleted, found new finalizers ${list}`;
      errors.push(forbidden(`${path}.finalizers`, rule));
    }
  }
  if (stringAt(metadata, 'resourceVersion') === '') errors.push(invalid(`${path}.resourceVersion`, '', 'must be specified for an update'));
  const generation = integerAt(metadata, 'generation') ?? 0;
  if (generation < (integerAt(old, 'generation') ?? 0)) errors.push(invalid(`${path}.generation`, generation, 'must not be decremented'));
  for (const field of IMMUTABLE) {
    if (!equalJson(own(metadata, field), own(old, field))) {
      errors.push(invalid(`${path}.${field}`, own(metadata, field), 'field is immutable'));
    }
  }
  errors.push(...validateMaps(metadata, path), ...validateOwners(metadata, path), ...validateManagers(metadata, path));
  return errors;
}

function validateMaps(metadata: JsonObject, path: string): FieldError[] {
  const errors = validateLabels((objectAt(metadata, 'labels') ?? {}) as Record<string, string>, `${path}.labels`);
  return [...errors, ...validateAnnotations(metadata, `${path}.annotations`)];
}

/** Faults in annotations, also those of a Pod's template. */
export function validateAnnotations(metadata: JsonObject | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(objectAt(metadata, 'annotations') ?? {})) {
    errors.push(...checkQualifiedName(key.toLowerCase()).map((fault) => invalid(path, key, fault)));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(String(value));
  }
  if (bytes > ANNOTATIONS_BYTES_MAX) errors.push(tooLong(path, ANNOTATIONS_BYTES_MAX));
  return errors;
}

function validateOwners(metadata: JsonObject, parent: string): FieldError[] {
  const errors: FieldError[] = [];
  const path = `${parent}.ownerReferences`;
  const owners = objectsAt(metadata, 'ownerReferences');
  let controller = '';
  for (const owner of owners) {
    const apiVersion = stringAt(owner, 'apiVersion');
    if (splitApiVersion(apiVersion).version === '') errors.push(invalid(`${path}.apiVersion`, apiVersion, 'version must not be empty'));
    for (const field of ['kind', 'name', 'uid']) {
      if (stringAt(owner, field) === '') errors.push(invalid(`${path}.${field}`, '', `${field} must not be empty`));
    }
    if (apiVersion === 'v1' && stringAt(owner, 'kind') === 'Event') {
      errors.push(invalid(path, owner, '/v1, Kind=Event is disallowed from being an owner'));
    }
    if (owner.controller !== true) continue;
    const name = `${stringAt(owner, 'kind')}/${stringAt(owner, 'name')}`;
    if (controller === '') controller = name;
    else {
      const rule = 'Only one reference can have Controller set to true. Found "true" in references for';
      errors.push(invalid(path, owners, `${rule} ${controller} and ${name}`));
    }
  }
  return errors;
}

function validateFinalizers(metadata: JsonObject, parent: string): FieldError[] {
  const path = `${parent}.finalizers`;
  const finalizers = stringsAt(metadata, 'finalizers');
  const errors = finalizers.flatMap((name) => checkQualifiedName(name).map((fault) => invalid(path, name, fault)));
  if (finalizers.includes(ORPHAN) && finalizers.includes(FOREGROUND)) {
    errors.push(invalid(path, finalizers, `finalizer ${ORPHAN} and ${FOREGROUND} cannot be both set`));
  }
  return errors;
}

function validateManagers(metadata: JsonObject, parent: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, entry] of objectsAt(metadata, 'managedFields').entries()) {
    const path = `${parent}.managedFields[${index}]`;
    const operation = stringAt(entry, 'operation');
    if (operation !== 'Apply' && operation !== 'Update')
      errors.push(invalid(`${path}.operation`, operation, 'must be `Apply` or `Update`'));
    const type = stringAt(entry, 'fieldsType');
    if (type !== '' && type !== 'FieldsV1') errors.push(invalid(`${path}.fieldsType`, type, 'must be `FieldsV1`'));
    if (Buffer.byteLength(stringAt(entry, 'manager')) > MANAGER_BYTES_MAX) errors.push(tooLong(`${path}.manager`, MANAGER_BYTES_MAX));
    if (Buffer.byteLength(stringAt(entry, 'subresource')) > SUBRESOURCE_BYTES_MAX) {
      errors.push(tooLong(`${path}.subresource`, SUBRESOURCE_BYTES_MAX));
    }
  }
  return errors;
}
