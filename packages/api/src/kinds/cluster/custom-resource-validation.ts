/** CustomResourceDefinitions: the names and versions they bring, and the shape of their schemas. */
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, forbidden, invalid, required, tooMany } from '../../field-error.ts';
import { JsonPathError, parseJsonPath } from '../../json-path.ts';
import { equalJson, objectAt, objectsAt, own, stringAt, stringsAt, trueAt } from '../../json-value.ts';
import { checkDns1035Label, checkDns1123Subdomain } from '../../name-syntax.ts';
import { checked, oneOf } from '../rules.ts';
import { validateStructuralSchema } from './structural-schema-validation.ts';
import { validateClientConfig, validateReviewVersions } from './webhook-client-validation.ts';

const COLUMN_FORMATS = ['int32', 'int64', 'float', 'double', 'byte', 'date', 'date-time', 'password'];
const SELECTABLE_MAX = 8;
const APPROVAL = 'api-approved.kubernetes.io';
const COLUMN_TYPES = ['boolean', 'date', 'integer', 'number', 'string'];

/** @param old What is changed: schemas that stay as they were may have rules that are dearer than new ones may be. */
export function validateCustomResourceDefinition(definition: JsonObject, old?: JsonObject): FieldError[] {
  const spec = objectAt(definition, 'spec') ?? {};
  const group = stringAt(spec, 'group');
  const plural = stringAt(spec, 'names', 'plural');
  const name = stringAt(definition, 'metadata', 'name');
  const errors: FieldError[] = [];
  if (name !== `${plural}.${group}`) errors.push(invalid('metadata.name', name, 'must be spec.names.plural+"."+spec.group'));
  if (group === '') errors.push(required('spec.group'));
  else {
    errors.push(...checked('spec.group', group, checkDns1123Subdomain));
    errors.push(...validateApproval(definition, group));
    if (!group.includes('.')) errors.push(invalid('spec.group', group, 'should be a domain with at least one dot'));
  }
  if (trueAt(spec, 'preserveUnknownFields')) {
    errors.push(
      invalid(
        'spec.preserveUnknownFields',
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    );
  }
  errors.push(...oneOf(spec, 'scope', 'spec', ['Cluster', 'Namespaced'], true), ...validateNames(objectAt(spec, 'names') ?? {}));
  return [...errors, ...validateVersions(spec, objectAt(old, 'spec')), ...validateConversion(spec)];
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

function validateVersions(spec: JsonObject, old: JsonObject | undefined): FieldError[] {
  const versions = objectsAt(spec, 'versions');
  if (versions.length === 0) return [invalid('spec.versions', [], 'must have exactly one version marked as storage version')];
  const errors: FieldError[] = [];
  const names = new Set<string>();
  const schemas = versions.map((version) => objectAt(version, 'schema', 'openAPIV3Schema') ?? null);
  const [shared = null] = schemas;
  // Upstream tells of a schema that all versions have in common once.
  const isShared = shared !== null && schemas.every((schema) => equalJson(schema, shared));
  for (const [index, version] of versions.entries()) {
    const at = `spec.versions[${index}]`;
    const name = stringAt(version, 'name');
    errors.push(...checked(`${at}.name`, name, checkDns1035Label));
    if (names.has(name)) errors.push(invalid('spec.versions', name, 'must contain unique version names'));
    names.add(name);
    const schema = objectAt(version, 'schema', 'openAPIV3Schema');
    const path = isShared ? 'spec.validation.openAPIV3Schema' : `${at}.schema.openAPIV3Schema`;
    if (schema === undefined) errors.push(required(path, 'schemas are required'));
    else {
      if (!isShared || index === 0) errors.push(...validateStructuralSchema(schema, path, hadSchema(old, name, schema)));
      errors.push(...validateSelectable(version, schema, at));
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

function hadSchema(old: JsonObject | undefined, name: string, schema: JsonObject): boolean {
  const version = objectsAt(old, 'versions').find((before) => stringAt(before, 'name') === name);
  const before = objectAt(version, 'schema', 'openAPIV3Schema');
  return before !== undefined && equalJson(before, schema);
}

function validateScale(version: JsonObject, path: string): FieldError[] {
  const scale = objectAt(version, 'subresources', 'scale');
  if (scale === undefined) return [];
  const errors: FieldError[] = [];
  for (const [field, prefixes] of [
    ['specReplicasPath', ['.spec.']],
    ['statusReplicasPath', ['.status.']],
    ['labelSelectorPath', ['.spec.', '.status.']],
  ] as const) {
    const value = stringAt(scale, field);
    const at = `${path}.subresources.scale.${field}`;
    if (value === '') {
      if (field !== 'labelSelectorPath') errors.push(required(at));
    } else if (!prefixes.some((prefix) => value.startsWith(prefix))) {
      errors.push(invalid(at, value, `should be a json path under ${prefixes.map((prefix) => prefix.slice(0, -1)).join(' or ')}`));
    } else if (!/^(\.[^.[\]]+)+$/.test(value)) errors.push(invalid(at, value, 'is an invalid path'));
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
    const format = stringAt(column, 'format');
    if (format !== '' && !COLUMN_FORMATS.includes(format)) {
      errors.push(invalid(`${at}.format`, format, `must be one of ${COLUMN_FORMATS.join(',')}`));
    }
    const jsonPath = stringAt(column, 'jsonPath');
    if (jsonPath !== '' && !isJsonPath(jsonPath)) errors.push(invalid(`${at}.jsonPath`, jsonPath, 'is an invalid path'));
    return errors;
  });
}

/** As upstream's: it begins at the object, by a dot. */
function isJsonPath(text: string): boolean {
  if (!text.startsWith('.')) return false;
  try {
    parseJsonPath(text);
    return true;
  } catch (error) {
    if (error instanceof JsonPathError) return false;
    throw error;
  }
}

/** Fields that objects can be selected by are scalars, and not of the metadata. */
function validateSelectable(version: JsonObject, schema: JsonObject, path: string): FieldError[] {
  const fields = objectsAt(version, 'selectableFields');
  const errors: FieldError[] = [];
  if (fields.length > SELECTABLE_MAX) errors.push(tooMany(`${path}.selectableFields`, fields.length, SELECTABLE_MAX));
  const seen = new Set<string>();
  for (const [index, field] of fields.entries()) {
    const at = `${path}.selectableFields[${index}].jsonPath`;
    const jsonPath = stringAt(field, 'jsonPath');
    if (jsonPath === '') errors.push(required(at));
    else if (!/^(\.[a-zA-Z_][a-zA-Z0-9_-]*)+$/.test(jsonPath))
      errors.push(invalid(at, jsonPath, 'is an invalid path: must be a simple path of fields'));
    else if (jsonPath.startsWith('.metadata.') || jsonPath === '.metadata')
      errors.push(invalid(at, jsonPath, 'must not point to fields in metadata'));
    else {
      const node = jsonPath
        .slice(1)
        .split('.')
        .reduce<JsonObject | undefined>((parent, name) => objectAt(parent, 'properties', name), schema);
      if (node === undefined) errors.push(invalid(at, jsonPath, 'is an invalid path: does not refer to a valid field'));
      else if (!['string', 'integer', 'boolean'].includes(stringAt(node, 'type'))) {
        errors.push(invalid(at, jsonPath, 'must point to a field of type string, boolean or integer'));
      }
    }
    if (seen.has(jsonPath)) errors.push(duplicate(at, jsonPath));
    seen.add(jsonPath);
  }
  return errors;
}

function validateConversion(spec: JsonObject): FieldError[] {
  const conversion = objectAt(spec, 'conversion') ?? {};
  const errors = oneOf(conversion, 'strategy', 'spec.conversion', ['None', 'Webhook'], true);
  if (stringAt(conversion, 'strategy') !== 'Webhook') {
    if (own(conversion, 'webhook') !== undefined) {
      errors.push(forbidden('spec.conversion.webhook', 'should not be set when strategy is not set to Webhook'));
    }
    return errors;
  }
  const path = 'spec.conversion.webhook';
  const config = objectAt(conversion, 'webhook', 'clientConfig');
  if (config === undefined) errors.push(required(`${path}.clientConfig`, 'required when strategy is set to Webhook'));
  else errors.push(...validateClientConfig(config, `${path}.clientConfig`));
  const versions = stringsAt(conversion, 'webhook', 'conversionReviewVersions');
  return [...errors, ...validateReviewVersions(versions, `${path}.conversionReviewVersions`)];
}

/** Groups of the project itself say which review let them in. @see KEP-1111 */
function validateApproval(definition: JsonObject, group: string): FieldError[] {
  if (!/(^|\.)(k8s\.io|kubernetes\.io)$/.test(group)) return [];
  const value = stringAt(objectAt(definition, 'metadata', 'annotations'), APPROVAL);
  const at = `metadata.annotations[${APPROVAL}]`;
  if (value === '')
    return [
      required(
        at,
        `protected groups must have approval annotation "${APPROVAL}", see https://github.com/kubernetes/enhancements/pull/1111`,
      ),
    ];
  if (value.startsWith('unapproved') || URL.canParse(value)) return [];
  return [invalid(at, value, 'protected groups must have approval annotation with either a URL or a reason starting with "unapproved"')];
}
