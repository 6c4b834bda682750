/** What a ServiceAccount token says beside the registered claims, under `kubernetes.io`. @see https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/ */
export interface BoundObject {
  readonly name: string;
  readonly uid: string;
}

export interface KubernetesClaims {
  readonly namespace: string;
  readonly serviceaccount: BoundObject;
  readonly pod?: BoundObject;
  readonly node?: BoundObject;
  readonly secret?: BoundObject;
  /** Seconds since 1970 after which a use is a sign of a client that does not reload. */
  readonly warnafter?: number;
}

export const CLAIMS_KEY = 'kubernetes.io';
export const SUBJECT_PREFIX = 'system:serviceaccount:';

/** One parser for claims of a token whose signature has been verified; `undefined` where they are not ours. */
export function parseClaims(value: unknown): KubernetesClaims | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Readonly<Record<string, unknown>>;
  const serviceaccount = parseBound(fields.serviceaccount);
  if (typeof fields.namespace !== 'string' || serviceaccount === undefined) return undefined;
  const optional = (name: 'pod' | 'node' | 'secret') => {
    const bound = parseBound(fields[name]);
    return bound === undefined ? {} : { [name]: bound };
  };
  return { namespace: fields.namespace, serviceaccount, ...optional('pod'), ...optional('node'), ...optional('secret') };
}

function parseBound(value: unknown): BoundObject | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, uid } = value as Readonly<Record<string, unknown>>;
  return typeof name === 'string' && typeof uid === 'string' ? { name, uid } : undefined;
}
