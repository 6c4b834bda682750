import { join } from 'node:path';
import { isUnauthorized } from '@dure/api';
import { createClient, createNetworkTransport, loadKubeconfig, renderKubeconfig } from '@dure/client';
import { type Clock, isAbort, type Logger, retryDelayMs } from '@dure/foundation';
import { CertificateDeniedError, requestCertificate } from './certificate-request.ts';
import { type Config, ConfigError } from './config.ts';
import { identityPaths, type Membership, readIssued, readText, writeIssued, writePrivate } from './identity-files.ts';
import { discoverAuthority, UntrustedServerError } from './trust.ts';

export const USER_AGENT = 'dure-node-agent/0.1.0';
const BACKOFF = { baseMs: 500, maxMs: 10_000 };
/** So often in a row the server may refuse a token; a server that starts may not have read its tokens yet. */
const REFUSALS_MAX = 3;

/** The server is the right one and does not know the join token: mistyped, deleted, or past its time. Trying again cannot help. */
export class JoinTokenRefusedError extends Error {
  override readonly name = 'JoinTokenRefusedError';
  readonly code = 'AGENT_JOIN_TOKEN_REFUSED';

  constructor(server: string, options: ErrorOptions) {
    super(
      `join ${server}: the server does not accept the join token, it is unknown or expired; make another with "dure token create"`,
      options,
    );
  }
}

/**
 * Who this node is in the cluster: from a kubeconfig, from a former join, or by joining now. Tries until it is in.
 * @throws {ConfigError} Nothing says how to join. @throws {UntrustedServerError} @throws {JoinTokenRefusedError} @throws {CertificateDeniedError}
 */
export async function obtainMembership(config: Config, clock: Clock, log: Logger, signal: AbortSignal): Promise<Membership> {
  if (config.kubeconfig !== undefined) return fromKubeconfig(config.kubeconfig);
  const paths = identityPaths(config.dataDir);
  const [ca, client, stored] = await Promise.all([readText(paths.ca), readIssued(paths.client, clock.now()), readText(paths.servers)]);
  const servers = config.servers.length > 0 ? config.servers : (stored ?? '').split('\n').filter(Boolean);
  if (ca !== undefined && client !== undefined && servers.length > 0) return { servers, ca, client };
  const [server] = servers;
  if (config.joinToken === undefined || server === undefined) {
    throw new ConfigError([
      'this node has no certificate yet: give --server https://HOST:PORT and --token (made by "dure token create" on the server), or --kubeconfig',
    ]);
  }
  const { bearer, caPin } = config.joinToken;
  let refusals = 0;
  for (let failures = 1; ; failures += 1) {
    try {
      return await joinCluster(config, servers, server, bearer, caPin, clock, log, signal);
    } catch (error) {
      if (isAbort(error, signal) || error instanceof UntrustedServerError || error instanceof CertificateDeniedError) throw error;
      refusals = isUnauthorized(error) ? refusals + 1 : 0;
      if (refusals === REFUSALS_MAX) throw new JoinTokenRefusedError(server, { cause: error });
      log.warn('not joined yet, trying again', { server, error });
      await clock.sleep(retryDelayMs(failures, BACKOFF), signal);
    }
  }
}

/** The kubeconfig by which the proxy of this node, and its administrator, use the node's identity. */
export async function writeNodeKubeconfig(dataDir: string, nodeName: string, { servers, ca, client }: Membership): Promise<void> {
  const text = renderKubeconfig({
    clusterName: 'dure',
    userName: `system:node:${nodeName}`,
    server: servers[0] ?? '',
    ca,
    certificate: client.certificate,
    key: client.key,
  });
  await writePrivate(join(dataDir, 'kubeconfig'), text);
}

/** What a node's client certificate says. */
export function clientWish(nodeName: string) {
  return {
    signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
    usages: ['digital signature', 'client auth'],
    names: { commonName: `system:node:${nodeName}`, organizations: ['system:nodes'] },
  } as const;
}

async function joinCluster(
  { nodeName, dataDir }: Config,
  servers: readonly string[],
  server: string,
  bearer: string,
  caPin: string,
  clock: Clock,
  log: Logger,
  signal: AbortSignal,
): Promise<Membership> {
  const paths = identityPaths(dataDir);
  const ca = await discoverAuthority(server, caPin);
  await using transport = createNetworkTransport({ servers, ca, token: bearer });
  const client = await requestCertificate(createClient(transport, { userAgent: USER_AGENT }), clock, clientWish(nodeName), signal);
  await writePrivate(paths.ca, ca);
  await writePrivate(paths.servers, servers.join('\n'));
  await writeIssued(paths.client, client);
  log.info('joined the cluster', { server, node: nodeName });
  return { servers, ca, client };
}

async function fromKubeconfig(path: string): Promise<Membership> {
  const { servers, ca = '', certificate, key } = await loadKubeconfig(path);
  if (certificate === undefined || key === undefined) {
    throw new ConfigError([`--kubeconfig ${path}: it must hold a client certificate and key (system:node:<name> in group system:nodes)`]);
  }
  return { servers, ca, client: { certificate, key } };
}
