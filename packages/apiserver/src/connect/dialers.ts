import { connect as connectTcp, type Socket } from 'node:net';
import { type Duplex, Readable } from 'node:stream';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import type { ForwardRequest, ForwardResponse, NodeDialer, NodeEndpoint, PodDialer } from '../contract/node-dialer.ts';

/** What the server shows to agents, and whom it trusts. PEM. */
export interface NodeDialerTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Idle connections to agents are kept so long; scrapes come every few seconds. */
const KEEP_ALIVE_MS = 30_000;

/**
 * Dials agents: the certificate they show must be of the cluster's CA and for the node's name, whatever address they are reached at.
 * @param tls Read for every new connection, so that rotation needs no restart.
 */
export function nodeDialer(tls: () => NodeDialerTls): NodeDialer & AsyncDisposable {
  const agents = new Map<string, Agent>();
  const agentFor = (nodeName: string): Agent => {
    const known = agents.get(nodeName);
    if (known !== undefined) return known;
    const agent = new Agent({
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        const connector = buildConnector({ ...tls(), servername: nodeName, timeout: CONNECT_TIMEOUT_MS });
        connector({ ...options, servername: nodeName }, callback);
      },
    });
    agents.set(nodeName, agent);
    return agent;
  };
  return {
    request: ({ nodeName, host, port }, request, signal) => send(agentFor(nodeName), `https://${bracketed(host)}:${port}`, request, signal),
    connect: ({ nodeName, host, port }: NodeEndpoint, signal) => openTls({ ...tls(), host, port, servername: nodeName }, signal),
    async [Symbol.asyncDispose]() {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()));
    },
  };
}

/** Dials Pods, plain or TLS without verification: what certificate a Pod shows is between it and its clients. */
export function podDialer(): PodDialer & AsyncDisposable {
  const agent = new Agent({
    keepAliveTimeout: 1_000,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { rejectUnauthorized: false, timeout: CONNECT_TIMEOUT_MS },
  });
  return {
    request: ({ host, port, tls }, request, signal) =>
      send(agent, `${tls ? 'https' : 'http'}://${bracketed(host)}:${port}`, request, signal),
    connect: ({ host, port, tls }, signal) =>
      tls ? openTls({ host, port, rejectUnauthorized: false }, signal) : openTcp(host, port, signal),
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

/** One request over `agent`'s connections. */
export async function send(
  agent: Agent,
  origin: string,
  { method, path, headers, body }: ForwardRequest,
  signal: AbortSignal,
): Promise<ForwardResponse> {
  const response = await agent.request({
    origin,
    path,
    method: method as Dispatcher.HttpMethod,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]])),
    signal,
    ...(body === undefined ? {} : { body: body instanceof Uint8Array ? body : Readable.from(toBuffers(body)) }),
  });
  const shown: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(response.headers)) if (value !== undefined) shown[name] = value;
  return { status: response.statusCode, headers: shown, body: response.body };
}

async function* toBuffers(body: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of body) yield Buffer.from(chunk);
}

/** A connection with TLS, over `options.socket` where there is one. @throws the system's or the TLS library's error. */
export function openTls(options: ConnectionOptions, signal: AbortSignal): Promise<Duplex> {
  const socket = connectTls({ ...options, timeout: CONNECT_TIMEOUT_MS });
  return opened(socket, 'secureConnect', signal);
}

function openTcp(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
  return opened(connectTcp({ host, port, timeout: CONNECT_TIMEOUT_MS }), 'connect', signal);
}

function opened(socket: Socket, event: 'secureConnect' | 'connect', signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(signal.reason);
    const onTimeout = (): void => fail(new Error(`connect: no answer within ${CONNECT_TIMEOUT_MS} ms`));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', fail);
    socket.once('timeout', onTimeout);
    socket.once(event, () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', fail);
      socket.off('timeout', onTimeout);
      socket.setTimeout(0);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/** IPv6 addresses in a URL stand in brackets. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
