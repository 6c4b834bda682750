import { type IncomingMessage, request as sendRequest } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ForwardResponse } from '../contract/node-dialer.ts';
import type { UpgradeAccess } from '../http/exchange.ts';

/** Headers that end here: the caller's own credentials are not the target's business, and lengths are made anew. */
const DROPPED: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  // The server has answered it already.
  'expect',
  'host',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'content-length',
]);

const CONNECTION_HEADERS: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'content-length']);

/** Headers to pass on. @param upgrade Keeps `connection` and `upgrade`. */
export function forwardedHeaders(headers: Readonly<Record<string, string>>, upgrade: boolean): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (DROPPED.has(name) || name.startsWith('impersonate-') || name.startsWith('x-remote-')) continue;
    if (!upgrade && (name === 'connection' || name === 'upgrade' || name === 'keep-alive' || name === 'http2-settings')) continue;
    // What else it lists would have others drop headers that are meant for them.
    kept[name] = name === 'connection' ? 'Upgrade' : value;
  }
  return kept;
}

/** Headers of an answer to pass back: all but those that belong to the connection it came over. */
export function returnedHeaders(headers: ForwardResponse['headers']): Record<string, string | readonly string[]> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !CONNECTION_HEADERS.has(name)));
}

/** Whether an answer sends the client elsewhere. */
export function isRedirect(status: number, location: unknown): boolean {
  return status >= 300 && status <= 399 && location !== undefined && location !== '';
}

/** What a client may send ahead of the answer; more waits until it has come. */
const HELD_BYTES_MAX = 64 * 1024;
/** Headers of a refusal that end here: the connection is closed behind it. */
const REFUSAL_DROPPED: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade']);

/**
 * Sends the client's upgrade request to `target` and, once that agreed, carries bytes both ways, whatever protocol they agreed on. Any other answer
 * is passed back and ends both connections. Resolves when both sides have ended.
 *
 * Nothing of the client goes further before the target agreed: it takes this server for who asks, and would obey requests that a client sent behind a
 * refused one. @see CVE-2018-1002105
 */
export function tunnel(
  client: UpgradeAccess,
  target: Duplex,
  request: {
    readonly method: string;
    readonly path: string;
    readonly host: string;
    readonly headers: Readonly<Record<string, string | readonly string[]>>;
    /** Answers instead of a redirect; absent: redirects are passed back. */
    readonly redirectRefusal?: string;
  },
  signal: AbortSignal,
): Promise<void> {
  const { socket } = client;
  return new Promise((resolve) => {
    let open = 2;
    const closed = (): void => {
      open -= 1;
      if (open > 0) return;
      signal.removeEventListener('abort', cut);
      resolve();
    };
    const cut = (): void => {
      socket.destroy();
      target.destroy();
    };
    for (const [side, other] of [
      [socket, target],
      [target, socket],
    ] as const) {
      side.on('error', () => other.destroy());
      side.on('close', () => {
        // What was read is still to be written; the end follows it.
        if (!other.writableEnded) other.end();
        closed();
      });
    }
    const held = hold(client);
    const headers = Object.entries(request.headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]);
    const asked = sendRequest({
      createConnection: () => target as Socket,
      method: request.method,
      path: request.path,
      headers: { Host: request.host, ...Object.fromEntries(headers) },
      setHost: false,
    });
    asked.on('error', cut);
    asked.on('upgrade', (answer, _target, rest) => {
      socket.write(headOf(answer, answer.rawHeaders), 'latin1');
      if (rest.length > 0) socket.write(rest);
      for (const chunk of held.release()) target.write(chunk);
      socket.pipe(target);
      target.pipe(socket);
    });
    asked.on('response', (answer) => {
      held.release();
      socket.resume(); // What the client sends on is for nobody; its end must be seen.
      if (request.redirectRefusal !== undefined && isRedirect(answer.statusCode ?? 0, answer.headers.location)) {
        const text = Buffer.from(request.redirectRefusal);
        socket.end(`HTTP/1.1 502 Bad Gateway\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${request.redirectRefusal}`);
        target.destroy();
        return;
      }
      const kept = pairs(answer.rawHeaders).filter(([name]) => !REFUSAL_DROPPED.has(name.toLowerCase()));
      socket.write(headOf(answer, [...kept.flat(), 'Connection', 'close']), 'latin1');
      answer.on('close', () => target.destroy());
      answer.pipe(socket);
    });
    asked.end();
    signal.addEventListener('abort', cut, { once: true });
    if (signal.aborted) cut();
    if (socket.destroyed) target.destroy();
  });
}

/** Keeps what the client sends, and notices when it goes. `release` gives what came, once. */
function hold({ socket, head }: UpgradeAccess): { release(): readonly Uint8Array[] } {
  const chunks: Uint8Array[] = head.length > 0 ? [head] : [];
  let bytes = head.length;
  const keep = (chunk: Uint8Array): void => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > HELD_BYTES_MAX) socket.pause();
  };
  socket.on('data', keep);
  return {
    release() {
      socket.off('data', keep);
      return chunks.splice(0);
    },
  };
}

function headOf({ statusCode, statusMessage }: IncomingMessage, rawHeaders: readonly string[]): string {
  const lines = pairs(rawHeaders).map(([name, value]) => `${name}: ${value}`);
  return `${[`HTTP/1.1 ${statusCode} ${statusMessage}`, ...lines].join('\r\n')}\r\n\r\n`;
}

function pairs(rawHeaders: readonly string[]): (readonly [name: string, value: string])[] {
  return rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, rawHeaders[index + 1] ?? ''] as const] : []));
}
