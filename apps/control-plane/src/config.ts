import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseGoDurationMs } from '@dure/api';
import type { LogLevel } from '@dure/foundation';
import { ACCESS_DEFAULTS, ACCESS_MEANINGS, ACCESS_SWITCHES, type AccessConfig, parseAccessConfig } from './access-config.ts';
import { type EtcdConfig, parseEtcdConfig } from './etcd-config.ts';

/** Everything that the control plane is told; frozen, checked, complete. */
export interface Config {
  /** PKI and database lie here. */
  readonly dataDir: string;
  /** Where the administrator's kubeconfig is written. */
  readonly kubeconfig: string;
  readonly host: string;
  readonly port: number;
  /** What Pods and nodes are told of this API server; never a loopback address, which every one of them would take for its own. */
  readonly advertiseAddress: string;
  readonly podCIDR: string;
  readonly nodePodPrefix: number;
  readonly serviceCIDR: string;
  readonly dnsAddress: string;
  readonly clusterDomain: string;
  /** Further names and addresses in the serving certificate. */
  readonly serverNames: readonly string[];
  readonly store: 'embedded' | 'memory' | 'etcd';
  /** With `store` etcd. */
  readonly etcd: EtcdConfig | undefined;
  /** How often history is compacted; what is older than two of these cannot be read or watched from any more. */
  readonly compactionIntervalMs: number;
  readonly access: AccessConfig;
  /** Requests that may run at once, together what priority and fairness divides. */
  readonly inFlight: { readonly readOnly: number; readonly mutating: number };
  readonly logLevel: LogLevel;
}

/** The command line had faults; each is one line of the message. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'CONFIG_INVALID';

  constructor(faults: readonly string[]) {
    super(`control-plane: ${faults.join('\ncontrol-plane: ')}`);
  }
}

const DEFAULTS = {
  'data-dir': '/var/lib/dure/server',
  kubeconfig: '/var/lib/dure/kubeconfig',
  listen: '0.0.0.0:6443',
  'advertise-address': 'first address that is no loopback',
  'pod-cidr': '10.42.0.0/16',
  'node-pod-prefix': '24',
  'service-cidr': '10.43.0.0/16',
  'dns-address': '10.43.0.10',
  'cluster-domain': 'cluster.local',
  'server-name': [] as string[],
  store: 'embedded',
  'etcd-endpoints': [] as string[],
  'etcd-prefix': '',
  'etcd-ca': '',
  'etcd-cert': '',
  'etcd-key': '',
  'etcd-compaction-interval': '5m',
  'max-requests-inflight': '400',
  'max-mutating-requests-inflight': '200',
  ...ACCESS_DEFAULTS,
  'log-level': 'info',
} as const;

/** Where a default says too little. */
const MEANINGS: Readonly<Record<string, string>> = {
  'server-name': 'further name or address of this server, may be repeated',
  store: 'default embedded; memory, or etcd, which several control planes may share',
  'etcd-endpoints': 'with --store etcd: https://HOST:PORT, several with commas',
  'etcd-prefix': 'stands before every key in etcd, default none',
  'etcd-ca': 'file with the certificates that etcd is trusted by, default those of the system',
  'etcd-cert': 'file with the certificate to show etcd',
  'etcd-key': 'file with its key',
  'max-requests-inflight': 'requests that may run at once, default 400; priority and fairness divides these and the next',
  'max-mutating-requests-inflight': 'as many more, default 200',
  ...ACCESS_MEANINGS,
  'etcd-compaction-interval': 'how often history is compacted, in any store, default 5m',
};

const SWITCHES: ReadonlySet<string> = new Set(ACCESS_SWITCHES.map((name) => `--${name}`));

export const USAGE = `usage: dure server [options]
${Object.entries(DEFAULTS)
  .map(([name, value]) => `  --${name.padEnd(48)}${MEANINGS[name] ?? `default ${String(value)}`}`)
  .join('\n')}`;

/** This machine's addresses that others may reach, IPv4 first: Pods and Services have such. */
export function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const reachable = all.filter(
    ({ internal, address }) => !internal && !isLoopback(address) && !LINK_LOCAL.check(address, familyOf(address)),
  );
  return reachable.sort((a, b) => a.family.localeCompare(b.family)).map(({ address }) => address);
}

/** @param addresses What the advertised address is by default, the first of them. @throws {ConfigError} with all faults at once. */
export function parseConfig(argv: readonly string[], addresses: readonly string[] = ownAddresses()): Config {
  const faults: string[] = [];
  let values: Record<string, string | string[] | boolean | undefined> = {};
  try {
    ({ values } = parseArgs({
      args: argv.map((one) => (SWITCHES.has(one) ? `${one}=true` : one)),
      options: Object.fromEntries(
        Object.entries(DEFAULTS).map(([name, value]) => [name, { type: 'string' as const, multiple: Array.isArray(value) }]),
      ),
    }));
  } catch (error) {
    throw new ConfigError([error instanceof Error ? error.message : String(error)]);
  }
  const text = (name: keyof typeof DEFAULTS): string => String(values[name] ?? DEFAULTS[name]);
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(text('listen')) ?? [];
  const check = (good: boolean, fault: string): void => void (good || faults.push(fault));
  check(host !== '' && Number(port) > 0 && Number(port) < 65_536, `--listen ${text('listen')}: expected HOST:PORT`);
  const advertised = typeof values['advertise-address'] === 'string' ? values['advertise-address'] : addresses[0];
  if (advertised === undefined)
    faults.push('--advertise-address: this machine has loopback addresses only; name one that nodes and Pods reach');
  else if (isIP(advertised) === 0) faults.push(`--advertise-address ${advertised}: expected an IP address`);
  else check(!isLoopback(advertised), `--advertise-address ${advertised}: nodes and Pods cannot reach a loopback address`);
  for (const name of ['pod-cidr', 'service-cidr'] as const) check(isCidr(text(name)), `--${name} ${text(name)}: expected ADDRESS/PREFIX`);
  check(isIP(text('dns-address')) !== 0, `--dns-address ${text('dns-address')}: expected an IP address`);
  const prefix = Number(text('node-pod-prefix'));
  check(
    Number.isInteger(prefix) && prefix > Number(text('pod-cidr').split('/')[1]) && prefix <= 30,
    `--node-pod-prefix ${prefix}: must be longer than the Pod CIDR's and at most 30`,
  );
  check(['embedded', 'memory', 'etcd'].includes(text('store')), `--store ${text('store')}: expected embedded, memory or etcd`);
  const endpoints = (values['etcd-endpoints'] as string[] | undefined) ?? [];
  check(text('store') === 'etcd' || endpoints.length === 0, '--etcd-endpoints: only with --store etcd');
  const etcd =
    text('store') === 'etcd'
      ? parseEtcdConfig(
          { endpoints, prefix: text('etcd-prefix'), ca: text('etcd-ca'), cert: text('etcd-cert'), key: text('etcd-key') },
          check,
        )
      : undefined;
  const compactionIntervalMs = parseGoDurationMs(text('etcd-compaction-interval')) ?? 0;
  check(compactionIntervalMs > 0, `--etcd-compaction-interval ${text('etcd-compaction-interval')}: expected a duration such as 5m`);
  check(
    ['debug', 'info', 'warn', 'error'].includes(text('log-level')),
    `--log-level ${text('log-level')}: expected debug, info, warn or error`,
  );
  const access = parseAccessConfig(
    { text, list: (name) => (values[name] as string[] | undefined) ?? [], isGiven: (name) => values[name] !== undefined },
    check,
  );
  const seats = (name: 'max-requests-inflight' | 'max-mutating-requests-inflight'): number => {
    check(/^\d{1,6}$/.test(text(name)), `--${name} ${text(name)}: expected a number`);
    return Number(text(name));
  };
  const inFlight = { readOnly: seats('max-requests-inflight'), mutating: seats('max-mutating-requests-inflight') };
  check(
    inFlight.readOnly + inFlight.mutating !== 0,
    '--max-requests-inflight and --max-mutating-requests-inflight: at least one must be more than 0',
  );
  if (faults.length > 0) throw new ConfigError(faults);
  return Object.freeze({
    dataDir: resolve(text('data-dir')),
    kubeconfig: resolve(text('kubeconfig')),
    host: host.replace(/^\[|\]$/g, ''),
    port: Number(port),
    advertiseAddress: advertised ?? '',
    podCIDR: text('pod-cidr'),
    nodePodPrefix: prefix,
    serviceCIDR: text('service-cidr'),
    dnsAddress: text('dns-address'),
    clusterDomain: text('cluster-domain'),
    serverNames: (values['server-name'] as string[] | undefined) ?? [],
    store: text('store') as Config['store'],
    etcd,
    compactionIntervalMs,
    access,
    inFlight,
    logLevel: text('log-level') as LogLevel,
  });
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
const LINK_LOCAL = new BlockList();
LINK_LOCAL.addSubnet('169.254.0.0', 16, 'ipv4');
LINK_LOCAL.addSubnet('fe80::', 10, 'ipv6');

function isLoopback(address: string): boolean {
  return LOOPBACK.check(address, familyOf(address));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

function isCidr(text: string): boolean {
  const [address = '', prefix = ''] = text.split('/');
  const family = isIP(address);
  return family !== 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
}
