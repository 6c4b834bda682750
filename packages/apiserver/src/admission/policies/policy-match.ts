import type { LabelSelectorObject, MatchResources } from '@dure/api';
import { type CompiledRules, compileRules } from '../matching/resource-rules.ts';
import { type CompiledSelectors, compileSelectors, selectorsMatch } from '../matching/selector-match.ts';
import type { Match, VersionedRequest } from '../matching/versioned-request.ts';

/** The `matchConstraints` of a policy, or the `matchResources` of a binding, ready to be asked. */
export interface CompiledMatch {
  /** `undefined`: every resource. */
  readonly rules: CompiledRules | undefined;
  readonly excluded: CompiledRules | undefined;
  readonly selectors: CompiledSelectors;
  readonly policy: 'Exact' | 'Equivalent';
}

export function compileMatch(resources: MatchResources = {}): CompiledMatch {
  const { resourceRules = [], excludeResourceRules = [], namespaceSelector, objectSelector, matchPolicy } = resources;
  return {
    rules: resourceRules.length === 0 ? undefined : compileRules(resourceRules),
    excluded: excludeResourceRules.length === 0 ? undefined : compileRules(excludeResourceRules),
    selectors: compileSelectors(namespaceSelector as LabelSelectorObject | undefined, objectSelector as LabelSelectorObject | undefined),
    policy: matchPolicy ?? 'Equivalent',
  };
}

/** How the request is to be seen; `undefined` where it does not concern the policy or binding. @throws {StatusError} */
export async function matchOfPolicy(compiled: CompiledMatch, seen: VersionedRequest): Promise<Match | undefined> {
  const { rules, excluded, selectors, policy } = compiled;
  const match = rules === undefined ? seen.asked : seen.matchOf(rules, policy);
  if (match === undefined || (excluded !== undefined && seen.matchOf(excluded, policy) !== undefined)) return undefined;
  return (await selectorsMatch(selectors, seen, match)) ? match : undefined;
}
