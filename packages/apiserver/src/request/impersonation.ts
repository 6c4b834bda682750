import { badRequest, forbiddenRequest, internalError } from '@dure/api';
import type { Authorizer } from '../contract/authorizer.ts';
import type { UserInfo } from '../contract/user.ts';

const EXTRA_PREFIX = 'impersonate-extra-';

/**
 * Who the request acts as: `user`, or whom its Impersonate headers name if `user` may.
 * @throws {StatusError} Forbidden, BadRequest. @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
 */
export async function impersonated(
  user: UserInfo,
  headers: Readonly<Record<string, string>>,
  authorizer: Authorizer,
  signal: AbortSignal,
): Promise<UserInfo> {
  const name = headers['impersonate-user'] ?? '';
  const uid = headers['impersonate-uid'] ?? '';
  const groups = (headers['impersonate-group'] ?? '')
    .split(',')
    .map((group) => group.trim())
    .filter((group) => group !== '');
  const extra = Object.entries(headers).filter(([header]) => header.startsWith(EXTRA_PREFIX));
  if (name === '') {
    if (uid !== '' || groups.length > 0 || extra.length > 0) throw badRequest('requested impersonation without a user to impersonate');
    return user;
  }
  const ask = async (group: string, resource: string, subresource: string, target: string, namespace = ''): Promise<void> => {
    const query = {
      user,
      verb: 'impersonate',
      kind: 'resource',
      group,
      version: 'v1',
      resource,
      subresource,
      namespace,
      name: target,
    } as const;
    const { decision, reason } = await authorizer.authorize(query, signal).catch((error: unknown) => {
      throw internalError(error);
    });
    if (decision !== 'allow') {
      const why = `User ${JSON.stringify(user.name)} cannot impersonate resource ${JSON.stringify(resource)} in API group ${JSON.stringify(group)} at the cluster scope`;
      throw forbiddenRequest({ group, resource }, target, reason === undefined ? why : `${why}: ${reason}`);
    }
  };
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
  if (account !== null) await ask('', 'serviceaccounts', '', account[2] ?? '', account[1]);
  else await ask('', 'users', '', name);
  for (const group of groups) await ask('', 'groups', '', group);
  if (uid !== '') await ask('authentication.k8s.io', 'uids', '', uid);
  const extras: Record<string, string[]> = {};
  for (const [header, value] of extra) {
    const key = decodeURIComponent(header.slice(EXTRA_PREFIX.length));
    await ask('authentication.k8s.io', 'userextras', key, value);
    extras[key] = value.split(',').map((item) => item.trim());
  }
  return {
    name,
    ...(uid === '' ? {} : { uid }),
    groups: groupsOf(name, groups, account?.[1]),
    ...(extra.length === 0 ? {} : { extra: extras }),
  };
}

/** Groups that come with an identity. */
function groupsOf(name: string, asked: readonly string[], namespace: string | undefined): readonly string[] {
  const groups = new Set(asked);
  if (namespace !== undefined && asked.length === 0) {
    groups.add('system:serviceaccounts');
    groups.add(`system:serviceaccounts:${namespace}`);
  }
  groups.add(name === 'system:anonymous' ? 'system:unauthenticated' : 'system:authenticated');
  return [...groups];
}
