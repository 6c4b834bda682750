import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';

/** This machine's address on the way to the first server that answers; without one, the first address that is not loopback. */
export async function detectNodeIPs(servers: readonly string[]): Promise<readonly string[]> {
  for (const server of servers) {
    const { hostname, port } = new URL(server);
    const address = await localAddressTowards(hostname.replace(/^\[|\]$/g, ''), Number(port || 443));
    if (address !== undefined && !address.startsWith('127.') && address !== '::1') return [address];
  }
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const found = all.find(({ family, internal }) => family === 'IPv4' && !internal) ?? all.find(({ internal }) => !internal);
  return [found?.address ?? '127.0.0.1'];
}

function localAddressTowards(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 3_000 });
    const end = (address: string | undefined): void => {
      socket.destroy();
      resolve(address?.replace(/^::ffff:/, ''));
    };
    socket.on('connect', () => end(socket.localAddress));
    socket.on('timeout', () => end(undefined));
    socket.on('error', () => end(undefined));
  });
}
