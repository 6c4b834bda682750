import { type KubeObject, type Pod, pods, type ResourceRef } from '@dure/api';
import { keyOf } from '@dure/client';
import { messageOf } from '@dure/foundation';
import { Expectations, type Reconciler, WorkQueue } from '@dure/reconcile';
import { type Controller, type ControllerContext, reconcilingController } from '../controller.ts';
import { applyClaim, controllerOf, ORPHANS, orphanNamespace, planClaim } from '../ownership.ts';
import { isNamespaceTerminating, PodControl, podFromTemplate } from '../pod-control.ts';
import { slowStart } from '../slow-start.ts';
import { nextAvailableInMs, planReplicas, type ReplicaOwner, type ReplicaStatus, replicaStatus, sameStatus } from './replica-plan.ts';

/** In case an event that would settle a key was lost; normally the event itself brings the key back. */
const UNSETTLED_MS = 30_000;

/** Pods that nobody manages, by namespace. */

export interface ReplicaKind<T extends KubeObject> {
  readonly name: string;
  readonly component: string;
  readonly ref: ResourceRef<T>;
  ownerOf(object: T): ReplicaOwner;
  withStatus(object: T, status: ReplicaStatus): T;
  /** Pods of owners with the same group count as neighbours on a node: all ReplicaSets of one Deployment. */
  relatives(object: T, all: (namespace: string) => readonly T[]): readonly T[];
}

/** Keeps as many Pods alive as `spec.replicas` says: the core of ReplicaSets and ReplicationControllers. */
export function replicaController<T extends KubeObject>(kind: ReplicaKind<T>, context: ControllerContext): Controller {
  const { client, informers, clock } = context;
  const owners = informers.informer<T>(kind.ref);
  const podCache = informers.informer<Pod>(pods);
  podCache.addIndex(ORPHANS, orphanNamespace);
  const expectations = new Expectations(clock);
  const queue = new WorkQueue({ clock });
  const podControl = new PodControl({ client, events: context.events(kind.component), expectations, ownerRef: kind.ref });

  owners.addHandler({
    add: (object) => queue.add(keyOf(object)),
    update: (object, old) => {
      if (object.metadata.uid !== old.metadata.uid) expectations.forget(keyOf(old));
      queue.add(keyOf(object));
    },
    delete: (object) => {
      expectations.forget(keyOf(object));
      queue.add(keyOf(object));
    },
  });
  podCache.addHandler({
    add: (pod) => {
      const key = ownerKey(pod, kind.ref);
      if (key === undefined) {
        enqueueSelecting(pod);
        return;
      }
      expectations.creationDone(key);
      if (pod.metadata.deletionTimestamp !== undefined) expectations.deletionDone(key, pod.metadata.uid);
      queue.add(key);
    },
    update: (pod, old) => {
      const key = ownerKey(pod, kind.ref);
      const before = ownerKey(old, kind.ref);
      if (before !== undefined && before !== key) queue.add(before);
      if (key === undefined) {
        if (before !== undefined || pod.metadata.labels !== old.metadata.labels) enqueueSelecting(pod);
        return;
      }
      if (pod.metadata.deletionTimestamp !== undefined) expectations.deletionDone(key, pod.metadata.uid);
      queue.add(key);
    },
    delete: (pod) => {
      const key = ownerKey(pod, kind.ref);
      if (key === undefined) return;
      expectations.deletionDone(key, pod.metadata.uid);
      queue.add(key);
    },
  });

  /** A Pod that nobody manages may be adopted by whoever selects it. */
  function enqueueSelecting(pod: Pod): void {
    if (controllerOf(pod) !== undefined) return;
    for (const owner of owners.list(pod.metadata.namespace)) {
      if (kind.ownerOf(owner).selector.matches(pod.metadata.labels)) queue.add(keyOf(owner));
    }
  }

  function neighboursOf(object: T): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const relative of kind.relatives(object, (namespace) => owners.list(namespace))) {
      for (const { spec } of podCache.ownedBy(relative.metadata.uid)) {
        if (spec.nodeName) counts.set(spec.nodeName, (counts.get(spec.nodeName) ?? 0) + 1);
      }
    }
    return counts;
  }

  const reconciler: Reconciler = async (key, signal) => {
    const object = owners.get(key);
    if (object === undefined) {
      expectations.forget(key);
      return {};
    }
    // Asked before the Pods are read. Until the cache shows our own writes neither a plan nor a count made from it is true: others take
    // the status at its word, and `observedGeneration` says that everything up to there was done.
    if (!expectations.settled(key)) return { requeueAfterMs: UNSETTLED_MS };
    const owner = kind.ownerOf(object);
    const matches = (pod: Pod): boolean => owner.selector.matches(pod.metadata.labels);
    const candidates = [...podCache.ownedBy(object.metadata.uid), ...podCache.byIndex(ORPHANS, object.metadata.namespace ?? '')];
    const claim = planClaim(object, matches, candidates);
    const owned = await applyClaim({ client, owner: object, ownerRef: kind.ref, ref: pods }, claim, signal);

    const failure = await manage(key, object, owner, owned, signal);
    // What was just done shows in the cache soon, and the next pass counts it.
    if (failure === undefined && !expectations.settled(key)) return { requeueAfterMs: UNSETTLED_MS };
    const nowMs = clock.now();
    const status = replicaStatus(owner, owned, failure, nowMs);
    if (!sameStatus(owner.status, status)) await client.updateStatus<T>(kind.ref, kind.withStatus(object, status), {}, signal);
    if (failure !== undefined) throw new Error(failure.message, { cause: failure.error });
    const waitMs = nextAvailableInMs(owner, owned, nowMs);
    return waitMs === undefined ? {} : { requeueAfterMs: waitMs };
  };

  async function manage(
    key: string,
    object: T,
    owner: ReplicaOwner,
    owned: readonly Pod[],
    signal: AbortSignal,
  ): Promise<{ readonly reason: 'FailedCreate' | 'FailedDelete'; readonly message: string; readonly error: unknown } | undefined> {
    const plan = planReplicas(owner, owned, () => neighboursOf(object), clock.now());
    if (plan.create > 0) {
      expectations.expectCreations(key, plan.create);
      const draft = podFromTemplate(owner.template, object, kind.ref);
      let tried = 0;
      const { failure } = await slowStart(plan.create, async () => {
        tried += 1;
        await podControl.create(key, object, draft, signal);
      });
      expectations.creationDone(key, plan.create - tried);
      if (failure !== undefined && !isNamespaceTerminating(failure))
        return { reason: 'FailedCreate', message: messageOf(failure), error: failure };
    }
    const results = await Promise.allSettled(plan.remove.map((pod) => podControl.delete(key, object, pod, signal)));
    const failed = results.find((result) => result.status === 'rejected');
    return failed === undefined ? undefined : { reason: 'FailedDelete', message: messageOf(failed.reason), error: failed.reason };
  }

  return reconcilingController({ name: kind.name, context, queue, reconciler, caches: [owners, podCache], workers: 5 });
}

function ownerKey(pod: Pod, ref: ResourceRef): string | undefined {
  const controller = controllerOf(pod);
  if (controller === undefined || controller.kind !== ref.kind) return undefined;
  const [group] = controller.apiVersion.includes('/') ? controller.apiVersion.split('/') : [''];
  return group === ref.group ? `${pod.metadata.namespace}/${controller.name}` : undefined;
}
