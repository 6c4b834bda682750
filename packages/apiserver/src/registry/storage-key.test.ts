import { builtinKinds } from '@dure/api';
import { expect, test } from 'vitest';
import { objectKey, resourcePrefix, storageOf, storedResources } from './storage-key.ts';

test.each([
  ['', 'pods', 'default', 'web', '/registry/pods/default/web'],
  ['', 'namespaces', '', 'default', '/registry/namespaces/default'],
  ['', 'nodes', '', 'pi', '/registry/minions/pi'],
  ['', 'services', 'default', 'kubernetes', '/registry/services/specs/default/kubernetes'],
  ['', 'endpoints', 'default', 'kubernetes', '/registry/services/endpoints/default/kubernetes'],
  ['', 'replicationcontrollers', 'default', 'web', '/registry/controllers/default/web'],
  ['apps', 'deployments', 'default', 'web', '/registry/deployments/default/web'],
  ['networking.k8s.io', 'ingresses', 'default', 'web', '/registry/ingress/default/web'],
  ['networking.k8s.io', 'networkpolicies', 'default', 'deny', '/registry/networkpolicies/default/deny'],
  ['coordination.k8s.io', 'leases', 'kube-node-lease', 'pi', '/registry/leases/kube-node-lease/pi'],
  ['rbac.authorization.k8s.io', 'clusterroles', '', 'view', '/registry/clusterroles/view'],
  ['apiextensions.k8s.io', 'customresourcedefinitions', '', 'a.b.c', '/registry/apiextensions.k8s.io/customresourcedefinitions/a.b.c'],
  ['example.com', 'pods', 'default', 'web', '/registry/example.com/pods/default/web'],
])('%s/%s lies where tools that read etcd look for it', (group, resource, namespace, name, key) => {
  expect(objectKey(group, resource, namespace, name)).toBe(key);
});

test('no two resources share a prefix, nor does one lie inside another', () => {
  const stored = new Set(
    builtinKinds.map((definition) => {
      const { group, resource } = storageOf(definition);
      return `${group}/${resource}`;
    }),
  );
  const prefixes = [...stored].map((name) => resourcePrefix(name.slice(0, name.lastIndexOf('/')), name.slice(name.lastIndexOf('/') + 1)));
  for (const [at, prefix] of prefixes.entries())
    expect(prefixes.filter((other, index) => index !== at && other.startsWith(prefix))).toEqual([]);
});

test('a key tells whose object it holds, as far as it holds one', () => {
  const resourceOf = storedResources();
  for (const definition of builtinKinds) {
    const { group, resource } = storageOf(definition);
    expect(resourceOf(objectKey(group, resource, 'a', 'b'))).toEqual({ group, resource });
  }
  expect(resourceOf(objectKey('example.com', 'pods', 'default', 'web'))).toEqual({ group: 'example.com', resource: 'pods' });
  expect(resourceOf('/registry/nobody/a')).toBeUndefined();
  expect(resourceOf('/dure/claims/10.43.0.1')).toBeUndefined();
});
