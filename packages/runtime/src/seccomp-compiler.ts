/**
 * From decisions per system call to the classic BPF that the kernel runs on every one of them: a binary search over ranges of numbers
 * with the same decision, so that a call costs about eight comparisons. Pure.
 * @see seccomp(2), linux/filter.h
 */
import { AUDIT_ARCHITECTURES, type SeccompArchitecture, type SyscallNumbers } from './syscall-numbers.ts';

export type Comparison = 'EQ' | 'NE' | 'LT' | 'LE' | 'GT' | 'GE' | 'MASKED_EQ';

/** A test of one argument (0 to 5), all 64 bits of it. MASKED_EQ: `(argument & value) == valueTwo`. */
export interface ArgumentTest {
  readonly index: number;
  readonly comparison: Comparison;
  readonly value: bigint;
  readonly valueTwo: bigint;
}

/** `action` is the kernel's return value. The first rule whose tests all hold decides. */
export interface CallRule {
  readonly tests: readonly ArgumentTest[];
  readonly action: number;
}

export interface ArchitectureRules {
  readonly architecture: SeccompArchitecture;
  readonly numbers: SyscallNumbers;
  readonly rules: ReadonlyMap<string, readonly CallRule[]>;
}

export interface FilterRules {
  readonly defaultAction: number;
  /** For numbers above all we know: programs try new calls and fall back on ENOSYS, but not on EPERM. */
  readonly unknownAction: number;
  readonly architectures: readonly ArchitectureRules[];
}

/** Longer filters the kernel refuses (BPF_MAXINSNS). */
export class FilterTooLongError extends Error {
  override readonly name = 'FilterTooLongError';
  readonly code = 'RUNTIME_FILTER_TOO_LONG';
}

const INSTRUCTIONS_MAX = 4096;
const LOAD = 0x20;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_GREATER_EQUAL = 0x35;
const AND = 0x54;
const RETURN = 0x06;

const OFFSET_NUMBER = 0;
const OFFSET_ARCHITECTURE = 4;
const OFFSET_ARGUMENTS = 16;
/** x86-64 numbers with this bit are those of the x32 interface, which nobody uses and everybody forgets. */
const X32_BIT = 0x40000000;
const NOT_IMPLEMENTED = 0x00050000 | 38;

type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, value: number];

/** The filter's bytes, little endian. @throws {FilterTooLongError} */
export function compileFilter({ defaultAction, unknownAction, architectures }: FilterRules): Uint8Array {
  let program: Instruction[] = [[RETURN, 0, 0, NOT_IMPLEMENTED]];
  for (const each of architectures.toReversed()) {
    const body = compileArchitecture(each, defaultAction, unknownAction);
    // The architecture is tested again before each body: a conditional jump reaches 255 instructions only.
    program = [[JUMP_EQUAL, 1, 0, AUDIT_ARCHITECTURES[each.architecture]], [JUMP, 0, 0, body.length], ...body, ...program];
  }
  program = [[LOAD, 0, 0, OFFSET_ARCHITECTURE], ...program];
  if (program.length > INSTRUCTIONS_MAX)
    throw new FilterTooLongError(`seccomp filter has ${program.length} instructions, the kernel takes ${INSTRUCTIONS_MAX}`);
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, whenTrue, whenFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(whenTrue, index * 8 + 2);
    bytes.writeUInt8(whenFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}

interface Range {
  readonly start: number;
  readonly rules: readonly CallRule[];
}

function compileArchitecture(
  { architecture, numbers, rules }: ArchitectureRules,
  defaultAction: number,
  unknownAction: number,
): Instruction[] {
  const known = [...numbers].sort(([, a], [, b]) => a - b);
  const ranges: Range[] = [];
  const add = (start: number, decided: readonly CallRule[]): void => {
    const last = ranges.at(-1);
    if (last === undefined || !sameRules(last.rules, decided)) ranges.push({ start, rules: decided });
  };
  let next = 0;
  for (const [name, number] of known) {
    if (number < next) continue; // Two names of one call: the first has decided.
    if (number > next) add(next, always(next === 0 ? defaultAction : unknownAction));
    add(number, rules.get(name) ?? always(defaultAction));
    next = number + 1;
  }
  add(next, always(unknownAction));
  const search: Instruction[] = [[LOAD, 0, 0, OFFSET_NUMBER]];
  if (architecture === 'SCMP_ARCH_X86_64') search.push([JUMP_GREATER_EQUAL, 0, 1, X32_BIT], [RETURN, 0, 0, NOT_IMPLEMENTED]);
  return [...search, ...compileRanges(ranges, defaultAction)];
}

function always(action: number): readonly CallRule[] {
  return [{ tests: [], action }];
}

function sameRules(a: readonly CallRule[], b: readonly CallRule[]): boolean {
  if (a === b) return true;
  const [first] = a;
  const [second] = b;
  return a.length === 1 && b.length === 1 && first?.tests.length === 0 && second?.tests.length === 0 && first.action === second.action;
}

function compileRanges(ranges: readonly Range[], defaultAction: number): Instruction[] {
  const [only] = ranges;
  if (only === undefined) return [[RETURN, 0, 0, defaultAction]];
  if (ranges.length === 1) return compileRules(only.rules, defaultAction);
  const middle = ranges.length >> 1;
  const below = compileRanges(ranges.slice(0, middle), defaultAction);
  const above = compileRanges(ranges.slice(middle), defaultAction);
  const bound = ranges[middle]?.start ?? 0;
  return below.length <= 255
    ? [[JUMP_GREATER_EQUAL, below.length, 0, bound], ...below, ...above]
    : [[JUMP_GREATER_EQUAL, 0, 1, bound], [JUMP, 0, 0, below.length], ...below, ...above];
}

function compileRules(rules: readonly CallRule[], defaultAction: number): Instruction[] {
  const program: Instruction[] = [];
  for (const { tests, action } of rules) {
    program.push(...compileRule(tests, action));
    if (tests.length === 0) return program;
  }
  return [...program, [RETURN, 0, 0, defaultAction]];
}

function compileRule(tests: readonly ArgumentTest[], action: number): Instruction[] {
  // From the last test to the first, so that the way out is known: behind everything compiled so far.
  let program: Instruction[] = [[RETURN, 0, 0, action]];
  for (const test of tests.toReversed()) program = [...compileTest(test, program.length), ...program];
  return program;
}

/** Falls through when the test holds, else jumps over the next `out` instructions. */
function compileTest({ index, comparison, value, valueTwo }: ArgumentTest, out: number): Instruction[] {
  const low = OFFSET_ARGUMENTS + index * 8;
  const high = low + 4;
  const upper = (bits: bigint): number => Number((bits >> 32n) & 0xffffffffn);
  const lower = (bits: bigint): number => Number(bits & 0xffffffffn);
  switch (comparison) {
    case 'EQ':
      return [
        [LOAD, 0, 0, high],
        [JUMP_EQUAL, 0, out + 2, upper(value)],
        [LOAD, 0, 0, low],
        [JUMP_EQUAL, 0, out, lower(value)],
      ];
    case 'NE':
      return [
        [LOAD, 0, 0, high],
        [JUMP_EQUAL, 0, 2, upper(value)],
        [LOAD, 0, 0, low],
        [JUMP_EQUAL, out, 0, lower(value)],
      ];
    case 'GT':
    case 'GE':
      return [
        [LOAD, 0, 0, high],
        [JUMP_GREATER, 3, 0, upper(value)],
        [JUMP_EQUAL, 0, out + 2, upper(value)],
        [LOAD, 0, 0, low],
        [comparison === 'GT' ? JUMP_GREATER : JUMP_GREATER_EQUAL, 0, out, lower(value)],
      ];
    case 'LT':
    case 'LE':
      return [
        [LOAD, 0, 0, high],
        [JUMP_GREATER, out + 3, 0, upper(value)],
        [JUMP_EQUAL, 0, 2, upper(value)],
        [LOAD, 0, 0, low],
        [comparison === 'LT' ? JUMP_GREATER_EQUAL : JUMP_GREATER, out, 0, lower(value)],
      ];
    case 'MASKED_EQ':
      return [
        [LOAD, 0, 0, high],
        [AND, 0, 0, upper(value)],
        [JUMP_EQUAL, 0, out + 3, upper(valueTwo)],
        [LOAD, 0, 0, low],
        [AND, 0, 0, lower(value)],
        [JUMP_EQUAL, 0, out, lower(valueTwo)],
      ];
  }
}
