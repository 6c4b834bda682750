/** ConfigMaps and Secrets. */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, forbidden, invalid, required, tooLong } from '../../field-error.ts';
import { ensureObject, objectAt, own, semanticEqual, stringAt, trueAt } from '../../json-value.ts';
import { checkConfigKey } from '../../name-syntax.ts';
import { immutable } from '../rules.ts';

/** Of all values together. */
const BYTES_MAX = 1024 * 1024;
const SEALED = 'field is immutable when `immutable` is set';
const SERVICE_ACCOUNT_NAME = 'kubernetes.io/service-account.name';

/** What a Secret of a known type must hold. */
const NEEDED_KEYS: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
};

export function validateConfigMap(configMap: JsonObject): FieldError[] {
  const data = objectAt(configMap, 'data') ?? {};
  const binary = objectAt(configMap, 'binaryData') ?? {};
  const errors = [...validateKeys(data, 'data'), ...validateKeys(binary, 'binaryData')];
  for (const key of Object.keys(data)) {
    if (own(binary, key) !== undefined) errors.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
  }
  const bytes = textBytes(data) + decodedBytes(binary);
  return bytes > BYTES_MAX ? [...errors, tooLong('', BYTES_MAX)] : errors;
}

export function validateSecret(secret: JsonObject): FieldError[] {
  const data = objectAt(secret, 'data') ?? {};
  const errors = validateKeys(data, 'data');
  if (decodedBytes(data) > BYTES_MAX) errors.push(tooLong('data', BYTES_MAX));
  const type = stringAt(secret, 'type');
  for (const key of NEEDED_KEYS[type] ?? []) {
    const value = own(data, key);
    if (value === undefined) errors.push(required(`data[${key}]`));
    else if (type.startsWith('kubernetes.io/docker') && !isJson(value)) {
      errors.push(invalid(`data[${key}]`, '<secret contents redacted>', 'must be JSON'));
    }
  }
  if (type === 'kubernetes.io/basic-auth' && own(data, 'username') === undefined && own(data, 'password') === undefined) {
    errors.push(required('data[username]'), required('data[password]'));
  }
  if (type === 'kubernetes.io/service-account-token' && stringAt(secret, 'metadata', 'annotations', SERVICE_ACCOUNT_NAME) === '') {
    errors.push(required(`metadata.annotations[${SERVICE_ACCOUNT_NAME}]`));
  }
  return errors;
}

export function validateConfigMapUpdate(configMap: JsonObject, old: JsonObject): FieldError[] {
  return sealed(configMap, old, ['data', 'binaryData']);
}

export function validateSecretUpdate(secret: JsonObject, old: JsonObject): FieldError[] {
  return [...immutable(secret, old, 'type', '').map((error) => ({ ...error, field: 'type' })), ...sealed(secret, old, ['data'])];
}

/** `stringData` is a way of writing `data`, and never stored. */
export function mergeStringData(secret: JsonObject): void {
  const strings = objectAt(secret, 'stringData');
  delete secret.stringData;
  if (strings === undefined || Object.keys(strings).length === 0) return;
  const data = ensureObject(secret, 'data');
  for (const [key, value] of Object.entries(strings)) data[key] = Buffer.from(String(value)).toString('base64');
}

function validateKeys(data: JsonObject, path: string): FieldError[] {
  return Object.keys(data).flatMap((key) => checkConfigKey(key).map((fault) => invalid(`${path}[${key}]`, key, fault)));
}

function sealed(object: JsonObject, old: JsonObject, fields: readonly string[]): FieldError[] {
  if (!trueAt(old, 'immutable')) return [];
  const errors = trueAt(object, 'immutable') ? [] : [forbidden('immutable', SEALED)];
  for (const field of fields) if (!semanticEqual(own(object, field), own(old, field))) errors.push(forbidden(field, SEALED));
  return errors;
}

function textBytes(data: JsonObject): number {
  return Object.values(data).reduce<number>((total, value) => total + Buffer.byteLength(String(value)), 0);
}

function decodedBytes(data: JsonObject): number {
  return Object.values(data).reduce<number>((total, value) => total + Buffer.byteLength(String(value), 'base64'), 0);
}

function isJson(value: unknown): boolean {
  try {
    JSON.parse(Buffer.from(String(value), 'base64').toString('utf8'));
    return true;
  } catch {
    return false;
  }
}
