import type { ContainerStateTerminated, ContainerStatus, PodStatus } from '@dure/api';
import type { ContainerStatus as RuntimeContainer } from '@dure/runtime';
import { ANNOTATION } from '../pod-identity.ts';

/** What a program that the power or the kernel took is said to have ended with. */
const UNKNOWN = {
  exitCode: 137,
  reason: 'ContainerStatusUnknown',
  message: 'The container could not be located when the pod was terminated',
} as const;

/**
 * Runs that the Pod's status tells of and the runtime does not know, since the machine was restarted: as ended runs, so that restart policy,
 * count and last state go on from them. Pure.
 * @param known All that the runtime knows of the Pod.
 */
export function lostRuns(status: PodStatus | undefined, known: readonly RuntimeContainer[]): readonly RuntimeContainer[] {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = status ?? {};
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses].flatMap((told) => {
    const lost = lastRunIn(told);
    if (lost === undefined) return [];
    const runs = known.filter(({ metadata }) => metadata.name === told.name);
    // Still told of beside its successor, which has its last state from it.
    const isSuccessor = (run: RuntimeContainer): boolean => run.metadata.attempt === lost.metadata.attempt + 1;
    return runs.every(isSuccessor) ? [lost] : [];
  });
}

function lastRunIn({ name, image, imageID, containerID, restartCount, state, lastState }: ContainerStatus): RuntimeContainer | undefined {
  // One that waits has ended before, if it ever ran.
  const ended = state?.terminated ?? (state?.running === undefined ? lastState?.terminated : undefined);
  if (ended === undefined && state?.running === undefined) return undefined;
  const end: ContainerStateTerminated = ended ?? {
    ...UNKNOWN,
    ...(state?.running?.startedAt === undefined ? {} : { startedAt: state.running.startedAt }),
  };
  const startedAtMs = timeOf(end.startedAt) ?? 0;
  return {
    id: (end.containerID ?? containerID ?? '').replace(/^.*:\/\//, ''),
    // None that there is: a new sandbox initializes again.
    sandboxId: '',
    metadata: { name, attempt: restartCount },
    state: 'exited',
    createdAtMs: startedAtMs,
    startedAtMs,
    finishedAtMs: timeOf(end.finishedAt) ?? startedAtMs,
    exitCode: end.exitCode,
    ...(end.signal === undefined ? {} : { signal: end.signal }),
    ...(end.reason === undefined ? {} : { reason: end.reason }),
    ...(end.message === undefined ? {} : { message: end.message }),
    image,
    labels: {},
    annotations: { [ANNOTATION.imageId]: imageID },
    logPath: '',
  };
}

function timeOf(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}
