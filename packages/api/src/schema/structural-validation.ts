/** Validation of custom objects by their schema. @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation */
import { RE2JS } from 're2js';
import { parseCidr, parseIP } from '../address-syntax.ts';
import type { Json, JsonObject, SchemaNode } from '../definition.ts';
import { type FieldError, invalid, notSupported, required, tooLong, tooMany, typeInvalid } from '../field-error.ts';
import { equalJson, isJsonObject, own } from '../json-value.ts';
import { quoted } from '../quoted.ts';

/** Faults of a whole custom object. `apiVersion`, `kind` and `metadata` at the top have been checked as every object's are. */
export function validateStructural(object: JsonObject, schema: SchemaNode): FieldError[] {
  const { apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...body } = object;
  const wanted = (schema.required ?? []).filter((name) => own(object, name) === undefined);
  const top = schema.required === undefined ? schema : { ...schema, required: wanted };
  return validateNode(body, top, '');
}

/** Faults of `value` under `node`, with paths that begin at `path`. */
export function validateNode(value: Json, node: SchemaNode, path: string): FieldError[] {
  if (value === null) {
    if (node.nullable === true || node.type === undefined) return [];
    return [typeInvalid(path, 'null', `${path} in body must be of type ${node.type}: "null"`)];
  }
  const fault = typeFault(value, node, path);
  if (fault !== undefined) return [fault];
  return [...validateValue(value, node, path), ...validateJunctors(value, node, path)];
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

function validateValue(value: Json, node: SchemaNode, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (node.enum !== undefined && !node.enum.some((allowed) => equalJson(allowed, value))) {
    errors.push(
      notSupported(
        path,
        value,
        node.enum.map((allowed) => (typeof allowed === 'string' ? allowed : JSON.stringify(allowed))),
      ),
    );
  }
  if (typeof value === 'string') errors.push(...validateString(value, node, path));
  else if (typeof value === 'number') errors.push(...validateNumber(value, node, path));
  else if (Array.isArray(value)) errors.push(...validateList(value, node, path));
  else if (isJsonObject(value)) errors.push(...validateMap(value, node, path));
  return errors;
}

function validateString(value: string, node: SchemaNode, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const length = [...value].length;
  if (node.maxLength !== undefined && length > node.maxLength) errors.push(tooLong(path, node.maxLength));
  if (node.minLength !== undefined && length < node.minLength) {
    errors.push(invalid(path, value, `${path} in body should be at least ${node.minLength} chars long`));
  }
  if (node.pattern !== undefined && !matches(node.pattern, value)) {
    errors.push(invalid(path, value, `${path} in body should match '${node.pattern}'`));
  }
  const check = node.format === undefined ? undefined : FORMATS[node.format];
  if (check !== undefined && !check(value)) {
    errors.push(invalid(path, value, `${path} in body must be of type ${node.format}: ${quoted(value)}`));
  }
  return errors;
}

function validateNumber(value: number, node: SchemaNode, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const fail = (rule: string) => errors.push(invalid(path, value, `${path} in body should be ${rule}`));
  if (node.maximum !== undefined && (node.exclusiveMaximum === true ? value >= node.maximum : value > node.maximum)) {
    fail(`less than ${node.exclusiveMaximum === true ? '' : 'or equal to '}${node.maximum}`);
  }
  if (node.minimum !== undefined && (node.exclusiveMinimum === true ? value <= node.minimum : value < node.minimum)) {
    fail(`greater than ${node.exclusiveMinimum === true ? '' : 'or equal to '}${node.minimum}`);
  }
  if (node.multipleOf !== undefined && !Number.isInteger(value / node.multipleOf)) fail(`a multiple of ${node.multipleOf}`);
  const bits = node.format === 'int32' ? 31 : undefined;
  if (bits !== undefined && (value < -(2 ** bits) || value >= 2 ** bits)) fail(`of type int32`);
  return errors;
}

function validateList(value: readonly Json[], node: SchemaNode, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (node.maxItems !== undefined && value.length > node.maxItems) errors.push(tooMany(path, value.length, node.maxItems));
  if (node.minItems !== undefined && value.length < node.minItems) {
    errors.push(invalid(path, value.length, `${path} in body should have at least ${node.minItems} items`));
  }
  errors.push(...duplicates(value, node, path));
  const items = node.items;
  if (items !== undefined) value.forEach((item, index) => void errors.push(...validateNode(item, items, `${path}[${index}]`)));
  return errors;
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
    const text = JSON.stringify(identity);
    if (seen.has(text))
      errors.push({ reason: 'FieldValueDuplicate', field: `${path}[${index}]`, message: `Duplicate value: ${shownIdentity(item, keys)}` });
    seen.add(text);
  }
  return errors;
}

function shownIdentity(item: Json, keys: readonly string[] | undefined): string {
  if (!isJsonObject(item) || keys === undefined) return typeof item === 'string' ? quoted(item) : JSON.stringify(item);
  return JSON.stringify(Object.fromEntries(keys.map((key) => [key, own(item, key) ?? null])));
}

function validateMap(value: JsonObject, node: SchemaNode, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const at = (key: string) => (path === '' ? key : `${path}.${key}`);
  for (const name of node.required ?? []) if (own(value, name) === undefined) errors.push(required(at(name)));
  const size = Object.keys(value).length;
  if (node.maxProperties !== undefined && size > node.maxProperties) errors.push(tooMany(path, size, node.maxProperties));
  if (node.minProperties !== undefined && size < node.minProperties) {
    errors.push(invalid(path, size, `${path} in body should have at least ${node.minProperties} properties`));
  }
  for (const [key, item] of Object.entries(value)) {
    const property = node.properties !== undefined && Object.hasOwn(node.properties, key) ? node.properties[key] : undefined;
    const child = property ?? (typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined);
    if (child !== undefined) errors.push(...validateNode(item, child, at(key)));
  }
  return errors;
}

function validateJunctors(value: Json, node: SchemaNode, path: string): FieldError[] {
  const errors = (node.allOf ?? []).flatMap((part) => validateNode(value, part, path));
  const passes = (part: SchemaNode) => validateNode(value, part, path).length === 0;
  if (node.anyOf !== undefined && !node.anyOf.some(passes)) {
    errors.push(invalid(path, value, `${quoted(path)} must validate at least one schema (anyOf)`));
  }
  if (node.oneOf !== undefined && node.oneOf.filter(passes).length !== 1) {
    errors.push(
      invalid(
        path,
        value,
        `${quoted(path)} must validate one and only one schema (oneOf). Found ${node.oneOf.some(passes) ? 'several' : 'none'} valid`,
      ),
    );
  }
  if (node.not !== undefined && passes(node.not)) errors.push(invalid(path, value, `${quoted(path)} must not validate the schema (not)`));
  return errors;
}

/** Patterns are RE2's and come from whoever defined the kind: a backtracking engine would let them stop the server. */
function matches(pattern: string, value: string): boolean {
  return RE2JS.compile(pattern).matcher(value).find();
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
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}
