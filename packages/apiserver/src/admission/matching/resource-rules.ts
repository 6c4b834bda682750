import type { AdmissionOperation } from '../../contract/admission.ts';

/** A rule of a webhook or policy, as the API holds it. */
export interface ResourceRule {
  readonly operations?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly apiVersions?: readonly string[];
  /** `pods`, `pods/status`, `pods/*`, `*`, `*` before a slash for any resource. */
  readonly resources?: readonly string[];
  readonly scope?: string;
  /** Of policies: the rule is about objects of these names only. */
  readonly resourceNames?: readonly string[];
}

export interface GroupVersionResource {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
}

/** What rules look at. */
export interface RuleSubject extends GroupVersionResource {
  readonly operation: AdmissionOperation;
  readonly subresource: string;
  readonly name: string;
  /** Whether the object itself lies in a namespace. */
  readonly namespaced: boolean;
}

/** Rules made ready to be asked many times. */
export interface CompiledRules {
  /** Whether any rule is about the operation and the place; the resource may be any. Most requests end here. */
  mayConcern(operation: AdmissionOperation, subresource: string): boolean;
  matches(subject: RuleSubject): boolean;
}

interface CompiledRule {
  readonly operations: ReadonlySet<string> | undefined;
  readonly groups: ReadonlySet<string> | undefined;
  readonly versions: ReadonlySet<string> | undefined;
  /** Subresources by resource; `*` stands for any, '' for the resource itself. */
  readonly resources: ReadonlyMap<string, ReadonlySet<string>>;
  readonly scope: 'any' | 'namespaced' | 'cluster';
  readonly names: ReadonlySet<string> | undefined;
}

export function compileRules(rules: readonly ResourceRule[]): CompiledRules {
  const compiled = rules.map(compileRule);
  return {
    mayConcern: (operation, subresource) =>
      compiled.some((rule) => within(rule.operations, operation) && [...rule.resources.values()].some((held) => holds(held, subresource))),
    matches: (subject) => compiled.some((rule) => ruleMatches(rule, subject)),
  };
}

function compileRule({ operations, apiGroups, apiVersions, resources, scope, resourceNames }: ResourceRule): CompiledRule {
  const byResource = new Map<string, Set<string>>();
  for (const entry of resources ?? []) {
    const slash = entry.indexOf('/');
    const [resource, subresource] = slash < 0 ? [entry, ''] : [entry.slice(0, slash), entry.slice(slash + 1)];
    byResource.set(resource, (byResource.get(resource) ?? new Set()).add(subresource));
  }
  return {
    operations: anyOrSet(operations),
    groups: anyOrSet(apiGroups),
    versions: anyOrSet(apiVersions),
    resources: byResource,
    scope: scope === 'Namespaced' ? 'namespaced' : scope === 'Cluster' ? 'cluster' : 'any',
    names: resourceNames === undefined || resourceNames.length === 0 ? undefined : new Set(resourceNames),
  };
}

function ruleMatches(rule: CompiledRule, { operation, group, version, resource, subresource, name, namespaced }: RuleSubject): boolean {
  if (!within(rule.operations, operation) || !within(rule.groups, group) || !within(rule.versions, version)) return false;
  if (rule.scope !== 'any' && (rule.scope === 'namespaced') !== namespaced) return false;
  if (rule.names !== undefined && !rule.names.has(name)) return false;
  return holds(rule.resources.get(resource), subresource) || holds(rule.resources.get('*'), subresource);
}

function holds(subresources: ReadonlySet<string> | undefined, subresource: string): boolean {
  return subresources !== undefined && (subresources.has(subresource) || subresources.has('*'));
}

/** `undefined` stands for everything. */
function anyOrSet(values: readonly string[] | undefined): ReadonlySet<string> | undefined {
  return values?.includes('*') === true ? undefined : new Set(values);
}

function within(set: ReadonlySet<string> | undefined, value: string): boolean {
  return set === undefined || set.has(value);
}
