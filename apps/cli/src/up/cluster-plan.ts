import { join } from 'node:path';
import { appBundle } from '../app-programs.ts';
import type { LocalNode } from './cluster-state.ts';
import { RUN_DIR } from './run-directory.ts';
import type { SupervisedProcess } from './supervisor.ts';
import { BRIDGE_ADDRESS, enterVirtualNode, virtualNodeAddress } from './virtual-node.ts';

export const CLUSTER = {
  podCIDR: '10.42.0.0/16',
  serviceCIDR: '10.43.0.0/16',
  dnsAddress: '10.43.0.10',
  domain: 'cluster.local',
} as const;

export interface UpOptions {
  readonly dataDir: string;
  /** `HOST:PORT` of the API server. */
  readonly listen: string;
  readonly nodes: number;
  /** JSON file that says how to reach image registries; `undefined`: each at its own name. */
  readonly registries: string | undefined;
}

/** V8 settings of our processes: small young and old generations, since each holds little and memory is the scarcer good. */
const NODE_FLAGS = ['--max-semi-space-size=2', '--optimize-for-size'];
/** The control plane is one process that all others wait for: optimizing for size halves what it does in a second and saves it no memory at rest. */
const CONTROL_PLANE_FLAGS = ['--max-semi-space-size=4'];
const NODE_ENV = { UV_THREADPOOL_SIZE: '16', NODE_ENV: 'production' };

/** One node is the machine itself; several are virtual ones beside it. @param address The machine's own address. */
export function planNodes(count: number, hostname: string, address: string): readonly LocalNode[] {
  if (count === 1) return [{ name: hostname.toLowerCase(), address, virtual: false }];
  return Array.from({ length: count }, (_, index) => ({
    name: `node-${index + 1}`,
    address: virtualNodeAddress(index + 1),
    virtual: true,
  }));
}

/** Where nodes, and clients on this machine, find the API server. */
export function serverAddress(nodes: readonly LocalNode[]): string {
  const [first] = nodes;
  return first === undefined || first.virtual ? BRIDGE_ADDRESS : first.address;
}

export function portOf(listen: string): string {
  return listen.slice(listen.lastIndexOf(':') + 1);
}

export function nodeDataDir(dataDir: string, name: string): string {
  return join(dataDir, 'nodes', name);
}

export function kubeconfigPath(dataDir: string): string {
  return join(dataDir, 'kubeconfig');
}

export function controlPlaneProcess({ dataDir, listen }: UpOptions, advertiseAddress: string): SupervisedProcess {
  return {
    name: 'control-plane',
    argv: [
      ...nodeProgram('control-plane', CONTROL_PLANE_FLAGS),
      ...['--data-dir', join(dataDir, 'server')],
      ...['--kubeconfig', kubeconfigPath(dataDir)],
      ...['--listen', listen],
      ...['--advertise-address', advertiseAddress],
      ...['--pod-cidr', CLUSTER.podCIDR],
      ...['--service-cidr', CLUSTER.serviceCIDR],
      ...['--dns-address', CLUSTER.dnsAddress],
      ...['--cluster-domain', CLUSTER.domain],
    ],
    env: environment(),
    logPath: join(dataDir, 'logs', 'control-plane.log'),
  };
}

/** @param joinToken Used once; a node that has its certificate ignores it. */
export function agentProcess(
  { dataDir, listen, registries }: UpOptions,
  node: LocalNode,
  server: string,
  joinToken: string,
): SupervisedProcess {
  return {
    name: `agent ${node.name}`,
    argv: onNode(node, [
      ...nodeProgram('node-agent'),
      ...agentArguments(dataDir, node),
      '--server',
      `https://${server}:${portOf(listen)}`,
      ...(registries === undefined ? [] : ['--registries', registries]),
    ]),
    env: { ...environment(), DURE_JOIN_TOKEN: joinToken },
    logPath: join(dataDir, 'logs', `agent-${node.name}.log`),
  };
}

/** Removes everything that the node's agent ever made on the machine. */
export function tearDownCommand(dataDir: string, node: LocalNode): readonly string[] {
  return onNode(node, [...nodeProgram('node-agent'), 'tear-down', ...agentArguments(dataDir, node)]);
}

export function proxyProcess({ dataDir }: UpOptions, node: LocalNode): SupervisedProcess {
  return {
    name: `proxy ${node.name}`,
    argv: onNode(node, [
      ...nodeProgram('service-proxy'),
      ...['--node-name', node.name],
      ...['--kubeconfig', join(nodeDataDir(dataDir, node.name), 'kubeconfig')],
      ...['--run-dir', join(RUN_DIR, node.name)],
      ...['--dns-address', CLUSTER.dnsAddress],
      ...['--cluster-domain', CLUSTER.domain],
      ...['--service-cidr', CLUSTER.serviceCIDR],
    ]),
    env: environment(),
    logPath: join(dataDir, 'logs', `proxy-${node.name}.log`),
  };
}

function agentArguments(dataDir: string, node: LocalNode): readonly string[] {
  return [
    ...['--node-name', node.name],
    ...['--node-ip', node.address],
    ...['--data-dir', nodeDataDir(dataDir, node.name)],
    ...['--run-dir', join(RUN_DIR, node.name)],
    ...['--cluster-dns', CLUSTER.dnsAddress],
    ...['--cluster-domain', CLUSTER.domain],
    ...['--cluster-cidr', CLUSTER.podCIDR],
    ...['--service-cidr', CLUSTER.serviceCIDR],
    '--allow-host-image',
  ];
}

function onNode(node: LocalNode, argv: readonly string[]): readonly string[] {
  return node.virtual ? enterVirtualNode(node.name, argv) : argv;
}

function nodeProgram(app: Parameters<typeof appBundle>[0], flags: readonly string[] = NODE_FLAGS): readonly string[] {
  return [process.execPath, ...flags, appBundle(app)];
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, ...NODE_ENV };
}
