import type { JsonObject } from '@dure/api';
import type { UserInfo } from '../contract/user.ts';

/** The user as `authentication.k8s.io/v1` UserInfo. */
export function userToJson({ name, uid, groups, extra }: UserInfo): JsonObject {
  return {
    username: name,
    ...(uid === undefined ? {} : { uid }),
    groups: [...groups],
    ...(extra === undefined ? {} : { extra: Object.fromEntries(Object.entries(extra).map(([key, value]) => [key, [...value]])) }),
  };
}
