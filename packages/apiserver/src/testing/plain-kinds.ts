import type { KindDefinition } from '@dure/api';

/** A kind like ConfigMap, for tests of what does not depend on any kind. */
export const plainConfigMap: KindDefinition = {
  group: '',
  kind: 'ConfigMap',
  listKind: 'ConfigMapList',
  resource: 'configmaps',
  singular: 'configmap',
  shortNames: ['cm'],
  categories: [],
  namespaced: true,
  verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
  versions: [
    {
      name: 'v1',
      served: true,
      schema: { ref: 'io.k8s.api.core.v1.ConfigMap' },
      columns: [{ name: 'Name', type: 'string', priority: 0, value: (object) => (object.metadata as { name: string }).name }],
    },
  ],
  storageVersion: 'v1',
  subresources: [],
  strategy: {},
};
