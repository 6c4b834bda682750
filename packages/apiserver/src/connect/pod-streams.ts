import { badRequest, genericStatus, internalError, type KubeObject, notFound, serviceUnavailable } from '@dure/api';
import type { Admission } from '../contract/admission.ts';
import type { NodeDialer } from '../contract/node-dialer.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { ApiResponse } from '../http/exchange.ts';
import type { ResourceCall, ResourceHandler } from '../request/call.ts';
import { isTrue } from '../request/request-info.ts';
import { admitConnect } from './connect-admission.ts';
import { nodeEndpoint } from './node-address.ts';
import { forwardedHeaders, tunnel } from './tunnel.ts';

export interface ConnectDeps {
  readonly reads: ObjectReader;
  readonly nodes: NodeDialer | undefined;
  readonly admission: Admission;
}

interface PodShape extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly { readonly name: string }[];
    readonly initContainers?: readonly { readonly name: string }[];
    readonly ephemeralContainers?: readonly { readonly name: string }[];
  };
}

const PODS = { group: '', resource: 'pods' } as const;
const LOG_OPTIONS = ['follow', 'previous', 'sinceSeconds', 'sinceTime', 'timestamps', 'tailLines', 'limitBytes', 'stream'] as const;
/** Error texts of agents are short; more is cut. */
const ERROR_TEXT_MAX = 8192;

/** GET `pods/NAME/log`. */
export function logHandler(deps: ConnectDeps): ResourceHandler {
  return async (call) => {
    const { query } = call.request;
    checkLogOptions(query);
    const pod = await podOf(deps, call);
    const container = containerOf(pod, query.get('container') ?? '');
    const options = new URLSearchParams();
    for (const name of LOG_OPTIONS) {
      const value = query.get(name);
      if (value !== null && value !== '')
        options.set(name, name === 'follow' || name === 'previous' || name === 'timestamps' ? String(isTrue(value)) : value);
    }
    const { namespace = '', name } = pod.metadata;
    const endpoint = await endpointOf(deps, pod, call);
    const path = `/containerLogs/${namespace}/${name}/${container}?${options}`;
    const nodes = dialerOf(deps);
    const response = await nodes.request(endpoint, { method: 'GET', path, headers: {} }, call.signal).catch((error: unknown) => {
      call.signal.throwIfAborted();
      throw internalError(new Error(`Get "https://${endpoint.host}:${endpoint.port}${path}": ${(error as Error).message}`));
    });
    if (response.status >= 400) throw await agentFailure(response.status, response.body, name);
    return { status: 200, headers: { 'content-type': 'text/plain' }, body: { kind: 'stream', chunks: response.body } };
  };
}

/** `exec` and `attach`: an upgraded connection that the agent answers. */
export function streamHandler(deps: ConnectDeps, verb: 'exec' | 'attach'): ResourceHandler {
  return async (call) => {
    const { query } = call.request;
    const pod = await podOf(deps, call);
    const options = {
      stdin: isTrue(query.get('stdin')),
      stdout: isTrue(query.get('stdout')),
      stderr: isTrue(query.get('stderr')),
      tty: isTrue(query.get('tty')),
    };
    const commands = query.getAll('command');
    if (verb === 'exec' && commands.length === 0) throw badRequest('you must specify at least one command for the container');
    if (!options.stdin && !options.stdout && !options.stderr) throw badRequest('you must specify at least one of stdin, stdout, stderr');
    const container = containerOf(pod, query.get('container') ?? '');
    const shown = { kind: verb === 'exec' ? 'PodExecOptions' : 'PodAttachOptions', ...spoken(options), container };
    await admitConnect(deps.admission, call, pod.metadata.name, verb === 'exec' ? { ...shown, command: commands } : shown, 'Pod');
    const target = new URLSearchParams();
    if (options.stdin) target.set('input', '1');
    if (options.stdout) target.set('output', '1');
    if (options.stderr) target.set('error', '1');
    if (options.tty) target.set('tty', '1');
    if (verb === 'exec') for (const command of commands) target.append('command', command);
    const { namespace = '', name } = pod.metadata;
    return upgraded(deps, call, pod, `/${verb}/${namespace}/${name}/${container}?${target}`);
  };
}

/** `portforward`. */
export function portForwardHandler(deps: ConnectDeps): ResourceHandler {
  return async (call) => {
    const pod = await podOf(deps, call);
    const ports = call.request.query.getAll('ports');
    const numbers = ports.flatMap((text) => text.split(',')).map(Number);
    const shown = { kind: 'PodPortForwardOptions', ...(numbers.every(Number.isInteger) && numbers.length > 0 ? { ports: numbers } : {}) };
    await admitConnect(deps.admission, call, pod.metadata.name, shown, 'Pod');
    const target = new URLSearchParams(ports.map((port): [string, string] => ['port', port]));
    const { namespace = '', name } = pod.metadata;
    return upgraded(deps, call, pod, `/portForward/${namespace}/${name}${ports.length === 0 ? '' : `?${target}`}`);
  };
}

async function upgraded(deps: ConnectDeps, call: ResourceCall, pod: PodShape, path: string): Promise<ApiResponse> {
  const { request, signal } = call;
  const { upgrade } = request;
  if (upgrade === undefined) throw badRequest('Upgrade request required');
  const endpoint = await endpointOf(deps, pod, call);
  const socket = await dialerOf(deps)
    .connect(endpoint, signal)
    .catch((error: unknown) => {
      signal.throwIfAborted();
      throw internalError(new Error(`error dialing backend: ${(error as Error).message}`));
    });
  const host = `${endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`;
  const done = tunnel(
    upgrade,
    socket,
    { method: request.method, path, host, headers: forwardedHeaders(request.headers, true) },
    request.signal,
  );
  return { status: 101, headers: {}, body: { kind: 'taken', done } };
}

/** Only what is on: the API leaves out what is false. */
function spoken(switches: Readonly<Record<string, boolean>>): Record<string, boolean> {
  return Object.fromEntries(Object.entries(switches).filter(([, on]) => on));
}

async function podOf({ reads }: ConnectDeps, { info }: ResourceCall): Promise<PodShape> {
  const pod = await reads.get('', 'pods', info.namespace, info.name, { fresh: true });
  if (pod === undefined) throw notFound(PODS, info.name);
  return pod as PodShape;
}

/** @throws {StatusError} BadRequest: none was named and there are several, or it is not one of the Pod's. */
function containerOf({ metadata, spec }: PodShape, wanted: string): string {
  const main = spec?.containers ?? [];
  const others = [...(spec?.initContainers ?? []), ...(spec?.ephemeralContainers ?? [])];
  if (wanted === '') {
    const [first] = main;
    if (main.length === 1 && first !== undefined) return first.name;
    const names = main.map(({ name }) => name).join(' ');
    const inits = (spec?.initContainers ?? []).map(({ name }) => name).join(' ');
    throw badRequest(
      `a container name must be specified for pod ${metadata.name}, choose one of: [${names}]${inits === '' ? '' : ` or one of the init containers: [${inits}]`}`,
    );
  }
  if (![...main, ...others].some(({ name }) => name === wanted))
    throw badRequest(`container ${wanted} is not valid for pod ${metadata.name}`);
  return wanted;
}

async function endpointOf({ reads }: ConnectDeps, pod: PodShape, call: ResourceCall): ReturnType<typeof nodeOf> {
  const nodeName = pod.spec?.nodeName ?? '';
  if (nodeName === '') throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
  call.signal.throwIfAborted();
  return nodeOf(reads, nodeName);
}

/** Where the agent of a node listens. @throws {StatusError} NotFound. */
export async function nodeOf(reads: ObjectReader, nodeName: string): Promise<ReturnType<typeof nodeEndpoint>> {
  const node = await reads.get('', 'nodes', undefined, nodeName);
  if (node === undefined) throw notFound({ group: '', resource: 'nodes' }, nodeName);
  return nodeEndpoint(node);
}

function dialerOf({ nodes }: ConnectDeps): NodeDialer {
  if (nodes === undefined) throw serviceUnavailable('this server does not reach nodes');
  return nodes;
}

/** What an agent's refusal is to the client: its text is meant to be read. */
async function agentFailure(status: number, body: AsyncIterable<Uint8Array>, podName: string): Promise<Error> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > ERROR_TEXT_MAX) break;
  }
  const text = Buffer.concat(chunks).toString('utf8').slice(0, ERROR_TEXT_MAX).trim();
  if (status === 400) return badRequest(text);
  if (status === 500) return internalError(new Error(text));
  return genericStatus(status, 'GET', { group: '', resource: 'pods/log' }, podName, text);
}

function checkLogOptions(query: URLSearchParams): void {
  for (const name of ['tailLines', 'limitBytes', 'sinceSeconds'] as const) {
    const value = query.get(name);
    if (value === null || value === '') continue;
    const least = name === 'tailLines' ? 0 : 1;
    if (!/^-?\d{1,15}$/.test(value) || Number(value) < least)
      throw badRequest(`${name}: Invalid value: ${JSON.stringify(value)}: must be greater than or equal to ${least}`);
  }
  if (query.has('sinceSeconds') && query.has('sinceTime'))
    throw badRequest('at most one of `sinceTime` or `sinceSeconds` may be specified');
}
