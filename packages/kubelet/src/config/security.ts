import { join } from 'node:path';
import type { Container, Pod } from '@dure/api';
import type { SeccompProfile, SecuritySpec } from '@dure/runtime';
import { podFullName } from '../pod-identity.ts';
import { ContainerConfigError } from './config-error.ts';
import { type AccountFiles, resolveUser } from './image-user.ts';

/** Paths of /proc and /sys that tell about or change the host. @see https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md */
export const MASKED_PATHS = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
] as const;
export const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'] as const;

export interface SecurityInput {
  readonly pod: Pod;
  readonly container: Container;
  /** The image's `user`. */
  readonly imageUser: string;
  readonly accounts: AccountFiles;
  /** Directory of `localhostProfile` files. */
  readonly seccompDir: string;
}

/** @throws {ContainerConfigError} The identity breaks `runAsNonRoot`, or the image's user is unknown. */
export function securityOf({ pod, container, imageUser, accounts, seccompDir }: SecurityInput): SecuritySpec {
  const podContext = pod.spec?.securityContext ?? {};
  const context = container.securityContext ?? {};
  const privileged = context.privileged ?? false;
  const runAsUser = context.runAsUser ?? podContext.runAsUser;
  const runAsGroup = context.runAsGroup ?? podContext.runAsGroup;
  const runAsNonRoot = context.runAsNonRoot ?? podContext.runAsNonRoot ?? false;
  if (runAsNonRoot) verifyNonRoot(pod, container, runAsUser, imageUser);

  const identity = resolveUser(runAsUser === undefined ? imageUser : String(runAsUser), accounts);
  if (identity === undefined) throw new ContainerConfigError(`unable to find user ${imageUser}: no matching entries in passwd file`);
  const strict = podContext.supplementalGroupsPolicy === 'Strict';
  const groups = new Set([
    ...(strict ? [] : identity.groups),
    ...(podContext.supplementalGroups ?? []).map(Number),
    ...(podContext.fsGroup === undefined ? [] : [Number(podContext.fsGroup)]),
  ]);
  const unmasked = privileged || context.procMount === 'Unmasked';
  const appArmor = context.appArmorProfile ?? podContext.appArmorProfile;
  return {
    uid: identity.uid,
    gid: Number(runAsGroup ?? identity.gid),
    supplementalGroups: [...groups].sort((a, b) => a - b),
    capabilities: { add: context.capabilities?.add ?? [], drop: context.capabilities?.drop ?? [] },
    privileged,
    noNewPrivileges: context.allowPrivilegeEscalation === false && !privileged,
    readOnlyRoot: context.readOnlyRootFilesystem ?? false,
    seccomp: seccompOf(pod, container, privileged, seccompDir),
    maskedPaths: unmasked ? [] : MASKED_PATHS,
    readonlyPaths: unmasked ? [] : READONLY_PATHS,
    ...(appArmor?.type === 'Localhost' && appArmor.localhostProfile !== undefined ? { appArmorProfile: appArmor.localhostProfile } : {}),
  };
}

function verifyNonRoot(pod: Pod, container: Container, runAsUser: number | bigint | undefined, imageUser: string): void {
  const where = `(pod: "${podFullName(pod)}", container: ${container.name})`;
  if (runAsUser !== undefined) {
    if (runAsUser === 0) throw new ContainerConfigError(`container's runAsUser breaks non-root policy ${where}`);
    return;
  }
  const [user = ''] = imageUser.split(':');
  if (user === '' || user === '0') throw new ContainerConfigError(`container has runAsNonRoot and image will run as root ${where}`);
  if (!/^\d+$/.test(user)) {
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${user}), cannot verify user is non-root ${where}`,
    );
  }
}

function seccompOf(pod: Pod, container: Container, privileged: boolean, seccompDir: string): SeccompProfile {
  const profile = container.securityContext?.seccompProfile ?? pod.spec?.securityContext?.seccompProfile;
  if (privileged || profile === undefined) return { kind: 'unconfined' };
  switch (profile.type) {
    case 'RuntimeDefault':
      return { kind: 'default' };
    case 'Localhost':
      return { kind: 'file', path: join(seccompDir, profile.localhostProfile ?? '') };
    default:
      return { kind: 'unconfined' };
  }
}

/** Namespaced sysctls that cannot harm neighbours. @see https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/ */
const SAFE_SYSCTLS: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);

/** The first sysctl of the Pod that a node does not allow, unless `allowed` names it. */
export function forbiddenSysctl(pod: Pod, allowed: ReadonlySet<string> = new Set()): string | undefined {
  return pod.spec?.securityContext?.sysctls
    ?.map(({ name }) => name.replaceAll('/', '.'))
    .find((name) => !SAFE_SYSCTLS.has(name) && !allowed.has(name));
}
