import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { Clock, Logger } from '@dure/foundation';
import type { CgroupTree } from './cgroup-tree.ts';
import type { Resources, SandboxConfig, SandboxNetwork, SandboxStatus } from './contract.ts';
import { RuntimeNotFoundError, UserNamespaceError } from './errors.ts';
import type { EventHub } from './event-hub.ts';
import type { HostApplier } from './host.ts';
import { readJson, writeJson } from './json-file.ts';
import { parseMountTable } from './mount-table.ts';
import { planSandbox, planSandboxRemoval } from './plan-sandbox.ts';
import { isAlive, type ProcessIdentity } from './process-identity.ts';
import type { StatePaths } from './state-paths.ts';

/** Beside the Pod's containers in its cgroup; holds the reaper of a shared PID namespace. */
const REAPER_CGROUP = 'sandbox';

/** What is written once a sandbox is whole. Its absence beside a configuration means: the making was interrupted. */
interface SandboxRecord {
  readonly createdAtMs: number;
  readonly ips: readonly string[];
  readonly stopped: boolean;
  readonly reaper?: ProcessIdentity;
}

export interface Sandbox extends SandboxRecord {
  readonly id: string;
  readonly config: SandboxConfig;
}

export interface SandboxesDeps {
  readonly paths: StatePaths;
  readonly cgroups: CgroupTree;
  readonly host: HostApplier;
  readonly network: SandboxNetwork;
  readonly events: EventHub;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The same (uid, attempt) always names the same sandbox, so that an interrupted caller finds what it began. */
export function sandboxId({ uid, attempt }: SandboxConfig['metadata']): string {
  return createHash('sha256').update(`${uid}/${attempt}`).digest('hex');
}

/** Whether a name in a directory shared with others can be one of ours. */
export function isSandboxId(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/** Sandboxes: kept namespaces, addresses, and the Pod's cgroup. */
export class Sandboxes {
  readonly #deps: SandboxesDeps;
  readonly #known = new Map<string, Sandbox>();
  readonly #making = new Map<string, Promise<Sandbox>>();

  constructor(deps: SandboxesDeps) {
    this.#deps = deps;
  }

  /** Reads what is there. What was interrupted in its making is taken away; what the kernel lost is not ready. */
  async recover(): Promise<void> {
    const { paths, log } = this.#deps;
    const mounted = new Set(parseMountTable(await readFile('/proc/self/mountinfo', 'utf8')).map(({ target }) => target));
    for (const id of await readdir(paths.sandboxes)) {
      const config = await readJson<SandboxConfig>(paths.sandbox(id).config);
      const record = await readJson<SandboxRecord>(paths.sandbox(id).status);
      if (config === undefined || record === undefined) {
        log.info('sandbox was interrupted in its making; removing it', { sandboxId: id });
        await this.#dismantle(id, config).catch((error: unknown) => log.warn('half made sandbox stays', { sandboxId: id, error }));
        continue;
      }
      const lost =
        (config.namespaces.network === 'pod' && !mounted.has(paths.sandbox(id).networkNamespace)) ||
        (record.reaper !== undefined && !(await isAlive(record.reaper)));
      this.#known.set(id, { id, config, ...record, stopped: record.stopped || lost });
    }
  }

  async run(config: SandboxConfig, signal?: AbortSignal): Promise<Sandbox> {
    if (config.namespaces.user !== undefined) throw new UserNamespaceError();
    const id = sandboxId(config.metadata);
    const making = this.#making.get(id);
    if (making !== undefined) return making;
    const known = this.#known.get(id);
    if (known !== undefined && !known.stopped) return known;
    if (known !== undefined) await this.remove(id);
    const made = this.#make(id, config, signal).finally(() => this.#making.delete(id));
    this.#making.set(id, made);
    return made;
  }

  get(id: string): Sandbox | undefined {
    return this.#known.get(id);
  }

  /** @throws {RuntimeNotFoundError} */
  need(id: string): Sandbox {
    const sandbox = this.#known.get(id);
    if (sandbox === undefined) throw new RuntimeNotFoundError('sandbox', id);
    return sandbox;
  }

  all(): readonly Sandbox[] {
    return [...this.#known.values()];
  }

  status({ id, config, createdAtMs, ips, stopped }: Sandbox): SandboxStatus {
    return {
      id,
      metadata: config.metadata,
      state: stopped ? 'not-ready' : 'ready',
      createdAtMs,
      labels: config.labels,
      annotations: config.annotations,
      ...(config.namespaces.network === 'pod' ? { networkNamespace: this.#deps.paths.sandbox(id).networkNamespace } : {}),
      ips,
    };
  }

  /** After its containers are dead: the network goes back, the namespaces go. */
  async stop(id: string): Promise<void> {
    await this.#making.get(id)?.catch(() => undefined);
    const sandbox = this.#known.get(id);
    if (sandbox === undefined || sandbox.stopped) return;
    await this.#release(sandbox.id, sandbox.config);
    const stopped = { ...sandbox, stopped: true };
    await this.#save(stopped);
    this.#deps.events.emit({ kind: 'sandbox-changed', sandboxId: id });
  }

  async remove(id: string): Promise<void> {
    await this.stop(id);
    const sandbox = this.#known.get(id);
    if (sandbox === undefined) return;
    await this.#dismantle(id, sandbox.config);
    this.#known.delete(id);
    this.#deps.events.emit({ kind: 'sandbox-changed', sandboxId: id });
  }

  async limit(id: string, resources: Resources): Promise<void> {
    const { cgroups } = this.#deps;
    await cgroups.make(this.need(id).config.cgroupParent, resources, false);
  }

  async #make(id: string, config: SandboxConfig, signal?: AbortSignal): Promise<Sandbox> {
    const { paths, cgroups, host, network, clock, events } = this.#deps;
    const where = paths.sandbox(id);
    await mkdir(where.shm, { recursive: true });
    await Promise.all([
      writeJson(where.config, config),
      writeFile(where.hostname, `${config.hostname}\n`),
      mkdir(config.logDirectory, { recursive: true, mode: 0o755 }),
    ]);
    try {
      await cgroups.make(config.cgroupParent, config.resources ?? {}, false);
      const reaperCgroup = config.namespaces.pid === 'pod' ? await cgroups.make(`${config.cgroupParent}/${REAPER_CGROUP}`, {}, true) : '';
      const answer = await host.apply('make sandbox', planSandbox(config, where, reaperCgroup), signal);
      const ips =
        config.namespaces.network === 'pod'
          ? (await network.attach({ id, namespacePath: where.networkNamespace, metadata: config.metadata })).ips
          : [];
      signal?.throwIfAborted();
      const reaper = reaperOf(answer);
      const sandbox: Sandbox = { id, config, createdAtMs: clock.now(), ips, stopped: false, ...(reaper === undefined ? {} : { reaper }) };
      await this.#save(sandbox);
      events.emit({ kind: 'sandbox-changed', sandboxId: id });
      return sandbox;
    } catch (error) {
      await this.#dismantle(id, config);
      throw error;
    }
  }

  async #save(sandbox: Sandbox): Promise<void> {
    const { createdAtMs, ips, stopped, reaper } = sandbox;
    const record: SandboxRecord = { createdAtMs, ips, stopped, ...(reaper === undefined ? {} : { reaper }) };
    await writeJson(this.#deps.paths.sandbox(sandbox.id).status, record);
    this.#known.set(sandbox.id, sandbox);
  }

  /** Network, reaper and mounts; each may be gone already. */
  async #release(id: string, config: SandboxConfig): Promise<void> {
    const { paths, cgroups, host, network } = this.#deps;
    const where = paths.sandbox(id);
    if (config.namespaces.network === 'pod') {
      await network.detach({ id, namespacePath: where.networkNamespace, metadata: config.metadata });
    }
    if (config.namespaces.pid === 'pod') await cgroups.remove(`${cgroups.root}/${config.cgroupParent}/${REAPER_CGROUP}`);
    await host.apply('take sandbox apart', planSandboxRemoval(where));
  }

  async #dismantle(id: string, config: SandboxConfig | undefined): Promise<void> {
    const { paths, cgroups, host } = this.#deps;
    const where = paths.sandbox(id);
    if (config === undefined) {
      await host.apply('take sandbox apart', planSandboxRemoval(where));
    } else {
      await this.#release(id, config);
      // Another attempt of the same Pod may live in this cgroup; then it stays.
      await cgroups.removeIfEmpty(`${cgroups.root}/${config.cgroupParent}`);
    }
    await rm(where.networkNamespace, { force: true });
    await rm(where.directory, { recursive: true, force: true });
  }
}

function reaperOf(answer: unknown): ProcessIdentity | undefined {
  if (typeof answer !== 'object' || answer === null || !('pid' in answer) || !('pidStartTime' in answer)) return undefined;
  return { pid: Number(answer.pid), startTime: String(answer.pidStartTime) };
}
