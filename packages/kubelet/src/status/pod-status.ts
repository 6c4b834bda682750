import type { ContainerState, ContainerStatus, Pod, PodStatus } from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';
import type { ContainerStatus as RuntimeContainer } from '@dure/runtime';
import { qosClassOf } from '../config/qos.ts';
import { type PodObservation, readySandbox } from '../plan/observation.ts';
import { type ContainerProbes, hasStarted, isInitialized } from '../plan/pod-plan.ts';
import { shouldRestart } from '../plan/restart-decision.ts';
import { ANNOTATION, containersOf, type NamedContainer } from '../pod-identity.ts';
import { conditionsOf } from './pod-conditions.ts';
import { phaseOf } from './pod-phase.ts';

/** Why a container does not run, in upstream's words. */
export interface WaitingReason {
  readonly reason: string;
  readonly message?: string;
}

export interface StatusContext {
  readonly nowMs: number;
  readonly hostIPs: readonly string[];
  readonly busy: ReadonlySet<string>;
  readonly probesOf: (containerName: string) => ContainerProbes;
  readonly waitingOf: (containerName: string) => WaitingReason | undefined;
  /** What the program left in its termination message file (or its last log lines); read once per ended run. */
  readonly terminationMessageOf: (run: RuntimeContainer) => string | undefined;
  /** The Pod is being taken down. */
  readonly terminating: boolean;
  /** Set by an eviction, a deadline or a refused admission: the final phase with its reason. */
  readonly verdict?: { readonly phase: 'Failed'; readonly reason: string; readonly message: string };
}

/** The status that the API should show. Pure; conditions of others and unrelated fields are not in it. */
export function statusOf(pod: Pod, observed: PodObservation, context: StatusContext): PodStatus {
  const sandbox = readySandbox(observed);
  const initialized = isInitialized(pod, observed, context);
  const statuses = new Map<string, ContainerStatus>();
  for (const container of containersOf(pod)) {
    const status = containerStatusOf(pod, container, observed, context, initialized);
    if (status !== undefined) statuses.set(container.spec.name, status);
  }
  const phase =
    context.verdict !== undefined && !anyRunning(statuses) ? context.verdict.phase : phaseOf(pod, statuses, context.terminating);
  const now = rfc3339Seconds(context.nowMs);
  const conditions = conditionsOf(pod, { phase, statuses, sandboxReady: sandbox !== undefined, initialized, now });
  const podIPs = pod.spec?.hostNetwork === true ? context.hostIPs : (observed.sandboxes[0]?.ips ?? []);
  const shownIPs = podIPs.length > 0 ? podIPs : (pod.status?.podIPs?.map(({ ip }) => ip) ?? []);
  const of = (kinds: readonly NamedContainer['kind'][]): readonly ContainerStatus[] =>
    containersOf(pod).flatMap(({ kind, spec }) => {
      const status = statuses.get(spec.name);
      return kinds.includes(kind) && status !== undefined ? [status] : [];
    });
  const initStatuses = of(['init', 'sidecar']);
  const ephemeralStatuses = of(['ephemeral']);
  return {
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    phase,
    ...(context.verdict === undefined ? {} : { reason: context.verdict.reason, message: context.verdict.message }),
    conditions,
    ...(context.hostIPs[0] === undefined ? {} : { hostIP: context.hostIPs[0], hostIPs: context.hostIPs.map((ip) => ({ ip })) }),
    ...(shownIPs[0] === undefined ? {} : { podIP: shownIPs[0], podIPs: shownIPs.map((ip) => ({ ip })) }),
    startTime: pod.status?.startTime ?? now,
    qosClass: pod.status?.qosClass ?? qosClassOf(pod),
    ...(initStatuses.length > 0 ? { initContainerStatuses: initStatuses } : {}),
    containerStatuses: of(['regular']),
    ...(ephemeralStatuses.length > 0 ? { ephemeralContainerStatuses: ephemeralStatuses } : {}),
    ...(pod.spec?.resources === undefined ? {} : { resources: pod.spec.resources }),
  };
}

function anyRunning(statuses: ReadonlyMap<string, ContainerStatus>): boolean {
  return [...statuses.values()].some(({ state }) => state?.running !== undefined);
}

function containerStatusOf(
  pod: Pod,
  container: NamedContainer,
  observed: PodObservation,
  context: StatusContext,
  initialized: boolean,
): ContainerStatus | undefined {
  const { kind, spec } = container;
  const { name } = spec;
  // A run that is being started is not there yet; what was before it is still what there is to say.
  const runs = (observed.containers.get(name) ?? []).filter(({ state }) => state !== 'created' || !context.busy.has(name));
  const newest = runs[0];
  const old = previousStatus(pod, name);
  const waiting = context.waitingOf(name);
  const defaultWaiting: WaitingReason = {
    reason: (pod.spec?.initContainers?.length ?? 0) > 0 ? 'PodInitializing' : 'ContainerCreating',
  };

  if (newest === undefined) {
    // A finished init container whose run was removed stays finished.
    if (kind === 'init' && old?.state?.terminated !== undefined && waiting === undefined && initialized) return old;
    return {
      name,
      image: spec.image ?? '',
      imageID: '',
      ready: false,
      restartCount: old?.restartCount ?? 0,
      started: false,
      state: { waiting: waiting ?? defaultWaiting },
      ...(old?.lastState === undefined ? {} : { lastState: old.lastState }),
    };
  }

  const state = stateOf(newest, context);
  // A failed or ended run that waits for its next one shows why it waits; the run itself moves to lastState.
  const isFinal = newest.state === 'exited' && (context.terminating || !shouldRestart(pod, container, newest.exitCode ?? 1));
  const waits = newest.state !== 'running' && waiting !== undefined && !isFinal;
  const previous = waits && newest.state === 'exited' ? newest : runs.find((run) => run !== newest && run.state === 'exited');
  const lastState = previous === undefined ? undefined : stateOf(previous, context);
  const shown: ContainerState = waits ? { waiting } : newest.state === 'created' ? { waiting: defaultWaiting } : state;
  const probes = context.probesOf(name);
  const isRunning = shown.running !== undefined;
  const started = isRunning && hasStarted(probes);
  const ready =
    kind === 'init'
      ? shown.terminated?.exitCode === 0
      : kind === 'ephemeral'
        ? false
        : started && (probes.readiness === 'none' || probes.readiness === 'success');
  const imageID = newest.annotations[ANNOTATION.imageId] ?? '';
  return {
    name,
    state: shown,
    lastState:
      lastState ?? (runs.length === 1 && old !== undefined && old.restartCount === newest.metadata.attempt ? (old.lastState ?? {}) : {}),
    ready,
    restartCount: newest.metadata.attempt,
    image: newest.image,
    imageID,
    containerID: containerIdOf(newest.id),
    started,
    ...resourcesOf(container),
    ...userOf(newest, isRunning),
    ...volumeMountsOf(container),
  };
}

/** `dure://<id>` */
export function containerIdOf(id: string): string {
  return `dure://${id}`;
}

function stateOf(run: RuntimeContainer, context: StatusContext): ContainerState {
  switch (run.state) {
    case 'running':
      return { running: { startedAt: rfc3339Seconds(run.startedAtMs ?? run.createdAtMs) } };
    case 'created':
      return { waiting: { reason: 'ContainerCreating' } };
    case 'exited': {
      const exitCode = run.exitCode ?? 137;
      const message = [context.terminationMessageOf(run), run.reason === 'StartError' ? run.message : undefined].filter(Boolean).join(': ');
      return {
        terminated: {
          exitCode,
          ...(run.signal === undefined ? {} : { signal: run.signal }),
          reason: run.reason ?? (exitCode === 0 ? 'Completed' : 'Error'),
          ...(message === '' ? {} : { message }),
          startedAt: rfc3339Seconds(run.startedAtMs ?? run.createdAtMs),
          finishedAt: rfc3339Seconds(run.finishedAtMs ?? run.createdAtMs),
          containerID: containerIdOf(run.id),
        },
      };
    }
    case 'unknown':
      return {
        terminated: {
          exitCode: 137,
          reason: 'ContainerStatusUnknown',
          message: 'The container could not be located when the pod was terminated',
          containerID: containerIdOf(run.id),
        },
      };
  }
}

function previousStatus(pod: Pod, name: string): ContainerStatus | undefined {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
  return [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find((status) => status.name === name);
}

function resourcesOf({ spec }: NamedContainer): Pick<ContainerStatus, 'allocatedResources' | 'resources'> {
  const requests = spec.resources?.requests;
  return {
    ...(requests === undefined || Object.keys(requests).length === 0 ? {} : { allocatedResources: requests }),
    resources: spec.resources ?? {},
  };
}

function userOf(run: RuntimeContainer, isRunning: boolean): Pick<ContainerStatus, 'user'> {
  const { [ANNOTATION.uid]: uid, [ANNOTATION.gid]: gid, [ANNOTATION.groups]: groups = '' } = run.annotations;
  if (!isRunning || uid === undefined || gid === undefined) return {};
  const supplementalGroups = groups.split(',').filter(Boolean).map(Number);
  return { user: { linux: { uid: Number(uid), gid: Number(gid), supplementalGroups } } };
}

function volumeMountsOf({ spec }: NamedContainer): Pick<ContainerStatus, 'volumeMounts'> {
  if (spec.volumeMounts === undefined || spec.volumeMounts.length === 0) return {};
  return {
    volumeMounts: spec.volumeMounts.map(({ name, mountPath, readOnly, recursiveReadOnly }) => ({
      name,
      mountPath,
      ...(readOnly === undefined ? {} : { readOnly }),
      ...(readOnly === true ? { recursiveReadOnly: recursiveReadOnly ?? 'Disabled' } : {}),
    })),
  };
}
