import { isForbidden, isMethodNotAllowed, isNotFound, type KubeObject, type Namespace, namespaces, type Pod, pods } from '@dure/api';
import { type DiscoveredResource, discoverResources } from '@dure/client';
import { messageOf } from '@dure/foundation';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { deepEqual } from '../deep-equal.ts';
import { isPodFinished } from '../pod-state.ts';
import { type DeletionFindings, deletionConditions } from './namespace-conditions.ts';

/** What a namespace waits for before it is looked at again, where nothing says how long. */
const RECHECK_MS = 1_000;
const RECHECK_MAX_MS = 15_000;
/** Our own entry in `spec.finalizers`. */
const FINALIZER = 'kubernetes';

/**
 * Empties namespaces that are to be deleted, custom kinds included, and lets them go when nothing is left. What cannot be deleted or
 * still waits for a finalizer is told in the namespace's conditions.
 */
export const namespaceController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const cache = informers.informer<Namespace>(namespaces);
  const queue = new WorkQueue({ clock });
  const enqueue = (namespace: Namespace): void => {
    if (namespace.metadata.deletionTimestamp !== undefined) queue.add(namespace.metadata.name);
  };
  cache.addHandler({ add: enqueue, update: enqueue });
  // Usually the last thing a namespace waits for.
  informers.informer<Pod>(pods).addHandler({
    delete: ({ metadata }) => {
      const namespace = cache.get(metadata.namespace ?? '');
      if (namespace !== undefined) enqueue(namespace);
    },
  });

  const reconciler: Reconciler = async (name, signal) => {
    const namespace = cache.get(name);
    if (namespace?.metadata.deletionTimestamp === undefined || !namespace.spec?.finalizers?.includes(FINALIZER)) return {};
    const { resources, failures } = await discoverResources(client, signal);
    const deletable = resources.filter(({ namespaced, verbs }) => namespaced && verbs.has('list') && verbs.has('delete'));
    const results = await emptyInOrder(deletable, name, signal);
    const findings: DeletionFindings = {
      discovery: failures.map(
        ({ groupVersion, error }) => `unable to retrieve the complete list of server APIs: ${groupVersion}: ${messageOf(error)}`,
      ),
      content: results.flatMap(({ failure }) => (failure === undefined ? [] : [failure])),
      remaining: new Map(results.filter(({ left }) => left > 0).map(({ resource, left }) => [resource, left])),
      finalizers: sum(results.map(({ finalizers }) => finalizers)),
    };
    const conditions = deletionConditions(namespace, findings, clock.now());
    const current = deepEqual(namespace.status?.conditions ?? [], conditions)
      ? namespace
      : await client.updateStatus<Namespace>(namespaces, { ...namespace, status: { ...namespace.status, conditions } }, {}, signal);

    const waitMs = Math.max(0, ...results.map((result) => result.waitMs));
    if (findings.content.length + findings.discovery.length > 0)
      throw new Error(`could not empty namespace ${name}: ${findings.content.concat(findings.discovery).join('; ')}`);
    if (findings.remaining.size > 0) return { requeueAfterMs: Math.min(Math.max(waitMs, RECHECK_MS), RECHECK_MAX_MS) };
    await finalize(current, signal);
    return {};
  };

  /** Pods first, the rest once they are gone: what a Pod uses until its last moment must not be taken from under it. */
  async function emptyInOrder(deletable: readonly DiscoveredResource[], name: string, signal: AbortSignal): Promise<readonly Emptied[]> {
    const first = await Promise.all(deletable.filter(isPods).map((resource) => empty(resource, name, signal)));
    if (first.some(({ left, failure }) => left > 0 || failure !== undefined)) return first;
    const rest = await Promise.all(deletable.filter((resource) => !isPods(resource)).map((resource) => empty(resource, name, signal)));
    return [...first, ...rest];
  }

  async function finalize(namespace: Namespace, signal: AbortSignal): Promise<void> {
    const finalizers = (namespace.spec.finalizers ?? []).filter((finalizer) => finalizer !== FINALIZER);
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace.metadata.name)}/finalize`;
    const body = { ...namespace, apiVersion: 'v1', kind: 'Namespace', spec: { ...namespace.spec, finalizers } };
    await client.request('PUT', path, body, signal).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }

  interface Emptied {
    readonly resource: string;
    readonly left: number;
    readonly finalizers: ReadonlyMap<string, number>;
    /** How long what is left was given to end. */
    readonly waitMs: number;
    readonly failure: string | undefined;
  }

  async function empty(resource: DiscoveredResource, namespace: string, signal: AbortSignal): Promise<Emptied> {
    const name = `${resource.resource}.${resource.group}`;
    const nothing: Emptied = { resource: name, left: 0, finalizers: new Map(), waitMs: 0, failure: undefined };
    try {
      const before = await client.list(resource, { namespace }, signal);
      if (before.items.length === 0) return nothing;
      await deleteAll(resource, namespace, before.items, signal);
      const { items } = await client.list(resource, { namespace }, signal);
      const finalizers = sum(items.map(({ metadata }) => new Map((metadata.finalizers ?? []).map((finalizer) => [finalizer, 1]))));
      return { ...nothing, left: items.length, finalizers, waitMs: Math.max(0, ...items.map((item) => graceMs(resource, item))) };
    } catch (error) {
      signal.throwIfAborted();
      // The kind went while we looked: so did its objects.
      if (isNotFound(error) || isMethodNotAllowed(error)) return nothing;
      return { ...nothing, failure: `${name}: ${messageOf(error)}` };
    }
  }

  async function deleteAll(
    resource: DiscoveredResource,
    namespace: string,
    items: readonly KubeObject[],
    signal: AbortSignal,
  ): Promise<void> {
    if (resource.verbs.has('deletecollection')) {
      try {
        await client.deleteCollection(resource, { namespace, propagationPolicy: 'Background' }, signal);
        return;
      } catch (error) {
        if (!isMethodNotAllowed(error) && !isForbidden(error)) throw error;
      }
    }
    for (const { metadata } of items) {
      if (metadata.deletionTimestamp !== undefined) continue;
      await client
        .delete(resource, { namespace, name: metadata.name }, { propagationPolicy: 'Background' }, signal)
        .catch((error: unknown) => {
          if (!isNotFound(error)) throw error;
        });
    }
  }

  return reconcilingController({ name: 'namespace', context, queue, reconciler, caches: [cache], workers: 5 });
};

/** Pods are the ones that take their time; everything else goes at once or waits for somebody's finalizer. */
function graceMs(resource: DiscoveredResource, item: KubeObject): number {
  if (!isPods(resource) || isPodFinished(item as Pod)) return 0;
  return (item.metadata.deletionGracePeriodSeconds ?? 0) * 500;
}

function isPods({ group, resource }: DiscoveredResource): boolean {
  return group === '' && resource === 'pods';
}

function sum(parts: readonly ReadonlyMap<string, number>[]): ReadonlyMap<string, number> {
  const total = new Map<string, number>();
  for (const part of parts) for (const [name, count] of part) total.set(name, (total.get(name) ?? 0) + count);
  return total;
}
