import type { ResourceRef } from '@dure/api';
import type { DeleteQuery, ListQuery, ObjectKey, WatchQuery, WriteQuery } from './client.ts';

/** `/api/v1/...` for the core group, `/apis/GROUP/VERSION/...` for the others. `namespace` is ignored for cluster-scoped kinds. */
export function collectionPath(ref: ResourceRef, namespace?: string): string {
  const root = ref.group === '' ? `/api/${ref.version}` : `/apis/${ref.group}/${ref.version}`;
  const scope = ref.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${ref.resource}`;
}

/** @throws {RangeError} The name is empty, or a namespaced kind came without a namespace: such a path would mean the whole collection. */
export function objectPath(ref: ResourceRef, key: ObjectKey, subresource?: string): string {
  if (key.name === '') throw new RangeError(`${ref.resource}: the name is empty`);
  if (ref.namespaced && !key.namespace) throw new RangeError(`${ref.resource} "${key.name}": the namespace is missing`);
  const path = `${collectionPath(ref, key.namespace)}/${encodeURIComponent(key.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

type Query = ListQuery & WatchQuery & WriteQuery & Pick<DeleteQuery, 'dryRun'> & { readonly watch?: boolean; readonly force?: boolean };

/** `path` with what `query` sets, in the API's own parameter names. The namespace is part of the path and left out. */
export function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === '' || name === 'namespace') continue;
    parameters.set(name, String(value));
  }
  const rendered = parameters.toString();
  return rendered === '' ? path : `${path}?${rendered}`;
}

/** `NAMESPACE/NAME`, or `NAME` for a cluster-scoped object: the form that stores and work queues use. */
export function keyOf(object: { readonly metadata: { readonly namespace?: string; readonly name: string } }): string {
  const { namespace, name } = object.metadata;
  return namespace ? `${namespace}/${name}` : name;
}

/** The inverse of {@link keyOf}. */
export function parseKey(key: string): ObjectKey {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
