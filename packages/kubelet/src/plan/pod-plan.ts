import type { Pod } from '@dure/api';
import { formatGoDuration } from '@dure/api';
import type { ContainerStatus as RuntimeContainer } from '@dure/runtime';

import { ANNOTATION, type ContainerKind, containersOf, type NamedContainer, podFullName } from '../pod-identity.ts';
import { backoffEndsAtMs, type CrashBackoff } from './crash-backoff.ts';
import { newestRun, type PodObservation, readySandbox } from './observation.ts';
import { shouldRestart } from './restart-decision.ts';

/** What the probes of a container have found so far. `none`: no such probe. */
export type ProbeVerdict = 'none' | 'pending' | 'success' | 'failure';

export interface ContainerProbes {
  readonly startup: ProbeVerdict;
  readonly liveness: ProbeVerdict;
  readonly readiness: ProbeVerdict;
}

/** What the plan is made from besides the Pod and what runs. */
export interface PlanContext {
  readonly nowMs: number;
  /** Containers with a start or stop under way; the plan leaves them alone and counts them as not finished. */
  readonly busy: ReadonlySet<string>;
  readonly probesOf: (containerName: string) => ContainerProbes;
  readonly backoffOf: (containerName: string) => CrashBackoff | undefined;
  /** Containers that the node itself stopped in order to restart them: they start again without waiting. */
  readonly restartNow: ReadonlySet<string>;
  readonly hashOf: (container: NamedContainer) => string;
}

export interface ContainerStart {
  readonly name: string;
  readonly kind: ContainerKind;
  /** Number of this run, from 0: the restart count. */
  readonly attempt: number;
  /** End of the run before, which raises the backoff; absent at a first start or one that must not wait. */
  readonly previousFinishedAtMs?: number;
}

export interface ContainerStop {
  readonly name: string;
  readonly id: string;
  readonly reason: 'liveness' | 'startup' | 'changed' | 'unknown';
  /** The Killing event's message. */
  readonly message: string;
}

export interface ContainerBackoff {
  readonly name: string;
  /** `back-off 10s restarting failed container=web pod=web-0_default(uid)` */
  readonly message: string;
  readonly untilMs: number;
}

/** Everything that should happen now. The executor decides nothing. */
export interface PodActions {
  /** Sandboxes to stop with all they hold, before anything else. */
  readonly killSandboxes: readonly string[];
  readonly createSandbox?: { readonly attempt: number };
  readonly start: readonly ContainerStart[];
  readonly stop: readonly ContainerStop[];
  readonly backoff: readonly ContainerBackoff[];
  /** Ended runs that nothing refers to any more. */
  readonly removeContainers: readonly string[];
  readonly removeSandboxes: readonly string[];
  /** All containers have ended for good: the Pod is to be taken down. */
  readonly finished: boolean;
  /** When time alone changes the plan. */
  readonly wakeAtMs?: number;
}

const NO_ACTIONS: PodActions = {
  killSandboxes: [],
  start: [],
  stop: [],
  backoff: [],
  removeContainers: [],
  removeSandboxes: [],
  finished: false,
};

/** What brings what runs to what the Pod asks for. Pure. The Pod is neither being deleted nor in a final phase. */
export function planPod(pod: Pod, observed: PodObservation, context: PlanContext): PodActions {
  if (isFinished(pod, observed, context)) return { ...NO_ACTIONS, finished: true };

  const sandbox = readySandbox(observed);
  if (sandbox === undefined || (sandbox.ips.length === 0 && pod.spec?.hostNetwork !== true)) return planSandbox(pod, observed);

  const leftovers = observed.sandboxes.slice(1);
  const base = {
    ...NO_ACTIONS,
    killSandboxes: leftovers.filter((old) => old.state === 'ready').map((old) => old.id),
    removeSandboxes: leftovers.filter((old) => old.state !== 'ready' && !hasNeededRuns(observed, old.id)).map((old) => old.id),
  };
  const draft: Draft = { start: [], stop: [], backoff: [] };
  const initialized = planInitContainers(pod, observed, context, draft);
  if (initialized) {
    for (const container of containersOf(pod)) if (container.kind === 'regular') planRegular(pod, container, observed, context, draft);
    for (const container of containersOf(pod)) if (container.kind === 'ephemeral') planEphemeral(container, observed, context, draft);
  } else {
    // Debugging an init phase that hangs is what ephemeral containers are for.
    for (const container of containersOf(pod)) if (container.kind === 'ephemeral') planEphemeral(container, observed, context, draft);
  }
  const wakeAtMs = draft.backoff.length > 0 ? Math.min(...draft.backoff.map(({ untilMs }) => untilMs)) : undefined;
  return { ...base, ...draft, removeContainers: staleRuns(observed), ...(wakeAtMs === undefined ? {} : { wakeAtMs }) };
}

/** True when every regular container has ended and none will run again, or when an init container failed for good. */
export function isFinished(pod: Pod, observed: PodObservation, { busy, restartNow }: Pick<PlanContext, 'busy' | 'restartNow'>): boolean {
  const all = containersOf(pod);
  const endedForGood = (container: NamedContainer): boolean => {
    const run = newestRun(observed, container.spec.name);
    if (run === undefined || run.state !== 'exited' || busy.has(container.spec.name) || restartNow.has(container.spec.name)) return false;
    return !shouldRestart(pod, container, run.exitCode ?? 1);
  };
  const initFailed = all.some(
    (container) => container.kind === 'init' && endedForGood(container) && (newestRun(observed, container.spec.name)?.exitCode ?? 1) !== 0,
  );
  if (initFailed) return true;
  const regular = all.filter(({ kind }) => kind === 'regular');
  return regular.length > 0 && regular.every(endedForGood);
}

/** Whether all init containers are done, given what runs. Sidecars count once they have started. */
export function isInitialized(pod: Pod, observed: PodObservation, context: Pick<PlanContext, 'probesOf'>): boolean {
  if ((pod.spec?.containers ?? []).some(({ name }) => newestRun(observed, name) !== undefined)) return true;
  return containersOf(pod)
    .filter(({ kind }) => kind === 'init' || kind === 'sidecar')
    .every(({ kind, spec }) => {
      const run = newestRun(observed, spec.name);
      if (kind === 'init') return run?.state === 'exited' && run.exitCode === 0;
      return run?.state === 'running' && hasStarted(context.probesOf(spec.name));
    });
}

export function hasStarted({ startup }: ContainerProbes): boolean {
  return startup === 'none' || startup === 'success';
}

interface Draft {
  readonly start: ContainerStart[];
  readonly stop: ContainerStop[];
  readonly backoff: ContainerBackoff[];
}

function planSandbox(pod: Pod, observed: PodObservation): PodActions {
  const newest = observed.sandboxes[0];
  const killSandboxes = observed.sandboxes.filter(({ state }) => state === 'ready').map(({ id }) => id);
  // Containers that ended for good keep their result; a Pod with nothing left to run needs no new sandbox.
  const worthIt = containersOf(pod).some((container) => {
    if (container.kind !== 'regular') return false;
    const run = newestRun(observed, container.spec.name);
    if (run === undefined) return true;
    // Killed together with its sandbox: a Pod that never restarts stays as it is.
    const exitCode = run.state === 'exited' ? (run.exitCode ?? 1) : 1;
    return shouldRestart(pod, container, exitCode);
  });
  if (!worthIt) return { ...NO_ACTIONS, killSandboxes };
  return { ...NO_ACTIONS, killSandboxes, createSandbox: { attempt: newest === undefined ? 0 : newest.metadata.attempt + 1 } };
}

/** Adds what init containers and sidecars need, in order; true once regular containers may start. */
function planInitContainers(pod: Pod, observed: PodObservation, context: PlanContext, draft: Draft): boolean {
  const chain = containersOf(pod).filter(({ kind }) => kind === 'init' || kind === 'sidecar');
  const sandboxId = readySandbox(observed)?.id;
  // Runs of an earlier sandbox do not count: a new sandbox initializes again.
  const regularBegan = containersOf(pod).some(
    ({ kind, spec }) => kind === 'regular' && (context.busy.has(spec.name) || newestRun(observed, spec.name)?.sandboxId === sandboxId),
  );
  const touched = (container: NamedContainer | undefined): boolean =>
    container !== undefined && (context.busy.has(container.spec.name) || newestRun(observed, container.spec.name)?.sandboxId === sandboxId);
  const lastTouched = chain.findLastIndex(touched);

  for (const [index, container] of chain.entries()) {
    const passed = regularBegan || index < lastTouched;
    if (container.kind === 'init') {
      if (passed) continue;
      const run = newestRun(observed, container.spec.name);
      const current = run?.sandboxId === sandboxId ? run : undefined;
      if (current?.state === 'exited' && current.exitCode === 0 && !context.busy.has(container.spec.name)) continue;
      planRun(pod, container, observed, context, draft, current);
      return false;
    }
    planRun(pod, container, observed, context, draft, newestRun(observed, container.spec.name));
    const run = newestRun(observed, container.spec.name);
    const up =
      run?.sandboxId === sandboxId &&
      run?.state === 'running' &&
      !context.busy.has(container.spec.name) &&
      hasStarted(context.probesOf(container.spec.name));
    if (!up && !passed) return false;
  }
  return true;
}

function planRegular(pod: Pod, container: NamedContainer, observed: PodObservation, context: PlanContext, draft: Draft): void {
  planRun(pod, container, observed, context, draft, newestRun(observed, container.spec.name));
}

/** An ephemeral container runs once; what became of it is its result. */
function planEphemeral(container: NamedContainer, observed: PodObservation, context: PlanContext, draft: Draft): void {
  const { name } = container.spec;
  if (context.busy.has(name) || newestRun(observed, name) !== undefined) return;
  draft.start.push({ name, kind: 'ephemeral', attempt: 0 });
}

function planRun(
  pod: Pod,
  container: NamedContainer,
  observed: PodObservation,
  context: PlanContext,
  draft: Draft,
  run: RuntimeContainer | undefined,
): void {
  const { name } = container.spec;
  if (context.busy.has(name)) return;
  const attempt = (newestRun(observed, name)?.metadata.attempt ?? -1) + 1;
  if (run === undefined) {
    draft.start.push({ name, kind: container.kind, attempt });
    return;
  }
  switch (run.state) {
    case 'running': {
      const stop = reasonToStop(container, run, context);
      if (stop !== undefined) draft.stop.push({ name, id: run.id, ...stop });
      return;
    }
    case 'created':
      // Made but never executed: the start failed, or the agent died in between. The failed start counts as a run.
      planRestart(pod, container, attempt, run.createdAtMs, context, draft);
      return;
    case 'unknown':
      draft.stop.push({
        name,
        id: run.id,
        reason: 'unknown',
        message: `Container ${name} is in unknown state, try killing it before restart`,
      });
      return;
    case 'exited':
      if (!context.restartNow.has(name) && !shouldRestart(pod, container, run.exitCode ?? 1)) return;
      planRestart(pod, container, attempt, run.finishedAtMs ?? run.createdAtMs, context, draft);
  }
}

function planRestart(pod: Pod, container: NamedContainer, attempt: number, endedAtMs: number, context: PlanContext, draft: Draft): void {
  const { name } = container.spec;
  if (context.restartNow.has(name)) {
    draft.start.push({ name, kind: container.kind, attempt });
    return;
  }
  const backoff = context.backoffOf(name);
  const untilMs = backoffEndsAtMs(backoff, endedAtMs);
  if (backoff !== undefined && untilMs !== undefined && untilMs > context.nowMs) {
    const delay = formatGoDuration(backoff.delayMs);
    draft.backoff.push({ name, untilMs, message: `back-off ${delay} restarting failed container=${name} pod=${podFullName(pod)}` });
    return;
  }
  draft.start.push({ name, kind: container.kind, attempt, previousFinishedAtMs: endedAtMs });
}

function reasonToStop(
  container: NamedContainer,
  run: RuntimeContainer,
  context: PlanContext,
): Pick<ContainerStop, 'reason' | 'message'> | undefined {
  const { name } = container.spec;
  const hash = run.annotations[ANNOTATION.hash];
  if (container.kind !== 'init' && hash !== undefined && hash !== context.hashOf(container)) {
    return { reason: 'changed', message: `Container ${name} definition changed, will be restarted` };
  }
  const probes = context.probesOf(name);
  if (probes.liveness === 'failure') return { reason: 'liveness', message: `Container ${name} failed liveness probe, will be restarted` };
  if (probes.startup === 'failure') return { reason: 'startup', message: `Container ${name} failed startup probe, will be restarted` };
  return undefined;
}

/** Keeps the newest run and the one before it (`lastState`, `logs --previous`). */
function staleRuns(observed: PodObservation): readonly string[] {
  return [...observed.containers.values()].flatMap((runs) =>
    runs
      .slice(2)
      .filter(({ state }) => state !== 'running')
      .map(({ id }) => id),
  );
}

function hasNeededRuns(observed: PodObservation, sandboxId: string): boolean {
  return [...observed.containers.values()].some((runs) => runs.slice(0, 2).some((run) => run.sandboxId === sandboxId));
}
