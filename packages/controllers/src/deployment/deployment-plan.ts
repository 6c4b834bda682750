import { type Deployment, type DeploymentStatus, type Draft, deployments, type Pod, type ReplicaSet } from '@dure/api';
import { deepEqual } from '../deep-equal.ts';
import { controllerReference } from '../ownership.ts';
import { isPodFinished } from '../pod-state.ts';
import { templateHash } from '../template-hash.ts';
import { isComplete, type ProgressNote, planStatus, stuckInMs } from './deployment-status.ts';
import {
  byCreation,
  byRevision,
  findNewReplicaSet,
  HASH_LABEL,
  isRolling,
  newReplicaSetAnnotations,
  REVISION,
  revisionOf,
  sizeAnnotations,
  specReplicas,
  sumOf,
  wantedReplicas,
} from './replica-sets.ts';
import { isScalingEvent, newReplicaSetSize, planRollingStep, planScale, type Resize } from './rollout-plan.ts';

/** Everything one pass does. At most one of `create`, `annotate` and `resizes` is more than nothing: the next pass sees its effect first. */
export interface DeploymentPlan {
  /** A ReplicaSet for the current template. */
  readonly create: Draft<ReplicaSet> | undefined;
  /** The found ReplicaSet gets these annotations and this `minReadySeconds`. */
  readonly annotate: { readonly replicaSet: ReplicaSet; readonly annotations: Readonly<Record<string, string>> } | undefined;
  readonly resizes: readonly Resize[];
  /** Old ReplicaSets beyond `revisionHistoryLimit`. */
  readonly remove: readonly ReplicaSet[];
  /** The Deployment's own revision annotation, where it must change. */
  readonly revision: string | undefined;
  readonly status: DeploymentStatus;
  /** Look again after this, since nothing may happen until then. */
  readonly requeueAfterMs: number | undefined;
}

/**
 * The next step of `deployment`'s rollout. Pure.
 * @param owned Its ReplicaSets. @param podsOf All Pods of a ReplicaSet, going ones too: what Recreate waits for.
 */
export function planDeployment(
  deployment: Deployment,
  owned: readonly ReplicaSet[],
  podsOf: (replicaSet: ReplicaSet) => readonly Pod[],
  nowMs: number,
): DeploymentPlan {
  const found = findNewReplicaSet(deployment, owned);
  const old = owned.filter((replicaSet) => replicaSet !== found);
  const newest = old.toSorted(byRevision).at(-1);
  const revision = (newest === undefined ? 0n : revisionOf(newest)) + 1n;
  const paused = deployment.spec.paused === true;
  const pauseNote = planPauseNote(deployment, paused);

  const finish = (steps: Partial<DeploymentPlan>, judge: boolean, note: ProgressNote | undefined = pauseNote): DeploymentPlan => {
    const status = planStatus({ deployment, all: owned, newOne: found, judge, note, nowMs });
    return {
      create: undefined,
      annotate: undefined,
      resizes: [],
      remove: [],
      revision: undefined,
      requeueAfterMs: judge ? stuckInMs(deployment, status, nowMs) : undefined,
      ...steps,
      status,
    };
  };

  if (deployment.metadata.deletionTimestamp !== undefined) return finish({}, false);

  const annotations = found === undefined ? undefined : newReplicaSetAnnotations(deployment, found, revision);
  const revisionChange =
    annotations !== undefined && annotations[REVISION] !== deployment.metadata.annotations?.[REVISION] ? annotations[REVISION] : undefined;

  if (paused || isScalingEvent(deployment, owned)) {
    const remove = paused ? planCleanup(deployment, old) : [];
    return finish({ resizes: planScale(deployment, found, old), remove, revision: revisionChange }, false);
  }

  // Old Pods go first, all of them: Recreate is for programs that cannot run beside another version of themselves.
  if (!isRolling(deployment)) {
    const resizes = old.filter((replicaSet) => specReplicas(replicaSet) > 0).map((replicaSet) => ({ replicaSet, replicas: 0 }));
    if (resizes.length > 0) return finish({ resizes, revision: revisionChange }, true);
    if (oldPodsRun(old, podsOf)) return finish({ revision: revisionChange }, true);
  }

  if (found === undefined) {
    const create = newReplicaSet(deployment, owned, revision);
    return finish({ create, revision: String(revision) }, true);
  }
  if (annotations !== undefined && needsAnnotation(deployment, found, annotations)) {
    return finish({ annotate: { replicaSet: found, annotations }, revision: revisionChange }, true);
  }
  const note: ProgressNote | undefined =
    pauseNote ??
    (deployment.status?.conditions?.some(({ type }) => type === 'Progressing')
      ? undefined
      : { status: 'True', reason: 'FoundNewReplicaSet', message: `Found new replica set "${found.metadata.name}"` });
  const resizes = isRolling(deployment)
    ? planRollingStep(deployment, found, old)
    : specReplicas(found) === wantedReplicas(deployment)
      ? []
      : [{ replicaSet: found, replicas: wantedReplicas(deployment) }];
  const plan = finish({ resizes, revision: revisionChange }, true, note);
  return resizes.length === 0 && isComplete(deployment, plan.status) ? { ...plan, remove: planCleanup(deployment, old) } : plan;
}

/** The ReplicaSet for the Deployment's current template. */
export function newReplicaSet(deployment: Deployment, owned: readonly ReplicaSet[], revision: bigint): Draft<ReplicaSet> {
  const { metadata, spec, status } = deployment;
  const hash = templateHash(spec.template, status?.collisionCount ?? 0);
  const labels = { ...spec.template.metadata?.labels, [HASH_LABEL]: hash };
  return {
    metadata: {
      name: `${metadata.name}-${hash}`,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      labels,
      annotations: { ...newReplicaSetAnnotations(deployment, undefined, revision), ...sizeAnnotations(deployment) },
      ownerReferences: [controllerReference(deployment, deployments)],
    },
    spec: {
      replicas: newReplicaSetSize(deployment, 0, owned),
      ...(spec.minReadySeconds !== undefined && { minReadySeconds: spec.minReadySeconds }),
      selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [HASH_LABEL]: hash } },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
    },
  };
}

function needsAnnotation(deployment: Deployment, found: ReplicaSet, annotations: Readonly<Record<string, string>>): boolean {
  return (
    !deepEqual(found.metadata.annotations ?? {}, annotations) ||
    (found.spec.minReadySeconds ?? 0) !== (deployment.spec.minReadySeconds ?? 0)
  );
}

/** Time spent paused does not count against the deadline, so pausing and resuming are said in the condition. */
function planPauseNote({ spec, status }: Deployment, paused: boolean): ProgressNote | undefined {
  const reason = status?.conditions?.find(({ type }) => type === 'Progressing')?.reason;
  if (reason === 'ProgressDeadlineExceeded') return undefined;
  if (spec.progressDeadlineSeconds === undefined) return undefined;
  if (paused && reason !== 'DeploymentPaused') return { status: 'Unknown', reason: 'DeploymentPaused', message: 'Deployment is paused' };
  if (!paused && reason === 'DeploymentPaused') return { status: 'Unknown', reason: 'DeploymentResumed', message: 'Deployment is resumed' };
  return undefined;
}

function oldPodsRun(old: readonly ReplicaSet[], podsOf: (replicaSet: ReplicaSet) => readonly Pod[]): boolean {
  if (sumOf(old, ({ status }) => status?.replicas) > 0) return true;
  // Told to shrink, but who makes its Pods may not have heard: more could still come.
  if (old.some(({ metadata, status }) => (metadata.generation ?? 0) > (status?.observedGeneration ?? 0))) return true;
  return old.some((replicaSet) => podsOf(replicaSet).some((pod) => !isPodFinished(pod)));
}

function planCleanup({ spec }: Deployment, old: readonly ReplicaSet[]): readonly ReplicaSet[] {
  const limit = spec.revisionHistoryLimit;
  if (limit === undefined || limit >= 2 ** 31 - 1) return [];
  const standing = old.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const surplus = standing.length - limit;
  if (surplus <= 0) return [];
  return standing
    .toSorted((a, b) => byRevision(a, b) || byCreation(a, b))
    .slice(0, surplus)
    .filter(
      ({ metadata, spec: { replicas = 1 }, status }) =>
        replicas === 0 && (status?.replicas ?? 0) === 0 && (metadata.generation ?? 0) <= (status?.observedGeneration ?? 0),
    );
}
