/** crun and runc, as peers of the native runtime. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, runCommand, unpackedClosure } from '@dure/test-support';

/** What every container engine grants. */
const CAPABILITIES = [
  ...['CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'MKNOD', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP', 'SETPCAP'],
  ...['NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL', 'AUDIT_WRITE'],
].map((name) => `CAP_${name}`);

/** Calls that a filter as short as ours refuses. Longer lists, as engines write them, cost a peer more. */
const REFUSED_CALLS = [
  ...['add_key', 'keyctl', 'request_key', 'io_uring_enter', 'io_uring_register', 'io_uring_setup', 'userfaultfd', 'kexec_load', 'swapon'],
  ...['swapoff', 'bpf', 'fsconfig', 'fsmount', 'fsopen', 'mount', 'move_mount', 'open_tree', 'perf_event_open', 'pivot_root', 'quotactl'],
  ...['setdomainname', 'sethostname', 'setns', 'syslog', 'umount2', 'unshare', 'open_by_handle_at', 'reboot', 'init_module'],
  ...['finit_module', 'delete_module', 'acct', 'kcmp', 'ioperm', 'iopl', 'clock_settime', 'settimeofday', 'vhangup'],
];

export interface OciProgram {
  readonly name: string;
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
  readonly leading: readonly string[];
}

export interface BundleOptions {
  readonly rootfs: string;
  readonly args: readonly string[];
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly cgroup: string;
  /** Directory with files `net`, `ipc` and `uts` that name namespaces to join; absent: new ones. */
  readonly sandbox?: string;
}

/**
 * A runtime of a Debian package, started itself: through a dynamic linker, as other programs are, it would find the linker in /proc/self/exe,
 * which these programs execute again.
 * @param directory For links to libraries that the machine lacks; those it has must be its own, since its linker loads them.
 */
export async function ociProgram(name: 'crun' | 'runc', directory: string): Promise<OciProgram> {
  const leading = [...(name === 'crun' ? ['--cgroup-manager=cgroupfs'] : []), '--root', join(directory, `${name}-state`)];
  const shim = name === 'crun' ? await memlockShim(directory) : {};
  const installed = await findProgram(name);
  if (installed !== undefined) return { name, path: installed, env: { ...process.env, ...shim }, leading };
  const root = await unpackedClosure({ packages: [name] });
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const libraries = join(directory, `${name}-libraries`);
  mkdirSync(libraries);
  const missing = new Map<string, string>();
  for (const from of [`usr/lib/${triplet}`, `lib/${triplet}`]) {
    if (!existsSync(join(root, from))) continue;
    for (const file of readdirSync(join(root, from))) {
      const isHere = ['/usr/lib', '/lib'].some((base) => existsSync(join(base, triplet, file)));
      if (file.includes('.so') && !isHere) missing.set(file, join(root, from, file));
    }
  }
  for (const [file, path] of missing) symlinkSync(path, join(libraries, file));
  const path = ['usr/bin', 'usr/sbin'].map((bin) => join(root, bin, name)).find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error(`package ${name} has no program ${name}`);
  return { name, path, env: { ...process.env, ...shim, LD_LIBRARY_PATH: libraries }, leading };
}

const MEMLOCK_SHIM = `#define _GNU_SOURCE
#include <sys/resource.h>
static int set(int resource, const struct rlimit *limit) { return resource == RLIMIT_MEMLOCK ? 0 : prlimit(0, resource, limit, 0); }
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) { return set(resource, limit); }
int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit) { return set(resource, (const struct rlimit *)limit); }
`;
const CAP_SYS_RESOURCE = 24n;

/**
 * Where nobody may raise limits (machines that are containers themselves), crun gives up on its device program for a limit that kernels since 5.11
 * do not look at any more. Tells it that the limit was raised, so that it can be measured with that program. Empty where it is not needed.
 */
async function memlockShim(directory: string): Promise<NodeJS.ProcessEnv> {
  const effective = /^CapEff:\s+([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  if (((BigInt(`0x${effective}`) >> CAP_SYS_RESOURCE) & 1n) === 1n) return {};
  const library = join(directory, 'memlock.so');
  await runCommand('cc', ['-shared', '-fPIC', '-O2', '-o', library, '-x', 'c', '-'], { input: MEMLOCK_SHIM });
  return { LD_PRELOAD: library };
}

/** Writes a bundle with the isolation that the native runtime gives by default. */
export function writeBundle(directory: string, options: BundleOptions): void {
  const { rootfs, args, maskedPaths, readonlyPaths, cgroup, sandbox } = options;
  const shared = (type: string, file: string) => (sandbox === undefined ? { type } : { type, path: join(sandbox, file) });
  mkdirSync(directory, { recursive: true });
  const safe = ['nosuid', 'noexec', 'nodev'];
  const config = {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/bin'],
      cwd: '/',
      noNewPrivileges: true,
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
    },
    root: { path: rootfs, readonly: false },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: safe },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...safe, 'mode=1777', 'size=65536k'] },
      { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: safe },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...safe, 'ro'] },
      { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...safe, 'relatime', 'ro'] },
    ],
    linux: {
      cgroupsPath: cgroup,
      namespaces: [
        ...[{ type: 'pid' }, { type: 'mount' }, { type: 'cgroup' }],
        ...[shared('network', 'net'), shared('ipc', 'ipc'), shared('uts', 'uts')],
      ],
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      seccomp: {
        defaultAction: 'SCMP_ACT_ALLOW',
        architectures: [process.arch === 'arm64' ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64'],
        syscalls: [{ names: REFUSED_CALLS, action: 'SCMP_ACT_ERRNO' }],
      },
      maskedPaths,
      readonlyPaths,
    },
  };
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
}

/** One container from nothing to nothing. @throws {Error} The runtime failed. */
export function runBundle({ name, path, env, leading }: OciProgram, bundle: string, id: string): Promise<void> {
  const child = spawn(path, [...leading, 'run', '--bundle', bundle, id], { stdio: 'ignore', env });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${name} run ${bundle}: ${signal ?? `exit ${code}`}`));
    });
  });
}

/** What a container printed. */
export async function outputOfBundle({ path, env, leading }: OciProgram, bundle: string, id: string): Promise<string> {
  const { stdout } = await runCommand(path, [...leading, 'run', '--bundle', bundle, id], { env });
  return stdout;
}

/** Namespaces kept by files in `directory`, as a sandbox's are. */
export async function keepNamespaces(directory: string): Promise<AsyncDisposable> {
  mkdirSync(directory);
  const kinds = ['net', 'ipc', 'uts'];
  for (const kind of kinds) writeFileSync(join(directory, kind), '');
  await runCommand('unshare', [...kinds.map((kind) => `--${kind}=${join(directory, kind)}`), 'ip', 'link', 'set', 'lo', 'up']);
  return {
    async [Symbol.asyncDispose]() {
      for (const kind of kinds) await runCommand('umount', [join(directory, kind)]);
    },
  };
}
