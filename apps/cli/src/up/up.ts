import { readFileSync } from 'node:fs';
import { cpus, hostname } from 'node:os';
import { join } from 'node:path';
import { leases, nodes as nodeRef } from '@dure/api';
import { type Client, createClient, createNetworkTransport, loadKubeconfig } from '@dure/client';
import { type Clock, createLogger, isAbort, type Random } from '@dure/foundation';
import { UserFault } from '../fault.ts';
import { createJoinToken, renderJoinToken } from '../join-token.ts';
import {
  agentProcess,
  CLUSTER,
  controlPlaneProcess,
  kubeconfigPath,
  planNodes,
  proxyProcess,
  serverAddress,
  type UpOptions,
} from './cluster-plan.ts';
import { type LocalNode, readState, writeState } from './cluster-state.ts';
import { endProcesses } from './end-processes.ts';
import { hostAddress } from './host-address.ts';
import { identityOf, isAlive, type ProcessIdentity } from './process-identity.ts';
import type { Progress } from './progress.ts';
import { runCommands, runFirstThatWorks } from './run-command.ts';
import { mountPoints, planRunDirectory, RUN_DIR } from './run-directory.ts';
import { Supervisor } from './supervisor.ts';
import { BRIDGE_ADDRESS, planBridge, planNamespaces, planVirtualDirectory, planVirtualNode, VIRTUAL_DIR } from './virtual-node.ts';
import { waitUntil } from './wait-until.ts';

const READY_TIMEOUT_MS = 120_000;
const READY_POLL_MS = 50;
const TOKEN_TTL_MS = 3_600_000;

export interface UpDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly progress: Progress;
}

/**
 * Starts a cluster on this machine and keeps its processes running until `signal` aborts; then stops them. Pods go on running, and the next
 * call finds them, and all state, again.
 * @param onReady Called once every node is ready.
 */
export async function up(options: UpOptions, { clock, random, progress }: UpDeps, onReady: () => void, signal: AbortSignal): Promise<void> {
  const { dataDir } = options;
  await endFormer(dataDir, clock);
  await runCommands(planRunDirectory(mountPoints()));
  const nodes = planNodes(options.nodes, hostname(), (await hostAddress()) ?? BRIDGE_ADDRESS);
  await prepareLinks(nodes, progress);

  const record = (processes: ReadonlyMap<string, ProcessIdentity>): void => {
    const supervisor = identityOf(process.pid);
    if (supervisor === undefined) throw new Error('this process has no entry in /proc');
    writeState(dataDir, { version: 1, supervisor, listen: options.listen, nodes, processes: Object.fromEntries(processes) });
  };
  const startedMs = clock.now();
  const running = new Map<string, ProcessIdentity>();
  record(running);
  const supervisor = new Supervisor({
    clock,
    log: createLogger({ level: 'warn' }),
    onChange(processes) {
      running.clear();
      for (const [name, identity] of processes) running.set(name, identity);
      record(processes);
    },
  });
  try {
    const wait = { clock, timeoutMs: READY_TIMEOUT_MS, everyMs: READY_POLL_MS, signal };
    const server = serverAddress(nodes);
    const client = await progress.step('starting the control plane', async () => {
      supervisor.keep(controlPlaneProcess(options, server));
      return waitUntil('the API server', () => readyClient(kubeconfigPath(dataDir)), wait);
    });
    await progress.step(`starting ${nodes.length === 1 ? 'the node' : `${nodes.length} nodes`}`, async () => {
      const { ca = '' } = await loadKubeconfig(kubeconfigPath(dataDir));
      const token = renderJoinToken(
        await createJoinToken(client, { ca, ttlMs: TOKEN_TTL_MS, description: 'made by dure up', clock, random }),
      );
      for (const node of nodes) {
        supervisor.keep(agentProcess(options, node, server, token));
        supervisor.keep(proxyProcess(options, node));
      }
      await waitUntil('the nodes to be ready', () => allReady(client, nodes, running, startedMs), wait);
    });
    onReady();
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  } catch (error) {
    if (!isAbort(error, signal)) throw error;
  } finally {
    progress.say('stopping; Pods go on running ("dure down" ends them)');
    // Nodes first: their last words should still find an API server.
    await Promise.all(nodes.flatMap(({ name }) => [supervisor.stop(`proxy ${name}`), supervisor.stop(`agent ${name}`)]));
    await supervisor.stop('control-plane');
  }
}

/** Ends what a supervisor that was itself killed left running; its Pods are not touched. @throws {UserFault} It runs still. */
async function endFormer(dataDir: string, clock: Clock): Promise<void> {
  const former = readState(dataDir);
  if (former === undefined) return;
  if (isAlive(former.supervisor)) {
    throw new UserFault(
      `a cluster runs already from ${dataDir} (process ${former.supervisor.pid}); "dure status" shows it, "dure down" ends it`,
    );
  }
  await endProcesses(Object.values(former.processes), clock);
}

async function prepareLinks(nodes: readonly LocalNode[], progress: Progress): Promise<void> {
  if (!nodes.some(({ virtual, address }) => virtual || address === BRIDGE_ADDRESS)) return;
  await progress.step('making the bridge and the nodes on it', async () => {
    const points = mountPoints();
    if (!points.has(VIRTUAL_DIR)) await runCommands(planVirtualDirectory());
    const [link, ...rest] = planBridge(CLUSTER);
    // The routes through the first node can only be set once its link stands.
    const isRoute = ({ argv }: { readonly argv: readonly string[] }): boolean => argv[1] === 'route';
    await runCommands([...(link ? [link] : []), ...rest.filter((command) => !isRoute(command))]);
    for (const [index, { name, address, virtual }] of nodes.entries()) {
      if (!virtual || points.has(`${VIRTUAL_DIR}/${name}/net`)) continue;
      await runFirstThatWorks(planNamespaces(name, cpus().length));
      await runCommands(planVirtualNode(name, address, index + 1));
    }
    if (nodes.some(({ virtual }) => virtual)) await runCommands(rest.filter(isRoute));
  });
}

async function readyClient(kubeconfig: string): Promise<Client | undefined> {
  const transport = createNetworkTransport(await loadKubeconfig(kubeconfig));
  const { status } = await transport.send({ method: 'GET', path: '/readyz', headers: {} });
  if (status !== 200) {
    await transport[Symbol.asyncDispose]();
    return undefined;
  }
  return createClient(transport, { userAgent: 'dure/0.1.0' });
}

/** Nodes that say so by an agent started now, and proxies that serve: what former processes wrote counts for nothing. */
async function allReady(
  client: Client,
  expected: readonly LocalNode[],
  processes: ReadonlyMap<string, ProcessIdentity>,
  sinceMs: number,
): Promise<true | undefined> {
  const [{ items }, heartbeats] = await Promise.all([client.list(nodeRef), client.list(leases, { namespace: 'kube-node-lease' })]);
  const alive = new Set(
    heartbeats.items.filter(({ spec }) => Date.parse(spec?.renewTime ?? '') >= sinceMs).map(({ metadata }) => metadata.name),
  );
  const ready = items
    .filter(({ status }) => status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'))
    .map(({ metadata }) => metadata.name);
  const isUp = ({ name }: LocalNode): boolean => alive.has(name) && ready.includes(name) && isServing(name, processes.get(`proxy ${name}`));
  return expected.every(isUp) ? true : undefined;
}

/** Whether the proxy that runs now has said that it serves. */
function isServing(node: string, proxy: ProcessIdentity | undefined): boolean {
  try {
    return proxy !== undefined && Number(readFileSync(join(RUN_DIR, node, 'proxy', 'serving'), 'utf8')) === proxy.pid;
  } catch {
    return false;
  }
}
