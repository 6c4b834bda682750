/** What isolation a container has, as a program inside of it sees. */

const NAMESPACES = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'] as const;

/** For busybox' shell, as root, with `cat`, `grep`, `head`, `mknod`, `readlink` and `wc` at hand. Prints lines for {@link parseIsolation}. */
export const ISOLATION_SCRIPT = [
  `for n in ${NAMESPACES.join(' ')}; do echo "ns $(readlink /proc/self/ns/$n)"; done`,
  "grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status",
  'echo "timer_list $(head -c 1 /proc/timer_list 2>/dev/null | wc -c)"',
  'if (echo x > /proc/sys/kernel/domainname) 2>/dev/null; then echo "proc_sys writable"; else echo "proc_sys read-only"; fi',
  'if (echo 1 > /sys/fs/cgroup/cgroup.freeze) 2>/dev/null; then echo "cgroup writable"; else echo "cgroup read-only"; fi',
  // The machine's root disk, whichever it is: only whether the device rules let it be opened matters.
  'mknod /block b $0 $1 2>/dev/null; if head -c 1 /block >/dev/null 2>&1; then echo "disk readable"; else echo "disk refused"; fi',
].join('; ');

export interface Isolation {
  /** Kinds of namespaces that are not the outside's. */
  readonly ownNamespaces: readonly string[];
  /** The bounding set, in hexadecimal. */
  readonly capabilities: string;
  readonly noNewPrivileges: boolean;
  readonly seccomp: boolean;
  /** What must not be seen of /proc is covered. */
  readonly masked: boolean;
  readonly procSysReadOnly: boolean;
  readonly cgroupReadOnly: boolean;
  /** A device node for the machine's disk, made inside, cannot be opened. */
  readonly devicesRefused: boolean;
}

/** @param outside Namespaces of the machine, as links in /proc/PID/ns read. @throws {Error} `text` is not what the script prints. */
export function parseIsolation(text: string, outside: ReadonlySet<string>): Isolation {
  const value = (name: string): string => {
    const found = new RegExp(`^${name}:?\\s+(\\S+)$`, 'm').exec(text)?.[1];
    if (found === undefined) throw new Error(`no ${name} in what the program inside printed:\n${text}`);
    return found;
  };
  return {
    ownNamespaces: [...text.matchAll(/^ns ((\w+):\[\d+\])$/gm)].flatMap(([, link = '', kind = '']) => (outside.has(link) ? [] : [kind])),
    capabilities: value('CapBnd'),
    noNewPrivileges: value('NoNewPrivs') === '1',
    seccomp: value('Seccomp') === '2',
    masked: value('timer_list') === '0',
    procSysReadOnly: value('proc_sys') === 'read-only',
    cgroupReadOnly: value('cgroup') === 'read-only',
    devicesRefused: value('disk') === 'refused',
  };
}

export function renderIsolation(isolation: Isolation): string {
  const { ownNamespaces, capabilities, noNewPrivileges, seccomp, masked, procSysReadOnly, cgroupReadOnly, devicesRefused } = isolation;
  const yes = (is: boolean): string => (is ? 'yes' : 'NO');
  return [
    `own namespaces: ${ownNamespaces.join(' ')}`,
    `capabilities ${capabilities}`,
    `no_new_privs: ${yes(noNewPrivileges)}`,
    `seccomp filter: ${yes(seccomp)}`,
    `/proc masked: ${yes(masked)}`,
    `/proc/sys read-only: ${yes(procSysReadOnly)}`,
    `cgroup read-only: ${yes(cgroupReadOnly)}`,
    `disk refused: ${yes(devicesRefused)}`,
  ].join('; ');
}
