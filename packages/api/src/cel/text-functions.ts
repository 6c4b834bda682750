/** The strings extension and Kubernetes' regular expressions. Positions count characters. @see https://kubernetes.io/docs/reference/using-api/cel/ */
import type { RE2JS } from 're2js';
import type { Budget } from './budget.ts';
import { CelEvaluationError } from './cel-error.ts';
import { showDuration, showTimestamp } from './cel-time.ts';
import { DYN, INT, listOf, STRING } from './cel-type.ts';
import { CelMap, type CelValue, Duration, isList, Timestamp, TypeName, Uint } from './cel-value.ts';
import { define, method, type Overload } from './overload.ts';
import { matching } from './regular-expression.ts';

const TEXT_LIST = listOf(STRING);
/** Of one match among several. */
const FOUND_WORK = 5;

/** The characters of a text, paid for. */
function charactersOf(text: string, budget: Budget): readonly string[] {
  budget.work(text.length * 0.1);
  return [...text];
}

function position(index: bigint, length: number): number {
  if (index < 0n || index > BigInt(length)) throw new CelEvaluationError(`index out of range: ${index}`);
  return Number(index);
}

function indexIn(text: string, part: string, from: bigint, budget: Budget): bigint {
  const all = charactersOf(text, budget);
  const start = position(from, all.length);
  budget.work(Math.ceil(text.length * 0.1) * Math.ceil(part.length * 0.1));
  const at = text.indexOf(part, all.slice(0, start).join('').length);
  return at < 0 ? -1n : BigInt([...text.slice(0, at)].length);
}

function lastIndexIn(text: string, part: string, from: bigint | undefined, budget: Budget): bigint {
  const all = charactersOf(text, budget);
  const end = from === undefined ? all.length : position(from, all.length);
  budget.work(Math.ceil(text.length * 0.1) * Math.ceil(part.length * 0.1));
  const at = text.lastIndexOf(part, all.slice(0, end).join('').length);
  return at < 0 ? -1n : BigInt([...text.slice(0, at)].length);
}

function joined(list: readonly CelValue[], separator: string, budget: Budget): string {
  let length = 0;
  for (const item of list) {
    if (typeof item !== 'string') throw new CelEvaluationError('no such overload');
    length += item.length + separator.length;
  }
  budget.work(length * 0.1);
  return list.join(separator);
}

/** `limit` negative: no limit. */
function replaced(text: string, part: string, by: string, limit: bigint, budget: Budget): string {
  budget.work(text.length * 0.1);
  if (limit === 0n) return text;
  const pieces = part === '' ? [...text] : text.split(part);
  const swaps = part === '' ? pieces.length + 1 : pieces.length - 1;
  const done = limit < 0n ? swaps : Math.min(swaps, Number(limit));
  budget.work((done * by.length) / 10);
  if (part === '') return pieces.map((piece, index) => (index < done ? by : '') + piece).join('') + (done > pieces.length ? by : '');
  return (
    pieces.slice(0, done + 1).join(by) +
    pieces
      .slice(done + 1)
      .map((piece) => part + piece)
      .join('')
  );
}

function splitText(text: string, separator: string, limit: bigint, budget: Budget): string[] {
  budget.work(text.length * 0.1);
  if (limit === 0n) return [];
  const pieces = separator === '' ? [...text] : text.split(separator);
  if (limit < 0n || BigInt(pieces.length) <= limit) return pieces;
  const kept = Number(limit) - 1;
  return [...pieces.slice(0, kept), pieces.slice(kept).join(separator)];
}

/** ASCII only, whatever the locale. */
function cased(text: string, budget: Budget, upper: boolean): string {
  budget.work(text.length * 0.1);
  return upper ? text.replace(/[a-z]/g, (letter) => letter.toUpperCase()) : text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function found(text: string, pattern: RE2JS, limit: bigint, budget: Budget): string[] {
  const matcher = pattern.matcher(text);
  const results: string[] = [];
  while ((limit < 0n || BigInt(results.length) < limit) && matcher.find()) {
    budget.work(FOUND_WORK);
    results.push(matcher.group() ?? '');
  }
  return results;
}

const FORMAT_PRECISION_MAX = 100;
/** Of each character of a value that is written out. */
const SHOWN_WORK = 0.3;

/** `%s`, `%d`, `%f`, `%e`, `%b`, `%o`, `%x`, `%X` and `%%`, with a precision for floating point. */
function formatted(template: string, args: readonly CelValue[], budget: Budget): string {
  let next = 0;
  const result = template.replace(/%(?:\.(\d{1,3}))?([a-zA-Z%])/g, (_clause, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    if (next >= args.length) throw new CelEvaluationError(`index ${next} out of range`);
    const value = args[next] as CelValue;
    next += 1;
    const text = formatOne(verb, value, precision === undefined ? undefined : Number(precision));
    budget.work(text.length * SHOWN_WORK + 1);
    return text;
  });
  budget.work(template.length * 0.1);
  return result;
}

function formatOne(verb: string, value: CelValue, precision: number | undefined): string {
  if (precision !== undefined && precision > FORMAT_PRECISION_MAX) throw new CelEvaluationError(`precision ${precision} is too large`);
  const integer = typeof value === 'bigint' ? value : value instanceof Uint ? value.value : undefined;
  switch (verb) {
    case 's':
      return shownText(value);
    case 'd':
      if (integer !== undefined) return String(integer);
      if (typeof value === 'number') return String(value);
      break;
    case 'f':
      if (typeof value === 'number' || integer !== undefined)
        return Number(value instanceof Uint ? value.value : value).toFixed(precision ?? 6);
      break;
    case 'e':
      if (typeof value === 'number' || integer !== undefined) {
        const text = Number(value instanceof Uint ? value.value : value).toExponential(precision ?? 6);
        return text.replace(/e([+-])(\d)$/, 'e$10$2');
      }
      break;
    case 'b':
      if (typeof value === 'boolean') return value ? '1' : '0';
      if (integer !== undefined) return integer.toString(2);
      break;
    case 'o':
      if (integer !== undefined) return integer.toString(8);
      break;
    case 'x':
    case 'X': {
      const text =
        integer !== undefined
          ? integer.toString(16)
          : typeof value === 'string'
            ? Buffer.from(value).toString('hex')
            : value instanceof Uint8Array
              ? Buffer.from(value).toString('hex')
              : undefined;
      if (text !== undefined) return verb === 'X' ? text.toUpperCase() : text;
      break;
    }
    default:
      throw new CelEvaluationError(`unrecognized formatting clause "${verb}"`);
  }
  throw new CelEvaluationError(`error during formatting: value does not fit %${verb}`);
}

function shownText(value: CelValue): string {
  if (typeof value === 'string') return value;
  if (value === null) return 'null';
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof Uint) return String(value.value);
  if (isList(value)) return `[${value.map(quotedText).join(', ')}]`;
  if (value instanceof CelMap)
    return `{${[...value.entries]
      .map(([key, item]) => `${quotedText(key)}:${quotedText(item)}`)
      .sort()
      .join(', ')}}`;
  if (value instanceof Timestamp) return showTimestamp(value);
  if (value instanceof Duration) return showDuration(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (value instanceof TypeName) return value.type;
  throw new CelEvaluationError(
    'error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps',
  );
}

/** Within lists and maps texts stand in quotes. */
function quotedText(value: CelValue): string {
  return typeof value === 'string' ? quote(value) : shownText(value);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

function quote(text: string): string {
  return `"${[...text].map((character) => ESCAPES[character] ?? character).join('')}"`;
}

/** Upstream's `trim`: Unicode white space at both ends. */
function trimmed(text: string, budget: Budget): string {
  budget.work(text.length * 0.1);
  return text.trim();
}

export const textFunctions: readonly Overload[] = [
  define<[string]>('strings.quote', [STRING], STRING, ([text], budget) => budget.worked(text.length * 0.1, quote(text))),
  method<[string, bigint]>('charAt', [STRING, INT], STRING, ([text, index], budget) => {
    const all = charactersOf(text, budget);
    return all[position(index, all.length)] ?? '';
  }),
  method<[string, string]>('indexOf', [STRING, STRING], INT, ([text, part], budget) => indexIn(text, part, 0n, budget)),
  method<[string, string, bigint]>('indexOf', [STRING, STRING, INT], INT, ([text, part, from], budget) =>
    indexIn(text, part, from, budget),
  ),
  method<[string, string]>('lastIndexOf', [STRING, STRING], INT, ([text, part], budget) => lastIndexIn(text, part, undefined, budget)),
  method<[string, string, bigint]>('lastIndexOf', [STRING, STRING, INT], INT, ([text, part, from], budget) =>
    lastIndexIn(text, part, from, budget),
  ),
  method<[readonly CelValue[]]>('join', [TEXT_LIST], STRING, ([list], budget) => joined(list, '', budget)),
  method<[readonly CelValue[], string]>('join', [TEXT_LIST, STRING], STRING, ([list, separator], budget) =>
    joined(list, separator, budget),
  ),
  method<[string]>('lowerAscii', [STRING], STRING, ([text], budget) => cased(text, budget, false)),
  method<[string]>('upperAscii', [STRING], STRING, ([text], budget) => cased(text, budget, true)),
  method<[string, string, string]>('replace', [STRING, STRING, STRING], STRING, ([text, part, by], budget) =>
    replaced(text, part, by, -1n, budget),
  ),
  method<[string, string, string, bigint]>('replace', [STRING, STRING, STRING, INT], STRING, ([text, part, by, limit], budget) =>
    replaced(text, part, by, limit, budget),
  ),
  method<[string, string]>('split', [STRING, STRING], TEXT_LIST, ([text, separator], budget) => splitText(text, separator, -1n, budget)),
  method<[string, string, bigint]>('split', [STRING, STRING, INT], TEXT_LIST, ([text, separator, limit], budget) =>
    splitText(text, separator, limit, budget),
  ),
  method<[string, bigint]>('substring', [STRING, INT], STRING, ([text, from], budget) => {
    const all = charactersOf(text, budget);
    return all.slice(position(from, all.length)).join('');
  }),
  method<[string, bigint, bigint]>('substring', [STRING, INT, INT], STRING, ([text, from, to], budget) => {
    const all = charactersOf(text, budget);
    const [start, end] = [position(from, all.length), position(to, all.length)];
    if (start > end) throw new CelEvaluationError(`invalid substring range. start: ${start}, end: ${end}`);
    return all.slice(start, end).join('');
  }),
  method<[string]>('trim', [STRING], STRING, ([text], budget) => trimmed(text, budget)),
  method<[string, readonly CelValue[]]>('format', [STRING, listOf(DYN)], STRING, ([text, args], budget) => formatted(text, args, budget)),
  matching(method, 'find', [STRING, STRING], STRING, (text, pattern, _limit, budget) => found(text, pattern, 1n, budget)[0] ?? ''),
  matching(method, 'findAll', [STRING, STRING], TEXT_LIST, found),
  matching(method, 'findAll', [STRING, STRING, INT], TEXT_LIST, found),
];
