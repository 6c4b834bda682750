import type { JsonObject, KindDefinition, SchemaNode, TableColumn } from '@dure/api';

const TIME: SchemaNode = { ref: 'io.k8s.apimachinery.pkg.apis.meta.v1.Time', description: 'When the usage was measured.' };
const WINDOW: SchemaNode = { type: 'string', description: 'The time over which the usage was measured.' };
const USAGE: SchemaNode = {
  type: 'object',
  description: 'What was used: cpu in cores, memory in bytes.',
  additionalProperties: { ref: 'io.k8s.apimachinery.pkg.api.resource.Quantity' },
};

const nameColumn: TableColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  priority: 0,
  value: (object) => (object.metadata as JsonObject).name as string,
};

function usageColumn(name: 'cpu' | 'memory', read: (object: JsonObject) => JsonObject): TableColumn {
  return { name, type: 'string', priority: 0, value: (object) => String(read(object)[name] ?? '0') };
}

function definition(
  kind: string,
  resource: string,
  singular: string,
  namespaced: boolean,
  schema: SchemaNode,
  columns: readonly TableColumn[],
): KindDefinition {
  return {
    group: 'metrics.k8s.io',
    kind,
    listKind: `${kind}List`,
    resource,
    singular,
    shortNames: [],
    categories: [],
    namespaced,
    verbs: ['get', 'list'],
    versions: [{ name: 'v1beta1', served: true, schema, columns }],
    storageVersion: 'v1beta1',
    subresources: [],
    strategy: {},
  };
}

/** The kinds of `metrics.k8s.io`: measured when asked for, never stored. */
export const metricsKinds: readonly KindDefinition[] = [
  definition(
    'NodeMetrics',
    'nodes',
    '',
    false,
    {
      type: 'object',
      description: 'NodeMetrics is what a node used.',
      properties: { timestamp: TIME, window: WINDOW, usage: USAGE },
      required: ['timestamp', 'window', 'usage'],
    },
    [nameColumn, usageColumn('cpu', (object) => object.usage as JsonObject), usageColumn('memory', (object) => object.usage as JsonObject)],
  ),
  definition(
    'PodMetrics',
    'pods',
    '',
    true,
    {
      type: 'object',
      description: 'PodMetrics is what the containers of a Pod used.',
      properties: {
        timestamp: TIME,
        window: WINDOW,
        containers: {
          type: 'array',
          items: { type: 'object', properties: { name: { type: 'string' }, usage: USAGE }, required: ['name', 'usage'] },
        },
      },
      required: ['timestamp', 'window', 'containers'],
    },
    [nameColumn],
  ),
];
