import type { ResourceRef } from '@dure/api';

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** Answers the discovery paths for `refs`, or `undefined` for any other path. */
export function fakeDiscovery(refs: readonly ResourceRef[], path: string): unknown {
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
  if (path === '/apis') {
    const groups = new Map<string, Set<string>>();
    for (const { group, version } of refs) if (group !== '') groups.set(group, (groups.get(group) ?? new Set()).add(version));
    return {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: [...groups].map(([name, versions]) => {
        const served = [...versions].map((version) => ({ groupVersion: `${name}/${version}`, version }));
        return { name, versions: served, preferredVersion: served[0] };
      }),
    };
  }
  const match = /^\/(?:api\/([^/]+)|apis\/([^/]+)\/([^/]+))$/.exec(path);
  if (match === null) return undefined;
  const [, coreVersion, group = '', groupVersion] = match;
  const version = coreVersion ?? groupVersion;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: refs
      .filter((ref) => ref.group === group && ref.version === version)
      .map(({ resource, kind, namespaced }) => ({ name: resource, singularName: '', kind, namespaced, verbs: VERBS })),
  };
}
