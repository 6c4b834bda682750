import type { ClusterRole, PolicyRule } from '../generated/rbac-v1.ts';
import { semanticEqual } from '../json-value.ts';
import { compileLabelSelector } from '../label-selector.ts';

/**
 * The rules of a role that collects those of others, without repeats, in the order of its selectors and then of names; `undefined` where it
 * collects none.
 * @throws {SelectorError} Its rule has no valid selector.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
 */
export function aggregatedRules(
  { metadata, aggregationRule }: ClusterRole,
  roles: readonly ClusterRole[],
): readonly PolicyRule[] | undefined {
  if (aggregationRule === undefined) return undefined;
  const rules: PolicyRule[] = [];
  for (const selector of aggregationRule.clusterRoleSelectors ?? []) {
    const compiled = compileLabelSelector(selector);
    const parts = roles.filter((role) => role.metadata.name !== metadata.name && compiled.matches(role.metadata.labels ?? {}));
    for (const part of parts.toSorted((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1))) {
      for (const rule of part.rules ?? []) if (!rules.some((known) => semanticEqual(known, rule))) rules.push(rule);
    }
  }
  return rules;
}
