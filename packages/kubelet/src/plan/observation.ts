import type { ContainerStatus as RuntimeContainer, SandboxStatus } from '@dure/runtime';

/** What runs for one Pod, as the runtime says; newest first everywhere. */
export interface PodObservation {
  readonly sandboxes: readonly SandboxStatus[];
  /** By container name. */
  readonly containers: ReadonlyMap<string, readonly RuntimeContainer[]>;
}

export const NOTHING_OBSERVED: PodObservation = { sandboxes: [], containers: new Map() };

/** Sorts what the runtime listed for one Pod. */
export function observationOf(sandboxes: readonly SandboxStatus[], containers: readonly RuntimeContainer[]): PodObservation {
  const byName = new Map<string, RuntimeContainer[]>();
  for (const container of containers) {
    const runs = byName.get(container.metadata.name);
    if (runs === undefined) byName.set(container.metadata.name, [container]);
    else runs.push(container);
  }
  for (const runs of byName.values()) runs.sort((a, b) => b.metadata.attempt - a.metadata.attempt || b.createdAtMs - a.createdAtMs);
  return {
    sandboxes: [...sandboxes].sort((a, b) => b.metadata.attempt - a.metadata.attempt || b.createdAtMs - a.createdAtMs),
    containers: byName,
  };
}

export function newestRun(observed: PodObservation, name: string): RuntimeContainer | undefined {
  return observed.containers.get(name)?.[0];
}

/** The sandbox in use: the newest, while it is ready. */
export function readySandbox(observed: PodObservation): SandboxStatus | undefined {
  const newest = observed.sandboxes[0];
  return newest?.state === 'ready' ? newest : undefined;
}
