import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';

/** More than the C library asks. */
const SERVERS_MAX = 3;
const RESOLV_CONF = '/etc/resolv.conf';
/** Where systemd-resolved keeps the servers behind its stub. */
const BEHIND_STUB = '/run/systemd/resolve/resolv.conf';
const STUB = '127.0.0.53';

/** The `nameserver` lines of a resolv.conf, without `own` addresses. Pure. */
export function parseResolvConf(text: string, own: readonly string[]): string[] {
  return text
    .split('\n')
    .flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
    .filter((address) => isIP(address.replace(/%.*/, '')) !== 0 && !own.includes(address))
    .slice(0, SERVERS_MAX);
}

/** The host's resolvers; those behind systemd's stub where that is all the host names. Empty if it has none. */
export function hostResolvers(own: readonly string[]): string[] {
  const read = (path: string): string[] => (existsSync(path) ? parseResolvConf(readFileSync(path, 'utf8'), own) : []);
  const named = read(RESOLV_CONF);
  const behind = named.every((address) => address === STUB) ? read(BEHIND_STUB) : [];
  return behind.length > 0 ? behind : named;
}
