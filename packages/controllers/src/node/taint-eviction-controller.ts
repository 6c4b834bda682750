import { isNotFound, type Node, nodes, type Pod, pods } from '@dure/api';
import { keyOf, referenceTo } from '@dure/client';
import { rfc3339Seconds } from '@dure/foundation';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { isPodFinished } from '../pod-state.ts';
import { BY_NODE, nodeOfPod } from './pods-by-node.ts';
import { evictionTimeMs } from './taint-eviction-plan.ts';

/** Deletes Pods that do not, or no longer, tolerate a NoExecute taint of their node. */
export const taintEvictionController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const nodeCache = informers.informer<Node>(nodes);
  const podCache = informers.informer<Pod>(pods);
  const events = context.events('taint-eviction-controller');
  const queue = new WorkQueue({ clock });

  podCache.addIndex(BY_NODE, nodeOfPod);
  const enqueuePod = (pod: Pod): void => {
    if (pod.spec.nodeName) queue.add(keyOf(pod));
  };
  podCache.addHandler({
    add: enqueuePod,
    update: (pod, old) => {
      if (pod.spec.nodeName !== old.spec.nodeName || pod.spec.tolerations?.length !== old.spec.tolerations?.length) enqueuePod(pod);
    },
  });
  const enqueueNode = (node: Node): void => {
    for (const pod of podCache.byIndex(BY_NODE, node.metadata.name)) queue.add(keyOf(pod));
  };
  nodeCache.addHandler({
    add: enqueueNode,
    update: (node, old) => {
      if (JSON.stringify(node.spec?.taints) !== JSON.stringify(old.spec?.taints)) enqueueNode(node);
    },
  });

  const reconciler: Reconciler = async (key, signal) => {
    const pod = podCache.get(key);
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || isPodFinished(pod)) return {};
    const node = nodeCache.get(pod.spec.nodeName ?? '');
    const dueMs = evictionTimeMs(pod, node?.spec?.taints ?? [], clock.now());
    if (dueMs === undefined) return {};
    if (dueMs > clock.now()) return { requeueAfterMs: dueMs - clock.now() };
    events.record(referenceTo(pod, pods), 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`);
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByTaintManager',
      message: 'Taint manager: deleting due to NoExecute taint',
      lastTransitionTime: rfc3339Seconds(clock.now()),
    };
    const { uid } = pod.metadata;
    try {
      const patch = { metadata: { uid }, status: { conditions: [condition] } };
      await client.patch<Pod>(pods, pod.metadata, { kind: 'strategic', patch }, { subresource: 'status' }, signal);
      await client.delete(pods, pod.metadata, { preconditions: { uid } }, signal);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return {};
  };
  return reconcilingController({ name: 'taint-eviction', context, queue, reconciler, caches: [nodeCache, podCache], workers: 8 });
};
