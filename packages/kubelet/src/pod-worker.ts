import { rm } from 'node:fs/promises';
import type { Pod } from '@dure/api';
import { isConflict, isNotFound, pods } from '@dure/api';
import { isAbort, messageOf, retryDelayMs } from '@dure/foundation';
import type { ContainerStatus as RuntimeContainer } from '@dure/runtime';
import { containerHash } from './config/container-config.ts';
import { hostnameOf } from './config/pod-hostname.ts';
import { sandboxConfigOf } from './config/sandbox-config.ts';
import { ContainerStartFailure, startContainer } from './container-start.ts';
import { stopContainer } from './container-stop.ts';
import { referencesOf } from './objects/pod-references.ts';
import { type CrashBackoff, raiseBackoff } from './plan/crash-backoff.ts';
import { lostRuns } from './plan/lost-runs.ts';
import { newestRun, observationOf, type PodObservation, readySandbox } from './plan/observation.ts';
import { type ContainerStart, type ContainerStop, type PodActions, planPod } from './plan/pod-plan.ts';
import type { PodDeps } from './pod-deps.ts';
import { logDirectoryOf, podDirectoryOf } from './pod-dirs.ts';
import { containersOf, findContainer, podFullName, podKey } from './pod-identity.ts';
import { writeSandboxFiles } from './sandbox-files.ts';
import { statusOf, type WaitingReason } from './status/pod-status.ts';
import { readTerminationMessage } from './status/termination-message.ts';
import { VolumeError } from './volumes/volume-error.ts';
import { Wake } from './wake.ts';

/** Why a Pod ends although its containers did not decide so. */
export interface PodVerdict {
  readonly phase: 'Failed';
  readonly reason: string;
  readonly message: string;
}

interface Operation {
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

interface Retry {
  readonly failures: number;
  readonly atMs: number;
}

/** After a failure that somebody must put right. Changes of what the Pod refers to are heard of at once. */
const RETRY = { baseMs: 1_000, maxMs: 20_000 };
const CONFIG_RETRY_MS = 10_000;
/** ErrImagePull is shown this long before it becomes ImagePullBackOff. */
const PULL_ERROR_SHOWN_MS = 1_000;
const VOLUMES = 'volumes/';
const SANDBOX = 'sandbox/';
const TERMINATION = 'termination/';

/**
 * Makes one Pod real, for as long as it is bound here: looks at what runs, plans, starts what the plan says in the background, reports,
 * and waits for something to happen. It never waits for an operation, so a deletion or a probe is obeyed while an image is pulled.
 */
export class PodWorker {
  readonly #deps: PodDeps;
  readonly #wake = new Wake();
  readonly #operations = new Map<string, Operation>();
  readonly #waiting = new Map<string, WaitingReason>();
  readonly #retries = new Map<string, Retry>();
  readonly #backoffs = new Map<string, CrashBackoff>();
  readonly #restartNow = new Set<string>();
  readonly #toldBackoff = new Map<string, number>();
  readonly #sandboxIds: Set<string>;
  readonly #messages = new Map<string, string | undefined>();
  readonly #release: (() => void)[] = [];
  readonly #hurry = new AbortController();
  /** The regular container whose start is under way. */
  #starting: string | undefined;
  #pod: Pod;
  #verdict: PodVerdict | undefined;
  #volumesReady = false;
  #mode: 'running' | 'terminating' | 'terminated' | 'cleaned' = 'running';
  /** The API no longer has the Pod: nothing to report, everything to remove. */
  #removed = false;
  #graceMs: number | undefined;

  /** @param sandboxIds Sandboxes that a former process made for this Pod. */
  constructor(deps: PodDeps, pod: Pod, sandboxIds: readonly string[], verdict?: PodVerdict) {
    this.#deps = { ...deps, log: deps.log.child({ pod: podKey(pod), uid: pod.metadata.uid }) };
    this.#pod = pod;
    this.#sandboxIds = new Set(sandboxIds);
    this.#verdict = verdict;
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** Sandboxes whose events concern this Pod. */
  get sandboxIds(): ReadonlySet<string> {
    return this.#sandboxIds;
  }

  /** True once nothing of the Pod is left on the node. */
  get cleaned(): boolean {
    return this.#mode === 'cleaned';
  }

  /** Whether the Pod still counts against what the node has. */
  get active(): boolean {
    return this.#mode === 'running' || this.#mode === 'terminating';
  }

  /** The desired Pod, newer. */
  update(pod: Pod): void {
    this.#pod = pod;
    this.#deps.volumes.refresh(pod);
    this.#hastenIfAsked();
    this.#wake.kick();
  }

  /** The Pod is gone from the API: take everything down without telling it. */
  remove(): void {
    this.#removed = true;
    this.#hastenIfAsked();
    this.#wake.kick();
  }

  /** Ends the Pod with a reason of the node's own. */
  evict(verdict: PodVerdict, graceMs: number): void {
    this.#verdict ??= verdict;
    this.#graceMs = graceMs;
    this.#wake.kick();
  }

  /** Something changed: a container ended, a probe decided. */
  kick(): void {
    this.#wake.kick();
  }

  /** What was refused or missing may be there now. */
  retry(): void {
    this.#retries.clear();
    this.#wake.kick();
  }

  /** Serves the Pod until nothing of it is left, or until `signal` aborts, which leaves it running. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    for (const { kind, name } of referencesOf(this.#pod)) {
      this.#release.push(this.#deps.objects.hold(kind, this.#pod.metadata.namespace ?? '', name, () => this.retry()));
    }
    let failures = 0;
    let wakeAtMs: number | undefined = clock.now();
    try {
      while (!signal.aborted && this.#mode !== 'cleaned') {
        await this.#wake.wait(clock, wakeAtMs, signal);
        if (signal.aborted) break;
        try {
          wakeAtMs = await this.#step(signal);
          failures = 0;
        } catch (error) {
          if (isAbort(error, signal)) break;
          failures += 1;
          log.error('pod not brought to its desired state, trying again', { error });
          wakeAtMs = clock.now() + retryDelayMs(failures, RETRY);
        }
      }
    } finally {
      for (const release of this.#release) release();
      for (const { stop } of this.#operations.values()) stop.abort(signal.reason);
      await Promise.allSettled([...this.#operations.values()].map(({ done }) => done));
    }
  }

  /** Looks, plans, acts, reports. @returns When time alone calls for the next look. */
  async #step(signal: AbortSignal): Promise<number | undefined> {
    // From before the look: what ends while looking may have been seen half done.
    const busy: ReadonlySet<string> = new Set(this.#operations.keys());
    const observed = await this.#observe();
    const podIPs = this.#podIPs(observed);
    this.#deps.probes.sync(this.#pod, observed, podIPs[0] ?? '127.0.0.1', this.#mode !== 'running');
    if (this.#mode === 'running') this.#judgeDeadline();
    if (this.#mode === 'running' && this.#mustEnd()) this.#beginTermination(signal);
    if (this.#mode === 'terminated') return this.#afterTermination(signal);
    if (this.#mode === 'terminating') {
      this.#report(observed, busy);
      return undefined;
    }

    const actions = this.#plan(observed, busy);
    if (actions.finished) {
      this.#beginTermination(signal);
      this.#report(observed, busy);
      return undefined;
    }
    this.#carryOut(actions, observed, signal);
    this.#report(observed, busy);
    return this.#nextWake(actions);
  }

  async #observe(): Promise<PodObservation> {
    const { runtime, status } = this.#deps;
    const ids = [...this.#sandboxIds];
    const [sandboxes, containers] = await Promise.all([
      Promise.all(ids.map((id) => runtime.sandboxStatus(id))),
      Promise.all(ids.map((sandboxId) => runtime.listContainers({ sandboxId }))),
    ]);
    const all = containers.flat();
    await Promise.all(
      all.map(async (run) => {
        if (run.state === 'exited' && !this.#messages.has(run.id)) this.#messages.set(run.id, await readTerminationMessage(run));
      }),
    );
    const lost = lostRuns(status.latest(this.#pod.metadata.uid) ?? this.#pod.status, all);
    for (const { id, message } of lost) this.#messages.set(id, message);
    return observationOf(
      sandboxes.filter((sandbox) => sandbox !== undefined),
      [...all, ...lost],
    );
  }

  #plan(observed: PodObservation, busy: ReadonlySet<string>): PodActions {
    return planPod(this.#pod, observed, {
      nowMs: this.#deps.clock.now(),
      busy,
      probesOf: (name) => this.#deps.probes.probesOf(this.#pod, name),
      backoffOf: (name) => this.#backoffs.get(name),
      restartNow: this.#restartNow,
      hashOf: containerHash,
    });
  }

  #carryOut(actions: PodActions, observed: PodObservation, signal: AbortSignal): void {
    if (!this.#volumesReady) this.#operate(VOLUMES, signal, (stop) => this.#makeVolumes(stop));
    if (actions.createSandbox !== undefined || actions.killSandboxes.length > 0) {
      const { createSandbox, killSandboxes } = actions;
      this.#operate(SANDBOX, signal, (stop) => this.#replaceSandbox(killSandboxes, createSandbox?.attempt, stop));
      if (createSandbox !== undefined) return;
    }
    for (const stop of actions.stop) this.#operate(stop.name, signal, () => this.#stop(stop, observed));
    for (const { name, message } of actions.backoff) this.#holdBack(name, message, observed);
    if (this.#volumesReady) for (const start of actions.start) this.#start(start, observed, signal);
    if (actions.removeContainers.length > 0 || actions.removeSandboxes.length > 0) {
      this.#operate('leftovers/', signal, () => this.#removeLeftovers(actions));
    }
  }

  /** Starts `work` in the background unless the same is under way or waits for its next try. */
  #operate(key: string, signal: AbortSignal, work: (stop: AbortSignal) => Promise<void>): void {
    if (this.#operations.has(key) || (this.#retries.get(key)?.atMs ?? 0) > this.#deps.clock.now()) return;
    const stop = new AbortController();
    const combined = AbortSignal.any([signal, stop.signal]);
    const done = work(combined)
      .then(
        () => void this.#retries.delete(key),
        (error: unknown) => {
          if (!isAbort(error, combined)) this.#failed(key, error);
        },
      )
      .finally(() => {
        this.#operations.delete(key);
        this.#wake.kick();
      });
    this.#operations.set(key, { stop, done });
  }

  #failed(key: string, error: unknown): void {
    const { clock, log } = this.#deps;
    const failures = (this.#retries.get(key)?.failures ?? 0) + 1;
    let atMs = clock.now() + retryDelayMs(failures, RETRY);
    if (error instanceof ContainerStartFailure) {
      this.#waiting.set(key, { reason: error.reason, message: error.message });
      // A start that got as far as a run is held back by the run's own back-off.
      atMs =
        error.retryAtMs ??
        (error.reason === 'RunContainerError' || error.reason === 'PostStartHookError' ? clock.now() : clock.now() + CONFIG_RETRY_MS);
      if (error.reason === 'ErrImagePull') atMs = clock.now() + PULL_ERROR_SHOWN_MS;
      log.info('container not started', { container: key, reason: error.reason, error: error.message });
    } else {
      log.warn('operation failed, trying again', { operation: key, error });
    }
    this.#retries.set(key, { failures, atMs });
  }

  async #makeVolumes(signal: AbortSignal): Promise<void> {
    const { volumes, events } = this.#deps;
    try {
      await volumes.ensure(this.#pod, signal);
      this.#volumesReady = true;
    } catch (error) {
      if (error instanceof VolumeError) {
        events.record(
          this.#pod,
          undefined,
          'Warning',
          'FailedMount',
          `MountVolume.SetUp failed for volume "${error.volume}" : ${error.message}`,
        );
      }
      throw error;
    }
  }

  async #replaceSandbox(kill: readonly string[], attempt: number | undefined, signal: AbortSignal): Promise<void> {
    const { runtime, events, node, dirs, log } = this.#deps;
    if (kill.length > 0 || (attempt ?? 0) > 0) {
      events.record(this.#pod, undefined, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
    }
    for (const id of kill) await runtime.stopSandbox(id);
    if (attempt === undefined) return;
    try {
      const { hostname } = hostnameOf(this.#pod, node.clusterDomain, node.hostname);
      const logDirectory = logDirectoryOf(dirs, this.#pod);
      const sandbox = await runtime.runSandbox(
        sandboxConfigOf(this.#pod, { attempt, hostname, logDirectory, podPidsMax: node.podPidsMax }),
        signal,
      );
      this.#sandboxIds.add(sandbox.id);
      const ips = this.#pod.spec?.hostNetwork === true ? node.ips() : sandbox.ips;
      await writeSandboxFiles(this.#pod, ips, node, dirs);
      log.info('sandbox created', { sandboxId: sandbox.id, ips });
    } catch (error) {
      if (!isAbort(error, signal)) {
        events.record(this.#pod, undefined, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${messageOf(error)}`);
      }
      throw error;
    }
  }

  #start(start: ContainerStart, observed: PodObservation, signal: AbortSignal): void {
    const container = findContainer(this.#pod, start.name);
    const sandbox = readySandbox(observed);
    if (container === undefined || sandbox === undefined) return;
    // Regular containers start in the Pod's order, each when the one before it has: what a postStart hook prepares may be for the next.
    const inOrder = start.kind === 'regular';
    if (inOrder && this.#starting !== undefined) return;
    const podIPs = this.#podIPs(observed);
    this.#operate(start.name, signal, async (stop) => {
      using _turn = inOrder ? this.#takeTurn(start.name) : undefined;
      if (start.previousFinishedAtMs !== undefined) {
        this.#backoffs.set(start.name, raiseBackoff(this.#backoffs.get(start.name), start.previousFinishedAtMs));
      }
      this.#restartNow.delete(start.name);
      const runningId = (name: string): string | undefined => {
        const run = newestRun(observed, name);
        return run?.state === 'running' ? run.id : undefined;
      };
      await startContainer(this.#deps, { pod: this.#pod, container, attempt: start.attempt, sandbox, podIPs, runningId }, stop);
      this.#waiting.delete(start.name);
    });
  }

  #takeTurn(name: string): Disposable {
    this.#starting = name;
    return {
      [Symbol.dispose]: () => {
        this.#starting = undefined;
      },
    };
  }

  async #stop(stop: ContainerStop, observed: PodObservation): Promise<void> {
    const container = findContainer(this.#pod, stop.name);
    if (container === undefined) return;
    const { livenessProbe, startupProbe } = container.spec;
    const probe = stop.reason === 'liveness' ? livenessProbe : stop.reason === 'startup' ? startupProbe : undefined;
    const graceSeconds = probe?.terminationGracePeriodSeconds ?? this.#pod.spec?.terminationGracePeriodSeconds ?? 30;
    await stopContainer(
      this.#deps,
      {
        pod: this.#pod,
        container,
        containerId: stop.id,
        graceMs: Number(graceSeconds) * 1000,
        podIP: this.#podIPs(observed)[0] ?? '127.0.0.1',
        message: stop.message,
      },
      this.#hurry.signal,
    );
    const policy = container.spec.restartPolicy ?? this.#pod.spec?.restartPolicy ?? 'Always';
    if (stop.reason === 'changed' || policy !== 'Never') this.#restartNow.add(stop.name);
  }

  #holdBack(name: string, message: string, observed: PodObservation): void {
    this.#waiting.set(name, { reason: 'CrashLoopBackOff', message });
    const attempt = newestRun(observed, name)?.metadata.attempt ?? 0;
    if (this.#toldBackoff.get(name) === attempt) return;
    this.#toldBackoff.set(name, attempt);
    const container = findContainer(this.#pod, name);
    this.#deps.events.record(
      this.#pod,
      container,
      'Warning',
      'BackOff',
      `Back-off restarting failed container ${name} in pod ${podFullName(this.#pod)}`,
    );
  }

  async #removeLeftovers({ removeContainers, removeSandboxes }: PodActions): Promise<void> {
    const { runtime } = this.#deps;
    for (const id of removeContainers) {
      await runtime.removeContainer(id);
      this.#messages.delete(id);
    }
    for (const id of removeSandboxes) {
      await runtime.removeSandbox(id);
      this.#sandboxIds.delete(id);
    }
  }

  #nextWake(actions: PodActions): number | undefined {
    const now = this.#deps.clock.now();
    const times = [...this.#retries.values()].map(({ atMs }) => atMs).filter((atMs) => atMs > now);
    if (actions.wakeAtMs !== undefined) times.push(actions.wakeAtMs);
    const deadline = this.#deadlineMs();
    if (deadline !== undefined) times.push(deadline);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  #deadlineMs(): number | undefined {
    const { activeDeadlineSeconds } = this.#pod.spec ?? {};
    const { startTime } = this.#deps.status.latest(this.#pod.metadata.uid) ?? {};
    if (activeDeadlineSeconds === undefined || startTime === undefined) return undefined;
    return Date.parse(startTime) + Number(activeDeadlineSeconds) * 1000;
  }

  #judgeDeadline(): void {
    const deadline = this.#deadlineMs();
    if (deadline === undefined || this.#deps.clock.now() < deadline || this.#verdict !== undefined) return;
    const message = 'Pod was active on the node longer than the specified deadline';
    this.#deps.events.record(this.#pod, undefined, 'Normal', 'DeadlineExceeded', message);
    this.#verdict = { phase: 'Failed', reason: 'DeadlineExceeded', message };
  }

  #mustEnd(): boolean {
    const { phase } = this.#pod.status ?? {};
    return (
      this.#removed ||
      this.#verdict !== undefined ||
      this.#pod.metadata.deletionTimestamp !== undefined ||
      phase === 'Succeeded' ||
      phase === 'Failed'
    );
  }

  #beginTermination(signal: AbortSignal): void {
    this.#mode = 'terminating';
    this.#deps.probes.stopRestarts(this.#pod.metadata.uid);
    this.#retries.delete(TERMINATION);
    this.#operate(TERMINATION, signal, () => this.#terminateUntilDone(signal));
  }

  /** Retries by itself: a Pod that is to end has no other work to give way to. */
  async #terminateUntilDone(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    for (let failures = 1; ; failures += 1) {
      try {
        await this.#terminate();
        this.#mode = 'terminated';
        return;
      } catch (error) {
        if (isAbort(error, signal)) throw error;
        log.warn('pod not taken down, trying again', { error });
        await clock.sleep(retryDelayMs(failures, RETRY), signal);
      }
    }
  }

  async #terminate(): Promise<void> {
    const { runtime, clock, volumes, probes } = this.#deps;
    const others = [...this.#operations].filter(([key]) => key !== TERMINATION).map(([, operation]) => operation);
    for (const { stop } of others) stop.abort();
    await Promise.allSettled(others.map(({ done }) => done));

    const observed = await this.#observe();
    const podIP = this.#podIPs(observed)[0] ?? '127.0.0.1';
    const deadlineMs = clock.monotonicMs() + this.#grace();
    const stopOne = async (run: RuntimeContainer): Promise<void> => {
      const container = findContainer(this.#pod, run.metadata.name);
      const graceMs = Math.max(deadlineMs - clock.monotonicMs(), 0);
      if (container === undefined) return runtime.stopContainer(run.id, graceMs);
      const { name } = container.spec;
      const input = { pod: this.#pod, container, containerId: run.id, graceMs, podIP, message: `Stopping container ${name}` };
      await stopContainer(this.#deps, input, this.#hurry.signal);
    };
    const running = [...observed.containers.values()].flatMap((runs) =>
      runs.filter(({ state }) => state === 'running' || state === 'unknown'),
    );
    const sidecars = new Set(containersOf(this.#pod).flatMap(({ kind, spec }) => (kind === 'sidecar' ? [spec.name] : [])));
    await Promise.all(running.filter(({ metadata }) => !sidecars.has(metadata.name)).map(stopOne));
    // Sidecars serve the others to the end, and go in the reverse order of their start.
    for (const name of [...sidecars].reverse())
      for (const run of running.filter(({ metadata }) => metadata.name === name)) await stopOne(run);

    probes.forget(this.#pod.metadata.uid);
    for (const { id } of observed.sandboxes) await runtime.stopSandbox(id);
    await volumes.tearDown(this.#pod.metadata.uid);
    this.#volumesReady = false;
  }

  /** Tells the API the end, removes the Pod there once it is to be deleted, and here once it is gone there. */
  async #afterTermination(signal: AbortSignal): Promise<number | undefined> {
    const { status, client, clock, log } = this.#deps;
    const { uid, name, namespace, deletionTimestamp } = this.#pod.metadata;
    if (!this.#removed) {
      this.#report(await this.#observe(), new Set());
      if (deletionTimestamp === undefined) return undefined;
      await status.flushed(uid);
      try {
        await client.delete(
          pods,
          { name, ...(namespace === undefined ? {} : { namespace }) },
          { gracePeriodSeconds: 0, preconditions: { uid } },
          signal,
        );
      } catch (error) {
        if (isAbort(error, signal)) throw error;
        if (!isNotFound(error) && !isConflict(error)) {
          log.warn('pod not removed from the API, trying again', { error });
          return clock.now() + RETRY.baseMs;
        }
      }
    }
    await this.#cleanUp();
    return undefined;
  }

  async #cleanUp(): Promise<void> {
    const { runtime, status, dirs, log } = this.#deps;
    const { uid } = this.#pod.metadata;
    for (const id of this.#sandboxIds) {
      for (const { id: containerId } of await runtime.listContainers({ sandboxId: id })) await runtime.removeContainer(containerId);
      await runtime.removeSandbox(id);
    }
    await rm(podDirectoryOf(dirs, uid), { recursive: true, force: true });
    await rm(logDirectoryOf(dirs, this.#pod), { recursive: true, force: true });
    status.forget(uid);
    this.#mode = 'cleaned';
    log.info('pod removed');
  }

  #grace(): number {
    if (this.#graceMs !== undefined) return this.#graceMs;
    const { deletionGracePeriodSeconds } = this.#pod.metadata;
    return Number(deletionGracePeriodSeconds ?? this.#pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000;
  }

  /** A second deletion with a shorter grace period, or a forced one, shortens what is under way. */
  #hastenIfAsked(): void {
    if (this.#mode !== 'terminating' || this.#grace() > 0 || this.#hurry.signal.aborted) return;
    this.#hurry.abort();
    const { runtime, log } = this.#deps;
    const kill = async (): Promise<void> => {
      const observed = await this.#observe();
      const running = [...observed.containers.values()].flat().filter(({ state }) => state === 'running');
      await Promise.all(running.map(({ id }) => runtime.stopContainer(id, 0)));
    };
    kill().catch((error: unknown) => log.warn('containers not killed at once', { error }));
  }

  #podIPs(observed: PodObservation): readonly string[] {
    if (this.#pod.spec?.hostNetwork === true) return this.#deps.node.ips();
    return readySandbox(observed)?.ips ?? [];
  }

  #report(observed: PodObservation, busy: ReadonlySet<string>): void {
    if (this.#removed) return;
    const { clock, node, probes, status } = this.#deps;
    const { uid } = this.#pod.metadata;
    const latest = status.latest(uid);
    const pod =
      latest === undefined
        ? this.#pod
        : { ...this.#pod, status: { ...this.#pod.status, ...latest, conditions: mergedConditions(this.#pod, latest) } };
    status.set(
      uid,
      statusOf(pod, observed, {
        nowMs: clock.now(),
        hostIPs: node.ips(),
        busy,
        probesOf: (name) => probes.probesOf(this.#pod, name),
        waitingOf: (name) => this.#waiting.get(name),
        terminationMessageOf: (run) => this.#messages.get(run.id),
        terminating: this.#mode !== 'running',
        ...(this.#verdict === undefined ? {} : { verdict: this.#verdict }),
      }),
    );
  }
}

const OWN_CONDITIONS: ReadonlySet<string> = new Set([
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
]);

/** Ours as last written; those of others (readiness gates) as the API last showed them. */
function mergedConditions(pod: Pod, latest: NonNullable<Pod['status']>): NonNullable<NonNullable<Pod['status']>['conditions']> {
  const ours = (latest.conditions ?? []).filter(({ type }) => OWN_CONDITIONS.has(type));
  return [...ours, ...(pod.status?.conditions ?? []).filter(({ type }) => !OWN_CONDITIONS.has(type))];
}
