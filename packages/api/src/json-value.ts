/** Questions and copies of JSON values, which every part of this package asks for. */
import type { Json, JsonObject } from './definition.ts';

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A copy that shares nothing. */
export function cloneJson<T extends Json | undefined>(value: T): T {
  if (Array.isArray(value)) return value.map((item) => cloneJson(item)) as T;
  if (!isJsonObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, item] of Object.entries(value)) setOwn(copy, key, cloneJson(item));
  return copy as T;
}

/** Equal as data; the order of keys does not count, nor how a number is held. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, index) => equalJson(item, b[index]));
  if (!isJsonObject(a) || !isJsonObject(b)) return equalNumbers(a, b);
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equalJson(a[key], b[key]));
}

/**
 * Equal for the API: an absent value, an empty list and an empty map are the same.
 * @see apimachinery, `api/equality`, Semantic.
 */
export function semanticEqual(a: unknown, b: unknown): boolean {
  if (isEmpty(a) && isEmpty(b)) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, index) => semanticEqual(item, b[index]));
  if (!isJsonObject(a) || !isJsonObject(b)) return Object.is(a, b) || equalNumbers(a, b);
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => semanticEqual(own(a, key), own(b, key)));
}

/** `object[key]` where it is the object's own, so that a key named `constructor` finds nothing by accident. */
export function own(object: JsonObject | undefined, key: string): Json | undefined {
  return object !== undefined && Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Sets a key that may be named anything, `__proto__` included. */
export function setOwn(object: JsonObject, key: string, value: Json): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  else object[key] = value;
}

/** The object at `path`, or `undefined` where any step is absent or no object. */
export function objectAt(object: JsonObject | undefined, ...path: readonly string[]): JsonObject | undefined {
  const value = valueAt(object, ...path);
  return isJsonObject(value) ? value : undefined;
}

export function listAt(object: JsonObject | undefined, ...path: readonly string[]): readonly Json[] {
  const value = valueAt(object, ...path);
  return Array.isArray(value) ? value : [];
}

/** The objects in the list at `path`. */
export function objectsAt(object: JsonObject | undefined, ...path: readonly string[]): readonly JsonObject[] {
  return listAt(object, ...path).filter(isJsonObject);
}

/** The string at `path`; empty where there is none. */
export function stringAt(object: JsonObject | undefined, ...path: readonly string[]): string {
  const value = valueAt(object, ...path);
  return typeof value === 'string' ? value : '';
}

export function stringsAt(object: JsonObject | undefined, ...path: readonly string[]): readonly string[] {
  return listAt(object, ...path).filter((item) => typeof item === 'string');
}

/** The number at `path`. Of an integer of 64 bits the nearest double: good for questions, not for what is written or shown. */
export function numberAt(object: JsonObject | undefined, ...path: readonly string[]): number | undefined {
  const value = integerAt(object, ...path);
  return value === undefined ? undefined : Number(value);
}

/** The number at `path` as it stands there. */
export function integerAt(object: JsonObject | undefined, ...path: readonly string[]): number | bigint | undefined {
  const value = valueAt(object, ...path);
  return isNumeric(value) ? value : undefined;
}

export function isNumeric(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

/** Whether `true` stands at `path`. */
export function trueAt(object: JsonObject | undefined, ...path: readonly string[]): boolean {
  return valueAt(object, ...path) === true;
}

export function valueAt(object: JsonObject | undefined, ...path: readonly string[]): Json | undefined {
  let current: Json | undefined = object;
  for (const key of path) {
    if (!isJsonObject(current)) return undefined;
    current = own(current, key);
  }
  return current === null ? undefined : current;
}

/** The object at `key`, made if there is none. */
export function ensureObject(object: JsonObject, key: string): JsonObject {
  const value = own(object, key);
  if (isJsonObject(value)) return value;
  const made: JsonObject = {};
  object[key] = made;
  return made;
}

/** Sets `key` if it is absent. */
export function setDefault(object: JsonObject, key: string, value: Json): void {
  if (own(object, key) === undefined) object[key] = value;
}

/** A double may hold an integer beyond 2^53 too, where it was written with an exponent or computed. */
function equalNumbers(a: unknown, b: unknown): boolean {
  // biome-ignore lint/suspicious/noDoubleEquals: between bigint and number this compares the numbers exactly.
  return isNumeric(a) && isNumeric(b) && a == b;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.keys(value).length === 0;
}
