import type { Deployment, ReplicaSet } from '@dure/api';
import {
  byCreation,
  DESIRED_REPLICAS,
  isRolling,
  MAX_REPLICAS,
  maxSurge,
  maxUnavailable,
  numberAnnotation,
  specReplicas,
  sumOf,
  wantedReplicas,
} from './replica-sets.ts';

/** One ReplicaSet's new size. */
export interface Resize {
  readonly replicaSet: ReplicaSet;
  readonly replicas: number;
}

/** How many replicas the new ReplicaSet may have now. @param current Its size, 0 if it is yet to be made. @param all Every ReplicaSet, it included. */
export function newReplicaSetSize(deployment: Deployment, current: number, all: readonly ReplicaSet[]): number {
  const wanted = wantedReplicas(deployment);
  if (!isRolling(deployment)) return wanted;
  const room = wanted + maxSurge(deployment) - sumOf(all, specReplicas);
  return room <= 0 ? current : current + Math.max(Math.min(room, wanted - current), 0);
}

/** The next step of a rolling update: the new one grows first, then the old ones shrink as far as availability allows. */
export function planRollingStep(deployment: Deployment, newOne: ReplicaSet, old: readonly ReplicaSet[]): readonly Resize[] {
  const wanted = wantedReplicas(deployment);
  const size = specReplicas(newOne);
  const next = size > wanted ? wanted : newReplicaSetSize(deployment, size, [...old, newOne]);
  if (next !== size) return [{ replicaSet: newOne, replicas: next }];
  return planShrinkOld(deployment, newOne, old);
}

function planShrinkOld(deployment: Deployment, newOne: ReplicaSet, old: readonly ReplicaSet[]): readonly Resize[] {
  const minAvailable = wantedReplicas(deployment) - maxUnavailable(deployment);
  const newUnavailable = specReplicas(newOne) - (newOne.status?.availableReplicas ?? 0);
  const oldest = old.filter((replicaSet) => specReplicas(replicaSet) > 0).toSorted(byCreation);
  let room = sumOf([...old, newOne], specReplicas) - minAvailable - newUnavailable;
  const sizes = new Map(oldest.map((replicaSet) => [replicaSet, specReplicas(replicaSet)]));

  // Pods that serve nobody go first: they cost no availability.
  for (const replicaSet of oldest) {
    const size = specReplicas(replicaSet);
    const broken = Math.min(Math.max(room, 0), Math.max(size - (replicaSet.status?.availableReplicas ?? 0), 0));
    sizes.set(replicaSet, size - broken);
    room -= broken;
  }

  let spare = sumOf([...old, newOne], ({ status }) => status?.availableReplicas) - minAvailable;
  for (const replicaSet of oldest) {
    const size = sizes.get(replicaSet) ?? 0;
    const cut = Math.min(size, Math.max(spare, 0), Math.max(room, 0));
    sizes.set(replicaSet, size - cut);
    spare -= cut;
    room -= cut;
  }
  return oldest.map((replicaSet) => ({ replicaSet, replicas: sizes.get(replicaSet) ?? 0 })).filter(isResize);
}

/**
 * What a change of `spec.replicas` (or a paused rollout) does: one active ReplicaSet gets it all, a finished rollout empties the old
 * ones, and during a rolling update every active ReplicaSet grows or shrinks in proportion, so that the risk stays spread.
 */
export function planScale(deployment: Deployment, newOne: ReplicaSet | undefined, old: readonly ReplicaSet[]): readonly Resize[] {
  const wanted = wantedReplicas(deployment);
  const all = newOne === undefined ? old : [...old, newOne];
  const active = all.filter((replicaSet) => specReplicas(replicaSet) > 0);
  const only = active.length === 0 ? (newOne ?? old.toSorted(byCreation).at(-1)) : active.length === 1 ? active[0] : undefined;
  if (only !== undefined)
    return [{ replicaSet: only, replicas: wanted }].filter((resize) => isResize(resize) || isOutdated(deployment, resize));
  if (newOne !== undefined && isSaturated(deployment, newOne)) {
    return active.filter((replicaSet) => replicaSet !== newOne).map((replicaSet) => ({ replicaSet, replicas: 0 }));
  }
  return isRolling(deployment) ? planProportional(deployment, active) : [];
}

/** The size on which a ReplicaSet was last told to stand differs from what is wanted now. */
export function isScalingEvent(deployment: Deployment, all: readonly ReplicaSet[]): boolean {
  const wanted = wantedReplicas(deployment);
  return all.some((replicaSet) => {
    const desired = numberAnnotation(replicaSet, DESIRED_REPLICAS);
    return specReplicas(replicaSet) > 0 && desired !== undefined && desired !== wanted;
  });
}

function planProportional(deployment: Deployment, active: readonly ReplicaSet[]): readonly Resize[] {
  const wanted = wantedReplicas(deployment);
  const allowed = wanted > 0 ? wanted + maxSurge(deployment) : 0;
  const toAdd = allowed - sumOf(active, specReplicas);
  // Growing favours the newer of two equals, shrinking takes from the older.
  const bySize = active.toSorted((a, b) => specReplicas(b) - specReplicas(a) || (toAdd > 0 ? byCreation(b, a) : byCreation(a, b)));
  let added = 0;
  const resizes = bySize.map((replicaSet) => {
    const share = proportion(deployment, replicaSet, toAdd, added);
    added += share;
    return { replicaSet, replicas: specReplicas(replicaSet) + share };
  });
  return resizes
    .map((resize, index) => (index === 0 ? { ...resize, replicas: Math.max(resize.replicas + toAdd - added, 0) } : resize))
    .filter((resize) => isResize(resize) || isOutdated(deployment, resize));
}

function proportion(deployment: Deployment, replicaSet: ReplicaSet, toAdd: number, added: number): number {
  const size = specReplicas(replicaSet);
  if (size === 0 || toAdd === 0 || toAdd === added) return 0;
  const share = fairShare(deployment, replicaSet);
  return toAdd > 0 ? Math.min(share, toAdd - added) : Math.max(share, toAdd - added);
}

/** How much the ReplicaSet would change if it kept its part of the whole. */
function fairShare(deployment: Deployment, replicaSet: ReplicaSet): number {
  const size = specReplicas(replicaSet);
  const wanted = wantedReplicas(deployment);
  if (wanted === 0) return -size;
  const before = numberAnnotation(replicaSet, MAX_REPLICAS) || deployment.status?.replicas || size;
  return Math.round((size * (wanted + maxSurge(deployment))) / before) - size;
}

function isSaturated(deployment: Deployment, newOne: ReplicaSet): boolean {
  const wanted = wantedReplicas(deployment);
  return (
    numberAnnotation(newOne, DESIRED_REPLICAS) === wanted && specReplicas(newOne) === wanted && newOne.status?.availableReplicas === wanted
  );
}

function isResize({ replicaSet, replicas }: Resize): boolean {
  return specReplicas(replicaSet) !== replicas;
}

function isOutdated(deployment: Deployment, { replicaSet }: Resize): boolean {
  return (
    numberAnnotation(replicaSet, DESIRED_REPLICAS) !== wantedReplicas(deployment) ||
    numberAnnotation(replicaSet, MAX_REPLICAS) !== wantedReplicas(deployment) + maxSurge(deployment)
  );
}
