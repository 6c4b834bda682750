/** Volumes of a Pod. @see https://kubernetes.io/docs/concepts/storage/volumes/ */
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { integerAt, isJsonObject, numberAt, objectAt, objectsAt, own, stringAt } from '../../json-value.ts';
import { checkDns1123Label } from '../../name-syntax.ts';
import { quantityOf } from '../../quantity.ts';
import { noUpwardSteps, oneOf, requiredText, visibleLocalPath } from '../rules.ts';
import { validateFieldRef, validateResourceFieldRef } from './env-validation.ts';

const FILE_MODE_MAX = 0o777;
const FILE_MODE_RULE = 'must be a number between 0 and 0777 (octal), both inclusive';
const TOKEN_SECONDS_MIN = 600;
const TOKEN_SECONDS_MAX = 2 ** 32;
const HOST_PATH_TYPES = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'];
/** What each kind of volume cannot do without. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  persistentVolumeClaim: ['claimName'],
  secret: ['secretName'],
  configMap: ['name'],
  nfs: ['server', 'path'],
  csi: ['driver'],
  iscsi: ['targetPortal', 'iqn'],
  glusterfs: ['endpoints', 'path'],
  rbd: ['image'],
  cephfs: [],
  cinder: ['volumeID'],
  awsElasticBlockStore: ['volumeID'],
  gcePersistentDisk: ['pdName'],
  azureFile: ['secretName', 'shareName'],
  azureDisk: ['diskName', 'diskURI'],
  vsphereVolume: ['volumePath'],
  photonPersistentDisk: ['pdID'],
  portworxVolume: ['volumeID'],
  scaleIO: ['gateway', 'system', 'volumeName'],
  storageos: [],
  flexVolume: ['driver'],
  flocker: [],
  quobyte: ['registry', 'volume'],
  gitRepo: ['repository'],
  fc: [],
  emptyDir: [],
  hostPath: [],
  downwardAPI: [],
  projected: [],
  ephemeral: [],
  image: [],
};

/** Volumes by name, for mounts to refer to; faults beside them. */
export function validateVolumes(
  spec: JsonObject,
  path: string,
): { readonly errors: FieldError[]; readonly volumes: ReadonlyMap<string, JsonObject> } {
  const errors: FieldError[] = [];
  const volumes = new Map<string, JsonObject>();
  for (const [index, volume] of objectsAt(spec, 'volumes').entries()) {
    const at = `${path}.volumes[${index}]`;
    const name = stringAt(volume, 'name');
    errors.push(...validateSource(volume, at), ...requiredText(volume, 'name', at, checkDns1123Label));
    if (name !== '' && volumes.has(name)) errors.push(duplicate(`${at}.name`, name));
    volumes.set(name, volume);
  }
  return { errors, volumes };
}

function validateSource(volume: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  let seen = 0;
  for (const kind of Object.keys(NEEDED)) {
    const source = own(volume, kind);
    if (!isJsonObject(source)) continue;
    seen += 1;
    const at = `${path}.${kind}`;
    if (seen > 1) {
      errors.push(forbidden(at, 'may not specify more than 1 volume type'));
      continue;
    }
    for (const field of NEEDED[kind] ?? []) errors.push(...requiredText(source, field, at));
    errors.push(...validateKind(kind, source, at));
  }
  if (seen === 0) errors.push(required(path, 'must specify a volume type'));
  return errors;
}

function validateKind(kind: string, source: JsonObject, path: string): FieldError[] {
  switch (kind) {
    case 'emptyDir': {
      const limit = quantityOf(own(source, 'sizeLimit'));
      if (limit === undefined || limit.nanos >= 0n) return [];
      return [forbidden(`${path}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')];
    }
    case 'hostPath':
      return validateHostPath(source, path);
    case 'secret':
    case 'configMap':
      return [...validateMode(source, 'defaultMode', path), ...validateItems(source, path)];
    case 'downwardAPI':
      return [...validateMode(source, 'defaultMode', path), ...validateDownward(source, path)];
    case 'projected':
      return validateProjected(source, path);
    case 'ephemeral':
      return objectAt(source, 'volumeClaimTemplate') === undefined ? [required(`${path}.volumeClaimTemplate`)] : [];
    case 'image':
      return [...requiredText(source, 'reference', path), ...oneOf(source, 'pullPolicy', path, ['Always', 'IfNotPresent', 'Never'])];
    default:
      return [];
  }
}

function validateHostPath(source: JsonObject, path: string): FieldError[] {
  const value = stringAt(source, 'path');
  if (value === '') return [required(`${path}.path`)];
  const type = stringAt(source, 'type');
  return [
    ...noUpwardSteps(`${path}.path`, value),
    ...(HOST_PATH_TYPES.includes(type) ? [] : [notSupported(`${path}.type`, type, HOST_PATH_TYPES)]),
  ];
}

function validateMode(source: JsonObject, field: string, path: string): FieldError[] {
  const mode = numberAt(source, field);
  return mode !== undefined && (mode < 0 || mode > FILE_MODE_MAX) ? [invalid(`${path}.${field}`, mode, FILE_MODE_RULE)] : [];
}

function validateItems(source: JsonObject, path: string): FieldError[] {
  return objectsAt(source, 'items').flatMap((item, index) => {
    const at = `${path}.items[${index}]`;
    return [...requiredText(item, 'key', at), ...visibleLocalPath(`${at}.path`, stringAt(item, 'path')), ...validateMode(item, 'mode', at)];
  });
}

function validateDownward(source: JsonObject, path: string): FieldError[] {
  return objectsAt(source, 'items').flatMap((item, index) => {
    const at = path;
    const errors = visibleLocalPath(`${at}.path`, stringAt(item, 'path'));
    const field = objectAt(item, 'fieldRef');
    const resource = objectAt(item, 'resourceFieldRef');
    if (field !== undefined) {
      errors.push(...validateFieldRef(field, `${at}.fieldRef`, true));
      if (resource !== undefined) errors.push(invalid(at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
    } else if (resource !== undefined) errors.push(...validateResourceFieldRef(resource, `${at}.resourceFieldRef`, true));
    else errors.push(required(`${at}.fieldRef`, 'one of fieldRef and resourceFieldRef is required'));
    return [...errors, ...validateMode(item, 'mode', `${at}.items[${index}]`)];
  });
}

function validateProjected(source: JsonObject, path: string): FieldError[] {
  const errors = validateMode(source, 'defaultMode', path);
  for (const [index, part] of objectsAt(source, 'sources').entries()) {
    const at = `${path}.sources[${index}]`;
    const given = ['secret', 'configMap', 'downwardAPI', 'serviceAccountToken', 'clusterTrustBundle', 'podCertificate'].filter(
      (kind) => objectAt(part, kind) !== undefined,
    );
    if (given.length > 1) errors.push(forbidden(at, 'may not specify more than 1 volume type per source'));
    for (const kind of given) errors.push(...validateProjection(kind, objectAt(part, kind) ?? {}, `${at}.${kind}`));
  }
  return errors;
}

function validateProjection(kind: string, part: JsonObject, path: string): FieldError[] {
  switch (kind) {
    case 'secret':
    case 'configMap':
      return [...requiredText(part, 'name', path), ...validateItems(part, path)];
    case 'downwardAPI':
      return validateDownward(part, path);
    case 'serviceAccountToken':
      return validateToken(part, path);
    case 'clusterTrustBundle':
      return visibleLocalPath(`${path}.path`, stringAt(part, 'path'));
    default:
      return [...requiredText(part, 'signerName', path), ...requiredText(part, 'keyType', path)];
  }
}

function validateToken(part: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const seconds = integerAt(part, 'expirationSeconds');
  if (seconds !== undefined && seconds < TOKEN_SECONDS_MIN) {
    errors.push(invalid(`${path}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'));
  }
  if (seconds !== undefined && seconds > TOKEN_SECONDS_MAX) {
    errors.push(invalid(`${path}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'));
  }
  if (stringAt(part, 'path') === '') errors.push(required(`${path}.path`));
  else errors.push(...visibleLocalPath(`${path}.path`, stringAt(part, 'path')));
  return errors;
}

/** Faults of a container's mounts and devices. */
export function validateMounts(container: JsonObject, path: string, volumes: ReadonlyMap<string, JsonObject>): FieldError[] {
  const errors: FieldError[] = [];
  const paths = new Set<string>();
  for (const [index, mount] of objectsAt(container, 'volumeMounts').entries()) {
    const at = `${path}.volumeMounts[${index}]`;
    const name = stringAt(mount, 'name');
    if (name === '') errors.push(required(`${at}.name`));
    else if (!volumes.has(name))
      errors.push({ reason: 'FieldValueNotFound', field: `${at}.name`, message: `Not found: ${JSON.stringify(name)}` });
    const mountPath = stringAt(mount, 'mountPath');
    if (mountPath === '') errors.push(required(`${at}.mountPath`));
    if (mountPath !== '' && paths.has(mountPath)) errors.push(invalid(`${at}.mountPath`, mountPath, 'must be unique'));
    paths.add(mountPath);
    errors.push(...validateSubPath(mount, at), ...validatePropagation(mount, container, at), ...validateReadOnly(mount, at));
  }
  for (const [index, device] of objectsAt(container, 'volumeDevices').entries()) {
    const at = `${path}.volumeDevices[${index}]`;
    const name = stringAt(device, 'name');
    const devicePath = stringAt(device, 'devicePath');
    if (name === '') errors.push(required(`${at}.name`));
    else if (!volumes.has(name))
      errors.push({ reason: 'FieldValueNotFound', field: `${at}.name`, message: `Not found: ${JSON.stringify(name)}` });
    if (devicePath === '') errors.push(required(`${at}.devicePath`));
    else if (paths.has(devicePath))
      errors.push(invalid(`${at}.devicePath`, devicePath, 'must not already exist as a path in volumeMounts'));
    else errors.push(...noUpwardSteps(`${at}.devicePath`, devicePath));
  }
  return errors;
}

function validateSubPath(mount: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['subPath', 'subPathExpr']) {
    const value = stringAt(mount, field);
    if (value.startsWith('/')) errors.push(invalid(`${path}.${field}`, value, 'must be a relative path'));
    else errors.push(...noUpwardSteps(`${path}.${field}`, value));
  }
  if (stringAt(mount, 'subPath') !== '' && stringAt(mount, 'subPathExpr') !== '') {
    errors.push(invalid(`${path}.subPathExpr`, stringAt(mount, 'subPathExpr'), 'subPathExpr and subPath are mutually exclusive'));
  }
  return errors;
}

const PROPAGATIONS = ['Bidirectional', 'HostToContainer', 'None'];

function validatePropagation(mount: JsonObject, container: JsonObject, path: string): FieldError[] {
  const mode = stringAt(mount, 'mountPropagation');
  if (mode === '') return [];
  if (!PROPAGATIONS.includes(mode)) return [notSupported(`${path}.mountPropagation`, mode, PROPAGATIONS)];
  if (mode !== 'Bidirectional' || objectAt(container, 'securityContext')?.privileged === true) return [];
  return [forbidden(`${path}.mountPropagation`, 'Bidirectional mount propagation is available only to privileged containers')];
}

function validateReadOnly(mount: JsonObject, path: string): FieldError[] {
  const mode = stringAt(mount, 'recursiveReadOnly');
  if (mode === '' || mode === 'Disabled') return [];
  if (mode !== 'Enabled' && mode !== 'IfPossible') {
    return [notSupported(`${path}.recursiveReadOnly`, mode, ['Disabled', 'Enabled', 'IfPossible'])];
  }
  return own(mount, 'readOnly') === true ? [] : [forbidden(`${path}.recursiveReadOnly`, 'may only be specified when readOnly is true')];
}
