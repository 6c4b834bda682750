/** From a CustomResourceDefinition to a kind: the door by which custom kinds enter the registry. */
import type {
  Json,
  JsonObject,
  KindDefinition,
  KindVersion,
  SchemaNode,
  Strategy,
  SubresourceDefinition,
  TableColumn,
} from '../definition.ts';
import { formatAge } from '../human-duration.ts';
import { type JsonPath, parseJsonPath } from '../json-path.ts';
import { cloneJson, objectAt, objectsAt, own, semanticEqual, stringAt, stringsAt, trueAt } from '../json-value.ts';
import { ALL_VERBS } from './define.ts';
import { copyField, lifecycle } from './lifecycle.ts';
import { nameColumn } from './tables/column.ts';

const CHANGE = ['get', 'patch', 'update'] as const;
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/**
 * The kind that `definition`, a valid and defaulted CustomResourceDefinition, describes. Versions are in the order of discovery:
 * stable ones first, newer before older. Conversion by webhook is not part of it.
 * @throws {JsonPathError} A printer column's or selectable field's path is malformed.
 */
export function kindFromCustomResource(definition: JsonObject): KindDefinition {
  const spec = objectAt(definition, 'spec') ?? {};
  const names = objectAt(spec, 'names') ?? {};
  const versions = objectsAt(spec, 'versions').toSorted((a, b) => compareVersions(stringAt(a, 'name'), stringAt(b, 'name')));
  const stored = versions.find((version) => trueAt(version, 'storage'));
  const scale = objectAt(stored, 'subresources', 'scale');
  const selectorPath = stringAt(scale, 'labelSelectorPath');
  return Object.freeze({
    group: stringAt(spec, 'group'),
    kind: stringAt(names, 'kind'),
    listKind: stringAt(names, 'listKind') || `${stringAt(names, 'kind')}List`,
    resource: stringAt(names, 'plural'),
    singular: stringAt(names, 'singular') || stringAt(names, 'kind').toLowerCase(),
    shortNames: stringsAt(names, 'shortNames'),
    categories: stringsAt(names, 'categories'),
    namespaced: stringAt(spec, 'scope') !== 'Cluster',
    verbs: ALL_VERBS,
    versions: versions.map(versionOf),
    storageVersion: stringAt(stored, 'name'),
    subresources: subresourcesOf(stored),
    ...(scale === undefined
      ? {}
      : {
          scale: {
            specReplicasPath: withoutDot(stringAt(scale, 'specReplicasPath')),
            statusReplicasPath: withoutDot(stringAt(scale, 'statusReplicasPath')),
            ...(selectorPath === '' ? {} : { labelSelectorPath: withoutDot(selectorPath) }),
          },
        }),
    strategy: strategyOf(stored),
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
  return {
    name: stringAt(version, 'name'),
    served: trueAt(version, 'served'),
    ...(trueAt(version, 'deprecated') ? { deprecated: true } : {}),
    structural: true,
    schema: schemaOfVersion(version),
    columns: columnsOf(version),
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

function cell(value: Json | undefined, type: TableColumn['type'], nowMs: number): string | number | boolean | undefined {
  if (value === undefined || value === null) return undefined;
  switch (type) {
    case 'integer':
    case 'number':
      return typeof value === 'number' ? (type === 'integer' ? Math.trunc(value) : value) : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'date':
      return typeof value === 'string' ? formatAge(value, nowMs) : undefined;
    case 'string':
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
    default:
      return type satisfies never;
  }
}

function subresourcesOf(version: JsonObject | undefined): readonly SubresourceDefinition[] {
  const subresources = objectAt(version, 'subresources');
  const result: SubresourceDefinition[] = [];
  if (objectAt(subresources, 'status') !== undefined) result.push({ name: 'status', verbs: CHANGE });
  if (objectAt(subresources, 'scale') !== undefined) {
    result.push({ name: 'scale', verbs: CHANGE, body: { group: 'autoscaling', version: 'v1', kind: 'Scale' } });
  }
  return result;
}

function strategyOf(version: JsonObject | undefined): Strategy {
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
    prepareForUpdate(object, old) {
      if (hasStatus) copyField(object, old, 'status');
      const changed = !semanticEqual(bodyOf(object), bodyOf(old));
      base.prepareForUpdate?.(object, old);
      const metadata = objectAt(object, 'metadata');
      const before = objectAt(old, 'metadata')?.generation;
      if (changed && metadata !== undefined) metadata.generation = (typeof before === 'number' ? before : 0) + 1;
    },
    prepareForStatusUpdate(object, old) {
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
