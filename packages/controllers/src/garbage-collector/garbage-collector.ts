import { isMethodNotAllowed, isNotFound, type KubeObject, type OwnerReference } from '@dure/api';
import type { DiscoveredResource, ObjectKey } from '@dure/client';
import { type Reconciler, runReconciler, WorkQueue } from '@dure/reconcile';
import type { ControllerFactory } from '../controller.ts';
import { type MonitorHandler, ResourceMonitors } from '../resource-monitors.ts';
import { affectedBy, blockingDependents, type OwnerState, planCollection } from './collection-plan.ts';
import { FOREGROUND, type GraphNode, graphNode, ORPHAN, OwnershipGraph, refersTo } from './ownership-graph.ts';

/** Owners found absent are remembered this many at a time: the same dead owner has many dependents. */
const ABSENT_MAX = 500;
/** Until an owner of a kind that is not served is looked for again. */
const UNKNOWN_KIND_MS = 30_000;

/**
 * Deletes objects whose owners are all gone, and lets owners go that wait for their dependents or leave them behind. Before anything is
 * deleted the absence of its owners is asked of the server itself: a cache that lags must never cost an object.
 */
export const garbageCollector: ControllerFactory = (context) => {
  const { client, clock, log } = context;
  const graph = new OwnershipGraph();
  const queue = new WorkQueue({ clock });
  const absent = new Set<string>();

  const monitorHandler: MonitorHandler = (resource) => {
    const see = (object: KubeObject): void => {
      const before = graph.get(object.metadata.uid);
      const after = graphNode(object, resource);
      graph.set(after);
      for (const uid of affectedBy(before, after, (owner) => graph.get(owner))) queue.add(uid);
      if (after.waitsForDependents && before?.waitsForDependents !== true) enqueueDependents(after.uid);
    };
    return {
      add: see,
      update: (object, old) => {
        if (old.metadata.uid !== object.metadata.uid) lose(old.metadata.uid);
        see(object);
      },
      delete: ({ metadata }) => lose(metadata.uid),
    };
  };

  /** Their kind is no longer served. Nothing is concluded from that: dependents wait until somebody can say. */
  const kindGone = (objects: readonly KubeObject[]): void => {
    for (const { metadata } of objects) {
      graph.delete(metadata.uid);
      enqueueDependents(metadata.uid);
    }
  };
  const monitors = new ResourceMonitors(context, { handler: monitorHandler, gone: kindGone });

  function lose(uid: string): void {
    const node = graph.get(uid);
    graph.delete(uid);
    remember(uid);
    enqueueDependents(uid);
    // Owners that waited for this one may be free to go.
    for (const owner of node?.owners ?? []) if (graph.get(owner.uid)?.waitsForDependents) queue.add(owner.uid);
  }

  function enqueueDependents(uid: string): void {
    for (const dependent of graph.dependentsOf(uid)) queue.add(dependent.uid);
  }

  function remember(uid: string): void {
    absent.add(uid);
    const [oldest] = absent;
    if (absent.size > ABSENT_MAX && oldest !== undefined) absent.delete(oldest);
  }

  const reconciler: Reconciler = async (uid, signal) => {
    const node = graph.get(uid);
    if (node === undefined) return {};
    if (node.leavesDependents) {
      await leaveDependents(node, signal);
      return {};
    }
    if (node.waitsForDependents) {
      await releaseOrWait(node, signal);
      return {};
    }
    // Going already, in the background: what it owns is looked at when it is gone.
    if (node.isGoing || node.owners.length === 0) return {};

    const latest = await live(node.resource, node, signal);
    if (latest === undefined || latest.metadata.uid !== uid) {
      // The cache will say so too; until then nobody needs to ask again.
      return {};
    }
    const states = new Map<string, OwnerState>();
    for (const reference of latest.metadata.ownerReferences ?? []) {
      const state = await ownerState(reference, latest.metadata.namespace, signal);
      if (state === 'unknown-kind') return { requeueAfterMs: UNKNOWN_KIND_MS };
      states.set(reference.uid, state);
    }
    const plan = planCollection(latest, states, graph.dependentsOf(uid));
    switch (plan.kind) {
      case 'nothing':
        return {};
      case 'drop-references':
        await dropReferences(node.resource, latest, new Set(plan.uids), signal);
        return {};
      case 'delete': {
        for (const dependent of plan.unblock) await unblock(dependent, uid, signal);
        log.debug('deleting object without owners', { kind: node.kind, object: pathOf(node), policy: plan.policy });
        const { resourceVersion } = latest.metadata;
        // With the version that was judged: an owner added meanwhile must stop us.
        await ignoringAbsence(
          client.delete(node.resource, keyOf(node), { propagationPolicy: plan.policy, preconditions: { uid, resourceVersion } }, signal),
        );
        return {};
      }
      default:
        return plan satisfies never;
    }
  };

  async function ownerState(
    reference: OwnerReference,
    namespace: string | undefined,
    signal: AbortSignal,
  ): Promise<OwnerState | 'unknown-kind'> {
    if (absent.has(reference.uid)) return 'absent';
    const known = graph.get(reference.uid);
    // What the graph shows as there is there, or its going will be told; only absence needs proof.
    if (known !== undefined && refersTo(reference, namespace, known)) return known.waitsForDependents ? 'waits-for-dependents' : 'present';
    const resource = monitors.find(reference.apiVersion, reference.kind);
    if (resource === undefined) return 'unknown-kind';
    const owner = await live(resource, { name: reference.name, namespace: resource.namespaced ? namespace : undefined }, signal);
    if (owner === undefined || owner.metadata.uid !== reference.uid) {
      // Absent under this name; whether the uid stands elsewhere, in another namespace, is not for all dependents to remember.
      if (known === undefined) remember(reference.uid);
      return 'absent';
    }
    const { deletionTimestamp, finalizers = [] } = owner.metadata;
    return deletionTimestamp !== undefined && finalizers.includes(FOREGROUND) ? 'waits-for-dependents' : 'present';
  }

  /** Foreground: dependents first, then the owner. */
  async function releaseOrWait(owner: GraphNode, signal: AbortSignal): Promise<void> {
    const blocking = blockingDependents(owner, graph.dependentsOf(owner.uid));
    if (blocking.length === 0) {
      await removeFinalizer(owner, FOREGROUND, signal);
      return;
    }
    for (const dependent of blocking) if (!dependent.waitsForDependents) queue.add(dependent.uid);
  }

  async function leaveDependents(owner: GraphNode, signal: AbortSignal): Promise<void> {
    for (const dependent of graph.dependentsOf(owner.uid)) {
      const latest = await live(dependent.resource, dependent, signal);
      if (latest !== undefined) await dropReferences(dependent.resource, latest, new Set([owner.uid]), signal);
    }
    await removeFinalizer(owner, ORPHAN, signal);
  }

  async function dropReferences(
    resource: DiscoveredResource,
    { metadata }: KubeObject,
    gone: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<void> {
    const ownerReferences = (metadata.ownerReferences ?? []).filter(({ uid }) => !gone.has(uid));
    if (ownerReferences.length === (metadata.ownerReferences ?? []).length) return;
    await patchMetadata(resource, metadata, { ownerReferences: ownerReferences.length > 0 ? ownerReferences : null }, signal);
  }

  async function unblock(dependent: GraphNode, ownerUid: string, signal: AbortSignal): Promise<void> {
    const latest = await live(dependent.resource, dependent, signal);
    if (latest === undefined) return;
    const ownerReferences = (latest.metadata.ownerReferences ?? []).map((owner) =>
      owner.uid === ownerUid ? { ...owner, blockOwnerDeletion: false } : owner,
    );
    await patchMetadata(dependent.resource, latest.metadata, { ownerReferences }, signal);
  }

  async function removeFinalizer(node: GraphNode, finalizer: string, signal: AbortSignal): Promise<void> {
    const latest = await live(node.resource, node, signal);
    if (latest === undefined || latest.metadata.uid !== node.uid || !latest.metadata.finalizers?.includes(finalizer)) return;
    await patchMetadata(
      node.resource,
      latest.metadata,
      { finalizers: latest.metadata.finalizers.filter((one) => one !== finalizer) },
      signal,
    );
  }

  async function patchMetadata(
    resource: DiscoveredResource,
    metadata: KubeObject['metadata'],
    change: object,
    signal: AbortSignal,
  ): Promise<void> {
    const { uid, resourceVersion } = metadata;
    await ignoringAbsence(
      client.patch(resource, keyOf(metadata), { kind: 'merge', patch: { metadata: { uid, resourceVersion, ...change } } }, {}, signal),
    );
  }

  async function live(
    resource: DiscoveredResource,
    at: { readonly name: string; readonly namespace?: string | undefined },
    signal: AbortSignal,
  ): Promise<KubeObject | undefined> {
    // A namespaced owner named by a cluster-scoped dependent is nowhere.
    if (resource.namespaced && !at.namespace) return undefined;
    try {
      return await client.get(resource, keyOf(at), signal);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  return {
    name: 'garbage-collector',
    async run(signal) {
      const synced = new AbortController();
      const watching = monitors.run(() => synced.abort(), signal);
      // Judging on half a graph would ask the server about every owner that is merely late.
      await new Promise<void>((resolve) => {
        synced.signal.addEventListener('abort', () => resolve(), { once: true });
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      if (!signal.aborted) await runReconciler({ name: 'garbage-collector', reconciler, queue, workers: 20, clock, log }, signal);
      await watching;
    },
  };
};

function keyOf({ name, namespace }: { readonly name: string; readonly namespace?: string | undefined }): ObjectKey {
  return namespace === undefined ? { name } : { namespace, name };
}

function pathOf({ namespace, name }: GraphNode): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Gone, changed hands, or of a kind that cannot be written: the next event brings it back if it matters. */
async function ignoringAbsence(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isNotFound(error) && !isMethodNotAllowed(error)) throw error;
  }
}
