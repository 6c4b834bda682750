import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { type Clock, type Logger, messageOf, type Random } from '@dure/foundation';
import { type CgroupTree, kill, processesBeneath } from './cgroup-tree.ts';
import type { ContainerConfig, ContainerStatus, ExecRequest, Resources, StreamSession } from './contract.ts';
import { Control } from './control.ts';
import { ContainerExecError, ContainerStartError, RuntimeNotFoundError, RuntimeStateError } from './errors.ts';
import type { EventHub } from './event-hub.ts';
import { encodeFrame, readFrames } from './frames.ts';
import { allDevices, devicesAt } from './host.ts';
import { planHostRoot } from './host-root.ts';
import { readJson, writeJson } from './json-file.ts';
import { parseMountTable } from './mount-table.ts';
import type { NativeFailure } from './native-failure.ts';
import { startNative } from './native-program.ts';
import { renderPlan } from './plan.ts';
import { boundingSet, type ContainerFacts, planContainer } from './plan-container.ts';
import { planExec } from './plan-exec.ts';
import { isAlive, type ProcessIdentity } from './process-identity.ts';
import type { Sandbox, Sandboxes } from './sandboxes.ts';
import type { SeccompFilters } from './seccomp.ts';
import { signalNumber } from './signal-number.ts';
import type { ContainerPaths, StatePaths } from './state-paths.ts';
import { FramedSession } from './stream-session.ts';

/** What upstream reports for a program that never ran. */
const START_ERROR_EXIT_CODE = 128;
/** And for one whose end nobody saw. */
const UNKNOWN_EXIT_CODE = 137;
const SIGKILL = 9;

interface StoredContainer {
  readonly id: string;
  readonly sandboxId: string;
  readonly createdAtMs: number;
  readonly config: ContainerConfig;
  readonly logPath: string;
  /** Absolute. */
  readonly cgroup: string;
}

/** Written by `dure-run` when the program has been executed. */
interface StartedRecord {
  readonly pid: number;
  readonly pidStartTime: string;
  readonly supervisor: number;
  readonly supervisorStartTime: string;
  readonly startedAtNs: string;
}

/** Written by `dure-run` at the end; by us, with `failure` or `lost`, where it could not. */
interface ExitRecord {
  readonly exitCode: number;
  readonly signal: number;
  readonly finishedAtNs: string;
  readonly oomKills?: number;
  readonly failure?: string;
  readonly lost?: boolean;
}

/** One container as we know it: the files' content, and the line to its supervisor while it runs. */
export interface Container extends StoredContainer {
  started?: StartedRecord;
  exit?: ExitRecord;
  control?: Control;
  starting?: Promise<void>;
  /** Settles when it has exited and that is recorded. */
  ended?: Promise<void>;
}

export interface ContainersDeps {
  readonly paths: StatePaths;
  readonly cgroups: CgroupTree;
  readonly sandboxes: Sandboxes;
  readonly events: EventHub;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly capabilities: bigint;
  readonly seccomp: SeccompFilters;
  /** The runtime's own directories, hidden from containers that run on the host's root. */
  readonly hidden: readonly string[];
  /** An open descriptor of the containers' directory: sockets are reached through it, since their names may hold 107 bytes only. */
  readonly directoryFd: number;
}

/** Containers: from configuration to exit record, across restarts of this process. */
export class Containers {
  readonly #deps: ContainersDeps;
  readonly #known = new Map<string, Container>();
  #closed = false;

  constructor(deps: ContainersDeps) {
    this.#deps = deps;
  }

  /** Finds every container again and takes up the line to those that run. What belongs to none is removed. */
  async recover(): Promise<void> {
    const { paths } = this.#deps;
    for (const id of await readdir(paths.containers)) {
      const stored = await readJson<StoredContainer>(paths.container(id).config);
      if (stored === undefined) {
        await rm(paths.container(id).directory, { recursive: true, force: true });
        continue;
      }
      await this.#recoverOne(stored);
    }
    for (const id of await readdir(paths.layers)) {
      if (!this.#known.has(id)) await rm(paths.container(id).layer, { recursive: true, force: true });
    }
  }

  async create(sandbox: Sandbox, config: ContainerConfig): Promise<string> {
    const { paths, random, clock } = this.#deps;
    const { name, attempt } = config.metadata;
    const twin = this.all(sandbox.id).find(({ config: { metadata } }) => metadata.name === name && metadata.attempt === attempt);
    if (twin !== undefined) {
      if (stateOf(twin) === 'created') return twin.id;
      throw new RuntimeStateError(`create container ${name}: attempt ${attempt} exists already as ${twin.id}`);
    }
    // Told now, not at the start: neither can be mended by trying again.
    signalNumber(config.stopSignal);
    const id = Buffer.from(random.bytes(32)).toString('hex');
    const where = paths.container(id);
    const container: Container = {
      id,
      sandboxId: sandbox.id,
      createdAtMs: clock.now(),
      config,
      logPath: join(sandbox.config.logDirectory, config.logPath),
      cgroup: join(this.#deps.cgroups.root, sandbox.config.cgroupParent, id),
    };
    this.#known.set(id, container);
    try {
      await Promise.all([mkdir(where.rootfs, { recursive: true, mode: 0o700 }), mkdir(where.layer, { recursive: true, mode: 0o700 })]);
      await Promise.all([
        mkdir(where.upper, { mode: 0o755 }),
        mkdir(where.work, { mode: 0o755 }),
        writeJson(where.config, storedOf(container)),
      ]);
    } catch (error) {
      this.#known.delete(id);
      await this.#removeFiles(where);
      throw error;
    }
    return id;
  }

  async start(id: string, signal?: AbortSignal): Promise<void> {
    const container = this.need(id);
    if (container.starting !== undefined) return container.starting;
    if (stateOf(container) !== 'created') throw new RuntimeStateError(`start container ${id}: it is ${stateOf(container)}`);
    container.starting = this.#start(container, signal).finally(() => {
      delete container.starting;
    });
    return container.starting;
  }

  async stop(id: string, graceMs: number): Promise<void> {
    const container = this.#known.get(id);
    if (container === undefined) return;
    await container.starting?.catch(() => undefined);
    if (stateOf(container) !== 'running') return;
    if (graceMs > 0) {
      // A refusal means that it ends just now.
      await container.control?.signal(signalNumber(container.config.stopSignal)).catch(() => undefined);
      await this.#waitForEnd(container, graceMs);
    }
    if (stateOf(container) === 'running') {
      await container.control?.signal(SIGKILL).catch(() => undefined);
      await kill(container.cgroup);
    }
    await container.ended;
  }

  async remove(id: string): Promise<void> {
    await this.stop(id, 0);
    const container = this.#known.get(id);
    if (container === undefined) return;
    const { cgroups, paths, events } = this.#deps;
    await cgroups.remove(container.cgroup);
    await this.#removeFiles(paths.container(id));
    this.#known.delete(id);
    events.emit({ kind: 'removed', sandboxId: container.sandboxId, containerId: id });
  }

  get(id: string): Container | undefined {
    return this.#known.get(id);
  }

  /** @throws {RuntimeNotFoundError} */
  need(id: string): Container {
    const container = this.#known.get(id);
    if (container === undefined) throw new RuntimeNotFoundError('container', id);
    return container;
  }

  all(sandboxId?: string): readonly Container[] {
    const all = [...this.#known.values()];
    return sandboxId === undefined ? all : all.filter((container) => container.sandboxId === sandboxId);
  }

  async limit(id: string, resources: Resources): Promise<void> {
    const container = this.need(id);
    const updated = { ...container.config, resources };
    if (stateOf(container) === 'running') await this.#deps.cgroups.limit(container.cgroup, resources, true);
    await writeJson(this.#deps.paths.container(id).config, { ...storedOf(container), config: updated });
    this.#known.set(id, Object.assign(container, { config: updated }));
  }

  async reopenLog(id: string): Promise<void> {
    const container = this.need(id);
    if (stateOf(container) !== 'running') throw new RuntimeStateError(`reopen log of container ${id}: it is ${stateOf(container)}`);
    await container.control?.reopenLog();
  }

  async exec(id: string, request: ExecRequest, signal?: AbortSignal): Promise<StreamSession> {
    const { paths, cgroups, sandboxes, random, capabilities, clock } = this.#deps;
    const container = this.need(id);
    const target = programOf(container);
    if (target === undefined) throw new RuntimeStateError(`exec in container ${id}: it is ${stateOf(container)}`);
    const where = paths.container(id);
    const seccomp = await readFile(join(where.directory, 'seccomp')).catch(() => undefined);
    const plan = planExec(container.config, request, {
      target,
      cgroup: container.cgroup,
      cgroupMount: cgroups.mount,
      supervisorCgroup: cgroups.supervisors,
      availableCapabilities: capabilities,
      sandbox: sandboxes.need(container.sandboxId).config,
      ...(seccomp === undefined ? {} : { seccomp }),
    });
    const planPath = join(where.directory, `exec-${Buffer.from(random.bytes(8)).toString('hex')}`);
    let session: FramedSession | undefined;
    const early: Parameters<FramedSession['handle']>[0][] = [];
    let cut: { error: Error | undefined } | undefined;
    try {
      await writeFile(planPath, renderPlan(plan), { mode: 0o600 });
      const start = await startNative({
        binary: paths.binary,
        args: ['exec', planPath],
        signal,
        onFrame: (frame) => (session === undefined ? early.push(frame) : session.handle(frame)),
        onClose: (error) => {
          cut = { error };
          session?.closed(error);
        },
      });
      if (start.kind === 'failed') throw new ContainerExecError(start.failure);
      session = new FramedSession(start.socket, { stdin: request.stdin, tty: request.tty, whenCut: undefined });
      // A short program may have ended between its start and this line.
      for (const frame of early) session.handle(frame);
      if (cut !== undefined) session.closed(cut.error);
    } finally {
      await rm(planPath, { force: true });
    }
    if (request.timeoutMs !== undefined && request.timeoutMs > 0) limitTime(session, request.timeoutMs, clock);
    return session;
  }

  async attach(id: string): Promise<StreamSession> {
    const container = this.need(id);
    if (stateOf(container) !== 'running') throw new RuntimeStateError(`attach to container ${id}: it is ${stateOf(container)}`);
    const socket = await this.#connect(id);
    const { stdin, tty } = container.config;
    const session = new FramedSession(socket, {
      stdin,
      tty,
      // Closed by the container's end, or by us: only in the first case there is a code.
      whenCut: async () => {
        if (!(await isRunning(container))) await container.ended;
        return container.exit?.exitCode ?? 0;
      },
    });
    readFrames(
      socket,
      (frame) => session.handle(frame),
      (error) => session.closed(error),
    );
    socket.write(encodeFrame('A', Buffer.of(stdin ? 1 : 0)));
    return session;
  }

  status(container: Container): ContainerStatus {
    const { id, sandboxId, config, createdAtMs, logPath, started, exit } = container;
    const state = stateOf(container);
    return {
      id,
      sandboxId,
      metadata: config.metadata,
      state,
      createdAtMs,
      ...(started === undefined ? {} : { startedAtMs: nsToMs(started.startedAtNs) }),
      ...(exit === undefined ? {} : { finishedAtMs: nsToMs(exit.finishedAtNs), exitCode: exit.exitCode, ...describeExit(exit) }),
      image: config.image,
      labels: config.labels,
      annotations: config.annotations,
      logPath,
      ...(state === 'running' && started !== undefined ? { pid: started.pid } : {}),
    };
  }

  /** Lets go of every supervisor; they go on. */
  close(): void {
    this.#closed = true;
    for (const container of this.#known.values()) container.control?.close();
  }

  async #recoverOne(stored: StoredContainer): Promise<void> {
    const { paths, log } = this.#deps;
    const where = paths.container(stored.id);
    const container: Container = { ...stored };
    this.#known.set(stored.id, container);
    await this.#readRecords(container);
    if (container.exit !== undefined) return;
    const control = await this.#reach(stored.id);
    if (control !== undefined) {
      container.ended = this.#follow(container, control);
      // An answer proves that the program runs, so its record is written by now.
      await control.signal(0).catch(() => undefined);
      await this.#readRecords(container);
      if (container.started !== undefined || container.exit !== undefined) return;
    }
    if (container.started === undefined && control === undefined) {
      // Never started, unless a start was under way: then its plan is there.
      const planned = await readFile(where.plan).then(
        () => true,
        () => false,
      );
      if (!planned) return;
      log.warn('a start was interrupted; its container is killed', { containerId: stored.id });
      await this.#killStarting(where.plan);
    }
    await kill(container.cgroup);
    container.ended ??= this.#finish(container);
    await container.ended;
  }

  /** A supervisor that an earlier agent started and that has not come as far as its socket. */
  async #killStarting(plan: string): Promise<void> {
    await rm(plan, { force: true });
    for (const pid of await processesBeneath(this.#deps.cgroups.supervisors)) {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (command.endsWith(`\0run\0${plan}\0`)) process.kill(pid, 'SIGKILL');
    }
  }

  async #start(container: Container, signal?: AbortSignal): Promise<void> {
    const { paths, cgroups, events, log } = this.#deps;
    const where = paths.container(container.id);
    const control = new Control();
    try {
      const [facts] = await Promise.all([
        this.#facts(container),
        cgroups.make(
          join(this.#deps.sandboxes.need(container.sandboxId).config.cgroupParent, container.id),
          container.config.resources,
          true,
        ),
        mkdir(dirname(container.logPath), { recursive: true, mode: 0o755 }),
      ]);
      if (facts.seccomp !== undefined) await writeFile(join(where.directory, 'seccomp'), facts.seccomp, { mode: 0o600 });
      await writeFile(where.plan, renderPlan(planContainer(container.config, facts)), { mode: 0o600 });
      const start = await startNative({
        binary: paths.binary,
        args: ['run', where.plan],
        signal,
        onFrame: (frame) => control.handle(frame),
        onClose: () => control.closed(),
      });
      if (start.kind === 'failed') throw new ContainerStartError(start.failure);
      control.open(start.socket);
      container.started = start.answer as StartedRecord;
      container.ended = this.#follow(container, control);
      events.emit({ kind: 'started', sandboxId: container.sandboxId, containerId: container.id });
      log.debug('container started', { containerId: container.id, pid: container.started.pid });
    } catch (error) {
      await kill(container.cgroup).catch(() => undefined);
      const failure = error instanceof ContainerStartError ? error : new ContainerStartError(asFailure(error));
      await this.#recordEnd(container, {
        exitCode: START_ERROR_EXIT_CODE,
        signal: 0,
        finishedAtNs: this.#nowNs(),
        failure: failure.message,
      });
      if (signal?.aborted) throw signal.reason;
      throw failure;
    }
  }

  async #facts(container: Container): Promise<ContainerFacts> {
    const { paths, cgroups, sandboxes, capabilities, seccomp: filters, hidden } = this.#deps;
    const { config } = container;
    const sandbox = sandboxes.need(container.sandboxId);
    const privileged = config.security.privileged;
    const asked = await Promise.all(
      config.devices.map(async ({ hostPath, containerPath, permissions }) =>
        (await devicesAt(hostPath)).map((device) => ({
          ...device,
          containerPath: containerPath + device.path.slice(hostPath.length),
          permissions,
        })),
      ),
    );
    const all = privileged ? (await allDevices()).map((device) => ({ ...device, containerPath: device.path, permissions: 'rwm' })) : [];
    const seccomp = privileged ? undefined : await filters.program(config.security.seccomp, boundingSet(config.security, capabilities));
    const pidNamespaceOf = this.#pidNamespaceOf(config, sandbox);
    return {
      sandbox: sandbox.config,
      sandboxPaths: paths.sandbox(sandbox.id),
      paths: paths.container(container.id),
      cgroup: container.cgroup,
      supervisorCgroup: cgroups.supervisors,
      logPath: container.logPath,
      availableCapabilities: capabilities,
      devices: [...all, ...asked.flat()],
      ...(pidNamespaceOf === undefined ? {} : { pidNamespaceOf }),
      ...(config.rootfs.kind === 'host'
        ? { hostRoot: planHostRoot(parseMountTable(await readFile('/proc/self/mountinfo', 'utf8')), [...hidden, ...config.rootfs.hide]) }
        : {}),
      ...(seccomp === undefined ? {} : { seccomp }),
    };
  }

  #pidNamespaceOf(config: ContainerConfig, sandbox: Sandbox): ProcessIdentity | undefined {
    if (config.pid === 'pod') {
      if (sandbox.reaper === undefined) throw new RuntimeStateError(`sandbox ${sandbox.id} shares no PID namespace`);
      return sandbox.reaper;
    }
    if (typeof config.pid === 'string') return undefined;
    const target = programOf(this.need(config.pid.target));
    if (target === undefined)
      throw new RuntimeStateError(`container ${config.pid.target}, whose PID namespace is to be joined, does not run`);
    return target;
  }

  /** Stays on the line until the container has ended and that is recorded. */
  async #follow(container: Container, line: Control): Promise<void> {
    try {
      for (let control: Control | undefined = line; control !== undefined; control = await this.#reach(container.id)) {
        container.control = control;
        await control.ended;
        // Our own letting go is no news about the container.
        if (this.#closed) return;
        await this.#readRecords(container);
        if (container.exit !== undefined) break;
        // Cut off without a record: either it was killed, or it only dropped this line. The socket tells.
      }
      await this.#finish(container);
    } catch (error) {
      this.#deps.log.error('the end of a container could not be recorded', { containerId: container.id, error });
    }
  }

  /** A line to the supervisor; none when nobody listens any more. */
  async #reach(id: string): Promise<Control | undefined> {
    const socket = await this.#connect(id).catch(() => undefined);
    if (socket === undefined) return undefined;
    const control = new Control();
    readFrames(
      socket,
      (frame) => control.handle(frame),
      () => control.closed(),
    );
    control.open(socket);
    return control;
  }

  /** The supervisor has ended: its exit record is there, or it was killed. */
  async #finish(container: Container): Promise<void> {
    const { cgroups, log } = this.#deps;
    await this.#readRecords(container);
    if (container.exit === undefined) {
      log.warn('a supervisor was killed; its container is killed too', { containerId: container.id });
      await kill(container.cgroup);
      await this.#recordEnd(container, { exitCode: UNKNOWN_EXIT_CODE, signal: 0, finishedAtNs: this.#nowNs(), lost: true });
    } else {
      this.#tellEnd(container);
    }
    await cgroups.remove(container.cgroup).catch((error: unknown) => log.warn('cgroup stays', { containerId: container.id, error }));
  }

  async #recordEnd(container: Container, exit: ExitRecord): Promise<void> {
    await writeJson(this.#deps.paths.container(container.id).exit, exit);
    container.exit = exit;
    this.#tellEnd(container);
  }

  #tellEnd(container: Container): void {
    delete container.control;
    this.#deps.events.emit({ kind: 'exited', sandboxId: container.sandboxId, containerId: container.id });
  }

  async #readRecords(container: Container): Promise<void> {
    const where = this.#deps.paths.container(container.id);
    const [started, exit] = await Promise.all([readJson<StartedRecord>(where.started), readJson<ExitRecord>(where.exit)]);
    if (started !== undefined) container.started = started;
    if (exit !== undefined) container.exit = exit;
  }

  async #waitForEnd(container: Container, ms: number): Promise<void> {
    const { clock } = this.#deps;
    const over = new AbortController();
    const timer = clock.sleep(ms, over.signal).catch(() => undefined);
    await Promise.race([container.ended, timer]);
    over.abort();
    await timer;
  }

  #connect(id: string): Promise<Socket> {
    const path = `/proc/self/fd/${this.#deps.directoryFd}/${id}/${this.#deps.paths.container(id).socketName}`;
    return new Promise((resolve, reject) => {
      const socket = connect({ path });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(socket);
      });
    });
  }

  async #removeFiles(where: ContainerPaths): Promise<void> {
    await rm(where.layer, { recursive: true, force: true });
    await rm(where.directory, { recursive: true, force: true });
  }

  #nowNs(): string {
    return `${BigInt(Math.trunc(this.#deps.clock.now())) * 1_000_000n}`;
  }
}

/** What the records say. */
export function stateOf({ started, exit }: Container): ContainerStatus['state'] {
  if (exit !== undefined) return 'exited';
  return started === undefined ? 'created' : 'running';
}

/** The identity of a running container's program. */
export function programOf(container: Container): ProcessIdentity | undefined {
  if (stateOf(container) !== 'running' || container.started === undefined) return undefined;
  return { pid: container.started.pid, startTime: container.started.pidStartTime };
}

async function isRunning(container: Container): Promise<boolean> {
  const program = programOf(container);
  return program !== undefined && (await isAlive(program));
}

function describeExit(exit: ExitRecord): { readonly signal?: number; readonly reason: string; readonly message?: string } {
  const signal = exit.signal > 0 ? { signal: exit.signal } : {};
  if (exit.failure !== undefined) return { ...signal, reason: 'StartError', message: exit.failure };
  if (exit.lost === true)
    return { ...signal, reason: 'ContainerStatusUnknown', message: 'the supervisor of the container was killed; its exit code is lost' };
  if ((exit.oomKills ?? 0) > 0 && exit.exitCode !== 0) return { ...signal, reason: 'OOMKilled' };
  return { ...signal, reason: exit.exitCode === 0 ? 'Completed' : 'Error' };
}

function storedOf({ id, sandboxId, createdAtMs, config, logPath, cgroup }: Container): StoredContainer {
  return { id, sandboxId, createdAtMs, config, logPath, cgroup };
}

function asFailure(error: unknown): NativeFailure {
  return { step: `prepare: ${messageOf(error)}`, errno: 0 };
}

function nsToMs(ns: string): number {
  return Number(BigInt(ns) / 1_000_000n);
}

function limitTime(session: FramedSession, timeoutMs: number, clock: Clock): void {
  const over = new AbortController();
  session.exited.then(
    () => over.abort(),
    () => over.abort(),
  );
  clock.sleep(timeoutMs, over.signal).then(
    () => session.kill(128 + SIGKILL),
    () => undefined,
  );
}
