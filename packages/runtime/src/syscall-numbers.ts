import { ARM_CALLS, ARM64_CALLS, X86_64_CALLS, X86_CALLS } from './generated/syscall-table.ts';

/** In the words of seccomp profiles. */
export type SeccompArchitecture = 'SCMP_ARCH_X86_64' | 'SCMP_ARCH_X86' | 'SCMP_ARCH_AARCH64' | 'SCMP_ARCH_ARM';

/** Number by name. */
export type SyscallNumbers = ReadonlyMap<string, number>;

/** The kernel's mark of an architecture in seccomp data. @see linux/audit.h */
export const AUDIT_ARCHITECTURES: Readonly<Record<SeccompArchitecture, number>> = {
  SCMP_ARCH_X86_64: 0xc000003e,
  SCMP_ARCH_X86: 0x40000003,
  SCMP_ARCH_AARCH64: 0xc00000b7,
  SCMP_ARCH_ARM: 0x40000028,
};

const TABLES: Readonly<Record<SeccompArchitecture, string>> = {
  SCMP_ARCH_X86_64: X86_64_CALLS,
  SCMP_ARCH_X86: X86_CALLS,
  SCMP_ARCH_AARCH64: ARM64_CALLS,
  SCMP_ARCH_ARM: ARM_CALLS,
};

/** The calls of one architecture. Parsed anew at each call: callers keep it. */
export function syscallNumbers(architecture: SeccompArchitecture): SyscallNumbers {
  const entries = TABLES[architecture].trim().split(/\s+/);
  return new Map(
    entries.map((entry) => {
      const colon = entry.indexOf(':');
      return [entry.slice(0, colon), Number(entry.slice(colon + 1))];
    }),
  );
}

/** What programs on this kind of machine may be made of: its own architecture first, then the 32 bit one it also executes. */
export function architecturesOf(nodeArch: string): readonly SeccompArchitecture[] {
  switch (nodeArch) {
    case 'x64':
      return ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'];
    case 'arm64':
      return ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'];
    case 'arm':
      return ['SCMP_ARCH_ARM'];
    default:
      return [];
  }
}
