/** CEL's own functions: sizes, conversions, times, text. @see https://github.com/google/cel-spec/blob/master/doc/langdef.md */

import { CelEvaluationError } from './cel-error.ts';
import { parseGoDuration, parseTimestamp, showDuration, showTimestamp } from './cel-time.ts';
import {
  BOOL,
  BYTES,
  type CelType,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  listOf,
  mapOf,
  STRING,
  showType,
  TIMESTAMP,
  TYPE,
  UINT,
} from './cel-type.ts';
import { type CelMap, type CelValue, characterCount, Duration, isList, Timestamp, TypeName, typeOfValue, Uint } from './cel-value.ts';
import { define, method, type Overload } from './overload.ts';
import { matching } from './regular-expression.ts';

const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;
const UINT_MAX = 2n ** 64n - 1n;
const ANY_LIST = listOf(DYN);
const ANY_MAP = mapOf(DYN, DYN);

/** @throws {CelEvaluationError} It does not fit 64 bits. */
export function int64(value: bigint): bigint {
  if (value < INT_MIN || value > INT_MAX) throw new CelEvaluationError('integer overflow');
  return value;
}

/** @throws {CelEvaluationError} */
export function uint64(value: bigint): Uint {
  if (value < 0n || value > UINT_MAX) throw new CelEvaluationError('unsigned integer overflow');
  return new Uint(value);
}

function truncated(value: number): bigint {
  if (!Number.isFinite(value)) throw new CelEvaluationError('integer overflow');
  return BigInt(Math.trunc(value));
}

function parseInteger(text: string): bigint {
  if (!/^[-+]?\d{1,40}$/.test(text)) throw new CelEvaluationError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return BigInt(text.replace(/^\+/, ''));
}

function parseDouble(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || (Number.isNaN(value) && !/^nan$/i.test(text)))
    throw new CelEvaluationError(`strconv.ParseFloat: parsing ${JSON.stringify(text)}: invalid syntax`);
  return value;
}

/** Names of types as values: `type(x) == int`. */
export const TYPE_NAMES: ReadonlySet<string> = new Set([
  'int',
  'uint',
  'double',
  'bool',
  'string',
  'bytes',
  'list',
  'map',
  'null_type',
  'type',
]);

function nameOfType(value: CelValue): string {
  const type = typeOfValue(value);
  if (type.kind === 'null') return 'null_type';
  return type.kind === 'list' || type.kind === 'map' ? type.kind : showType(type);
}

const sizes: readonly Overload[] = [
  ...[define, method].flatMap((make) => [
    make<[string]>('size', [STRING], INT, ([text], budget) => budget.worked(text.length * 0.1, BigInt(characterCount(text)))),
    make<[Uint8Array]>('size', [BYTES], INT, ([bytes]) => BigInt(bytes.length)),
    make<[readonly CelValue[]]>('size', [ANY_LIST], INT, ([list]) => BigInt(list.length)),
    make<[CelMap]>('size', [ANY_MAP], INT, ([map]) => BigInt(map.entries.size)),
  ]),
];

const conversions: readonly Overload[] = [
  define<[bigint]>('int', [INT], INT, ([value]) => value),
  define<[Uint]>('int', [UINT], INT, ([{ value }]) => int64(value)),
  define<[number]>('int', [DOUBLE], INT, ([value]) => int64(truncated(value))),
  define<[string]>('int', [STRING], INT, ([text]) => int64(parseInteger(text))),
  define<[Timestamp]>('int', [TIMESTAMP], INT, ([{ nanos }]) => nanos / 1_000_000_000n),
  define<[Uint]>('uint', [UINT], UINT, ([value]) => value),
  define<[bigint]>('uint', [INT], UINT, ([value]) => uint64(value)),
  define<[number]>('uint', [DOUBLE], UINT, ([value]) => uint64(truncated(value))),
  define<[string]>('uint', [STRING], UINT, ([text]) => uint64(parseInteger(text))),
  define<[number]>('double', [DOUBLE], DOUBLE, ([value]) => value),
  define<[bigint]>('double', [INT], DOUBLE, ([value]) => Number(value)),
  define<[Uint]>('double', [UINT], DOUBLE, ([{ value }]) => Number(value)),
  define<[string]>('double', [STRING], DOUBLE, ([text]) => parseDouble(text)),
  define<[string]>('string', [STRING], STRING, ([text]) => text),
  define<[bigint]>('string', [INT], STRING, ([value]) => String(value)),
  define<[Uint]>('string', [UINT], STRING, ([{ value }]) => String(value)),
  define<[number]>('string', [DOUBLE], STRING, ([value]) => String(value)),
  define<[boolean]>('string', [BOOL], STRING, ([value]) => String(value)),
  define<[Uint8Array]>('string', [BYTES], STRING, ([bytes], budget) =>
    budget.worked(bytes.length * 0.1, Buffer.from(bytes).toString('utf8')),
  ),
  define<[Timestamp]>('string', [TIMESTAMP], STRING, ([value]) => showTimestamp(value)),
  define<[Duration]>('string', [DURATION], STRING, ([value]) => showDuration(value)),
  define<[string]>('bytes', [STRING], BYTES, ([text], budget) => budget.worked(text.length * 0.1, Buffer.from(text, 'utf8'))),
  define<[Uint8Array]>('bytes', [BYTES], BYTES, ([bytes]) => bytes),
  define<[boolean]>('bool', [BOOL], BOOL, ([value]) => value),
  define<[string]>('bool', [STRING], BOOL, ([text]) => {
    if (/^(1|t|true|TRUE|True|T)$/.test(text)) return true;
    if (/^(0|f|false|FALSE|False|F)$/.test(text)) return false;
    throw new CelEvaluationError(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
  }),
  define<[CelValue]>('dyn', [DYN], DYN, ([value]) => value),
  define<[CelValue]>('type', [DYN], TYPE, ([value]) => new TypeName(nameOfType(value))),
  define<[string]>('timestamp', [STRING], TIMESTAMP, ([text]) => parseTimestamp(text)),
  define<[Timestamp]>('timestamp', [TIMESTAMP], TIMESTAMP, ([value]) => value),
  define<[bigint]>('timestamp', [INT], TIMESTAMP, ([seconds]) => new Timestamp(seconds * 1_000_000_000n)),
  define<[string]>('duration', [STRING], DURATION, ([text]) => parseGoDuration(text)),
  define<[Duration]>('duration', [DURATION], DURATION, ([value]) => value),
  define<[bigint]>('duration', [INT], DURATION, ([seconds]) => new Duration(seconds * 1_000_000_000n)),
];

const texts: readonly Overload[] = [
  method<[string, string]>('startsWith', [STRING, STRING], BOOL, ([text, part], budget) =>
    budget.worked(part.length * 0.1, text.startsWith(part)),
  ),
  method<[string, string]>('endsWith', [STRING, STRING], BOOL, ([text, part], budget) =>
    budget.worked(part.length * 0.1, text.endsWith(part)),
  ),
  method<[string, string]>('contains', [STRING, STRING], BOOL, ([text, part], budget) =>
    budget.worked(Math.ceil(text.length * 0.1) * Math.ceil(Math.max(part.length, 1) * 0.1), text.includes(part)),
  ),
  ...[define, method].map((make) => matching(make, 'matches', [STRING, STRING], BOOL, (text, pattern) => pattern.matcher(text).find())),
];

type Getter = (date: Date, zoned: boolean) => number;

/** Finding out what a zone's clock shows takes that much longer than other functions. */
const ZONE_WORK = 500;

/** By the zone's wall clock, which a shifted UTC date shows. */
function inZone({ nanos }: Timestamp, zone: string): Date {
  const date = new Date(Number(nanos / 1_000_000n));
  if (zone === '' || zone === 'UTC') return date;
  const offset = /^([+-]?)(\d{1,2}):(\d{2})$/.exec(zone);
  if (offset !== null) {
    const minutes = (Number(offset[2]) * 60 + Number(offset[3])) * (offset[1] === '-' ? -1 : 1);
    return new Date(date.getTime() + minutes * 60_000);
  }
  try {
    const parts = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    }).formatToParts(date);
    const at = (type: string): string => parts.find((part) => part.type === type)?.value ?? '00';
    return new Date(
      `${at('year').padStart(4, '0')}-${at('month')}-${at('day')}T${at('hour')}:${at('minute')}:${at('second')}.${String(date.getUTCMilliseconds()).padStart(3, '0')}Z`,
    );
  } catch {
    throw new CelEvaluationError(`unknown time zone ${zone}`);
  }
}

const DAY_MS = 86_400_000;
const GETTERS: Readonly<Record<string, Getter>> = {
  getFullYear: (date) => date.getUTCFullYear(),
  getMonth: (date) => date.getUTCMonth(),
  getDate: (date) => date.getUTCDate(),
  getDayOfMonth: (date) => date.getUTCDate() - 1,
  getDayOfWeek: (date) => date.getUTCDay(),
  getDayOfYear: (date) => Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / DAY_MS),
  getHours: (date) => date.getUTCHours(),
  getMinutes: (date) => date.getUTCMinutes(),
  getSeconds: (date) => date.getUTCSeconds(),
  getMilliseconds: (date) => date.getUTCMilliseconds(),
};

const times: readonly Overload[] = [
  ...Object.entries(GETTERS).flatMap(([name, read]) => [
    method<[Timestamp]>(name, [TIMESTAMP], INT, ([time]) => BigInt(read(inZone(time, ''), false))),
    method<[Timestamp, string]>(name, [TIMESTAMP, STRING], INT, ([time, zone], budget) => {
      budget.work(ZONE_WORK);
      return BigInt(read(inZone(time, zone), true));
    }),
  ]),
  ...(
    [
      ['getHours', 3_600_000_000_000n],
      ['getMinutes', 60_000_000_000n],
      ['getSeconds', 1_000_000_000n],
    ] as const
  ).map(([name, unit]) => method<[Duration]>(name, [DURATION], INT, ([{ nanos }]) => nanos / unit)),
  method<[Duration]>('getMilliseconds', [DURATION], INT, ([{ nanos }]) => (nanos / 1_000_000n) % 1000n),
];

/** Result types of operators by their operands; `undefined` where they do not go together. */
export function arithmeticType(operator: string, left: CelType, right: CelType): CelType | undefined {
  if (left.kind === 'dyn' && right.kind === 'dyn') return DYN;
  if (left.kind === 'dyn' || right.kind === 'dyn') return openArithmeticType(operator, left, right);
  const pair = `${left.kind} ${operator} ${right.kind}`;
  switch (left.kind) {
    case 'int':
    case 'uint':
      return left.kind === right.kind ? left : undefined;
    case 'double':
      return right.kind === 'double' && operator !== '%' ? left : undefined;
    case 'string':
    case 'bytes':
      return operator === '+' && right.kind === left.kind ? left : undefined;
    case 'list':
      return operator === '+' && right.kind === 'list' ? left : undefined;
    default:
      break;
  }
  if (pair === 'timestamp + duration' || pair === 'duration + timestamp' || pair === 'timestamp - duration') return TIMESTAMP;
  if (pair === 'timestamp - timestamp' || pair === 'duration + duration' || pair === 'duration - duration') return DURATION;
  return undefined;
}

/** What one known operand says of the other: most operators take two of a kind. Times and durations leave it open. */
function openArithmeticType(operator: string, left: CelType, right: CelType): CelType | undefined {
  const known = left.kind === 'dyn' ? right : left;
  switch (known.kind) {
    case 'int':
    case 'uint':
      return known;
    case 'double':
      return operator === '%' ? undefined : known;
    case 'string':
    case 'bytes':
    case 'list':
      return operator === '+' ? known : undefined;
    case 'timestamp':
      if (operator === '+') return TIMESTAMP;
      return operator === '-' ? (known === right ? DURATION : DYN) : undefined;
    case 'duration':
      if (operator === '-' && known === left) return DURATION;
      return operator === '+' || operator === '-' ? DYN : undefined;
    default:
      return undefined;
  }
}

/** @throws {CelEvaluationError} Overflow, division by zero, or values that do not go together. */
export function arithmetic(operator: string, left: CelValue, right: CelValue): CelValue {
  if (typeof left === 'bigint' && typeof right === 'bigint') return int64(integers(operator, left, right));
  if (left instanceof Uint && right instanceof Uint) return uint64(integers(operator, left.value, right.value));
  if (typeof left === 'number' && typeof right === 'number') {
    if (operator === '+') return left + right;
    if (operator === '-') return left - right;
    if (operator === '*') return left * right;
    if (operator === '/') return left / right;
  }
  if (operator === '+') {
    if (typeof left === 'string' && typeof right === 'string') return left + right;
    if (isList(left) && isList(right)) return [...left, ...right];
    if (left instanceof Uint8Array && right instanceof Uint8Array) return Buffer.concat([left, right]);
    if (left instanceof Timestamp && right instanceof Duration) return new Timestamp(left.nanos + right.nanos);
    if (left instanceof Duration && right instanceof Timestamp) return new Timestamp(left.nanos + right.nanos);
    if (left instanceof Duration && right instanceof Duration) return new Duration(int64(left.nanos + right.nanos));
  }
  if (operator === '-') {
    if (left instanceof Timestamp && right instanceof Timestamp) return new Duration(left.nanos - right.nanos);
    if (left instanceof Timestamp && right instanceof Duration) return new Timestamp(left.nanos - right.nanos);
    if (left instanceof Duration && right instanceof Duration) return new Duration(int64(left.nanos - right.nanos));
  }
  throw new CelEvaluationError('no such overload');
}

function integers(operator: string, left: bigint, right: bigint): bigint {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      if (right === 0n) throw new CelEvaluationError('division by zero');
      return left / right;
    case '%':
      if (right === 0n) throw new CelEvaluationError('modulus by zero');
      return left % right;
    default:
      throw new CelEvaluationError('no such overload');
  }
}

export const standardFunctions: readonly Overload[] = [...sizes, ...conversions, ...texts, ...times];
