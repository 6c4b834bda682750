/**
 * The cgroup device program: cgroup v2 has no device files, so what a container may open is decided by a small BPF program on its
 * cgroup. Without it, the default capabilities let a container make a node of the host's disk and read it.
 * @see https://docs.kernel.org/bpf/prog_cgroup_sockopt.html linux/bpf.h: struct bpf_cgroup_dev_ctx
 */

export interface DeviceRule {
  readonly type: 'a' | 'b' | 'c';
  /** Absent: all. */
  readonly major?: number;
  readonly minor?: number;
  /** Of 'r', 'w', 'm'. */
  readonly access: string;
}

/** What every container has: the pseudo devices, its own terminals; and making (not opening) nodes, as other runtimes allow. */
export const DEFAULT_DEVICE_RULES: readonly DeviceRule[] = [
  { type: 'c', access: 'm' },
  { type: 'b', access: 'm' },
  { type: 'c', major: 1, minor: 3, access: 'rwm' },
  { type: 'c', major: 1, minor: 5, access: 'rwm' },
  { type: 'c', major: 1, minor: 7, access: 'rwm' },
  { type: 'c', major: 1, minor: 8, access: 'rwm' },
  { type: 'c', major: 1, minor: 9, access: 'rwm' },
  { type: 'c', major: 5, minor: 0, access: 'rwm' },
  { type: 'c', major: 5, minor: 2, access: 'rwm' },
  { type: 'c', major: 136, access: 'rwm' },
];

const ACCESS = { m: 1, r: 2, w: 4 } as const;
const TYPE = { b: 1, c: 2 } as const;
const ALL_ACCESS = 7;

const LOAD_WORD = 0x61;
const AND_32 = 0x54;
const SHIFT_RIGHT_32 = 0x74;
const MOVE_32 = 0xbc;
const MOVE_VALUE = 0xb7;
const JUMP_UNLESS_VALUE = 0x55;
const JUMP_UNLESS_REGISTER = 0x5d;
const EXIT = 0x95;

interface Instruction {
  readonly code: number;
  readonly destination: number;
  readonly source: number;
  readonly offset: number;
  readonly value: number;
}

/** BPF bytes (little endian) of a program that allows what some rule allows, and nothing else. */
export function compileDeviceProgram(rules: readonly DeviceRule[]): Uint8Array {
  const program: Instruction[] = [
    // r2: kind of device, r3: access asked, r4: major, r5: minor.
    instruction(LOAD_WORD, 2, 1, 0, 0),
    instruction(MOVE_32, 3, 2, 0, 0),
    instruction(AND_32, 2, 0, 0, 0xffff),
    instruction(SHIFT_RIGHT_32, 3, 0, 0, 16),
    instruction(LOAD_WORD, 4, 1, 4, 0),
    instruction(LOAD_WORD, 5, 1, 8, 0),
  ];
  // The kernel refuses a program with steps that are never reached: what follows a rule without tests is left out.
  const decisive = rules.findIndex(decidesAll);
  for (const rule of decisive < 0 ? rules : rules.slice(0, decisive + 1)) program.push(...compileRule(rule));
  if (decisive < 0) program.push(instruction(MOVE_VALUE, 0, 0, 0, 0), instruction(EXIT, 0, 0, 0, 0));
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, { code, destination, source, offset, value }] of program.entries()) {
    bytes.writeUInt8(code, index * 8);
    bytes.writeUInt8(destination | (source << 4), index * 8 + 1);
    bytes.writeInt16LE(offset, index * 8 + 2);
    bytes.writeInt32LE(value, index * 8 + 4);
  }
  return bytes;
}

function decidesAll({ type, major, minor, access }: DeviceRule): boolean {
  return type === 'a' && major === undefined && minor === undefined && accessBits(access) === ALL_ACCESS;
}

function accessBits(access: string): number {
  return [...access].reduce((bits, letter) => bits | (ACCESS[letter as keyof typeof ACCESS] ?? 0), 0);
}

function compileRule({ type, major, minor, access }: DeviceRule): readonly Instruction[] {
  // Tests jump past the rule; how far is known once it is whole.
  const tests: Instruction[] = [];
  if (type !== 'a') tests.push(instruction(JUMP_UNLESS_VALUE, 2, 0, 0, TYPE[type]));
  const allowed = accessBits(access);
  if (allowed !== ALL_ACCESS) {
    tests.push(instruction(MOVE_32, 1, 3, 0, 0), instruction(AND_32, 1, 0, 0, allowed), instruction(JUMP_UNLESS_REGISTER, 1, 3, 0, 0));
  }
  if (major !== undefined) tests.push(instruction(JUMP_UNLESS_VALUE, 4, 0, 0, major));
  if (minor !== undefined) tests.push(instruction(JUMP_UNLESS_VALUE, 5, 0, 0, minor));
  const whole = [...tests, instruction(MOVE_VALUE, 0, 0, 0, 1), instruction(EXIT, 0, 0, 0, 0)];
  return whole.map((step, index) =>
    step.code === JUMP_UNLESS_VALUE || step.code === JUMP_UNLESS_REGISTER ? { ...step, offset: whole.length - index - 1 } : step,
  );
}

function instruction(code: number, destination: number, source: number, offset: number, value: number): Instruction {
  return { code, destination, source, offset, value };
}
