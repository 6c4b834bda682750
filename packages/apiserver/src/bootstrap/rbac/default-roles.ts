import { aggregatedRules, type ClusterRole, equalJson, type JsonObject } from '@dure/api';
import type { DefaultObject } from '../object-change.ts';
import { clusterRoleBindings } from './cluster-role-bindings.ts';
import { clusterRoles } from './cluster-roles.ts';
import { controllerRules } from './controller-roles.ts';
import { namespaceRoles } from './namespace-roles.ts';
import { account, clusterRole, clusterRoleBinding } from './objects.ts';
import { ownRoles } from './own-roles.ts';
import { reviseRole } from './revise-role.ts';

/**
 * The roles and bindings that every cluster has. Those that collect others come with what they collect, so that nobody finds them empty before
 * the controller has run.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
 */
export function defaultRoles(): readonly DefaultObject[] {
  return [...withCollected(clusterRoles), ...clusterRoleBindings, ...namespaceRoles, ...ownRoles].map(revisable);
}

/** Those of upstream's controllers. The ones of this project run within the server, so nobody waits for them. */
export function controllerRoles(): readonly DefaultObject[] {
  return controllerRules
    .flatMap(([name, rules]) => [
      clusterRole(`system:controller:${name}`, rules),
      clusterRoleBinding(`system:controller:${name}`, `system:controller:${name}`, account('kube-system', name)),
    ])
    .map(revisable);
}

function revisable(object: JsonObject): DefaultObject {
  return { object, revise: (existing) => reviseRole(existing, object) };
}

/** Collecting roles may collect one another, so once around is not enough. */
function withCollected(roles: readonly JsonObject[]): readonly JsonObject[] {
  const typed = roles as readonly unknown[] as readonly ClusterRole[];
  const next = roles.map((role, index): JsonObject => {
    const rules = aggregatedRules(typed[index] as ClusterRole, typed);
    return rules === undefined ? role : { ...role, rules: rules as unknown as JsonObject[] };
  });
  return equalJson(next, roles) ? roles : withCollected(next);
}
