import { builtinKinds, type KindDefinition } from '@dure/api';

/** Where objects lie in the store: upstream's layout, so that tools that read etcd find their way. */
const ROOT = '/registry';

/** Groups whose resources lie under their names alone. All others, and so every custom resource, have their group before. */
const BARE_GROUPS: ReadonlySet<string> = new Set([
  '',
  'apps',
  'autoscaling',
  'batch',
  'policy',
  ...[
    'admissionregistration',
    'authentication',
    'authorization',
    'certificates',
    'coordination',
    'discovery',
    'events',
    'flowcontrol.apiserver',
    'internal.apiserver',
    'networking',
    'node',
    'rbac.authorization',
    'resource',
    'scheduling',
    'storage',
    'storagemigration',
  ].map((name) => `${name}.k8s.io`),
]);

/** Those that lie elsewhere than their names say, for historical reasons. */
const PLACES: Readonly<Record<string, string>> = {
  '/endpoints': 'services/endpoints',
  '/nodes': 'minions',
  '/replicationcontrollers': 'controllers',
  '/services': 'services/specs',
  'networking.k8s.io/ingresses': 'ingress',
};

/** Prefix of all objects of a resource, with a trailing slash. */
export function resourcePrefix(group: string, resource: string): string {
  if (!BARE_GROUPS.has(group)) return `${ROOT}/${group}/${resource}/`;
  return `${ROOT}/${PLACES[`${group}/${resource}`] ?? resource}/`;
}

/** Prefix of what a list in `namespace` ('' for all, or cluster scope) returns. */
export function listPrefix(group: string, resource: string, namespace: string): string {
  const prefix = resourcePrefix(group, resource);
  return namespace === '' ? prefix : `${prefix}${namespace}/`;
}

/** Key of one object. `namespace` is '' for cluster scope. */
export function objectKey(group: string, resource: string, namespace: string, name: string): string {
  return `${listPrefix(group, resource, namespace)}${name}`;
}

/** The collection that a kind's objects are kept in: its own, unless it shares another's. */
export function storageOf({ group, resource, storedAs }: KindDefinition): { readonly group: string; readonly resource: string } {
  return storedAs ?? { group, resource };
}

/** A collection in the store. */
export interface StoredResource {
  readonly group: string;
  readonly resource: string;
}

/** Tells whose objects lie at a key; `undefined` for keys that hold none, such as claims of addresses. Knows the built-in kinds, and all that have their group before. */
export function storedResources(): (key: string) => StoredResource | undefined {
  const bare = new Map<string, StoredResource>();
  for (const { group, resource } of builtinKinds.map(storageOf))
    if (BARE_GROUPS.has(group)) bare.set(resourcePrefix(group, resource).slice(ROOT.length + 1, -1), { group, resource });
  return (key) => {
    if (!key.startsWith(`${ROOT}/`)) return undefined;
    const [first = '', second = ''] = key.slice(ROOT.length + 1).split('/', 3);
    // Names of resources have no dots, groups that are written out have.
    return first.includes('.') ? { group: first, resource: second } : (bare.get(`${first}/${second}`) ?? bare.get(first));
  };
}
