import {
  type CompiledLabelSelector,
  compileLabelSelector,
  type KubeObject,
  type LabelSelector,
  type Pod,
  type PodTemplateSpec,
  type ReplicaSetCondition,
} from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';
import { deepEqual } from '../deep-equal.ts';
import { availableInMs, isPodActive, isPodFinished, isPodReady } from '../pod-state.ts';
import { withoutZeros } from '../without-zeros.ts';
import { byDeletionRank } from './pod-ranking.ts';

/** Bounds one pass, so that a typo in `spec.replicas` cannot flood the API server. */
export const CREATES_PER_PASS_MAX = 500;

/** What ReplicaSets and ReplicationControllers have in common. */
export interface ReplicaOwner {
  readonly object: KubeObject;
  readonly replicas: number;
  readonly minReadySeconds: number;
  readonly selector: CompiledLabelSelector;
  readonly template: PodTemplateSpec;
  readonly status: ReplicaStatus;
}

export interface ReplicaStatus {
  readonly replicas: number;
  readonly fullyLabeledReplicas?: number;
  readonly readyReplicas?: number;
  readonly availableReplicas?: number;
  readonly terminatingReplicas?: number;
  readonly observedGeneration?: number | bigint;
  readonly conditions?: readonly ReplicaSetCondition[];
}

export interface ReplicaPlan {
  readonly create: number;
  readonly remove: readonly Pod[];
}

/** What brings the Pods that `owner` has to the number it wants. Pure. @param owned Its Pods, finished and going ones included. @param neighbours How many Pods of its relatives each node has; asked only if some must go. */
export function planReplicas(
  owner: ReplicaOwner,
  owned: readonly Pod[],
  neighbours: () => ReadonlyMap<string, number>,
  nowMs: number,
): ReplicaPlan {
  if (owner.object.metadata.deletionTimestamp !== undefined) return { create: 0, remove: [] };
  const active = owned.filter(isPodActive);
  const surplus = active.length - owner.replicas;
  return {
    create: Math.min(Math.max(-surplus, 0), CREATES_PER_PASS_MAX),
    remove: surplus > 0 ? active.toSorted(byDeletionRank(neighbours(), nowMs)).slice(0, Math.min(surplus, CREATES_PER_PASS_MAX)) : [],
  };
}

/** What `owner`'s status should say. @param failure What stopped the last change of its Pods, if anything did. */
export function replicaStatus(
  owner: ReplicaOwner,
  owned: readonly Pod[],
  failure: { readonly reason: 'FailedCreate' | 'FailedDelete'; readonly message: string } | undefined,
  nowMs: number,
): ReplicaStatus {
  const active = owned.filter(isPodActive);
  const templateLabels = compileLabelSelector({ matchLabels: owner.template.metadata?.labels ?? {} });
  const others = (owner.status.conditions ?? []).filter(({ type }) => type !== 'ReplicaFailure');
  const current = owner.status.conditions?.find(({ type }) => type === 'ReplicaFailure');
  // A failure stays as it was first told, so that repeating it is no new status.
  const kept = failure !== undefined && current?.reason === failure.reason ? current : undefined;
  const failed: ReplicaSetCondition | undefined =
    failure === undefined
      ? undefined
      : (kept ?? {
          type: 'ReplicaFailure',
          status: 'True',
          lastTransitionTime: rfc3339Seconds(nowMs),
          reason: failure.reason,
          message: failure.message,
        });
  const conditions = failed === undefined ? others : [...others, failed];
  const { generation } = owner.object.metadata;
  return {
    replicas: active.length,
    ...withoutZeros({
      fullyLabeledReplicas: active.filter(({ metadata }) => templateLabels.matches(metadata.labels ?? {})).length,
      readyReplicas: active.filter(isPodReady).length,
      availableReplicas: active.filter((pod) => availableInMs(pod, owner.minReadySeconds, nowMs) === 0).length,
    }),
    terminatingReplicas: owned.filter((pod) => pod.metadata.deletionTimestamp !== undefined && !isPodFinished(pod)).length,
    ...(generation !== undefined && { observedGeneration: generation }),
    ...(conditions.length > 0 && { conditions }),
  };
}

/** Milliseconds until the next ready Pod becomes available, if one waits for that. */
export function nextAvailableInMs(owner: ReplicaOwner, owned: readonly Pod[], nowMs: number): number | undefined {
  const waits = owned
    .filter(isPodActive)
    .map((pod) => availableInMs(pod, owner.minReadySeconds, nowMs))
    .filter((wait): wait is number => wait !== undefined && wait > 0);
  return waits.length === 0 ? undefined : Math.min(...waits);
}

/** Absent numbers count as 0. */
export function sameStatus(a: ReplicaStatus | undefined, b: ReplicaStatus): boolean {
  const zeroed = (status: ReplicaStatus | undefined): unknown => ({
    replicas: 0,
    fullyLabeledReplicas: 0,
    readyReplicas: 0,
    availableReplicas: 0,
    terminatingReplicas: 0,
    conditions: [],
    ...status,
  });
  return deepEqual(zeroed(a), zeroed(b));
}

/** A selector object as a compiled one; absent selects nothing. */
export function selectorOf(selector: LabelSelector | undefined): CompiledLabelSelector {
  return compileLabelSelector(selector);
}
