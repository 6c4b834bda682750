import { isNotFound, type Node, nodes, type Pod, pods } from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';
import type { ControllerFactory } from '../controller.ts';
import { isPodFinished } from '../pod-state.ts';
import { planPodGc } from './pod-gc-plan.ts';

const INTERVAL_MS = 20_000;
/** A node just gone may be one that is registering anew. */
const QUARANTINE_MS = 40_000;
/** @see kube-controller-manager's `--terminated-pod-gc-threshold` */
const TERMINATED_MAX = 12_500;

/** Removes Pods that no node will ever end. */
export const podGcController: ControllerFactory = ({ client, informers, clock, log }) => {
  const nodeCache = informers.informer<Node>(nodes);
  const podCache = informers.informer<Pod>(pods);
  /** Nodes that Pods name and that are not there, since when. */
  const missingSince = new Map<string, number>();

  async function isGone(nodeName: string, signal: AbortSignal): Promise<boolean> {
    try {
      await client.get(nodes, { name: nodeName }, signal);
      return false;
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  }

  async function pass(signal: AbortSignal): Promise<void> {
    const nowMs = clock.monotonicMs();
    const named = new Set(podCache.list().flatMap(({ spec }) => (spec.nodeName ? [spec.nodeName] : [])));
    for (const name of missingSince.keys()) if (nodeCache.get(name) !== undefined || !named.has(name)) missingSince.delete(name);
    for (const name of named) if (nodeCache.get(name) === undefined && !missingSince.has(name)) missingSince.set(name, nowMs);
    const gone = new Set<string>();
    for (const [name, sinceMs] of missingSince) {
      if (nowMs - sinceMs >= QUARANTINE_MS && (await isGone(name, signal))) gone.add(name);
    }
    const nodesByName = new Map(nodeCache.list().map((node) => [node.metadata.name, node]));
    for (const { pod, why } of planPodGc(podCache.list(), nodesByName, (name) => gone.has(name), TERMINATED_MAX)) {
      log.info('removing pod', { pod: `${pod.metadata.namespace}/${pod.metadata.name}`, why });
      try {
        await remove(pod, why, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isNotFound(error)) log.warn('could not remove pod', { pod: `${pod.metadata.namespace}/${pod.metadata.name}`, why, error });
      }
    }
  }

  /** What is not finished is marked so first: whoever counts failures must see this one. */
  async function remove(pod: Pod, why: string, signal: AbortSignal): Promise<void> {
    const { uid } = pod.metadata;
    if (!isPodFinished(pod)) {
      const condition = {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'DeletionByPodGC',
        message: why === 'orphaned' ? 'PodGC: node no longer exists' : `PodGC: ${why} pod`,
        lastTransitionTime: rfc3339Seconds(clock.now()),
      };
      const status = { phase: 'Failed', ...(why === 'orphaned' && { conditions: [condition] }) };
      await client.patch<Pod>(
        pods,
        pod.metadata,
        { kind: 'strategic', patch: { metadata: { uid }, status } },
        { subresource: 'status' },
        signal,
      );
    }
    await client.delete(pods, pod.metadata, { gracePeriodSeconds: 0, preconditions: { uid } }, signal);
  }

  return {
    name: 'pod-garbage-collector',
    async run(signal) {
      try {
        await Promise.all([nodeCache.whenSynced(signal), podCache.whenSynced(signal)]);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      while (!signal.aborted) {
        await pass(signal).catch((error: unknown) => {
          if (!signal.aborted) log.warn('pod garbage collection failed, trying again', { error });
        });
        await clock.sleep(INTERVAL_MS, signal).catch(() => undefined);
      }
    },
  };
};
