/** Validation of custom objects by their schema. @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation */
import { RE2JS } from 're2js';
import { parseCidr, parseIP } from '../address-syntax.ts';
import type { Json, JsonObject, SchemaNode } from '../definition.ts';
import { type FieldError, invalid, notSupported, required, tooLong, tooMany, typeInvalid } from '../field-error.ts';
import { toJsonText } from '../json-text.ts';
import { equalJson, isJsonObject, isNumeric, own } from '../json-value.ts';
import { validateObjectMeta } from '../object-meta-validation.ts';
import { quoted } from '../quoted.ts';
import { childNode } from './structural.ts';

/**
 * Faults of a whole custom object. `apiVersion`, `kind` and `metadata` at the top have been checked as every object's are.
 * @param old The object as it stood: values that did not change are not held against whoever changes others.
 */
export function validateStructural(object: JsonObject, schema: SchemaNode, old?: JsonObject): FieldError[] {
  const wanted = (schema.required ?? []).filter((name) => own(object, name) === undefined);
  const { properties, ...rest } = schema;
  const { apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...body } = properties ?? {};
  const top: SchemaNode = { ...rest, properties: body, ...(schema.required === undefined ? {} : { required: wanted }) };
  return new Validation().node(bodyOf(object), top, '', old === undefined ? undefined : bodyOf(old));
}

function bodyOf({ apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...body }: JsonObject): JsonObject {
  return body;
}

/** Faults of `value` under `node`, with paths that begin at `path`. */
export function validateNode(value: Json, node: SchemaNode, path: string): FieldError[] {
  return new Validation().node(value, node, path, undefined);
}

/** Which entry of the old list an entry of the new one was: by their keys, where the list has keys. */
export function formerItem(item: Json, node: SchemaNode, old: Json | undefined): Json | undefined {
  if (!Array.isArray(old)) return undefined;
  switch (node['x-kubernetes-list-type']) {
    case 'map': {
      const keys = node['x-kubernetes-list-map-keys'] ?? [];
      const keyOf = (entry: Json, key: string): Json | undefined =>
        isJsonObject(entry) ? (own(entry, key) ?? childNode(node.items ?? {}, key)?.default) : undefined;
      return old.find((entry) => isJsonObject(entry) && keys.every((key) => equalJson(keyOf(entry, key), keyOf(item, key))));
    }
    case 'set':
      return old.find((entry) => equalJson(entry, item));
    default:
      return undefined;
  }
}

/** One run over one object; patterns that many values share are compiled once. */
class Validation {
  readonly #patterns = new Map<string, RE2JS>();

  node(value: Json, node: SchemaNode, path: string, old: Json | undefined): FieldError[] {
    // What was let in before the schema became stricter may stay, as long as it stays what it is.
    if (old !== undefined && equalJson(value, old)) return [];
    if (value === null) {
      if (node.nullable === true || node.type === undefined) return [];
      return [typeInvalid(path, 'null', `${path} in body must be of type ${node.type}: "null"`)];
    }
    const fault = typeFault(value, node, path);
    if (fault !== undefined) return [fault];
    return [...this.#value(value, node, path, old), ...this.#junctors(value, node, path)];
  }

  #value(value: Json, node: SchemaNode, path: string, old: Json | undefined): FieldError[] {
    const errors: FieldError[] = [];
    if (node.enum !== undefined && !node.enum.some((allowed) => equalJson(allowed, value))) {
      const allowed = node.enum.map((one) => (typeof one === 'string' ? one : toJsonText(one)));
      errors.push(notSupported(path, value, allowed));
    }
    if (typeof value === 'string') errors.push(...this.#string(value, node, path));
    else if (isNumeric(value)) errors.push(...validateNumber(value, node, path));
    else if (Array.isArray(value)) errors.push(...this.#list(value, node, path, old));
    else if (isJsonObject(value)) errors.push(...this.#map(value, node, path, old));
    return errors;
  }

  #string(value: string, node: SchemaNode, path: string): FieldError[] {
    const errors: FieldError[] = [];
    const length = lengthOf(value);
    if (node.maxLength !== undefined && length > node.maxLength) errors.push(tooLong(path, node.maxLength));
    if (node.minLength !== undefined && length < node.minLength) {
      errors.push(invalid(path, value, `${path} in body should be at least ${node.minLength} chars long`));
    }
    if (node.pattern !== undefined && !this.#matches(node.pattern, value)) {
      errors.push(invalid(path, value, `${path} in body should match '${node.pattern}'`));
    }
    const check = node.format !== undefined && Object.hasOwn(FORMATS, node.format) ? FORMATS[node.format] : undefined;
    if (check !== undefined && !check(value)) {
      errors.push(invalid(path, value, `${path} in body must be of type ${node.format}: ${quoted(value)}`));
    }
    return errors;
  }

  #list(value: readonly Json[], node: SchemaNode, path: string, old: Json | undefined): FieldError[] {
    const errors: FieldError[] = [];
    if (node.maxItems !== undefined && value.length > node.maxItems) errors.push(tooMany(path, value.length, node.maxItems));
    if (node.minItems !== undefined && value.length < node.minItems) {
      errors.push(invalid(path, value.length, `${path} in body should have at least ${node.minItems} items`));
    }
    errors.push(...duplicates(value, node, path));
    const items = node.items;
    if (items === undefined) return errors;
    for (const [index, item] of value.entries()) {
      errors.push(...this.node(item, items, `${path}[${index}]`, formerItem(item, node, old)));
    }
    return errors;
  }

  #map(value: JsonObject, node: SchemaNode, path: string, old: Json | undefined): FieldError[] {
    const errors: FieldError[] = [];
    const at = (key: string) => (path === '' ? key : `${path}.${key}`);
    if (node['x-kubernetes-embedded-resource'] === true) errors.push(...validateEmbedded(value, path));
    for (const name of node.required ?? []) if (own(value, name) === undefined) errors.push(required(at(name)));
    const size = Object.keys(value).length;
    if (node.maxProperties !== undefined && size > node.maxProperties) errors.push(tooMany(path, size, node.maxProperties));
    if (node.minProperties !== undefined && size < node.minProperties) {
      errors.push(invalid(path, size, `${path} in body should have at least ${node.minProperties} properties`));
    }
    for (const [key, item] of Object.entries(value)) {
      const child = childNode(node, key);
      if (child !== undefined) errors.push(...this.node(item, child, at(key), isJsonObject(old) ? own(old, key) : undefined));
    }
    return errors;
  }

  /** The parts see the value as it is: whether it changed is no matter of theirs. */
  #junctors(value: Json, node: SchemaNode, path: string): FieldError[] {
    const errors = (node.allOf ?? []).flatMap((part) => this.node(value, part, path, undefined));
    const passes = (part: SchemaNode) => this.node(value, part, path, undefined).length === 0;
    if (node.anyOf !== undefined && !node.anyOf.some(passes)) {
      errors.push(invalid(path, value, `${quoted(path)} must validate at least one schema (anyOf)`));
    }
    if (node.oneOf !== undefined) {
      const passed = node.oneOf.filter(passes).length;
      const found = passed === 0 ? 'Found none valid' : `Found ${passed} valid alternatives`;
      if (passed !== 1) errors.push(invalid(path, value, `${quoted(path)} must validate one and only one schema (oneOf). ${found}`));
    }
    if (node.not !== undefined && passes(node.not)) errors.push(invalid(path, value, `${quoted(path)} must not validate the schema (not)`));
    return errors;
  }

  /** Patterns are RE2's and come from whoever defined the kind: a backtracking engine would let them stop the server. */
  #matches(pattern: string, value: string): boolean {
    let compiled = this.#patterns.get(pattern);
    if (compiled === undefined) {
      compiled = RE2JS.compile(pattern);
      this.#patterns.set(pattern, compiled);
    }
    return compiled.matcher(value).find();
  }
}

/** Objects within objects say what they are, as those on their own do. */
function validateEmbedded(value: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['apiVersion', 'kind']) {
    const text = own(value, field);
    if (text === undefined || text === '') errors.push(required(`${path}.${field}`, 'must not be empty'));
    else if (typeof text !== 'string') errors.push(typeInvalid(`${path}.${field}`, text, `${path}.${field} must be a string`));
  }
  const metadata = own(value, 'metadata');
  if (metadata !== undefined && !isJsonObject(metadata)) return [...errors, typeInvalid(`${path}.metadata`, metadata, 'must be an object')];
  const named = { ...metadata, name: own(metadata, 'name') ?? 'unnamed' };
  const { namespace, ...rest } = named as JsonObject;
  return [
    ...errors,
    ...validateObjectMeta(
      { ...rest, ...(namespace === undefined ? {} : { namespace }) },
      namespace !== undefined,
      undefined,
      `${path}.metadata`,
    ),
  ];
}

/** Characters, not UTF-16 units. */
function lengthOf(value: string): number {
  let length = 0;
  for (const _character of value) length += 1;
  return length;
}

function typeFault(value: Json, node: SchemaNode, path: string): FieldError | undefined {
  const type = typeOf(value);
  if (node['x-kubernetes-int-or-string'] === true) {
    return type === 'integer' || type === 'string' ? undefined : wrongType(type, 'integer,string', path);
  }
  if (node.type === undefined || node.type === type || (node.type === 'number' && type === 'integer')) return undefined;
  return wrongType(type, node.type, path);
}

function wrongType(actual: string, wanted: string, path: string): FieldError {
  return typeInvalid(path, actual, `${path} in body must be of type ${wanted}: ${quoted(actual)}`);
}

function validateNumber(value: number | bigint, node: SchemaNode, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const fail = (rule: string) => errors.push(invalid(path, value, `${path} in body should be ${rule}`));
  if (node.maximum !== undefined && (node.exclusiveMaximum === true ? value >= node.maximum : value > node.maximum)) {
    fail(`less than ${node.exclusiveMaximum === true ? '' : 'or equal to '}${node.maximum}`);
  }
  if (node.minimum !== undefined && (node.exclusiveMinimum === true ? value <= node.minimum : value < node.minimum)) {
    fail(`greater than ${node.exclusiveMinimum === true ? '' : 'or equal to '}${node.minimum}`);
  }
  if (node.multipleOf !== undefined && !isMultiple(value, node.multipleOf)) fail(`a multiple of ${node.multipleOf}`);
  const bits = node.format === 'int32' ? 31 : undefined;
  if (bits !== undefined && (value < -(2 ** bits) || value >= 2 ** bits)) fail(`of type int32`);
  return errors;
}

function isMultiple(value: number | bigint, of: number): boolean {
  if (typeof value === 'bigint' && Number.isInteger(of) && of !== 0) return value % BigInt(of) === 0n;
  return Number.isInteger(Number(value) / of);
}

/** Sets and associative lists have no entry twice. */
function duplicates(value: readonly Json[], node: SchemaNode, path: string): FieldError[] {
  const keys = node['x-kubernetes-list-map-keys'];
  const type = node['x-kubernetes-list-type'];
  if (type !== 'set' && type !== 'map') return [];
  const seen = new Set<string>();
  const errors: FieldError[] = [];
  for (const [index, item] of value.entries()) {
    const identity = type === 'set' || !isJsonObject(item) ? item : (keys ?? []).map((key) => own(item, key) ?? null);
    const text = toJsonText(identity);
    if (seen.has(text))
      errors.push({ reason: 'FieldValueDuplicate', field: `${path}[${index}]`, message: `Duplicate value: ${shownIdentity(item, keys)}` });
    seen.add(text);
  }
  return errors;
}

function shownIdentity(item: Json, keys: readonly string[] | undefined): string {
  if (!isJsonObject(item) || keys === undefined) return typeof item === 'string' ? quoted(item) : toJsonText(item);
  return toJsonText(Object.fromEntries(keys.map((key) => [key, own(item, key) ?? null])));
}

const FORMATS: Readonly<Record<string, (value: string) => boolean>> = {
  'date-time': (value) =>
    /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:?\d{2})$/.test(value) && !Number.isNaN(Date.parse(value)),
  date: (value) => /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value)),
  byte: (value) => /^[A-Za-z0-9+/]*={0,2}$/.test(value) && value.length % 4 === 0,
  uuid: (value) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(value),
  ipv4: (value) => parseIP(value)?.family === 'IPv4',
  ipv6: (value) => parseIP(value)?.family === 'IPv6',
  cidr: (value) => parseCidr(value) !== undefined,
  hostname: (value) =>
    value.length <= 255 && /^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*\.?$/.test(value),
  email: (value) => /^[^\s@]+@[^\s@]+$/.test(value),
  uri: (value) => URL.canParse(value),
};

function typeOf(value: Json): string {
  if (Array.isArray(value)) return 'array';
  // Doubles beyond 2^53 count as integers nowhere: what 64 bits hold is a bigint.
  if (isNumeric(value)) return typeof value === 'bigint' || Number.isSafeInteger(value) ? 'integer' : 'number';
  return typeof value;
}
