import type { MountEntry } from './mount-table.ts';
import type { Directive } from './plan.ts';

/** Programs and their data; what an overlay of `/` leaves out when it is a mount of its own. */
const PROGRAM_TREES = ['/bin', '/lib', '/lib32', '/lib64', '/libx32', '/opt', '/sbin', '/srv', '/usr', '/nix'];

/** Secrets and other people's files, whatever the caller adds. */
const ALWAYS_HIDDEN = [
  '/root',
  '/home',
  '/boot',
  '/lost+found',
  '/mnt',
  '/media',
  '/etc/shadow',
  '/etc/shadow-',
  '/etc/gshadow',
  '/etc/gshadow-',
  '/etc/security/opasswd',
  '/etc/sudoers',
  '/etc/sudoers.d',
  '/etc/ssh',
  '/etc/ssl/private',
  '/etc/pki/tls/private',
  '/etc/krb5.keytab',
  '/etc/ppp',
  '/etc/wireguard',
  '/etc/openvpn',
  '/etc/ipsec.secrets',
  '/etc/ipsec.d',
  '/etc/NetworkManager/system-connections',
  '/etc/wpa_supplicant',
  '/etc/netplan',
  '/etc/kubernetes',
  '/etc/rancher',
  '/etc/cni',
  '/etc/dure',
  '/etc/crypttab',
  '/etc/luks',
  '/var/lib/dure',
  '/var/lib/kubelet',
  '/var/lib/rancher',
  '/var/lib/docker',
  '/var/lib/containers',
  '/var/lib/containerd',
  '/var/lib/private',
  '/var/lib/systemd',
  '/var/lib/NetworkManager',
  '/var/lib/bluetooth',
  '/var/spool',
  '/var/mail',
  '/var/log',
  '/var/backups',
];

/** Fresh and writable, as a booted system has them. */
const FRESH = ['/run', '/tmp', '/var/tmp'];

/** How the host's own root becomes a container's. */
export interface HostRootPlan {
  readonly directives: readonly Directive[];
}

/**
 * The parts of the host's root that an overlay of `/` does not bring along are bound read-only; what must not be seen is hidden.
 * `mask` passes over what does not exist, so the list may be long.
 * @param hide More paths, such as Dure's own directories.
 */
export function planHostRoot(mounts: readonly MountEntry[], hide: readonly string[]): HostRootPlan {
  const programs = mounts
    .map(({ target }) => target)
    .filter((target) => PROGRAM_TREES.some((tree) => target === tree || target.startsWith(`${tree}/`)))
    .filter((target, index, all) => all.indexOf(target) === index)
    // A tree is bound with all beneath it.
    .filter((target, _, all) => !all.some((other) => other !== target && target.startsWith(`${other}/`)));
  return {
    directives: [
      ...programs.map((target): Directive => ['bind', target, target, 'rro,rnodev', 'private']),
      ...FRESH.map((target): Directive => ['mount', 'tmpfs', 'tmpfs', target, 'nosuid,nodev', 'mode=1777']),
      ...[...ALWAYS_HIDDEN, ...hide].map((path): Directive => ['mask', path]),
    ],
  };
}
