import { isAlreadyExists, isConflict, isNotFound, type Lease, leases, type Node, type NodeStatus, nodes } from '@dure/api';
import type { Client, EventRecorder } from '@dure/client';
import { type Clock, isAbort, type Logger, retryDelayMs, rfc3339Micros } from '@dure/foundation';
import type { ImageStatus } from '@dure/images';
import { Wake } from '../wake.ts';
import {
  type HardwareFacts,
  isSameStatus,
  type NodeCapacity,
  type NodeHealth,
  type NodeIdentity,
  nodeAnnotations,
  nodeConditions,
  nodeLabels,
  nodeStatusOf,
} from './node-description.ts';

export interface NodeReporterOptions {
  readonly client: Client;
  readonly events: EventRecorder;
  /** May change: a DHCP lease moves the address. */
  readonly identity: () => NodeIdentity;
  readonly hardware: HardwareFacts;
  readonly capacity: () => Promise<NodeCapacity>;
  readonly health: () => Promise<NodeHealth>;
  readonly images: () => Promise<readonly ImageStatus[]>;
  readonly clock: Clock;
  readonly log: Logger;
}

const LEASE_NAMESPACE = 'kube-node-lease';
const LEASE_SECONDS = 40;
const HEARTBEAT_MS = 10_000;
/** Looking for changes costs a statfs and a few small files. */
const LOOK_MS = 10_000;
/** A status that did not change is written this seldom; the Lease says meanwhile that the node lives. */
const UNCHANGED_REPORT_MS = 300_000;
const BACKOFF = { baseMs: 200, maxMs: 7_000 };

/** Makes the Node object, keeps its status true, and renews its Lease. */
export class NodeReporter {
  readonly #options: NodeReporterOptions;
  readonly #wake = new Wake();
  #node: Node | undefined;
  #reportedAtMs = Number.NEGATIVE_INFINITY;
  #lease: Lease | undefined;
  #toldLimits = false;

  constructor(options: NodeReporterOptions) {
    this.#options = options;
  }

  /** The Node as last seen or written. */
  get node(): Node | undefined {
    return this.#node;
  }

  /** What a watch showed. */
  observe(node: Node): void {
    this.#node = node;
  }

  /** Something that the status shows changed: look now. */
  changed(): void {
    this.#wake.kick();
  }

  /** Makes the Node object or brings its labels up to date. Tries until it is done. @throws the signal's reason. */
  async register(signal: AbortSignal): Promise<Node> {
    const { client, clock, log } = this.#options;
    for (let failures = 1; ; failures += 1) {
      try {
        this.#node = await this.#registerOnce(client, signal);
        return this.#node;
      } catch (error) {
        if (isAbort(error, signal)) throw error;
        log.warn('node not registered, trying again', { error });
        await clock.sleep(retryDelayMs(failures, BACKOFF), signal);
      }
    }
  }

  /** Reports and renews until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#keepStatus(signal), this.#keepLease(signal)]);
  }

  async #registerOnce(client: Client, signal: AbortSignal): Promise<Node> {
    const { hardware } = this.#options;
    const identity = this.#options.identity();
    const labels = nodeLabels(identity, hardware);
    const annotations = nodeAnnotations(hardware);
    const status = await this.#status(undefined);
    try {
      return await client.create(nodes, { metadata: { name: identity.name, labels, annotations }, spec: {}, status }, {}, signal);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    const found = await client.get(nodes, { name: identity.name }, signal);
    const missing = Object.entries(labels).some(([key, value]) => found.metadata.labels?.[key] !== value);
    if (!missing) return found;
    return client.patch(nodes, { name: identity.name }, { kind: 'strategic', patch: { metadata: { labels, annotations } } }, {}, signal);
  }

  async #keepStatus(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#report(signal);
        failures = 0;
      } catch (error) {
        if (isAbort(error, signal)) return;
        failures += 1;
        if (isNotFound(error)) await this.register(signal).catch(() => undefined);
        else log.warn('node status not written, trying again', { error });
      }
      const delayMs = failures === 0 ? LOOK_MS : retryDelayMs(failures, BACKOFF);
      await this.#wake.wait(clock, clock.now() + delayMs, signal);
    }
  }

  async #report(signal: AbortSignal): Promise<void> {
    const { client, clock } = this.#options;
    const { name } = this.#options.identity();
    const former = this.#node;
    const status = await this.#status(former?.status);
    const isDue = clock.monotonicMs() - this.#reportedAtMs >= UNCHANGED_REPORT_MS;
    if (!isDue && isSameStatus(former?.status, status)) return;
    // Addresses merge by type: without the directive an address that was given up would stay.
    const addresses = [...(status.addresses ?? []), { $patch: 'replace' }];
    this.#node = await client.patch(
      nodes,
      { name },
      { kind: 'strategic', patch: { status: { ...status, addresses } } },
      { subresource: 'status' },
      signal,
    );
    this.#reportedAtMs = clock.monotonicMs();
    this.#tellChanges(former, status);
  }

  async #status(former: NodeStatus | undefined): Promise<NodeStatus> {
    const { hardware, clock } = this.#options;
    const [capacity, health, images] = await Promise.all([this.#options.capacity(), this.#options.health(), this.#options.images()]);
    return {
      ...nodeStatusOf(this.#options.identity(), hardware, capacity, images),
      conditions: nodeConditions(health, former?.conditions, clock.now()),
    };
  }

  #tellChanges(former: Node | undefined, status: NodeStatus): void {
    const { events } = this.#options;
    const { name } = this.#options.identity();
    const about = { apiVersion: 'v1', kind: 'Node', name, uid: name };
    const ready = status.conditions?.find(({ type }) => type === 'Ready');
    const before = former?.status.conditions?.find(({ type }) => type === 'Ready')?.status;
    if (ready !== undefined && ready.status !== before) {
      const reason = ready.status === 'True' ? 'NodeReady' : 'NodeNotReady';
      events.record(about, 'Normal', reason, `Node ${name} status is now: ${reason}`);
    }
    const limits = status.conditions?.find(({ type }) => type === 'ResourceLimitsEnforced');
    if (limits?.status === 'False' && !this.#toldLimits) {
      this.#toldLimits = true;
      events.record(about, 'Warning', limits.reason ?? 'ControllersMissing', limits.message ?? '');
    }
  }

  async #keepLease(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#renew(signal);
        failures = 0;
      } catch (error) {
        if (isAbort(error, signal)) return;
        failures += 1;
        this.#lease = undefined;
        log.warn('node lease not renewed, trying again', { error });
      }
      await clock.sleep(failures === 0 ? HEARTBEAT_MS : retryDelayMs(failures, BACKOFF), signal).catch(() => undefined);
    }
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { client, clock } = this.#options;
    const { name } = this.#options.identity();
    const renewTime = rfc3339Micros(clock.now());
    const key = { namespace: LEASE_NAMESPACE, name };
    if (this.#lease !== undefined) {
      try {
        this.#lease = await client.update(leases, { ...this.#lease, spec: { ...this.#lease.spec, renewTime } }, {}, signal);
        return;
      } catch (error) {
        if (!isConflict(error) && !isNotFound(error)) throw error;
      }
    }
    const spec = { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime };
    const owner = this.#node;
    const ownerReferences = owner === undefined ? [] : [{ apiVersion: 'v1', kind: 'Node', name, uid: owner.metadata.uid }];
    try {
      this.#lease = await client.create(leases, { metadata: { ...key, ownerReferences }, spec }, {}, signal);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const found = await client.get(leases, key, signal);
      this.#lease = await client.update(leases, { ...found, spec: { ...found.spec, ...spec } }, {}, signal);
    }
  }
}
