import type { Cidr, ParsedIP } from '../address-syntax.ts';
import type { Quantity } from '../quantity.ts';
import { CelEvaluationError } from './cel-error.ts';
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
  NULL,
  opaque,
  optionalOf,
  STRING,
  TIMESTAMP,
  TYPE,
  UINT,
} from './cel-type.ts';

/** A value within an expression. Integers are bigint and doubles are number, so the two never get mixed up. */
export type CelValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | readonly CelValue[]
  | CelMap
  | Uint
  | Timestamp
  | Duration
  | Optional
  | TypeName
  | Opaque
  | LibraryValue;

export type CelKey = string | bigint | boolean;

/** An unsigned integer. */
export class Uint {
  readonly value: bigint;

  constructor(value: bigint) {
    this.value = value;
  }
}

/** Nanoseconds since 1970. */
export class Timestamp {
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

export class Duration {
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

/** A map, or an object of a schema. */
export class CelMap {
  readonly entries: ReadonlyMap<CelKey, CelValue>;

  constructor(entries: ReadonlyMap<CelKey, CelValue>) {
    this.entries = entries;
  }
}

/** A value that may be absent (`undefined`). */
export class Optional {
  readonly value: CelValue | undefined;

  constructor(value: CelValue | undefined) {
    this.value = value;
  }
}

export class TypeName {
  readonly type: string;

  constructor(type: string) {
    this.type = type;
  }
}

/** What a library makes of text. */
export type OpaqueContent =
  | { readonly kind: 'quantity'; readonly quantity: Quantity }
  | { readonly kind: 'ip'; readonly ip: ParsedIP }
  | { readonly kind: 'cidr'; readonly cidr: Cidr }
  | { readonly kind: 'url'; readonly url: URL; readonly text: string }
  | { readonly kind: 'format'; readonly format: string }
  | { readonly kind: 'semver'; readonly numbers: readonly [bigint, bigint, bigint]; readonly prerelease: string; readonly text: string };

export class Opaque {
  readonly content: OpaqueContent;

  constructor(content: OpaqueContent) {
    this.content = content;
  }
}

/** A value that only one library knows: it is equal to nothing but itself. */
export class LibraryValue {
  readonly type: CelType;
  readonly content: unknown;

  constructor(type: CelType, content: unknown) {
    this.type = type;
    this.content = content;
  }
}

export const QUANTITY = opaque('kubernetes.Quantity');
export const IP = opaque('net.IP');
export const CIDR = opaque('net.CIDR');
export const URL_TYPE = opaque('kubernetes.URL');
export const FORMAT = opaque('kubernetes.NamedFormat');
export const SEMVER = opaque('kubernetes.Semver');

const OPAQUE_TYPES: Readonly<Record<OpaqueContent['kind'], CelType>> = {
  quantity: QUANTITY,
  ip: IP,
  cidr: CIDR,
  url: URL_TYPE,
  format: FORMAT,
  semver: SEMVER,
};

const ANY_MAP = mapOf(DYN, DYN);
const ANY_LIST = listOf(DYN);
const ANY_OPTIONAL = optionalOf(DYN);

/** The type that a value itself shows. What lies in lists and maps stays open. */
export function typeOfValue(value: CelValue): CelType {
  switch (typeof value) {
    case 'boolean':
      return BOOL;
    case 'bigint':
      return INT;
    case 'number':
      return DOUBLE;
    case 'string':
      return STRING;
    default:
      break;
  }
  if (value === null) return NULL;
  if (value instanceof CelMap) return ANY_MAP;
  if (isList(value)) return ANY_LIST;
  if (value instanceof Uint8Array) return BYTES;
  if (value instanceof Uint) return UINT;
  if (value instanceof Timestamp) return TIMESTAMP;
  if (value instanceof Duration) return DURATION;
  if (value instanceof Optional) return ANY_OPTIONAL;
  if (value instanceof TypeName) return TYPE;
  if (value instanceof LibraryValue) return value.type;
  return OPAQUE_TYPES[value.content.kind];
}

export function isList(value: CelValue): value is readonly CelValue[] {
  return Array.isArray(value);
}

/** Counts what an evaluation does; see `Budget`. */
export interface WorkMeter {
  /** @throws {CelBudgetError} */
  work(units: number): void;
}

/** Numbers are equal across their types; all else only within its own. */
export function equalValues(a: CelValue, b: CelValue, meter?: WorkMeter): boolean {
  if (a === b) return true;
  const [left, right] = [numeric(a), numeric(b)];
  // biome-ignore lint/suspicious/noDoubleEquals: between bigint and number this compares the numbers exactly.
  if (left !== undefined && right !== undefined) return left == right;
  if (isList(a)) {
    if (!isList(b) || a.length !== b.length) return false;
    return a.every((item, index) => {
      meter?.work(1);
      return equalValues(item, b[index] as CelValue, meter);
    });
  }
  if (a instanceof CelMap) {
    if (!(b instanceof CelMap) || a.entries.size !== b.entries.size) return false;
    for (const [key, value] of a.entries) {
      meter?.work(1);
      const other = b.entries.get(key);
      if (other === undefined || !equalValues(value, other, meter)) return false;
    }
    return true;
  }
  if (a instanceof Timestamp || a instanceof Duration) return a.constructor === b?.constructor && a.nanos === (b as Duration).nanos;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof Optional) {
    if (!(b instanceof Optional)) return false;
    return a.value === undefined || b.value === undefined ? a.value === b.value : equalValues(a.value, b.value);
  }
  if (a instanceof TypeName) return b instanceof TypeName && a.type === b.type;
  if (a instanceof Opaque) return b instanceof Opaque && equalContents(a.content, b.content);
  return false;
}

function equalContents(a: OpaqueContent, b: OpaqueContent): boolean {
  if (a.kind === 'quantity' && b.kind === 'quantity') return a.quantity.nanos === b.quantity.nanos;
  if (a.kind === 'ip' && b.kind === 'ip') return a.ip.family === b.ip.family && a.ip.value === b.ip.value;
  if (a.kind === 'cidr' && b.kind === 'cidr')
    return a.cidr.family === b.cidr.family && a.cidr.value === b.cidr.value && a.cidr.prefixLength === b.cidr.prefixLength;
  if (a.kind === 'url' && b.kind === 'url') return a.text === b.text;
  if (a.kind === 'format' && b.kind === 'format') return a.format === b.format;
  if (a.kind === 'semver' && b.kind === 'semver')
    return a.prerelease === b.prerelease && a.numbers.every((part, index) => part === b.numbers[index]);
  return false;
}

/** Below 0, 0, above 0. @throws {CelEvaluationError} The two have no order. */
export function compareValues(a: CelValue, b: CelValue): number {
  const [left, right] = [numeric(a), numeric(b)];
  if (left !== undefined && right !== undefined) return left < right ? -1 : left > right ? 1 : 0;
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if ((a instanceof Timestamp && b instanceof Timestamp) || (a instanceof Duration && b instanceof Duration))
    return a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  throw new CelEvaluationError('no such overload');
}

/** By characters, where plain comparison of strings goes by UTF-16 units: halves of pairs stand for what lies above all others. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const [left, right] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (left !== right) return isHalf(left) === isHalf(right) ? left - right : isHalf(left) ? 1 : -1;
  }
  return a.length - b.length;
}

function isHalf(unit: number): boolean {
  return (unit & 0xf800) === 0xd800;
}

function numeric(value: CelValue): bigint | number | undefined {
  if (typeof value === 'bigint' || typeof value === 'number') return value;
  return value instanceof Uint ? value.value : undefined;
}

/** Characters, of which UTF-16 writes some as pairs. */
export function characterCount(text: string): number {
  let count = text.length;
  for (let at = 1; at < text.length; at += 1) {
    if ((text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800) count -= 1;
  }
  return count;
}

/** How much there is in a value, for what reading it whole costs. */
export function sizeOfValue(value: CelValue | undefined): number {
  if (value === undefined) return 1;
  if (typeof value === 'string') return value.length;
  if (value instanceof Uint8Array) return value.length;
  if (isList(value)) return value.reduce<number>((sum, item) => sum + sizeOfValue(item), 1);
  if (value instanceof CelMap) {
    let sum = 1;
    for (const item of value.entries.values()) sum += 1 + sizeOfValue(item);
    return sum;
  }
  return 1;
}

/** The key as maps hold it. @throws {CelEvaluationError} */
export function keyOf(value: CelValue): CelKey {
  if (typeof value === 'string' || typeof value === 'bigint' || typeof value === 'boolean') return value;
  if (value instanceof Uint) return value.value;
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
  throw new CelEvaluationError('unsupported key type');
}
