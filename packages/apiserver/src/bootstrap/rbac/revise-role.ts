import { equalJson, type JsonObject, objectAt, objectsAt, semanticEqual, stringAt } from '@dure/api';
import { type PolicyRule, rulesCover } from '../../authorization/rule-matching.ts';
import type { ObjectChange } from '../object-change.ts';

const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate';

/**
 * Adds to a role or binding what a default one has and it lacks: rules, selectors, subjects, labels. What it has beyond that stays, and one whose
 * annotation says "false" is left alone. A binding to another role is made anew, since none can be turned.
 */
export function reviseRole(existing: JsonObject, wanted: JsonObject): ObjectChange | undefined {
  if (stringAt(existing, 'metadata', 'annotations', AUTOUPDATE) === 'false') return undefined;
  if (!equalJson(existing.roleRef, wanted.roleRef)) return { kind: 'replace', existing, object: wanted };
  const metadata = {
    ...objectAt(existing, 'metadata'),
    labels: { ...objectAt(wanted, 'metadata', 'labels'), ...objectAt(existing, 'metadata', 'labels') },
    annotations: { ...objectAt(wanted, 'metadata', 'annotations'), ...objectAt(existing, 'metadata', 'annotations') },
  };
  const next: JsonObject = { ...existing, metadata, ...additions(existing, wanted) };
  return equalJson(next, existing) ? undefined : { kind: 'update', object: next };
}

function additions(existing: JsonObject, wanted: JsonObject): JsonObject {
  if (wanted.roleRef !== undefined)
    return added('subjects', existing, wanted, (subject, known) => known.some((one) => semanticEqual(one, subject)));
  const selectors = objectsAt(wanted, 'aggregationRule', 'clusterRoleSelectors');
  if (selectors.length > 0) {
    const rule = objectAt(existing, 'aggregationRule') ?? {};
    const missing = added('clusterRoleSelectors', rule, { clusterRoleSelectors: [...selectors] }, (selector, known) =>
      known.some((one) => semanticEqual(one, selector)),
    );
    return Object.keys(missing).length === 0 ? {} : { aggregationRule: { ...rule, ...missing } };
  }
  return added('rules', existing, wanted, (rule, known) => rulesCover(known as unknown as PolicyRule[], [rule as unknown as PolicyRule]));
}

function added(
  field: string,
  existing: JsonObject,
  wanted: JsonObject,
  isKnown: (entry: JsonObject, known: readonly JsonObject[]) => boolean,
): JsonObject {
  const known = objectsAt(existing, field);
  // As it is at nearly every start.
  if (semanticEqual(known, wanted[field])) return {};
  const missing = objectsAt(wanted, field).filter((entry) => !isKnown(entry, known));
  return missing.length === 0 ? {} : { [field]: [...known, ...missing] };
}
