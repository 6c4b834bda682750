/** For tests: definitions in the shape that operators have. */
import type { JsonObject } from '@dure/api';

/** A database operator's: nested lists and maps, int-or-string, scale, columns, rules, an older version. */
export function databaseDefinition(change: (spec: JsonObject) => void = () => undefined): JsonObject {
  const resources: JsonObject = {
    type: 'object',
    properties: {
      requests: {
        type: 'object',
        additionalProperties: { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-kubernetes-int-or-string': true },
      },
    },
  };
  const schema: JsonObject = {
    type: 'object',
    description: 'A cluster of database servers.',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: {
        type: 'object',
        description: 'What is wanted.',
        required: ['instances'],
        'x-kubernetes-validations': [
          { rule: 'self.minSyncReplicas <= self.maxSyncReplicas', message: 'minSyncReplicas must not exceed maxSyncReplicas' },
          {
            rule: 'self.maxSyncReplicas < self.instances',
            messageExpression: '"maxSyncReplicas (%d) must be below instances".format([self.maxSyncReplicas])',
            fieldPath: '.maxSyncReplicas',
            reason: 'FieldValueForbidden',
          },
        ],
        properties: {
          instances: { type: 'integer', minimum: 1, maximum: 99, default: 1, description: 'How many servers.' },
          image: { type: 'string', maxLength: 200, pattern: '^[a-z0-9./:-]+$' },
          minSyncReplicas: { type: 'integer', default: 0 },
          maxSyncReplicas: { type: 'integer', default: 0 },
          storage: {
            type: 'object',
            default: {},
            properties: {
              size: { type: 'string', default: '1Gi', maxLength: 32, 'x-kubernetes-validations': [{ rule: 'isQuantity(self)' }] },
              storageClass: {
                type: 'string',
                maxLength: 63,
                'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'storageClass is immutable' }],
              },
            },
          },
          targetPort: { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-kubernetes-int-or-string': true },
          resources,
          databases: {
            type: 'array',
            maxItems: 20,
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['name'],
            items: {
              type: 'object',
              required: ['name'],
              properties: {
                name: { type: 'string', maxLength: 63 },
                owner: { type: 'string', default: 'app', maxLength: 63 },
                extensions: { type: 'array', 'x-kubernetes-list-type': 'set', maxItems: 10, items: { type: 'string', maxLength: 63 } },
              },
            },
          },
          parameters: { type: 'object', additionalProperties: { type: 'string', maxLength: 100 }, maxProperties: 50 },
          backup: { type: 'object', nullable: true, properties: { schedule: { type: 'string' } } },
          extra: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { known: { type: 'string' } } },
          template: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
        },
      },
      status: {
        type: 'object',
        properties: {
          instances: { type: 'integer' },
          selector: { type: 'string' },
          phase: { type: 'string' },
          conditions: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['type'],
            items: { type: 'object', required: ['type', 'status'], properties: { type: { type: 'string' }, status: { type: 'string' } } },
          },
        },
      },
    },
  };
  const version = (name: string, storage: boolean): JsonObject => ({
    name,
    served: true,
    storage,
    ...(storage ? {} : { deprecated: true, deprecationWarning: 'use acid.example.org/v1' }),
    schema: { openAPIV3Schema: structuredClone(schema) },
    subresources: {
      status: {},
      scale: { specReplicasPath: '.spec.instances', statusReplicasPath: '.status.instances', labelSelectorPath: '.status.selector' },
    },
    selectableFields: [{ jsonPath: '.spec.image' }],
    additionalPrinterColumns: [
      { name: 'Instances', type: 'integer', jsonPath: '.spec.instances' },
      { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
      { name: 'Image', type: 'string', jsonPath: '.spec.image', priority: 1 },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
  });
  const spec: JsonObject = {
    group: 'acid.example.org',
    scope: 'Namespaced',
    names: {
      plural: 'databases',
      singular: 'database',
      kind: 'Database',
      listKind: 'DatabaseList',
      shortNames: ['db'],
      categories: ['all'],
    },
    versions: [version('v1', true), version('v1beta1', false)],
  };
  change(spec);
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'databases.acid.example.org' },
    spec,
  };
}

/** The smallest there can be, of cluster scope unless said otherwise. */
export function plainDefinition(plural: string, kind: string, group = 'plain.example.org', scope = 'Cluster'): JsonObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope,
      names: { plural, kind },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  };
}

/** A Database. */
export function database(name: string, spec: JsonObject): JsonObject {
  return { apiVersion: 'acid.example.org/v1', kind: 'Database', metadata: { name }, spec };
}
