import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { AttachOptions, NodeNetworkConfig, PeerNode } from '../contract.ts';
import { createNetworkNamespace, removeNetworkNamespace } from '../network-namespace.ts';
import { openSyscalls, type Syscalls } from '../syscalls.ts';
import type { LabAnswer, LabRequest } from './lab-node.ts';

const NODE_PROGRAM = fileURLToPath(new URL('./lab-node.ts', import.meta.url));
const CHECKOUT = fileURLToPath(new URL('../../../../', import.meta.url));

/** Why tests that change the machine cannot run here, or `undefined`. */
export function whyNoLab(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  for (const program of ['ip', 'nft', 'nsenter']) {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    } catch {
      return `needs ${program}`;
    }
  }
  return undefined;
}

export interface LabPod {
  readonly id: string;
  readonly ip: string;
  readonly namespacePath: string;
  /** Duration of the attach inside the node's process. */
  readonly attachMs: number;
}

/** A node as a network namespace with a process in it. */
export interface LabNode {
  readonly name: string;
  readonly address: string;
  readonly runDir: string;
  readonly namespacePath: string;
  readonly servicesNamespacePath: string;
  readonly config: NodeNetworkConfig;
  readonly peer: PeerNode;
  request(request: LabRequest): Promise<{ value: unknown; ms: number }>;
  /** Makes a namespace and attaches it. */
  addPod(name: string, options?: AttachOptions): Promise<LabPod>;
  /** Kills the node's process as -9 does and starts another. */
  restart(): Promise<void>;
}

/** Nodes on one bridge, or on one each with a router between; all in namespaces of their own, none in the host's. */
export interface Lab extends AsyncDisposable {
  readonly syscalls: Syscalls;
  readonly nodes: readonly LabNode[];
  /** Runs a program in a namespace; gives its standard output. */
  run(namespacePath: string, ...argv: readonly string[]): string;
}

/** @param routed Each node on a network of its own. */
export async function openLab({ nodeCount, routed = false }: { nodeCount: number; routed?: boolean }): Promise<Lab> {
  const syscalls = openSyscalls();
  const directory = mkdtempSync(join(tmpdir(), `dure-lab-${process.pid}-`));
  // As on a real node the run directory is tmpfs; its mounts go with one unmount.
  execFileSync('mount', ['-t', 'tmpfs', `dure-lab-${process.pid}`, directory]);
  const namespaces: string[] = [];
  const children = new Set<ChildProcess>();
  const namespace = (name: string): string => {
    const path = join(directory, name);
    createNetworkNamespace(syscalls, path);
    namespaces.push(path);
    run(path, 'ip', 'link', 'set', 'lo', 'up');
    return path;
  };
  const run = (path: string, ...argv: readonly string[]): string =>
    execFileSync('nsenter', [`--net=${path}`, ...argv], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });

  const wire = namespace('wire');
  if (routed) run(wire, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  else run(wire, 'ip', 'link', 'add', 'br0', 'type', 'bridge');
  if (!routed) run(wire, 'ip', 'link', 'set', 'br0', 'up');

  const startNode = async (index: number): Promise<LabNode> => {
    const name = `n${index}-${process.pid}`;
    const namespacePath = namespace(`node-${index}`);
    const network = routed ? `10.77.${index}` : '10.77.0';
    const address = `${network}.${10 + index}`;
    run(wire, 'ip', 'link', 'add', `w${index}`, 'type', 'veth', 'peer', 'name', 'uplink0', 'netns', namespacePath);
    if (routed) run(wire, 'ip', 'addr', 'add', `${network}.1/24`, 'dev', `w${index}`);
    else run(wire, 'ip', 'link', 'set', `w${index}`, 'master', 'br0');
    run(wire, 'ip', 'link', 'set', `w${index}`, 'up');
    run(namespacePath, 'ip', 'addr', 'add', `${address}/24`, 'dev', 'uplink0');
    // IPv6 would add an address and routes by itself a second later, and listings are compared.
    run(namespacePath, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/uplink0/disable_ipv6');
    run(namespacePath, 'ip', 'link', 'set', 'uplink0', 'up');
    if (routed) run(namespacePath, 'ip', 'route', 'add', 'default', 'via', `${network}.1`);
    // The kernel reports the carrier a little later; listings taken before and after would differ by it.
    while (!/ UP /.test(run(namespacePath, 'ip', '-br', 'link', 'show', 'uplink0'))) await setTimeout(10);
    const runDir = join(directory, 'run', name);
    mkdirSync(runDir, { recursive: true });
    const config: NodeNetworkConfig = {
      nodeName: name,
      podCIDRs: [`10.42.${index}.0/24`],
      clusterCIDRs: ['10.42.0.0/16'],
      serviceCIDRs: ['10.43.0.0/16'],
      runDir,
    };
    const start = (): ChildProcess => {
      const argv = [`--net=${namespacePath}`, process.execPath, '--import', 'tsx', NODE_PROGRAM, 'lab-node', JSON.stringify(config)];
      const child = spawn('nsenter', argv, { cwd: CHECKOUT, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      children.add(child);
      return child;
    };
    let child = start();
    const request = async (message: LabRequest): Promise<{ value: unknown; ms: number }> => {
      child.send(message);
      const [answer] = (await once(child, 'message')) as [LabAnswer];
      if ('error' in answer) throw new Error(`${name}: ${message.kind}: ${answer.error}`);
      return answer;
    };
    return {
      name,
      address,
      runDir,
      namespacePath,
      servicesNamespacePath: join(runDir, 'netns', 'services'),
      config,
      peer: { name, internalIPs: [address], podCIDRs: config.podCIDRs },
      request,
      async addPod(podName, options = {}) {
        const id = `${name}-${podName}`;
        const podPath = namespace(`pod-${id}`);
        const metadata = { name: podName, namespace: 'default', uid: id, attempt: 0 };
        const { value, ms } = await request({ kind: 'attach', sandbox: { id, namespacePath: podPath, metadata }, options });
        return { id, ip: (value as { ips: string[] }).ips[0] ?? '', namespacePath: podPath, attachMs: ms };
      },
      async restart() {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
        children.delete(child);
        child = start();
      },
    };
  };

  const close = async (): Promise<void> => {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    for (const path of namespaces) removeNetworkNamespace(syscalls, path);
    execFileSync('umount', ['-R', '-l', directory]);
    rmSync(directory, { recursive: true, force: true });
  };

  const nodes: LabNode[] = [];
  try {
    for (let index = 1; index <= nodeCount; index += 1) nodes.push(await startNode(index));
  } catch (error) {
    await close();
    throw error;
  }
  return { syscalls, nodes, run, [Symbol.asyncDispose]: close };
}
