import type { Duplex } from 'node:stream';
import { PassThrough, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Logger, messageOf } from '@dure/foundation';
import type { WebSocket } from 'ws';
import { SpdyConnection, type SpdyStream } from './spdy-connection.ts';

export const PORT_FORWARD_PROTOCOL = 'portforward.k8s.io';
/** SPDY frames inside binary WebSocket messages. */
export const TUNNEL_PROTOCOL = 'SPDY/3.1+portforward.k8s.io';
/** Two channels per port, without SPDY. */
export const CHANNEL_PROTOCOLS = ['v4.channel.k8s.io', 'v4.base64.channel.k8s.io'] as const;

/** Opens a connection to a port inside the Pod. */
export type Connect = (port: number, signal: AbortSignal) => Promise<Duplex>;

interface Pair {
  data?: SpdyStream;
  error?: SpdyStream;
}

/** Forwards pairs of streams, one pair per connection of the client's, until the client leaves. */
export async function forwardSpdy(transport: Duplex, head: Buffer, connect: Connect, log: Logger): Promise<void> {
  const pairs = new Map<string, Pair>();
  const gone = new AbortController();
  const connection = new SpdyConnection(transport, head, (stream) => {
    const type = stream.headers.get('streamtype');
    const port = Number(stream.headers.get('port'));
    // Old clients give no request id: their error stream comes right before its data stream.
    const id = stream.headers.get('requestid') ?? String(type === 'error' ? stream.id : stream.id - 2);
    if ((type !== 'data' && type !== 'error') || !Number.isInteger(port) || port < 1 || port > 65_535) {
      stream.destroy();
      return;
    }
    const pair = pairs.get(id) ?? {};
    pair[type] = stream;
    pairs.set(id, pair);
    const { data, error } = pair;
    if (data === undefined || error === undefined) return;
    pairs.delete(id);
    serve(data, error, port, connect, gone.signal).catch((cause: unknown) =>
      log.debug('forwarded connection broke off', { port, error: cause }),
    );
  });
  await connection.closed;
  gone.abort();
}

async function serve(data: SpdyStream, error: SpdyStream, port: number, connect: Connect, signal: AbortSignal): Promise<void> {
  error.resume();
  let target: Duplex;
  try {
    target = await connect(port, signal);
  } catch (cause) {
    error.end(`error forwarding port ${port} to pod: ${messageOf(cause)}`);
    data.destroy();
    return;
  }
  const cut = (): void => void target.destroy();
  signal.addEventListener('abort', cut, { once: true });
  // Each direction ends by itself: half-closed connections are legal. A connection that breaks off, on either side, concerns nobody but
  // its two ends: a message on the error stream would make the client give up all its other connections too.
  await Promise.allSettled([pipeline(data, target), pipeline(target, data)]);
  signal.removeEventListener('abort', cut);
  target.destroy();
  data.destroy();
  if (!error.destroyed && !error.writableEnded) error.end();
}

/** The older form: channel 2n carries port n, channel 2n+1 its errors; each begins with the port in two bytes, low byte first. */
export async function forwardChannels(socket: WebSocket, ports: readonly number[], connect: Connect, log: Logger): Promise<void> {
  const isBase64 = socket.protocol.includes('base64');
  const gone = new AbortController();
  const send = (channel: number, data: Buffer, done: (error?: Error | null) => void = () => undefined): void => {
    if (socket.readyState !== socket.OPEN) done(new Error('write to a WebSocket that has ended'));
    else if (isBase64) socket.send(`${channel}${data.toString('base64')}`, (error) => done(error));
    else socket.send(Buffer.concat([Buffer.from([channel]), data]), { binary: true }, (error) => done(error));
  };
  const inputs = ports.map((port, index) => {
    const announced = Buffer.alloc(2);
    announced.writeUInt16LE(port);
    send(index * 2, announced);
    send(index * 2 + 1, announced);
    const input = new PassThrough();
    const forward = async (): Promise<void> => {
      const target = await connect(port, gone.signal);
      gone.signal.addEventListener('abort', () => target.destroy(), { once: true });
      const output = new Writable({ write: (chunk: Buffer, _encoding, done) => send(index * 2, chunk, done) });
      await Promise.all([pipeline(input, target), pipeline(target, output)]);
    };
    forward().catch((error: unknown) => {
      log.debug('forwarded connection broke off', { port, error });
      send(index * 2 + 1, Buffer.from(`error forwarding port ${port} to pod: ${messageOf(error)}`));
    });
    return input;
  });
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    const asText = isBase64 || !isBinary;
    const channel = asText ? (data[0] ?? 0) - 0x30 : (data[0] ?? 0);
    const body = isBase64 ? Buffer.from(data.toString('latin1', 1), 'base64') : data.subarray(1);
    const input = channel % 2 === 0 ? inputs[channel / 2] : undefined;
    if (input === undefined || input.write(body)) return;
    socket.pause();
    input.once('drain', () => socket.resume());
  });
  await new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
    socket.on('error', () => socket.terminate());
  });
  gone.abort();
  for (const input of inputs) input.end();
}
