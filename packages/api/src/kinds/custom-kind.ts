/** From a CustomResourceDefinition to a kind: the door by which custom kinds enter the registry. */
import { ValidationRules } from '../cel/validation-rules.ts';
import type {
  Json,
  JsonObject,
  KindDefinition,
  KindVersion,
  ScalePaths,
  SchemaNode,
  Strategy,
  SubresourceDefinition,
  TableColumn,
} from '../definition.ts';
import { type FieldErrorReason, invalid } from '../field-error.ts';
import { formatAge } from '../human-duration.ts';
import { type JsonPath, parseJsonPath } from '../json-path.ts';
import { toJsonText } from '../json-text.ts';
import { cloneJson, objectAt, objectsAt, own, semanticEqual, stringAt, stringsAt, trueAt, valueAt } from '../json-value.ts';
import { completeStructural } from '../schema/structural.ts';
import { validateNode, validateStructural } from '../schema/structural-validation.ts';
import { ALL_VERBS } from './define.ts';
import { copyField, lifecycle } from './lifecycle.ts';
import { nameColumn } from './tables/column.ts';

const CHANGE = ['get', 'patch', 'update'] as const;
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/**
 * The kind that `definition`, a valid and defaulted CustomResourceDefinition, describes, under the names that were accepted, or those
 * it asks for where nothing was decided yet. Versions are in the order of discovery: stable ones first, newer before older.
 * Versions share their objects as they are (conversion `None`). A definition that is going lets no objects be made.
 * @throws {JsonPathError} A printer column's or selectable field's path is malformed.
 */
export function kindFromCustomResource(definition: JsonObject): KindDefinition {
  const spec = objectAt(definition, 'spec') ?? {};
  const accepted = objectAt(definition, 'status', 'acceptedNames');
  const names = (stringAt(accepted, 'kind') === '' ? undefined : accepted) ?? objectAt(spec, 'names') ?? {};
  const given = objectsAt(spec, 'versions').toSorted((a, b) => compareVersions(stringAt(a, 'name'), stringAt(b, 'name')));
  const versions = given.map(versionOf);
  const storageVersion = stringAt(
    given.find((version) => trueAt(version, 'storage')),
    'name',
  );
  const stored = versions.find(({ name }) => name === storageVersion);
  const terminating = stringAt(definition, 'metadata', 'deletionTimestamp') !== '';
  return Object.freeze({
    group: stringAt(spec, 'group'),
    kind: stringAt(names, 'kind'),
    listKind: stringAt(names, 'listKind') || `${stringAt(names, 'kind')}List`,
    resource: stringAt(objectAt(spec, 'names'), 'plural'),
    singular: stringAt(names, 'singular') || stringAt(names, 'kind').toLowerCase(),
    shortNames: stringsAt(names, 'shortNames'),
    categories: stringsAt(names, 'categories'),
    namespaced: stringAt(spec, 'scope') !== 'Cluster',
    verbs: terminating ? ALL_VERBS.filter((verb) => verb !== 'create') : ALL_VERBS,
    versions,
    storageVersion,
    subresources: stored?.subresources ?? [],
    ...(stored?.scale === undefined ? {} : { scale: stored.scale }),
    strategy: stored?.strategy ?? {},
  });
}

/** Kubernetes' order of version names: stable, beta, alpha, each newest first; then all else by name. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [rankOf(a), rankOf(b)];
  for (let part = 0; part < left.length; part += 1) {
    const difference = (right[part] ?? 0) - (left[part] ?? 0);
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

function rankOf(name: string): readonly number[] {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(name);
  if (match === null) return [0, 0, 0];
  const level = match[2] === undefined ? 3 : match[2] === 'beta' ? 2 : 1;
  return [level, Number(match[1]), Number(match[3] ?? 0)];
}

function versionOf(version: JsonObject): KindVersion {
  const schema = schemaOfVersion(version);
  const complete = completion(schema);
  const warning = stringAt(version, 'deprecationWarning');
  const scale = scaleOf(version);
  return {
    name: stringAt(version, 'name'),
    served: trueAt(version, 'served'),
    ...(trueAt(version, 'deprecated') ? { deprecated: true } : {}),
    ...(warning === '' ? {} : { deprecationWarning: warning }),
    structural: true,
    schema,
    columns: columnsOf(version),
    subresources: subresourcesOf(version),
    ...(scale === undefined ? {} : { scale }),
    strategy: strategyOf(version, complete),
    check: checkOf(version, schema, complete),
    complete,
  };
}

/** The version's own schema, with what every object has besides. */
function schemaOfVersion(version: JsonObject): SchemaNode {
  const root = cloneJson(
    objectAt(version, 'schema', 'openAPIV3Schema') ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  );
  const own = root as unknown as SchemaNode;
  return { ...own, properties: { ...own.properties, apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: { ref: META } } };
}

/** Reads are many and stored objects are shared, so each is completed once. */
function completion(schema: SchemaNode): (object: JsonObject) => JsonObject {
  const completed = new WeakMap<JsonObject, JsonObject>();
  return (object) => {
    const known = completed.get(object);
    if (known !== undefined) return known;
    const result = completeStructural(object, schema);
    if (Object.isFrozen(object)) completed.set(object, result);
    return result;
  };
}

/** All faults of an object of `version`. Rules are compiled when the first object comes. */
function checkOf(version: JsonObject, schema: SchemaNode, complete: (object: JsonObject) => JsonObject): NonNullable<KindVersion['check']> {
  const given = objectAt(version, 'schema', 'openAPIV3Schema');
  const metadata = objectAt(given, 'properties', 'metadata', 'properties') as Readonly<Record<string, SchemaNode>> | undefined;
  let rules: ValidationRules | undefined;
  return (object, stored) => {
    const old = stored === undefined ? undefined : complete(stored);
    const errors = validateStructural(object, schema, old);
    for (const field of ['name', 'generateName']) {
      const value = valueAt(object, 'metadata', field);
      const node = metadata?.[field];
      if (node !== undefined && value !== undefined) errors.push(...validateNode(value, node, `metadata.${field}`));
    }
    rules ??= new ValidationRules((given ?? {}) as SchemaNode);
    if (rules.isEmpty) return errors;
    if (errors.some(({ reason }) => BLOCKING.has(reason))) return [...errors, invalid('<nil>', null, NOT_CHECKED)];
    return [...errors, ...rules.check(object, old)];
  };
}

/** Values so wrong that rules about them would only confuse. */
const BLOCKING: ReadonlySet<FieldErrorReason> = new Set<FieldErrorReason>([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);
const NOT_CHECKED =
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';

function scaleOf(version: JsonObject): ScalePaths | undefined {
  const scale = objectAt(version, 'subresources', 'scale');
  if (scale === undefined) return undefined;
  const selectorPath = stringAt(scale, 'labelSelectorPath');
  return {
    specReplicasPath: withoutDot(stringAt(scale, 'specReplicasPath')),
    statusReplicasPath: withoutDot(stringAt(scale, 'statusReplicasPath')),
    ...(selectorPath === '' ? {} : { labelSelectorPath: withoutDot(selectorPath) }),
  };
}

function columnsOf(version: JsonObject): readonly TableColumn[] {
  const given = objectsAt(version, 'additionalPrinterColumns');
  const columns = given.length > 0 ? given : [{ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }];
  return [nameColumn, ...columns.map(columnOf)];
}

function columnOf(column: JsonObject): TableColumn {
  const path = parseJsonPath(stringAt(column, 'jsonPath'));
  const type = stringAt(column, 'type') as TableColumn['type'];
  const format = stringAt(column, 'format');
  const priority = own(column, 'priority');
  return {
    name: stringAt(column, 'name'),
    type,
    ...(format === '' ? {} : { format }),
    description: stringAt(column, 'description'),
    priority: typeof priority === 'number' ? priority : 0,
    value: (object, nowMs) => cell(path(object)[0], type, nowMs),
  };
}

/** What is absent or of another type than the column is printed as nothing. */
function cell(value: Json | undefined, type: TableColumn['type'], nowMs: number): string | number | bigint | boolean | null {
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'integer':
    case 'number':
      return typeof value === 'number' ? (type === 'integer' ? Math.trunc(value) : value) : typeof value === 'bigint' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? formatAge(value, nowMs) : null;
    case 'string':
      return typeof value === 'object' ? toJsonText(value) : String(value);
    default:
      return type satisfies never;
  }
}

function subresourcesOf(version: JsonObject): readonly SubresourceDefinition[] {
  const subresources = objectAt(version, 'subresources');
  const result: SubresourceDefinition[] = [];
  if (objectAt(subresources, 'status') !== undefined) result.push({ name: 'status', verbs: CHANGE });
  if (objectAt(subresources, 'scale') !== undefined) {
    result.push({ name: 'scale', verbs: CHANGE, body: { group: 'autoscaling', version: 'v1', kind: 'Scale' } });
  }
  return result;
}

function strategyOf(version: JsonObject, complete: (object: JsonObject) => JsonObject): Strategy {
  const hasStatus = objectAt(version, 'subresources', 'status') !== undefined;
  const base = lifecycle({ generation: true, desired: [] });
  const selectable = objectsAt(version, 'selectableFields').map((field): readonly [string, JsonPath] => {
    const path = stringAt(field, 'jsonPath');
    return [withoutDot(path), parseJsonPath(path)];
  });
  return {
    prepareForCreate(object) {
      if (hasStatus) delete object.status;
      base.prepareForCreate?.(object);
    },
    prepareForUpdate(object, stored) {
      // A default that came after the object was stored is no change of it.
      const old = complete(stored);
      if (hasStatus) copyField(object, old, 'status');
      const changed = !semanticEqual(bodyOf(object), bodyOf(old));
      base.prepareForUpdate?.(object, old);
      const metadata = objectAt(object, 'metadata');
      const before = objectAt(old, 'metadata')?.generation;
      if (changed && metadata !== undefined) metadata.generation = (typeof before === 'number' ? before : 0) + 1;
    },
    prepareForStatusUpdate(object, stored) {
      const old = complete(stored);
      for (const field of new Set([...Object.keys(object), ...Object.keys(old)])) {
        if (field !== 'status' && field !== 'metadata' && field !== 'apiVersion' && field !== 'kind') copyField(object, old, field);
      }
      const metadata = cloneJson(objectAt(old, 'metadata') ?? {});
      const sent = objectAt(object, 'metadata') ?? {};
      // Of the metadata only what says which write this is.
      for (const field of ['resourceVersion', 'managedFields']) copyField(metadata, sent, field);
      object.metadata = metadata;
    },
    ...(selectable.length === 0
      ? {}
      : { selectableFields: (object) => Object.fromEntries(selectable.map(([name, path]) => [name, selected(path(object)[0])])) }),
  };
}

/** Everything that the generation counts: all but metadata and status. */
function bodyOf(object: JsonObject): JsonObject {
  const { apiVersion: _apiVersion, kind: _kind, metadata: _metadata, status: _status, ...body } = object;
  return body;
}

function selected(value: Json | undefined): string {
  return value === undefined || value === null ? '' : String(value);
}

function withoutDot(path: string): string {
  return path.replace(/^\./, '');
}
