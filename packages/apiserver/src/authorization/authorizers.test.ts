import type { KubeObject } from '@dure/api';
import { describe, expect, it } from 'vitest';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { UserInfo } from '../contract/user.ts';
import { AuthorizerChain } from './authorizer-chain.ts';
import { NodeAuthorizer } from './node-authorizer.ts';
import { RbacAuthorizer } from './rbac-authorizer.ts';

/** A reader over fixed objects, keyed `group/resource`. */
function readerOf(objects: Readonly<Record<string, readonly unknown[]>>): ObjectReader {
  const all = (group: string, resource: string) => (objects[`${group}/${resource}`] ?? []) as readonly KubeObject[];
  return {
    get: async (group, resource, namespace, name) =>
      all(group, resource).find(({ metadata }) => metadata.name === name && metadata.namespace === namespace),
    list: async (group, resource, query = {}) =>
      all(group, resource).filter(
        (object) => (query.namespace === undefined || object.metadata.namespace === query.namespace) && (query.where?.(object) ?? true),
      ),
    peek: () => undefined,
    revisionOf: () => 0,
  };
}

const rbac = 'rbac.authorization.k8s.io';
const readPods = { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] };
const authorizer = new AuthorizerChain([
  new NodeAuthorizer(
    readerOf({
      '/pods': [
        pod('web', 'node-1', {
          volumes: [
            { name: 'v', secret: { secretName: 'tls' } },
            { name: 'p', projected: { sources: [{ configMap: { name: 'kube-root-ca.crt' } }] } },
          ],
          serviceAccountName: 'web',
        }),
        pod('db', 'node-2', {
          containers: [{ name: 'c', env: [{ name: 'P', valueFrom: { secretKeyRef: { name: 'password', key: 'p' } } }] }],
        }),
      ],
    }),
  ),
  new RbacAuthorizer(
    readerOf({
      [`${rbac}/clusterroles`]: [
        { metadata: { name: 'reader' }, rules: [readPods] },
        { metadata: { name: 'health' }, rules: [{ verbs: ['get'], nonResourceURLs: ['/healthz'] }] },
      ],
      [`${rbac}/roles`]: [{ metadata: { name: 'editor', namespace: 'default' }, rules: [{ ...readPods, verbs: ['*'] }] }],
      [`${rbac}/clusterrolebindings`]: [
        { metadata: { name: 'ops-read' }, subjects: [{ kind: 'Group', name: 'ops' }], roleRef: { kind: 'ClusterRole', name: 'reader' } },
        {
          metadata: { name: 'all-health' },
          subjects: [{ kind: 'Group', name: 'system:unauthenticated' }],
          roleRef: { kind: 'ClusterRole', name: 'health' },
        },
        { metadata: { name: 'dangling' }, subjects: [{ kind: 'User', name: 'ann' }], roleRef: { kind: 'ClusterRole', name: 'gone' } },
      ],
      [`${rbac}/rolebindings`]: [
        {
          metadata: { name: 'sa-edit', namespace: 'default' },
          subjects: [{ kind: 'ServiceAccount', name: 'builder' }],
          roleRef: { kind: 'Role', name: 'editor' },
        },
        {
          metadata: { name: 'bob-read', namespace: 'default' },
          subjects: [{ kind: 'User', name: 'bob' }],
          roleRef: { kind: 'ClusterRole', name: 'reader' },
        },
      ],
    }),
  ),
]);

const users: Readonly<Record<string, UserInfo>> = {
  root: { name: 'kubernetes-admin', groups: ['system:masters'] },
  ann: { name: 'ann', groups: [] },
  bob: { name: 'bob', groups: [] },
  op: { name: 'op', groups: ['ops'] },
  anonymous: { name: 'system:anonymous', groups: ['system:unauthenticated'] },
  builder: { name: 'system:serviceaccount:default:builder', groups: ['system:serviceaccounts'] },
  foreign: { name: 'system:serviceaccount:other:builder', groups: ['system:serviceaccounts'] },
  node1: { name: 'system:node:node-1', groups: ['system:nodes'] },
  notANode: { name: 'system:node:node-1', groups: [] },
};

/** `user verb resource[/subresource] namespace name`, `-` for empty. */
async function decide(question: string): Promise<string> {
  const [who = '', verb = '', target = '', namespace = '-', name = '-'] = question.split(' ');
  const user = users[who];
  if (user === undefined) throw new Error(`unknown user ${who}`);
  const signal = new AbortController().signal;
  if (target.startsWith('/')) return (await authorizer.authorize({ user, verb, kind: 'path', path: target }, signal)).decision;
  const [resource = '', subresource = ''] = target.split('/');
  const blank = (word: string) => (word === '-' ? '' : word);
  return (
    await authorizer.authorize(
      { user, verb, kind: 'resource', group: '', version: 'v1', resource, subresource, namespace: blank(namespace), name: blank(name) },
      signal,
    )
  ).decision;
}

describe('authorization', () => {
  it.each([
    ['root delete nodes - node-1', 'allow'],
    ['root get /metrics', 'allow'],
    ['op list pods - -', 'allow'],
    ['op list pods kube-system -', 'allow'],
    ['op delete pods default web', 'no-opinion'],
    ['ann list pods default -', 'no-opinion'],
    ['bob list pods default -', 'allow'],
    ['bob list pods other -', 'no-opinion'],
    ['bob list pods - -', 'no-opinion'],
    ['builder create pods default -', 'allow'],
    ['builder create pods other -', 'no-opinion'],
    ['foreign create pods default -', 'no-opinion'],
    ['anonymous get /healthz', 'allow'],
    ['anonymous get /metrics', 'no-opinion'],
    ['node1 get secrets default tls', 'allow'],
    ['node1 watch secrets default tls', 'allow'],
    ['node1 list secrets default -', 'no-opinion'],
    ['node1 update secrets default tls', 'no-opinion'],
    ['node1 get secrets default password', 'no-opinion'],
    ['node1 get secrets other tls', 'no-opinion'],
    ['node1 get configmaps default kube-root-ca.crt', 'allow'],
    ['node1 create serviceaccounts/token default web', 'allow'],
    ['node1 create serviceaccounts/token default builder', 'no-opinion'],
    ['node1 patch nodes/status - node-1', 'allow'],
    ['notANode get secrets default tls', 'no-opinion'],
  ])('%s: %s', async (question, decision) => {
    expect(await decide(question)).toBe(decision);
  });
});

function pod(name: string, nodeName: string, spec: Readonly<Record<string, unknown>>): unknown {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec: { nodeName, ...spec } };
}
