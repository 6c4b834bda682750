import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { ServerAccess } from './api-bench-server.ts';

/** Many watchers of one collection. They look for a mark in what comes and decode nothing, so that what is measured is the server. */
export interface Watchers extends AsyncDisposable {
  /** Resolves when every watcher has read `mark`. */
  seen(mark: string): Promise<void>;
}

const CONNECTING_AT_ONCE = 50;

/** Each over an HTTP/1.1 connection of its own, as many clients have. */
export function watchOverHttp1(access: ServerAccess, path: string, count: number): Promise<Watchers> {
  return gather(count, async (onData) => {
    const socket = await connected(access, 'http/1.1');
    socket.write(`GET ${path} HTTP/1.1\r\nhost: ${access.host}\r\naccept: application/json\r\n\r\n`);
    await new Promise<void>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        resolve();
        onData(chunk);
      });
    });
    return () => socket.destroy();
  });
}

/** `streams` of them over each HTTP/2 connection, as the informers of one client. */
export async function watchOverHttp2(access: ServerAccess, path: string, count: number, streams: number): Promise<Watchers> {
  const { host, port, ca, cert, key } = access;
  const sessions = Array.from({ length: count / streams }, () => connectHttp2(`https://${host}:${port}`, { ca, cert, key }));
  let next = 0;
  const watchers = await gather(count, async (onData) => {
    const session = sessions[next++ % sessions.length];
    const stream = session?.request({ ':path': path, accept: 'application/json' });
    stream?.on('data', onData);
    await new Promise<void>((resolve, reject) => stream?.once('response', () => resolve()).once('error', reject));
    return () => stream?.close();
  });
  return {
    seen: watchers.seen,
    async [Symbol.asyncDispose]() {
      await watchers[Symbol.asyncDispose]();
      for (const session of sessions) session.destroy();
    },
  };
}

async function gather(count: number, open: (onData: (chunk: Buffer) => void) => Promise<() => void>): Promise<Watchers> {
  let mark = '';
  let missing = 0;
  let arrived: () => void = () => {};
  const closers: (() => void)[] = [];
  const openOne = async (): Promise<void> => {
    let last = '';
    // A mark may be cut in two by the transport.
    let tail = '';
    const onData = (chunk: Buffer): void => {
      const text = tail + chunk.toString('latin1');
      tail = text.slice(-mark.length);
      if (mark === '' || last === mark || !text.includes(mark)) return;
      last = mark;
      missing -= 1;
      if (missing === 0) arrived();
    };
    closers.push(await open(onData));
  };
  for (let opened = 0; opened < count; opened += CONNECTING_AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(CONNECTING_AT_ONCE, count - opened) }, openOne));
  }
  return {
    seen(wanted) {
      mark = wanted;
      missing = count;
      return new Promise((resolve) => {
        arrived = resolve;
      });
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) close();
    },
  };
}

function connected({ host, port, ca, cert, key }: ServerAccess, protocol: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host, port, ca, cert, key, ALPNProtocols: [protocol] });
    socket.once('error', reject);
    socket.once('secureConnect', () => resolve(socket));
  });
}
