import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';
import { withoutZeros } from '../without-zeros.ts';
import { maxUnavailable, specReplicas, sumOf, wantedReplicas } from './replica-sets.ts';

/** A deadline this large means none. @see upstream's `HasProgressDeadline` */
const NO_DEADLINE_SECONDS = 2 ** 31 - 1;

/** A change to the Progressing condition that the pass itself made. */
export interface ProgressNote {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export interface StatusInput {
  readonly deployment: Deployment;
  readonly all: readonly ReplicaSet[];
  readonly newOne: ReplicaSet | undefined;
  /** Whether this pass judges the rollout's progress; a paused or just scaled Deployment only gets its numbers. */
  readonly judge: boolean;
  readonly note: ProgressNote | undefined;
  readonly nowMs: number;
}

export function progressDeadlineMs({ spec }: Deployment): number | undefined {
  const seconds = spec.progressDeadlineSeconds;
  return seconds === undefined || seconds >= NO_DEADLINE_SECONDS ? undefined : seconds * 1000;
}

/** What the Deployment's status should say. Pure. */
export function planStatus({ deployment, all, newOne, judge, note, nowMs }: StatusInput): DeploymentStatus {
  const available = sumOf(all, ({ status }) => status?.availableReplicas);
  const { generation } = deployment.metadata;
  const numbers: DeploymentStatus = {
    ...(generation !== undefined && { observedGeneration: generation }),
    ...withoutZeros({
      replicas: sumOf(all, ({ status }) => status?.replicas),
      updatedReplicas: newOne?.status?.replicas ?? 0,
      readyReplicas: sumOf(all, ({ status }) => status?.readyReplicas),
      availableReplicas: available,
      unavailableReplicas: Math.max(sumOf(all, specReplicas) - available, 0),
    }),
    terminatingReplicas: sumOf(all, ({ status }) => status?.terminatingReplicas),
    ...(deployment.status?.collisionCount !== undefined && { collisionCount: deployment.status.collisionCount }),
  };
  const enough = available >= wantedReplicas(deployment) - maxUnavailable(deployment);
  let conditions = new Conditions(deployment.status?.conditions ?? [], nowMs);
  if (note !== undefined && progressDeadlineMs(deployment) !== undefined) conditions = conditions.set({ type: 'Progressing', ...note });
  conditions = conditions.set(
    enough
      ? { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message: 'Deployment has minimum availability.' }
      : {
          type: 'Available',
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        },
  );
  if (judge) conditions = judgeProgress(conditions, { deployment, numbers, newOne, nowMs });
  const failed = [newOne, ...all].flatMap((one) => one?.status?.conditions ?? []).find(({ type }) => type === 'ReplicaFailure');
  if (judge) {
    conditions =
      failed === undefined
        ? conditions.without('ReplicaFailure')
        : conditions.set({ type: 'ReplicaFailure', status: failed.status, reason: failed.reason ?? '', message: failed.message ?? '' });
  }
  return { ...numbers, ...(conditions.list.length > 0 && { conditions: conditions.list }) };
}

/** All wanted replicas are of the new template, available, and nothing else is left. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const wanted = wantedReplicas(deployment);
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

/** Milliseconds until a rollout that stands still runs out of its time, if one does. */
export function stuckInMs(deployment: Deployment, status: DeploymentStatus, nowMs: number): number | undefined {
  const deadlineMs = progressDeadlineMs(deployment);
  const progressing = status.conditions?.find(({ type }) => type === 'Progressing');
  if (deadlineMs === undefined || progressing?.lastUpdateTime === undefined) return undefined;
  if (isComplete(deployment, status) || progressing.reason === 'ProgressDeadlineExceeded') return undefined;
  // A second more: times in objects are whole seconds, and looking too early would only mean looking again.
  return Math.max(Date.parse(progressing.lastUpdateTime) + deadlineMs - nowMs, 0) + 1000;
}

function judgeProgress(
  conditions: Conditions,
  {
    deployment,
    numbers,
    newOne,
    nowMs,
  }: {
    readonly deployment: Deployment;
    readonly numbers: DeploymentStatus;
    readonly newOne: ReplicaSet | undefined;
    readonly nowMs: number;
  },
): Conditions {
  const deadlineMs = progressDeadlineMs(deployment);
  if (deadlineMs === undefined) return conditions.without('Progressing');
  const current = conditions.get('Progressing');
  if ((numbers.replicas ?? 0) === (numbers.updatedReplicas ?? 0) && current?.reason === 'NewReplicaSetAvailable') return conditions;
  const subject = newOne === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${newOne.metadata.name}"`;
  if (isComplete(deployment, numbers)) {
    const message = `${subject} has successfully progressed.`;
    return conditions.set({ type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable', message });
  }
  if (hasProgressed(deployment.status, numbers)) {
    return conditions.refresh({ type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated', message: `${subject} is progressing.` });
  }
  if (hasTimedOut(current, deadlineMs, nowMs)) {
    const message = `${subject} has timed out progressing.`;
    return conditions.set({ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message });
  }
  return conditions;
}

function hasProgressed(old: DeploymentStatus | undefined, now: DeploymentStatus): boolean {
  const outdated = (status: DeploymentStatus | undefined): number => (status?.replicas ?? 0) - (status?.updatedReplicas ?? 0);
  return (
    (now.updatedReplicas ?? 0) > (old?.updatedReplicas ?? 0) ||
    outdated(now) < outdated(old) ||
    (now.readyReplicas ?? 0) > (old?.readyReplicas ?? 0) ||
    (now.availableReplicas ?? 0) > (old?.availableReplicas ?? 0)
  );
}

function hasTimedOut(current: DeploymentCondition | undefined, deadlineMs: number, nowMs: number): boolean {
  if (current === undefined || current.reason === 'NewReplicaSetAvailable') return false;
  if (current.reason === 'ProgressDeadlineExceeded') return true;
  return Date.parse(current.lastUpdateTime ?? '') + deadlineMs < nowMs;
}

type Said = { readonly type: string; readonly status: string; readonly reason: string; readonly message: string };

/** A list of conditions that knows when a change is one. */
class Conditions {
  readonly list: readonly DeploymentCondition[];
  readonly #nowMs: number;

  constructor(list: readonly DeploymentCondition[], nowMs: number) {
    this.list = list;
    this.#nowMs = nowMs;
  }

  get(type: string): DeploymentCondition | undefined {
    return this.list.find((condition) => condition.type === type);
  }

  /** The same status for the same reason is no news: its times and message stay. */
  set(said: Said): Conditions {
    const current = this.get(said.type);
    if (current?.status === said.status && current.reason === said.reason) return this;
    return this.refresh(said);
  }

  /** Says it anew; only a changed status moves the transition time. */
  refresh(said: Said): Conditions {
    const current = this.get(said.type);
    const now = rfc3339Seconds(this.#nowMs);
    const { type, status, ...why } = said;
    const lastTransitionTime = current?.status === status ? (current.lastTransitionTime ?? now) : now;
    const condition = { type, status, lastUpdateTime: now, lastTransitionTime, ...why };
    const list = current === undefined ? [...this.list, condition] : this.list.map((one) => (one === current ? condition : one));
    return new Conditions(list, this.#nowMs);
  }

  without(type: string): Conditions {
    return new Conditions(
      this.list.filter((condition) => condition.type !== type),
      this.#nowMs,
    );
  }
}
