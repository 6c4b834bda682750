import { toJsonText } from '@dure/api';
import { type Clock, retryDelayMs } from '@dure/foundation';
import type { ClusterEvent } from './plugin.ts';
import type { PodInfo } from './pod-info.ts';
import { PriorityHeap } from './priority-heap.ts';

/** A Pod that wants a place. */
export interface QueuedPod {
  info: PodInfo;
  /** Decisions made about it so far. */
  attempts: number;
  readonly addedAtMs: number;
  lastAttemptMs: number;
  /** Plugins that refused it last. */
  plugins: ReadonlySet<string>;
  state: 'active' | 'backoff' | 'refused' | 'gated' | 'deciding' | 'gone';
  wake: AbortController | undefined;
}

/** @see kube-scheduler's `podInitialBackoffSeconds` and `podMaxBackoffSeconds` */
const BACKOFF = { baseMs: 1_000, maxMs: 10_000 };
/** A refused Pod is looked at again after this, in case an event was missed. */
const REFUSED_MAX_MS = 300_000;

/**
 * Pods in the order they are to be decided: by priority, then by age. A refused Pod waits until something happens that the plugins which
 * refused it care about, and then out its backoff. Gated Pods wait for their gates alone.
 */
export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #eventsOf: ReadonlyMap<string, ReadonlySet<ClusterEvent>>;
  readonly #pods = new Map<string, QueuedPod>();
  readonly #active = new PriorityHeap<QueuedPod>(
    (a, b) => a.info.priority > b.info.priority || (a.info.priority === b.info.priority && a.addedAtMs < b.addedAtMs),
  );
  /** Those that events may wake: looked through at each event, so kept apart. */
  readonly #refused = new Set<QueuedPod>();
  #wake: () => void = () => undefined;

  /** @param eventsOf What each plugin wants to be told of. */
  constructor({ clock, eventsOf }: { readonly clock: Clock; readonly eventsOf: ReadonlyMap<string, ReadonlySet<ClusterEvent>> }) {
    this.#clock = clock;
    this.#eventsOf = eventsOf;
  }

  /** How many Pods wait in each state. */
  counts(): Readonly<Record<'active' | 'backoff' | 'refused' | 'gated', number>> {
    const counts = { active: 0, backoff: 0, refused: 0, gated: 0 };
    for (const { state } of this.#pods.values()) if (state in counts) counts[state as keyof typeof counts] += 1;
    return counts;
  }

  /** A Pod that is new or has changed. Whether it was only its status decides if a refused Pod deserves another look. */
  set(info: PodInfo): void {
    const known = this.#pods.get(info.uid);
    if (known === undefined) {
      const nowMs = this.#clock.monotonicMs();
      const queued: QueuedPod = {
        info,
        attempts: 0,
        addedAtMs: nowMs,
        lastAttemptMs: nowMs,
        plugins: new Set(),
        state: 'gated',
        wake: undefined,
      };
      this.#pods.set(info.uid, queued);
      if (!isGated(info)) this.#activate(queued);
      return;
    }
    const changed = !sameDemands(known.info, info);
    known.info = info;
    if (known.state === 'gated') {
      if (!isGated(info)) this.#activate(known);
    } else if (known.state === 'refused' && changed) {
      this.#wakeUp(known);
    }
  }

  /** A Pod being decided about has changed; one that is not known stays so. */
  refresh(info: PodInfo): void {
    const known = this.#pods.get(info.uid);
    if (known !== undefined) known.info = info;
  }

  /** The Pod has a place, or is gone. */
  delete(uid: string): void {
    const queued = this.#pods.get(uid);
    if (queued === undefined) return;
    this.#pods.delete(uid);
    this.#refused.delete(queued);
    queued.state = 'gone';
    queued.wake?.abort();
  }

  /** The next Pod to decide about. @returns `undefined` once `signal` aborted. */
  async next(signal: AbortSignal): Promise<QueuedPod | undefined> {
    while (!signal.aborted) {
      for (let top = this.#active.pop(); top !== undefined; top = this.#active.pop()) {
        // Entries of Pods that left meanwhile stay in the heap until they come up.
        if (top.state !== 'active') continue;
        top.state = 'deciding';
        top.attempts += 1;
        top.lastAttemptMs = this.#clock.monotonicMs();
        return top;
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#wake = wake;
        signal.addEventListener('abort', wake, { once: true });
      });
    }
    return undefined;
  }

  /** No node would do: wait for an event that `plugins` care about. */
  refuse(queued: QueuedPod, plugins: ReadonlySet<string>): void {
    if (queued.state !== 'deciding') return;
    queued.plugins = plugins;
    queued.state = 'refused';
    this.#refused.add(queued);
  }

  /** Something failed that may work next time. */
  retry(queued: QueuedPod): void {
    if (queued.state !== 'deciding') return;
    this.#backOff(queued);
  }

  /** Wakes the refused Pods for which `event` may have made a difference. */
  happened(event: ClusterEvent): void {
    for (const queued of this.#refused) {
      // Refused by no plugin: there was no node at all.
      const cares = queued.plugins.size === 0 || [...queued.plugins].some((plugin) => this.#eventsOf.get(plugin)?.has(event) ?? true);
      if (cares) this.#wakeUp(queued);
    }
  }

  /** Wakes Pods that were refused long ago. */
  flush(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const queued of this.#refused) if (nowMs - queued.lastAttemptMs >= REFUSED_MAX_MS) this.#wakeUp(queued);
  }

  #wakeUp(queued: QueuedPod): void {
    this.#refused.delete(queued);
    this.#backOff(queued);
  }

  #backOff(queued: QueuedPod): void {
    const readyAtMs = queued.lastAttemptMs + retryDelayMs(Math.max(queued.attempts, 1), BACKOFF);
    const waitMs = readyAtMs - this.#clock.monotonicMs();
    if (waitMs <= 0) {
      this.#activate(queued);
      return;
    }
    queued.state = 'backoff';
    queued.wake = new AbortController();
    this.#clock.sleep(waitMs, queued.wake.signal).then(
      () => {
        if (queued.state === 'backoff') this.#activate(queued);
      },
      // Gone meanwhile.
      () => undefined,
    );
  }

  #activate(queued: QueuedPod): void {
    queued.state = 'active';
    queued.wake = undefined;
    this.#active.push(queued);
    this.#wake();
  }
}

function isGated({ pod }: PodInfo): boolean {
  return (pod.spec.schedulingGates ?? []).length > 0;
}

/** Nothing changed that a plugin looks at: a status patch of our own must not wake a Pod. */
function sameDemands(a: PodInfo, b: PodInfo): boolean {
  if (a.pod.metadata.resourceVersion === b.pod.metadata.resourceVersion) return true;
  return toJsonText([a.pod.spec, a.labels]) === toJsonText([b.pod.spec, b.labels]);
}
