import { PassThrough, Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { parseTerminalSize, type RemoteStatus, type RemoteStreams, type StreamRequest, type TerminalSize } from './remote-streams.ts';

const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;
/** In v5: closes the channel that its next byte names. */
const CLOSE = 255;

/** Subprotocols of remote commands, the best first. */
export const REMOTE_COMMAND_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io', 'v4.base64.channel.k8s.io', 'channel.k8s.io'] as const;

/** A remote command over a WebSocket: each message begins with the number of its channel. */
export function websocketStreams(socket: WebSocket, { stdin, stdout, stderr, tty }: StreamRequest): RemoteStreams {
  const isBase64 = socket.protocol.includes('base64');
  const isV4 = socket.protocol.startsWith('v4') || socket.protocol.startsWith('v5');
  const gone = new AbortController();
  const input = stdin ? new PassThrough({ highWaterMark: 64 * 1024 }) : undefined;
  const resizeListeners: ((size: TerminalSize) => void)[] = [];
  let lastSize: TerminalSize | undefined;

  const send = (channel: number, data: Buffer, done: (error?: Error | null) => void): void => {
    if (socket.readyState !== socket.OPEN) {
      done(new Error('write to a WebSocket that has ended'));
      return;
    }
    if (isBase64) socket.send(`${channel}${data.toString('base64')}`, (error) => done(error));
    else socket.send(Buffer.concat([Buffer.from([channel]), data]), { binary: true }, (error) => done(error));
  };
  // The callback comes when the message has left our buffers: that is the back-pressure.
  const output = (channel: number): Writable => {
    const writable = new Writable({ write: (chunk: Buffer, _encoding, done) => send(channel, chunk, done) });
    writable.on('error', () => undefined);
    return writable;
  };

  socket.on('message', (data: Buffer | ArrayBuffer | Buffer[]) => {
    const message = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
    if (message.length === 0) return;
    // The subprotocol says how channels are written, not the message's type: some clients send channel 0 in a text message.
    const channel = isBase64 ? (message[0] ?? 0) - 0x30 : (message[0] ?? 0);
    const body = isBase64 ? Buffer.from(message.toString('latin1', 1), 'base64') : message.subarray(1);
    if (channel === CLOSE && !isBase64) {
      if (body[0] === CHANNEL.stdin) input?.end();
    } else if (channel === CHANNEL.stdin && input !== undefined && !input.writableEnded) {
      if (!input.write(body)) {
        socket.pause();
        input.once('drain', () => socket.resume());
      }
    } else if (channel === CHANNEL.resize) {
      const size = parseTerminalSize(body.toString('utf8'));
      if (size === undefined) return;
      lastSize = size;
      for (const listener of resizeListeners) listener(size);
    }
  });
  const leave = (): void => {
    input?.end();
    gone.abort();
  };
  socket.on('close', leave);
  socket.on('error', () => socket.terminate());

  // Clients of the first versions take the first message as the sign that the streams stand.
  const first = stdout ? CHANNEL.stdout : stderr && !tty ? CHANNEL.stderr : CHANNEL.error;
  send(first, Buffer.alloc(0), () => undefined);

  return {
    stdin: input,
    stdout: stdout ? output(CHANNEL.stdout) : undefined,
    stderr: stderr && !tty ? output(CHANNEL.stderr) : undefined,
    onResize(listener) {
      resizeListeners.push(listener);
      if (lastSize !== undefined) listener(lastSize);
    },
    async finish(status: RemoteStatus) {
      const text = isV4 ? JSON.stringify(status) : status.status === 'Success' ? '' : (status.message ?? '');
      if (isV4 || text !== '') await new Promise<void>((resolve) => send(CHANNEL.error, Buffer.from(text), () => resolve()));
      socket.close(1000);
    },
    gone: gone.signal,
  };
}
