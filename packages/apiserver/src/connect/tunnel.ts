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
    kept[name] = value;
  }
  return kept;
}

/** Headers of an answer to pass back: all but those that belong to the connection it came over. */
export function returnedHeaders(headers: ForwardResponse['headers']): Record<string, string | readonly string[]> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !CONNECTION_HEADERS.has(name)));
}

/**
 * Sends the client's upgrade request to `target` and then carries bytes both ways, whatever protocol they agree on: the target's answer
 * reaches the client as it comes. Resolves when both sides have ended.
 */
export function tunnel(
  client: UpgradeAccess,
  target: Duplex,
  request: {
    readonly method: string;
    readonly path: string;
    readonly host: string;
    readonly headers: Readonly<Record<string, string | readonly string[]>>;
  },
  signal: AbortSignal,
): Promise<void> {
  const { socket, head } = client;
  const lines = [`${request.method} ${request.path} HTTP/1.1`, `Host: ${request.host}`];
  for (const [name, value] of Object.entries(request.headers)) {
    // What Node's parser let through cannot hold line breaks; what is built from queries is encoded.
    for (const line of typeof value === 'string' ? [value] : value) lines.push(`${name}: ${line}`);
  }
  // Headers are bytes; what holds others than ASCII was spelled so by who made it.
  target.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (head.length > 0) target.write(head);
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
      side.pipe(other);
    }
    signal.addEventListener('abort', cut, { once: true });
    if (signal.aborted) cut();
    if (socket.destroyed) target.destroy();
  });
}
