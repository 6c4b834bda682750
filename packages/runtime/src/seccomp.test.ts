import { seededRandom } from '@dure/foundation';
import { describe, expect, it } from 'vitest';
import { compileProfile, SeccompFilters } from './seccomp.ts';
import { type ArgumentTest, type CallRule, type Comparison, compileFilter } from './seccomp-compiler.ts';
import { SeccompProfileError } from './seccomp-profile.ts';
import { AUDIT_ARCHITECTURES, architecturesOf, type SeccompArchitecture, syscallNumbers } from './syscall-numbers.ts';
import { runFilter } from './testing/classic-bpf.ts';

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const CAPABILITIES_DEFAULT = 0xa80425fbn;
const SYS_ADMIN = 1n << 21n;

function asker(filter: Uint8Array, architecture: SeccompArchitecture): (name: string | number, ...args: readonly bigint[]) => number {
  const numbers = syscallNumbers(architecture);
  return (name, ...args) => {
    const number = typeof name === 'number' ? name : numbers.get(name);
    if (number === undefined) throw new Error(`no call ${name}`);
    return runFilter(filter, { architecture: AUDIT_ARCHITECTURES[architecture], number, args });
  };
}

describe('the default seccomp filter', () => {
  it.each([
    ['x64', 'SCMP_ARCH_X86_64'],
    ['x64', 'SCMP_ARCH_X86'],
    ['arm64', 'SCMP_ARCH_AARCH64'],
    ['arm64', 'SCMP_ARCH_ARM'],
    ['arm', 'SCMP_ARCH_ARM'],
  ] as const)('on %s decides every call of %s', async (machine, architecture) => {
    const filter = await new SeccompFilters(machine).program({ kind: 'default' }, CAPABILITIES_DEFAULT);
    const ask = asker(filter ?? new Uint8Array(), architecture);
    for (const name of [
      'read',
      'write',
      'openat',
      'execve',
      'exit_group',
      'futex',
      'epoll_ctl',
      'ptrace',
      'chroot',
      'mknodat',
      'faccessat2',
      'fchmodat2',
      'futex_wait',
    ]) {
      expect(ask(name), name).toBe(ALLOW);
    }
    for (const name of [
      'mount',
      'unshare',
      'setns',
      'bpf',
      'keyctl',
      'reboot',
      'init_module',
      'io_uring_setup',
      'settimeofday',
      'pivot_root',
      'userfaultfd',
      'open_by_handle_at',
      'fsopen',
      'mount_setattr',
    ]) {
      expect(ask(name), name).toBe(EPERM);
    }
    expect(ask('clone3')).toBe(ENOSYS);
    expect(ask(100_000)).toBe(ENOSYS);
    expect(ask('clone', 0x11n)).toBe(ALLOW);
    for (const flag of [0x20000n, 0x02000000n, 0x04000000n, 0x08000000n, 0x10000000n, 0x20000000n, 0x40000000n])
      expect(ask('clone', flag | 0x11n)).toBe(EPERM);
    expect(ask('personality', 0xffffffffn)).toBe(ALLOW);
    expect(ask('personality', 0x40000n)).toBe(EPERM);
    expect(ask('socket', 2n)).toBe(ALLOW);
    expect(ask('socket', 40n)).toBe(EPERM);
  });

  it('gives calls back with the capability that governs them', async () => {
    const filters = new SeccompFilters('x64');
    const ask = asker(
      (await filters.program({ kind: 'default' }, CAPABILITIES_DEFAULT | SYS_ADMIN)) ?? new Uint8Array(),
      'SCMP_ARCH_X86_64',
    );
    for (const name of ['mount', 'unshare', 'clone3', 'setns', 'bpf']) expect(ask(name), name).toBe(ALLOW);
    expect(ask('clone', 0x10000000n)).toBe(ALLOW);
    expect(ask('keyctl')).toBe(EPERM);
  });

  it('knows neither x32 nor foreign architectures', async () => {
    const filter = (await new SeccompFilters('x64').program({ kind: 'default' }, CAPABILITIES_DEFAULT)) ?? new Uint8Array();
    expect(runFilter(filter, { architecture: AUDIT_ARCHITECTURES.SCMP_ARCH_X86_64, number: 0x40000000 })).toBe(ENOSYS);
    expect(runFilter(filter, { architecture: AUDIT_ARCHITECTURES.SCMP_ARCH_AARCH64, number: 0 })).toBe(ENOSYS);
  });

  it('installs none where the profile is unconfined or the architecture has no table', async () => {
    expect(await new SeccompFilters('x64').program({ kind: 'unconfined' }, 0n)).toBeUndefined();
    expect(await new SeccompFilters('s390x').program({ kind: 'default' }, 0n)).toBeUndefined();
  });
});

describe('the filter compiler', () => {
  it('agrees with a plain reading of the rules on random filters and calls', () => {
    const seed = Number(process.env.DURE_SEED ?? Math.trunc(Math.random() * 2 ** 31));
    const random = seededRandom(seed);
    const comparisons: readonly Comparison[] = ['EQ', 'NE', 'LT', 'LE', 'GT', 'GE', 'MASKED_EQ'];
    // Values near each other and near the border between the halves, where mistakes hide.
    const interesting = [0n, 1n, 2n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, 0x100000001n, 0xffffffffffffffffn];
    const value = (): bigint => interesting[random.integer(interesting.length)] ?? 0n;
    for (let round = 0; round < 60; round += 1) {
      const numbers = new Map(Array.from({ length: 30 }, (_, index) => [`call${index}`, index * (1 + random.integer(3))]));
      const rules = new Map<string, readonly CallRule[]>();
      for (const name of numbers.keys()) {
        if (random.integer(3) === 0) continue;
        const tests = (): ArgumentTest[] =>
          Array.from({ length: random.integer(3) }, () => ({
            index: random.integer(6),
            comparison: comparisons[random.integer(comparisons.length)] ?? 'EQ',
            value: value(),
            valueTwo: value(),
          }));
        rules.set(
          name,
          Array.from({ length: 1 + random.integer(3) }, (_, index) => ({ tests: tests(), action: 0x00050000 | (100 + index) })),
        );
      }
      const byNumber = new Map<number, readonly CallRule[] | undefined>();
      for (const [name, number] of [...numbers].sort(([, a], [, b]) => a - b))
        if (!byNumber.has(number)) byNumber.set(number, rules.get(name));
      const filter = compileFilter({
        defaultAction: EPERM,
        unknownAction: ENOSYS,
        architectures: [{ architecture: 'SCMP_ARCH_AARCH64', numbers, rules }],
      });
      for (let times = 0; times < 100; times += 1) {
        const number = random.integer(100);
        const args = Array.from({ length: 6 }, value);
        const listed = byNumber.has(number);
        const expected = listed
          ? (byNumber.get(number)?.find(({ tests }) => tests.every((test) => holds(test, args)))?.action ?? EPERM)
          : ENOSYS;
        const actual = runFilter(filter, { architecture: AUDIT_ARCHITECTURES.SCMP_ARCH_AARCH64, number, args });
        // Below the first known number nothing is unknown: it is simply not named.
        const lowest = Math.min(...numbers.values());
        expect(actual, `seed ${seed}, call ${number}(${args.join(', ')})`).toBe(number < lowest ? EPERM : expected);
      }
    }
  });
});

describe('profiles from files', () => {
  const compile = (profile: unknown, capabilities: readonly string[] = []) =>
    asker(compileProfile(JSON.stringify(profile), architecturesOf('x64'), new Set(capabilities)), 'SCMP_ARCH_X86_64');

  it('reads the form of the OCI runtime specification', () => {
    const ask = compile({
      defaultAction: 'SCMP_ACT_ERRNO',
      architectures: ['SCMP_ARCH_X86_64'],
      syscalls: [
        { names: ['read', 'write', 'nonexistent'], action: 'SCMP_ACT_ALLOW' },
        { names: ['socket'], action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value: 2, op: 'SCMP_CMP_EQ' }] },
        { names: ['kill'], action: 'SCMP_ACT_KILL_PROCESS' },
        { names: ['mkdir'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 },
      ],
    });
    expect(ask('read')).toBe(ALLOW);
    expect(ask('socket', 2n)).toBe(ALLOW);
    expect(ask('socket', 1n)).toBe(EPERM);
    expect(ask('kill')).toBe(0x80000000);
    expect(ask('mkdir')).toBe(0x0005001c);
    expect(ask('open')).toBe(EPERM);
  });

  it("obeys the conditions of Docker's form", () => {
    const profile = {
      defaultAction: 'SCMP_ACT_ERRNO',
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      syscalls: [
        { names: ['mount'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] } },
        { names: ['clone'], action: 'SCMP_ACT_ALLOW', excludes: { caps: ['CAP_SYS_ADMIN'] } },
        { names: ['arch_prctl'], action: 'SCMP_ACT_ALLOW', includes: { arches: ['amd64'] } },
        { names: ['read'], action: 'SCMP_ACT_ALLOW', includes: { arches: ['arm64'] } },
      ],
    };
    const plain = compile(profile);
    expect([plain('mount'), plain('clone'), plain('arch_prctl'), plain('read')]).toEqual([EPERM, ALLOW, ALLOW, EPERM]);
    const admin = compile(profile, ['SYS_ADMIN']);
    expect([admin('mount'), admin('clone')]).toEqual([ALLOW, EPERM]);
  });

  it.each([
    ['no JSON', '{', /not JSON/],
    ['no object', '[]', /profile: must be an object/],
    ['no default', '{}', /defaultAction: undefined is not supported/],
    ['an unknown action', '{"defaultAction":"SCMP_ACT_NOTIFY"}', /SCMP_ACT_NOTIFY/],
    [
      'an unknown comparison',
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":1,"op":"X"}]}]}',
      /syscalls\[0\].args\[0\].op/,
    ],
    [
      'an argument there is not',
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}',
      /index: must be 0 to 5/,
    ],
  ])('refuses %s and names the place', (_, text, message) => {
    expect(() => compileProfile(text, architecturesOf('x64'), new Set())).toThrow(SeccompProfileError);
    expect(() => compileProfile(text, architecturesOf('x64'), new Set())).toThrow(message);
  });
});

function holds({ index, comparison, value, valueTwo }: ArgumentTest, args: readonly bigint[]): boolean {
  const argument = args[index] ?? 0n;
  switch (comparison) {
    case 'EQ':
      return argument === value;
    case 'NE':
      return argument !== value;
    case 'LT':
      return argument < value;
    case 'LE':
      return argument <= value;
    case 'GT':
      return argument > value;
    case 'GE':
      return argument >= value;
    case 'MASKED_EQ':
      return (argument & value) === valueTwo;
  }
}
