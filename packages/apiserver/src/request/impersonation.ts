import { badRequest, forbiddenRequest } from '@dure/api';
import type { Authorizer } from '../contract/authorizer.ts';
import type { UserInfo } from '../contract/user.ts';
import type { ApiRequest } from '../http/exchange.ts';

const EXTRA_PREFIX = 'impersonate-extra-';
const AUTHENTICATED = 'system:authenticated';
const UNAUTHENTICATED = 'system:unauthenticated';

/** Whom the headers of a request name. */
interface Wanted {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/**
 * Who the request acts as: `user`, or whom its Impersonate headers name if `user` may.
 * @throws {StatusError} Forbidden, BadRequest. @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
 */
export async function impersonated(
  user: UserInfo,
  request: Pick<ApiRequest, 'headers' | 'headerLines'>,
  authorizer: Authorizer,
  signal: AbortSignal,
): Promise<UserInfo> {
  const { name, uid, groups, extra } = wantedBy(request);
  if (name === '') {
    if (uid !== '' || groups.length > 0 || Object.keys(extra).length > 0)
      throw badRequest('requested impersonation without a user to impersonate');
    return user;
  }
  const ask = async (group: string, resource: string, target: string, subresource = '', namespace = ''): Promise<void> => {
    const { decision, reason = '' } = await authorizer.authorize(
      { user, verb: 'impersonate', kind: 'resource', group, version: 'v1', resource, subresource, namespace, name: target },
      signal,
    );
    if (decision === 'allow') return;
    const what = JSON.stringify(subresource === '' ? resource : `${resource}/${subresource}`);
    const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
    const why = `User ${JSON.stringify(user.name)} cannot impersonate resource ${what} in API group ${JSON.stringify(group)} ${where}`;
    throw forbiddenRequest({ group, resource }, target, reason === '' ? why : `${why}: ${reason}`);
  };
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name) ?? [];
  if (namespace !== undefined && account !== undefined) await ask('', 'serviceaccounts', account, '', namespace);
  else await ask('', 'users', name);
  for (const group of groups) await ask('', 'groups', group);
  if (uid !== '') await ask('authentication.k8s.io', 'uids', uid);
  for (const [key, values] of Object.entries(extra))
    for (const value of values) await ask('authentication.k8s.io', 'userextras', value, key);
  return {
    name,
    ...(uid === '' ? {} : { uid }),
    groups: groupsOf(name, groups, namespace),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

function wantedBy({ headers, headerLines }: Pick<ApiRequest, 'headers' | 'headerLines'>): Wanted {
  const name = headers['impersonate-user'] ?? '';
  const uid = headers['impersonate-uid'] ?? '';
  // A header's lines are kept apart: a group's name may hold a comma, and must not become two groups.
  const lines = (header: string): readonly string[] =>
    (headerLines?.(header) ?? (headers[header] === undefined ? [] : [headers[header]])).filter((value) => value !== '');
  const keys = Object.keys(headers).filter((header) => header.startsWith(EXTRA_PREFIX));
  const extra = Object.fromEntries(keys.map((header) => [unescaped(header.slice(EXTRA_PREFIX.length)), lines(header)]));
  return { name, uid, groups: lines('impersonate-group'), extra };
}

/** Groups that come with an identity. */
function groupsOf(name: string, asked: readonly string[], namespace: string | undefined): readonly string[] {
  const groups = new Set(asked);
  if (namespace !== undefined && asked.length === 0) {
    groups.add('system:serviceaccounts');
    groups.add(`system:serviceaccounts:${namespace}`);
  }
  // Who asks for either of them knows why.
  if (!groups.has(AUTHENTICATED) && !groups.has(UNAUTHENTICATED)) groups.add(name === 'system:anonymous' ? UNAUTHENTICATED : AUTHENTICATED);
  return [...groups];
}

function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key; // Escaped by nobody: the key is what stands there.
  }
}
