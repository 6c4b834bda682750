/** Objects of a structural schema as expressions see them. */
import type { Json, JsonObject, SchemaNode } from '../definition.ts';
import { isJsonObject } from '../json-value.ts';
import { parseGoDuration, parseTimestamp } from './cel-time.ts';
import { BOOL, BYTES, type CelType, DOUBLE, DURATION, DYN, INT, listOf, mapOf, STRING, TIMESTAMP } from './cel-type.ts';
import { type CelKey, CelMap, type CelValue } from './cel-value.ts';

const METADATA_FIELDS: ReadonlyMap<string, CelType> = new Map([
  ['name', STRING],
  ['generateName', STRING],
]);
const METADATA: CelType = { kind: 'object', name: 'metadata', fields: METADATA_FIELDS };
const RESERVED: ReadonlySet<string> = new Set([
  'true',
  'false',
  'null',
  'in',
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
  'var',
  'void',
  'while',
]);

/**
 * A field's name as an expression writes it, or `undefined` where it cannot.
 * @see https://kubernetes.io/docs/reference/using-api/cel/#escaping
 */
export function escapedName(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`;
  if (!/^[a-zA-Z_.$/-][a-zA-Z0-9_.$/-]*$/.test(name) || /^\d/.test(name)) return undefined;
  return name.replace(/__|[./-]/g, (part) => ESCAPES[part] ?? part);
}

const ESCAPES: Readonly<Record<string, string>> = { __: '__underscores__', '.': '__dot__', '-': '__dash__', '/': '__slash__' };

/** @param root Objects that stand for themselves show what they are and are named. */
export function typeOfNode(node: SchemaNode, root = false): CelType {
  if (node['x-kubernetes-int-or-string'] === true) return DYN;
  switch (node.type) {
    case 'object':
      return objectType(node, root || node['x-kubernetes-embedded-resource'] === true);
    case 'array':
      return listOf(node.items === undefined ? DYN : typeOfNode(node.items));
    case 'string':
      return textType(node.format);
    case 'boolean':
      return BOOL;
    case 'integer':
      return INT;
    case 'number':
      return DOUBLE;
    default:
      return DYN;
  }
}

function objectType(node: SchemaNode, resource: boolean): CelType {
  if (typeof node.additionalProperties === 'object') return mapOf(STRING, typeOfNode(node.additionalProperties));
  const fields = new Map<string, CelType>();
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const escaped = escapedName(name);
    if (escaped !== undefined && isTyped(child)) fields.set(escaped, typeOfNode(child));
  }
  if (resource) {
    fields.set('apiVersion', STRING);
    fields.set('kind', STRING);
    fields.set('metadata', METADATA);
  }
  return { kind: 'object', name: 'object', fields };
}

/** Whether rules see values of this schema at all: those whose type it does not say are hidden, with the lists and maps that hold them. */
function isTyped(node: SchemaNode): boolean {
  if (node['x-kubernetes-int-or-string'] === true) return true;
  if (node.type === 'array') return node.items !== undefined && isTyped(node.items);
  if (node.type === 'object' && typeof node.additionalProperties === 'object') return isTyped(node.additionalProperties);
  return node.type !== undefined;
}

function textType(format: string | undefined): CelType {
  switch (format) {
    case 'byte':
      return BYTES;
    case 'date':
    case 'date-time':
      return TIMESTAMP;
    case 'duration':
      return DURATION;
    default:
      return STRING;
  }
}

/** Turns JSON into values, each piece once however many rules look at it. */
export class SchemaValues {
  readonly #made = new WeakMap<object, CelValue>();

  /** @throws {CelEvaluationError} A text is not of its format. */
  of(value: Json, node: SchemaNode | undefined, root = false): CelValue {
    if (typeof value !== 'object' || value === null) return scalar(value, node);
    const known = this.#made.get(value);
    if (known !== undefined) return known;
    const made = Array.isArray(value) ? value.map((item) => this.of(item, node?.items)) : this.#object(value, node, root);
    this.#made.set(value, made);
    return made;
  }

  #object(value: JsonObject, node: SchemaNode | undefined, root: boolean): CelMap {
    const entries = new Map<CelKey, CelValue>();
    const resource = root || node?.['x-kubernetes-embedded-resource'] === true;
    for (const [key, item] of Object.entries(value)) {
      if (resource && key === 'metadata' && isJsonObject(item)) {
        entries.set(key, metadataOf(item));
        continue;
      }
      const property = node?.properties !== undefined && Object.hasOwn(node.properties, key) ? node.properties[key] : undefined;
      if (property !== undefined) {
        const escaped = escapedName(key);
        if (escaped !== undefined) entries.set(escaped, this.of(item, property));
      } else if (typeof node?.additionalProperties === 'object') entries.set(key, this.of(item, node.additionalProperties));
      else if (node?.properties === undefined || resource) entries.set(key, this.of(item, undefined));
    }
    return new CelMap(entries);
  }
}

function metadataOf(metadata: JsonObject): CelMap {
  const entries = new Map<CelKey, CelValue>();
  for (const field of METADATA_FIELDS.keys()) {
    const value = metadata[field];
    if (typeof value === 'string') entries.set(field, value);
  }
  return new CelMap(entries);
}

function scalar(value: null | boolean | number | bigint | string, node: SchemaNode | undefined): CelValue {
  if (typeof value === 'bigint') return node?.type === 'number' ? Number(value) : value;
  if (typeof value === 'number') return node?.type !== 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== 'string' || node === undefined || node['x-kubernetes-int-or-string'] === true) return value;
  switch (node.format) {
    case 'byte':
      return Buffer.from(value, 'base64');
    case 'date':
      return parseTimestamp(`${value}T00:00:00Z`);
    case 'date-time':
      return parseTimestamp(value);
    case 'duration':
      return parseGoDuration(value);
    default:
      return value;
  }
}
