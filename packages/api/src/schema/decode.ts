/**
 * Decoding of built-in kinds: a value from outside becomes an object of the schema's shape, as upstream's typed decoder would
 * make it. What the schema does not know is dropped and named; nulls mean absent; times, quantities and durations get their
 * canonical spelling; fields that are always on the wire get their zero value.
 */
import type { Json, JsonObject, SchemaBook, SchemaNode } from '../definition.ts';
import { formatGoDuration, parseGoDurationMs } from '../go-duration.ts';
import { cloneJson, isJsonObject, isNumeric, own, setOwn } from '../json-value.ts';
import { canonicalQuantity, QuantityError } from '../quantity.ts';
import { quoted } from '../quoted.ts';
import { resolve } from './builtin-book.ts';

/** The body is no object of its kind. At the API's edge: BadRequest. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  readonly code = 'DECODE_FAILED';
}

export interface Decoded {
  readonly object: JsonObject;
  /** Paths of the fields that were dropped (`spec.containers[0].foo`), in the order met. */
  readonly unknown: readonly string[];
}

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const TIME = `${META}Time`;
const MICRO_TIME = `${META}MicroTime`;
const DURATION = `${META}Duration`;
const QUANTITY = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
/** Deeper than any object of the API; a bound on recursion that hostile bodies meet. */
const DEPTH_MAX = 200;

/**
 * Decodes `value` by `schema`; the result shares nothing with it.
 * @throws {DecodeError} A value has the wrong type.
 */
export function decodeBySchema(value: unknown, schema: SchemaNode, book: SchemaBook): Decoded {
  const decoder = new Decoder(book);
  const object = decoder.decode(value as Json, schema, { path: '', struct: '', goPath: '', depth: 0 });
  if (!isJsonObject(object)) throw new DecodeError('json: the body is not an object');
  return { object, unknown: decoder.unknown };
}

interface Place {
  /** With indices, for unknown fields. */
  readonly path: string;
  /** The type that holds the field, and the path without indices, for type errors. */
  readonly struct: string;
  readonly goPath: string;
  readonly depth: number;
}

class Decoder {
  readonly unknown: string[] = [];
  readonly #book: SchemaBook;

  constructor(book: SchemaBook) {
    this.#book = book;
  }

  decode(value: Json, node: SchemaNode, place: Place): Json | undefined {
    if (value === null || value === undefined) return undefined;
    if (place.depth > DEPTH_MAX) throw new DecodeError('json: exceeded max depth');
    if (node.ref !== undefined) {
      const leaf = this.#decodeLeaf(node.ref, value);
      if (leaf !== undefined) return leaf;
      return this.decode(value, resolve(node, this.#book), { ...place, struct: typeName(node.ref) });
    }
    if (node['x-kubernetes-int-or-string'] === true) return this.#intOrString(value);
    switch (node.type) {
      case undefined:
        return cloneJson(value);
      case 'object':
        return this.#object(value, node, place);
      case 'array':
        return this.#array(value, node, place);
      case 'string':
        if (typeof value !== 'string') throw this.#mismatch(value, node, place);
        return node.format === 'byte' ? base64(value) : value;
      case 'boolean':
        if (typeof value !== 'boolean') throw this.#mismatch(value, node, place);
        return value;
      case 'integer':
      case 'number':
        if (!isNumeric(value) || (node.type === 'integer' && !fits(value, node.format))) throw this.#mismatch(value, node, place);
        return node.type === 'number' ? Number(value) : value;
      default:
        return node.type satisfies never;
    }
  }

  #object(value: Json, node: SchemaNode, place: Place): JsonObject {
    if (!isJsonObject(value)) throw this.#mismatch(value, node, place);
    if (node['x-kubernetes-preserve-unknown-fields'] === true) return cloneJson(value);
    const properties = node.properties;
    const result: JsonObject = {};
    if (properties === undefined) {
      const items = node.additionalProperties;
      for (const [key, item] of Object.entries(value)) {
        if (typeof items === 'object')
          setOwn(result, key, this.#element(item, items, { ...place, path: join(place.path, key), depth: place.depth + 1 }));
        else this.unknown.push(join(place.path, key));
      }
      return result;
    }
    for (const [key, item] of Object.entries(value)) {
      const property = Object.hasOwn(properties, key) ? properties[key] : undefined;
      const path = join(place.path, key);
      if (property === undefined) {
        this.unknown.push(path);
        continue;
      }
      const decoded = this.decode(item, property, { path, struct: place.struct, goPath: join(place.goPath, key), depth: place.depth + 1 });
      if (decoded !== undefined) result[key] = decoded;
    }
    this.#fill(result, properties, place);
    return result;
  }

  /** Defaults of absent fields; a default of `{}` is decoded itself, so that it gets the defaults within. */
  #fill(result: JsonObject, properties: Readonly<Record<string, SchemaNode>>, place: Place): void {
    for (const key in properties) {
      const property = properties[key];
      if (property?.default === undefined || own(result, key) !== undefined) continue;
      const filled = this.decode(property.default, property, { ...place, path: join(place.path, key), depth: place.depth + 1 });
      if (filled !== undefined) result[key] = filled;
    }
  }

  #array(value: Json, node: SchemaNode, place: Place): Json[] {
    if (!Array.isArray(value)) throw this.#mismatch(value, node, place);
    const items = node.items ?? {};
    return value.map((item, index) => this.#element(item, items, { ...place, path: `${place.path}[${index}]`, depth: place.depth + 1 }));
  }

  /** Within lists and maps null is the zero value, since there is no absent. */
  #element(value: Json, node: SchemaNode, place: Place): Json {
    const decoded = this.decode(value, node, place);
    if (decoded !== undefined) return decoded;
    const resolved = resolve(node, this.#book);
    switch (resolved.type) {
      case 'object':
        return this.decode({}, node, place) ?? {};
      case 'array':
        return [];
      case 'string':
        if (node.ref === TIME || node.ref === MICRO_TIME) return null;
        return node.ref === QUANTITY ? '0' : '';
      case 'boolean':
        return false;
      case 'integer':
      case 'number':
        return 0;
      default:
        return null;
    }
  }

  #decodeLeaf(ref: string, value: Json): Json | undefined {
    switch (ref) {
      case TIME:
        return canonicalTime(value, false);
      case MICRO_TIME:
        return canonicalTime(value, true);
      case DURATION:
        return canonicalDuration(value);
      case QUANTITY:
        return quantity(value);
      default:
        return undefined;
    }
  }

  #intOrString(value: Json): Json {
    if (typeof value === 'string' || (typeof value === 'number' && fits(value, 'int32'))) return value;
    throw new DecodeError(`json: cannot unmarshal ${jsonTypeOf(value)} into Go value of type ${isNumeric(value) ? 'int32' : 'string'}`);
  }

  #mismatch(value: Json, node: SchemaNode, place: Place): DecodeError {
    const field = place.goPath === '' ? 'Go value' : `Go struct field ${place.struct}.${place.goPath}`;
    return new DecodeError(`json: cannot unmarshal ${jsonTypeOf(value)} into ${field} of type ${goTypeOf(node)}`);
  }
}

function fits(value: number | bigint, format: string | undefined): boolean {
  if (typeof value === 'bigint') return format === 'int64';
  if (!Number.isInteger(value)) return false;
  // What 64 bits hold beyond 2^53 is a bigint: such a number is larger, or was written with an exponent.
  return format === 'int64' ? Number.isSafeInteger(value) : value >= -(2 ** 31) && value < 2 ** 31;
}

function base64(value: string): string {
  const compact = value.replace(/[\r\n]/g, '');
  const fault = /[^A-Za-z0-9+/=]|=(?=[^=])/.exec(compact);
  if (fault !== null) throw new DecodeError(`illegal base64 data at input byte ${fault.index}`);
  if (compact.length % 4 !== 0 || /={3,}$/.test(compact))
    throw new DecodeError(`illegal base64 data at input byte ${Math.max(compact.length - 1, 0)}`);
  return compact;
}

const RFC_3339 = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?(Z|[+-]\d{2}:\d{2})$/;

function canonicalTime(value: Json, micro: boolean): string | undefined {
  if (value === '') return undefined;
  if (typeof value !== 'string') throw new DecodeError(`json: cannot unmarshal ${jsonTypeOf(value)} into Go value of type string`);
  const match = RFC_3339.exec(value);
  const [whole = ''] = value.split(/[.,]/);
  const thenMs = match === null ? Number.NaN : Date.parse(`${whole.slice(0, 19)}${match[8] ?? 'Z'}`);
  if (match === null || Number.isNaN(thenMs)) {
    throw new DecodeError(`parsing time ${quoted(value)} as "2006-01-02T15:04:05Z07:00": cannot parse ${quoted(value)} as "2006"`);
  }
  const seconds = new Date(thenMs).toISOString().slice(0, 19);
  return micro ? `${seconds}.${(match[7] ?? '').slice(0, 6).padEnd(6, '0')}Z` : `${seconds}Z`;
}

function canonicalDuration(value: Json): string {
  if (typeof value !== 'string') throw new DecodeError(`json: cannot unmarshal ${jsonTypeOf(value)} into Go value of type string`);
  const durationMs = parseGoDurationMs(value);
  if (durationMs === undefined) throw new DecodeError(`time: invalid duration ${quoted(value)}`);
  return formatGoDuration(durationMs);
}

function quantity(value: Json): string {
  const text = isNumeric(value) ? String(value) : value;
  if (typeof text !== 'string')
    throw new DecodeError(
      new QuantityError(`quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`).message,
    );
  try {
    return text === '' ? '0' : canonicalQuantity(text.trim());
  } catch (cause) {
    if (cause instanceof QuantityError) throw new DecodeError(cause.message, { cause });
    throw cause;
  }
}

function jsonTypeOf(value: Json): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? 'number' : `number ${value}`;
  if (typeof value === 'bigint') return `number ${value}`;
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function goTypeOf(node: SchemaNode): string {
  if (node.ref !== undefined) return `${node.ref.split('.').at(-2) ?? 'v1'}.${typeName(node.ref)}`;
  switch (node.type) {
    case 'array':
      return `[]${goTypeOf(node.items ?? {})}`;
    case 'object':
      return typeof node.additionalProperties === 'object' ? `map[string]${goTypeOf(node.additionalProperties)}` : 'struct';
    case 'integer':
      return node.format ?? 'int64';
    case 'number':
      return 'float64';
    case 'boolean':
      return 'bool';
    default:
      return node.format === 'byte' ? '[]uint8' : (node.type ?? 'interface {}');
  }
}

function typeName(ref: string): string {
  return ref.slice(ref.lastIndexOf('.') + 1);
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}
