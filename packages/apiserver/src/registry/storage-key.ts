import type { KindDefinition } from '@dure/api';

/** Where objects lie in the store: upstream's layout, so that tools that read etcd find their way. */
const ROOT = '/registry';

/** Prefix of all objects of a resource, with a trailing slash. */
export function resourcePrefix(group: string, resource: string): string {
  return group === '' ? `${ROOT}/${resource}/` : `${ROOT}/${group}/${resource}/`;
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
