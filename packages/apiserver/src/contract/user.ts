/** Who makes a request, as every later stage sees it. @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/ */
export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  /** Keys are lower case (`authentication.kubernetes.io/pod-name`). */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** What the server itself acts as: admission and authorization let it pass everywhere. */
export const SYSTEM_USER: UserInfo = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] };

export const ANONYMOUS_USER: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'] };
