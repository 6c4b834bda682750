import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type LogLevel, messageOf } from '@dure/foundation';
import type { RegistriesConfig } from '@dure/images';
import { type JoinToken, parseJoinToken } from './join-token.ts';
import { readRegistries } from './registries-file.ts';

/** Everything that the agent is told; frozen, checked, complete. */
export interface Config {
  readonly command: 'run' | 'tear-down';
  readonly nodeName: string;
  /** Empty: the address of the way to the API server. */
  readonly nodeIPs: readonly string[];
  /** Credentials made elsewhere; the agent then asks for no certificate of its own to reach the server. */
  readonly kubeconfig: string | undefined;
  /** `https://HOST:PORT`, at least one unless `kubeconfig` or a former join says it. */
  readonly servers: readonly string[];
  readonly joinToken: JoinToken | undefined;
  readonly dataDir: string;
  readonly runDir: string;
  readonly port: number;
  readonly allowHostImage: boolean;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly clusterCIDRs: readonly string[];
  readonly serviceCIDRs: readonly string[];
  readonly registries: RegistriesConfig;
  readonly labels: Readonly<Record<string, string>>;
  readonly podsMax: number;
  readonly podPidsMax: number | undefined;
  readonly allowedSysctls: readonly string[];
  readonly logLevel: LogLevel;
}

/** The command line had faults; each is one line of the message. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'CONFIG_INVALID';

  constructor(faults: readonly string[]) {
    super(`node-agent: ${faults.join('\nnode-agent: ')}`);
  }
}

const OPTIONS = {
  'node-name': { default: '', help: 'default: the host name, lower case' },
  'node-ip': { default: '', help: 'addresses of this node, comma separated; default: the one that reaches the server' },
  kubeconfig: { default: '', help: 'credentials made elsewhere, instead of joining' },
  server: { default: '', help: 'https://HOST:PORT of the API server; several comma separated' },
  token: { default: '', help: 'join token, dure1.<ca>.<id>.<secret> or <id>.<secret>; also in DURE_JOIN_TOKEN' },
  'ca-hash': { default: '', help: 'sha256:<hex> pin of the cluster authority, with a token of the second form' },
  'data-dir': { default: '/var/lib/dure/agent', help: 'certificates, images, Pods' },
  'run-dir': { default: '', help: 'on tmpfs; default: /run/dure/<node name>' },
  port: { default: '10250', help: 'HTTPS port of this agent' },
  'cluster-dns': { default: '10.43.0.10', help: 'name servers of Pods, comma separated' },
  'cluster-domain': { default: 'cluster.local', help: 'DNS zone of the cluster' },
  'cluster-cidr': { default: '10.42.0.0/16', help: 'addresses of all Pods' },
  'service-cidr': { default: '10.43.0.0/16', help: 'addresses of Services' },
  registries: { default: '', help: 'JSON file: how to reach image registries; default: /etc/dure/registries.json, if there' },
  'node-labels': { default: '', help: 'further labels of the Node, key=value, comma separated' },
  'max-pods': { default: '110', help: 'Pods that run here at most' },
  'pod-max-pids': { default: '', help: 'processes of a Pod at most; default: no limit' },
  'allowed-unsafe-sysctls': { default: '', help: 'sysctls that Pods may set beyond the safe ones' },
  'log-level': { default: 'info', help: 'debug, info, warn or error' },
} as const;

export const USAGE = `usage: node-agent [tear-down] [options]
${Object.entries(OPTIONS)
  .map(([name, option]) => `  --${name.padEnd(24)}${option.help}${option.default === '' ? '' : ` (default ${option.default})`}`)
  .join('\n')}
  --allow-host-image        let Pods run programs of this machine's own root file system (image: host)`;

/** @throws {ConfigError} with all faults at once. */
export function parseConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  let values: Record<string, string | boolean | undefined> = {};
  let positionals: readonly string[] = [];
  try {
    const options = Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, { type: 'string' as const }]));
    ({ values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { ...options, 'allow-host-image': { type: 'boolean' } },
    }));
  } catch (error) {
    throw new ConfigError([error instanceof Error ? error.message : String(error)]);
  }
  const text = (name: keyof typeof OPTIONS): string => String(values[name] ?? OPTIONS[name].default);
  const list = (name: keyof typeof OPTIONS): readonly string[] =>
    text(name)
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean);
  const check = (good: boolean, fault: string): void => void (good || faults.push(fault));

  check(
    positionals.length === 0 || (positionals.length === 1 && positionals[0] === 'tear-down'),
    `unknown command "${positionals.join(' ')}"`,
  );
  const nodeName = text('node-name') || hostname().toLowerCase();
  check(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(nodeName) && nodeName.length <= 253, `--node-name ${nodeName}: not a DNS name`);
  for (const address of list('node-ip')) check(isIP(address) !== 0, `--node-ip ${address}: expected an IP address`);
  for (const address of list('cluster-dns')) check(isIP(address) !== 0, `--cluster-dns ${address}: expected an IP address`);
  for (const name of ['cluster-cidr', 'service-cidr'] as const) {
    for (const cidr of list(name)) check(/^[0-9a-f.:]+\/\d+$/i.test(cidr), `--${name} ${cidr}: expected ADDRESS/PREFIX`);
  }
  for (const server of list('server'))
    check(server.startsWith('https://') && URL.canParse(server), `--server ${server}: expected https://HOST:PORT`);
  const number = (name: keyof typeof OPTIONS, least: number, most: number): number => {
    const value = Number(text(name));
    check(
      Number.isInteger(value) && value >= least && value <= most,
      `--${name} ${text(name)}: expected a number from ${least} to ${most}`,
    );
    return value;
  };
  const port = number('port', 1, 65_535);
  const podsMax = number('max-pods', 1, 10_000);
  const podPidsMax = text('pod-max-pids') === '' ? undefined : number('pod-max-pids', 1, 4_194_304);
  const logLevel = text('log-level');
  check(['debug', 'info', 'warn', 'error'].includes(logLevel), `--log-level ${logLevel}: expected debug, info, warn or error`);
  const labels = Object.fromEntries(
    list('node-labels').map((pair) => {
      const [key = '', ...value] = pair.split('=');
      check(pair.includes('=') && key !== '', `--node-labels ${pair}: expected key=value`);
      return [key, value.join('=')];
    }),
  );

  const token = text('token') || (env.DURE_JOIN_TOKEN ?? '');
  let joinToken: JoinToken | undefined;
  if (token !== '') {
    joinToken = parseJoinToken(token, text('ca-hash') || undefined);
    check(joinToken !== undefined, '--token: expected dure1.<ca>.<id>.<secret>, or <id>.<secret> together with --ca-hash sha256:<hex>');
  }
  let registries: RegistriesConfig = {};
  try {
    registries = readRegistries(text('registries'));
  } catch (error) {
    faults.push(messageOf(error));
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return Object.freeze({
    command: positionals[0] === 'tear-down' ? 'tear-down' : 'run',
    nodeName,
    nodeIPs: list('node-ip'),
    kubeconfig: text('kubeconfig') || undefined,
    servers: list('server'),
    joinToken,
    dataDir: resolve(text('data-dir')),
    runDir: text('run-dir') === '' ? join('/run/dure', nodeName) : resolve(text('run-dir')),
    port,
    allowHostImage: values['allow-host-image'] === true,
    clusterDns: list('cluster-dns'),
    clusterDomain: text('cluster-domain'),
    clusterCIDRs: list('cluster-cidr'),
    serviceCIDRs: list('service-cidr'),
    registries,
    labels,
    podsMax,
    podPidsMax,
    allowedSysctls: list('allowed-unsafe-sysctls'),
    logLevel: logLevel as LogLevel,
  });
}
