import { createHash, timingSafeEqual } from 'node:crypto';
import type { KubeObject } from '@dure/api';
import type { Clock } from '@dure/foundation';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { UserInfo } from '../contract/user.ts';

const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const EXTRA_GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;
const SECRET_TYPE = 'bootstrap.kubernetes.io/token';

interface SecretShape extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

/**
 * The user behind a bootstrap token `<id>.<secret>`, whose Secret lies in kube-system; `undefined` for anything else, expired ones included.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
 */
export async function userOfBootstrapToken(token: string, reader: ObjectReader, clock: Clock): Promise<UserInfo | undefined> {
  const [, id, secret] = TOKEN.exec(token) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  const found = (await reader.get('', 'secrets', 'kube-system', `bootstrap-token-${id}`, { fresh: true })) as SecretShape | undefined;
  if (found === undefined || found.type !== SECRET_TYPE || found.metadata.deletionTimestamp !== undefined) return undefined;
  const field = (name: string): string => Buffer.from(found.data?.[name] ?? '', 'base64').toString('utf8');
  if (field('token-id') !== id || !sameText(field('token-secret'), secret)) return undefined;
  if (field('usage-bootstrap-authentication') !== 'true') return undefined;
  const expiration = field('expiration');
  // An expiration that cannot be read counts as over: a typo must not make a token eternal.
  if (expiration !== '' && !(Date.parse(expiration) > clock.now())) return undefined;
  const extraGroups = field('auth-extra-groups')
    .split(',')
    .filter((group) => EXTRA_GROUP.test(group));
  return { name: `system:bootstrap:${id}`, groups: ['system:bootstrappers', ...extraGroups] };
}

/** Compares digests, so that neither content nor length shows in the time it takes. */
function sameText(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
