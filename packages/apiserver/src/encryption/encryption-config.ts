import { messageOf } from '@dure/foundation';
import { decodeConfigFile, durationMsOf, type Fields, FileFaults, fieldsOf, listOf, textOf } from '../config-files/config-file.ts';
import { CIPHERS, type CipherName } from './ciphers.ts';

export interface EncryptionKey {
  readonly name: string;
  readonly secret: Uint8Array;
}

export type EncryptionProvider =
  | { readonly kind: 'identity' }
  | KmsProvider
  | { readonly kind: CipherName; readonly keys: readonly [EncryptionKey, ...EncryptionKey[]] };

/** A KMS plugin, version 2. */
export interface KmsProvider {
  readonly kind: 'kms';
  readonly name: string;
  /** `unix:///path`. */
  readonly endpoint: string;
  /** Of one call. */
  readonly timeoutMs: number;
}

/** The first provider writes, with its first key; all of them read. */
export interface ResourceEncryption {
  /** `secrets`, `deployments.apps`, `*.apps`, `*.` (the core group), `*.*`. */
  readonly resources: readonly string[];
  readonly providers: readonly [EncryptionProvider, ...EncryptionProvider[]];
}

/** What an EncryptionConfiguration says; the first entry that names a resource counts for it. */
export type EncryptionConfig = readonly ResourceEncryption[];

const KIND = { group: 'apiserver.config.k8s.io', versions: ['v1'], kind: 'EncryptionConfiguration' } as const;
const PROVIDERS: readonly string[] = ['identity', ...Object.keys(CIPHERS), 'kms'];
const KMS_TIMEOUT_MS = 3000;

/**
 * @throws {ConfigFileError} with every fault; none shows a secret.
 * @see https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
 */
export function parseEncryptionConfig(text: string): EncryptionConfig {
  const content = decodeConfigFile(text, KIND);
  const faults = new FileFaults(content);
  faults.knowOnly(content, '', ['apiVersion', 'kind', 'resources']);
  const entries = listOf(content.resources);
  if (entries.length === 0) faults.add('resources', 'Required value: at least one resource must be defined');
  const seen: string[] = [];
  const parsed = entries.map((entry, index) => {
    const path = `resources[${index}]`;
    const fields = fieldsOf(entry);
    faults.knowOnly(fields, path, ['resources', 'providers']);
    const resources = listOf(fields.resources).map(textOf);
    if (resources.length === 0) faults.add(`${path}.resources`, 'Required value: at least one resource must be defined');
    for (const [at, resource] of resources.entries()) {
      const fault = resourceFault(resource, seen);
      if (fault !== undefined) faults.add(`${path}.resources[${at}]`, `Invalid value: ${JSON.stringify(resource)}: ${fault}`);
      seen.push(resource);
    }
    const providers = listOf(fields.providers).map((provider, at) => parseProvider(provider, `${path}.providers[${at}]`, faults));
    const [first, ...others] = providers;
    if (first === undefined) faults.add(`${path}.providers`, 'Required value: at least one provider must be defined');
    return { resources, providers: [first ?? IDENTITY, ...others] as const };
  });
  const plugins = parsed.flatMap(({ providers }) => providers).filter((provider) => provider.kind === 'kms');
  for (const [index, { name }] of plugins.entries())
    if (plugins.slice(0, index).some((other) => other.name === name))
      faults.add('', `duplicate KMS provider name ${JSON.stringify(name)}, names must be unique`);
  faults.throwIfAny();
  return parsed;
}

const IDENTITY: EncryptionProvider = { kind: 'identity' };

function resourceFault(resource: string, seen: readonly string[]): string | undefined {
  if (resource === '') return 'resource name must not be empty';
  if (resource === '*') return 'use "*.*" to encrypt all resources, and "*." for those of the core group';
  if (resource.slice(1).startsWith('*')) return 'wildcards stand for a whole name';
  if (resource !== resource.toLowerCase()) return 'resource names are lower case';
  if (seen.includes(resource)) return 'the same resource is named before; only the first would count';
  const group = resource.includes('.') ? resource.slice(resource.indexOf('.') + 1) : '';
  // What a wildcard covers already is never looked for behind it.
  if (seen.includes('*.*') || (resource !== '*.*' && seen.includes(`*.${group}`)))
    return 'a wildcard before it covers this resource already';
  return undefined;
}

function parseProvider(provider: unknown, path: string, faults: FileFaults): EncryptionProvider {
  const fields = fieldsOf(provider);
  const [kind, ...more] = Object.keys(fields);
  if (kind === undefined || more.length > 0) {
    faults.add(path, `Invalid value: exactly one of ${PROVIDERS.join(', ')} must be defined`);
    return IDENTITY;
  }
  if (!PROVIDERS.includes(kind)) {
    faults.add(`${path}.${kind}`, `Unsupported value: ${JSON.stringify(kind)}: supported values: ${PROVIDERS.join(', ')}`);
    return IDENTITY;
  }
  if (kind === 'identity') return IDENTITY;
  if (kind === 'kms') return parseKms(fieldsOf(fields.kms), `${path}.kms`, faults);
  const name = kind as CipherName;
  const keysPath = `${path}.${name}.keys`;
  const keys = listOf(fieldsOf(fields[name]).keys).map((key, index) => parseKey(key, `${keysPath}[${index}]`, name, faults));
  for (const [index, key] of keys.entries())
    if (keys.slice(0, index).some((other) => other.name === key.name))
      faults.add(`${keysPath}[${index}].name`, `Duplicate value: ${JSON.stringify(key.name)}`);
  const [first, ...others] = keys;
  if (first === undefined) {
    faults.add(keysPath, 'Required value: at least one key must be defined');
    return IDENTITY;
  }
  return { kind: name, keys: [first, ...others] };
}

function parseKms(kms: Fields, path: string, faults: FileFaults): KmsProvider {
  faults.knowOnly(kms, path, ['apiVersion', 'name', 'endpoint', 'timeout']);
  const [name, endpoint] = [textOf(kms.name), textOf(kms.endpoint)];
  if (kms.apiVersion !== 'v2')
    faults.add(`${path}.apiVersion`, `Invalid value: ${JSON.stringify(kms.apiVersion)}: unsupported apiVersion, expected v2`);
  if (name === '') faults.add(`${path}.name`, 'Required value: name is a required field');
  if (name.includes(':')) faults.add(`${path}.name`, `Invalid value: ${JSON.stringify(name)}: invalid provider name`);
  if (!/^unix:\/\/\/./.test(endpoint)) faults.add(`${path}.endpoint`, `Invalid value: ${JSON.stringify(endpoint)}: expected unix:///PATH`);
  let timeoutMs = KMS_TIMEOUT_MS;
  try {
    timeoutMs = durationMsOf(kms.timeout) ?? KMS_TIMEOUT_MS;
    if (timeoutMs <= 0) throw new RangeError('should be a positive value');
  } catch (error) {
    faults.add(`${path}.timeout`, `Invalid value: ${JSON.stringify(kms.timeout)}: ${messageOf(error)}`);
  }
  return { kind: 'kms', name, endpoint, timeoutMs };
}

function parseKey(key: unknown, path: string, cipher: CipherName, faults: FileFaults): EncryptionKey {
  const fields = fieldsOf(key);
  const name = textOf(fields.name);
  if (name === '') faults.add(`${path}.name`, 'Required value: key name must be provided');
  if (name.includes(':')) faults.add(`${path}.name`, `Invalid value: ${JSON.stringify(name)}: a colon ends the name where it is stored`);
  const text = textOf(fields.secret);
  const secret = new Uint8Array(Buffer.from(text, 'base64'));
  const { keyBytes } = CIPHERS[cipher];
  if (text === '') faults.add(`${path}.secret`, 'Required value: secret must be provided');
  else if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) faults.add(`${path}.secret`, 'Invalid value: "REDACTED": secret must be base64 encoded');
  else if (!keyBytes.includes(secret.length)) {
    faults.add(
      `${path}.secret`,
      `Invalid value: "REDACTED": secret is not of the expected length, got ${secret.length}, expected one of [${keyBytes.join(' ')}]`,
    );
  }
  return { name, secret };
}
