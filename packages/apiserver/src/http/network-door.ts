import { X509Certificate } from 'node:crypto';
import { once, setMaxListeners } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type Duplex, pipeline, Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { createGzip, gzip } from 'node:zlib';
import { requestEntityTooLarge } from '@dure/api';
import type { Logger } from '@dure/foundation';
import { splitBundle } from '@dure/pki';
import type { PeerCertificate } from '../contract/authenticator.ts';
import type { Feed } from '../watch/feed.ts';
import type { ApiRequest, ApiResponse, Encodable, RequestHandler } from './exchange.ts';
import { wantsWebSocket, writeMessages } from './websocket-answer.ts';

/** What the door shows and trusts. Replaceable while it is open. PEM throughout. */
export interface DoorTls {
  readonly cert: string;
  readonly key: string;
  /** Authorities whose client certificates count as authorized; also offered to clients as a hint. */
  readonly clientCa: string;
  /** Authorities of front proxies, whose certificates authorize nobody by themselves. Default: none. */
  readonly frontProxyCa?: string;
}

export interface NetworkDoorOptions {
  readonly tls: DoorTls;
  readonly handler: RequestHandler;
  readonly log: Logger;
  /** Largest request body. */
  readonly bodyBytesMax: number;
}

/** An open door: one TLS port for HTTP/2 and HTTP/1.1. */
export interface NetworkDoor {
  readonly address: AddressInfo;
  /** New connections get `tls`; those that stand keep theirs. @throws the TLS library's error for bad PEM; the old context stays. */
  setSecureContext(tls: DoorTls): void;
  /** Accepts no more, aborts long-running requests, waits for the others, then closes. */
  close(): Promise<void>;
  /** Cuts every connection. */
  kill(): void;
}

/** Node's default of 10 MB refuses streams of a client that keeps many slow watches. In megabytes. */
const SESSION_MEMORY_MB = 512;
const CONCURRENT_STREAMS_MAX = 1000;
const HEADER_BYTES_MAX = 64 * 1024;
/** A request whose headers take longer is cut. */
const HEADERS_TIMEOUT_MS = 30_000;
/** Frames that wait are written together up to about so much. */
const WRITE_BYTES = 16 * 1024;
const GZIP_BYTES_MIN = 128 * 1024;
/** As upstream: what is saved beyond costs more than it is worth. */
const GZIP = { level: 1 };
const gzipAsync = promisify(gzip);

interface Authorities {
  readonly clients: readonly X509Certificate[];
  readonly frontProxies: readonly X509Certificate[];
}

type CompatRequest = http2.Http2ServerRequest | IncomingMessage;
type CompatResponse = http2.Http2ServerResponse | ServerResponse;

/** Opens the door. Resolves once it listens. @throws the system's error (`EADDRINUSE`, ...). */
export async function openNetworkDoor(
  listen: { readonly host: string; readonly port: number },
  { tls, handler, log, bodyBytesMax }: NetworkDoorOptions,
): Promise<NetworkDoor> {
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // One for each request that runs.
  const sockets = new Set<Duplex>();
  const sessions = new Set<http2.ServerHttp2Session>();
  const busy = new Map<Duplex, number>();
  const certificates = new WeakMap<Duplex, PeerCertificate>();
  let active = 0;
  let onIdle: (() => void) | undefined;

  let authorities = authoritiesOf(tls);

  const server = http2.createSecureServer({
    ...contextOf(tls),
    allowHTTP1: true,
    requestCert: true,
    rejectUnauthorized: false,
    maxSessionMemory: SESSION_MEMORY_MB,
    maxHeaderListPairs: 256,
    settings: { maxConcurrentStreams: CONCURRENT_STREAMS_MAX, maxHeaderListSize: HEADER_BYTES_MAX, initialWindowSize: 1024 * 1024 },
  });
  // HTTP/1.1's own settings, which the types of the HTTP/2 server leave out.
  Object.assign(server, { timeout: 0, headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: 0, keepAliveTimeout: 120_000 });

  /** Shown in the handshake: read once for each connection, not for each request. */
  const peerOf = (socket: TLSSocket): PeerCertificate | undefined => {
    const known = certificates.get(socket) ?? certificateOf(socket, authorities);
    if (known !== undefined) certificates.set(socket, known);
    return known;
  };

  const serve = async (
    req: CompatRequest,
    socket: Duplex,
    respond: (request: ApiRequest, stop: AbortController) => Promise<void>,
  ): Promise<void> => {
    active += 1;
    busy.set(socket, (busy.get(socket) ?? 0) + 1);
    const stop = new AbortController();
    const abort = (): void => stop.abort(closing.signal.reason);
    closing.signal.addEventListener('abort', abort, { once: true });
    try {
      await respond(requestOf(req, socket, peerOf(socket as TLSSocket), stop.signal, bodyBytesMax), stop);
    } catch (error) {
      log.error('request failed outside its handler', { error });
      req.destroy();
    } finally {
      closing.signal.removeEventListener('abort', abort);
      stop.abort(new Error('request ended'));
      active -= 1;
      const others = (busy.get(socket) ?? 1) - 1;
      if (others > 0) busy.set(socket, others);
      else busy.delete(socket);
      if (active === 0) onIdle?.();
    }
  };

  server.on('request', (req: CompatRequest, res: CompatResponse) => {
    const socket = socketOf(req);
    // A client that goes while it is being answered is no fault; without a listener it would end the process.
    res.on('error', (error: unknown) => log.debug('answer not delivered', { error }));
    req.on('error', (error: unknown) => log.debug('request broke off', { error }));
    void serve(req, socket, async (request, stop) => {
      // Listened for from the start: a client may go while its request is being served.
      const closed = new Promise<void>((resolve) => {
        res.on('close', () => {
          stop.abort(new Error('client went away'));
          resolve();
        });
      });
      const response = await handler(request);
      await write(req, res, response, stop.signal, closed, log);
      if (closing.signal.aborted && req.httpVersionMajor === 1) socket.end();
    });
  });
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', (error) => log.debug('upgraded connection failed', { error }));
    void serve(req, socket, async (request, stop) => {
      socket.on('close', () => stop.abort(new Error('client went away')));
      const response = await handler({ ...request, body: async () => new Uint8Array(), upgrade: { socket, head } });
      if (response.body.kind === 'taken') {
        await response.body.done;
        return;
      }
      const { body } = response;
      if (response.status === 200 && wantsWebSocket(req) && (body.kind === 'frames' || body.kind === 'stream')) {
        await writeMessages(req, socket, head, body);
        return;
      }
      await writeRaw(socket, response);
    });
  });
  server.on('secureConnection', (socket: TLSSocket) => track(socket));
  server.on('session', (session: http2.ServerHttp2Session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', (error) => log.debug('http2 session failed', { error }));
  });
  server.on('sessionError', (error) => log.debug('http2 session failed', { error }));
  server.on('tlsClientError', (error) => log.debug('tls handshake failed', { error }));
  server.on('clientError', (error, socket: Duplex) => {
    log.debug('malformed request', { error });
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    else socket.destroy();
  });

  function track(socket: Duplex): void {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', (error) => log.debug('connection failed', { error }));
  }

  server.listen(listen.port, listen.host);
  await once(server, 'listening');
  const address = server.address() as AddressInfo;

  return {
    address,
    setSecureContext(next) {
      const nextAuthorities = authoritiesOf(next);
      server.setSecureContext(contextOf(next));
      authorities = nextAuthorities;
    },
    async close() {
      const closed = server.listening ? once(server, 'close') : Promise.resolve();
      if (server.listening) server.close();
      closing.abort(new Error('server is shutting down'));
      for (const session of sessions) session.close();
      if (active > 0) {
        await new Promise<void>((resolve) => {
          onIdle = resolve;
        });
      }
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    kill() {
      if (server.listening) server.close();
      closing.abort(new Error('server was killed'));
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function contextOf({ cert, key, clientCa, frontProxyCa }: DoorTls): { cert: string; key: string; ca: string[]; minVersion: 'TLSv1.2' } {
  return { cert, key, ca: frontProxyCa === undefined ? [clientCa] : [clientCa, frontProxyCa], minVersion: 'TLSv1.2' };
}

/** Where there are two kinds of authorities TLS only tells that one of them vouches; which one is ours to find out. */
function authoritiesOf({ clientCa, frontProxyCa }: DoorTls): Authorities | undefined {
  if (frontProxyCa === undefined) return undefined;
  const certificatesOf = (pem: string): X509Certificate[] => splitBundle(pem).map((one) => new X509Certificate(one));
  return { clients: certificatesOf(clientCa), frontProxies: certificatesOf(frontProxyCa) };
}

/** Whether one of `authorities` signed the first of `chain`, directly or through the others, which nobody has put in order. */
function isSignedBy(chain: readonly X509Certificate[], authorities: readonly X509Certificate[]): boolean {
  const issued = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
    certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  const [leaf, ...others] = chain;
  const seen = new Set<X509Certificate>();
  for (let current = leaf; current !== undefined && !seen.has(current); ) {
    const link: X509Certificate = current;
    if (authorities.some((authority) => issued(link, authority))) return true;
    seen.add(link);
    current = others.find((other) => other.ca && issued(link, other));
  }
  return false;
}

function socketOf(req: CompatRequest): TLSSocket {
  const stream = (req as http2.Http2ServerRequest).stream;
  return (stream?.session?.socket ?? req.socket) as TLSSocket;
}

function requestOf(
  req: CompatRequest,
  socket: Duplex,
  certificate: PeerCertificate | undefined,
  signal: AbortSignal,
  bodyBytesMax: number,
): ApiRequest {
  const url = req.url ?? '/';
  const mark = url.indexOf('?');
  return {
    method: req.method ?? 'GET',
    path: mark < 0 ? url : url.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)),
    headers: headersOf(req),
    headerLines: (name) => linesOf(req, name),
    remoteAddress: (socket as TLSSocket).remoteAddress ?? '',
    ...(certificate === undefined ? {} : { certificate }),
    body: () => readBody(req, bodyBytesMax),
    bodyStream: () => req,
    signal,
  };
}

function headersOf(req: CompatRequest): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(req.headers)) {
    if (value === undefined) continue;
    if (name === ':authority') headers.host = String(value);
    if (name.startsWith(':')) continue;
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return headers;
}

function linesOf({ rawHeaders }: CompatRequest, name: string): readonly string[] {
  const lines: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() === name) lines.push(rawHeaders[index + 1] ?? '');
  }
  return lines;
}

function certificateOf(socket: TLSSocket, authorities: Authorities | undefined): PeerCertificate | undefined {
  if (typeof socket.getPeerX509Certificate !== 'function') return undefined;
  let leaf: ReturnType<TLSSocket['getPeerX509Certificate']>;
  try {
    leaf = socket.getPeerX509Certificate();
  } catch {
    return undefined; // The connection has gone meanwhile.
  }
  if (leaf === undefined) return undefined;
  const chain: X509Certificate[] = [];
  let certificate: typeof leaf | undefined = leaf;
  while (certificate !== undefined && chain.length < 10) {
    chain.push(certificate);
    certificate = certificate.issuerCertificate;
  }
  const error = socket.authorizationError as unknown;
  const vouched = socket.authorized;
  return {
    chain: chain.map(({ raw }) => raw),
    authorized: vouched && (authorities === undefined || isSignedBy(chain, authorities.clients)),
    ...(vouched && authorities !== undefined && isSignedBy(chain, authorities.frontProxies) ? { frontProxy: true } : {}),
    ...(error ? { authorizationError: error instanceof Error ? error.message : String(error) } : {}),
  };
}

async function readBody(req: CompatRequest, bytesMax: number): Promise<Uint8Array> {
  const announced = Number(req.headers['content-length'] ?? 0);
  if (announced > bytesMax) throw requestEntityTooLarge(`limit is ${bytesMax}`);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) throw requestEntityTooLarge(`limit is ${bytesMax}`);
    chunks.push(chunk);
  }
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, size);
}

async function write(
  req: CompatRequest,
  res: CompatResponse,
  response: ApiResponse,
  signal: AbortSignal,
  closed: Promise<void>,
  log: Logger,
): Promise<void> {
  const { body } = response;
  if (body.kind === 'taken') {
    await body.done;
    return;
  }
  if (res.writableEnded || res.destroyed || signal.aborted) return drop(body);
  res.statusCode = response.status;
  for (const [name, value] of Object.entries(response.headers)) {
    // Connection headers belong to HTTP/1.1; HTTP/2 refuses them.
    if (req.httpVersionMajor === 2 && (name === 'connection' || name === 'transfer-encoding' || name === 'keep-alive')) continue;
    res.setHeader(name, value as string | string[]);
  }
  switch (body.kind) {
    case 'empty':
      break;
    case 'document':
      await writeDocument(req, res as ServerResponse, body.document, signal, log);
      break;
    case 'frames':
    case 'stream':
      // Clients wait for the headers of a watch before its first event.
      (res as ServerResponse).flushHeaders();
      if (body.kind === 'frames') await writeFrames(res as ServerResponse, body.frames, signal, log);
      else await writeAll(res as ServerResponse, body.chunks, signal, log);
      break;
  }
  // An unread body would block the connection's next request.
  if (!req.readableEnded) req.resume();
  const written = new Promise<void>((resolve) => {
    (res as ServerResponse).end(resolve);
  });
  await Promise.race([written, closed]);
}

async function writeDocument(
  req: CompatRequest,
  res: ServerResponse,
  document: Encodable,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const pieces = document.pieces?.();
  const isLarge = pieces !== undefined && pieces.byteLength >= GZIP_BYTES_MIN;
  let bytes = isLarge ? undefined : document.bytes();
  const length = bytes?.length ?? pieces?.byteLength ?? 0;
  const isZipped = length >= GZIP_BYTES_MIN && acceptsGzip(req.headers['accept-encoding']) && !res.hasHeader('content-encoding');
  if (isZipped) {
    res.setHeader('content-encoding', 'gzip');
    res.setHeader('vary', 'Accept-Encoding');
    if (bytes !== undefined) bytes = await gzipAsync(bytes, GZIP);
  }
  if (!isZipped || bytes !== undefined) res.setHeader('content-length', bytes?.length ?? length);
  if (req.method === 'HEAD') return;
  if (bytes !== undefined) res.write(bytes);
  else if (pieces !== undefined) await writeAll(res, isZipped ? zipped(pieces) : Readable.from(pieces), signal, log);
}

function zipped(pieces: Iterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const zip = createGzip(GZIP);
  // A failure on one side ends both, and whoever reads hears of it.
  pipeline(Readable.from(pieces), zip, () => undefined);
  return zip;
}

async function writeAll(res: ServerResponse, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal, log: Logger): Promise<void> {
  try {
    for await (const chunk of chunks) if (!(await writeChunk(res, chunk, signal))) return;
  } catch (error) {
    if (signal.aborted) return;
    log.warn('a streamed answer broke off', { error });
    res.destroy();
  }
}

/** Writes a watch until it is over or its client has gone. No more is taken than the connection holds: what waits, waits in the feed, which has its bounds. */
function writeFrames(res: ServerResponse, frames: Feed<Encodable>, signal: AbortSignal, log: Logger): Promise<void> {
  return new Promise((resolve) => {
    let isFull = false;
    let isEnded = false;
    const end = (): void => {
      if (isEnded) return;
      isEnded = true;
      res.off('drain', onDrain);
      res.off('close', end);
      signal.removeEventListener('abort', end);
      frames.close();
      resolve();
    };
    const write = (): void => {
      try {
        while (!isFull && !isEnded) {
          const bytes = takeBytes(frames);
          if (bytes !== undefined) isFull = !res.write(bytes);
          else if (frames.isOver) end();
          else return;
        }
      } catch (error) {
        if (!signal.aborted) log.warn('a streamed answer broke off', { error });
        res.destroy();
        end();
      }
    };
    const onDrain = (): void => {
      isFull = false;
      write();
    };
    res.on('drain', onDrain);
    res.once('close', end);
    signal.addEventListener('abort', end, { once: true });
    frames.onReady(write);
    if (signal.aborted || res.destroyed) end();
    else write();
  });
}

/** What is there now, in one piece where it is little: a write costs more than copying. */
function takeBytes(frames: Feed<Encodable>): Uint8Array | undefined {
  const first = frames.take()?.bytes();
  if (first === undefined || first.length >= WRITE_BYTES) return first;
  const more: Uint8Array[] = [first];
  for (let length = first.length; length < WRITE_BYTES; ) {
    const next = frames.take()?.bytes();
    if (next === undefined) break;
    more.push(next);
    length += next.length;
  }
  return more.length === 1 ? first : Buffer.concat(more);
}

async function writeChunk(res: ServerResponse, chunk: Uint8Array, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted || res.destroyed) return false;
  if (!res.write(chunk)) {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        res.off('drain', done);
        res.off('close', done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      res.once('drain', done);
      res.once('close', done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
  return !signal.aborted && !res.destroyed;
}

/** Lets a stream that nobody will read end what it holds. */
async function drop(body: ApiResponse['body']): Promise<void> {
  if (body.kind === 'frames') body.frames.close();
  if (body.kind === 'stream') await body.chunks[Symbol.asyncIterator]().return?.();
}

/** An ordinary answer to a request that wanted an upgrade. */
async function writeRaw(socket: Duplex, response: ApiResponse): Promise<void> {
  const bytes = response.body.kind === 'document' ? response.body.document.bytes() : new Uint8Array();
  const lines = [`HTTP/1.1 ${response.status} ${response.status < 400 ? 'OK' : 'Error'}`];
  for (const [name, value] of Object.entries(response.headers)) {
    for (const item of typeof value === 'string' ? [value] : value) lines.push(`${name}: ${item}`);
  }
  lines.push(`content-length: ${bytes.length}`, 'connection: close', '', '');
  await new Promise<void>((resolve) => {
    socket.on('close', resolve);
    socket.write(lines.join('\r\n'));
    socket.end(bytes, resolve);
  });
  await drop(response.body);
}

function acceptsGzip(accept: string | string[] | undefined): boolean {
  return accept !== undefined && /(^|[\s,])gzip\s*(;\s*q=(?!0(\.0*)?\s*(,|$))[\d.]+)?\s*(,|$)/.test(String(accept));
}
