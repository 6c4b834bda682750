import type { NonResourceQuery, NonResourceRule, ResourceQuery, ResourceRule } from '../contract/authorizer.ts';

/** A `rbac.authorization.k8s.io/v1` PolicyRule, of either sort. */
export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

const ALL = '*';

/** True where the rule grants what is asked. @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources */
export function ruleAllows(rule: PolicyRule, verb: string, query: ResourceQuery | NonResourceQuery): boolean {
  if (!contains(rule.verbs, verb)) return false;
  if (query.kind === 'path') return (rule.nonResourceURLs ?? []).some((pattern) => pathMatches(pattern, query.path));
  return (
    contains(rule.apiGroups ?? [], query.group) &&
    (rule.resources ?? []).some((pattern) => resourceMatches(pattern, query.resource, query.subresource)) &&
    nameMatches(rule.resourceNames ?? [], query.name)
  );
}

/** True where each of `wanted` is granted by a rule of `held`: the measure of privilege escalation. Wildcards are covered by wildcards only. */
export function rulesCover(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): boolean {
  return wanted.flatMap(breakDown).every((atom) => held.some((rule) => covers(rule, atom)));
}

/** Splits rules into the two lists that SelfSubjectRulesReview shows. */
export function summarizeRules(rules: readonly PolicyRule[]): { resourceRules: ResourceRule[]; nonResourceRules: NonResourceRule[] } {
  const resourceRules: ResourceRule[] = [];
  const nonResourceRules: NonResourceRule[] = [];
  for (const { verbs, apiGroups, resources, resourceNames, nonResourceURLs } of rules) {
    if (resources !== undefined && resources.length > 0) {
      resourceRules.push({ verbs, apiGroups: apiGroups ?? [], resources, ...(resourceNames?.length ? { resourceNames } : {}) });
    }
    if (nonResourceURLs !== undefined && nonResourceURLs.length > 0) nonResourceRules.push({ verbs, nonResourceURLs });
  }
  return { resourceRules, nonResourceRules };
}

function contains(list: readonly string[], value: string): boolean {
  return list.includes(ALL) || list.includes(value);
}

/** `*`, `pods`, `pods/log`, and `*` + `/scale`: that subresource of every resource. */
function resourceMatches(pattern: string, resource: string, subresource: string): boolean {
  if (pattern === ALL) return true;
  if (subresource === '') return pattern === resource;
  return pattern === `${resource}/${subresource}` || pattern === `*/${subresource}`;
}

/** A rule that names objects never grants what names none (list, create). */
function nameMatches(names: readonly string[], name: string): boolean {
  return names.length === 0 || (name !== '' && names.includes(name));
}

/** A final `*` stands for any rest of the path. */
function pathMatches(pattern: string, path: string): boolean {
  return pattern === path || (pattern.endsWith(ALL) && path.startsWith(pattern.slice(0, -1)));
}

/** One verb, group, resource and name each, so that several rules together can cover one. */
interface Atom {
  readonly verb: string;
  readonly group?: string;
  readonly resource?: string;
  readonly name?: string;
  readonly path?: string;
}

function breakDown(rule: PolicyRule): Atom[] {
  const paths = rule.verbs.flatMap((verb) => (rule.nonResourceURLs ?? []).map((path): Atom => ({ verb, path })));
  const names: readonly (string | undefined)[] = rule.resourceNames?.length ? rule.resourceNames : [undefined];
  const resources = rule.verbs.flatMap((verb) =>
    (rule.apiGroups ?? []).flatMap((group) =>
      (rule.resources ?? []).flatMap((resource) =>
        names.map((name): Atom => ({ verb, group, resource, ...(name === undefined ? {} : { name }) })),
      ),
    ),
  );
  return [...paths, ...resources];
}

function covers(rule: PolicyRule, { verb, group, resource, name, path }: Atom): boolean {
  if (!contains(rule.verbs, verb)) return false;
  if (path !== undefined) return (rule.nonResourceURLs ?? []).some((pattern) => pathMatches(pattern, path));
  if (group === undefined || resource === undefined) return false;
  const [main = '', sub = ''] = resource.split('/');
  return (
    contains(rule.apiGroups ?? [], group) &&
    (rule.resources ?? []).some((pattern) => pattern === resource || resourceMatches(pattern, main, sub)) &&
    (rule.resourceNames === undefined || rule.resourceNames.length === 0 || (name !== undefined && rule.resourceNames.includes(name)))
  );
}
