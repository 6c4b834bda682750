import {
  compileLabelSelector,
  isConflict,
  isNotFound,
  type Namespace,
  type Node,
  namespaces,
  nodes,
  type Pod,
  type PodDisruptionBudget,
  podDisruptionBudgets,
  pods,
  toJsonText,
} from '@dure/api';
import { type Client, type EventRecorder, type InformerFactory, referenceTo } from '@dure/client';
import { type Clock, isAbort, type Logger, messageOf, type Random, rfc3339Seconds } from '@dure/foundation';
import { ClusterState } from './cluster-state.ts';
import { type Diagnosis, decide } from './decision.ts';
import { describeRefusal } from './diagnosis.ts';
import type { NodeInfo } from './node-info.ts';
import type { ClusterEvent, FilterPlugin, ScorePlugin } from './plugin.ts';
import { defaultFilters, defaultScores } from './plugins.ts';
import { type PodInfo, podInfo } from './pod-info.ts';
import { planPreemption } from './preemption.ts';
import { type QueuedPod, SchedulingQueue } from './scheduling-queue.ts';

export interface SchedulerOptions {
  readonly client: Client;
  readonly informers: InformerFactory;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Only Pods with this `spec.schedulerName`. Default: `default-scheduler`. */
  readonly schedulerName?: string;
  readonly filters?: readonly FilterPlugin[];
  readonly scores?: readonly ScorePlugin[];
  readonly metrics?: SchedulerMetrics;
}

/** Called synchronously: record and return. */
export interface SchedulerMetrics {
  /** One decision and how long it took, without binding. */
  decided?(outcome: 'placed' | 'refused', durationMs: number): void;
  /** From when the Pod was first seen until it was bound. */
  bound?(durationMs: number, attempts: number): void;
}

export interface Scheduler {
  /** Places Pods until `signal` aborts; settles when the last binding has ended. */
  run(signal: AbortSignal): Promise<void>;
}

/** Bindings and status patches under way at once; decisions wait beyond that. */
const IN_FLIGHT_MAX = 128;
const FLUSH_MS = 30_000;

/** Chooses a node for each Pod that has none, one Pod after the other, and binds it. */
export function createScheduler(options: SchedulerOptions): Scheduler {
  return new DefaultScheduler(options);
}

class DefaultScheduler implements Scheduler {
  readonly #options: SchedulerOptions;
  readonly #schedulerName: string;
  readonly #filters: readonly FilterPlugin[];
  readonly #scores: readonly ScorePlugin[];
  readonly #state = new ClusterState();
  readonly #queue: SchedulingQueue;
  /** Pods for which room was made, by node and uid. */
  readonly #nominated = new Map<string, Map<string, PodInfo>>();
  readonly #inFlight = new Set<Promise<void>>();
  #start = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#schedulerName = options.schedulerName ?? 'default-scheduler';
    this.#filters = options.filters ?? defaultFilters;
    this.#scores = options.scores ?? defaultScores;
    const eventsOf = new Map(this.#filters.map(({ name, events }) => [name, new Set(events)]));
    this.#queue = new SchedulingQueue({ clock: options.clock, eventsOf });
  }

  async run(signal: AbortSignal): Promise<void> {
    const { informers } = this.#options;
    const nodeCache = informers.informer<Node>(nodes);
    const podCache = informers.informer<Pod>(pods);
    const namespaceCache = informers.informer<Namespace>(namespaces);
    const budgetCache = informers.informer<PodDisruptionBudget>(podDisruptionBudgets);
    const remove = [
      namespaceCache.addHandler({
        add: (namespace) => this.#state.setNamespace(namespace),
        update: (namespace) => {
          this.#state.setNamespace(namespace);
          this.#queue.happened('NamespaceLabels');
        },
        delete: ({ metadata }) => this.#state.removeNamespace(metadata.name),
      }),
      nodeCache.addHandler({
        add: (node) => {
          this.#state.setNode(node);
          this.#queue.happened('NodeAdd');
        },
        update: (node, old) => {
          this.#state.setNode(node);
          for (const event of nodeEvents(node, old)) this.#queue.happened(event);
        },
        delete: ({ metadata }) => {
          this.#state.removeNode(metadata.name);
          this.#queue.happened('NodeDelete');
        },
      }),
      podCache.addHandler({
        add: (pod) => this.#sawPod(pod, undefined),
        update: (pod, old) => this.#sawPod(pod, old),
        delete: (pod) => this.#lostPod(pod),
      }),
    ];
    try {
      // Half a cluster would look full, or empty.
      const caches = [nodeCache, podCache, namespaceCache];
      await Promise.all(caches.map((cache) => cache.whenSynced(signal)));
      const flushing = this.#flush(signal);
      for (;;) {
        const queued = await this.#queue.next(signal);
        if (queued === undefined) break;
        this.#schedule(queued, budgetCache.list(), signal);
        if (this.#inFlight.size >= IN_FLIGHT_MAX) await Promise.race(this.#inFlight);
        // Watches and requests of the whole process share this thread; they get their turn between two Pods.
        else await new Promise<void>((resolve) => setImmediate(resolve));
      }
      await flushing;
    } catch (error) {
      if (!signal.aborted || !isAbort(error, signal)) throw error;
    } finally {
      for (const one of remove) one();
      await Promise.all(this.#inFlight);
    }
  }

  async #flush(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#options.clock.sleep(FLUSH_MS, signal).catch(() => undefined);
      this.#queue.flush();
    }
  }

  #sawPod(pod: Pod, old: Pod | undefined): void {
    const { uid } = pod.metadata;
    if (old !== undefined && old.metadata.uid !== uid) this.#lostPod(old);
    if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') {
      this.#lostPod(pod);
      return;
    }
    const { nodeName } = pod.spec;
    if (nodeName) {
      this.#queue.delete(uid);
      this.#nominate(uid, undefined);
      this.#state.setPod(podInfo(pod), nodeName);
      if (!old?.spec.nodeName) this.#queue.happened('PodPlaced');
      else if (!sameLabels(old.metadata.labels, pod.metadata.labels)) this.#queue.happened('PodLabels');
      return;
    }
    if ((pod.spec.schedulerName ?? 'default-scheduler') !== this.#schedulerName) return;
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.#queue.delete(uid);
      return;
    }
    const info = podInfo(pod);
    if (this.#state.isAssumed(uid)) {
      this.#queue.refresh(info);
      return;
    }
    if (pod.status?.nominatedNodeName) this.#nominate(uid, { info, nodeName: pod.status.nominatedNodeName });
    this.#queue.set(info);
  }

  #lostPod({ metadata, spec }: Pod): void {
    const leavesRoom = Boolean(spec.nodeName) || this.#state.isAssumed(metadata.uid) || this.#isNominated(metadata.uid);
    this.#queue.delete(metadata.uid);
    this.#nominate(metadata.uid, undefined);
    this.#state.removePod(metadata.uid);
    if (leavesRoom) this.#queue.happened('PodGone');
  }

  #schedule(queued: QueuedPod, budgets: readonly PodDisruptionBudget[], signal: AbortSignal): void {
    const { clock, random, metrics, log } = this.#options;
    const { info } = queued;
    const startedMs = clock.monotonicMs();
    try {
      const withNominated = this.#nominatedFor(info);
      const decision = decide({
        pod: info,
        cluster: this.#state,
        filters: this.#filters,
        scores: this.#scores,
        start: this.#start,
        random,
        ...(withNominated !== undefined && { withNominated }),
      });
      metrics?.decided?.(decision.kind, clock.monotonicMs() - startedMs);
      if (decision.kind === 'placed') {
        this.#start = decision.nextStart;
        this.#state.assume(info, decision.node.name);
        this.#track(this.#bind(queued, decision.node, signal));
      } else {
        const work = this.#refused(queued, decision.diagnosis, budgets, signal);
        this.#queue.refuse(queued, decision.diagnosis.plugins);
        this.#track(work);
      }
    } catch (error) {
      // A Pod that breaks a plugin must not stop the others.
      log.error('could not decide about pod', { pod: keyOf(info), error });
      this.#queue.retry(queued);
    }
  }

  async #bind(queued: QueuedPod, node: NodeInfo, signal: AbortSignal): Promise<void> {
    const { client, events, clock, metrics, log } = this.#options;
    const { pod } = queued.info;
    const { name, namespace = '', uid } = pod.metadata;
    try {
      const binding = {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, namespace, uid },
        target: { apiVersion: 'v1', kind: 'Node', name: node.name },
      };
      await client.createSubresource(pods, { namespace, name }, 'binding', binding, signal);
      metrics?.bound?.(clock.monotonicMs() - queued.addedAtMs, queued.attempts);
      events.record(referenceTo(pod, pods), 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${node.name}`);
      this.#queue.delete(uid);
    } catch (error) {
      this.#state.removePod(uid);
      this.#queue.happened('PodGone');
      if (signal.aborted) return;
      if (isNotFound(error)) {
        this.#queue.delete(uid);
        return;
      }
      if (!isConflict(error)) log.warn('could not bind pod', { pod: `${namespace}/${name}`, node: node.name, error });
      events.record(referenceTo(pod, pods), 'Warning', 'FailedScheduling', `binding rejected: ${messageOf(error)}`);
      this.#queue.retry(queued);
    }
  }

  async #refused(queued: QueuedPod, diagnosis: Diagnosis, budgets: readonly PodDisruptionBudget[], signal: AbortSignal): Promise<void> {
    const { events, log } = this.#options;
    const { info } = queued;
    const plan =
      diagnosis.nodeCount === 0
        ? undefined
        : planPreemption({
            pod: info,
            cluster: this.#state,
            filters: this.#filters,
            diagnosis,
            violatesBudget: (victim) => budgets.some((budget) => violates(budget, victim)),
          });
    const message = describeRefusal(diagnosis, plan?.kind === 'none' ? plan.message : undefined);
    events.record(referenceTo(info.pod, pods), 'Warning', 'FailedScheduling', message);
    const node = plan?.kind === 'victims' ? plan.node : undefined;
    // Before the first await: the next Pod must not take the room that is being made.
    if (node !== undefined) this.#nominate(info.uid, { info, nodeName: node.name });
    try {
      if (plan?.kind === 'victims') for (const victim of plan.victims) await this.#evict(victim, info, plan.node, signal);
      await this.#tell(info.pod, message, node?.name, signal);
    } catch (error) {
      if (signal.aborted || isNotFound(error)) return;
      log.warn('could not report unschedulable pod', { pod: keyOf(info), error });
    }
  }

  async #evict({ pod }: PodInfo, preemptor: PodInfo, node: NodeInfo, signal: AbortSignal): Promise<void> {
    const { client, events, clock } = this.#options;
    const { namespace = '', name, uid, deletionTimestamp } = pod.metadata;
    if (deletionTimestamp !== undefined) return;
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'PreemptionByScheduler',
      message: `${this.#schedulerName}: preempting to accommodate a higher priority pod`,
      lastTransitionTime: rfc3339Seconds(clock.now()),
    };
    try {
      const patch = { metadata: { uid }, status: { conditions: [condition] } };
      await client.patch(pods, { namespace, name }, { kind: 'strategic', patch }, { subresource: 'status' }, signal);
      await client.delete(pods, { namespace, name }, { preconditions: { uid } }, signal);
      events.record(referenceTo(pod, pods), 'Normal', 'Preempted', `Preempted by pod ${preemptor.uid} on node ${node.name}`);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** Says in the Pod's status why it has no place, if that is news. */
  async #tell(pod: Pod, message: string, nominatedNodeName: string | undefined, signal: AbortSignal): Promise<void> {
    const { client, clock } = this.#options;
    const { namespace = '', name, uid } = pod.metadata;
    const current = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    const isSaid = current?.status === 'False' && current.reason === 'Unschedulable' && current.message === message;
    if (isSaid && (nominatedNodeName === undefined || pod.status?.nominatedNodeName === nominatedNodeName)) return;
    const lastTransitionTime = current?.status === 'False' ? current.lastTransitionTime : undefined;
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: lastTransitionTime ?? rfc3339Seconds(clock.now()),
    };
    const status = { conditions: [condition], ...(nominatedNodeName !== undefined && { nominatedNodeName }) };
    const patch = { metadata: { uid }, status };
    await client.patch(pods, { namespace, name }, { kind: 'strategic', patch }, { subresource: 'status' }, signal);
  }

  #isNominated(uid: string): boolean {
    return [...this.#nominated.values()].some((waiting) => waiting.has(uid));
  }

  #nominate(uid: string, to: { readonly info: PodInfo; readonly nodeName: string } | undefined): void {
    for (const [nodeName, waiting] of this.#nominated) {
      if (waiting.delete(uid) && waiting.size === 0) this.#nominated.delete(nodeName);
    }
    if (to === undefined) return;
    const waiting = this.#nominated.get(to.nodeName) ?? new Map<string, PodInfo>();
    this.#nominated.set(to.nodeName, waiting.set(uid, to.info));
  }

  /** Nodes as they look to `pod` when the room made for Pods at least as important is taken. */
  #nominatedFor(pod: PodInfo): ((node: NodeInfo) => NodeInfo) | undefined {
    if (this.#nominated.size === 0) return undefined;
    return (node) => {
      const waiting = this.#nominated.get(node.name);
      const above = [...(waiting?.values() ?? [])].filter((one) => one.uid !== pod.uid && one.priority >= pod.priority);
      if (above.length === 0) return node;
      const crowded = node.clone();
      for (const one of above) crowded.add(one);
      return crowded;
    };
  }

  #track(work: Promise<void>): void {
    this.#inFlight.add(work);
    void work.finally(() => this.#inFlight.delete(work));
  }
}

function nodeEvents(node: Node, old: Node): readonly ClusterEvent[] {
  const differs = (of: (one: Node) => unknown): boolean => toJsonText(of(node)) !== toJsonText(of(old));
  const events: ClusterEvent[] = [];
  if (differs(({ status }) => status?.allocatable)) events.push('NodeAllocatable');
  if (!sameLabels(node.metadata.labels, old.metadata.labels)) events.push('NodeLabels');
  if (differs(({ spec }) => spec?.taints)) events.push('NodeTaints');
  if (node.spec?.unschedulable !== old.spec?.unschedulable) events.push('NodeUnschedulable');
  return events;
}

function sameLabels(a: Readonly<Record<string, string>> = {}, b: Readonly<Record<string, string>> = {}): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

function violates({ metadata, spec, status }: PodDisruptionBudget, { namespace, labels }: PodInfo): boolean {
  if (metadata.namespace !== namespace || (status?.disruptionsAllowed ?? 0) > 0) return false;
  return spec.selector !== undefined && compileLabelSelector(spec.selector).matches(labels);
}

function keyOf({ namespace, pod }: PodInfo): string {
  return `${namespace}/${pod.metadata.name}`;
}
