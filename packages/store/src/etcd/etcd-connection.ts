import { setMaxListeners } from 'node:events';
import { abortable, type Clock, type Logger, messageOf } from '@dure/foundation';
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  connectivityState,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { StoreAccessError, StoreClosedError, StoreUnavailableError } from '../errors.ts';
import { isServiceError, isTokenRefused, isUnavailable } from './etcd-errors.ts';
import { AUTHENTICATE, type EtcdMethod } from './etcd-messages.ts';
import { LinkedAbort } from './linked-abort.ts';

/** PEM. Without `ca` the certificates that Node trusts are asked. */
export interface EtcdTls {
  readonly ca?: string | undefined;
  /** With `key`: how this side proves itself. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface EtcdConnectionOptions {
  /** `http://host:port` or `https://host:port`, all of one cluster. Tried in this order. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls | undefined;
  /** For an etcd with authentication by password. */
  readonly user?: { readonly name: string; readonly password: string } | undefined;
  /** A call that has no answer after so long is given up. Default: 10 s. */
  readonly requestTimeoutMs?: number | undefined;
  /** So long one endpoint may take to connect before the next is tried. Default: 3 s. */
  readonly connectTimeoutMs?: number | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface CallOptions {
  /** What is tried, for messages: `append /key`. */
  readonly what: string;
  /** Whether doing it twice does no harm; then a call cut off on the way is tried at the other endpoints too. */
  readonly repeatable: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Answers come in messages of at most so much; lists and watches are cut so that they fit. */
const MESSAGE_BYTES_MAX = 64 << 20;
/** etcd closes connections that ask more often than each 5 s. */
const KEEPALIVE_INTERVAL_MS = 10_000;

/** `grpc`'s options: a dead peer is noticed within 20 s, a restarted one found within a second. */
const CHANNEL_OPTIONS: ClientOptions = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
  'grpc.keepalive_time_ms': KEEPALIVE_INTERVAL_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_INTERVAL_MS,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.use_local_subchannel_pool': 1,
  // etcd is not reached through the proxies of a company's environment, nor are settings for it kept in DNS.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
};

interface Member {
  readonly endpoint: string;
  readonly client: Client;
}

/**
 * Calls to an etcd cluster through one of its endpoints, the next one when that fails. It connects when it is first used, and again by itself.
 * A call is sent only over a connection that stands, so what fails before is known not to have happened.
 */
export class EtcdConnection {
  readonly #options: EtcdConnectionOptions;
  readonly #requestTimeoutMs: number;
  readonly #connectTimeoutMs: number;
  readonly #members: readonly Member[];
  readonly #closing = new AbortController();
  #current = 0;
  #token: Promise<string> | undefined;

  /** @throws {RangeError} An endpoint is no URL, or https and http are mixed. */
  constructor(options: EtcdConnectionOptions) {
    setMaxListeners(0, this.#closing.signal); // One for each call under way.
    this.#options = options;
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 10_000;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 3_000;
    const targets = options.endpoints.map(parseEndpoint);
    if (targets.length === 0) throw new RangeError('etcd: no endpoints');
    if (new Set(targets.map(({ secure }) => secure)).size > 1) throw new RangeError('etcd: endpoints are partly https and partly http');
    this.#members = targets.map(({ endpoint, address, secure }) => ({
      endpoint,
      client: new Client(`dns:${address}`, secure ? tlsCredentials(options.tls) : credentials.createInsecure(), CHANNEL_OPTIONS),
    }));
  }

  /** @throws what etcd answers, as `ServiceError`. @throws {StoreUnavailableError} No endpoint answers. @throws {StoreClosedError} */
  async call<Request, Response>(method: EtcdMethod<Request, Response>, request: Request, options: CallOptions): Promise<Response> {
    const { clock } = this.#options;
    const { what, signal } = options;
    const late = new StoreUnavailableError(what, `no answer in ${this.#requestTimeoutMs} ms`, { cause: undefined });
    using stop = new LinkedAbort([this.#closing.signal, signal]);
    const done = new AbortController();
    clock.sleep(this.#requestTimeoutMs, done.signal).then(
      () => stop.abort(late),
      () => undefined,
    );
    try {
      return await this.#attempts(method, request, options, stop.signal);
    } catch (error) {
      // A member that keeps us waiting may be cut off from the others.
      if (error === late) this.#moveOn();
      throw error;
    } finally {
      done.abort();
    }
  }

  /** A stream that both sides write to. Cancel it in the end; its errors come to whoever reads it. @throws as {@link call} */
  async stream<Request, Response>(
    method: EtcdMethod<Request, Response>,
    what: string,
    signal: AbortSignal,
  ): Promise<ClientDuplexStream<Request, Response>> {
    using stop = new LinkedAbort([this.#closing.signal, signal]);
    const { client } = await this.#connected(what, stop.signal);
    const metadata = await this.#metadata(client, stop.signal);
    // Without a leader the member would keep the stream and tell nothing.
    metadata.set('hasleader', 'true');
    const stream = client.makeBidiStreamRequest(method.path, method.encode, method.decode, metadata, {});
    // After its reader has gone nobody listens, and an error that nobody listens to ends the process.
    stream.on('error', () => {});
    return stream;
  }

  /** After a failure that says that the member, not the call, is at fault: the next call goes to the next one. */
  moveOnAfter(error: unknown): void {
    if (isUnavailable(error)) this.#moveOn();
    if (isTokenRefused(error)) this.#token = undefined;
  }

  /** Whatever is under way fails with {@link StoreClosedError}. */
  close(): void {
    this.#closing.abort(new StoreClosedError());
    for (const { client } of this.#members) client.close();
  }

  async #attempts<Request, Response>(
    method: EtcdMethod<Request, Response>,
    request: Request,
    { what, repeatable }: CallOptions,
    stop: AbortSignal,
  ): Promise<Response> {
    let mayAuthenticate = true;
    for (let failures = 0; ; ) {
      stop.throwIfAborted();
      const { client } = await this.#connected(what, stop);
      try {
        return await send(client, method, request, await this.#metadata(client, stop), stop);
      } catch (error) {
        stop.throwIfAborted();
        this.moveOnAfter(error);
        if (isTokenRefused(error) && this.#options.user !== undefined && mayAuthenticate) {
          mayAuthenticate = false;
          continue;
        }
        failures += 1;
        if (!repeatable || !isUnavailable(error) || failures >= this.#members.length + 1) throw error;
      }
    }
  }

  /** The first member, from the present one on, that a connection stands to. @throws {StoreUnavailableError} */
  async #connected(what: string, stop: AbortSignal): Promise<Member> {
    const count = this.#members.length;
    for (let tried = 0; tried < count; tried += 1) {
      const at = (this.#current + tried) % count;
      const member = this.#members[at] as Member;
      if (!(await this.#isReady(member.client, stop))) continue;
      if (at !== this.#current) this.#options.log.info('etcd endpoint changed', { endpoint: member.endpoint });
      this.#current = at;
      return member;
    }
    const endpoints = this.#members.map(({ endpoint }) => endpoint).join(', ');
    throw new StoreUnavailableError(what, `cannot connect to etcd at ${endpoints}`, { cause: undefined });
  }

  async #isReady(client: Client, stop: AbortSignal): Promise<boolean> {
    const channel = client.getChannel();
    let state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return true;
    const done = new AbortController();
    let isLate = false;
    const late = this.#options.clock.sleep(this.#connectTimeoutMs, done.signal).then(
      () => {
        isLate = true;
      },
      () => undefined,
    );
    try {
      while (state !== connectivityState.READY) {
        // After a failure it rests for up to a second before it tries again; another endpoint may be there at once.
        if (isLate || state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) return false;
        const seen = state;
        const changed = new Promise<void>((resolve) => channel.watchConnectivityState(seen, Number.POSITIVE_INFINITY, () => resolve()));
        await abortable(Promise.race([changed, late]), stop);
        state = channel.getConnectivityState(true);
      }
      return true;
    } finally {
      done.abort();
    }
  }

  async #metadata(client: Client, stop: AbortSignal): Promise<Metadata> {
    const metadata = new Metadata();
    const { user } = this.#options;
    if (user === undefined) return metadata;
    this.#token ??= send(client, AUTHENTICATE, user, new Metadata(), this.#closing.signal).then(({ token }) => token);
    try {
      metadata.set('token', await abortable(this.#token, stop));
    } catch (error) {
      this.#token = undefined;
      if (!isServiceError(error) || isUnavailable(error)) throw error;
      throw new StoreAccessError('log in to etcd', messageOf(error), { cause: error });
    }
    return metadata;
  }

  #moveOn(): void {
    this.#current = (this.#current + 1) % this.#members.length;
  }
}

function send<Request, Response>(
  client: Client,
  { path, encode, decode }: EtcdMethod<Request, Response>,
  request: Request,
  metadata: Metadata,
  stop: AbortSignal,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(path, encode, decode, request, metadata, {}, (error: ServiceError | null, response?: Response) => {
      stop.removeEventListener('abort', cancel);
      if (error === null) resolve(response as Response);
      else reject(stop.aborted ? stop.reason : error);
    });
    const cancel = (): void => call.cancel();
    stop.addEventListener('abort', cancel, { once: true });
    if (stop.aborted) cancel();
  });
}

function tlsCredentials({ ca, cert, key }: EtcdTls = {}): ChannelCredentials {
  const bytes = (pem: string | undefined): Buffer | null => (pem === undefined ? null : Buffer.from(pem));
  return credentials.createSsl(bytes(ca), bytes(key), bytes(cert));
}

/** @throws {RangeError} It is not `http(s)://host:port`. */
function parseEndpoint(endpoint: string): { readonly endpoint: string; readonly address: string; readonly secure: boolean } {
  const [, scheme, address] = /^(https?):\/\/((?:\[[0-9A-Fa-f:.]+\]|[^/:@\s]+):\d{1,5})\/?$/.exec(endpoint) ?? [];
  if (address === undefined) throw new RangeError(`etcd endpoint ${endpoint}: expected https://HOST:PORT`);
  return { endpoint, address, secure: scheme === 'https' };
}
