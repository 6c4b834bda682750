import {
  compileLabelSelector,
  type Deployment,
  type Draft,
  deployments,
  isAlreadyExists,
  isNotFound,
  type KubeObject,
  type Pod,
  pods,
  type ReplicaSet,
  replicaSets,
} from '@dure/api';
import { keyOf, referenceTo } from '@dure/client';
import { messageOf, rfc3339Seconds } from '@dure/foundation';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { deepEqual } from '../deep-equal.ts';
import { applyClaim, controllerOf, isControlledBy, ORPHANS, orphanNamespace, planClaim } from '../ownership.ts';
import { isNamespaceTerminating } from '../pod-control.ts';
import { type DeploymentPlan, planDeployment } from './deployment-plan.ts';
import { progressDeadlineMs } from './deployment-status.ts';
import { REVISION, sameTemplate, sizeAnnotations, specReplicas } from './replica-sets.ts';
import type { Resize } from './rollout-plan.ts';

/** ReplicaSets that nobody manages, by namespace. */

/** Rolls each Deployment's template out through ReplicaSets. */
export const deploymentController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const deploymentCache = informers.informer<Deployment>(deployments);
  const replicaSetCache = informers.informer<ReplicaSet>(replicaSets);
  const podCache = informers.informer<Pod>(pods);
  const events = context.events('deployment-controller');
  const queue = new WorkQueue({ clock });

  replicaSetCache.addIndex(ORPHANS, orphanNamespace);
  deploymentCache.addHandler({
    add: (object) => queue.add(keyOf(object)),
    update: (object) => queue.add(keyOf(object)),
    delete: (object) => queue.add(keyOf(object)),
  });
  replicaSetCache.addHandler({
    add: enqueueFor,
    update: (object, old) => {
      if (controllerOf(object)?.uid !== controllerOf(old)?.uid) enqueueFor(old);
      enqueueFor(object);
    },
    delete: enqueueFor,
  });
  // Recreate waits for the last old Pod to go.
  podCache.addHandler({
    delete: (pod) => {
      const owner = controllerOf(pod);
      if (owner?.kind !== 'ReplicaSet') return;
      const replicaSet = replicaSetCache.get(`${pod.metadata.namespace}/${owner.name}`);
      if (replicaSet !== undefined) enqueueFor(replicaSet);
    },
  });

  function enqueueFor(replicaSet: ReplicaSet): void {
    const owner = controllerOf(replicaSet);
    const { namespace, labels } = replicaSet.metadata;
    if (owner !== undefined) {
      if (owner.kind === 'Deployment') queue.add(`${namespace}/${owner.name}`);
      return;
    }
    for (const deployment of deploymentCache.list(namespace)) {
      if (compileLabelSelector(deployment.spec.selector).matches(labels)) queue.add(keyOf(deployment));
    }
  }

  const reconciler: Reconciler = async (key, signal) => {
    const deployment = deploymentCache.get(key);
    if (deployment === undefined) return {};
    const selector = compileLabelSelector(deployment.spec.selector);
    if (selector.requirements.length === 0) {
      record(deployment, 'Warning', 'SelectingAll', 'This deployment is selecting all pods. A non-empty selector is required.');
      return {};
    }
    const candidates = [
      ...replicaSetCache.ownedBy(deployment.metadata.uid),
      ...replicaSetCache.byIndex(ORPHANS, deployment.metadata.namespace ?? ''),
    ];
    const claim = planClaim(deployment, (object) => selector.matches(object.metadata.labels), candidates);
    const owned = await applyClaim({ client, owner: deployment, ownerRef: deployments, ref: replicaSets }, claim, signal);
    const plan = planDeployment(deployment, owned, (replicaSet) => podCache.ownedBy(replicaSet.metadata.uid), clock.now());
    await apply(deployment, plan, signal);
    return plan.requeueAfterMs === undefined ? {} : { requeueAfterMs: plan.requeueAfterMs };
  };

  async function apply(deployment: Deployment, plan: DeploymentPlan, signal: AbortSignal): Promise<void> {
    let current = deployment;
    if (plan.create !== undefined) {
      const outcome = await create(deployment, plan.create, signal);
      if (outcome.kind === 'collision') return;
      plan = { ...plan, status: withProgress(deployment, plan.status, outcome.note) };
      if (outcome.kind === 'failed') {
        await writeStatus(current, plan, signal);
        throw outcome.error;
      }
    }
    if (plan.annotate !== undefined) {
      const { replicaSet, annotations } = plan.annotate;
      const { minReadySeconds = 0 } = deployment.spec;
      await client.update<ReplicaSet>(
        replicaSets,
        { ...replicaSet, metadata: { ...replicaSet.metadata, annotations }, spec: { ...replicaSet.spec, minReadySeconds } },
        {},
        signal,
      );
    }
    for (const resize of plan.resizes) await scale(deployment, resize, signal);
    for (const { metadata } of plan.remove) {
      await client.delete(replicaSets, metadata, { preconditions: { uid: metadata.uid } }, signal).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    }
    if (plan.revision !== undefined && plan.revision !== deployment.metadata.annotations?.[REVISION]) {
      const annotations = { ...deployment.metadata.annotations, [REVISION]: plan.revision };
      current = await client.update<Deployment>(
        deployments,
        { ...deployment, metadata: { ...deployment.metadata, annotations } },
        {},
        signal,
      );
    }
    await writeStatus(current, plan, signal);
  }

  async function writeStatus(deployment: Deployment, { status }: DeploymentPlan, signal: AbortSignal): Promise<void> {
    if (deepEqual(withZeros(deployment.status), withZeros(status))) return;
    await client.updateStatus<Deployment>(deployments, { ...deployment, status }, {}, signal);
  }

  type Outcome =
    | { readonly kind: 'created'; readonly note: Note }
    | { readonly kind: 'failed'; readonly note: Note; readonly error: unknown }
    | { readonly kind: 'collision' };

  async function create(deployment: Deployment, draft: Draft<ReplicaSet>, signal: AbortSignal): Promise<Outcome> {
    const name = draft.metadata.name ?? '';
    const created: Outcome = {
      kind: 'created',
      note: { status: 'True', reason: 'NewReplicaSetCreated', message: `Created new replica set "${name}"` },
    };
    try {
      const made = await client.create<ReplicaSet>(replicaSets, draft, {}, signal);
      if (specReplicas(made) > 0) {
        record(deployment, 'Normal', 'ScalingReplicaSet', `Scaled up replica set ${name} from 0 to ${specReplicas(made)}`);
      }
      return created;
    } catch (error) {
      if (isAlreadyExists(error)) {
        const { namespace } = deployment.metadata;
        const taken = await client.get<ReplicaSet>(replicaSets, { name, ...(namespace !== undefined && { namespace }) }, signal);
        // Our own, made by an earlier pass that the cache does not show yet.
        if (isControlledBy(taken, deployment) && sameTemplate(taken.spec.template, deployment.spec.template)) return created;
        const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
        await client.updateStatus<Deployment>(deployments, { ...deployment, status: { ...deployment.status, collisionCount } }, {}, signal);
        return { kind: 'collision' };
      }
      if (isNamespaceTerminating(error)) throw error;
      const message = `Failed to create new replica set "${name}": ${messageOf(error)}`;
      record(deployment, 'Warning', 'ReplicaSetCreateError', message);
      return { kind: 'failed', error, note: { status: 'False', reason: 'ReplicaSetCreateError', message } };
    }
  }

  async function scale(deployment: Deployment, { replicaSet, replicas }: Resize, signal: AbortSignal): Promise<void> {
    const before = specReplicas(replicaSet);
    const annotations = { ...replicaSet.metadata.annotations, ...sizeAnnotations(deployment) };
    await client.update<ReplicaSet>(
      replicaSets,
      { ...replicaSet, metadata: { ...replicaSet.metadata, annotations }, spec: { ...replicaSet.spec, replicas } },
      {},
      signal,
    );
    if (replicas === before) return;
    const direction = replicas > before ? 'up' : 'down';
    record(
      deployment,
      'Normal',
      'ScalingReplicaSet',
      `Scaled ${direction} replica set ${replicaSet.metadata.name} from ${before} to ${replicas}`,
    );
  }

  interface Note {
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }

  function withProgress(deployment: Deployment, status: Deployment['status'], note: Note): Deployment['status'] {
    if (progressDeadlineMs(deployment) === undefined) return status;
    const now = rfc3339Seconds(clock.now());
    const others = (status.conditions ?? []).filter(({ type }) => type !== 'Progressing');
    const current = status.conditions?.find(({ type }) => type === 'Progressing');
    const lastTransitionTime = current?.status === note.status ? (current.lastTransitionTime ?? now) : now;
    return { ...status, conditions: [...others, { type: 'Progressing', ...note, lastUpdateTime: now, lastTransitionTime }] };
  }

  function record(about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    events.record(referenceTo(about, deployments), type, reason, message);
  }

  return reconcilingController({
    name: 'deployment',
    context,
    queue,
    reconciler,
    caches: [deploymentCache, replicaSetCache, podCache],
    workers: 5,
  });
};

/** Absent numbers count as 0, as the server leaves them out. */
function withZeros(status: Deployment['status'] | undefined): unknown {
  const zeros = { replicas: 0, updatedReplicas: 0, readyReplicas: 0, availableReplicas: 0, unavailableReplicas: 0, terminatingReplicas: 0 };
  return { ...zeros, conditions: [], ...status };
}
