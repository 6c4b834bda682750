import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { messageOf } from '@dure/foundation';
import { dump, load } from 'js-yaml';
import type { NetworkTransportOptions } from './network-transport.ts';

/** How to reach one cluster as one user: what a kubeconfig's context says. */
export interface ClusterAccess extends NetworkTransportOptions {
  /** Namespace that commands mean when they name none. */
  readonly namespace?: string;
}

/** A kubeconfig could not be read, or does not say what was asked of it. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError';
  readonly code = 'CLIENT_KUBECONFIG';
}

/**
 * Reads a kubeconfig file. Certificates and keys come embedded or from files named relative to the kubeconfig.
 * Programs that fetch credentials (`exec`) and passwords are not supported.
 * @param context Default: the file's current context.
 * @throws {KubeconfigError} Unreadable, malformed, or without the context, its cluster or its user.
 */
export async function loadKubeconfig(path: string, context?: string): Promise<ClusterAccess> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new KubeconfigError(`read kubeconfig ${path}: ${messageOf(cause)}`, { cause });
  });
  return parseKubeconfig(text, {
    source: path,
    ...(context !== undefined && { context }),
    readFile: (name) => readFile(isAbsolute(name) ? name : join(dirname(path), name), 'utf8'),
  });
}

export interface KubeconfigSource {
  /** For messages. */
  readonly source: string;
  readonly context?: string;
  /** Reads a file that the kubeconfig names. */
  readFile(name: string): Promise<string>;
}

/** {@link loadKubeconfig} on text that is at hand already. */
export async function parseKubeconfig(text: string, { source, context, readFile: read }: KubeconfigSource): Promise<ClusterAccess> {
  const config = decode(text, source);
  const contextName = context ?? textOf(config['current-context']);
  if (!contextName) throw new KubeconfigError(`kubeconfig ${source}: it has no current context and none was chosen`);
  const chosen = named(config, 'contexts', contextName, 'context', source);
  const cluster = named(config, 'clusters', textOf(chosen.cluster) ?? '', 'cluster', source);
  const userName = textOf(chosen.user);
  const user = userName ? named(config, 'users', userName, 'user', source) : {};
  if (user.exec !== undefined || user['auth-provider'] !== undefined) {
    throw new KubeconfigError(`kubeconfig ${source}: user "${userName}" gets its credentials from a program, which is not supported`);
  }

  const fileOrData = async (of: Fields, name: string): Promise<string | undefined> => {
    const data = textOf(of[`${name}-data`]);
    if (data) return Buffer.from(data, 'base64').toString('utf8');
    const file = textOf(of[name]);
    if (!file) return undefined;
    return read(file).catch((cause: unknown) => {
      throw new KubeconfigError(`kubeconfig ${source}: read ${name} ${file}: ${messageOf(cause)}`, { cause });
    });
  };

  const server = textOf(cluster.server);
  if (!server) throw new KubeconfigError(`kubeconfig ${source}: cluster "${textOf(chosen.cluster)}" names no server`);
  const ca = await fileOrData(cluster, 'certificate-authority');
  const certificate = await fileOrData(user, 'client-certificate');
  const key = await fileOrData(user, 'client-key');
  const tokenFile = textOf(user.tokenFile);
  const token = textOf(user.token) ?? (tokenFile ? async () => (await read(tokenFile)).trim() : undefined);
  const namespace = textOf(chosen.namespace);
  const serverName = textOf(cluster['tls-server-name']);
  return {
    servers: [server],
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
    ...(token !== undefined && { token }),
    ...(namespace !== undefined && { namespace }),
    ...(serverName !== undefined && { serverName }),
    ...(cluster['insecure-skip-tls-verify'] === true && { insecureSkipTlsVerify: true }),
  };
}

export interface KubeconfigFacts {
  /** Names cluster and context. */
  readonly clusterName: string;
  readonly userName: string;
  readonly server: string;
  readonly ca: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly token?: string;
  readonly namespace?: string;
}

/** A kubeconfig with one cluster, user and context and everything embedded, so that the file can be copied anywhere. */
export function renderKubeconfig(facts: KubeconfigFacts): string {
  const { clusterName, userName, server, ca, certificate, key, token, namespace } = facts;
  const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
  return dump({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: clusterName, cluster: { server, 'certificate-authority-data': base64(ca) } }],
    users: [
      {
        name: userName,
        user: {
          ...(certificate !== undefined && { 'client-certificate-data': base64(certificate) }),
          ...(key !== undefined && { 'client-key-data': base64(key) }),
          ...(token !== undefined && { token }),
        },
      },
    ],
    contexts: [{ name: clusterName, context: { cluster: clusterName, user: userName, ...(namespace !== undefined && { namespace }) } }],
    'current-context': clusterName,
  });
}

type Fields = Readonly<Record<string, unknown>>;

function decode(text: string, source: string): Fields {
  let value: unknown;
  try {
    value = load(text);
  } catch (cause) {
    throw new KubeconfigError(`kubeconfig ${source}: it is no YAML: ${messageOf(cause)}`, { cause });
  }
  if (!isFields(value)) throw new KubeconfigError(`kubeconfig ${source}: it holds no mapping`);
  return value;
}

function named(config: Fields, list: string, name: string, inner: string, source: string): Fields {
  const entries = Array.isArray(config[list]) ? (config[list] as unknown[]).filter(isFields) : [];
  const entry = entries.find((one) => one.name === name);
  if (entry === undefined) throw new KubeconfigError(`kubeconfig ${source}: it has no ${inner} "${name}"`);
  return isFields(entry[inner]) ? entry[inner] : {};
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
