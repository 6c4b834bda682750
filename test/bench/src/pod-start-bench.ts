import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pods } from '@dure/api';
import { busyboxImage, writeLayoutArchive } from '@dure/test-support';
import { BenchCluster } from './bench-cluster.ts';
import type { Say } from './benches.ts';
import { readable } from './compare.ts';
import { type PodTimeline, PodWatch } from './pod-timeline.ts';
import { childrenCpuMs, cpuMs } from './process-usage.ts';
import type { BenchResult } from './report.ts';
import { trialNumber } from './trial-settings.ts';

export const IMAGE = 'bench.local/busybox:1';
const NAMESPACE = 'default';
const SINGLES = 50;
/** Removed together after this many, so that few others run beside the one that is measured. */
const SINGLES_KEPT = 10;
const BURSTS = [30, 100] as const;
const TIMEOUT_MS = 60_000;

export async function preparePodStartBench(): Promise<void> {
  await busyboxImage();
}

/** From creating a Pod to a watcher seeing it Running, on a cluster of one node with the image present. */
export async function podStartBench(say: Say): Promise<BenchResult> {
  await using cluster = await BenchCluster.start(1);
  await importBusybox(cluster);
  await using watch = await PodWatch.start(cluster.client, NAMESPACE);
  const singles: PodTimeline[] = [];
  const rounds = Math.ceil(((trialNumber('DURE_BENCH_ROUNDS') ?? 5) * SINGLES) / 5 / SINGLES_KEPT);
  // The first Pods of a cluster pay for what happens once: an address range, a compiled program.
  await startTogether(watch, ['warm-up-1', 'warm-up-2', 'warm-up-3']);
  await removeAll(cluster, watch);
  for (let round = 0; round < rounds; round += 1) {
    for (let index = 0; index < SINGLES_KEPT; index += 1) {
      const [timeline] = await startTogether(watch, [`single-${round}-${index}`]);
      if (timeline !== undefined) singles.push(timeline);
    }
    say(`pod-start: round ${round + 1} of ${rounds}: median ${readable(quantile(singles.slice(-SINGLES_KEPT).map(toRunning), 0.5))} ms`);
    await removeAll(cluster, watch);
  }
  const bursts = new Map<number, readonly PodTimeline[]>();
  const costs: string[] = [];
  for (const count of BURSTS) {
    const names = Array.from({ length: count }, (_, index) => `burst-${count}-${index}`);
    const before = await cpuByPart(cluster);
    bursts.set(count, await startTogether(watch, names));
    const after = await cpuByPart(cluster);
    const each = [...after].map(([part, ms]) => `${part} ${readable((ms - (before.get(part) ?? 0)) / count)}`);
    costs.push(`CPU per Pod of ${count} at once, in ms: ${each.join(', ')}.`);
    say(`pod-start: ${count} at once: ${readable(last(bursts.get(count) ?? []))} ms`);
    await removeAll(cluster, watch);
  }
  const times = singles.map(toRunning);
  const stage = (name: string, of: (timeline: PodTimeline) => number): string => `${name} ${readable(quantile(singles.map(of), 0.5))}`;
  return {
    kind: 'readings',
    result: {
      title: 'Pod, created to Running',
      setting:
        `A cluster of one node started by \`dure up\`, busybox imported, Pods of one container. The time runs from before the request is sent until a watch through ` +
        `the API shows \`phase: Running\`. ${singles.length} Pods one after the other with at most ${SINGLES_KEPT} on the node, then 30 and 100 created at the same time.`,
      rows: [
        { what: 'one at a time, p50', measured: `${readable(quantile(times, 0.5))} ms`, aim: '<= 80 ms' },
        { what: `one at a time, p99 of ${singles.length}`, measured: `${readable(quantile(times, 0.99))} ms`, aim: '<= 300 ms' },
        { what: 'one at a time, fastest', measured: `${readable(Math.min(...times))} ms` },
        ...[...bursts].map(([count, timelines]) => ({
          what: `${count} at once, until all are Running`,
          measured: `${readable(last(timelines) / 1000)} s`,
          ...(count === 100 ? { aim: '<= 5 s' } : {}),
        })),
        ...[...bursts].map(([count, timelines]) => ({
          what: `${count} at once, p50 of each`,
          measured: `${readable(quantile(timelines.map(toRunning), 0.5))} ms`,
        })),
      ],
      notes: [
        `Where the time of one goes, medians in ms: ${[
          stage('request', ({ createdMs, answeredMs = Number.NaN }) => answeredMs - createdMs),
          stage('until the watch shows a node', ({ createdMs, scheduledMs = Number.NaN }) => scheduledMs - createdMs),
          stage('from there to Running', ({ scheduledMs = Number.NaN, runningMs = Number.NaN }) => runningMs - scheduledMs),
        ].join(', ')}.`,
        ...costs,
      ],
    },
  };
}

/** Brings busybox to the node, and waits until Pods can use it. */
export async function importBusybox(cluster: BenchCluster, nodes: readonly string[] = []): Promise<void> {
  const archive = join(tmpdir(), `dure-bench-image-${process.pid}.tar`);
  try {
    await writeLayoutArchive(await busyboxImage(), IMAGE, archive);
    if (nodes.length === 0) await cluster.dure('image', 'import', archive);
    for (const node of nodes) await cluster.dure('image', 'import', archive, '--node', node);
  } finally {
    await rm(archive, { force: true });
  }
}

async function startTogether(watch: PodWatch, names: readonly string[]): Promise<readonly PodTimeline[]> {
  const timelines = await Promise.all(names.map((name) => watch.create({ name, image: IMAGE, command: ['sleep', '3600'] })));
  await watch.until(`${names.length} Pods Running`, () => timelines.every(({ runningMs }) => runningMs !== undefined), TIMEOUT_MS);
  return timelines;
}

async function removeAll(cluster: BenchCluster, watch: PodWatch): Promise<void> {
  await cluster.client.deleteCollection(pods, { namespace: NAMESPACE });
  await watch.until('Pods gone', () => [...watch.timelines.values()].every(({ deletedMs }) => deletedMs !== undefined), TIMEOUT_MS);
}

/** Milliseconds of CPU so far. Supervisors that still run are counted by nobody yet: their start is a few milliseconds each. */
async function cpuByPart(cluster: BenchCluster): Promise<ReadonlyMap<string, number>> {
  const parts = new Map<string, number>();
  const add = (part: string, ms: number): void => void parts.set(part, (parts.get(part) ?? 0) + ms);
  for (const [name, pid] of await cluster.processes()) {
    const [part = name] = name.split(' ');
    add(part, cpuMs(pid));
    if (part === 'agent') add('programs the agent runs', childrenCpuMs(pid));
  }
  add('this benchmark', process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000);
  return parts;
}

function toRunning({ createdMs, runningMs = Number.NaN }: PodTimeline): number {
  return runningMs - createdMs;
}

/** Until the last one is Running. */
function last(timelines: readonly PodTimeline[]): number {
  const createdMs = Math.min(...timelines.map((timeline) => timeline.createdMs));
  return Math.max(...timelines.map(({ runningMs = Number.NaN }) => runningMs)) - createdMs;
}

/** The nearest rank. */
export function quantile(values: readonly number[], at: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(at * sorted.length) - 1)] ?? Number.NaN;
}
