import type { SandboxConfig } from './contract.ts';
import type { Directive } from './plan.ts';
import type { SandboxPaths } from './state-paths.ts';

/** Upstream's default for a Pod's /dev/shm. */
const SHM_BYTES = 64 * 1024 * 1024;

/**
 * Other runtimes set these two in every Pod network of its own, and images rely on it: ports below 1024 and ping without rights.
 * What the Pod asks for comes after and wins.
 */
const DEFAULT_NETWORK_SYSCTLS: Readonly<Record<string, string>> = {
  'net.ipv4.ip_unprivileged_port_start': '0',
  'net.ipv4.ping_group_range': '0 2147483647',
};

/** The namespaces and mounts of a sandbox, kept without a process. Undone by {@link planSandboxRemoval}. */
export function planSandbox(config: SandboxConfig, paths: SandboxPaths, cgroup: string): readonly Directive[] {
  const { network, ipc, pid } = config.namespaces;
  const plan: Directive[] = [];
  if (network === 'pod') plan.push(['unshare', 'net']);
  if (ipc === 'pod') plan.push(['unshare', 'ipc']);
  // With the node's network the hostname is the node's too, as upstream has it.
  if (network === 'pod') plan.push(['unshare', 'uts'], ['hostname', config.hostname]);
  if (network === 'pod') plan.push(['loopback']);
  const sysctls = { ...(network === 'pod' ? DEFAULT_NETWORK_SYSCTLS : {}), ...config.sysctls };
  for (const [name, value] of Object.entries(sysctls)) plan.push(['sysctl', sysctlPath(name), value]);
  if (network === 'pod') plan.push(['keep', 'net', paths.networkNamespace], ['keep', 'uts', paths.utsNamespace]);
  if (ipc === 'pod') {
    plan.push(['keep', 'ipc', paths.ipcNamespace]);
    plan.push(['mount', 'tmpfs', 'shm', paths.shm, 'nosuid,nodev,noexec', `mode=1777,size=${SHM_BYTES}`]);
  }
  if (pid === 'pod') plan.push(['cgroup', cgroup], ['reaper', paths.directory]);
  return plan;
}

/** Gives back every mount of a sandbox; those that are not there are no error. */
export function planSandboxRemoval(paths: SandboxPaths): readonly Directive[] {
  return [paths.shm, paths.ipcNamespace, paths.utsNamespace, paths.networkNamespace].map((path): Directive => ['unmount', path]);
}

/** `net.ipv4.tcp_syncookies` or `net/ipv4/conf/eth0.1/forwarding`: whichever separator comes first is the separator. @see sysctl(8) */
export function sysctlPath(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  const path = first === '.' ? name.replace(/[./]/g, (separator) => (separator === '.' ? '/' : '.')) : name;
  return `/proc/sys/${path}`;
}
