import { fromJsonText } from '@dure/api';
import { isAbort } from '@dure/foundation';
import { type Dispatcher, Pool } from 'undici';
import { FrameError, jsonFrames } from './json-frames.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';
import { TransportError } from './transport-error.ts';

/** What the client proves itself with. Certificate and key in PEM, both or none. */
export interface ClientIdentity {
  readonly certificate?: string;
  readonly key?: string;
  /** Sent as a bearer token. A function is asked before every request; it should cache. */
  readonly token?: string | (() => string | Promise<string>);
}

export interface NetworkTransportOptions extends ClientIdentity {
  /** `https://HOST:PORT`, at least one. The next one is tried when a connection cannot be made, and then kept. */
  readonly servers: readonly string[];
  /** PEM of what signs the server's certificate. Default: the public authorities that Node knows. */
  readonly ca?: string;
  /** Name to expect in the server's certificate instead of the URL's host. */
  readonly serverName?: string;
  /** Accept any server. For a kubeconfig that says so, never by default. */
  readonly insecureSkipTlsVerify?: boolean;
  readonly timeouts?: Partial<NetworkTimeouts>;
  /** Connections for requests other than watches, each carrying one request at a time. Default: 16. */
  readonly connections?: number;
}

export interface NetworkTimeouts {
  /** To connect, TLS included. Default: 5 s. */
  readonly connectMs: number;
  /** From sending a request to the head of its answer, and between two pieces of its body. Default: 65 s, above the server's own 60 s. */
  readonly answerMs: number;
  /**
   * Between two frames of a watch. Default: 11 min: longer than the longest watch a reflector asks for, since a quiet one may carry
   * nothing. Dead peers are found sooner, by TCP keep-alive.
   */
  readonly watchIdleMs: number;
}

const DEFAULT_TIMEOUTS: NetworkTimeouts = { connectMs: 5_000, answerMs: 65_000, watchIdleMs: 660_000 };
const CONNECTIONS = 16;
/** First probe after this; Node sends ten more a second apart, so a dead peer is noticed after 25 s. */
const TCP_KEEPALIVE_MS = 15_000;
/** Longer than the usual pause between a node's heartbeats, so that they share one connection. */
const IDLE_CONNECTION_MS = 30_000;

/** A {@link Transport} over HTTP/1.1 and TLS. HTTP/2 in Node serves about a third of the requests per second. */
export interface NetworkTransport extends Transport {
  /** New requests prove themselves with `identity`; running ones, watches too, end on their old connections. */
  setIdentity(identity: ClientIdentity): void;
  /** Trusts `ca` instead for new connections. */
  setTrust(ca: string): void;
}

/** Opens nothing yet: connections are made when first needed. @throws {RangeError} No servers, or a URL that is not http(s). */
export function createNetworkTransport(options: NetworkTransportOptions): NetworkTransport {
  return new UndiciTransport(options);
}

interface Pools {
  readonly requests: readonly Pool[];
  readonly watches: readonly Pool[];
}

class UndiciTransport implements NetworkTransport {
  readonly #servers: readonly Server[];
  readonly #timeouts: NetworkTimeouts;
  #options: NetworkTransportOptions;
  #pools: Pools;
  /** Index of the server that answered last. */
  #preferred = 0;
  readonly #closing = new Set<Promise<unknown>>();
  #disposed = false;

  constructor(options: NetworkTransportOptions) {
    if (options.servers.length === 0) throw new RangeError('network transport: no servers given');
    this.#servers = options.servers.map(parseServer);
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    this.#options = options;
    this.#pools = this.#open();
  }

  setIdentity({ certificate, key, token }: ClientIdentity): void {
    const { certificate: _certificate, key: _key, token: _token, ...rest } = this.#options;
    this.#options = { ...rest, ...(certificate && { certificate }), ...(key && { key }), ...(token && { token }) };
    this.#reopen();
  }

  setTrust(ca: string): void {
    this.#options = { ...this.#options, ca };
    this.#reopen();
  }

  async send(request: TransportRequest, signal?: AbortSignal): Promise<TransportResponse> {
    signal?.throwIfAborted();
    const headers = { ...request.headers, ...(await this.#authorization(request)) };
    let failure: TransportError | undefined;
    for (let attempt = 0; attempt < this.#servers.length; attempt += 1) {
      const index = (this.#preferred + attempt) % this.#servers.length;
      try {
        const response = await this.#dispatch(index, { ...request, headers }, signal);
        this.#preferred = index;
        return response;
      } catch (error) {
        if (!(error instanceof TransportError) || error.mayHaveArrived) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const { requests, watches } = this.#pools;
    await Promise.all([...requests, ...watches].map((pool) => pool.destroy()));
    await Promise.all(this.#closing);
  }

  async #authorization(request: TransportRequest): Promise<Record<string, string>> {
    const { token } = this.#options;
    if (token === undefined) return {};
    try {
      return { authorization: `Bearer ${typeof token === 'string' ? token : await token()}` };
    } catch (cause) {
      throw new TransportError(request, 'could not read the bearer token', { cause, mayHaveArrived: false });
    }
  }

  async #dispatch(index: number, request: TransportRequest, signal: AbortSignal | undefined): Promise<TransportResponse> {
    const isWatch = /[?&]watch=(true|1)(&|$)/.test(request.path);
    const pool = (isWatch ? this.#pools.watches : this.#pools.requests)[index];
    const server = this.#servers[index];
    if (pool === undefined || server === undefined) throw new RangeError(`no server ${index}`);
    const attempt = { method: request.method, path: request.path, server: `${server.origin}${server.prefix}` };
    try {
      const response = await pool.request({
        method: request.method,
        path: `${server.prefix}${request.path}`,
        headers: request.headers,
        body: request.body ?? null,
        signal: signal ?? null,
        headersTimeout: this.#timeouts.answerMs,
        bodyTimeout: isWatch ? this.#timeouts.watchIdleMs : this.#timeouts.answerMs,
      });
      return new UndiciResponse(response, attempt, signal);
    } catch (error) {
      if (signal?.aborted || isAbort(error, signal)) throw signal?.reason ?? error;
      throw new TransportError(attempt, whyOf(error), { cause: error, mayHaveArrived: !isConnectFailure(error) });
    }
  }

  #open(): Pools {
    const { certificate, key, ca, serverName, insecureSkipTlsVerify } = this.#options;
    const connect = {
      timeout: this.#timeouts.connectMs,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEPALIVE_MS,
      ...(certificate !== undefined && { cert: certificate }),
      ...(key !== undefined && { key }),
      ...(ca !== undefined && { ca }),
      ...(serverName !== undefined && { servername: serverName }),
      ...(insecureSkipTlsVerify === true && { rejectUnauthorized: false }),
    };
    const pool = (origin: string, connections: number | null): Pool =>
      new Pool(origin, { connections, pipelining: 1, keepAliveTimeout: IDLE_CONNECTION_MS, connect, allowH2: false });
    return {
      requests: this.#servers.map(({ origin }) => pool(origin, this.#options.connections ?? CONNECTIONS)),
      // A connection each, apart from the others: a process holds one watch per kind for minutes, and requests must not wait behind them.
      watches: this.#servers.map(({ origin }) => pool(origin, null)),
    };
  }

  #reopen(): void {
    if (this.#disposed) return;
    const { requests, watches } = this.#pools;
    this.#pools = this.#open();
    for (const pool of [...requests, ...watches]) {
      const closed = pool.close().catch(() => undefined);
      this.#closing.add(closed);
      void closed.then(() => this.#closing.delete(closed));
    }
  }
}

class UndiciResponse implements TransportResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly #body: Dispatcher.ResponseData['body'];
  readonly #attempt: { readonly method: string; readonly path: string; readonly server: string };
  readonly #signal: AbortSignal | undefined;

  constructor(
    response: Dispatcher.ResponseData,
    attempt: { readonly method: string; readonly path: string; readonly server: string },
    signal: AbortSignal | undefined,
  ) {
    this.status = response.statusCode;
    this.headers = Object.fromEntries(
      Object.entries(response.headers).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
      ),
    );
    this.#body = response.body;
    this.#attempt = attempt;
    this.#signal = signal;
  }

  async json(): Promise<unknown> {
    try {
      const text = await this.#body.text();
      return text === '' ? undefined : fromJsonText(text);
    } catch (error) {
      throw this.#translate(error);
    }
  }

  async *frames(): AsyncGenerator<unknown, void, undefined> {
    try {
      yield* jsonFrames(this.#body);
    } catch (error) {
      throw this.#translate(error);
    }
  }

  async *bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* this.#body;
    } catch (error) {
      throw this.#translate(error);
    }
  }

  #translate(error: unknown): unknown {
    if (this.#signal?.aborted) return this.#signal.reason;
    const why = error instanceof SyntaxError || error instanceof FrameError ? 'the answer is no JSON' : whyOf(error);
    return new TransportError(this.#attempt, why, { cause: error, mayHaveArrived: true });
  }
}

interface Server {
  readonly origin: string;
  /** Path that a gateway puts before the API's own, without a slash at its end. */
  readonly prefix: string;
}

function parseServer(server: string): Server {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new RangeError(`network transport: "${server}" is not an http(s) URL`);
  return { origin: url.origin, prefix: url.pathname.replace(/\/+$/, '') };
}

const CONNECT_FAILURES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** A connection that never stood cannot have carried the request. TLS failures count: they come before it too. */
function isConnectFailure(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  if (typeof code !== 'string') return false;
  return CONNECT_FAILURES.has(code) || code.startsWith('ERR_TLS_') || code.startsWith('ERR_SSL_') || /CERT|SIGNATURE|ISSUER/.test(code);
}

function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { readonly code?: unknown };
  if (error instanceof AggregateError && error.message === '')
    return `${String(code)}: ${error.errors.map((one) => String(one)).join('; ')}`;
  return error.message;
}
