import { setTimeout as sleep } from 'node:timers/promises';
import { type Pod, pods } from '@dure/api';
import { busyboxImage, kubectlPath, runCommand } from '@dure/test-support';
import { BenchCluster } from './bench-cluster.ts';
import type { Say } from './benches.ts';
import { readable } from './compare.ts';
import { IMAGE, importBusybox } from './pod-start-bench.ts';
import { cpuMs, pssBytes, runningCommands, writtenBytes } from './process-usage.ts';
import type { BenchResult } from './report.ts';
import { trialNumber } from './trial-settings.ts';

const NODES = ['node-1', 'node-2', 'node-3'];
const PODS_PER_NODE = 10;
const MINUTES = 10;
/** After the last Pod is ready, before anything is counted: what starting leaves to do is no steady state. */
const SETTLE_MS = 60_000;
const READY_TIMEOUT_MS = 120_000;
const DAY_MS = 86_400_000;
const SUPERVISOR = /\/dure-run( |$)/;

interface Usage {
  readonly pssBytes: number;
  readonly cpuMs: number;
  readonly writtenBytes: number;
}

/** What belongs to one part of Dure: the control plane, a node's agent, containers' supervisors of all nodes. */
type Group = 'control plane' | 'agent' | 'proxy' | 'container supervisors' | '`dure up`';

export async function prepareFootprintBench(): Promise<void> {
  await busyboxImage();
  await kubectlPath();
}

/** Memory, CPU and disk writes of every process of ours on three nodes with ten Pods each, and the time to a ready cluster. */
export async function footprintBench(say: Say): Promise<BenchResult> {
  const minutes = trialNumber('DURE_BENCH_MINUTES') ?? MINUTES;
  const startedMs = performance.now();
  const starting = await BenchCluster.startSlowly(NODES.length);
  const readyMs = (await readyNodes(starting.dataDir)) - startedMs;
  await using cluster = await starting.ready();
  say(`footprint: ${NODES.length} nodes Ready after ${readable(readyMs)} ms; starting Pods`);
  await importBusybox(cluster, NODES);
  for (const node of NODES)
    for (let index = 0; index < PODS_PER_NODE; index += 1) await cluster.client.create(pods, podWithProbe(node, index));
  await allPodsReady(cluster);
  await sleep(Math.min(SETTLE_MS, (minutes * 60_000) / 2));

  const before = await usage(cluster);
  const beganMs = performance.now();
  const endMs = beganMs + minutes * 60_000;
  while (performance.now() < endMs) {
    await sleep(Math.min(60_000, Math.max(endMs - performance.now(), 0)));
    say(`footprint: ${((performance.now() - beganMs) / 60_000).toFixed(1)} of ${minutes} minutes: ${describe(await usage(cluster))}`);
  }
  const after = await usage(cluster);
  const elapsedMs = performance.now() - beganMs;
  await allPodsReady(cluster);

  const sum = (groups: readonly Group[], of: (pid: number) => number): number =>
    [...after].filter(([, { group }]) => groups.includes(group)).reduce((total, [pid]) => total + of(pid), 0);
  const pss = (...groups: Group[]): number => sum(groups, (pid) => after.get(pid)?.pssBytes ?? 0) / 1e6;
  const cpu = (...groups: Group[]): number =>
    (sum(groups, (pid) => (after.get(pid)?.cpuMs ?? 0) - (before.get(pid)?.cpuMs ?? 0)) / elapsedMs) * 100;
  const perDay = (...groups: Group[]): number =>
    (sum(groups, (pid) => (after.get(pid)?.writtenBytes ?? 0) - (before.get(pid)?.writtenBytes ?? 0)) * DAY_MS) / elapsedMs / 1e6;
  const each = NODES.length;
  const containers = each * PODS_PER_NODE;
  const mb = (value: number): string => `${readable(value)} MB`;
  const percent = (value: number): string => `${readable(value)} %`;
  return {
    kind: 'readings',
    result: {
      title: 'Footprint',
      setting:
        `\`dure up --nodes ${each}\`, ${PODS_PER_NODE} Pods per node, each with one HTTP probe every 10 s. Counted over ${minutes} minutes, which begin ${SETTLE_MS / 60_000} minute after the last Pod is ready; memory (PSS) ` +
        'at their end. A worker is its agent and its proxy with DNS; the figures of a worker are the mean of the nodes. CPU is of one core. Disk is what the processes made the kernel write, logs included.',
      rows: [
        { what: 'start until `kubectl get nodes` shows all Ready', measured: `${readable(readyMs / 1000)} s`, aim: '<= 3 s' },
        { what: 'memory, control plane', measured: mb(pss('control plane')), aim: '<= 150 MB' },
        { what: 'memory, worker without containers', measured: mb(pss('agent', 'proxy') / each), aim: '<= 150 MB' },
        { what: 'of it, agent', measured: mb(pss('agent') / each) },
        { what: 'of it, proxy and DNS', measured: mb(pss('proxy') / each) },
        { what: 'memory, supervisor of a container', measured: mb(pss('container supervisors') / containers), aim: '<= 0.3 MB' },
        { what: 'memory, `dure up` itself', measured: mb(pss('`dure up`')) },
        { what: 'CPU, control plane', measured: percent(cpu('control plane')), aim: '< 1 %' },
        {
          what: "CPU, worker with its containers' supervisors",
          measured: percent(cpu('agent', 'proxy', 'container supervisors') / each),
          aim: '< 1 %',
        },
        { what: 'of it, agent', measured: percent(cpu('agent') / each) },
        { what: 'of it, proxy and DNS', measured: percent(cpu('proxy') / each) },
        {
          what: 'disk per day, a node and its share of the control plane',
          measured: mb(perDay('control plane', 'agent', 'proxy', 'container supervisors') / each),
          aim: '< 50 MB',
        },
        { what: 'of it, control plane as a whole', measured: mb(perDay('control plane')) },
        { what: 'of it, agent', measured: mb(perDay('agent') / each) },
      ],
      notes: [`What \`dure up\` said of its start: ${starting.steps().join(', ')}.`],
    },
  };
}

type ProcessUsage = Usage & { readonly group: Group };

async function usage(cluster: BenchCluster): Promise<ReadonlyMap<number, ProcessUsage>> {
  const known = await cluster.processes();
  const groups = new Map<number, Group>();
  for (const [name, pid] of known) groups.set(pid, groupOf(name));
  for (const { pid, parent, command } of runningCommands()) {
    if (SUPERVISOR.test(command)) groups.set(pid, 'container supervisors');
    // Helpers that a process of ours runs.
    else if (!groups.has(pid) && groups.has(parent) && groups.get(parent) !== 'container supervisors') {
      groups.set(pid, groups.get(parent) ?? 'agent');
    }
  }
  return new Map(
    [...groups].flatMap(([pid, group]): [number, ProcessUsage][] => {
      try {
        return [[pid, { group, pssBytes: pssBytes(pid), cpuMs: cpuMs(pid), writtenBytes: writtenBytes(pid) }]];
      } catch {
        return []; // It ended meanwhile.
      }
    }),
  );
}

function groupOf(name: string): Group {
  if (name === 'control-plane') return 'control plane';
  if (name === 'supervisor') return '`dure up`';
  return name.startsWith('agent') ? 'agent' : 'proxy';
}

function describe(processes: ReadonlyMap<number, ProcessUsage>): string {
  const totals = new Map<Group, number>();
  for (const { group, pssBytes: bytes } of processes.values()) totals.set(group, (totals.get(group) ?? 0) + bytes);
  return [...totals].map(([group, bytes]) => `${group} ${readable(bytes / 1e6)} MB`).join(', ');
}

/** @returns performance.now() when kubectl showed every node Ready. */
async function readyNodes(dataDir: string): Promise<number> {
  const kubectl = await kubectlPath();
  const env = { ...process.env, KUBECONFIG: `${dataDir}/kubeconfig`, HOME: dataDir };
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const lines = await runCommand(kubectl, ['get', 'nodes', '--no-headers'], { env }).then(
      ({ stdout }) => stdout.trim().split('\n'),
      () => [],
    );
    if (lines.filter((line) => / Ready /.test(line)).length === NODES.length) return performance.now();
    if (performance.now() > deadlineMs) throw new Error(`nodes not Ready within ${READY_TIMEOUT_MS / 1000} s:\n${lines.join('\n')}`);
    await sleep(100);
  }
}

function podWithProbe(node: string, index: number) {
  return {
    metadata: { name: `web-${node}-${index}`, namespace: 'default' },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'web',
          image: IMAGE,
          imagePullPolicy: 'Never' as const,
          command: ['httpd', '-f', '-p', '8080', '-h', '/var/www'],
          livenessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 10 },
        },
      ],
    },
  };
}

/** @throws {Error} Some Pod is not ready in time, or has been restarted. */
async function allPodsReady(cluster: BenchCluster): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const { items } = await cluster.client.list(pods, { namespace: 'default' });
    const restarted = items.filter((pod) => pod.status?.containerStatuses?.some(({ restartCount }) => (restartCount ?? 0) > 0));
    if (restarted.length > 0) throw new Error(`containers were restarted: ${restarted.map(({ metadata }) => metadata.name).join(', ')}`);
    if (items.filter(isReady).length === NODES.length * PODS_PER_NODE) return;
    if (performance.now() > deadlineMs) throw new Error(`Pods not ready within ${READY_TIMEOUT_MS / 1000} s`);
    await sleep(500);
  }
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;
}
