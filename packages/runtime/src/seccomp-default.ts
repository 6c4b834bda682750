/**
 * The profile RuntimeDefault. Given as what containers may *not* do, since that is the short list: calls that change the kernel, the
 * clock, mounts and namespaces, or that have been ways out before; each given back with the capability that governs it. The same calls
 * are kept from containers by the usual engines.
 */
import type { ArgumentTest, CallRule } from './seccomp-compiler.ts';
import type { SyscallNumbers } from './syscall-numbers.ts';

const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const EPERM = 1;
const ENOSYS = 38;

/** Nobody gets these, not even with every capability: what they reach is not held in namespaces, or they are gone. */
const NEVER = [
  'add_key',
  'keyctl',
  'request_key',
  'io_uring_enter',
  'io_uring_register',
  'io_uring_setup',
  'userfaultfd',
  'nfsservctl',
  'create_module',
  'get_kernel_syms',
  'query_module',
  'kexec_file_load',
  'kexec_load',
  '_sysctl',
  'sysfs',
  'uselib',
  'ustat',
  'vm86',
  'vm86old',
  'swapon',
  'swapoff',
  'afs_syscall',
  'tuxcall',
  'security',
  'putpmsg',
  'getpmsg',
  'vserver',
  'map_shadow_stack',
];

/** Calls by the capability that gives them back. */
const BY_CAPABILITY: Readonly<Record<string, readonly string[]>> = {
  SYS_ADMIN: [
    'bpf',
    'clone3',
    'fanotify_init',
    'fsconfig',
    'fsmount',
    'fsopen',
    'fspick',
    'lookup_dcookie',
    'lsm_set_self_attr',
    'mount',
    'mount_setattr',
    'move_mount',
    'open_tree',
    'open_tree_attr',
    'perf_event_open',
    'pivot_root',
    'quotactl',
    'quotactl_fd',
    'setdomainname',
    'sethostname',
    'setns',
    'syslog',
    'umount',
    'umount2',
    'unshare',
  ],
  DAC_READ_SEARCH: ['open_by_handle_at'],
  BPF: ['bpf'],
  PERFMON: ['perf_event_open'],
  SYS_BOOT: ['reboot'],
  SYS_CHROOT: ['chroot'],
  SYS_MODULE: ['delete_module', 'finit_module', 'init_module'],
  SYS_PACCT: ['acct'],
  SYS_PTRACE: ['kcmp', 'pidfd_getfd', 'process_madvise'],
  SYS_RAWIO: ['ioperm', 'iopl', 'pciconfig_iobase', 'pciconfig_read', 'pciconfig_write'],
  SYS_TIME: ['clock_adjtime', 'clock_adjtime64', 'clock_settime', 'clock_settime64', 'settimeofday', 'stime'],
  SYS_TTY_CONFIG: ['vhangup'],
  SYS_NICE: ['get_mempolicy', 'mbind', 'migrate_pages', 'move_pages', 'set_mempolicy', 'set_mempolicy_home_node'],
  SYSLOG: ['syslog'],
};

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NEW_NAMESPACES = 0x7e020000n;
/** Sockets between a virtual machine and its host know no network namespace. */
const AF_VSOCK = 40n;
/** PER_LINUX, PER_BSD as some programs ask, ADDR_COMPAT_LAYOUT and the question itself. */
const PERSONALITIES = [0x0n, 0x8n, 0x20000n, 0x20008n, 0xffffffffn];

const equals = (index: number, value: bigint): ArgumentTest => ({ index, comparison: 'EQ', value, valueTwo: 0n });

/** The decisions for one architecture. @param capabilities Without `CAP_`. */
export function defaultRules(numbers: SyscallNumbers, capabilities: ReadonlySet<string>): ReadonlyMap<string, readonly CallRule[]> {
  const allowed: readonly CallRule[] = [{ tests: [], action: ALLOW }];
  const refused: readonly CallRule[] = [{ tests: [], action: ERRNO | EPERM }];
  const kept = new Set(NEVER);
  for (const calls of Object.values(BY_CAPABILITY)) for (const call of calls) kept.add(call);
  for (const [capability, calls] of Object.entries(BY_CAPABILITY))
    if (capabilities.has(capability)) for (const call of calls) kept.delete(call);
  const rules = new Map<string, readonly CallRule[]>();
  for (const name of numbers.keys()) rules.set(name, kept.has(name) ? refused : allowed);

  if (!capabilities.has('SYS_ADMIN')) {
    // Its flags lie in memory, where a filter cannot look; C libraries fall back to clone when it is not there.
    rules.set('clone3', [{ tests: [], action: ERRNO | ENOSYS }]);
    rules.set('clone', [{ tests: [{ index: 0, comparison: 'MASKED_EQ', value: NEW_NAMESPACES, valueTwo: 0n }], action: ALLOW }]);
  }
  rules.set(
    'personality',
    PERSONALITIES.map((value) => ({ tests: [equals(0, value)], action: ALLOW })),
  );
  rules.set('socket', [{ tests: [{ index: 0, comparison: 'NE', value: AF_VSOCK, valueTwo: 0n }], action: ALLOW }]);
  return rules;
}
