import type { HostFacts } from './host-facts.ts';

export interface Finding {
  /** `error`: Dure cannot run here; `warning`: it runs, and this is missing. */
  readonly level: 'ok' | 'warning' | 'error';
  readonly subject: string;
  readonly message: string;
  readonly remedy?: string;
}

const CONTROLLERS = ['cpu', 'memory', 'pids'] as const;
const BUILD_TIME_MS = Date.UTC(2026, 10, 1);
const FREE_BYTES_MIN = 2 * 1024 ** 3;
const FREE_INODES_MIN = 50_000;
const FILESYSTEMS = ['overlay', 'tmpfs', 'proc', 'sysfs', 'devpts'];

/** What a person should know of this machine before Dure runs on it. Pure. */
export function examine(facts: HostFacts): readonly Finding[] {
  return [
    nodeFinding(facts),
    rootFinding(facts),
    programsFinding(facts),
    filesystemsFinding(facts),
    ...cgroupFindings(facts),
    clockFinding(facts),
    addressFinding(facts),
    routeFinding(facts),
    ...diskFindings(facts),
  ];
}

function nodeFinding({ nodeVersion }: HostFacts): Finding {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const fits = major > 20 || (major === 20 && minor >= 19);
  return fits
    ? ok('Node.js', nodeVersion)
    : { level: 'error', subject: 'Node.js', message: `${nodeVersion} is too old`, remedy: 'install Node.js 20.19 or newer' };
}

function rootFinding({ root }: HostFacts): Finding {
  return root
    ? ok('user', 'root')
    : { level: 'error', subject: 'user', message: 'not root', remedy: 'run dure as root: it makes namespaces, mounts and cgroups' };
}

function programsFinding({ missingPrograms }: HostFacts): Finding {
  if (missingPrograms.length === 0) return ok('programs', 'all found');
  return {
    level: 'error',
    subject: 'programs',
    message: `not found: ${missingPrograms.join(', ')}`,
    remedy: 'apt-get install -y iproute2 nftables util-linux mount',
  };
}

function filesystemsFinding({ filesystems }: HostFacts): Finding {
  const missing = FILESYSTEMS.filter((type) => !filesystems.has(type));
  if (missing.length === 0) return ok('kernel', `has ${FILESYSTEMS.join(', ')}`);
  return {
    level: 'error',
    subject: 'kernel',
    message: `does not know ${missing.join(', ')}`,
    remedy: `modprobe ${missing.join(' ')}, or use a kernel that has them`,
  };
}

function cgroupFindings({ mounts, controllers, v2Controllers, bootLineFile }: HostFacts): readonly Finding[] {
  if (![...mounts.values()].includes('cgroup2')) {
    return [
      {
        level: 'error',
        subject: 'cgroups',
        message: 'no cgroup v2 tree is mounted',
        remedy: 'mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified, or boot with systemd.unified_cgroup_hierarchy=1',
      },
    ];
  }
  return CONTROLLERS.map((name): Finding => {
    if (v2Controllers.has(name)) return ok(`${name} limits`, 'enforced');
    const controller = controllers.get(name);
    const subject = `${name} limits`;
    if (controller !== undefined && !controller.enabled) {
      const words = name === 'memory' ? 'cgroup_enable=memory cgroup_memory=1' : `cgroup_enable=${name}`;
      // A Raspberry Pi's firmware switches it off and its kernel knows words against that; other kernels know no such words.
      const change =
        bootLineFile === undefined
          ? `remove "cgroup_disable=${name}" from the kernel command line`
          : `add "${words}" to the one line of ${bootLineFile}`;
      return {
        level: 'warning',
        subject,
        message: `not enforced: the ${name} controller is switched off in the boot line`,
        remedy: `${change} and reboot`,
      };
    }
    if (controller !== undefined && controller.hierarchy !== 0) {
      return {
        level: 'warning',
        subject,
        message: `not enforced: the ${name} controller belongs to cgroup v1`,
        remedy: 'boot with systemd.unified_cgroup_hierarchy=1 (or without mounting cgroup v1)',
      };
    }
    return {
      level: 'warning',
      subject,
      message: `not enforced: the kernel has no ${name} controller on cgroup v2`,
      remedy: `use a kernel built with the ${name} controller`,
    };
  });
}

function clockFinding({ wallMs }: HostFacts): Finding {
  const now = new Date(wallMs).toISOString().slice(0, 16);
  return wallMs >= BUILD_TIME_MS
    ? ok('clock', now)
    : {
        level: 'warning',
        subject: 'clock',
        message: `says ${now}, before this program was made; certificates will look not yet valid`,
        remedy: 'set the clock (timedatectl set-ntp true)',
      };
}

function addressFinding({ addresses }: HostFacts): Finding {
  return addresses.length > 0
    ? ok('addresses', addresses.join(', '))
    : { level: 'warning', subject: 'addresses', message: 'none but loopback: the cluster will be reachable from this machine only' };
}

function routeFinding({ hasDefaultRoute }: HostFacts): Finding {
  return hasDefaultRoute
    ? ok('default route', 'present')
    : {
        level: 'warning',
        subject: 'default route',
        message: 'none: images can only come from this network or from archives',
        remedy: 'dure image import FILE',
      };
}

function diskFindings({ dataFreeBytes, dataFreeInodes, dataFilesystem }: HostFacts): readonly Finding[] {
  const gib = (dataFreeBytes / 1024 ** 3).toFixed(1);
  const space: Finding =
    dataFreeBytes < FREE_BYTES_MIN
      ? { level: 'warning', subject: 'disk', message: `${gib} GiB free for data`, remedy: 'free some space, or choose another --data-dir' }
      : dataFreeInodes < FREE_INODES_MIN
        ? {
            level: 'warning',
            subject: 'disk',
            message: `${dataFreeInodes} inodes free for data`,
            remedy: 'remove files, or choose another --data-dir',
          }
        : ok('disk', `${gib} GiB free`);
  const type: Finding =
    dataFilesystem === 'overlay'
      ? {
          level: 'error',
          subject: 'data directory',
          message: 'lies on an overlay, which cannot hold the writable layers of containers',
          remedy: 'choose a --data-dir on a disk',
        }
      : ok('data directory', `on ${dataFilesystem}`);
  return [space, type];
}

function ok(subject: string, message: string): Finding {
  return { level: 'ok', subject, message };
}
