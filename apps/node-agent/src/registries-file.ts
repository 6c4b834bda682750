import { readFileSync } from 'node:fs';
import { errnoCode, messageOf } from '@dure/foundation';
import type { RegistriesConfig } from '@dure/images';

/** Where the file lies when nobody says; its absence is no fault there. */
export const DEFAULT_REGISTRIES_FILE = '/etc/dure/registries.json';

const FIELDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  mirrors: (value) => Array.isArray(value) && value.every((url) => typeof url === 'string' && URL.canParse(url)),
  plainHttp: (value) => typeof value === 'boolean',
  insecureTls: (value) => typeof value === 'boolean',
  caFile: (value) => typeof value === 'string',
};

/**
 * How to reach image registries, by their names: `{"docker.io": {"mirrors": ["https://mirror.example"]}, "10.0.0.5:5000": {"plainHttp": true}}`.
 * @param path Empty: the default place. @throws {Error} naming file and fault; a misspelt setting is one, since it would be silently without effect.
 */
export function readRegistries(path: string): RegistriesConfig {
  const file = path || DEFAULT_REGISTRIES_FILE;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (path === '' && errnoCode(error) === 'ENOENT') return {};
    throw new Error(`registries file ${file}: ${messageOf(error)}`, { cause: error });
  }
  return parseRegistries(text, file);
}

/** @param file For messages. */
export function parseRegistries(text: string, file: string): RegistriesConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`registries file ${file}: ${messageOf(error)}`, { cause: error });
  }
  const isObject = (candidate: unknown): candidate is Readonly<Record<string, unknown>> =>
    typeof candidate === 'object' && candidate !== null && !Array.isArray(candidate);
  if (!isObject(value)) throw new Error(`registries file ${file}: expected an object of registries by name`);
  for (const [registry, settings] of Object.entries(value)) {
    if (!isObject(settings)) throw new Error(`registries file ${file}: ${registry}: expected an object`);
    for (const [field, setting] of Object.entries(settings)) {
      if (FIELDS[field]?.(setting) !== true)
        throw new Error(
          `registries file ${file}: ${registry}.${field}: ${field in FIELDS ? 'malformed' : 'unknown'}; there are ${Object.keys(FIELDS).join(', ')}`,
        );
    }
  }
  return value as RegistriesConfig;
}
