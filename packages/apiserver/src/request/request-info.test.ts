import { describe, expect, it } from 'vitest';
import { isLongRunning, parseRequestInfo } from './request-info.ts';

interface PathCase {
  readonly method?: string;
  readonly path: string;
  readonly query?: string;
  readonly info: Readonly<Record<string, unknown>>;
}

const cases: readonly PathCase[] = [
  { path: '/api/v1/pods', info: { kind: 'resource', verb: 'list', group: '', version: 'v1', resource: 'pods', namespace: '', name: '' } },
  { path: '/api/v1/namespaces/a/pods/b', info: { verb: 'get', resource: 'pods', namespace: 'a', name: 'b', subresource: '' } },
  { path: '/api/v1/namespaces/a/pods/b/status', method: 'PUT', info: { verb: 'update', subresource: 'status', name: 'b' } },
  { path: '/api/v1/namespaces', info: { verb: 'list', resource: 'namespaces', namespace: '', name: '' } },
  { path: '/api/v1/namespaces/a', info: { verb: 'get', resource: 'namespaces', namespace: 'a', name: 'a' } },
  {
    path: '/api/v1/namespaces/a/finalize',
    method: 'PUT',
    info: { verb: 'update', resource: 'namespaces', name: 'a', subresource: 'finalize' },
  },
  {
    path: '/apis/apps/v1/namespaces/a/deployments',
    method: 'DELETE',
    info: { verb: 'deletecollection', group: 'apps', resource: 'deployments' },
  },
  { path: '/apis/apps/v1/deployments', query: 'watch=true', info: { verb: 'watch' } },
  { path: '/apis/apps/v1/deployments', query: 'watch=0', info: { verb: 'list' } },
  { path: '/api/v1/watch/namespaces/a/pods', info: { verb: 'watch', namespace: 'a', resource: 'pods' } },
  {
    path: '/api/v1/nodes/n:10250/proxy/stats/summary',
    info: { resource: 'nodes', name: 'n:10250', subresource: 'proxy', rest: '/stats/summary' },
  },
  { path: '/api/v1/namespaces/a/services/s/proxy/', info: { subresource: 'proxy', rest: '/', namespace: 'a', name: 's' } },
  {
    path: '/apis/a.b/v1/namespaces/ns/machines/m/portforward/22/tcp',
    info: { kind: 'resource', group: 'a.b', resource: 'machines', name: 'm', subresource: 'portforward', rest: '/22/tcp' },
  },
  { path: '/apis/a.b/v1/namespaces/ns/machines/m/console//x', info: { kind: 'path' } },
  { path: '/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node', info: { name: 'system:node' } },
  { path: '/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode', info: { name: 'system:node' } },
  { path: '/api/v1', info: { kind: 'path', verb: 'get' } },
  { path: '/apis/apps/v1', info: { kind: 'path' } },
  { path: '/healthz', info: { kind: 'path', path: '/healthz' } },
  { path: '/api//pods/x', info: { kind: 'path' } },
];

describe('parseRequestInfo', () => {
  it.each(cases)('$method $path $query', ({ method = 'GET', path, query = '', info }) => {
    expect(parseRequestInfo(method, path, new URLSearchParams(query))).toMatchObject(info);
  });

  it.each(['/api/v1/pods/%zz', '/api/v1/pods/..%2f', '/api/v1/pods/%2e%2e', '/api/v1/pods/%00'])('refuses %s', (path) => {
    expect(() => parseRequestInfo('GET', path, new URLSearchParams())).toThrow();
  });

  it('knows which requests run long', () => {
    const isLong = (path: string, query = ''): boolean =>
      isLongRunning(parseRequestInfo('GET', path, new URLSearchParams(query)), new URLSearchParams(query));
    expect(isLong('/api/v1/pods', 'watch=1')).toBe(true);
    expect(isLong('/api/v1/namespaces/a/pods/b/exec')).toBe(true);
    expect(isLong('/api/v1/namespaces/a/pods/b/log', 'follow=true')).toBe(true);
    expect(isLong('/api/v1/namespaces/a/pods/b/log')).toBe(false);
    expect(isLong('/api/v1/pods')).toBe(false);
  });
});
