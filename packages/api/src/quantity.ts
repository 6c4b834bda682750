/**
 * Kubernetes' resource quantities: exact numbers with a suffix (`100m`, `1.5Gi`, `2e3`). Values are held in billionths as a
 * bigint, which is exactly the precision the API promises: anything finer is rounded away from zero.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */

/** How a quantity was written; decides its canonical spelling, never its value. */
export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

export interface Quantity {
  readonly nanos: bigint;
  readonly format: QuantityFormat;
}

/** The text is no quantity. The message is the API's own. */
export class QuantityError extends Error {
  override readonly name = 'QuantityError';
  readonly code = 'QUANTITY_MALFORMED';
}

const NANOS = 1_000_000_000n;
const LARGEST = ((1n << 63n) - 1n) * NANOS;
const PATTERN = /^([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)$/;
const WRONG_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_SUFFIX = "unable to parse quantity's suffix";
const WRONG_NUMBER = 'unable to parse numeric part of quantity';
/** Beyond this no value is distinguishable from the largest or from zero; keeps powers of ten small. */
const EXPONENT_MAX = 200;

const DECIMAL_EXPONENTS: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY_POWERS: Readonly<Record<string, number>> = { Ki: 1, Mi: 2, Gi: 3, Ti: 4, Pi: 5, Ei: 6 };
const DECIMAL_SUFFIXES = new Map(Object.entries(DECIMAL_EXPONENTS).map(([suffix, exponent]) => [exponent, suffix]));
const BINARY_SUFFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** @throws {QuantityError} `text` is no quantity. */
export function parseQuantity(text: string): Quantity {
  const match = PATTERN.exec(text);
  if (match === null) throw new QuantityError(/^[+-]?[0-9.]+/.test(text) && /^[+-]?[\d.]*\..*\./.test(text) ? WRONG_NUMBER : WRONG_FORMAT);
  const [, sign = '', whole = '', fraction = '', suffix = ''] = match;
  if (whole === '' && fraction === '') throw new QuantityError(WRONG_FORMAT);
  const { base, exponent, format } = parseSuffix(suffix);
  const digits = BigInt(whole + fraction);
  let numerator = digits * NANOS;
  let denominator = 10n ** BigInt(fraction.length);
  if (exponent >= 0) numerator *= base ** BigInt(exponent);
  else denominator *= base ** BigInt(-exponent);
  let nanos = (numerator + denominator - 1n) / denominator;
  if (nanos > LARGEST) nanos = LARGEST;
  return { nanos: sign === '-' ? -nanos : nanos, format };
}

/** The quantity in a JSON value (numbers are allowed), or `undefined` where it is none. */
export function quantityOf(value: unknown): Quantity | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  try {
    return parseQuantity(String(value).trim());
  } catch {
    return undefined;
  }
}

/** The canonical spelling: no precision lost, no fraction, the largest suffix that allows that. `1.5Gi` is `1536Mi`, `0.1` is `100m`. */
export function formatQuantity({ nanos, format }: Quantity): string {
  if (nanos === 0n) return '0';
  const bound = 1024n * NANOS;
  // Small and fractional binary values read better, and stay exact, in decimal.
  const binary = format === 'BinarySI' && (nanos >= bound || nanos <= -bound) && nanos % NANOS === 0n;
  return binary ? formatBinary(nanos / NANOS) : formatDecimal(nanos, format === 'DecimalExponent');
}

/** `text` in canonical spelling. @throws {QuantityError} It is no quantity. */
export function canonicalQuantity(text: string): string {
  return formatQuantity(parseQuantity(text));
}

/** Negative, zero or positive as `a` is less than, equal to or more than `b`. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  return a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0;
}

/** The sum, spelled like `a` unless `a` is zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos + b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

/** The difference, spelled like `a` unless `a` is zero. */
export function subtractQuantities(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos - b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

/** Whole units (bytes of memory, numbers of devices), rounded up. */
export function quantityToUnits({ nanos }: Quantity): bigint {
  return ceilDivide(nanos, NANOS);
}

/** Thousandths (millicores), rounded up. */
export function quantityToMillis({ nanos }: Quantity): bigint {
  return ceilDivide(nanos, 1_000_000n);
}

/** Bytes of a memory or storage quantity, rounded up. @throws {QuantityError} */
export function parseBytes(text: string | number): bigint {
  return quantityToUnits(parseQuantity(String(text)));
}

/** Millicores of a CPU quantity, rounded up. @throws {QuantityError} */
export function parseMillis(text: string | number): bigint {
  return quantityToMillis(parseQuantity(String(text)));
}

/** A quantity of `units` whole units. */
export function quantityFromUnits(units: bigint | number, format: QuantityFormat = 'DecimalSI'): Quantity {
  return { nanos: BigInt(units) * NANOS, format };
}

/** A quantity of `millis` thousandths. */
export function quantityFromMillis(millis: bigint | number): Quantity {
  return { nanos: BigInt(millis) * 1_000_000n, format: 'DecimalSI' };
}

function parseSuffix(suffix: string): { base: bigint; exponent: number; format: QuantityFormat } {
  const decimal = Object.hasOwn(DECIMAL_EXPONENTS, suffix) ? DECIMAL_EXPONENTS[suffix] : undefined;
  if (decimal !== undefined) return { base: 10n, exponent: decimal, format: 'DecimalSI' };
  const binary = Object.hasOwn(BINARY_POWERS, suffix) ? BINARY_POWERS[suffix] : undefined;
  if (binary !== undefined) return { base: 1024n, exponent: binary, format: 'BinarySI' };
  const exponent = /^[eE]([-+]?\d+)$/.exec(suffix)?.[1];
  if (exponent === undefined) throw new QuantityError(WRONG_SUFFIX);
  const value = Math.min(Math.max(Number(exponent), -EXPONENT_MAX), EXPONENT_MAX);
  return { base: 10n, exponent: value, format: 'DecimalExponent' };
}

function formatBinary(units: bigint): string {
  let mantissa = units;
  let power = 0;
  while (power < BINARY_SUFFIXES.length - 1 && mantissa % 1024n === 0n) {
    mantissa /= 1024n;
    power += 1;
  }
  return `${mantissa}${BINARY_SUFFIXES[power] ?? ''}`;
}

function formatDecimal(nanos: bigint, asExponent: boolean): string {
  let mantissa = nanos;
  let exponent = -9;
  while (exponent < 18 && mantissa % 1000n === 0n) {
    mantissa /= 1000n;
    exponent += 3;
  }
  if (asExponent) return exponent === 0 ? `${mantissa}` : `${mantissa}e${exponent}`;
  return `${mantissa}${DECIMAL_SUFFIXES.get(exponent) ?? ''}`;
}

function ceilDivide(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend > 0n && dividend % divisor !== 0n ? quotient + 1n : quotient;
}
