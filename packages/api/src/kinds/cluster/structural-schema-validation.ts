/**
 * What a schema must be to be structural: every value's type is said in one place, so that pruning and defaulting know what they walk through.
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */

import { compilePattern } from '../../cel/regular-expression.ts';
import { ruleFaults } from '../../cel/validation-rules.ts';
import type { Json, JsonObject, SchemaNode } from '../../definition.ts';
import { type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { cloneJson, equalJson, isJsonObject, listAt, objectAt, own, stringAt, stringsAt, trueAt } from '../../json-value.ts';
import { completeStructural } from '../../schema/structural.ts';
import { validateNode } from '../../schema/structural-validation.ts';

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const LIST_TYPES = ['atomic', 'map', 'set'];
const UNSUPPORTED = ['$ref', 'definitions', 'dependencies', 'patternProperties', 'id', 'additionalItems'];
/** Parts of `allOf` and its kin only add conditions; what a value is stands outside of them. */
const OUTSIDE_JUNCTORS = [
  'type',
  'default',
  'nullable',
  'title',
  'description',
  'additionalProperties',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
];
/** Deeper than any real schema; a bound on recursion. */
const DEPTH_MAX = 100;

/** Faults of a version's schema, with paths that begin at `path`. @param isStored Whether the version had this very schema before. */
export function validateStructuralSchema(schema: JsonObject, path: string, isStored = false): FieldError[] {
  const errors: FieldError[] = [];
  const type = stringAt(schema, 'type');
  if (type === '') errors.push(required(`${path}.type`, 'must not be empty at the root'));
  else if (type !== 'object') errors.push(invalid(`${path}.type`, type, 'must be object at the root'));
  errors.push(...validateMetadata(schema, path), ...validateSchema(schema, path, { root: true, depth: 0, what: 'object fields' }));
  if (errors.length > 0) return errors;
  return [...defaultFaults(schema as unknown as SchemaNode, path), ...ruleFaults(schema as unknown as SchemaNode, path, isStored)];
}

interface Place {
  readonly root: boolean;
  readonly depth: number;
  /** What the node is one of, in the words of the message. */
  readonly what: string;
}

function validateMetadata(schema: JsonObject, path: string): FieldError[] {
  const metadata = objectAt(schema, 'properties', 'metadata');
  if (metadata === undefined) return [];
  const at = `${path}.properties[metadata]`;
  const errors: FieldError[] = [];
  const type = stringAt(metadata, 'type');
  if (type !== '' && type !== 'object') errors.push(invalid(`${at}.type`, type, 'must be object'));
  const others = Object.keys(metadata).filter((key) => !['type', 'description', 'properties', 'title'].includes(key));
  const fields = Object.keys(objectAt(metadata, 'properties') ?? {}).filter((key) => key !== 'name' && key !== 'generateName');
  if (others.length > 0 || fields.length > 0) {
    errors.push(forbidden(at, 'must not specify anything other than name and generateName, but metadata is implicitly specified'));
  }
  return errors;
}

function validateSchema(schema: JsonObject, path: string, place: Place): FieldError[] {
  if (place.depth > DEPTH_MAX) return [forbidden(path, 'the schema is nested too deeply')];
  const errors: FieldError[] = [];
  const type = stringAt(schema, 'type');
  const free = trueAt(schema, 'x-kubernetes-int-or-string') || trueAt(schema, 'x-kubernetes-preserve-unknown-fields');
  if (type === '') {
    if (!free && !place.root) errors.push(required(`${path}.type`, `must not be empty for specified ${place.what}`));
  } else if (!TYPES.includes(type)) errors.push(notSupported(`${path}.type`, type, TYPES));
  for (const field of UNSUPPORTED)
    if (own(schema, field) !== undefined) errors.push(forbidden(`${path}.${field}`, `${field} is not supported`));
  if (trueAt(schema, 'uniqueItems')) {
    errors.push(forbidden(`${path}.uniqueItems`, 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'));
  }
  if (own(schema, 'x-kubernetes-preserve-unknown-fields') === false) {
    errors.push(invalid(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
  }
  errors.push(...validatePattern(schema, path), ...validateExtensions(schema, path, type), ...validateListType(schema, path, type));
  errors.push(...validateChildren(schema, path, place, type), ...validateJunctors(schema, schema, path, place.depth));
  return errors;
}

function validatePattern(schema: JsonObject, path: string): FieldError[] {
  const pattern = stringAt(schema, 'pattern');
  if (pattern === '') return [];
  try {
    compilePattern(pattern);
    return [];
  } catch (error) {
    return [invalid(`${path}.pattern`, pattern, `must be a valid regular expression, but isn't: ${(error as Error).message}`)];
  }
}

function validateExtensions(schema: JsonObject, path: string, type: string): FieldError[] {
  const errors: FieldError[] = [];
  if (trueAt(schema, 'x-kubernetes-int-or-string')) {
    if (type !== '') errors.push(invalid(`${path}.type`, type, 'must be empty if x-kubernetes-int-or-string is true'));
  }
  if (trueAt(schema, 'x-kubernetes-embedded-resource')) {
    if (type !== 'object') errors.push(invalid(`${path}.type`, type, 'must be object if x-kubernetes-embedded-resource is true'));
    if (!trueAt(schema, 'x-kubernetes-preserve-unknown-fields') && Object.keys(objectAt(schema, 'properties') ?? {}).length === 0) {
      errors.push(
        required(
          `${path}.properties`,
          'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
        ),
      );
    }
  }
  const mapType = stringAt(schema, 'x-kubernetes-map-type');
  if (mapType !== '') {
    if (!['atomic', 'granular'].includes(mapType))
      errors.push(notSupported(`${path}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']));
    if (type !== 'object') errors.push(invalid(`${path}.type`, type, 'must be object if x-kubernetes-map-type is specified'));
  }
  return errors;
}

function validateListType(schema: JsonObject, path: string, type: string): FieldError[] {
  const listType = stringAt(schema, 'x-kubernetes-list-type');
  const keys = stringsAt(schema, 'x-kubernetes-list-map-keys');
  const at = `${path}.x-kubernetes-list-map-keys`;
  if (listType === '') return keys.length > 0 ? [forbidden(at, 'must be empty if x-kubernetes-list-type is not map')] : [];
  const errors: FieldError[] = [];
  if (!LIST_TYPES.includes(listType)) errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, LIST_TYPES));
  if (type !== 'array') errors.push(invalid(`${path}.type`, type, 'must be array if x-kubernetes-list-type is specified'));
  const items = objectAt(schema, 'items');
  if (listType === 'map') {
    if (keys.length === 0) errors.push(required(at, 'must not be empty if x-kubernetes-list-type is map'));
    if (stringAt(items, 'type') !== 'object') {
      errors.push(invalid(`${path}.items.type`, stringAt(items, 'type'), "must be object if parent array's x-kubernetes-list-type is map"));
    }
    const properties = objectAt(items, 'properties');
    for (const [index, key] of keys.entries()) {
      const property = objectAt(properties, key);
      if (property === undefined) {
        errors.push(invalid(`${at}[${index}]`, key, 'entries must all be names of item properties'));
        continue;
      }
      if (['array', 'object'].includes(stringAt(property, 'type'))) {
        errors.push(
          invalid(
            `${path}.items.properties[${key}].type`,
            stringAt(property, 'type'),
            "must be a scalar type if parent array's x-kubernetes-list-type is map",
          ),
        );
      }
      if (!stringsAt(items, 'required').includes(key) && own(property, 'default') === undefined) {
        errors.push(
          required(
            `${path}.items.properties[${key}].default`,
            'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
          ),
        );
      }
    }
    if (new Set(keys).size < keys.length) errors.push(invalid(at, [...keys], 'map keys must be unique'));
  } else if (keys.length > 0) errors.push(forbidden(at, 'must be empty if x-kubernetes-list-type is not map'));
  if (listType === 'set') {
    const itemType = stringAt(items, 'type');
    if (itemType === 'array' && stringAt(items, 'x-kubernetes-list-type') !== 'atomic') {
      errors.push(
        invalid(
          `${path}.items.x-kubernetes-list-type`,
          stringAt(items, 'x-kubernetes-list-type'),
          'must be atomic as item of a list with x-kubernetes-list-type=set',
        ),
      );
    }
    if (itemType === 'object' && stringAt(items, 'x-kubernetes-map-type') !== 'atomic') {
      errors.push(
        invalid(
          `${path}.items.x-kubernetes-map-type`,
          stringAt(items, 'x-kubernetes-map-type'),
          'must be atomic as item of a list with x-kubernetes-list-type=set',
        ),
      );
    }
    if (trueAt(items, 'nullable'))
      errors.push(forbidden(`${path}.items.nullable`, 'cannot be nullable when x-kubernetes-list-type is set'));
  }
  return errors;
}

function validateChildren(schema: JsonObject, path: string, { root, depth }: Place, type: string): FieldError[] {
  const errors: FieldError[] = [];
  const additional = own(schema, 'additionalProperties');
  const properties = objectAt(schema, 'properties');
  const items = own(schema, 'items');
  if (additional === false) errors.push(forbidden(`${path}.additionalProperties`, 'additionalProperties cannot be set to false'));
  if (properties !== undefined && additional !== undefined && additional !== false) {
    errors.push(forbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'));
  }
  if (root && additional !== undefined) errors.push(forbidden(`${path}.additionalProperties`, 'must not be used at the root'));
  if (type === 'array' && items === undefined) errors.push(required(`${path}.items`, 'must be specified'));
  if (Array.isArray(items)) errors.push(forbidden(`${path}.items`, 'items must be a schema object and not an array'));
  for (const [name, property] of Object.entries(properties ?? {})) {
    if (root && name === 'metadata') continue;
    const at = `${path}.properties[${name}]`;
    if (root && (name === 'apiVersion' || name === 'kind')) {
      const given = stringAt(isJsonObject(property) ? property : undefined, 'type');
      if (given !== 'string' && given !== '') errors.push(invalid(`${at}.type`, given, 'must be string'));
      continue;
    }
    if (isJsonObject(property)) errors.push(...validateSchema(property, at, { root: false, depth: depth + 1, what: 'object fields' }));
  }
  if (isJsonObject(items)) errors.push(...validateSchema(items, `${path}.items`, { root: false, depth: depth + 1, what: 'array items' }));
  if (isJsonObject(additional)) {
    errors.push(...validateSchema(additional, `${path}.additionalProperties`, { root: false, depth: depth + 1, what: 'object fields' }));
  }
  return errors;
}

/** @param base What stands outside: it must know every field that a part speaks of. */
function validateJunctors(schema: JsonObject, base: JsonObject, path: string, depth: number): FieldError[] {
  const errors: FieldError[] = [];
  const not = objectAt(schema, 'not');
  const parts: (readonly [string, Json])[] = not === undefined ? [] : [[`${path}.not`, not]];
  for (const field of ['allOf', 'anyOf', 'oneOf']) {
    for (const [index, part] of listAt(schema, field).entries()) parts.push([`${path}.${field}[${index}]`, part]);
  }
  for (const [at, part] of parts)
    if (isJsonObject(part)) errors.push(...validatePart(part, base, at, depth + 1, trueAt(base, 'x-kubernetes-int-or-string')));
  return errors;
}

function validatePart(part: JsonObject, base: JsonObject, path: string, depth: number, intOrString: boolean): FieldError[] {
  if (depth > DEPTH_MAX) return [forbidden(path, 'the schema is nested too deeply')];
  const errors: FieldError[] = [];
  for (const field of OUTSIDE_JUNCTORS) {
    // The usual way to write that either of two types is meant.
    if (field === 'type' && intOrString && ['integer', 'string'].includes(stringAt(part, 'type'))) continue;
    if (own(part, field) !== undefined) errors.push(forbidden(`${path}.${field}`, 'must be empty to be structural'));
  }
  errors.push(...validatePattern(part, path));
  for (const [name, property] of Object.entries(objectAt(part, 'properties') ?? {})) {
    const at = `${path}.properties[${name}]`;
    const outside = objectAt(base, 'properties', name) ?? objectAt(base, 'additionalProperties');
    if (outside === undefined) {
      if (!trueAt(base, 'x-kubernetes-preserve-unknown-fields')) errors.push(required(at, `because it is defined in ${at}`));
    } else if (isJsonObject(property))
      errors.push(...validatePart(property, outside, at, depth + 1, trueAt(outside, 'x-kubernetes-int-or-string')));
  }
  const items = objectAt(part, 'items');
  const outside = objectAt(base, 'items');
  if (items !== undefined) {
    if (outside === undefined) errors.push(required(`${path}.items`, `because it is defined in ${path}.items`));
    else errors.push(...validatePart(items, outside, `${path}.items`, depth + 1, trueAt(outside, 'x-kubernetes-int-or-string')));
  }
  return [...errors, ...validateJunctors(part, base, path, depth)];
}

/** A default must itself be what the schema lets in, whole and without what would be pruned. */
function defaultFaults(node: SchemaNode, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (node.default !== undefined) {
    const filled = completed(node.default, node);
    if (!isSubset(node.default, filled)) errors.push(invalid(`${path}.default`, node.default, 'must not have unknown fields'));
    errors.push(...validateNode(filled, node, `${path}.default`));
  }
  for (const [name, child] of Object.entries(node.properties ?? {})) errors.push(...defaultFaults(child, `${path}.properties[${name}]`));
  if (node.items !== undefined) errors.push(...defaultFaults(node.items, `${path}.items`));
  if (typeof node.additionalProperties === 'object')
    errors.push(...defaultFaults(node.additionalProperties, `${path}.additionalProperties`));
  return errors;
}

/** The value as it would be within an object. */
function completed(value: Json, node: SchemaNode): Json {
  const whole = completeStructural({ value: cloneJson(value) }, { type: 'object', properties: { value: node } });
  return own(whole, 'value') ?? null;
}

/** Whether nothing of `value` is missing in `whole`. */
function isSubset(value: Json, whole: Json): boolean {
  if (isJsonObject(value))
    return isJsonObject(whole) && Object.entries(value).every(([key, item]) => item === null || isSubset(item, own(whole, key) ?? null));
  if (Array.isArray(value))
    return Array.isArray(whole) && value.length === whole.length && value.every((item, index) => isSubset(item, whole[index] ?? null));
  return equalJson(value, whole);
}
