import type { Duplex } from 'node:stream';
import { PassThrough } from 'node:stream';
import type { Clock } from '@dure/foundation';
import { parseTerminalSize, type RemoteStatus, type RemoteStreams, type StreamRequest, type TerminalSize } from './remote-streams.ts';
import { SpdyConnection, type SpdyStream } from './spdy-connection.ts';

/** Values of `X-Stream-Protocol-Version`, the best first. */
export const SPDY_PROTOCOLS = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
] as const;

const STREAMS_WITHIN_MS = 30_000;

/** A remote command over SPDY: waits until the client has opened every stream it asked for. @throws {Error} It did not, in time. */
export async function spdyStreams(
  transport: Duplex,
  head: Buffer,
  request: StreamRequest,
  protocol: string,
  clock: Clock,
): Promise<RemoteStreams> {
  const expected = new Set(['error']);
  for (const name of ['stdin', 'stdout', 'stderr'] as const) if (request[name] && !(name === 'stderr' && request.tty)) expected.add(name);
  const hasResize = request.tty && !['v2.channel.k8s.io', 'channel.k8s.io'].includes(protocol);
  if (hasResize) expected.add('resize');

  const opened = new Map<string, SpdyStream>();
  let complete: () => void = () => undefined;
  const all = new Promise<void>((resolve) => {
    complete = resolve;
  });
  const connection = new SpdyConnection(transport, head, (stream) => {
    const type = stream.headers.get('streamtype') ?? '';
    if (!expected.has(type) || opened.has(type)) {
      stream.destroy();
      return;
    }
    opened.set(type, stream);
    if (opened.size === expected.size) complete();
  });
  const gone = new AbortController();
  connection.closed.then(() => gone.abort());

  const stop = new AbortController();
  try {
    await Promise.race([
      all,
      connection.closed.then(() => Promise.reject(new Error('the client left before its streams stood'))),
      clock
        .sleep(STREAMS_WITHIN_MS, stop.signal)
        .then(() => Promise.reject(new Error('timed out waiting for the client to create streams'))),
    ]);
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    stop.abort();
  }

  const isV4 = protocol.startsWith('v4') || protocol.startsWith('v5');
  const stdin = opened.get('stdin');
  return {
    stdin,
    stdout: opened.get('stdout'),
    stderr: opened.get('stderr'),
    onResize: (listener) => readSizes(opened.get('resize'), listener),
    async finish(status: RemoteStatus) {
      const error = opened.get('error');
      const text = isV4 ? JSON.stringify(status) : status.status === 'Success' ? '' : (status.message ?? '');
      const ends = [opened.get('stdout'), opened.get('stderr')].map((stream) => ended(stream));
      await Promise.all(ends);
      // Nothing is ever written to it, and not before now may it end: clients take our end of it as the end of their input.
      stdin?.end();
      if (error !== undefined) await new Promise<void>((resolve) => error.end(text, () => resolve()));
      connection.close();
    },
    gone: gone.signal,
  };
}

function ended(stream: SpdyStream | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (stream === undefined || stream.writableFinished || stream.destroyed) return resolve();
    stream.once('close', resolve);
    stream.end(() => resolve());
  });
}

/** JSON objects one after the other, each a terminal's size. */
function readSizes(stream: SpdyStream | undefined, listener: (size: TerminalSize) => void): void {
  if (stream === undefined) return;
  let text = '';
  stream.pipe(new PassThrough()).on('data', (chunk: Buffer) => {
    text = (text + chunk.toString('utf8')).slice(-4096);
    for (let end = text.indexOf('}'); end !== -1; end = text.indexOf('}')) {
      const size = parseTerminalSize(text.slice(0, end + 1));
      text = text.slice(end + 1);
      if (size !== undefined) listener(size);
    }
  });
}
