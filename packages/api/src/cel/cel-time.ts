import { CelEvaluationError } from './cel-error.ts';
import { Duration, Timestamp } from './cel-value.ts';

const RFC_3339 = /^(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d{2}:\d{2})$/;
const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const SECOND = 1_000_000_000n;

/** @throws {CelEvaluationError} It is not RFC 3339. */
export function parseTimestamp(text: string): Timestamp {
  const match = RFC_3339.exec(text);
  const wholeMs = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}${(match[4] ?? 'Z').toUpperCase()}`);
  if (match === null || Number.isNaN(wholeMs)) throw new CelEvaluationError(`invalid timestamp ${JSON.stringify(text)}`);
  return new Timestamp(BigInt(wholeMs) * 1_000_000n + BigInt((match[3] ?? '').padEnd(9, '0')));
}

/** Go's form: `1h30m`, `-1.5s`. @throws {CelEvaluationError} */
export function parseGoDuration(text: string): Duration {
  const failure = (): CelEvaluationError => new CelEvaluationError(`time: invalid duration ${JSON.stringify(text)}`);
  if (text.length > 100) throw failure();
  const negative = text.startsWith('-');
  let rest = text.replace(/^[-+]/, '');
  if (rest === '0') return new Duration(0n);
  if (rest === '') throw failure();
  let nanos = 0n;
  while (rest !== '') {
    const match = /^(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/.exec(rest);
    if (match === null || ((match[1] ?? '') === '' && (match[2] ?? '') === '')) throw failure();
    const unit = UNITS[match[3] ?? ''] ?? 1n;
    const fraction = (match[2] ?? '').slice(0, 15);
    nanos += BigInt(match[1] || '0') * unit + (fraction === '' ? 0n : (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length));
    rest = rest.slice(match[0].length);
  }
  if (nanos > 2n ** 63n - 1n) throw failure();
  return new Duration(negative ? -nanos : nanos);
}

export function showTimestamp({ nanos }: Timestamp): string {
  const fraction = ((nanos % SECOND) + SECOND) % SECOND;
  const text = new Date(Number((nanos - fraction) / 1_000_000n)).toISOString().slice(0, 19);
  return fraction === 0n ? `${text}Z` : `${text}.${String(fraction).padStart(9, '0').replace(/0+$/, '')}Z`;
}

/** Seconds, as protobuf's JSON writes durations. */
export function showDuration({ nanos }: Duration): string {
  const absolute = nanos < 0n ? -nanos : nanos;
  const fraction = String(absolute % SECOND)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${nanos < 0n ? '-' : ''}${absolute / SECOND}${fraction === '' ? '' : `.${fraction}`}s`;
}
