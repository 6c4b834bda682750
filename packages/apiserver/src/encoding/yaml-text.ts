import { fromJsonText, integerOf, toJsonText } from '@dure/api';
import {
  boolYaml11Tag,
  CORE_SCHEMA,
  DUMP_SCHEMA,
  dump,
  intCoreTag,
  load,
  mergeTag,
  type ScalarTagDefinition,
  YAMLException,
} from 'js-yaml';
import { duplicateKeys, parseJson } from './json-text.ts';

/** The text is not YAML, several documents, holds a number that JSON has no words for, or grows beyond bounds when its aliases are followed. */
export class YamlTextError extends Error {
  override readonly name = 'YamlTextError';
  readonly code = 'YAML_MALFORMED';
}

const readInteger: ScalarTagDefinition<number | bigint> = {
  ...intCoreTag,
  resolve(source, isExplicit, tagName) {
    const value = intCoreTag.resolve(source, isExplicit, tagName);
    return typeof value !== 'number' || Number.isSafeInteger(value) ? value : wideInteger(source);
  },
};
/** `yes` and `on` are booleans and `<<` merges, as kubectl reads YAML; dates stay strings. */
const SCHEMA = CORE_SCHEMA.withTags([boolYaml11Tag, readInteger, mergeTag]);
const plainInteger = DUMP_SCHEMA.tags.find((tag): tag is ScalarTagDefinition => tag.tagName === intCoreTag.tagName) ?? intCoreTag;
const WRITTEN = DUMP_SCHEMA.withTags({
  ...plainInteger,
  identify: (data) => typeof data === 'bigint' || plainInteger.identify(data),
  represent: (data) => (typeof data === 'bigint' ? String(data) : plainInteger.represent(data)),
});
/** A body of 3 MiB has far fewer; more means that aliases multiply. */
const NODES_MAX = 2_000_000;
const DEPTH_MAX = 128;

/** One YAML document as plain JSON data; of keys that stand twice the later one counts. @throws {YamlTextError} */
export function parseYaml(text: string): unknown {
  const json = jsonOf(text);
  if (json !== undefined) return json;
  let value: unknown;
  try {
    value = load(text, { schema: SCHEMA, json: true });
  } catch (cause) {
    throw new YamlTextError((cause as Error).message, { cause });
  }
  assertBounded(value);
  // Aliases share nodes; writers of the object must not meet the same one twice.
  return fromJsonText(toJsonText(value ?? null));
}

/** The first key that a map of `text` holds twice, in the words of upstream's decoder; `undefined` if there is none. @param text Known to parse. */
export function repeatedYamlKey(text: string): string | undefined {
  if (jsonOf(text) !== undefined && duplicateKeys(text).length === 0) return undefined;
  try {
    load(text, { schema: SCHEMA });
    return undefined;
  } catch (error) {
    if (!(error instanceof YAMLException) || error.mark === undefined) return undefined;
    const { line, position } = error.mark;
    // A quoted key is marked behind its quote.
    const quote = /["']/.exec(text[position - 1] ?? '')?.[0];
    const end = quote === undefined ? /[\s:,}]|$/ : new RegExp(quote);
    const key = text.slice(position).split(end, 1)[0] ?? '';
    return `yaml: unmarshal errors:\n  line ${line + 1}: key ${JSON.stringify(key)} already set in map`;
  }
}

/** `value` as YAML with sorted keys, as upstream writes it. */
export function renderYaml(value: unknown): string {
  return dump(value, { schema: WRITTEN, sortKeys: true, noRefs: true, lineWidth: -1 });
}

/** Most of what comes as YAML is JSON, which clients write and YAML includes: reading it as such takes a tenth of the time. */
function jsonOf(text: string): unknown {
  if (!text.startsWith('{')) return undefined;
  try {
    return parseJson(text);
  } catch {
    return undefined; // YAML in JSON's brackets, or neither: the other parser says what is wrong.
  }
}

/** @param source Decimal, or with `0x`, `0o` or `0b` behind the sign. */
function wideInteger(source: string): number | bigint {
  const [, sign, digits = ''] = /^([-+]?)(.*)$/.exec(source) ?? [];
  const value = BigInt(digits);
  return integerOf(sign === '-' ? -value : value);
}

function assertBounded(root: unknown): void {
  let nodes = 0;
  const walk = (value: unknown, depth: number): void => {
    nodes += 1;
    if (nodes > NODES_MAX) throw new YamlTextError('the document expands to too many nodes');
    if (depth > DEPTH_MAX) throw new YamlTextError(`exceeded max depth of ${DEPTH_MAX}`);
    if (typeof value === 'number' && !Number.isFinite(value)) throw new YamlTextError(`json: unsupported value: ${value}`);
    if (typeof value === 'object' && value !== null) for (const member of Object.values(value)) walk(member, depth + 1);
  };
  walk(root, 0);
}
