import type { Enforcement, Resources } from './contract.ts';

export type Controller = Enforcement['controller'];
export const CONTROLLERS: readonly Controller[] = ['cpu', 'memory', 'pids'];

const CPU_PERIOD_US = 100_000;
/** The kernel refuses a smaller quota; 1 to 9 millicores are legal in Kubernetes and get this. */
const CPU_QUOTA_MIN_US = 1_000;

/** One file of a cgroup and what it shall hold. `optional`: older kernels have no such file. */
export interface CgroupWrite {
  readonly file: string;
  readonly value: string;
  readonly optional: boolean;
}

/**
 * The files that hold `resources` on a cgroup, as far as `available` controllers can. What is absent is set back to no limit, so that
 * the same function serves an update.
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html
 */
export function planLimits(resources: Resources, available: ReadonlySet<Controller>, leaf: boolean): readonly CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  const write = (file: string, value: string, optional = false): void => {
    writes.push({ file, value, optional });
  };
  if (available.has('cpu')) {
    write('cpu.weight', String(cpuWeight(resources.cpuRequestMillis ?? 0)));
    write('cpu.max', `${cpuQuotaUs(resources.cpuLimitMillis)} ${CPU_PERIOD_US}`);
  }
  if (available.has('memory')) {
    write('memory.max', resources.memoryLimitBytes === undefined ? 'max' : String(resources.memoryLimitBytes));
    // Swap would turn a memory limit into a slow node; upstream's default is none.
    write('memory.swap.max', '0', true);
    // A program that lost one of its processes is broken: all or none, as upstream does since 1.28.
    if (leaf) write('memory.oom.group', '1', true);
  }
  if (available.has('pids')) write('pids.max', resources.pidsMax === undefined ? 'max' : String(resources.pidsMax));
  return writes;
}

/** 1 to 10 000 from millicores, by way of cgroup v1 shares as upstream converts them. @see KEP-2254 */
export function cpuWeight(requestMillis: number): number {
  const shares = Math.min(Math.max(Math.floor((requestMillis * 1024) / 1000), 2), 262_144);
  return Math.floor(1 + ((shares - 2) * 9999) / 262_142);
}

function cpuQuotaUs(limitMillis: number | undefined): string {
  if (limitMillis === undefined || limitMillis === 0) return 'max';
  return String(Math.max(Math.floor((limitMillis * CPU_PERIOD_US) / 1000), CPU_QUOTA_MIN_US));
}

/** What was found about the control groups of this host. */
export interface CgroupFacts {
  /** Controllers that our own cgroup offers, and that could be enabled. */
  readonly usable: ReadonlySet<Controller>;
  /** Text of /proc/cgroups. */
  readonly procCgroups: string;
  /** Why enabling failed, where the controller was offered. */
  readonly refused: ReadonlyMap<Controller, string>;
}

/** What is enforced, and where it is not: why, and what a person can do. */
export function describeEnforcement({ usable, procCgroups, refused }: CgroupFacts): readonly Enforcement[] {
  return CONTROLLERS.map((controller) => {
    if (usable.has(controller)) return { controller, enforced: true };
    const refusal = refused.get(controller);
    if (refusal !== undefined) {
      return {
        controller,
        enforced: false,
        reason: `the kernel refused to enable it: ${refusal}`,
        remedy: 'run the agent with a delegated cgroup (systemd: Delegate=yes) and no other program in its parent',
      };
    }
    const line = procCgroups.split('\n').find((candidate) => candidate.startsWith(`${controller}\t`));
    const [, hierarchy, , enabled] = line?.split('\t') ?? [];
    if (line === undefined) {
      return {
        controller,
        enforced: false,
        reason: 'this kernel was built without it',
        remedy: 'use a kernel with this controller (CONFIG_MEMCG, CONFIG_CGROUP_SCHED with CONFIG_CFS_BANDWIDTH, CONFIG_CGROUP_PIDS)',
      };
    }
    if (enabled === '0') {
      return {
        controller,
        enforced: false,
        reason: 'it is switched off on the kernel command line',
        remedy:
          controller === 'memory'
            ? 'on a Raspberry Pi add "cgroup_enable=memory cgroup_memory=1" to the one line of /boot/firmware/cmdline.txt (older systems: /boot/cmdline.txt), elsewhere remove cgroup_disable=memory from the kernel command line, and reboot'
            : `remove cgroup_disable=${controller} from the kernel command line and reboot`,
      };
    }
    if (hierarchy !== '0') {
      return {
        controller,
        enforced: false,
        reason: 'it is bound to a cgroup v1 hierarchy (hybrid layout)',
        remedy:
          'boot with cgroup v2 only: add "systemd.unified_cgroup_hierarchy=1" to the kernel command line (with another init: cgroup_no_v1=all) and reboot',
      };
    }
    return {
      controller,
      enforced: false,
      reason: 'it is not delegated to our cgroup',
      remedy: 'run the agent where its cgroup offers this controller (systemd: Delegate=yes)',
    };
  });
}
