import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Clock, errnoCode, messageOf } from '@dure/foundation';
import { type CgroupWrite, CONTROLLERS, type Controller, describeEnforcement, planLimits } from './cgroup-plan.ts';
import type { Enforcement, Resources } from './contract.ts';
import { RuntimeHostError } from './errors.ts';
import { parseMountTable } from './mount-table.ts';

const REMOVE_DEADLINE_MS = 10_000;
const REMOVE_STEP_MS = 2;

/** Finds the cgroup v2 mount wherever it is: /sys/fs/cgroup, or beneath it on hybrid layouts. @throws {RuntimeHostError} There is none. */
export async function findCgroupMount(): Promise<string> {
  const mounts = parseMountTable(await readFile('/proc/self/mountinfo', 'utf8'));
  const found = mounts.filter(({ type }) => type === 'cgroup2').map(({ target }) => target);
  const mount =
    found.find((target) => target === '/sys/fs/cgroup') ?? found.find((target) => target.startsWith('/sys/fs/cgroup/')) ?? found[0];
  if (mount === undefined) {
    throw new RuntimeHostError(
      'no cgroup v2 file system is mounted',
      'mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup (or /sys/fs/cgroup/unified)',
    );
  }
  return mount;
}

/** This node's part of the cgroup tree: `<mount>/dure/<node>`. */
export class CgroupTree {
  readonly mount: string;
  readonly root: string;
  readonly supervisors: string;
  readonly #usable: Set<Controller>;
  readonly #enforcement: readonly Enforcement[];
  readonly #delegated = new Set<string>();
  readonly #clock: Clock;

  private constructor(mount: string, root: string, usable: Set<Controller>, enforcement: readonly Enforcement[], clock: Clock) {
    this.mount = mount;
    this.root = root;
    this.supervisors = join(root, 'supervisors');
    this.#usable = usable;
    this.#enforcement = enforcement;
    this.#clock = clock;
  }

  /** Makes the root and finds out what can be held in it. */
  static async open(mount: string, name: string, clock: Clock): Promise<CgroupTree> {
    const root = join(mount, 'dure', name);
    await mkdir(join(root, 'supervisors'), { recursive: true });
    const refused = new Map<Controller, string>();
    for (const directory of [mount, dirname(root), root]) {
      for (const [controller, why] of await delegate(directory)) refused.set(controller, why);
    }
    const usable = await probe(root, refused);
    const procCgroups = await readFile('/proc/cgroups', 'utf8').catch(() => '');
    return new CgroupTree(mount, root, usable, describeEnforcement({ usable, procCgroups, refused }), clock);
  }

  enforcement(): readonly Enforcement[] {
    return this.#enforcement;
  }

  /** Makes `relative` with every cgroup above it, controllers enabled on the way, and limits it. Returns its directory. */
  async make(relative: string, resources: Resources | undefined, leaf: boolean): Promise<string> {
    const directory = join(this.root, relative);
    await this.#delegateDown(leaf ? dirname(directory) : directory);
    await mkdir(directory, { recursive: true });
    if (resources !== undefined) await this.limit(directory, resources, leaf);
    return directory;
  }

  /** Writes what can be held. @throws {Error} The kernel refused a value. */
  async limit(directory: string, resources: Resources, leaf: boolean): Promise<void> {
    for (const write of planLimits(resources, this.#usable, leaf)) await apply(directory, write);
  }

  /** Kills everything in it and removes it with what is beneath. Fine when it is gone. @throws {Error} It could not be emptied in 10 s. */
  async remove(directory: string): Promise<void> {
    this.forget(directory);
    await kill(directory);
    const until = this.#clock.monotonicMs() + REMOVE_DEADLINE_MS;
    for (;;) {
      const failure = await removeTree(directory);
      if (failure === undefined) return;
      if (this.#clock.monotonicMs() > until) throw new Error(`remove cgroup ${directory}: ${messageOf(failure)}`, { cause: failure });
      // The kernel tells no one when the last killed process has left; it takes microseconds to a few milliseconds.
      await this.#clock.sleep(REMOVE_STEP_MS);
      await kill(directory);
    }
  }

  /** Removes `directory` when nothing is left in it. */
  async removeIfEmpty(directory: string): Promise<void> {
    await rmdir(directory).then(
      () => this.forget(directory),
      () => undefined,
    );
  }

  forget(directory: string): void {
    for (const known of this.#delegated) if (known === directory || known.startsWith(`${directory}/`)) this.#delegated.delete(known);
  }

  async #delegateDown(directory: string): Promise<void> {
    if (this.#delegated.has(directory) || directory === this.root || !directory.startsWith(`${this.root}/`)) return;
    await this.#delegateDown(dirname(directory));
    await mkdir(directory, { recursive: true });
    for (const controller of this.#usable) await set(join(directory, 'cgroup.subtree_control'), `+${controller}`);
    this.#delegated.add(directory);
  }
}

/** SIGKILL to everything in `directory` and beneath. Fine when it is gone. */
export async function kill(directory: string): Promise<void> {
  try {
    await set(join(directory, 'cgroup.kill'), '1');
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
    // Gone, or a kernel before 5.14: then one by one.
    for (const pid of await processesBeneath(directory)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
  }
}

/** Every process in `directory` and beneath; none when it is gone. */
export async function processesBeneath(directory: string): Promise<readonly number[]> {
  const own = await readFile(join(directory, 'cgroup.procs'), 'utf8').catch(() => '');
  const pids = own
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
  for (const child of await childrenOf(directory)) pids.push(...(await processesBeneath(child)));
  return pids;
}

async function childrenOf(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(directory, entry.name));
}

async function removeTree(directory: string): Promise<unknown> {
  for (const child of await childrenOf(directory)) {
    const failure = await removeTree(child);
    if (failure !== undefined) return failure;
  }
  try {
    await rmdir(directory);
    return undefined;
  } catch (error) {
    return errnoCode(error) === 'ENOENT' ? undefined : error;
  }
}

/** One write each: a list is all or nothing, and a Pi without the memory controller would lose cpu and pids too. */
async function delegate(directory: string): Promise<ReadonlyMap<Controller, string>> {
  const offered = (await readFile(join(directory, 'cgroup.controllers'), 'utf8').catch(() => '')).trim().split(' ');
  const refused = new Map<Controller, string>();
  for (const controller of CONTROLLERS) {
    if (!offered.includes(controller)) continue;
    try {
      await set(join(directory, 'cgroup.subtree_control'), `+${controller}`);
    } catch (error) {
      refused.set(controller, `${directory}: ${messageOf(error)}`);
    }
  }
  return refused;
}

/** Writes a limit into a cgroup made for it and reads it back. */
async function probe(root: string, refused: Map<Controller, string>): Promise<Set<Controller>> {
  const directory = join(root, 'probe');
  await mkdir(directory, { recursive: true });
  const usable = new Set<Controller>();
  const probes: Readonly<Record<Controller, readonly [file: string, value: string]>> = {
    cpu: ['cpu.max', '50000 100000'],
    memory: ['memory.max', '67108864'],
    pids: ['pids.max', '100'],
  };
  try {
    for (const controller of CONTROLLERS) {
      const [file, value] = probes[controller];
      try {
        await set(join(directory, file), value);
        if ((await readFile(join(directory, file), 'utf8')).trim() === value) usable.add(controller);
      } catch (error) {
        if (errnoCode(error) !== 'ENOENT') refused.set(controller, messageOf(error));
      }
    }
  } finally {
    await rmdir(directory);
  }
  return usable;
}

async function apply(directory: string, { file, value, optional }: CgroupWrite): Promise<void> {
  try {
    await set(join(directory, file), value);
  } catch (error) {
    if (optional && errnoCode(error) === 'ENOENT') return;
    throw new Error(`write ${value} to ${directory}/${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** Without O_CREAT: a file the kernel does not know then says ENOENT instead of a misleading EACCES. */
async function set(path: string, value: string): Promise<void> {
  await writeFile(path, value, { flag: 'r+' });
}
