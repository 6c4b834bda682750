import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { toJsonText } from '@dure/api';
import { type Clock, isAbort, type Logger, messageOf } from '@dure/foundation';
import type { RuntimeService, StreamSession } from '@dure/runtime';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import type { LogOptions } from '../logs/log-reader.ts';
import { CHANNEL_PROTOCOLS, forwardChannels, forwardSpdy, PORT_FORWARD_PROTOCOL, TUNNEL_PROTOCOL } from './port-forward.ts';
import { serveRemoteCommand } from './remote-command.ts';
import type { RemoteStreams, StreamRequest } from './remote-streams.ts';
import { SPDY_PROTOCOLS, spdyStreams } from './spdy-streams.ts';
import { REMOTE_COMMAND_PROTOCOLS, websocketStreams } from './websocket-streams.ts';

/** PEM. */
export interface ServingIdentity {
  readonly certificate: string;
  readonly key: string;
  /** Of the authority that callers' certificates must come from. */
  readonly clientAuthority: string;
}

/** Something that a caller asked for is not here, or cannot be had. Its message is meant for them. */
export class NodeRequestError extends Error {
  override readonly name = 'NodeRequestError';
  readonly code = 'KUBELET_REQUEST';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** A caller whose certificate the cluster's authority signed. */
export interface Caller {
  readonly name: string;
  readonly groups: readonly string[];
}

/** What the server shows. Each may throw {@link NodeRequestError}. */
export interface NodeServerHandlers {
  /** Runtime id of a running container. */
  containerId(namespace: string, pod: string, uid: string | undefined, container: string): Promise<string>;
  sandboxId(namespace: string, pod: string, uid: string | undefined): Promise<string>;
  logs(
    namespace: string,
    pod: string,
    container: string,
    options: LogOptions & { readonly previous: boolean },
    signal: AbortSignal,
  ): Promise<AsyncIterable<Buffer>>;
  pods(): unknown;
  summary(): Promise<unknown>;
  metrics(kind: 'process' | 'resource' | 'cadvisor' | 'probes'): Promise<string>;
  config(): unknown;
}

export interface NodeServerOptions {
  readonly identity: ServingIdentity;
  readonly handlers: NodeServerHandlers;
  readonly runtime: RuntimeService;
  /** Whether a caller may use this server at all: the API server and administrators may. */
  readonly mayCall: (caller: Caller) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

const SESSIONS_MAX = 500;
const MESSAGE_BYTES_MAX = 32 * 2 ** 20;

/** The node's HTTPS side: streams into containers, logs, figures. */
export class NodeServer implements AsyncDisposable {
  readonly #options: NodeServerOptions;
  readonly #server: Server;
  readonly #webSockets: WebSocketServer;
  /** Upgrades to a protocol whose name the library refuses, for the slash in it. */
  readonly #tunnels = new WeakSet<IncomingMessage>();
  readonly #stop = new AbortController();
  #sessions = 0;

  constructor(options: NodeServerOptions) {
    this.#options = options;
    this.#server = createServer({ ...tlsOf(options.identity), requestCert: true, rejectUnauthorized: false });
    this.#server.on('request', (request, response) => void this.#answer(request, response));
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
    // A handshake that fails is the caller's affair.
    this.#server.on('tlsClientError', (error) => options.log.debug('TLS handshake failed', { error }));
    this.#webSockets = new WebSocketServer({
      noServer: true,
      maxPayload: MESSAGE_BYTES_MAX,
      handleProtocols: (offered, request) => chooseProtocol(offered, request.url ?? '') ?? false,
    });
    this.#webSockets.on('headers', (headers, request) => {
      if (this.#tunnels.has(request)) headers.push(`Sec-WebSocket-Protocol: ${TUNNEL_PROTOCOL}`);
    });
  }

  listen(port: number, host?: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  /** The port, once it listens. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** New connections see the new certificate; running ones go on. */
  setIdentity(identity: ServingIdentity): void {
    this.#server.setSecureContext(tlsOf(identity));
  }

  /** Cuts every session and stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const client of this.#webSockets.clients) client.terminate();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    try {
      this.#authorize(request);
      await this.#route(request, response, AbortSignal.any([gone.signal, this.#stop.signal]));
    } catch (error) {
      if (isAbort(error) || response.destroyed) return;
      const status = error instanceof NodeRequestError ? error.status : 500;
      if (status === 500) this.#options.log.warn('request failed', { path: request.url?.split('?')[0], error });
      if (response.headersSent) response.destroy();
      else response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${messageOf(error)}\n`);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { handlers } = this.#options;
    const url = new URL(request.url ?? '/', 'https://node');
    const [, head = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
    const text = (body: string, type = 'text/plain; charset=utf-8'): void =>
      void response.writeHead(200, { 'content-type': type }).end(body);
    const json = (body: unknown): void => text(toJsonText(body), 'application/json');
    switch (url.pathname) {
      case '/healthz':
      case '/healthz/ping':
      case '/healthz/log':
      case '/healthz/syncloop':
        return text('ok');
      case '/pods':
      case '/pods/':
      case '/runningpods/':
        return json(handlers.pods());
      case '/configz':
        return json(handlers.config());
      case '/stats/summary':
        return json(await handlers.summary());
      case '/metrics':
        return text(await handlers.metrics('process'), METRICS_TYPE);
      case '/metrics/resource':
        return text(await handlers.metrics('resource'), METRICS_TYPE);
      case '/metrics/cadvisor':
        return text(await handlers.metrics('cadvisor'), METRICS_TYPE);
      case '/metrics/probes':
        return text(await handlers.metrics('probes'), METRICS_TYPE);
    }
    const [namespace = '', pod = '', container = ''] = rest;
    if (head === 'containerLogs' && rest.length === 3) {
      const lines = await handlers.logs(namespace, pod, container, logOptionsOf(url.searchParams, this.#options.clock.now()), signal);
      response.writeHead(200, { 'content-type': 'text/plain', 'transfer-encoding': 'chunked' });
      response.flushHeaders();
      for await (const line of lines) {
        if (!response.write(line)) await drained(response, signal);
      }
      response.end();
      return;
    }
    if (head === 'run' && request.method === 'POST') {
      const target = targetOf(rest);
      const id = await handlers.containerId(target.namespace, target.pod, target.uid, target.container);
      return text(await this.#runOnce(id, url.searchParams.get('cmd') ?? '', signal));
    }
    throw new NodeRequestError(404, `${url.pathname}: not found`);
  }

  async #runOnce(id: string, commandLine: string, signal: AbortSignal): Promise<string> {
    const session = await this.#options.runtime.exec(id, { command: commandLine.split(' '), tty: false, stdin: false }, signal);
    let output = '';
    for (const stream of [session.stdout, session.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString('utf8')).slice(0, MESSAGE_BYTES_MAX);
      });
    }
    await session.exited;
    return output;
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    try {
      this.#authorize(request);
      if (this.#sessions >= SESSIONS_MAX) throw new NodeRequestError(429, 'too many streaming sessions on this node');
      this.#sessions += 1;
      socket.once('close', () => {
        this.#sessions -= 1;
      });
      await this.#stream(request, socket, head);
    } catch (error) {
      const status = error instanceof NodeRequestError ? error.status : 500;
      if (status === 500) this.#options.log.warn('streaming session failed', { path: request.url?.split('?')[0], error });
      refuse(socket, status, messageOf(error));
    }
  }

  async #stream(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { handlers, runtime } = this.#options;
    const url = new URL(request.url ?? '/', 'https://node');
    const [, verb = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
    const query = url.searchParams;
    if (verb === 'portForward') {
      const [namespace = '', pod = '', uid] = rest;
      const sandboxId = await handlers.sandboxId(namespace, pod, uid);
      await this.#portForward(request, socket, head, sandboxId, query.getAll('port').map(Number));
      return;
    }
    if (verb !== 'exec' && verb !== 'attach') throw new NodeRequestError(404, `${url.pathname}: not found`);
    const target = targetOf(rest);
    const id = await handlers.containerId(target.namespace, target.pod, target.uid, target.container);
    const streams = streamRequestOf(query);
    const open = (): Promise<StreamSession> =>
      verb === 'attach'
        ? runtime.attach(id)
        : runtime.exec(id, { command: query.getAll('command'), tty: streams.tty, stdin: streams.stdin }, this.#stop.signal);
    await serveRemoteCommand(verb, open, await this.#remoteStreams(request, socket, head, streams));
  }

  async #remoteStreams(request: IncomingMessage, socket: Duplex, head: Buffer, streams: StreamRequest): Promise<RemoteStreams> {
    if (isWebSocket(request)) return websocketStreams(await this.#acceptWebSocket(request, socket, head), streams);
    const protocol = agreeOnSpdy(request, SPDY_PROTOCOLS) ?? 'channel.k8s.io';
    acceptSpdy(socket, protocol);
    return spdyStreams(socket, head, streams, protocol, this.#options.clock);
  }

  async #portForward(request: IncomingMessage, socket: Duplex, head: Buffer, sandboxId: string, ports: readonly number[]): Promise<void> {
    const { runtime, log } = this.#options;
    const connect = (port: number, signal: AbortSignal): Promise<Duplex> => runtime.connect(sandboxId, port, signal);
    if (!isWebSocket(request)) {
      if (agreeOnSpdy(request, [PORT_FORWARD_PROTOCOL]) === undefined && request.headers['x-stream-protocol-version'] !== undefined)
        throw new NodeRequestError(403, `unable to upgrade: unsupported protocol ${String(request.headers['x-stream-protocol-version'])}`);
      acceptSpdy(socket, PORT_FORWARD_PROTOCOL);
      await forwardSpdy(socket, head, connect, log);
      return;
    }
    const webSocket = await this.#acceptWebSocket(request, socket, head);
    if (this.#tunnels.has(request)) await forwardSpdy(createWebSocketStream(webSocket), Buffer.alloc(0), connect, log);
    else await forwardChannels(webSocket, ports, connect, log);
  }

  #acceptWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket> {
    const offered = new Set(
      (request.headers['sec-websocket-protocol'] ?? '')
        .split(',')
        .map((name) => name.trim())
        .filter(Boolean),
    );
    const chosen = chooseProtocol(offered, request.url ?? '');
    if (offered.size > 0 && chosen === undefined) {
      throw new NodeRequestError(403, `unable to upgrade: no subprotocol of ${[...offered].join(', ')} is supported`);
    }
    if (chosen === TUNNEL_PROTOCOL) {
      this.#tunnels.add(request);
      delete request.headers['sec-websocket-protocol'];
    }
    return new Promise((resolve) => this.#webSockets.handleUpgrade(request, socket, head, resolve));
  }

  /** @throws {NodeRequestError} */
  #authorize(request: IncomingMessage): void {
    if (request.url === '/healthz') return;
    const socket = request.socket as TLSSocket;
    if (!socket.authorized) throw new NodeRequestError(401, 'Unauthorized');
    const { subject } = socket.getPeerCertificate();
    // Several organizations come as an array, whatever the types say.
    const groups = ([] as string[]).concat((subject?.O as string | string[] | undefined) ?? []);
    const caller = { name: String(subject?.CN ?? ''), groups };
    if (!this.#options.mayCall(caller)) throw new NodeRequestError(403, `Forbidden (user=${caller.name})`);
  }
}

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

function tlsOf({ certificate, key, clientAuthority }: ServingIdentity) {
  return { cert: certificate, key, ca: clientAuthority, minVersion: 'TLSv1.2' as const };
}

function isWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket';
}

function chooseProtocol(offered: ReadonlySet<string>, url: string): string | undefined {
  const known = url.startsWith('/portForward/')
    ? [TUNNEL_PROTOCOL, ...CHANNEL_PROTOCOLS]
    : [...REMOTE_COMMAND_PROTOCOLS, 'base64.channel.k8s.io'];
  return known.find((protocol) => offered.has(protocol));
}

/** The first of ours that the client offers; `undefined`: it offers none of them. @throws {NodeRequestError} It is not SPDY that it wants. */
function agreeOnSpdy({ headers }: IncomingMessage, known: readonly string[]): string | undefined {
  if (headers.upgrade?.toUpperCase() !== 'SPDY/3.1')
    throw new NodeRequestError(400, `unable to upgrade: unknown protocol ${headers.upgrade}`);
  const offered = ([] as string[])
    .concat(headers['x-stream-protocol-version'] ?? [])
    .flatMap((value) => value.split(','))
    .map((value) => value.trim());
  return known.find((protocol) => offered.includes(protocol));
}

function acceptSpdy(socket: Duplex, protocol: string): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
}

function refuse(socket: Duplex, status: number, message: string): void {
  if (socket.destroyed || socket.writableEnded) return;
  const body = `${message}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${status === 404 ? 'Not Found' : 'Error'}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** `ns/pod/container` or `ns/pod/uid/container`. */
function targetOf(rest: readonly string[]): { namespace: string; pod: string; uid: string | undefined; container: string } {
  const [namespace = '', pod = '', third = '', fourth] = rest;
  if (rest.length < 3) throw new NodeRequestError(404, 'expected /NAMESPACE/POD/CONTAINER');
  return fourth === undefined ? { namespace, pod, uid: undefined, container: third } : { namespace, pod, uid: third, container: fourth };
}

function streamRequestOf(query: URLSearchParams): StreamRequest {
  const is = (...names: readonly string[]): boolean => names.some((name) => ['1', 'true'].includes(query.get(name) ?? ''));
  return { stdin: is('input', 'stdin'), stdout: is('output', 'stdout'), stderr: is('error', 'stderr'), tty: is('tty') };
}

function logOptionsOf(query: URLSearchParams, nowMs: number): LogOptions & { readonly previous: boolean } {
  const flag = (name: string): boolean => ['1', 'true'].includes(query.get(name) ?? '');
  const number = (name: string): number | undefined => {
    const text = query.get(name);
    if (text === null || text === '') return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 0) throw new NodeRequestError(400, `${name}: Invalid value: "${text}"`);
    return value;
  };
  const tailLines = number('tailLines');
  const limitBytes = number('limitBytes');
  const sinceSeconds = number('sinceSeconds');
  const sinceTime = query.get('sinceTime');
  const sinceMs = sinceSeconds !== undefined ? nowMs - sinceSeconds * 1000 : sinceTime ? Date.parse(sinceTime) : undefined;
  const stream = query.get('stream');
  return {
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceMs === undefined || Number.isNaN(sinceMs) ? {} : { sinceMs }),
    ...(stream === 'Stdout' || stream === 'Stderr' ? { stream } : {}),
  };
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    response.once('drain', () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
