import { type Duplex, pipeline, Readable } from 'node:stream';
import { createGunzip, createInflateRaw } from 'node:zlib';
import { badRequest, type KubeObject, notFound, type Status, StatusError, serviceUnavailable } from '@dure/api';
import type { Random } from '@dure/foundation';
import type { ForwardRequest, ForwardResponse, PodDialer } from '../contract/node-dialer.ts';
import type { ApiResponse } from '../http/exchange.ts';
import type { ResourceCall, ResourceHandler } from '../request/call.ts';
import { admitConnect } from './connect-admission.ts';
import { type ConnectDeps, nodeOf } from './pod-streams.ts';
import { type ProxiedPage, proxiedLink, proxiedPage } from './proxied-links.ts';
import { serviceEndpoint } from './service-endpoint.ts';
import { forwardedHeaders, returnedHeaders, tunnel } from './tunnel.ts';

export interface ProxyDeps extends ConnectDeps {
  readonly pods: PodDialer;
  readonly random: Random;
}

/** One reachable target of a proxied request. */
interface Target {
  readonly host: string;
  request(request: ForwardRequest, signal: AbortSignal): Promise<ForwardResponse>;
  connect(signal: AbortSignal): Promise<Duplex>;
}

/** `scheme:name:port`, `name:port` or `name`. */
interface ProxyName {
  readonly scheme: string;
  readonly name: string;
  readonly port: string;
}

interface PodShape extends KubeObject {
  readonly spec?: {
    readonly containers?: readonly { readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[] }[];
  };
  readonly status?: { readonly podIP?: string };
}

const PROXY_OPTIONS: Readonly<Record<string, string>> = {
  nodes: 'NodeProxyOptions',
  pods: 'PodProxyOptions',
  services: 'ServiceProxyOptions',
};

/** `proxy` of Pods, Services and Nodes, with every method and with upgrades. */
export function proxyHandler(deps: ProxyDeps): ResourceHandler {
  return async (call) => {
    const { request, info, signal } = call;
    const options = PROXY_OPTIONS[info.resource] ?? 'PodProxyOptions';
    const rest = info.rest === '' ? {} : { path: info.rest };
    await admitConnect(deps.admission, call, info.name, { kind: options, ...rest }, options.replace('ProxyOptions', ''));
    const target = await targetOf(deps, call);
    const query = request.query.size === 0 ? '' : `?${request.query}`;
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (info.rest === '' && isRead && request.upgrade === undefined) {
      // Links relative to the target's root lead elsewhere unless the path ends with a slash.
      return { status: 301, headers: { location: `${request.path}/${query}` }, body: { kind: 'empty' } };
    }
    const path = `${info.rest === '' ? '/' : info.rest}${query}`;
    const headers = forwardedHeaders(request.headers, request.upgrade !== undefined);
    headers['x-forwarded-uri'] = request.path;
    if (request.remoteAddress !== '') headers['x-forwarded-for'] = request.remoteAddress;
    try {
      if (request.upgrade !== undefined) {
        const socket = await target.connect(signal);
        const done = tunnel(request.upgrade, socket, { method: request.method, path, host: target.host, headers }, request.signal);
        return { status: 101, headers: {}, body: { kind: 'taken', done } };
      }
      const response = await target.request(
        { method: request.method, path, headers: { ...headers, host: target.host }, ...(isRead ? {} : { body: request.bodyStream() }) },
        signal,
      );
      return answer(response, target, call);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StatusError) throw error;
      throw unreachable(`error trying to reach service: ${(error as Error).message}`);
    }
  };
}

/** What the target said, with links and redirects to its own root leading through the proxy. */
function answer(response: ForwardResponse, target: Target, { info, request }: ResourceCall): ApiResponse {
  const headers = returnedHeaders(response.headers);
  const root = info.rest === '' ? request.path : request.path.slice(0, -info.rest.length);
  const page: ProxiedPage = { prefix: root.replace(/\/$/, ''), targetHost: target.host, requestHost: request.headers.host ?? '' };
  const { location } = headers;
  if (typeof location === 'string') headers.location = proxiedLink(location, page);
  const isPage = location === undefined && /^\s*text\/html\s*(;|$)/.test(String(headers['content-type'] ?? ''));
  const decoded = isPage ? decodedBody(response) : undefined;
  if (decoded === undefined) return { status: response.status, headers, body: { kind: 'stream', chunks: response.body } };
  delete headers['content-encoding'];
  return { status: response.status, headers, body: { kind: 'stream', chunks: proxiedPage(decoded, page) } };
}

/** The text of an answer; `undefined`: it is packed in a way that is not known here. */
function decodedBody({ headers, body }: ForwardResponse): AsyncIterable<Uint8Array> | undefined {
  const encoding = String(headers['content-encoding'] ?? '');
  if (encoding === '' || encoding === 'identity') return body;
  if (encoding !== 'gzip' && encoding !== 'deflate') return undefined;
  const unpacking = encoding === 'gzip' ? createGunzip() : createInflateRaw();
  // A failure on one side ends both, and whoever reads hears of it.
  pipeline(Readable.from(body), unpacking, () => undefined);
  return unpacking;
}

async function targetOf(deps: ProxyDeps, call: ResourceCall): Promise<Target> {
  const { resource, namespace, name } = call.info;
  const parsed = parseProxyName(name);
  switch (resource) {
    case 'nodes':
      return nodeTarget(deps, parsed);
    case 'pods':
      return podTarget(deps, namespace, parsed);
    default:
      return serviceTarget(deps, namespace, parsed);
  }
}

async function nodeTarget({ reads, nodes }: ProxyDeps, { name, port }: ProxyName): Promise<Target> {
  if (nodes === undefined) throw serviceUnavailable('this server does not reach nodes');
  const known = await nodeOf(reads, name);
  const endpoint = port === '' ? known : { ...known, port: portNumber(port) };
  return {
    host: `${bracketed(endpoint.host)}:${endpoint.port}`,
    request: (request, signal) => nodes.request(endpoint, request, signal),
    connect: (signal) => nodes.connect(endpoint, signal),
  };
}

async function podTarget({ reads, pods }: ProxyDeps, namespace: string, { scheme, name, port }: ProxyName): Promise<Target> {
  const pod = (await reads.get('', 'pods', namespace, name, { fresh: true })) as PodShape | undefined;
  if (pod === undefined) throw notFound({ group: '', resource: 'pods' }, name);
  const host = pod.status?.podIP ?? '';
  if (host === '') throw badRequest(`pod ${name} has no address yet`);
  const ports = (pod.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  const named = ports.find((candidate) => candidate.name !== undefined && candidate.name === port);
  const number = port === '' ? (ports[0]?.containerPort ?? 80) : (named?.containerPort ?? portNumber(port));
  return addressTarget(pods, host, number, scheme === 'https');
}

async function serviceTarget(deps: ProxyDeps, namespace: string, { scheme, name, port }: ProxyName): Promise<Target> {
  const { host, port: targetPort } = await serviceEndpoint(deps, namespace, name, port);
  return addressTarget(deps.pods, host, targetPort, scheme === 'https');
}

function addressTarget(pods: PodDialer, host: string, port: number, tls: boolean): Target {
  const target = { host, port, tls };
  return {
    host: `${bracketed(host)}:${port}`,
    request: (request, signal) => pods.request(target, request, signal),
    connect: (signal) => pods.connect(target, signal),
  };
}

/** @throws {StatusError} BadRequest. */
export function parseProxyName(text: string): ProxyName {
  const parts = text.split(':');
  if (parts.length === 1) return { scheme: '', name: text, port: '' };
  if (parts.length === 2) return { scheme: '', name: parts[0] ?? '', port: parts[1] ?? '' };
  const [scheme = '', name = '', port = ''] = parts;
  if (parts.length > 3 || (scheme !== '' && scheme !== 'http' && scheme !== 'https'))
    throw badRequest(`invalid request ${JSON.stringify(text)}`);
  return { scheme, name, port };
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw badRequest(`invalid port ${JSON.stringify(text)}`);
  return port;
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function unreachable(message: string): StatusError {
  const status: Status = { ...serviceUnavailable(message).status };
  return new StatusError(status);
}
