/**
 * Sandboxes and containers in CRI's words; never a Pod. The kubelet translates.
 * Everything here survives the death of the caller: what runs is read from the kernel and the state directory, never from memory.
 */
import type { Duplex, Readable, Writable } from 'node:stream';

export type NamespaceMode = 'pod' | 'node' | 'container' | { readonly target: string };

export interface IdMapping {
  readonly containerId: number;
  readonly hostId: number;
  readonly size: number;
}

export interface SandboxConfig {
  /** Stable identity: the same (uid, attempt) gives the same sandbox. */
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string; readonly attempt: number };
  readonly hostname: string;
  /** Directory for container logs, absolute; made when absent. */
  readonly logDirectory: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Relative to the runtime's cgroup root, such as `kubepods/burstable/pod<uid>`; made and limited by {@link RuntimeService.updateSandboxResources}. */
  readonly cgroupParent: string;
  readonly namespaces: {
    readonly network: 'pod' | 'node';
    readonly pid: 'pod' | 'node' | 'container';
    readonly ipc: 'pod' | 'node';
    readonly user?: readonly IdMapping[];
  };
  /** Namespaced sysctls, written inside the sandbox. */
  readonly sysctls: Readonly<Record<string, string>>;
  readonly resources?: Resources;
}

/** What a cgroup is held to. Absent: no limit. What the kernel cannot enforce is reported by {@link RuntimeService.enforcement}, never an error. */
export interface Resources {
  /** cpu.weight is derived from it: 1000 = one core's share. */
  readonly cpuRequestMillis?: number;
  readonly cpuLimitMillis?: number;
  readonly memoryRequestBytes?: number;
  readonly memoryLimitBytes?: number;
  readonly pidsMax?: number;
  /** -1000 to 1000. Lowering it may be refused by the kernel. */
  readonly oomScoreAdj?: number;
}

export interface MountSpec {
  /** On the host, absolute. */
  readonly source: string;
  /** In the container, absolute. */
  readonly target: string;
  readonly readOnly: boolean;
  readonly recursiveReadOnly?: boolean;
  readonly propagation: 'private' | 'rslave' | 'rshared';
  /** tmpfs of this size instead of a bind, where set. */
  readonly tmpfsSizeBytes?: number;
}

export interface DeviceSpec {
  readonly hostPath: string;
  readonly containerPath: string;
  /** Of 'r', 'w', 'm'. */
  readonly permissions: string;
}

export type SeccompProfile =
  | { readonly kind: 'unconfined' }
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly path: string };

export interface SecuritySpec {
  readonly uid: number;
  readonly gid: number;
  readonly supplementalGroups: readonly number[];
  readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] };
  readonly privileged: boolean;
  readonly noNewPrivileges: boolean;
  readonly readOnlyRoot: boolean;
  readonly seccomp: SeccompProfile;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly appArmorProfile?: string;
}

/** What becomes `/`. Layers are directories, topmost first; the runtime puts a writable layer of its own above them. */
export type RootFilesystem =
  | { readonly kind: 'layers'; readonly lowerDirs: readonly string[] }
  /** The host's own root, read-only under the writable layer, with Dure's state, /root, /home and secrets of /etc hidden. */
  | { readonly kind: 'host'; readonly hide: readonly string[] };

export interface ContainerConfig {
  readonly metadata: { readonly name: string; readonly attempt: number };
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly image: string;
  readonly rootfs: RootFilesystem;
  /** argv, not empty. argv[0] is searched in PATH of `env`. */
  readonly command: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly mounts: readonly MountSpec[];
  readonly devices: readonly DeviceSpec[];
  readonly security: SecuritySpec;
  readonly resources: Resources;
  /** Relative to the sandbox's log directory: `<container>/<attempt>.log`, in CRI's log format. */
  readonly logPath: string;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  /** Signal name, such as SIGTERM or SIGRTMIN+3. */
  readonly stopSignal: string;
  /** PID namespace: its own, the sandbox's shared one, the host's, or that of another container. */
  readonly pid: NamespaceMode;
}

export type SandboxState = 'ready' | 'not-ready';

export interface SandboxStatus {
  readonly id: string;
  readonly metadata: SandboxConfig['metadata'];
  readonly state: SandboxState;
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Path that names the network namespace; absent with the host's network. */
  readonly networkNamespace?: string;
  /** What {@link SandboxNetwork.attach} gave. */
  readonly ips: readonly string[];
}

export type ContainerState = 'created' | 'running' | 'exited' | 'unknown';

export interface ContainerStatus {
  readonly id: string;
  readonly sandboxId: string;
  readonly metadata: ContainerConfig['metadata'];
  readonly state: ContainerState;
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  /** 128 + signal where a signal ended it. */
  readonly exitCode?: number;
  readonly signal?: number;
  /** Upstream's words: Completed, Error, OOMKilled, StartError, ContainerCannotRun, ContainerStatusUnknown (the supervisor itself was killed). */
  readonly reason?: string;
  readonly message?: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Absolute. */
  readonly logPath: string;
  /** On the host; only while running. */
  readonly pid?: number;
}

export interface ContainerStats {
  readonly id: string;
  readonly timestampMs: number;
  readonly cpuUsageNs: number;
  /** Absent where the kernel does not account memory for this cgroup: the sum of its processes' RSS then stands in `memoryRssBytes`. */
  readonly memoryUsageBytes?: number;
  readonly memoryWorkingSetBytes: number;
  readonly memoryRssBytes: number;
  readonly pids: number;
  readonly writableLayerBytes?: number;
}

export interface ExecRequest {
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Kills the session's processes after it; `exited` is 137 then. 0 or absent: never. */
  readonly timeoutMs?: number;
  readonly env?: readonly string[];
}

/** A session in a container. Ending it (`destroy`) ends its processes. */
export interface StreamSession extends AsyncDisposable {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  /** Absent with a tty. */
  readonly stderr: Readable | undefined;
  resize(columns: number, rows: number): void;
  /**
   * Exit code; 128 + signal where a signal ended it. An attach resolves when the container ends or its stream is closed. An execution
   * rejects when the session is destroyed before its end.
   */
  readonly exited: Promise<number>;
  destroy(): void;
}

export type ContainerEvent =
  | { readonly kind: 'started' | 'exited' | 'removed'; readonly sandboxId: string; readonly containerId: string }
  | { readonly kind: 'sandbox-changed'; readonly sandboxId: string };

/** Gives a sandbox its addresses. Implemented by the network package (structurally), or by CNI. */
export interface SandboxNetwork {
  /** Idempotent: the same sandbox gets the same addresses again. */
  attach(sandbox: {
    readonly id: string;
    readonly namespacePath: string;
    readonly metadata: SandboxConfig['metadata'];
  }): Promise<{ readonly ips: readonly string[] }>;
  /** Idempotent; the namespace may be gone already. */
  detach(sandbox: { readonly id: string; readonly namespacePath: string; readonly metadata: SandboxConfig['metadata'] }): Promise<void>;
}

/** What of {@link Resources} this host can hold, with the reason and the remedy in words where it cannot. */
export interface Enforcement {
  readonly controller: 'cpu' | 'memory' | 'pids';
  readonly enforced: boolean;
  readonly reason?: string;
  readonly remedy?: string;
}

/** Calls are idempotent where CRI says so: stopping what is stopped and removing what is gone succeed. */
export interface RuntimeService extends AsyncDisposable {
  readonly name: string;
  enforcement(): readonly Enforcement[];
  runSandbox(config: SandboxConfig, signal?: AbortSignal): Promise<SandboxStatus>;
  /** Kills every container of it and gives its network back. */
  stopSandbox(id: string): Promise<void>;
  removeSandbox(id: string): Promise<void>;
  sandboxStatus(id: string): Promise<SandboxStatus | undefined>;
  listSandboxes(): Promise<readonly SandboxStatus[]>;
  updateSandboxResources(id: string, resources: Resources): Promise<void>;

  createContainer(sandboxId: string, config: ContainerConfig, signal?: AbortSignal): Promise<string>;
  /** Resolves when the program has been executed. @throws {ContainerStartError} with upstream's reason (`StartError`, message naming file and errno). */
  startContainer(id: string, signal?: AbortSignal): Promise<void>;
  /** Sends the stop signal, then kills the cgroup after `graceMs`. Resolves when nothing of it runs any more. */
  stopContainer(id: string, graceMs: number): Promise<void>;
  removeContainer(id: string): Promise<void>;
  containerStatus(id: string): Promise<ContainerStatus | undefined>;
  listContainers(filter?: { readonly sandboxId?: string }): Promise<readonly ContainerStatus[]>;
  updateContainerResources(id: string, resources: Resources): Promise<void>;
  containerStats(id: string): Promise<ContainerStats | undefined>;
  /** Whole sandbox, network included: bytes by interface `eth0`. */
  sandboxStats(
    id: string,
  ): Promise<
    { readonly rxBytes: number; readonly txBytes: number; readonly cpuUsageNs: number; readonly memoryWorkingSetBytes: number } | undefined
  >;
  /** Starts a new log file after the present one was renamed. */
  reopenLog(id: string): Promise<void>;

  exec(id: string, request: ExecRequest, signal?: AbortSignal): Promise<StreamSession>;
  attach(id: string): Promise<StreamSession>;
  /** A connection to 127.0.0.1:`port` (or [::1]) inside the sandbox's network. */
  connect(sandboxId: string, port: number, signal?: AbortSignal): Promise<Duplex>;

  /** What changes from now on, within milliseconds and without polling. Ends with `signal`. Nothing is promised about the time before: list first after subscribing. */
  events(signal: AbortSignal): AsyncIterable<ContainerEvent>;
}
