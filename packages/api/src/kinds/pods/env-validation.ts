/** Environment variables and where their values come from. */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, invalid, notSupported, required } from '../../field-error.ts';
import { objectAt, objectsAt, own, stringAt } from '../../json-value.ts';
import { checkConfigKey, checkEnvVarName, checkQualifiedName } from '../../name-syntax.ts';
import { checked, localPath, requiredText } from '../rules.ts';

const ENV_FIELDS = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const VOLUME_FIELDS = ['metadata.annotations', 'metadata.labels', 'metadata.name', 'metadata.namespace', 'metadata.uid'];
const RESOURCES = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];
const SOURCES = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef'];

export function validateEnv(container: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, variable] of objectsAt(container, 'env').entries()) {
    const at = `${path}.env[${index}]`;
    errors.push(...requiredText(variable, 'name', at, checkEnvVarName));
    const source = objectAt(variable, 'valueFrom');
    if (source !== undefined) errors.push(...validateSource(source, stringAt(variable, 'value'), `${at}.valueFrom`));
  }
  for (const [index, origin] of objectsAt(container, 'envFrom').entries())
    errors.push(...validateOrigin(origin, `${path}.envFrom[${index}]`));
  return errors;
}

/** Faults of a reference to a field of the Pod, in the environment or in a volume. */
export function validateFieldRef(ref: JsonObject, path: string, volume: boolean): FieldError[] {
  const apiVersion = stringAt(ref, 'apiVersion');
  const field = stringAt(ref, 'fieldPath');
  if (apiVersion === '') return [required(`${path}.apiVersion`)];
  if (field === '') return [required(`${path}.fieldPath`)];
  const subscript = /^(metadata\.(?:annotations|labels))\['(.*)'\]$/.exec(field);
  if (subscript !== null) {
    const [, map = '', key = ''] = subscript;
    return checked(path, map === 'metadata.annotations' ? key.toLowerCase() : key, checkQualifiedName);
  }
  const allowed = volume ? VOLUME_FIELDS : ENV_FIELDS;
  if (allowed.includes(field)) return [];
  if (!ENV_FIELDS.includes(field) && !VOLUME_FIELDS.includes(field)) {
    return [invalid(`${path}.fieldPath`, field, `error converting fieldPath: field label not supported: ${field}`)];
  }
  return [notSupported(`${path}.fieldPath`, field, allowed)];
}

/** Faults of a reference to a container's requests or limits. */
export function validateResourceFieldRef(ref: JsonObject, path: string, volume: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (volume && stringAt(ref, 'containerName') === '') errors.push(required(`${path}.containerName`));
  const resource = stringAt(ref, 'resource');
  if (resource === '') errors.push(required(`${path}.resource`));
  else if (!RESOURCES.includes(resource) && !/^(limits|requests)\.hugepages-/.test(resource)) {
    errors.push(notSupported(`${path}.resource`, resource, RESOURCES));
  }
  return errors;
}

function validateSource(source: JsonObject, value: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const given = SOURCES.filter((name) => objectAt(source, name) !== undefined);
  for (const name of given) {
    const ref = objectAt(source, name) ?? {};
    const at = `${path}.${name}`;
    if (name === 'fieldRef') errors.push(...validateFieldRef(ref, at, false));
    else if (name === 'resourceFieldRef') errors.push(...validateResourceFieldRef(ref, at, false));
    else if (name === 'fileKeyRef') errors.push(...validateFileKey(ref, at));
    else errors.push(...requiredText(ref, 'key', at, checkConfigKey));
  }
  if (given.length === 0) {
    errors.push(
      invalid(path, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`'),
    );
  } else if (value !== '') {
    errors.push(invalid(path, '', 'may not be specified when `value` is not empty'));
  } else if (given.length > 1) {
    errors.push(invalid(path, '', 'may not have more than one field specified at a time'));
  }
  return errors;
}

function validateFileKey(ref: JsonObject, path: string): FieldError[] {
  return [
    ...requiredText(ref, 'key', path, checkEnvVarName),
    ...requiredText(ref, 'volumeName', path),
    ...localPath(`${path}.path`, stringAt(ref, 'path')),
  ];
}

function validateOrigin(origin: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const prefix = own(origin, 'prefix');
  if (typeof prefix === 'string' && prefix !== '') errors.push(...checked(`${path}.prefix`, prefix, checkEnvVarName));
  const given = ['configMapRef', 'secretRef'].filter((name) => objectAt(origin, name) !== undefined);
  for (const name of given) errors.push(...requiredText(objectAt(origin, name) ?? {}, 'name', `${path}.${name}`));
  if (given.length === 0) errors.push(invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
  else if (given.length > 1) errors.push(invalid(path, '', 'may not have more than one field specified at a time'));
  return errors;
}
