/** Names of Linux capabilities by number. @see capabilities(7), linux/capability.h */
const NAMES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
] as const;

/** What a container has unless it says otherwise; the set every container engine grants. */
const DEFAULTS = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
];

/** A capability that no kernel knows by that name. */
export class UnknownCapabilityError extends Error {
  override readonly name = 'UnknownCapabilityError';
  readonly code = 'RUNTIME_UNKNOWN_CAPABILITY';

  constructor(capability: string) {
    super(`unknown capability ${JSON.stringify(capability)}`);
  }
}

export interface CapabilityRequest {
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly privileged: boolean;
}

/**
 * The bounding set: defaults, without `drop`, with `add`; `ALL` in either means every one. Never more than the host itself has
 * (`available`), since asking for more is refused by the kernel.
 * @throws {UnknownCapabilityError}
 */
export function capabilityBits({ add, drop, privileged }: CapabilityRequest, available: bigint): bigint {
  if (privileged) return available;
  const dropped = drop.map(normal);
  const added = add.map(normal);
  let bits = 0n;
  if (added.includes('ALL')) bits = available;
  else if (!dropped.includes('ALL')) bits = bitsOf(DEFAULTS);
  bits &= ~bitsOf(dropped.filter((name) => name !== 'ALL'));
  bits |= bitsOf(added.filter((name) => name !== 'ALL'));
  return bits & available;
}

/** The bit of one capability, `CAP_` or not. @throws {UnknownCapabilityError} */
export function capabilityBit(name: string): bigint {
  const index = (NAMES as readonly string[]).indexOf(normal(name));
  if (index < 0) throw new UnknownCapabilityError(name);
  return 1n << BigInt(index);
}

/** All names, without `CAP_`. */
export function capabilityNames(bits: bigint): readonly string[] {
  return NAMES.filter((_, index) => (bits & (1n << BigInt(index))) !== 0n);
}

function bitsOf(names: readonly string[]): bigint {
  return names.reduce((bits, name) => bits | capabilityBit(name), 0n);
}

function normal(name: string): string {
  return name.toUpperCase().replace(/^CAP_/, '');
}
