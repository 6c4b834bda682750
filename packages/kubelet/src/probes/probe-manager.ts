import type { Pod, Probe } from '@dure/api';
import { type Clock, isAbort, type Logger, type Random } from '@dure/foundation';
import type { ContainerStatus as RuntimeContainer, RuntimeService } from '@dure/runtime';
import { newestRun, type PodObservation } from '../plan/observation.ts';
import type { ContainerProbes, ProbeVerdict } from '../plan/pod-plan.ts';
import type { PodEvents } from '../pod-events.ts';
import { containersOf, type NamedContainer, podKey } from '../pod-identity.ts';
import type { ProbeResult } from './probe-result.ts';
import { runProbe } from './run-probe.ts';

type ProbeKind = 'startup' | 'liveness' | 'readiness';

export interface ProbeManagerOptions {
  readonly runtime: RuntimeService;
  readonly events: PodEvents;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called when a verdict changes: the Pod's worker looks again. */
  readonly onChange: (podUid: string) => void;
}

interface Probed {
  readonly containerId: string;
  readonly verdicts: Record<ProbeKind, ProbeVerdict>;
  readonly stop: AbortController;
  /** Ends what may restart the container; readiness goes on. */
  readonly stopRestarts: AbortController;
}

const NO_PROBES: ContainerProbes = { startup: 'none', liveness: 'none', readiness: 'none' };
const TITLES: Readonly<Record<ProbeKind, string>> = { startup: 'Startup', liveness: 'Liveness', readiness: 'Readiness' };

/** Runs the probes of running containers and remembers what they found. */
export class ProbeManager {
  readonly #options: ProbeManagerOptions;
  readonly #pods = new Map<string, Map<string, Probed>>();

  constructor(options: ProbeManagerOptions) {
    this.#options = options;
  }

  /**
   * Starts probing containers that run now and stops with those that no longer do. A run that began before this process did
   * is taken as ready, as its status says, until its probes say otherwise.
   */
  sync(pod: Pod, observed: PodObservation, podIP: string, terminating: boolean): void {
    const { uid } = pod.metadata;
    const probed = this.#pods.get(uid) ?? new Map<string, Probed>();
    this.#pods.set(uid, probed);
    for (const container of containersOf(pod)) {
      const { name } = container.spec;
      const run = newestRun(observed, name);
      const current = probed.get(name);
      if (current !== undefined && (run?.id !== current.containerId || run.state !== 'running')) {
        current.stop.abort();
        probed.delete(name);
      }
      const hasProbe = kindsOf(container).length > 0;
      if (run?.state === 'running' && hasProbe && !probed.has(name) && !terminating)
        probed.set(name, this.#begin(pod, container, run, podIP));
    }
  }

  probesOf(pod: Pod, name: string): ContainerProbes {
    const probed = this.#pods.get(pod.metadata.uid)?.get(name);
    if (probed !== undefined) return probed.verdicts;
    const container = containersOf(pod).find(({ spec }) => spec.name === name);
    if (container === undefined) return NO_PROBES;
    const { startupProbe, readinessProbe, livenessProbe } = container.spec;
    return {
      startup: startupProbe === undefined ? 'none' : 'pending',
      readiness: readinessProbe === undefined ? 'none' : 'pending',
      liveness: livenessProbe === undefined ? 'none' : 'pending',
    };
  }

  /** A terminating Pod is not restarted by its probes, but says for itself how long it still serves. */
  stopRestarts(uid: string): void {
    for (const probed of this.#pods.get(uid)?.values() ?? []) probed.stopRestarts.abort();
  }

  forget(uid: string): void {
    for (const probed of this.#pods.get(uid)?.values() ?? []) probed.stop.abort();
    this.#pods.delete(uid);
  }

  #begin(pod: Pod, container: NamedContainer, run: RuntimeContainer, podIP: string): Probed {
    const { startupProbe, livenessProbe, readinessProbe } = container.spec;
    const known = knownStatus(pod, container.spec.name, run.id);
    const probed: Probed = {
      containerId: run.id,
      verdicts: {
        startup: startupProbe === undefined ? 'none' : known?.started === true ? 'success' : 'pending',
        liveness: livenessProbe === undefined ? 'none' : 'pending',
        readiness: readinessProbe === undefined ? 'none' : known?.ready === true ? 'success' : 'pending',
      },
      stop: new AbortController(),
      stopRestarts: new AbortController(),
    };
    const { log } = this.#options;
    this.#runAll(pod, container, run, podIP, probed).catch((error: unknown) => {
      if (!isAbort(error, probed.stop.signal)) log.error('probes ended', { pod: podKey(pod), container: container.spec.name, error });
    });
    return probed;
  }

  async #runAll(pod: Pod, container: NamedContainer, run: RuntimeContainer, podIP: string, probed: Probed): Promise<void> {
    const { startupProbe, livenessProbe, readinessProbe } = container.spec;
    const loop = async (kind: ProbeKind, probe: Probe): Promise<void> => {
      const signal = kind === 'readiness' ? probed.stop.signal : AbortSignal.any([probed.stop.signal, probed.stopRestarts.signal]);
      try {
        await this.#loop(kind, probe, pod, container, run, podIP, probed, signal);
      } catch (error) {
        if (!isAbort(error, signal)) throw error;
      }
    };
    // Until the program says that it has started, the others would only count against it.
    if (startupProbe !== undefined && probed.verdicts.startup !== 'success') await loop('startup', startupProbe);
    if (startupProbe !== undefined && probed.verdicts.startup !== 'success') return;
    await Promise.all([
      ...(livenessProbe === undefined ? [] : [loop('liveness', livenessProbe)]),
      ...(readinessProbe === undefined ? [] : [loop('readiness', readinessProbe)]),
    ]);
  }

  async #loop(
    kind: ProbeKind,
    probe: Probe,
    pod: Pod,
    container: NamedContainer,
    run: RuntimeContainer,
    podIP: string,
    probed: Probed,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, random, runtime, events, onChange } = this.#options;
    const periodMs = (probe.periodSeconds ?? 10) * 1000;
    const aliveMs = clock.now() - (run.startedAtMs ?? run.createdAtMs);
    const delayMs = (probe.initialDelaySeconds ?? 0) * 1000 - aliveMs;
    // After a restart of the agent every probe of the node would otherwise fall due in the same instant.
    const jitterMs = aliveMs > periodMs ? random.next() * periodMs : 0;
    if (delayMs + jitterMs > 0) await clock.sleep(Math.max(delayMs, 0) + jitterMs, signal);

    let last: ProbeResult['outcome'] | undefined;
    let streak = 0;
    for (;;) {
      const result = await runProbe(probe, { container: container.spec, containerId: run.id, podIP }, runtime, clock, signal);
      signal.throwIfAborted();
      if (result.outcome === 'error') {
        events.record(
          pod,
          container,
          'Warning',
          'Unhealthy',
          `${TITLES[kind]} probe errored and resulted in unknown state: ${result.message}`,
        );
      } else {
        if (result.outcome === 'failure')
          events.record(pod, container, 'Warning', 'Unhealthy', `${TITLES[kind]} probe failed: ${result.message}`);
        streak = result.outcome === last ? streak + 1 : 1;
        last = result.outcome;
        const threshold = result.outcome === 'success' ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
        if (streak >= threshold && probed.verdicts[kind] !== result.outcome) {
          probed.verdicts[kind] = result.outcome;
          onChange(pod.metadata.uid);
        }
        // A container that is to be restarted, or has started, is asked no more.
        if (kind === 'startup' && probed.verdicts.startup !== 'pending') return;
        if (kind === 'liveness' && probed.verdicts.liveness === 'failure') return;
      }
      await clock.sleep(periodMs, signal);
    }
  }
}

function kindsOf({ spec }: NamedContainer): readonly Probe[] {
  return [spec.startupProbe, spec.livenessProbe, spec.readinessProbe].filter((probe): probe is Probe => probe !== undefined);
}

function knownStatus(pod: Pod, name: string, containerId: string): { readonly ready: boolean; readonly started?: boolean } | undefined {
  const all = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  return all.find((status) => status.name === name && status.containerID === `dure://${containerId}`);
}
