import { PassThrough } from 'node:stream';
import { BoundedQueue, type Clock } from '@dure/foundation';
import type {
  ContainerConfig,
  ContainerEvent,
  ContainerStats,
  ContainerStatus,
  Enforcement,
  ExecRequest,
  Resources,
  RuntimeService,
  SandboxConfig,
  SandboxStatus,
  StreamSession,
} from '@dure/runtime';

interface FakeContainer {
  readonly config: ContainerConfig;
  status: ContainerStatus;
}

type Call = keyof RuntimeService;

/** How a command that was executed ends. */
export interface ExecOutcome {
  readonly exitCode: number;
  readonly output: string;
}

/**
 * A runtime in memory: containers run until a test ends them, or until they are stopped. Nothing of the host is touched.
 * `log` has every changing call in order; `failing` makes calls fail.
 */
export class FakeRuntime implements RuntimeService {
  readonly name = 'fake';
  readonly log: string[] = [];
  readonly sandboxes = new Map<string, { readonly config: SandboxConfig; status: SandboxStatus }>();
  readonly containers = new Map<string, FakeContainer>();
  readonly failing = new Map<Call, Error>();
  /** What a stopped container exits with. */
  stopExitCode = 143;
  /** What an exec of this command gives. */
  onExec: (containerId: string, request: ExecRequest) => ExecOutcome | Promise<ExecOutcome> = () => ({ exitCode: 0, output: '' });
  /** Waited for before a container counts as stopped. */
  beforeStopped: (id: string, graceMs: number) => Promise<void> = () => Promise.resolve();
  enforcements: readonly Enforcement[] = [];
  readonly #clock: Clock;
  readonly #subscribers = new Set<BoundedQueue<ContainerEvent>>();
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  enforcement(): readonly Enforcement[] {
    return this.enforcements;
  }

  async runSandbox(config: SandboxConfig): Promise<SandboxStatus> {
    this.#throwIfFailing('runSandbox');
    this.#count += 1;
    const id = `sandbox-${config.metadata.uid}-${config.metadata.attempt}`;
    const status: SandboxStatus = {
      id,
      metadata: config.metadata,
      state: 'ready',
      createdAtMs: this.#clock.now(),
      labels: config.labels,
      annotations: config.annotations,
      ips: config.namespaces.network === 'pod' ? [`10.42.0.${this.#count}`] : [],
    };
    this.sandboxes.set(id, { config, status });
    this.log.push(`run sandbox ${config.metadata.attempt}`);
    return status;
  }

  async stopSandbox(id: string): Promise<void> {
    const sandbox = this.sandboxes.get(id);
    if (sandbox === undefined || sandbox.status.state === 'not-ready') return;
    for (const { status } of this.containers.values())
      if (status.sandboxId === id && status.state === 'running') this.exit(status.metadata.name, 137);
    sandbox.status = { ...sandbox.status, state: 'not-ready' };
    this.log.push(`stop sandbox ${sandbox.config.metadata.attempt}`);
    this.#emit({ kind: 'sandbox-changed', sandboxId: id });
  }

  async removeSandbox(id: string): Promise<void> {
    if (this.sandboxes.delete(id)) this.log.push('remove sandbox');
  }

  async sandboxStatus(id: string): Promise<SandboxStatus | undefined> {
    return this.sandboxes.get(id)?.status;
  }

  async listSandboxes(): Promise<readonly SandboxStatus[]> {
    return [...this.sandboxes.values()].map(({ status }) => status);
  }

  async updateSandboxResources(_id: string, _resources: Resources): Promise<void> {}

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    this.#throwIfFailing('createContainer');
    this.#count += 1;
    const id = `container-${this.#count}`;
    const status: ContainerStatus = {
      id,
      sandboxId,
      metadata: config.metadata,
      state: 'created',
      createdAtMs: this.#clock.now(),
      image: config.image,
      labels: config.labels,
      annotations: config.annotations,
      logPath: `/nowhere/${config.logPath}`,
    };
    this.containers.set(id, { config, status });
    this.log.push(`create ${config.metadata.name} ${config.metadata.attempt}`);
    return id;
  }

  async startContainer(id: string): Promise<void> {
    const container = this.#existing(id);
    const failure = this.failing.get('startContainer');
    if (failure !== undefined) {
      this.#set(container, {
        state: 'exited',
        exitCode: 128,
        reason: 'StartError',
        message: failure.message,
        finishedAtMs: this.#clock.now(),
      });
      throw failure;
    }
    this.log.push(`start ${container.config.metadata.name}`);
    this.#set(container, { state: 'running', startedAtMs: this.#clock.now(), pid: 1000 + this.#count });
    this.#emit({ kind: 'started', sandboxId: container.status.sandboxId, containerId: id });
  }

  async stopContainer(id: string, graceMs: number): Promise<void> {
    const container = this.#existing(id);
    if (container.status.state !== 'running') return;
    this.log.push(`stop ${container.config.metadata.name} ${graceMs}`);
    await this.beforeStopped(id, graceMs);
    if (this.containers.get(id)?.status.state === 'running') this.#end(container, this.stopExitCode);
  }

  async removeContainer(id: string): Promise<void> {
    const container = this.containers.get(id);
    if (container === undefined) return;
    this.containers.delete(id);
    this.log.push(`remove ${container.config.metadata.name} ${container.config.metadata.attempt}`);
  }

  async containerStatus(id: string): Promise<ContainerStatus | undefined> {
    return this.containers.get(id)?.status;
  }

  async listContainers(filter?: { readonly sandboxId?: string }): Promise<readonly ContainerStatus[]> {
    const all = [...this.containers.values()].map(({ status }) => status);
    return filter?.sandboxId === undefined ? all : all.filter(({ sandboxId }) => sandboxId === filter.sandboxId);
  }

  async updateContainerResources(_id: string, _resources: Resources): Promise<void> {}

  async containerStats(id: string): Promise<ContainerStats | undefined> {
    if (!this.containers.has(id)) return undefined;
    return {
      id,
      timestampMs: this.#clock.now(),
      cpuUsageNs: 5_000_000_000,
      memoryUsageBytes: 3_000_000,
      memoryWorkingSetBytes: 2_000_000,
      memoryRssBytes: 1_000_000,
      pids: 2,
    };
  }

  async sandboxStats(id: string) {
    return this.sandboxes.has(id) ? { rxBytes: 10, txBytes: 20, cpuUsageNs: 6_000_000_000, memoryWorkingSetBytes: 4_000_000 } : undefined;
  }

  async reopenLog(id: string): Promise<void> {
    this.log.push(`reopen ${this.#existing(id).config.metadata.name}`);
  }

  async exec(id: string, request: ExecRequest): Promise<StreamSession> {
    this.#throwIfFailing('exec');
    this.log.push(`exec ${this.#existing(id).config.metadata.name} ${request.command.join(' ')}`);
    const outcome = this.onExec(id, request);
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const exited = Promise.resolve(outcome).then(({ exitCode, output }) => {
      stdout.end(output);
      stderr.end();
      return exitCode;
    });
    const destroy = (): void => {
      stdout.destroy();
      stderr.destroy();
    };
    return {
      stdin: request.stdin ? new PassThrough() : undefined,
      stdout,
      stderr: request.tty ? undefined : stderr,
      resize: () => undefined,
      exited,
      destroy,
      [Symbol.asyncDispose]: async () => destroy(),
    };
  }

  attach(id: string): Promise<StreamSession> {
    return this.exec(id, { command: ['(attach)'], tty: false, stdin: true });
  }

  async connect(): Promise<PassThrough> {
    return new PassThrough();
  }

  async *events(signal: AbortSignal): AsyncGenerator<ContainerEvent> {
    const queue = new BoundedQueue<ContainerEvent>(1000);
    this.#subscribers.add(queue);
    const onAbort = (): void => queue.close();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (!signal.aborted) yield* queue;
    } finally {
      this.#subscribers.delete(queue);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Ends the newest run of a container, as its program would. @throws {Error} It does not run. */
  exit(name: string, exitCode: number): void {
    const runs = [...this.containers.values()].filter(({ config, status }) => config.metadata.name === name && status.state === 'running');
    const container = runs.at(-1);
    if (container === undefined) throw new Error(`exit ${name}: it does not run`);
    this.#end(container, exitCode);
  }

  isRunning(name: string): boolean {
    return [...this.containers.values()].some(({ config, status }) => config.metadata.name === name && status.state === 'running');
  }

  configOf(name: string): ContainerConfig {
    const found = [...this.containers.values()].filter(({ config }) => config.metadata.name === name).at(-1);
    if (found === undefined) throw new Error(`no container ${name}`);
    return found.config;
  }

  #end(container: FakeContainer, exitCode: number): void {
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    const { pid: _pid, ...rest } = container.status;
    container.status = { ...rest, state: 'exited', exitCode, reason, finishedAtMs: this.#clock.now() };
    this.#emit({ kind: 'exited', sandboxId: container.status.sandboxId, containerId: container.status.id });
  }

  #set(container: FakeContainer, change: Partial<ContainerStatus>): void {
    container.status = { ...container.status, ...change };
  }

  #existing(id: string): FakeContainer {
    const container = this.containers.get(id);
    if (container === undefined) throw new Error(`container ${id} does not exist`);
    return container;
  }

  #throwIfFailing(call: Call): void {
    const failure = this.failing.get(call);
    if (failure !== undefined) throw failure;
  }

  #emit(event: ContainerEvent): void {
    for (const queue of this.#subscribers) queue.push(event);
  }
}
