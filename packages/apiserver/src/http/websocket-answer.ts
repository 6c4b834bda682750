import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { iterate, mapped } from '../watch/feed.ts';
import type { ResponseBody } from './exchange.ts';

/** How pieces are written: as they are, or in base64 for clients that know text alone. */
const PROTOCOLS: ReadonlySet<string> = new Set(['binary.k8s.io', 'base64.binary.k8s.io']);
/** Nothing is expected from the client but that it closes. */
const SENT_BYTES_MAX = 64 * 1024;
/** Close codes, RFC 6455 section 7.4.1. */
const NORMAL = 1000;
const INTERNAL_ERROR = 1011;

type StreamedBody = Extract<ResponseBody, { kind: 'frames' | 'stream' }>;

const server = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  maxPayload: SENT_BYTES_MAX,
  handleProtocols: (offered) => [...offered].find((name) => PROTOCOLS.has(name)) ?? false,
});

/** Whether the client would have what streams as the messages of a WebSocket, as browsers must. */
export function wantsWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

/**
 * Answers with one message for each piece, then closes: watch events in text, logs in bytes. Settles when the connection has ended.
 * @throws what broke the stream; the connection is closed then.
 */
export async function writeMessages(req: IncomingMessage, socket: Duplex, head: Buffer, body: StreamedBody): Promise<void> {
  const pieces = piecesOf(body);
  const ended = new Promise<undefined>((resolve) => socket.once('close', () => resolve(undefined)));
  try {
    // A client whose handshake is wrong is told so by the library, and its connection ends.
    const client = await Promise.race([new Promise<WebSocket>((resolve) => server.handleUpgrade(req, socket, head, resolve)), ended]);
    if (client === undefined) return;
    client.on('error', () => client.terminate());
    try {
      // The client may go while there is nothing to send.
      for (;;) {
        const next = await Promise.race([pieces.next(), ended]);
        if (next === undefined || next.done === true) break;
        await send(client, next.value, body.kind === 'frames');
      }
      client.close(NORMAL);
    } catch (error) {
      client.close(INTERNAL_ERROR);
      throw error;
    }
    await ended;
  } finally {
    if (body.kind === 'frames') body.frames.close();
    // Not waited for: one that waits for its next piece hears of the end by the request's signal.
    else void pieces.return?.();
  }
}

function piecesOf(body: StreamedBody): AsyncIterator<Uint8Array> {
  return body.kind === 'frames' ? iterate(mapped(body.frames, (frame) => frame.bytes())) : body.chunks[Symbol.asyncIterator]();
}

/** Settles when the message has left for the client, or the client has gone. */
function send(client: WebSocket, bytes: Uint8Array, isText: boolean): Promise<void> {
  const isBase64 = client.protocol.startsWith('base64');
  const data = isText || !isBase64 ? bytes : Buffer.from(bytes).toString('base64');
  return new Promise((resolve) => client.send(data, { binary: !isText && !isBase64 }, () => resolve()));
}
