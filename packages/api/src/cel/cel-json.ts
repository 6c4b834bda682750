import type { Json, JsonObject } from '../definition.ts';
import { integerOf } from '../json-text.ts';
import { setOwn } from '../json-value.ts';
import { CelEvaluationError } from './cel-error.ts';
import { showDuration, showTimestamp } from './cel-time.ts';
import { CelMap, type CelValue, Duration, isList, Optional, Timestamp, Uint } from './cel-value.ts';

/** JSON of what an expression came to. @throws {CelEvaluationError} There is none: a type, a decision, a number that is not finite. */
export function jsonOfValue(value: CelValue): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'bigint') return exactNumber(value);
  if (value instanceof Uint) return exactNumber(value.value);
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (value instanceof Timestamp) return showTimestamp(value);
  if (value instanceof Duration) return showDuration(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Optional) return value.value === undefined ? null : jsonOfValue(value.value);
  if (isList(value)) return value.map(jsonOfValue);
  if (value instanceof CelMap) {
    const object: JsonObject = {};
    for (const [key, item] of value.entries) setOwn(object, String(key), jsonOfValue(item));
    return object;
  }
  throw new CelEvaluationError('the value cannot be written as JSON');
}

function exactNumber(value: bigint): number | bigint {
  if (BigInt.asIntN(64, value) !== value) throw new CelEvaluationError(`${value} cannot be written as JSON without loss`);
  return integerOf(value);
}
