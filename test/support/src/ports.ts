import { createServer } from 'node:net';

/**
 * A TCP port of `host` that nobody listened on just now. Somebody else may take it before the caller does: prefer a listener that chooses its own
 * port where that is possible.
 */
export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close((error) => (error === undefined ? resolve(port) : reject(error)));
    });
  });
}
