import * as baseline from './baseline-checks.ts';
import type { Check, Finding, PodShape } from './finding.ts';
import type { Standard } from './policy.ts';
import * as restricted from './restricted-checks.ts';

interface VersionedCheck {
  readonly name: string;
  /** From which release 1.MINOR on which form holds, oldest first. */
  readonly forms: readonly (readonly [minor: number, check: Check])[];
  /** A weaker check of `baseline` that it stands for. */
  readonly replaces?: string;
}

const SYSCTLS_1_0 = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
];
const SYSCTLS_1_27 = [...SYSCTLS_1_0, 'net.ipv4.ip_local_reserved_ports'];
const SYSCTLS_1_29 = [
  ...SYSCTLS_1_27,
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
];
const SYSCTLS_1_32 = [...SYSCTLS_1_29, 'net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem'];
const SELINUX_1_0 = ['container_t', 'container_init_t', 'container_kvm_t'];
const SELINUX_1_31 = [...SELINUX_1_0, 'container_engine_t'];

/** In the order in which clients see them. */
const BASELINE: readonly VersionedCheck[] = [
  { name: 'appArmorProfile', forms: [[0, baseline.appArmorProfile]] },
  { name: 'capabilities_baseline', forms: [[0, baseline.defaultCapabilities]] },
  { name: 'hostNamespaces', forms: [[0, baseline.hostNamespaces]] },
  { name: 'hostPathVolumes', forms: [[0, baseline.hostPathVolumes]] },
  { name: 'hostPorts', forms: [[0, baseline.hostPorts]] },
  { name: 'hostProbesAndHostLifecycle', forms: [[34, baseline.hostProbes]] },
  { name: 'privileged', forms: [[0, baseline.privileged]] },
  {
    name: 'procMount',
    forms: [
      [0, baseline.procMount],
      [35, baseline.unlessOwnUsers(baseline.procMount)],
    ],
  },
  {
    name: 'seLinuxOptions',
    forms: [
      [0, baseline.seLinuxOptions(SELINUX_1_0)],
      [31, baseline.seLinuxOptions(SELINUX_1_31)],
    ],
  },
  {
    name: 'seccompProfile_baseline',
    forms: [
      [0, baseline.seccompAnnotations],
      [19, baseline.seccompProfile],
    ],
  },
  {
    name: 'sysctls',
    forms: [
      [0, baseline.sysctls(SYSCTLS_1_0)],
      [27, baseline.sysctls(SYSCTLS_1_27)],
      [29, baseline.sysctls(SYSCTLS_1_29)],
      [32, baseline.sysctls(SYSCTLS_1_32)],
    ],
  },
  { name: 'windowsHostProcess', forms: [[0, baseline.windowsHostProcess]] },
];

const RESTRICTED: readonly VersionedCheck[] = [
  {
    name: 'allowPrivilegeEscalation',
    forms: [
      [8, restricted.allowPrivilegeEscalation],
      [25, restricted.unlessWindows(restricted.allowPrivilegeEscalation)],
    ],
  },
  {
    name: 'capabilities_restricted',
    forms: [
      [22, restricted.fewestCapabilities],
      [25, restricted.unlessWindows(restricted.fewestCapabilities)],
    ],
    replaces: 'capabilities_baseline',
  },
  { name: 'procMount_restricted', forms: [[35, baseline.procMount]], replaces: 'procMount' },
  { name: 'restrictedVolumes', forms: [[0, restricted.restrictedVolumes]], replaces: 'hostPathVolumes' },
  {
    name: 'runAsNonRoot',
    forms: [
      [0, restricted.runAsNonRoot],
      [35, baseline.unlessOwnUsers(restricted.runAsNonRoot)],
    ],
  },
  {
    name: 'runAsUser',
    forms: [
      [23, restricted.runAsUser],
      [35, baseline.unlessOwnUsers(restricted.runAsUser)],
    ],
  },
  {
    name: 'seccompProfile_restricted',
    forms: [
      [19, restricted.ownSeccompProfile],
      [25, restricted.unlessWindows(restricted.ownSeccompProfile)],
    ],
    replaces: 'seccompProfile_baseline',
  },
];

/** What keeps `pod` from the standard; nothing: it is up to it. */
export function evaluatePod({ level, minor }: Standard, pod: PodShape): readonly Finding[] {
  if (level === 'privileged') return [];
  const release = minor === 'latest' ? Number.POSITIVE_INFINITY : minor;
  const formOf = ({ forms }: VersionedCheck): Check | undefined => forms.findLast(([since]) => since <= release)?.[1];
  const strict = level === 'restricted' ? RESTRICTED.filter((check) => formOf(check) !== undefined) : [];
  const replaced = new Set(strict.map(({ replaces }) => replaces));
  return [...BASELINE.filter(({ name }) => !replaced.has(name)), ...strict]
    .map((check) => formOf(check)?.(pod))
    .filter((finding) => finding !== undefined);
}

/** `host namespaces, privileged`. */
export function reasonsOf(findings: readonly Finding[]): string {
  return findings.map(({ reason }) => reason).join(', ');
}

/** `host namespaces (hostPID=true), privileged (container "a" must not set ...)`. */
export function detailsOf(findings: readonly Finding[]): string {
  return findings.map(({ reason, detail }) => `${reason} (${detail})`).join(', ');
}
