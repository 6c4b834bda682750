import { readFile } from 'node:fs/promises';
import { capabilityNames } from './capabilities.ts';
import type { SeccompProfile } from './contract.ts';
import { type ArchitectureRules, compileFilter } from './seccomp-compiler.ts';
import { defaultRules } from './seccomp-default.ts';
import { parseSeccompProfile, SeccompProfileError } from './seccomp-profile.ts';
import { architecturesOf, type SeccompArchitecture, syscallNumbers } from './syscall-numbers.ts';

const ERRNO_EPERM = 0x00050001;
const ERRNO_ENOSYS = 0x00050026;
/** Different sets of capabilities on one node; the default filter of each is compiled once. */
const CACHED_MAX = 64;

/** Filters for containers on a machine of one architecture. */
export class SeccompFilters {
  readonly #architectures: readonly SeccompArchitecture[];
  readonly #defaults = new Map<bigint, Uint8Array>();

  /** @param nodeArch As `process.arch` says it. */
  constructor(nodeArch: string) {
    this.#architectures = architecturesOf(nodeArch);
  }

  /**
   * The compiled program for a container with these capabilities; none when unconfined, or on an architecture without a table.
   * @throws {SeccompProfileError} The file is no profile. @throws the file system's error.
   */
  async program(profile: SeccompProfile, capabilities: bigint): Promise<Uint8Array | undefined> {
    if (profile.kind === 'unconfined' || this.#architectures.length === 0) return undefined;
    if (profile.kind === 'default') return this.#default(capabilities);
    return compileProfile(await readFile(profile.path, 'utf8'), this.#architectures, new Set(capabilityNames(capabilities)));
  }

  #default(capabilities: bigint): Uint8Array {
    const cached = this.#defaults.get(capabilities);
    if (cached !== undefined) return cached;
    const names = new Set(capabilityNames(capabilities));
    const compiled = compileFilter({
      defaultAction: ERRNO_EPERM,
      unknownAction: ERRNO_ENOSYS,
      architectures: this.#architectures.map((architecture): ArchitectureRules => {
        const numbers = syscallNumbers(architecture);
        return { architecture, numbers, rules: defaultRules(numbers, names) };
      }),
    });
    if (this.#defaults.size >= CACHED_MAX) this.#defaults.clear();
    this.#defaults.set(capabilities, compiled);
    return compiled;
  }
}

/** A profile's text for these architectures; one it names beyond them is passed over, since this machine cannot run it. @throws {SeccompProfileError} */
export function compileProfile(text: string, machine: readonly SeccompArchitecture[], capabilities: ReadonlySet<string>): Uint8Array {
  const [native] = machine;
  if (native === undefined) throw new SeccompProfileError('seccomp profile: this architecture is not supported');
  const { architectures, defaultAction } = parseSeccompProfile(text, { capabilities, architecture: native });
  const chosen = machine.filter((architecture) => architecture === native || architectures.includes(architecture));
  return compileFilter({
    defaultAction,
    unknownAction: (defaultAction & 0x7fff0000) === 0x00050000 ? ERRNO_ENOSYS : defaultAction,
    architectures: chosen.map((architecture) => ({
      architecture,
      numbers: syscallNumbers(architecture),
      rules: parseSeccompProfile(text, { capabilities, architecture: native }).calls,
    })),
  });
}
