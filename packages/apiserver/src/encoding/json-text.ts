/**
 * Reads JSON within bounds, and says which keys an object holds twice: `JSON.parse` keeps the last one silently,
 * and lets a few hundred KB of brackets cost a deep stack later.
 */

import { closingQuote, fromJsonText } from '@dure/api';

/** The text is not JSON, or deeper than allowed. */
export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';
  readonly code = 'JSON_MALFORMED';
}

/** Deeper objects serve no purpose and cost stack in everything that walks them. */
const DEPTH_MAX = 128;

/** What a number must hold to be beyond all doubles. */
const MAY_OVERFLOW = /[0-9][eE]\+?[0-9]{3}|(?<![0-9])[0-9]{309}/;

/** Parses `text`; integers of 64 bits are kept, as bigints where a double does not. @throws {JsonTextError} Also for numbers beyond all doubles. */
export function parseJson(text: string): unknown {
  assertBounds(text);
  let value: unknown;
  try {
    value = fromJsonText(text);
  } catch (cause) {
    throw new JsonTextError((cause as Error).message, { cause });
  }
  if (text.includes('__proto__') || text.includes('\\u')) dropPrototypes(value);
  if (MAY_OVERFLOW.test(text)) assertFinite(value);
  return value;
}

/** Paths of keys that stand twice in one object of `text`, which must be JSON: `metadata.labels.app`. */
export function duplicateKeys(text: string): readonly string[] {
  const duplicates: string[] = [];
  const stack: { keys: Set<string> | undefined; path: string; index: number; key: string }[] = [];
  let expectKey = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    const top = stack.at(-1);
    if (char === '"') {
      const end = closingQuote(text, at);
      if (expectKey && top?.keys !== undefined) {
        const key = JSON.parse(text.slice(at, end + 1)) as string;
        if (top.keys.has(key)) duplicates.push(top.path === '' ? key : `${top.path}.${key}`);
        top.keys.add(key);
        top.key = key;
        expectKey = false;
      }
      at = end;
    } else if (char === '{' || char === '[') {
      const path =
        top === undefined
          ? ''
          : top.keys === undefined
            ? `${top.path}[${top.index}]`
            : top.path === ''
              ? top.key
              : `${top.path}.${top.key}`;
      stack.push({ keys: char === '{' ? new Set() : undefined, path, index: 0, key: '' });
      expectKey = char === '{';
    } else if (char === '}' || char === ']') {
      stack.pop();
      expectKey = false;
    } else if (char === ',') {
      if (top !== undefined) top.index += 1;
      expectKey = top?.keys !== undefined;
    }
  }
  return duplicates;
}

function assertBounds(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      at = closingQuote(text, at);
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > DEPTH_MAX) throw new JsonTextError(`exceeded max depth of ${DEPTH_MAX}`);
    } else if (code === 0x7d || code === 0x5d) {
      depth -= 1;
    }
  }
}

/** What is infinite would be stored as null. */
function assertFinite(value: unknown): void {
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY)
    throw new JsonTextError('json: cannot unmarshal number into Go value of type float64');
  if (typeof value === 'object' && value !== null) for (const member of Object.values(value)) assertFinite(member);
}

/** `__proto__` as a key would change what spreading and assigning do later. */
function dropPrototypes(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if (Object.hasOwn(value, '__proto__')) Reflect.deleteProperty(value, '__proto__');
  for (const member of Object.values(value)) dropPrototypes(member);
}
