/**
 * Reads JSON within bounds, and says which keys an object holds twice: `JSON.parse` keeps the last one silently,
 * and lets a few hundred KB of brackets cost a deep stack later.
 */

/** The text is not JSON, or deeper than allowed. */
export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';
  readonly code = 'JSON_MALFORMED';
}

/** Deeper objects serve no purpose and cost stack in everything that walks them. */
const DEPTH_MAX = 128;

/** The shortest run of digits that may be beyond 2^53. */
const WIDE_DIGITS = 16;

/** Parses `text`. @throws {JsonTextError} Also for integers that would come out as others: what is stored must be what was sent. */
export function parseJson(text: string): unknown {
  assertBounds(text);
  try {
    // A reviver costs more than the parsing; hardly any text needs it.
    return text.includes('__proto__') || text.includes('\\u') ? JSON.parse(text, dropPrototype) : JSON.parse(text);
  } catch (cause) {
    throw new JsonTextError((cause as Error).message, { cause });
  }
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
      const end = stringEnd(text, at);
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
      at = stringEnd(text, at);
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > DEPTH_MAX) throw new JsonTextError(`exceeded max depth of ${DEPTH_MAX}`);
    } else if (code === 0x7d || code === 0x5d) {
      depth -= 1;
    } else if (isDigit(code)) {
      const start = at;
      while (isDigit(text.charCodeAt(at + 1))) at += 1;
      if (at - start >= WIDE_DIGITS - 1) assertExact(text, start, at + 1);
    }
  }
}

/** Fractions and exponents are approximate by nature, integers are not. */
function assertExact(text: string, start: number, end: number): void {
  const digits = text.slice(start, end);
  if (/[.eE+-]/.test(text[end] ?? '') || /[.eE+]/.test(text[start - 1] ?? '')) return;
  if (String(Number(digits)) !== digits) throw new JsonTextError(`number ${digits} is an integer too large to be kept exactly`);
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Index of the quote that closes the string opened at `at`; the text's end where none does. */
function stringEnd(text: string, at: number): number {
  for (let index = at + 1; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x5c) index += 1;
    else if (code === 0x22) return index;
  }
  return text.length;
}

/** `__proto__` as a key would change what spreading and assigning do later. */
function dropPrototype(this: unknown, key: string, value: unknown): unknown {
  return key === '__proto__' ? undefined : value;
}
