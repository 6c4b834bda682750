import { isNotFound, type Lease, leases, type Node, nodes, type Pod, pods } from '@dure/api';
import { referenceTo } from '@dure/client';
import { rfc3339Seconds } from '@dure/foundation';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { podCondition } from '../pod-state.ts';
import { isNodeReady, plannedTaints, silencedConditions, wantsEviction } from './node-health.ts';
import { BY_NODE, nodeOfPod } from './pods-by-node.ts';

const LEASE_NAMESPACE = 'kube-node-lease';

export interface NodeLifecycleOptions {
  /** Silence after which a node counts as gone. Default: 40 s. */
  readonly graceMs?: number;
  /** The same for a node that has just registered. Default: 60 s. */
  readonly startupGraceMs?: number;
  /** At most one node more is emptied per this long, so that a fault of the network does not move everything at once. Default: 10 s. */
  readonly evictionIntervalMs?: number;
}

interface Heard {
  readonly sign: string;
  readonly atMs: number;
}

/**
 * Watches over nodes: one whose Lease and status stand still becomes Unknown, taints follow conditions, and Pods on a node that is not
 * ready stop being ready. Silence is measured from when we saw the last change, so nobody's clock but ours matters.
 */
export function nodeLifecycleController(options: NodeLifecycleOptions = {}): ControllerFactory {
  const { graceMs = 40_000, startupGraceMs = 60_000, evictionIntervalMs = 10_000 } = options;
  return (context) => {
    const { client, informers, clock } = context;
    const nodeCache = informers.informer<Node>(nodes);
    const leaseCache = informers.informer<Lease>(leases, { namespace: LEASE_NAMESPACE });
    const podCache = informers.informer<Pod>(pods);
    const events = context.events('node-controller');
    const queue = new WorkQueue({ clock });
    const heard = new Map<string, Heard>();
    let mayEvictAtMs = 0;

    podCache.addIndex(BY_NODE, nodeOfPod);
    nodeCache.addHandler({
      add: ({ metadata }) => queue.add(metadata.name),
      update: ({ metadata }) => queue.add(metadata.name),
      delete: ({ metadata }) => {
        heard.delete(metadata.name);
        queue.add(metadata.name);
      },
    });
    // A renewal alone changes nothing: the pass that waits for silence looks at the Lease itself.
    leaseCache.addHandler({ add: ({ metadata }) => queue.add(metadata.name), delete: ({ metadata }) => queue.add(metadata.name) });

    /** How long ago the node last gave a sign of life, as far as we saw. */
    function silentMs(node: Node): number {
      const { name } = node.metadata;
      const lease = leaseCache.get(`${LEASE_NAMESPACE}/${name}`);
      const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
      const sign = `${node.metadata.uid} ${lease?.spec?.renewTime ?? ''} ${ready?.lastHeartbeatTime ?? ''} ${ready?.status ?? ''}`;
      const nowMs = clock.monotonicMs();
      const before = heard.get(name);
      if (before?.sign === sign) return nowMs - before.atMs;
      // Our own change to Unknown lands here too: it only means waiting once more before finding that everything is said.
      heard.set(name, { sign, atMs: nowMs });
      return 0;
    }

    const reconciler: Reconciler = async (name, signal) => {
      const node = nodeCache.get(name);
      if (node === undefined || node.metadata.deletionTimestamp !== undefined) return {};
      const silence = silentMs(node);
      const limitMs = node.status?.conditions?.some(({ type }) => type === 'Ready') ? graceMs : startupGraceMs;
      let current = node;
      if (silence >= limitMs) {
        const conditions = silencedConditions(node, clock.now());
        if (conditions !== undefined) {
          const wasReady = isNodeReady(node);
          current = await client.updateStatus<Node>(nodes, { ...node, status: { ...node.status, conditions } }, {}, signal);
          if (wasReady) record(current, 'NodeNotReady', `Node ${name} status is now: NodeNotReady`);
        }
      }
      const evict = wantsEviction(current) && takeEviction();
      const taints = plannedTaints(current, evict, clock.now());
      if (taints !== undefined) current = await client.update<Node>(nodes, { ...current, spec: { ...current.spec, taints } }, {}, signal);
      if (!isNodeReady(current)) await markPodsNotReady(current, signal);

      const waits = [silence < limitMs ? limitMs - silence : graceMs];
      if (wantsEviction(current)) waits.push(Math.max(mayEvictAtMs - clock.monotonicMs(), 1_000));
      return { requeueAfterMs: Math.min(...waits) };
    };

    /** One node more may be emptied now. Never while no node at all is ready: then the fault is ours, or everybody's. */
    function takeEviction(): boolean {
      const nowMs = clock.monotonicMs();
      if (nowMs < mayEvictAtMs || !nodeCache.list().some((node) => isNodeReady(node) && silentMs(node) < graceMs)) return false;
      mayEvictAtMs = nowMs + evictionIntervalMs;
      return true;
    }

    async function markPodsNotReady(node: Node, signal: AbortSignal): Promise<void> {
      for (const pod of podCache.byIndex(BY_NODE, node.metadata.name)) {
        const ready = podCondition(pod, 'Ready');
        if (ready?.status !== 'True') continue;
        const condition = { type: 'Ready', status: 'False', lastTransitionTime: rfc3339Seconds(clock.now()) };
        const patch = { metadata: { uid: pod.metadata.uid }, status: { conditions: [condition] } };
        try {
          await client.patch<Pod>(pods, pod.metadata, { kind: 'strategic', patch }, { subresource: 'status' }, signal);
          events.record(referenceTo(pod, pods), 'Warning', 'NodeNotReady', 'Node is not ready');
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      }
    }

    function record(node: Node, reason: string, message: string): void {
      events.record(referenceTo(node, nodes), 'Normal', reason, message);
    }

    return reconcilingController({
      name: 'node-lifecycle',
      context,
      queue,
      reconciler,
      caches: [nodeCache, leaseCache, podCache],
      workers: 4,
    });
  };
}
