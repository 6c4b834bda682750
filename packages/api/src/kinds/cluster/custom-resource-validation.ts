/** CustomResourceDefinitions: the names and versions they bring, and the shape of their schemas. */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { isJsonObject, listAt, objectAt, objectsAt, own, stringAt, stringsAt, trueAt } from '../../json-value.ts';
import { checkDns1035Label, checkDns1123Subdomain } from '../../name-syntax.ts';
import { checked, oneOf } from '../rules.ts';

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const COLUMN_TYPES = ['boolean', 'date', 'integer', 'number', 'string'];

export function validateCustomResourceDefinition(definition: JsonObject): FieldError[] {
  const spec = objectAt(definition, 'spec') ?? {};
  const group = stringAt(spec, 'group');
  const plural = stringAt(spec, 'names', 'plural');
  const name = stringAt(definition, 'metadata', 'name');
  const errors: FieldError[] = [];
  if (name !== `${plural}.${group}`) errors.push(invalid('metadata.name', name, 'must be spec.names.plural+"."+spec.group'));
  if (group === '') errors.push(required('spec.group'));
  else {
    errors.push(...checked('spec.group', group, checkDns1123Subdomain));
    if (!group.includes('.')) errors.push(invalid('spec.group', group, 'should be a domain with at least one dot'));
  }
  errors.push(...oneOf(spec, 'scope', 'spec', ['Cluster', 'Namespaced'], true), ...validateNames(objectAt(spec, 'names') ?? {}));
  return [...errors, ...validateVersions(spec), ...validateConversion(spec)];
}

export function validateCustomResourceDefinitionUpdate(definition: JsonObject, old: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  const established = objectsAt(old, 'status', 'conditions').some(
    (condition) => stringAt(condition, 'type') === 'Established' && stringAt(condition, 'status') === 'True',
  );
  const fields = established ? [['group'], ['scope'], ['names', 'kind']] : [['group']];
  for (const path of [...fields, ['names', 'plural']]) {
    const now = stringAt(definition, 'spec', ...path);
    if (now !== stringAt(old, 'spec', ...path)) errors.push(invalid(`spec.${path.join('.')}`, now, 'field is immutable'));
  }
  const versions = objectsAt(definition, 'spec', 'versions').map((version) => stringAt(version, 'name'));
  for (const [index, stored] of stringsAt(definition, 'status', 'storedVersions').entries()) {
    if (!versions.includes(stored)) {
      errors.push(
        invalid(
          `status.storedVersions[${index}]`,
          stored,
          `missing from spec.versions; ${stored} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${stored} and removes ${stored} from status.storedVersions`,
        ),
      );
    }
  }
  return errors;
}

function validateNames(names: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['plural', 'singular', 'kind', 'listKind']) {
    const value = stringAt(names, field);
    const at = `spec.names.${field}`;
    if (value === '') errors.push(required(at));
    else errors.push(...checked(at, field === 'kind' || field === 'listKind' ? value.toLowerCase() : value, checkDns1035Label));
  }
  for (const field of ['shortNames', 'categories']) {
    for (const [index, value] of stringsAt(names, field).entries())
      errors.push(...checked(`spec.names.${field}[${index}]`, value, checkDns1035Label));
  }
  if (stringAt(names, 'kind') !== '' && stringAt(names, 'kind') === stringAt(names, 'listKind')) {
    errors.push(invalid('spec.names.listKind', stringAt(names, 'listKind'), 'kind and listKind may not be the same'));
  }
  return errors;
}

function validateVersions(spec: JsonObject): FieldError[] {
  const versions = objectsAt(spec, 'versions');
  if (versions.length === 0) return [invalid('spec.versions', [], 'must have exactly one version marked as storage version')];
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, version] of versions.entries()) {
    const at = `spec.versions[${index}]`;
    const name = stringAt(version, 'name');
    errors.push(...checked(`${at}.name`, name, checkDns1035Label));
    if (names.has(name)) errors.push(invalid('spec.versions', name, 'must contain unique version names'));
    names.add(name);
    const schema = objectAt(version, 'schema', 'openAPIV3Schema');
    const path = `${at}.schema.openAPIV3Schema`;
    if (schema === undefined) errors.push(required(path, 'schemas are required'));
    else {
      if (stringAt(schema, 'type') !== 'object')
        errors.push(invalid(`${path}.type`, stringAt(schema, 'type'), 'must be object at the root'));
      errors.push(...validateSchema(schema, path, true));
    }
    errors.push(...validateScale(version, at), ...validatePrinter(version, at));
  }
  const stored = versions.filter((version) => trueAt(version, 'storage'));
  if (stored.length !== 1)
    errors.push(
      invalid(
        'spec.versions',
        versions.map((version) => stringAt(version, 'name')),
        'must have exactly one version marked as storage version',
      ),
    );
  return errors;
}

/** A structural schema says every value's type, so that pruning and defaulting know what they walk through. */
function validateSchema(schema: JsonObject, path: string, root: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const type = stringAt(schema, 'type');
  const free = trueAt(schema, 'x-kubernetes-int-or-string') || trueAt(schema, 'x-kubernetes-preserve-unknown-fields');
  if (type === '') {
    if (!free) errors.push(required(`${path}.type`, 'must not be empty for specified object fields'));
  } else if (!TYPES.includes(type)) errors.push(notSupported(`${path}.type`, type, TYPES));
  if (type === 'array' && own(schema, 'items') === undefined) errors.push(required(`${path}.items`, 'must be specified'));
  for (const field of ['$ref', 'definitions', 'dependencies', 'patternProperties', 'id', 'additionalItems']) {
    if (own(schema, field) !== undefined) errors.push(forbidden(`${path}.${field}`, `${field} is not supported`));
  }
  if (trueAt(schema, 'uniqueItems'))
    errors.push(forbidden(`${path}.uniqueItems`, 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'));
  if (own(schema, 'additionalProperties') === false)
    errors.push(forbidden(`${path}.additionalProperties`, 'additionalProperties cannot be set to false'));
  const properties = objectAt(schema, 'properties');
  if (properties !== undefined && isJsonObject(own(schema, 'additionalProperties'))) {
    errors.push(forbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'));
  }
  for (const [name, property] of Object.entries(properties ?? {})) {
    if (root && (name === 'metadata' || name === 'apiVersion' || name === 'kind')) continue;
    if (isJsonObject(property)) errors.push(...validateSchema(property, `${path}.properties[${name}]`, false));
  }
  for (const field of ['items', 'additionalProperties']) {
    const child = own(schema, field);
    if (isJsonObject(child)) errors.push(...validateSchema(child, `${path}.${field}`, false));
  }
  const listType = stringAt(schema, 'x-kubernetes-list-type');
  if (listType !== '' && !['atomic', 'map', 'set'].includes(listType)) {
    errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, ['atomic', 'map', 'set']));
  }
  if (listType === 'map' && listAt(schema, 'x-kubernetes-list-map-keys').length === 0) {
    errors.push(required(`${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'));
  }
  return errors;
}

function validateScale(version: JsonObject, path: string): FieldError[] {
  const scale = objectAt(version, 'subresources', 'scale');
  if (scale === undefined) return [];
  const errors: FieldError[] = [];
  for (const [field, prefix] of [
    ['specReplicasPath', '.spec.'],
    ['statusReplicasPath', '.status.'],
  ] as const) {
    const value = stringAt(scale, field);
    const at = `${path}.subresources.scale.${field}`;
    if (value === '') errors.push(required(at));
    else if (!value.startsWith(prefix)) errors.push(invalid(at, value, `should be a json path under ${prefix.slice(0, -1)}`));
  }
  return errors;
}

function validatePrinter(version: JsonObject, path: string): FieldError[] {
  return objectsAt(version, 'additionalPrinterColumns').flatMap((column, index) => {
    const at = `${path}.additionalPrinterColumns[${index}]`;
    const errors: FieldError[] = [];
    for (const field of ['name', 'type', 'jsonPath']) if (stringAt(column, field) === '') errors.push(required(`${at}.${field}`));
    const type = stringAt(column, 'type');
    if (type !== '' && !COLUMN_TYPES.includes(type)) errors.push(invalid(`${at}.type`, type, `must be one of ${COLUMN_TYPES.join(',')}`));
    return errors;
  });
}

function validateConversion(spec: JsonObject): FieldError[] {
  const conversion = objectAt(spec, 'conversion') ?? {};
  const errors = oneOf(conversion, 'strategy', 'spec.conversion', ['None', 'Webhook'], true);
  if (stringAt(conversion, 'strategy') !== 'Webhook') return errors;
  if (objectAt(conversion, 'webhook', 'clientConfig') === undefined) {
    errors.push(required('spec.conversion.webhook.clientConfig', 'required when strategy is set to Webhook'));
  }
  if (listAt(conversion, 'webhook', 'conversionReviewVersions').length === 0) {
    errors.push(required('spec.conversion.webhook.conversionReviewVersions'));
  }
  return errors;
}
