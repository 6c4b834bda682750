import { parseYaml, YamlTextError } from '../encoding/yaml-text.ts';

/** A mapping of a configuration file, before anything is known of its fields. */
export type Fields = Readonly<Record<string, unknown>>;

/** A configuration file does not say what it may; each fault is one line of the message. Whoever runs the server can mend it. */
export class ConfigFileError extends Error {
  override readonly name = 'ConfigFileError';
  readonly code = 'CONFIG_FILE_INVALID';
  readonly faults: readonly string[];

  constructor(what: string, faults: readonly string[]) {
    super(`${what}: ${faults.join('\n')}`);
    this.faults = faults;
  }
}

export interface ConfigKind {
  readonly group: string;
  readonly versions: readonly string[];
  readonly kind: string;
}

/** The mapping that a YAML or JSON text holds. @throws {ConfigFileError} No such text, or of another kind. */
export function decodeConfigFile(text: string, { group, versions, kind }: ConfigKind): Fields {
  let content: unknown;
  try {
    content = parseYaml(text);
  } catch (error) {
    if (error instanceof YamlTextError) throw new ConfigFileError(kind, [error.message]);
    throw error;
  }
  const fields = fieldsOf(content);
  const accepted = versions.map((version) => `${group}/${version}`);
  if (fields.kind !== kind || !accepted.includes(textOf(fields.apiVersion))) {
    throw new ConfigFileError(kind, [
      `expected ${kind} of ${accepted.join(' or ')}, found ${JSON.stringify(fields.kind)} of ${JSON.stringify(fields.apiVersion)}`,
    ]);
  }
  return fields;
}

/** Gathers what is wrong with a file, so that all of it is told at once. */
export class FileFaults {
  readonly #kind: string;
  readonly #faults: string[] = [];

  constructor(content: Fields) {
    this.#kind = textOf(content.kind);
  }

  /** @param message As field errors read: `Required value: url is required`. */
  add(path: string, message: string): void {
    this.#faults.push(path === '' ? message : `${path}: ${message}`);
  }

  /** A field that nobody knows is a typo, and what it meant to say would be missing. */
  knowOnly(fields: Fields, path: string, names: readonly string[]): void {
    for (const name of Object.keys(fields)) if (!names.includes(name)) this.add(path === '' ? name : `${path}.${name}`, 'unknown field');
  }

  /** @throws {ConfigFileError} */
  throwIfAny(): void {
    if (this.#faults.length > 0) throw new ConfigFileError(this.#kind, this.#faults);
  }
}

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Milliseconds of a Go duration such as `5m0s`; `undefined` where there is none. @throws {RangeError} It is not a duration. */
export function durationMsOf(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const text = String(value);
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    throw new RangeError(`${JSON.stringify(text)} is not a duration`);
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNIT_MS[unit ?? ''] ?? 0), 0);
}

const UNIT_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
