import type { Pod } from '@dure/api';
import type { ContainerStats, RuntimeService } from '@dure/runtime';
import { containersOf } from '../pod-identity.ts';

export interface ContainerUsage {
  readonly name: string;
  readonly startedAtMs: number;
  readonly stats: ContainerStats;
}

export interface PodUsage {
  readonly pod: Pod;
  readonly startedAtMs: number;
  readonly timestampMs: number;
  readonly cpuUsageNs: number;
  readonly memoryWorkingSetBytes: number;
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly containers: readonly ContainerUsage[];
}

/** What the Pods use now. Asked for, never sampled in the background. */
export async function readUsage(
  runtime: RuntimeService,
  pods: readonly Pod[],
  sandboxIdsOf: (uid: string) => readonly string[],
  nowMs: number,
): Promise<readonly PodUsage[]> {
  const all = await Promise.all(pods.map((pod) => readPod(runtime, pod, sandboxIdsOf(pod.metadata.uid), nowMs)));
  return all.filter((usage) => usage !== undefined);
}

async function readPod(runtime: RuntimeService, pod: Pod, sandboxIds: readonly string[], nowMs: number): Promise<PodUsage | undefined> {
  for (const id of [...sandboxIds].reverse()) {
    const [sandbox, stats, runs] = await Promise.all([
      runtime.sandboxStatus(id),
      runtime.sandboxStats(id),
      runtime.listContainers({ sandboxId: id }),
    ]);
    if (sandbox?.state !== 'ready') continue;
    const names = new Set(containersOf(pod).map(({ spec }) => spec.name));
    const running = runs.filter((run) => run.state === 'running' && names.has(run.metadata.name));
    const containers = await Promise.all(
      running.map(async (run): Promise<ContainerUsage | undefined> => {
        const figures = await runtime.containerStats(run.id);
        return figures === undefined
          ? undefined
          : { name: run.metadata.name, startedAtMs: run.startedAtMs ?? run.createdAtMs, stats: figures };
      }),
    );
    const present = containers.filter((container) => container !== undefined);
    const sum = (of: (one: ContainerUsage) => number): number => present.reduce((total, one) => total + of(one), 0);
    return {
      pod,
      startedAtMs: sandbox.createdAtMs,
      timestampMs: nowMs,
      cpuUsageNs: stats?.cpuUsageNs ?? sum(({ stats: { cpuUsageNs } }) => cpuUsageNs),
      memoryWorkingSetBytes: stats?.memoryWorkingSetBytes ?? sum(({ stats: { memoryWorkingSetBytes } }) => memoryWorkingSetBytes),
      rxBytes: stats?.rxBytes ?? 0,
      txBytes: stats?.txBytes ?? 0,
      containers: present,
    };
  }
  return undefined;
}

export interface NodeUsage {
  readonly cpuUsageNs: number;
  readonly memoryWorkingSetBytes: number;
  readonly memoryAvailableBytes: number;
  readonly fsCapacityBytes: number;
  readonly fsAvailableBytes: number;
  readonly bootedAtMs: number;
}
