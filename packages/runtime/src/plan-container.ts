import { capabilityBits } from './capabilities.ts';
import type { ContainerConfig, MountSpec, SandboxConfig, SecuritySpec } from './contract.ts';
import { compileDeviceProgram, DEFAULT_DEVICE_RULES, type DeviceRule } from './device-program.ts';
import type { HostRootPlan } from './host-root.ts';
import type { Directive } from './plan.ts';
import type { ProcessIdentity } from './process-identity.ts';
import type { ContainerPaths, SandboxPaths } from './state-paths.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const DEFAULT_UMASK = 0o022;
/** The group that owns terminals on every Linux distribution. */
const TTY_GROUP = 5;
/** dup2 of the image's files into a program's own table: RLIMIT_NOFILE and RLIMIT_CORE by number, the same on every architecture here. */
const RLIMIT_NOFILE = 7;
const NOFILE_SOFT = 1024 * 1024;

/** A device node on this host. */
export interface HostDevice {
  readonly path: string;
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What the plan of a container is made from besides its own configuration: facts, read before. */
export interface ContainerFacts {
  readonly sandbox: SandboxConfig;
  readonly sandboxPaths: SandboxPaths;
  readonly paths: ContainerPaths;
  /** Absolute. */
  readonly cgroup: string;
  readonly supervisorCgroup: string;
  readonly logPath: string;
  /** Capabilities of this very process: none above them can be given. */
  readonly availableCapabilities: bigint;
  /** PID 1 of a shared PID namespace, or the program whose namespace is joined. */
  readonly pidNamespaceOf?: ProcessIdentity;
  /** Of `config.devices`, in order; for a privileged container every device of the host. */
  readonly devices: readonly (HostDevice & { readonly containerPath: string; readonly permissions: string })[];
  /** With `rootfs.kind` host. */
  readonly hostRoot?: HostRootPlan;
  /** Compiled for this machine; absent: none is installed. */
  readonly seccomp?: Uint8Array;
  /** A terminal's first size. */
  readonly terminal?: { readonly columns: number; readonly rows: number };
}

/** The whole container as directives, from namespaces to argv. Pure; throws only for what no kernel could do. @throws {UnknownCapabilityError} */
export function planContainer(config: ContainerConfig, facts: ContainerFacts): readonly Directive[] {
  const { paths } = facts;
  return [
    ['state', paths.directory],
    ['log', facts.logPath],
    ['supervisor-cgroup', facts.supervisorCgroup],
    ['cgroup', facts.cgroup],
    ['devices', compileDeviceProgram(deviceRules(config.security, facts))],
    ...namespaces(config, facts),
    ['root', paths.rootfs],
    ...rootFileSystem(config, facts),
    ...(config.tty ? [['terminal', facts.terminal?.columns ?? 0, facts.terminal?.rows ?? 0] as const] : []),
    ['stdin', config.stdin || config.tty ? (config.stdinOnce ? 'once' : 'open') : 'none'],
    ...(config.resources.oomScoreAdj === undefined ? [] : [['oom-score-adj', config.resources.oomScoreAdj] as const]),
    ...planProcess(config, config.command, config.env, facts),
  ];
}

/** The last stage, the same for the program and for what is executed beside it. */
export function planProcess(
  config: Pick<ContainerConfig, 'security' | 'workingDir' | 'tty'>,
  command: readonly string[],
  env: readonly string[],
  facts: Pick<ContainerFacts, 'availableCapabilities' | 'seccomp' | 'sandbox'>,
): readonly Directive[] {
  const { security } = config;
  const bounding = boundingSet(security, facts.availableCapabilities).toString(16);
  const root = security.uid === 0;
  return [
    ['umask', DEFAULT_UMASK],
    ['rlimit', RLIMIT_NOFILE, NOFILE_SOFT.toString(16), NOFILE_SOFT.toString(16)],
    ['user', security.uid, security.gid],
    ['groups', ...new Set([security.gid, ...security.supplementalGroups])],
    // Inheritable stays empty (CVE-2022-24769), and a user other than root starts with none, as exec would have it.
    ['capabilities', bounding, root ? bounding : '0', root ? bounding : '0', '0', '0'],
    ...(security.noNewPrivileges ? [['no-new-privileges'] as const] : []),
    ...(facts.seccomp === undefined ? [] : [['seccomp', facts.seccomp] as const]),
    ...(security.appArmorProfile === undefined ? [] : [['apparmor', security.appArmorProfile] as const]),
    ['home'],
    ['directory', config.workingDir === '' ? '/' : config.workingDir],
    ...withDefaults(env, config.tty, facts.sandbox).map((entry): Directive => ['environment', entry]),
    ...command.map((argument): Directive => ['argument', argument]),
  ];
}

/** The capabilities a container can ever have. @throws {UnknownCapabilityError} */
export function boundingSet(security: SecuritySpec, available: bigint): bigint {
  return capabilityBits({ ...security.capabilities, privileged: security.privileged }, available);
}

function withDefaults(env: readonly string[], tty: boolean, sandbox: SandboxConfig): readonly string[] {
  const has = (name: string): boolean => env.some((entry) => entry.startsWith(`${name}=`));
  return [
    ...(has('PATH') ? [] : [`PATH=${DEFAULT_PATH}`]),
    ...(has('HOSTNAME') ? [] : [`HOSTNAME=${sandbox.hostname}`]),
    ...(tty && !has('TERM') ? ['TERM=xterm'] : []),
    ...env,
  ];
}

function namespaces({ pid, security }: ContainerConfig, { sandbox, sandboxPaths, pidNamespaceOf }: ContainerFacts): readonly Directive[] {
  const plan: Directive[] = [];
  if (sandbox.namespaces.network === 'pod')
    plan.push(['join', 'net', sandboxPaths.networkNamespace], ['join', 'uts', sandboxPaths.utsNamespace]);
  if (sandbox.namespaces.ipc === 'pod') plan.push(['join', 'ipc', sandboxPaths.ipcNamespace]);
  if (pidNamespaceOf !== undefined) plan.push(['join-process', 'pid', pidNamespaceOf.pid, pidNamespaceOf.startTime]);
  else if (pid !== 'node') plan.push(['unshare', 'pid']);
  // A privileged container manages the host's cgroups, so it sees them.
  if (!security.privileged) plan.push(['unshare', 'cgroup']);
  return plan;
}

function rootFileSystem(config: ContainerConfig, facts: ContainerFacts): readonly Directive[] {
  const { security } = config;
  const { paths, sandbox, sandboxPaths, hostRoot } = facts;
  const layers = config.rootfs.kind === 'layers' ? config.rootfs.lowerDirs : ['/'];
  const access = security.privileged ? '' : ',ro';
  const mounted = new Set(config.mounts.map(({ target }) => normalTarget(target)));
  return [
    // The writable layer is as short-lived as the container, so nothing of it needs to be forced to disk.
    ['overlay', 'volatile', paths.upper, paths.work, ...layers],
    ...(hostRoot?.directives ?? []),
    ['mount', 'proc', 'proc', '/proc', 'nosuid,nodev,noexec', ''],
    ['mount', 'sysfs', 'sysfs', '/sys', `nosuid,nodev,noexec${access}`, ''],
    ['mount', 'cgroup2', 'cgroup2', '/sys/fs/cgroup', `nosuid,nodev,noexec,relatime${access}`, ''],
    ['mount', 'tmpfs', 'tmpfs', '/dev', `nosuid,strictatime${security.privileged ? '' : ',nodev'}`, 'mode=755,size=65536k'],
    ['mount', 'devpts', 'devpts', '/dev/pts', 'nosuid,noexec', `newinstance,ptmxmode=0666,mode=0620,gid=${TTY_GROUP}`],
    ['mount', 'mqueue', 'mqueue', '/dev/mqueue', 'nosuid,nodev,noexec', ''],
    ...(mounted.has('/dev/shm')
      ? []
      : [
          ['bind', sandbox.namespaces.ipc === 'pod' ? sandboxPaths.shm : '/dev/shm', '/dev/shm', 'nosuid,nodev,noexec', 'private'] as const,
        ]),
    ...deviceNodes(security, facts),
    ['symlink', '/proc/self/fd', '/dev/fd'],
    ['symlink', '/proc/self/fd/0', '/dev/stdin'],
    ['symlink', '/proc/self/fd/1', '/dev/stdout'],
    ['symlink', '/proc/self/fd/2', '/dev/stderr'],
    ['symlink', 'pts/ptmx', '/dev/ptmx'],
    ...(mounted.has('/etc/hostname')
      ? []
      : [['bind', sandboxPaths.hostname, '/etc/hostname', security.readOnlyRoot ? 'ro,nodev' : 'nodev', 'private'] as const]),
    ...byDepth(config.mounts).map((mount) => bindMount(mount, security)),
    ...security.maskedPaths.map((path): Directive => ['mask', path]),
    ...security.readonlyPaths.map((path): Directive => ['readonly', path]),
    ['root-flags', security.readOnlyRoot ? 'ro,nodev' : security.privileged ? '' : 'nodev'],
  ];
}

/**
 * Device nodes are bound from the host upon a /dev that is itself `nodev`: a node made in it opens nothing. A privileged container
 * has a great many, and may make them anyway, so they are made.
 */
function deviceNodes(security: SecuritySpec, { devices }: ContainerFacts): readonly Directive[] {
  if (security.privileged) {
    return devices.map(({ containerPath, type, major, minor, mode, uid, gid }) => [
      'mknod',
      containerPath,
      type,
      major,
      minor,
      mode & 0o7777,
      uid,
      gid,
    ]);
  }
  const usual = ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => ({
    path: `/dev/${name}`,
    containerPath: `/dev/${name}`,
  }));
  return [...usual, ...devices].map(({ path, containerPath }) => ['bind', path, containerPath, 'nosuid,noexec', 'private']);
}

function deviceRules(security: SecuritySpec, { devices }: ContainerFacts): readonly DeviceRule[] {
  if (security.privileged) return [{ type: 'a', access: 'rwm' }];
  return [...DEFAULT_DEVICE_RULES, ...devices.map(({ type, major, minor, permissions }) => ({ type, major, minor, access: permissions }))];
}

function bindMount(mount: MountSpec, security: SecuritySpec): Directive {
  if (mount.tmpfsSizeBytes !== undefined) {
    const size = mount.tmpfsSizeBytes > 0 ? `,size=${mount.tmpfsSizeBytes}` : '';
    return ['mount', 'tmpfs', 'tmpfs', mount.target, `nosuid,nodev${mount.readOnly ? ',ro' : ''}`, `mode=1777${size}`];
  }
  const attributes = [
    ...(security.privileged ? [] : ['rnodev']),
    ...(mount.readOnly ? [mount.recursiveReadOnly === true ? 'rro' : 'ro'] : []),
  ];
  return ['bind', mount.source, mount.target, attributes.join(','), mount.propagation];
}

/** Outer ones first, or they would hide the inner; equal ones in the order given. */
function byDepth(mounts: readonly MountSpec[]): readonly MountSpec[] {
  const depth = ({ target }: MountSpec): number => normalTarget(target).split('/').length;
  return mounts.toSorted((a, b) => depth(a) - depth(b));
}

function normalTarget(target: string): string {
  return target.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
}
