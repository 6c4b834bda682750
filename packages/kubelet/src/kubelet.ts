import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Node, Pod } from '@dure/api';
import { isAbort } from '@dure/foundation';
import type { SandboxStatus } from '@dure/runtime';
import { admit } from './admission.ts';
import type { PodDeps } from './pod-deps.ts';
import { LABEL, podKey } from './pod-identity.ts';
import type { PodStore } from './pod-store.ts';
import { type PodVerdict, PodWorker } from './pod-worker.ts';

export interface KubeletOptions extends PodDeps {
  /** This node as the API has it, for admission; `undefined`: not known yet, all Pods are taken. */
  readonly nodeObject: () => Node | undefined;
  readonly store: PodStore;
  readonly allowedSysctls: ReadonlySet<string>;
}

interface Served {
  readonly worker: PodWorker;
  readonly done: Promise<void>;
}

/** After a break of the runtime's event stream. */
const RESUBSCRIBE_MS = 1_000;

/** All Pods of a node: hands what the API wants and what the runtime reports to one worker per Pod. */
export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #served = new Map<string, Served>();
  readonly #orphans = new Map<string, string[]>();
  #signal: AbortSignal | undefined;
  #recovered: () => void = () => undefined;
  /** Resolves when {@link run} has read what runs; before that, Pods may not be handed in. */
  readonly whenRecovered: Promise<void>;

  constructor(options: KubeletOptions) {
    this.#options = options;
    this.whenRecovered = new Promise((resolve) => {
      this.#recovered = resolve;
    });
  }

  /** Every Pod that has a worker. */
  get pods(): readonly Pod[] {
    return [...this.#served.values()].map(({ worker }) => worker.pod);
  }

  podByUid(uid: string): Pod | undefined {
    return this.#served.get(uid)?.worker.pod;
  }

  podByName(namespace: string, name: string): Pod | undefined {
    const all = this.pods.filter(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    // While a Pod is replaced by one of the same name both are here; the living one is meant.
    return all.find(({ metadata }) => metadata.deletionTimestamp === undefined) ?? all[0];
  }

  /** Sandboxes of a Pod, oldest first. */
  sandboxIdsOf(uid: string): readonly string[] {
    return [...(this.#served.get(uid)?.worker.sandboxIds ?? [])];
  }

  /**
   * Adopts what runs, goes on with the Pods kept on disk, and follows the runtime until `signal` aborts, which leaves all Pods running.
   * Resolves when every worker has ended.
   */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    const { volumes, runtime, store, log } = this.#options;
    await volumes.open();
    const following = this.#follow(signal);
    const sandboxes = await runtime.listSandboxes();
    for (const sandbox of sandboxes) {
      const uid = uidOf(sandbox);
      this.#orphans.set(uid, [...(this.#orphans.get(uid) ?? []), sandbox.id]);
    }
    for (const pod of await store.load()) this.#serve(pod);
    this.#recovered();
    log.info('node state read', { sandboxes: sandboxes.length, pods: this.#served.size });
    await following;
    await Promise.allSettled([...this.#served.values()].map(({ done }) => done));
  }

  /** The API has this Pod bound here. */
  upsert(pod: Pod): void {
    const { status, store } = this.#options;
    status.observe(pod);
    const served = this.#served.get(pod.metadata.uid);
    if (served === undefined) this.#serve(pod);
    else served.worker.update(pod);
    store.save(pod);
  }

  /** The API no longer has this Pod. */
  remove(uid: string): void {
    this.#served.get(uid)?.worker.remove();
  }

  /** The API's Pods have all been handed in: what is not among `uids` goes. */
  async synced(uids: ReadonlySet<string>): Promise<void> {
    const { runtime, volumes, dirs, log } = this.#options;
    for (const [uid, { worker }] of this.#served) if (!uids.has(uid)) worker.remove();
    for (const [uid, sandboxIds] of this.#orphans) {
      if (uids.has(uid) || this.#served.has(uid)) continue;
      log.info('removing sandboxes of a pod that is gone', { uid, sandboxIds });
      for (const id of sandboxIds) {
        await runtime.stopSandbox(id);
        for (const { id: containerId } of await runtime.listContainers({ sandboxId: id })) await runtime.removeContainer(containerId);
        await runtime.removeSandbox(id);
      }
      await volumes.tearDown(uid);
    }
    this.#orphans.clear();
    for (const parent of [dirs.memory, dirs.pods]) {
      for (const uid of await readdir(parent).catch(() => [])) {
        if (uids.has(uid) || this.#served.has(uid)) continue;
        // Unmounts first: a subPath of a hostPath volume may still be bound below, and its files are not ours to delete.
        await volumes.tearDown(uid);
        await rm(join(dirs.pods, uid), { recursive: true, force: true });
      }
    }
    const known = new Set([...uids, ...this.#served.keys()]);
    await this.#removeStrayDirectories(dirs.logs, (name) => known.has(name.split('_')[2] ?? ''));
  }

  /** A probe of the Pod has decided. */
  probeChanged(uid: string): void {
    this.#served.get(uid)?.worker.kick();
  }

  evict(uid: string, verdict: PodVerdict, graceMs: number): void {
    this.#served.get(uid)?.worker.evict(verdict, graceMs);
  }

  #serve(pod: Pod): void {
    const signal = this.#signal;
    if (signal === undefined || signal.aborted) return;
    const { uid } = pod.metadata;
    const sandboxIds = this.#orphans.get(uid) ?? [];
    this.#orphans.delete(uid);
    this.#options.status.observe(pod);
    const worker = new PodWorker(this.#options, pod, sandboxIds, sandboxIds.length === 0 ? this.#judge(pod) : undefined);
    const done = worker
      .run(signal)
      .catch((error: unknown) => {
        if (!isAbort(error, signal)) this.#options.log.error('pod worker ended', { pod: podKey(pod), error });
      })
      .finally(() => {
        this.#served.delete(uid);
        this.#options.store.forget(uid);
        this.#options.probes.forget(uid);
      });
    this.#served.set(uid, { worker, done });
  }

  /** Only for a Pod that has never run here: what runs is not thrown out because the node's labels changed. */
  #judge(pod: Pod): PodVerdict | undefined {
    const node = this.#options.nodeObject();
    const { phase, startTime } = pod.status ?? {};
    if (
      node === undefined ||
      startTime !== undefined ||
      phase === 'Succeeded' ||
      phase === 'Failed' ||
      pod.metadata.deletionTimestamp !== undefined
    )
      return undefined;
    const others = [...this.#served.values()].filter(({ worker }) => worker.active).map(({ worker }) => worker.pod);
    const rejection = admit({ pod, others, node, allowedSysctls: this.#options.allowedSysctls });
    if (rejection === undefined) return undefined;
    this.#options.events.record(pod, undefined, 'Warning', rejection.reason, rejection.message);
    return { phase: 'Failed', ...rejection };
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { runtime, clock, log } = this.#options;
    while (!signal.aborted) {
      try {
        for await (const event of runtime.events(signal)) {
          if (event.kind === 'removed') continue;
          for (const { worker } of this.#served.values()) if (worker.sandboxIds.has(event.sandboxId)) worker.kick();
        }
      } catch (error) {
        if (isAbort(error, signal)) return;
        log.warn('runtime events broke off, subscribing again', { error });
      }
      // What happened in between is found by looking.
      for (const { worker } of this.#served.values()) worker.kick();
      await clock.sleep(RESUBSCRIBE_MS, signal).catch(() => undefined);
    }
  }

  async #removeStrayDirectories(parent: string, isKnown: (name: string) => boolean): Promise<void> {
    for (const name of await readdir(parent).catch(() => [])) {
      if (!isKnown(name)) await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

function uidOf(sandbox: SandboxStatus): string {
  return sandbox.labels[LABEL.podUid] ?? sandbox.metadata.uid;
}
