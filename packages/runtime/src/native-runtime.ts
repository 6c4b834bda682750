import { constants } from 'node:fs';
import { access, type FileHandle, mkdir, open, readdir, readFile, rm, rmdir, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Clock, type Logger, messageOf, type Random, systemRandom } from '@dure/foundation';
import { CgroupTree, findCgroupMount } from './cgroup-tree.ts';
import { Containers, programOf } from './containers.ts';
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
  SandboxNetwork,
  SandboxStatus,
  StreamSession,
} from './contract.ts';
import { RuntimeHostError, RuntimeStateError } from './errors.ts';
import { EventHub } from './event-hub.ts';
import { type HostApplier, hostApplier, ownCapabilities } from './host.ts';
import { parseMountTable } from './mount-table.ts';
import { connectInNamespace } from './network-connection.ts';
import type { Directive } from './plan.ts';
import { isSandboxId, Sandboxes } from './sandboxes.ts';
import { SeccompFilters } from './seccomp.ts';
import { type StatePaths, statePaths } from './state-paths.ts';
import { cgroupUsage, networkBytes } from './stats.ts';

const OVERLAYFS_MAGIC = 0x794c7630;

export interface NativeRuntimeOptions {
  /** Names the node's part of the cgroup tree. */
  readonly nodeName: string;
  /** On tmpfs, such as `/run/dure/<node>`: what a reboot must forget. */
  readonly runDir: string;
  /** On disk, not on overlayfs: the containers' writable layers. */
  readonly stateDir: string;
  readonly network: SandboxNetwork;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random?: Random;
  /** `dure-run`. Default: where this package's build puts it. */
  readonly binary?: string;
  /** Where cgroup v2 is mounted. Default: found in /proc/self/mountinfo. */
  readonly cgroupMount?: string;
}

/** The runtime that is Dure's own: Linux namespaces and cgroup v2 through `dure-run`. */
export interface NativeRuntime extends RuntimeService {
  /** Kills every container and removes every mount, cgroup, namespace and directory this node's runtime ever made. Closes it. */
  tearDown(): Promise<void>;
}

/** Where the package's `build` script puts `dure-run`, seen from these sources; a bundle must find its own way. */
export const builtBinary: string = fileURLToPath(new URL('../build/dure-run', import.meta.url));

/**
 * Opens the runtime on what is there: containers of an earlier process are found again, with their logs and exit codes whole.
 * @throws {RuntimeHostError} The machine lacks something, with the remedy in words.
 */
export async function openNativeRuntime(options: NativeRuntimeOptions): Promise<NativeRuntime> {
  const { nodeName, runDir, stateDir, network, clock, log, random = systemRandom, binary = builtBinary } = options;
  await checkBinary(binary);
  const paths = statePaths(runDir, stateDir);
  for (const directory of [paths.sandboxes, paths.containers, paths.networkNamespaces, dirname(paths.binary), paths.layers]) {
    await mkdir(directory, { recursive: true, mode: 0o711 });
  }
  const direct = hostApplier(binary, runDir, random);
  await checkLayers(paths.layers, direct);
  const cgroups = await CgroupTree.open(options.cgroupMount ?? (await findCgroupMount()), nodeName, clock);
  await forgetEarlierBoot(paths, direct);
  await bindBinary(binary, paths, direct);
  const host = hostApplier(paths.binary, runDir, random);
  const events = new EventHub();
  const sandboxes = new Sandboxes({ paths, cgroups, host, network, events, clock, log });
  const directory = await open(paths.containers, constants.O_RDONLY | constants.O_DIRECTORY);
  const capabilities = await ownCapabilities();
  const hidden = [runDir, stateDir];
  const containers = new Containers({
    paths,
    cgroups,
    sandboxes,
    events,
    clock,
    random,
    log,
    capabilities,
    seccomp: new SeccompFilters(process.arch),
    hidden,
    directoryFd: directory.fd,
  });
  try {
    await sandboxes.recover();
    await containers.recover();
  } catch (error) {
    containers.close();
    await directory.close();
    throw error;
  }
  return new Native({ paths, cgroups, direct, events, sandboxes, containers, directory, clock });
}

interface NativeParts {
  readonly paths: StatePaths;
  readonly cgroups: CgroupTree;
  readonly direct: HostApplier;
  readonly events: EventHub;
  readonly sandboxes: Sandboxes;
  readonly containers: Containers;
  readonly directory: FileHandle;
  readonly clock: Clock;
}

class Native implements NativeRuntime {
  readonly name = 'native';
  readonly #parts: NativeParts;
  #closed = false;

  constructor(parts: NativeParts) {
    this.#parts = parts;
  }

  enforcement(): readonly Enforcement[] {
    return this.#parts.cgroups.enforcement();
  }

  async runSandbox(config: SandboxConfig, signal?: AbortSignal): Promise<SandboxStatus> {
    const { sandboxes } = this.#parts;
    return sandboxes.status(await sandboxes.run(config, signal));
  }

  async stopSandbox(id: string): Promise<void> {
    const { sandboxes, containers } = this.#parts;
    await Promise.all(containers.all(id).map((container) => containers.stop(container.id, 0)));
    await sandboxes.stop(id);
  }

  async removeSandbox(id: string): Promise<void> {
    const { sandboxes, containers } = this.#parts;
    await this.stopSandbox(id);
    await Promise.all(containers.all(id).map((container) => containers.remove(container.id)));
    await sandboxes.remove(id);
  }

  async sandboxStatus(id: string): Promise<SandboxStatus | undefined> {
    const sandbox = this.#parts.sandboxes.get(id);
    return sandbox === undefined ? undefined : this.#parts.sandboxes.status(sandbox);
  }

  async listSandboxes(): Promise<readonly SandboxStatus[]> {
    const { sandboxes } = this.#parts;
    return sandboxes.all().map((sandbox) => sandboxes.status(sandbox));
  }

  async updateSandboxResources(id: string, resources: Resources): Promise<void> {
    await this.#parts.sandboxes.limit(id, resources);
  }

  async createContainer(sandboxId: string, config: ContainerConfig, signal?: AbortSignal): Promise<string> {
    const { sandboxes, containers } = this.#parts;
    signal?.throwIfAborted();
    const sandbox = sandboxes.need(sandboxId);
    if (sandbox.stopped) throw new RuntimeStateError(`create container ${config.metadata.name}: sandbox ${sandboxId} is not ready`);
    return containers.create(sandbox, config);
  }

  async startContainer(id: string, signal?: AbortSignal): Promise<void> {
    await this.#parts.containers.start(id, signal);
  }

  async stopContainer(id: string, graceMs: number): Promise<void> {
    await this.#parts.containers.stop(id, graceMs);
  }

  async removeContainer(id: string): Promise<void> {
    await this.#parts.containers.remove(id);
  }

  async containerStatus(id: string): Promise<ContainerStatus | undefined> {
    const container = this.#parts.containers.get(id);
    return container === undefined ? undefined : this.#parts.containers.status(container);
  }

  async listContainers(filter?: { readonly sandboxId?: string }): Promise<readonly ContainerStatus[]> {
    const { containers } = this.#parts;
    return containers.all(filter?.sandboxId).map((container) => containers.status(container));
  }

  async updateContainerResources(id: string, resources: Resources): Promise<void> {
    await this.#parts.containers.limit(id, resources);
  }

  async containerStats(id: string): Promise<ContainerStats | undefined> {
    const container = this.#parts.containers.get(id);
    if (container === undefined || programOf(container) === undefined) return undefined;
    const usage = await cgroupUsage(container.cgroup);
    return usage === undefined ? undefined : { id, timestampMs: this.#parts.clock.now(), ...usage };
  }

  async sandboxStats(
    id: string,
  ): Promise<
    { readonly rxBytes: number; readonly txBytes: number; readonly cpuUsageNs: number; readonly memoryWorkingSetBytes: number } | undefined
  > {
    const { sandboxes, containers, cgroups } = this.#parts;
    const sandbox = sandboxes.get(id);
    if (sandbox === undefined) return undefined;
    const usage = await cgroupUsage(join(cgroups.root, sandbox.config.cgroupParent));
    if (usage === undefined) return undefined;
    const pid = containers
      .all(id)
      .map(programOf)
      .find((program) => program !== undefined)?.pid;
    const bytes = pid === undefined ? undefined : await networkBytes(pid);
    return { rxBytes: 0, txBytes: 0, ...bytes, cpuUsageNs: usage.cpuUsageNs, memoryWorkingSetBytes: usage.memoryWorkingSetBytes };
  }

  async reopenLog(id: string): Promise<void> {
    await this.#parts.containers.reopenLog(id);
  }

  async exec(id: string, request: ExecRequest, signal?: AbortSignal): Promise<StreamSession> {
    return this.#parts.containers.exec(id, request, signal);
  }

  async attach(id: string): Promise<StreamSession> {
    return this.#parts.containers.attach(id);
  }

  async connect(sandboxId: string, port: number, signal?: AbortSignal): Promise<Duplex> {
    const { sandboxes, paths } = this.#parts;
    const { config } = sandboxes.need(sandboxId);
    const namespace = config.namespaces.network === 'pod' ? paths.sandbox(sandboxId).networkNamespace : undefined;
    return connectInNamespace(paths.binary, namespace, port, signal);
  }

  events(signal: AbortSignal): AsyncIterable<ContainerEvent> {
    return this.#parts.events.subscribe(signal);
  }

  async tearDown(): Promise<void> {
    const { sandboxes, containers, paths, cgroups, direct } = this.#parts;
    await Promise.all(sandboxes.all().map(({ id }) => this.removeSandbox(id)));
    await Promise.all(containers.all().map(({ id }) => containers.remove(id)));
    await this[Symbol.asyncDispose]();
    await removeState(paths, direct);
    await direct.apply('release the helper', [['unmount', paths.binary]]);
    await cgroups.remove(cgroups.root);
    // Other nodes of this machine may share the first, our own network the second.
    for (const directory of [dirname(cgroups.root), paths.networkNamespaces]) await rmdir(directory).catch(() => undefined);
    for (const path of [dirname(paths.binary), paths.bootId, paths.layers]) await rm(path, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#parts.containers.close();
    this.#parts.events.close();
    await this.#parts.directory.close();
  }
}

async function checkBinary(binary: string): Promise<void> {
  try {
    await access(binary, constants.X_OK);
  } catch (cause) {
    throw new RuntimeHostError(`${binary} is missing`, 'build it: node build.mjs in packages/runtime (needs cc and the static C library)', {
      cause,
    });
  }
}

/** An overlay's writable layer cannot lie on overlayfs (which is what a read-only Raspberry Pi root is), nor on every other file system: tried. */
async function checkLayers(directory: string, host: HostApplier): Promise<void> {
  const remedy = 'put the data directory on ext4, xfs, btrfs or a tmpfs';
  if ((await statfs(directory)).type === OVERLAYFS_MAGIC) {
    throw new RuntimeHostError(`${directory} lies on overlayfs, which cannot hold writable layers`, remedy);
  }
  const probe = join(directory, 'probe');
  const [lower, upper, work, target] = ['lower', 'upper', 'work', 'target'].map((name) => join(probe, name)) as [
    string,
    string,
    string,
    string,
  ];
  const escaped = (path: string): string => path.replace(/[\\,:]/g, '\\$&');
  try {
    for (const path of [lower, upper, work, target]) await mkdir(path, { recursive: true });
    const options = `volatile,lowerdir=${escaped(lower)},upperdir=${escaped(upper)},workdir=${escaped(work)}`;
    await host.apply('try an overlay', [
      ['mount', 'overlay', 'overlay', target, 'nodev', options],
      ['unmount', target],
    ]);
  } catch (cause) {
    throw new RuntimeHostError(`${directory} cannot hold writable layers: ${messageOf(cause)}`, remedy, { cause });
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}

/** Directories that outlived a reboot describe what is no more: nothing in them may be taken for running. */
async function forgetEarlierBoot(paths: StatePaths, host: HostApplier): Promise<void> {
  const now = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const then = await readFile(paths.bootId, 'utf8').catch(() => undefined);
  if (then === now) return;
  if (then !== undefined) {
    await removeState(paths, host);
    for (const directory of [paths.sandboxes, paths.containers]) await mkdir(directory, { recursive: true, mode: 0o711 });
  }
  await writeFile(paths.bootId, now);
}

/** Unmounts and deletes what sandboxes and containers have in the run directory. Others live there too: the node's network, volumes. */
async function removeState(paths: StatePaths, host: HostApplier): Promise<void> {
  const kept = (await readdir(paths.networkNamespaces))
    .filter((name) => isSandboxId(name))
    .map((name) => join(paths.networkNamespaces, name));
  const ours = (target: string): boolean =>
    kept.includes(target) || [paths.sandboxes, paths.containers].some((directory) => target.startsWith(`${directory}/`));
  const mounts = parseMountTable(await readFile('/proc/self/mountinfo', 'utf8')).filter(({ target }) => ours(target));
  await host.apply(
    'unmount what is left',
    mounts.toReversed().map(({ target }): Directive => ['unmount', target]),
  );
  for (const path of [...kept, paths.sandboxes, paths.containers]) await rm(path, { recursive: true, force: true });
}

/**
 * Programs entered into containers run from a read-only mount: code in a container can open /proc/<pid>/exe of a helper, and would
 * otherwise write over the host's own file (CVE-2019-5736).
 */
async function bindBinary(binary: string, paths: StatePaths, host: HostApplier): Promise<void> {
  const mounted = parseMountTable(await readFile('/proc/self/mountinfo', 'utf8')).some(({ target }) => target === paths.binary);
  if (mounted) {
    const [bound, source] = await Promise.all([stat(paths.binary), stat(binary)]);
    if (bound.ino === source.ino && bound.dev === source.dev) return;
    // A newer one: those that run keep theirs.
    await host.apply('release the helper', [['unmount', paths.binary]]);
  }
  await writeFile(paths.binary, '');
  await host.apply('bind the helper read-only', [['bind', binary, paths.binary, 'ro,nodev', 'private']]);
}
