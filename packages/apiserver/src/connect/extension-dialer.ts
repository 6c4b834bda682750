import type { Duplex } from 'node:stream';
import { rootCertificates } from 'node:tls';
import type { Random } from '@dure/foundation';
import { Agent, type buildConnector } from 'undici';
import type { ForwardRequest, ForwardResponse, PodDialer } from '../contract/node-dialer.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import { openTls, send } from './dialers.ts';
import { serverEndpoint } from './service-endpoint.ts';

/** The Service behind which an extension API server is, and whom to believe there. */
export interface ExtensionTarget {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  /** Base64 of PEM; '' for the system's roots. */
  readonly caBundle: string;
  readonly insecureSkipTLSVerify: boolean;
}

/** What the server shows to extension API servers. PEM. */
export interface FrontProxyIdentity {
  readonly cert: string;
  readonly key: string;
}

/** Reaches extension API servers at the endpoints of their Services, which must show a certificate for `<name>.<namespace>.svc`. */
export interface ExtensionDialer extends AsyncDisposable {
  request(to: ExtensionTarget, request: ForwardRequest, signal: AbortSignal): Promise<ForwardResponse>;
  /** A stream with TLS, for upgrades. */
  connect(to: ExtensionTarget, signal: AbortSignal): Promise<Duplex>;
}

export interface ExtensionDialerDeps {
  readonly reads: ObjectReader;
  readonly pods: PodDialer;
  readonly random: Random;
  /** Read for every new connection, so that rotation needs no restart. Absent: nothing is shown. */
  readonly identity?: (() => FrontProxyIdentity) | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Short, since an endpoint may be replaced by another at any time and a kept connection would not notice. */
const KEEP_ALIVE_MS = 10_000;
/** Targets whose connections are kept. Those that changed go when others come. */
const TARGETS_MAX = 128;

export function extensionDialer({ reads, pods, random, identity }: ExtensionDialerDeps): ExtensionDialer {
  const agents = new Map<string, Agent>();
  const open = async (to: ExtensionTarget, signal: AbortSignal): Promise<Duplex> => {
    const endpoint = await serverEndpoint({ reads, random }, to.namespace, to.name, to.port);
    const socket = await pods.connect({ ...endpoint, tls: false }, signal);
    const trust = to.caBundle === '' ? [...rootCertificates] : Buffer.from(to.caBundle, 'base64').toString('utf8');
    return openTls(
      {
        socket,
        servername: hostOf(to),
        // As in Go, whatever is in the bundle is believed, not only what signed itself.
        ...(to.insecureSkipTLSVerify ? { rejectUnauthorized: false } : { ca: trust, allowPartialTrustChain: true }),
        ...identity?.(),
      },
      signal,
    ).catch((error: unknown) => {
      socket.destroy();
      throw error;
    });
  };
  const agentFor = (to: ExtensionTarget): Agent => {
    const key = JSON.stringify([to.namespace, to.name, to.port, to.caBundle, to.insecureSkipTLSVerify]);
    const known = agents.get(key);
    if (known !== undefined) return known;
    const connect: buildConnector.connector = (_options, callback) => {
      open(to, AbortSignal.timeout(CONNECT_TIMEOUT_MS)).then(
        (socket) => callback(null, socket as Parameters<typeof callback>[1] & object),
        (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
      );
    };
    const agent = new Agent({ keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: 0, bodyTimeout: 0, connect });
    agents.set(key, agent);
    const [oldest] = agents;
    if (agents.size > TARGETS_MAX && oldest !== undefined) {
      agents.delete(oldest[0]);
      // Ends once the requests on it have; nobody waits for that.
      void oldest[1].close().catch(() => undefined);
    }
    return agent;
  };
  return {
    request: (to, request, signal) => send(agentFor(to), `https://${hostOf(to)}:${to.port}`, request, signal),
    connect: open,
    async [Symbol.asyncDispose]() {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()));
      agents.clear();
    },
  };
}

/** The name that the server's certificate must carry. */
function hostOf({ name, namespace }: ExtensionTarget): string {
  return `${name}.${namespace}.svc`;
}
