/** Words to write roles and bindings down with; lists of names stand in one string, `core` is the group without a name. */
import type { JsonObject } from '@dure/api';
import type { PolicyRule } from '../../authorization/rule-matching.ts';

const GROUP = 'rbac.authorization.k8s.io';
const API_VERSION = `${GROUP}/v1`;

export const READ = 'get list watch';
export const WRITE = 'create delete deletecollection patch update';
export const EVERY = 'create delete deletecollection get list patch update watch';

/** Verbs on resources of groups, of all objects or those of the given names. */
export function on(verbs: string, groups: string, resources: string, names?: string): PolicyRule {
  return {
    verbs: verbs.split(' '),
    apiGroups: groups.split(' ').map((group) => (group === 'core' ? '' : group)),
    resources: resources.split(' '),
    ...(names === undefined ? {} : { resourceNames: names.split(' ') }),
  };
}

/** Verbs at paths that are no resources. */
export function at(verbs: string, paths: string): PolicyRule {
  return { verbs: verbs.split(' '), nonResourceURLs: paths.split(' ') };
}

/** @param into The collected roles that this one is a part of. */
export function clusterRole(name: string, rules: readonly PolicyRule[], into?: string): JsonObject {
  return { apiVersion: API_VERSION, kind: 'ClusterRole', metadata: metadata(name, { labels: partOf(into) }), rules: asJson(rules) };
}

/** A role whose rules are those of all roles that are a part of `what`. */
export function collected(name: string, what: string, into?: string): JsonObject {
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterRole',
    metadata: metadata(name, { labels: partOf(into) }),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: partOf(what) }] },
    rules: [],
  };
}

export function clusterRoleBinding(name: string, roleName: string, ...subjects: JsonObject[]): JsonObject {
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterRoleBinding',
    metadata: metadata(name),
    roleRef: { apiGroup: GROUP, kind: 'ClusterRole', name: roleName },
    ...(subjects.length === 0 ? {} : { subjects }),
  };
}

export function role(namespace: string, name: string, rules: readonly PolicyRule[]): JsonObject {
  return { apiVersion: API_VERSION, kind: 'Role', metadata: metadata(name, { namespace }), rules: asJson(rules) };
}

/** Of a role in the same namespace. */
export function roleBinding(namespace: string, name: string, roleName: string, ...subjects: JsonObject[]): JsonObject {
  return {
    apiVersion: API_VERSION,
    kind: 'RoleBinding',
    metadata: metadata(name, { namespace }),
    roleRef: { apiGroup: GROUP, kind: 'Role', name: roleName },
    subjects,
  };
}

export function user(name: string): JsonObject {
  return { apiGroup: GROUP, kind: 'User', name };
}

export function group(name: string): JsonObject {
  return { apiGroup: GROUP, kind: 'Group', name };
}

export function account(namespace: string, name: string): JsonObject {
  return { kind: 'ServiceAccount', name, namespace };
}

function metadata(
  name: string,
  { namespace, labels = {} }: { readonly namespace?: string; readonly labels?: JsonObject } = {},
): JsonObject {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
    // A later start may add what is missing; an operator sets it to "false" to keep an object as it is.
    annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
  };
}

function partOf(what: string | undefined): JsonObject {
  return what === undefined ? {} : { [`rbac.authorization.k8s.io/aggregate-to-${what}`]: 'true' };
}

function asJson(rules: readonly PolicyRule[]): JsonObject[] {
  return rules as unknown as JsonObject[];
}
