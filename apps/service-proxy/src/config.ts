import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { LogLevel } from '@dure/foundation';

/** Everything that the proxy is told; frozen, checked, complete. */
export interface Config {
  readonly nodeName: string;
  /** Read when it appears, and again when it changes: the agent writes it after joining and at each renewal. */
  readonly kubeconfig: string;
  /** The services namespace is `netns/services` in it; the last tables are kept beside. */
  readonly runDir: string;
  readonly dnsAddress: string;
  readonly clusterDomain: string;
  readonly serviceCIDR: string;
  /** Resolvers for the rest of the world. `undefined`: those of /etc/resolv.conf. Empty: none. */
  readonly upstreams: readonly { readonly address: string; readonly port: number }[] | undefined;
  /** Loopback port of `/healthz` and `/metrics`; 0: none. */
  readonly healthPort: number;
  /** How long connections may go on after SIGTERM. */
  readonly drainMs: number;
  readonly logLevel: LogLevel;
}

/** The command line had faults; each is one line of the message. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'CONFIG_INVALID';

  constructor(faults: readonly string[]) {
    super(`service-proxy: ${faults.join('\nservice-proxy: ')}`);
  }
}

const DEFAULTS = {
  'node-name': hostname().toLowerCase(),
  kubeconfig: '',
  'run-dir': '',
  'dns-address': '10.43.0.10',
  'cluster-domain': 'cluster.local',
  'service-cidr': '10.43.0.0/16',
  upstream: [] as string[],
  'health-port': '10256',
  'drain-seconds': '2',
  'log-level': 'info',
} as const;

const EXPLANATIONS: Partial<Record<keyof typeof DEFAULTS, string>> = {
  kubeconfig: 'default /var/lib/dure/nodes/NODE/kubeconfig',
  'run-dir': 'default /run/dure/NODE',
  upstream: "ADDRESS or ADDRESS:PORT of a resolver, or 'none'; may be repeated; default: those of /etc/resolv.conf",
};

export const USAGE = `usage: dure proxy [options]
${(Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[])
  .map((name) => `  --${name.padEnd(20)}${EXPLANATIONS[name] ?? `default ${String(DEFAULTS[name])}`}`)
  .join('\n')}`;

/** @throws {ConfigError} with all faults at once. */
export function parseConfig(argv: readonly string[]): Config {
  const faults: string[] = [];
  let values: Record<string, string | string[] | boolean | undefined> = {};
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: Object.fromEntries(
        Object.entries(DEFAULTS).map(([name, value]) => [name, { type: 'string' as const, multiple: Array.isArray(value) }]),
      ),
    }));
  } catch (error) {
    throw new ConfigError([error instanceof Error ? error.message : String(error)]);
  }
  const text = (name: keyof typeof DEFAULTS): string => String(values[name] ?? DEFAULTS[name]);
  const check = (good: boolean, fault: string): void => void (good || faults.push(fault));
  const number = (name: keyof typeof DEFAULTS, max: number): number => {
    const isNumber = /^\d+$/.test(text(name)) && Number(text(name)) <= max;
    check(isNumber, `--${name} ${text(name)}: expected a number up to ${max}`);
    return Number(text(name));
  };

  const nodeName = text('node-name');
  const [serviceBase = '', servicePrefix = ''] = text('service-cidr').split('/');
  const isCidr = isIP(serviceBase) !== 0 && /^\d+$/.test(servicePrefix) && Number(servicePrefix) <= (isIP(serviceBase) === 4 ? 32 : 128);
  check(nodeName !== '', '--node-name: must not be empty');
  check(isIP(text('dns-address')) !== 0, `--dns-address ${text('dns-address')}: expected an IP address`);
  check(isCidr, `--service-cidr ${text('service-cidr')}: expected ADDRESS/PREFIX`);
  check(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(text('cluster-domain')), `--cluster-domain ${text('cluster-domain')}: expected a domain name`);
  const isLevel = ['debug', 'info', 'warn', 'error'].includes(text('log-level'));
  check(isLevel, `--log-level ${text('log-level')}: expected debug, info, warn or error`);
  const given = (values.upstream ?? []) as string[];
  const upstreams = given
    .filter((upstream) => upstream !== 'none')
    .map((upstream) => {
      const [, address = '', port = '53'] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(isIP(upstream) ? `[${upstream}]` : upstream) ?? [];
      check(isIP(address) !== 0, `--upstream ${upstream}: expected ADDRESS or ADDRESS:PORT`);
      return { address, port: Number(port) };
    });
  const config: Config = {
    nodeName,
    kubeconfig: resolve(text('kubeconfig') || `/var/lib/dure/nodes/${nodeName}/kubeconfig`),
    runDir: resolve(text('run-dir') || `/run/dure/${nodeName}`),
    dnsAddress: text('dns-address'),
    clusterDomain: text('cluster-domain').toLowerCase(),
    serviceCIDR: text('service-cidr'),
    upstreams: given.length === 0 ? undefined : upstreams,
    healthPort: number('health-port', 65_535),
    drainMs: number('drain-seconds', 3_600) * 1000,
    logLevel: text('log-level') as LogLevel,
  };
  if (faults.length > 0) throw new ConfigError(faults);
  return Object.freeze(config);
}
