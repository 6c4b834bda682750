import type { Socket as UdpSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import type { Clock, Logger } from '@dure/foundation';
import type { Responder } from './responder.ts';

/** Where questions come in. The caller opened it, in whatever namespace it likes. */
export interface DnsSockets {
  readonly udp: readonly UdpSocket[];
  /** Descriptors of listening TCP sockets, or where to listen. */
  readonly tcp: readonly ({ readonly fd: number } | { readonly host: string; readonly port: number })[];
}

export interface DnsServerOptions extends DnsSockets {
  readonly responder: Responder;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A client that asks nothing for this long is hung up on. @see RFC 7766, section 6.2.3 */
const TCP_IDLE_MS = 10_000;
const TCP_CLIENTS_MAX = 256;
/** Answers under way to one client; it is read no further until some have gone out. */
const TCP_PIPELINE_MAX = 32;
const TCP_UNSENT_BYTES_MAX = 131_072;

/** Answers on all sockets until `signal` aborts, then closes them. */
export async function serveDns({ responder, udp, tcp, clock, log }: DnsServerOptions, signal: AbortSignal): Promise<void> {
  for (const socket of udp) {
    socket.on('message', (packet, from) => responder.respond(packet, 'udp', (answer) => send(socket, answer, from.port, from.address)));
    // ICMP errors of clients that have gone.
    socket.on('error', (error) => log.debug('datagram refused', { reason: error.message }));
  }
  const clients = new Map<Socket, { lastMs: number }>();
  const servers = tcp.map((where) => {
    const server = createServer((client) => serveClient(client, responder, clock, clients));
    server.maxConnections = TCP_CLIENTS_MAX;
    server.on('error', (error) => log.warn('DNS listener failed', { error }));
    return server.listen(where);
  });
  while (!signal.aborted) {
    await clock.sleep(TCP_IDLE_MS / 2, signal).catch(() => {});
    const nowMs = clock.monotonicMs();
    for (const [client, { lastMs }] of clients) if (nowMs - lastMs >= TCP_IDLE_MS) client.destroy();
  }
  for (const socket of udp) socket.close();
  for (const server of servers) server.close();
  for (const client of clients.keys()) client.destroy();
}

function send(socket: UdpSocket, answer: Buffer, port: number, address: string): void {
  try {
    socket.send(answer, port, address);
  } catch {
    // Closed while an upstream was being asked, or a source port of 0: nobody waits for this answer.
  }
}

function serveClient(client: Socket, responder: Responder, clock: Clock, clients: Map<Socket, { lastMs: number }>): void {
  const activity = { lastMs: clock.monotonicMs() };
  let received: Buffer = Buffer.alloc(0);
  let pending = 0;
  let isReading = false;
  const isFull = (): boolean => pending >= TCP_PIPELINE_MAX || client.writableLength > TCP_UNSENT_BYTES_MAX;
  const answer = (bytes: Buffer): void => {
    pending -= 1;
    const length = Buffer.from([bytes.length >> 8, bytes.length & 0xff]);
    if (!client.destroyed) client.write(Buffer.concat([length, bytes]));
    next();
  };
  const next = (): void => {
    // Answers at hand come back within respond(): the loop below goes on by itself then.
    if (isReading) return;
    isReading = true;
    while (!isFull() && received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const packet = received.subarray(2, 2 + received.readUInt16BE(0));
      received = received.subarray(2 + packet.length);
      pending += 1;
      responder.respond(packet, 'tcp', answer);
    }
    isReading = false;
    if (isFull()) client.pause();
    else client.resume();
  };
  clients.set(client, activity);
  client.on('data', (chunk: Buffer) => {
    activity.lastMs = clock.monotonicMs();
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    next();
  });
  client.on('drain', next);
  client.on('error', () => client.destroy());
  client.on('close', () => clients.delete(client));
}
