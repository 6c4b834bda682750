import { connect, createServer, type Socket } from 'node:net';

/** A way to an endpoint that can be cut and mended. */
export interface Cut {
  readonly endpoint: string;
  /** Ends what passes, and refuses what comes. */
  cut(): void;
  mend(): void;
  close(): void;
}

/** Passes plain connections on to `endpoint`; what comes back is `lateMs` late. */
export async function startCut(endpoint: string, lateMs = 0): Promise<Cut> {
  const { hostname, port } = new URL(endpoint);
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    const far = connect(Number(port), hostname);
    for (const [socket, peer] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => peer.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        peer.destroy();
      });
    }
    near.pipe(far);
    far.on('data', (chunk: Buffer) => {
      // Timers of one length keep their order.
      setTimeout(() => near.write(chunk), lateMs);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  const cut = (): void => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    cut,
    mend() {
      isCut = false;
    },
    close() {
      cut();
      server.close();
    },
  };
}
