import { describe, expect, it } from 'vitest';
import type { AuthorizationQuery, Authorizer } from '../contract/authorizer.ts';
import { impersonated } from './impersonation.ts';

const admin = { name: 'admin', groups: ['ops'] };
const { signal } = new AbortController();

/** Acts as whom `headers` name, and says what was asked about: `group/resource/subresource namespace/name`. */
async function act(headers: Readonly<Record<string, string | readonly string[]>>, refused?: string) {
  const asked: string[] = [];
  const authorizer: Authorizer = {
    async authorize(query: AuthorizationQuery) {
      if (query.kind !== 'resource') throw new Error('not about a resource');
      const { group, resource, subresource, namespace, name, verb } = query;
      expect([verb, query.user]).toEqual(['impersonate', admin]);
      const what = `${[group, resource, subresource].join('/')} ${namespace}/${name}`;
      asked.push(what);
      return what === refused ? { decision: 'no-opinion', reason: 'no' } : { decision: 'allow' };
    },
    rulesFor: async () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }),
  };
  const flat = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat().join(', ')]));
  const request = { headers: flat, headerLines: (name: string) => [headers[name] ?? []].flat() };
  return { user: await impersonated(admin, request, authorizer, signal), asked };
}

describe('impersonation', () => {
  it('is asked about for the user, each group, the uid and each value of each extra key', async () => {
    const { user, asked } = await act({
      'impersonate-user': 'jane',
      'impersonate-uid': '7',
      'impersonate-group': ['dev', 'a,b'],
      'impersonate-extra-example.com%2fscopes': ['read, write', 'list'],
    });
    expect(user).toEqual({
      name: 'jane',
      uid: '7',
      groups: ['dev', 'a,b', 'system:authenticated'],
      extra: { 'example.com/scopes': ['read, write', 'list'] },
    });
    expect(asked).toEqual([
      '/users/ /jane',
      '/groups/ /dev',
      '/groups/ /a,b',
      'authentication.k8s.io/uids/ /7',
      'authentication.k8s.io/userextras/example.com/scopes /read, write',
      'authentication.k8s.io/userextras/example.com/scopes /list',
    ]);
  });

  it('of a ServiceAccount is a question about that, and brings its groups unless others are named', async () => {
    const bot = { 'impersonate-user': 'system:serviceaccount:web:bot' };
    expect(await act(bot)).toEqual({
      user: {
        name: 'system:serviceaccount:web:bot',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:web', 'system:authenticated'],
      },
      asked: ['/serviceaccounts/ web/bot'],
    });
    expect((await act({ ...bot, 'impersonate-group': 'dev' })).user.groups).toEqual(['dev', 'system:authenticated']);
  });

  it.each([
    [{ 'impersonate-user': 'system:anonymous' }, ['system:unauthenticated']],
    [{ 'impersonate-user': 'jane', 'impersonate-group': 'system:unauthenticated' }, ['system:unauthenticated']],
    [{ 'impersonate-user': 'jane', 'impersonate-group': 'system:authenticated' }, ['system:authenticated']],
  ])('%j is in %j', async (headers, groups) => {
    expect((await act(headers)).user.groups).toEqual(groups);
  });

  it.each([
    [
      '/users/ /jane',
      'users "jane" is forbidden: User "admin" cannot impersonate resource "users" in API group "" at the cluster scope: no',
    ],
    [
      '/groups/ /dev',
      'groups "dev" is forbidden: User "admin" cannot impersonate resource "groups" in API group "" at the cluster scope: no',
    ],
    [
      'authentication.k8s.io/userextras/k /v',
      'userextras.authentication.k8s.io "v" is forbidden: User "admin" cannot impersonate resource "userextras/k" in API group "authentication.k8s.io" at the cluster scope: no',
    ],
  ])('is refused without %s', async (refused, message) => {
    const headers = { 'impersonate-user': 'jane', 'impersonate-group': 'dev', 'impersonate-extra-k': 'v' };
    await expect(act(headers, refused)).rejects.toMatchObject({ status: { code: 403, message } });
  });

  it('without a user is refused, and an escape that is none is taken as it stands', async () => {
    await expect(act({ 'impersonate-group': 'dev' })).rejects.toMatchObject({ status: { code: 400 } });
    expect((await act({ 'impersonate-user': 'jane', 'impersonate-extra-a%zz': '1' })).user.extra).toEqual({ 'a%zz': ['1'] });
  });
});
