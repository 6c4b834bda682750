import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls, rootCertificates } from 'node:tls';
import { fromJsonText, genericStatus, isNotFound, statusFrom, toJsonText } from '@dure/api';
import { type Clock, errnoCode, messageOf, type Random } from '@dure/foundation';
import { Agent, type buildConnector, type Dispatcher } from 'undici';
import type { PodDialer } from '../contract/node-dialer.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import { serverEndpoint } from './service-endpoint.ts';

/**
 * Where a webhook is and whom to believe there, as the `clientConfig` of webhook configurations, definitions and kubeconfigs say it.
 * A Service is reached at one of its ready endpoints and must show a certificate for `<name>.<namespace>.svc`.
 */
export interface WebhookTarget {
  /** `https://host:port/path`. Leads over `service`. */
  readonly url?: string | undefined;
  readonly service?:
    | {
        readonly namespace: string;
        readonly name: string;
        /** Default 443. */
        readonly port?: number | undefined;
        /** Default `/`. */
        readonly path?: string | undefined;
      }
    | undefined;
  /** Base64 of PEM. Absent or empty: the system's roots. */
  readonly caBundle?: string | undefined;
  /** What the server shows of itself. */
  readonly credentials?: { readonly certPem?: string; readonly keyPem?: string; readonly bearerToken?: string } | undefined;
  /** The name that the certificate must carry, where it is not the target's own. */
  readonly serverName?: string | undefined;
}

export interface WebhookCallOptions {
  /** Ends the call, and is sent along as `?timeout=`. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Largest answer that is read. Default 16 MiB. */
  readonly answerBytesMax?: number;
}

/**
 * Calls webhooks: POSTs JSON over HTTPS and gives the decoded JSON answer, whatever it says; judging it is the caller's.
 * Connections are kept for each target and used again. One instance serves the whole server.
 */
export interface WebhookClient extends AsyncDisposable {
  /** @throws {WebhookCallError} No usable answer came. @throws the signal's reason once it aborts. */
  call(target: WebhookTarget, body: unknown, options: WebhookCallOptions): Promise<unknown>;
}

/**
 * No usable answer came. The message is what upstream's REST client says (`Post "https://...": context deadline exceeded`); callers put in
 * front of it what they were calling (`failed calling webhook "x": failed to call webhook: ...`).
 */
export class WebhookCallError extends Error {
  override readonly name = 'WebhookCallError';
  readonly code = 'WEBHOOK_CALL';
  readonly situation: 'unreachable' | 'timeout' | 'refused' | 'unreadable';
  /** The answer's HTTP status, for `refused`. */
  readonly status: number | undefined;

  constructor(situation: WebhookCallError['situation'], message: string, { status, cause }: { status?: number; cause?: unknown } = {}) {
    super(message, cause === undefined ? {} : { cause });
    this.situation = situation;
    this.status = status;
  }
}

export interface WebhookClientDeps {
  /** With `pods` the way to Services. Absent: URLs only, as kubeconfigs name them. */
  readonly reads?: ObjectReader;
  readonly pods?: PodDialer;
  readonly clock: Clock;
  readonly random: Random;
}

const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 60_000;
/** Targets whose connections are kept. Those of a configuration that changed go when others come. */
const TARGETS_MAX = 128;
/** How much of an error's text is repeated. */
const ERROR_TEXT_MAX = 2048;

export function webhookClient(deps: WebhookClientDeps): WebhookClient {
  const agents = new Map<string, Agent>();
  const agentFor = (target: WebhookTarget, url: URL): Agent => {
    const key = JSON.stringify([url.origin, target.url === undefined, target.caBundle, target.credentials, target.serverName]);
    const known = agents.get(key);
    // Taken out and put back at the end: the first is the one that was not used for longest.
    agents.delete(key);
    const agent =
      known ?? new Agent({ keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: 0, bodyTimeout: 0, connect: connector(deps, target, url) });
    agents.set(key, agent);
    if (agents.size > TARGETS_MAX) {
      const [oldest] = agents;
      if (oldest !== undefined) {
        agents.delete(oldest[0]);
        // Ends once the calls on it have; nobody waits for that.
        void oldest[1].close().catch(() => undefined);
      }
    }
    return agent;
  };

  return {
    async call(target, body, { timeoutMs, signal, answerBytesMax = ANSWER_BYTES_MAX }) {
      signal.throwIfAborted();
      const url = urlOf(target);
      url.searchParams.set('timeout', timeoutText(timeoutMs));
      // The port is shown where upstream shows it: always for Services.
      const place = target.url === undefined && url.port === '' ? `${url.origin}:443` : url.origin;
      const shown = `Post ${JSON.stringify(`${place}${url.pathname}${url.search}`)}`;
      const ended = new AbortController();
      const deadline = new AbortController();
      deps.clock.sleep(timeoutMs, ended.signal).then(
        () => deadline.abort(new Error('context deadline exceeded')),
        () => undefined,
      );
      const until = AbortSignal.any([signal, deadline.signal]);
      try {
        const response = await answered(agentFor(target, url), url, target.credentials?.bearerToken, toJsonText(body), until);
        const text = await textOf(response.body, answerBytesMax);
        if (response.statusCode < 200 || response.statusCode > 299) throw refusal(response.statusCode, text);
        return decoded(text);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof WebhookCallError) throw error;
        if (deadline.signal.aborted) throw new WebhookCallError('timeout', `${shown}: context deadline exceeded`, { cause: error });
        throw new WebhookCallError('unreachable', `${shown}: ${reasonOf(error, url)}`, { cause: error });
      } finally {
        ended.abort();
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()));
      agents.clear();
    },
  };
}

/** Sends the request once more where the connection ended instead of answering: it may have been an old one that the webhook gave up just then. */
async function answered(
  agent: Agent,
  url: URL,
  bearerToken: string | undefined,
  body: string,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const request: Dispatcher.RequestOptions = {
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method: 'POST',
    headers: {
      accept: 'application/json, */*',
      'content-type': 'application/json',
      'user-agent': 'kube-apiserver-admission',
      ...(bearerToken === undefined ? {} : { authorization: `Bearer ${bearerToken}` }),
    },
    body,
    signal,
  };
  try {
    return await agent.request(request);
  } catch (error) {
    if (signal.aborted || !['UND_ERR_SOCKET', 'ECONNRESET'].includes(errnoCode(error) ?? '')) throw error;
    return agent.request(request);
  }
}

/** @throws {WebhookCallError} The target names no place. */
function urlOf({ url, service }: WebhookTarget): URL {
  if (url !== undefined) return new URL(url);
  if (service === undefined) throw new WebhookCallError('unreachable', 'webhook configuration must have either service or URL');
  const { namespace, name, port = 443, path = '/' } = service;
  return new URL(`https://${name}.${namespace}.svc:${port}${path.startsWith('/') ? path : `/${path}`}`);
}

/** Opens connections: to the URL's own host, or to an endpoint of the Service through the way to Pods; each new one chooses anew. */
function connector(
  { reads, pods, random }: WebhookClientDeps,
  { url, service, caBundle, credentials, serverName }: WebhookTarget,
  { hostname, port, protocol }: URL,
): buildConnector.connector {
  const host = hostname.replace(/^\[|\]$/g, '');
  const tls: ConnectionOptions = {
    // As in Go, whatever is in the bundle is believed, not only what signed itself.
    allowPartialTrustChain: true,
    ca: caBundle === undefined || caBundle === '' ? [...rootCertificates] : Buffer.from(caBundle, 'base64').toString('utf8'),
    ...(credentials?.certPem === undefined ? {} : { cert: credentials.certPem }),
    ...(credentials?.keyPem === undefined ? {} : { key: credentials.keyPem }),
    // An address is checked as one, and is never sent as the name that is wanted.
    ...(serverName === undefined && isIP(host) !== 0 ? { host } : { servername: serverName ?? host }),
    ALPNProtocols: ['http/1.1'],
  };
  const number = Number(port === '' ? 443 : port);
  const open = async (signal: AbortSignal): Promise<Duplex> => {
    if (protocol !== 'https:') throw new Error(`unsupported protocol scheme ${JSON.stringify(protocol.replace(':', ''))}`);
    if (url === undefined && service !== undefined) {
      if (reads === undefined || pods === undefined) throw new Error('Services are not called from here');
      const endpoint = await serverEndpoint({ reads, random }, service.namespace, service.name, number).catch((error: unknown) => {
        throw isNotFound(error) ? new Error(`service ${JSON.stringify(service.name)} not found`) : error;
      });
      return secured({ ...tls, socket: await pods.connect({ ...endpoint, tls: false }, signal) }, signal);
    }
    // Without a socket, `host` and `port` say where to; the name to check stays `servername`.
    return secured({ ...tls, host, port: number }, signal);
  };
  return (_options, callback) => {
    const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
    open(signal).then(
      (socket) => callback(null, socket as Parameters<typeof callback>[1] & object),
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
    );
  };
}

function secured(options: ConnectionOptions, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connectTls(options);
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(new Error('i/o timeout'));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', fail);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/** @throws {WebhookCallError} It is longer than `max`. */
async function textOf(body: Dispatcher.ResponseData['body'], max: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Leaving the loop ends the connection too.
    if (size > max) throw new WebhookCallError('unreadable', `the webhook's answer is longer than ${max} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function decoded(text: string): unknown {
  try {
    return fromJsonText(text);
  } catch (cause) {
    throw new WebhookCallError('unreadable', `couldn't get version/kind; json parse error: ${messageOf(cause)}`, { cause });
  }
}

/** What upstream's REST client makes of an answer that is no success: the Status in it, or words of its own for the code. */
function refusal(status: number, text: string): WebhookCallError {
  let sent: unknown;
  try {
    sent = JSON.parse(text);
  } catch {
    sent = undefined;
  }
  const message = statusFrom(sent)?.message;
  const usual = genericStatus(status, 'POST', { group: '', resource: '' }, '', text.trim().slice(0, ERROR_TEXT_MAX)).message;
  return new WebhookCallError('refused', message === undefined || message === '' ? usual : message, { status });
}

/** In the words of Go's network and TLS packages, which people search for. */
function reasonOf(error: unknown, { hostname, port }: URL): string {
  const address = `${hostname}:${port === '' ? 443 : port}`;
  switch (errnoCode(error)) {
    case 'ECONNREFUSED':
      return `dial tcp ${dialled(error) ?? address}: connect: connection refused`;
    case 'EHOSTUNREACH':
      return `dial tcp ${dialled(error) ?? address}: connect: no route to host`;
    case 'ETIMEDOUT':
      return `dial tcp ${dialled(error) ?? address}: connect: connection timed out`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `dial tcp: lookup ${hostname}: no such host`;
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
      return 'EOF';
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid';
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'CERT_SIGNATURE_FAILURE':
      return 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `tls: failed to verify certificate: x509: certificate is not valid for ${hostname}: ${messageOf(error)}`;
    default:
      return messageOf(error);
  }
}

/** The address that a failed connection was for. */
function dialled(error: unknown): string | undefined {
  const { address, port } = error as { readonly address?: string; readonly port?: number };
  return address === undefined || port === undefined ? undefined : `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** As Go prints a duration of whole seconds, the unit of every timeout in the API: `10s`, `30s`. */
function timeoutText(timeoutMs: number): string {
  return timeoutMs % 1000 === 0 ? `${timeoutMs / 1000}s` : `${timeoutMs}ms`;
}
