/** Profiles as files: the form of the OCI runtime specification, which Kubernetes uses for Localhost, and Docker's, which extends it. */
import type { ArgumentTest, CallRule, Comparison } from './seccomp-compiler.ts';
import type { SeccompArchitecture } from './syscall-numbers.ts';

/** A profile that cannot be obeyed. `message` names the place. */
export class SeccompProfileError extends Error {
  override readonly name = 'SeccompProfileError';
  readonly code = 'RUNTIME_SECCOMP_PROFILE';
}

export interface ParsedProfile {
  readonly defaultAction: number;
  /** Rules for the calls it names, each with its tests. */
  readonly calls: ReadonlyMap<string, readonly CallRule[]>;
  /** Empty: the machine's own. */
  readonly architectures: readonly string[];
}

/** What conditions of Docker's form ask about. */
export interface ProfileContext {
  readonly capabilities: ReadonlySet<string>;
  readonly architecture: SeccompArchitecture;
}

const ACTIONS: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};
const EPERM = 1;
const WITH_ERRNO = new Set(['SCMP_ACT_ERRNO', 'SCMP_ACT_TRACE']);

/** Docker's names of architectures in conditions. */
const DOCKER_ARCHITECTURES: Readonly<Record<string, SeccompArchitecture>> = {
  amd64: 'SCMP_ARCH_X86_64',
  x86: 'SCMP_ARCH_X86',
  arm64: 'SCMP_ARCH_AARCH64',
  arm: 'SCMP_ARCH_ARM',
};

/** @throws {SeccompProfileError} */
export function parseSeccompProfile(text: string, context: ProfileContext): ParsedProfile {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new SeccompProfileError('seccomp profile: it is not JSON', { cause });
  }
  const profile = object(document, 'profile');
  const defaultAction = action(profile.defaultAction, profile.defaultErrnoRet, 'defaultAction');
  const calls = new Map<string, CallRule[]>();
  for (const [index, entry] of list(profile.syscalls ?? [], 'syscalls').entries()) {
    const where = `syscalls[${index}]`;
    const rule = object(entry, where);
    if (!applies(rule, context)) continue;
    const decided = action(rule.action, rule.errnoRet, `${where}.action`);
    const tests = list(rule.args ?? [], `${where}.args`).map((test, at) => argumentTest(test, `${where}.args[${at}]`));
    const names = rule.names === undefined && typeof rule.name === 'string' ? [rule.name] : list(rule.names, `${where}.names`);
    for (const name of names) {
      if (typeof name !== 'string') throw new SeccompProfileError(`seccomp profile: ${where}.names: not a string`);
      calls.set(name, [...(calls.get(name) ?? []), { tests, action: decided }]);
    }
  }
  // A rule without tests decides at once; behind it the finer ones would never be asked.
  for (const [name, rules] of calls)
    calls.set(
      name,
      rules.toSorted((a, b) => Math.sign(b.tests.length) - Math.sign(a.tests.length)),
    );
  return { defaultAction, calls, architectures: architectures(profile) };
}

function architectures(profile: Readonly<Record<string, unknown>>): readonly string[] {
  const plain = list(profile.architectures ?? [], 'architectures');
  const mapped = list(profile.archMap ?? [], 'archMap').flatMap((entry, index) => {
    const { architecture, subArchitectures } = object(entry, `archMap[${index}]`);
    return [architecture, ...list(subArchitectures ?? [], `archMap[${index}].subArchitectures`)];
  });
  return [...plain, ...mapped].filter((name) => typeof name === 'string');
}

function applies(rule: Readonly<Record<string, unknown>>, { capabilities, architecture }: ProfileContext): boolean {
  const includes = object(rule.includes ?? {}, 'includes');
  const excludes = object(rule.excludes ?? {}, 'excludes');
  const hasCapability = (name: unknown): boolean => typeof name === 'string' && capabilities.has(name.replace(/^CAP_/, ''));
  const isHere = (name: unknown): boolean => typeof name === 'string' && DOCKER_ARCHITECTURES[name] === architecture;
  const wanted = list(includes.caps ?? [], 'includes.caps');
  const places = list(includes.arches ?? [], 'includes.arches');
  if (!wanted.every(hasCapability)) return false;
  if (places.length > 0 && !places.some(isHere)) return false;
  if (list(excludes.caps ?? [], 'excludes.caps').some(hasCapability)) return false;
  return !list(excludes.arches ?? [], 'excludes.arches').some(isHere);
}

function action(name: unknown, errno: unknown, where: string): number {
  const value = typeof name === 'string' ? ACTIONS[name] : undefined;
  if (value === undefined) throw new SeccompProfileError(`seccomp profile: ${where}: ${JSON.stringify(name)} is not supported`);
  if (!WITH_ERRNO.has(String(name))) return value;
  return value | (typeof errno === 'number' ? errno & 0xffff : EPERM);
}

function argumentTest(value: unknown, where: string): ArgumentTest {
  const test = object(value, where);
  const comparison = /^SCMP_CMP_(EQ|NE|LT|LE|GT|GE|MASKED_EQ)$/.exec(String(test.op))?.[1] as Comparison | undefined;
  const index = Number(test.index);
  if (comparison === undefined) throw new SeccompProfileError(`seccomp profile: ${where}.op: ${JSON.stringify(test.op)} is unknown`);
  if (!Number.isInteger(index) || index < 0 || index > 5) throw new SeccompProfileError(`seccomp profile: ${where}.index: must be 0 to 5`);
  return { index, comparison, value: unsigned(test.value, `${where}.value`), valueTwo: unsigned(test.valueTwo ?? 0, `${where}.valueTwo`) };
}

function unsigned(value: unknown, where: string): bigint {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
    throw new SeccompProfileError(`seccomp profile: ${where}: must be an integer >= 0`);
  return BigInt(value);
}

function object(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new SeccompProfileError(`seccomp profile: ${where}: must be an object`);
  return value as Readonly<Record<string, unknown>>;
}

function list(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new SeccompProfileError(`seccomp profile: ${where}: must be a list`);
  return value;
}
