import type { ContainerStatus, Pod } from '@dure/api';
import { shouldRestart } from '../plan/restart-decision.ts';
import { containersOf } from '../pod-identity.ts';

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';

/** @param terminating The Pod is being taken down: what has stopped will not run again, whatever the restart policy says. */
export function phaseOf(pod: Pod, statuses: ReadonlyMap<string, ContainerStatus>, terminating: boolean): PodPhase {
  const all = containersOf(pod);
  let pendingInit = 0;
  let failedInit = 0;
  let running = 0;
  let waiting = 0;
  let stopped = 0;
  let succeeded = 0;
  let willRestart = 0;
  let pendingSidecars = 0;
  let regularBegan = false;

  for (const container of all) {
    const status = statuses.get(container.spec.name);
    const ended = status?.state?.terminated;
    switch (container.kind) {
      case 'init':
        if (ended === undefined) pendingInit += 1;
        else if (ended.exitCode !== 0) {
          if (shouldRestart(pod, container, ended.exitCode)) pendingInit += 1;
          else failedInit += 1;
        }
        break;
      case 'sidecar':
        if (status?.state?.running !== undefined) {
          running += 1;
          if (status.started !== true) pendingSidecars += 1;
        } else if (ended === undefined && status?.lastState?.terminated === undefined) pendingSidecars += 1;
        break;
      case 'regular':
        if (status?.state?.running !== undefined || ended !== undefined || status?.lastState?.terminated !== undefined) regularBegan = true;
        if (status?.state?.running !== undefined) running += 1;
        else if (ended !== undefined) {
          stopped += 1;
          if (ended.exitCode === 0) succeeded += 1;
          if (shouldRestart(pod, container, ended.exitCode)) willRestart += 1;
        } else if (status?.lastState?.terminated !== undefined) {
          stopped += 1;
          willRestart += 1;
        } else waiting += 1;
        break;
      case 'ephemeral':
        break;
    }
  }
  if (failedInit > 0) return 'Failed';
  if (terminating && running === 0 && stopped > 0 && waiting === 0) return stopped === succeeded ? 'Succeeded' : 'Failed';
  // Once a regular container has run, the Pod was initialized; an init container lost since does not take it back.
  if (!regularBegan && (pendingInit > 0 || pendingSidecars > 0)) return 'Pending';
  if (waiting > 0) return 'Pending';
  if (running > 0) return 'Running';
  if (stopped === 0) return 'Pending';
  if (willRestart > 0) return 'Running';
  return stopped === succeeded ? 'Succeeded' : 'Failed';
}
