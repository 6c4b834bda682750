import { type Draft, isConflict, isNotFound, type Lease, leases, type Node, nodes, type Pod, type PodStatus, pods } from '@dure/api';
import { type InformerFactory, keyOf } from '@dure/client';
import type { FakeClient } from '@dure/client/testing';
import { type Clock, type Random, rfc3339Micros, rfc3339Seconds, silentLogger } from '@dure/foundation';
import { type Reconciler, runReconciler, WorkQueue } from '@dure/reconcile';

const LEASE_NAMESPACE = 'kube-node-lease';

export interface FakeNodesOptions {
  readonly client: FakeClient;
  readonly informers: InformerFactory;
  readonly clock: Clock;
  readonly random: Random;
  /** How long a container takes to become ready and to end. */
  readonly startMs?: (pod: Pod) => number;
  readonly stopMs?: number;
}

/** Nodes that pretend to run Pods: they become ready after a while, end when told to, and renew their Leases. */
export class FakeNodes {
  readonly #options: FakeNodesOptions;
  readonly #down = new Set<string>();
  readonly #names = new Set<string>();
  readonly #startedAtMs = new Map<string, number>();
  readonly #queue: WorkQueue;
  #addresses = 0;

  constructor(options: FakeNodesOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({ clock: options.clock });
    options.informers.informer<Pod>(pods).addHandler({
      add: (pod) => this.#queue.add(keyOf(pod)),
      update: (pod) => this.#queue.add(keyOf(pod)),
    });
  }

  /** A node that is ready and may take Pods. */
  add(name: string, allocatable: Record<string, string> = { cpu: '8', memory: '16Gi', pods: '110' }): void {
    const { client, clock } = this.#options;
    this.#names.add(name);
    const now = rfc3339Seconds(clock.now());
    const node: Draft<Node> = {
      metadata: { name, labels: { 'kubernetes.io/hostname': name } },
      spec: {},
      status: { allocatable, conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: now, lastTransitionTime: now }] },
    };
    client.put(nodes, node);
    this.#renew(name);
  }

  /** The machine stops: nothing renewed, nothing started, nothing ended. */
  stop(name: string): void {
    this.#down.add(name);
  }

  async start(name: string): Promise<void> {
    const { client, clock, informers } = this.#options;
    this.#down.delete(name);
    this.#renew(name);
    const now = rfc3339Seconds(clock.now());
    const conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime: now, lastTransitionTime: now }];
    await client.patch(nodes, { name }, { kind: 'strategic', patch: { status: { conditions } } }, { subresource: 'status' });
    for (const pod of informers.informer<Pod>(pods).list()) this.#queue.add(keyOf(pod));
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const renewing = (async () => {
      while (!signal.aborted) {
        for (const name of this.#names) if (!this.#down.has(name)) this.#renew(name);
        await clock.sleep(10_000, signal).catch(() => undefined);
      }
    })();
    await runReconciler(
      { name: 'fake-nodes', reconciler: this.#reconciler, queue: this.#queue, workers: 10, clock, log: silentLogger },
      signal,
    );
    await renewing;
  }

  readonly #reconciler: Reconciler = async (key) => {
    const { client, clock, startMs = () => 1_000, stopMs = 2_000 } = this.#options;
    const pod = client.peek<Pod>(pods, key);
    const nodeName = pod?.spec.nodeName;
    if (pod === undefined || !nodeName || !this.#names.has(nodeName) || this.#down.has(nodeName)) return {};
    const { uid, deletionTimestamp } = pod.metadata;
    const nowMs = clock.monotonicMs();
    try {
      if (deletionTimestamp !== undefined) {
        const since = this.#startedAtMs.get(`stop ${uid}`) ?? nowMs;
        this.#startedAtMs.set(`stop ${uid}`, since);
        if (nowMs - since < stopMs) return { requeueAfterMs: stopMs - (nowMs - since) };
        await client.delete(pods, pod.metadata, { gracePeriodSeconds: 0, preconditions: { uid } });
        return {};
      }
      if (pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')) return {};
      const since = this.#startedAtMs.get(uid) ?? nowMs;
      this.#startedAtMs.set(uid, since);
      const waitMs = startMs(pod) - (nowMs - since);
      if (waitMs > 0) return Number.isFinite(waitMs) ? { requeueAfterMs: waitMs } : {};
      this.#addresses += 1;
      const podIP = pod.status?.podIP ?? `10.42.${Math.floor(this.#addresses / 250)}.${(this.#addresses % 250) + 1}`;
      const ready = { type: 'Ready', status: 'True', lastTransitionTime: rfc3339Seconds(clock.now()) };
      const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== 'Ready');
      const status: PodStatus = { ...pod.status, phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions: [...others, ready] };
      await client.updateStatus<Pod>(pods, { ...pod, status });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
      return { requeueAfterMs: 10 };
    }
    return {};
  };

  #renew(name: string): void {
    const { client, clock } = this.#options;
    const lease: Draft<Lease> = {
      metadata: { namespace: LEASE_NAMESPACE, name },
      spec: { holderIdentity: name, renewTime: rfc3339Micros(clock.now()) },
    };
    client.put(leases, lease);
  }
}
