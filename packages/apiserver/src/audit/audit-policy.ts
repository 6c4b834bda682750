import { decodeConfigFile, type Fields, FileFaults, fieldsOf, listOf, textOf } from '../config-files/config-file.ts';
import type { UserInfo } from '../contract/user.ts';
import type { RequestInfo } from '../request/request-info.ts';
import { AUDIT_LEVELS, AUDIT_STAGES, type AuditLevel, type AuditStage } from './audit-event.ts';

/** How one request is written down. */
export interface AuditDecision {
  readonly level: AuditLevel;
  readonly omitStages: ReadonlySet<AuditStage>;
  readonly omitManagedFields: boolean;
}

interface GroupResources {
  readonly group: string;
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
}

/** Empty lists ask for nothing. */
interface AuditRule extends AuditDecision {
  readonly users: readonly string[];
  readonly userGroups: readonly string[];
  readonly verbs: readonly string[];
  readonly namespaces: readonly string[];
  readonly resources: readonly GroupResources[];
  readonly nonResourceURLs: readonly string[];
}

/** The first rule that fits a request counts for it. */
export interface AuditPolicy {
  readonly rules: readonly AuditRule[];
}

const KIND = { group: 'audit.k8s.io', versions: ['v1'], kind: 'Policy' } as const;
const NOTHING: AuditDecision = { level: 'None', omitStages: new Set(), omitManagedFields: false };

/** Pure. */
export function auditDecision({ rules }: AuditPolicy, user: UserInfo, info: RequestInfo): AuditDecision {
  return rules.find((rule) => fits(rule, user, info)) ?? NOTHING;
}

function fits(rule: AuditRule, user: UserInfo, info: RequestInfo): boolean {
  const { users, userGroups, verbs, namespaces, resources, nonResourceURLs } = rule;
  if (users.length > 0 && !users.includes(user.name)) return false;
  if (userGroups.length > 0 && !userGroups.some((group) => user.groups.includes(group))) return false;
  if (verbs.length > 0 && !verbs.includes(info.verb)) return false;
  if (namespaces.length > 0 || resources.length > 0) {
    if (info.kind !== 'resource' || (namespaces.length > 0 && !namespaces.includes(info.namespace))) return false;
    return resources.length === 0 || resources.some((one) => fitsResource(one, info));
  }
  if (nonResourceURLs.length > 0) return info.kind === 'path' && nonResourceURLs.some((pattern) => fitsPath(pattern, info.path));
  return true;
}

function fitsResource(wanted: GroupResources, info: Extract<RequestInfo, { kind: 'resource' }>): boolean {
  if (wanted.group !== info.group) return false;
  if (wanted.resources.length === 0) return true;
  if (wanted.resourceNames.length > 0 && !wanted.resourceNames.includes(info.name)) return false;
  const whole = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`;
  return wanted.resources.some(
    (pattern) =>
      pattern === '*' ||
      pattern === whole ||
      (info.subresource !== '' && pattern === `*/${info.subresource}`) ||
      // Upstream takes this form for the resource itself too.
      pattern === `${info.resource}/*`,
  );
}

function fitsPath(pattern: string, path: string): boolean {
  return pattern === '*' || pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)));
}

/** @throws {ConfigFileError} with every fault. @see https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#audit-policy */
export function parseAuditPolicy(text: string): AuditPolicy {
  const content = decodeConfigFile(text, KIND);
  const faults = new FileFaults(content);
  faults.knowOnly(content, '', ['apiVersion', 'kind', 'metadata', 'rules', 'omitStages', 'omitManagedFields']);
  const stages = parseStages(content.omitStages, 'omitStages', faults);
  const rules = listOf(content.rules).map((rule, index) =>
    parseRule(fieldsOf(rule), `rules[${index}]`, stages, content.omitManagedFields === true, faults),
  );
  if (rules.length === 0) faults.add('rules', 'loaded illegal policy with 0 rules');
  faults.throwIfAny();
  return { rules };
}

function parseRule(rule: Fields, path: string, stages: readonly AuditStage[], omitManagedFields: boolean, faults: FileFaults): AuditRule {
  faults.knowOnly(rule, path, [
    'level',
    'users',
    'userGroups',
    'verbs',
    'resources',
    'namespaces',
    'nonResourceURLs',
    'omitStages',
    'omitManagedFields',
  ]);
  const level = textOf(rule.level);
  const supported = AUDIT_LEVELS.map((one) => `"${one}"`).join(', ');
  if (level === '') faults.add(`${path}.level`, 'Required value');
  else if (!AUDIT_LEVELS.includes(level as AuditLevel))
    faults.add(`${path}.level`, `Unsupported value: ${JSON.stringify(level)}: supported values: ${supported}`);
  const texts = (field: string): string[] => listOf(rule[field]).map(textOf);
  const nonResourceURLs = texts('nonResourceURLs');
  for (const [index, url] of nonResourceURLs.entries()) {
    const fault = (why: string): void => faults.add(`${path}.nonResourceURLs[${index}]`, `Invalid value: ${JSON.stringify(url)}: ${why}`);
    if (url !== '*' && !url.startsWith('/')) fault("non-resource URL rules must begin with a '/' character");
    if (url.slice(0, -1).includes('*')) fault("non-resource URL wildcards '*' must be the final character of the rule");
  }
  const resources = listOf(rule.resources).map((one, index) => parseResources(fieldsOf(one), `${path}.resources[${index}]`, faults));
  if (nonResourceURLs.length > 0 && (resources.length > 0 || listOf(rule.namespaces).length > 0))
    faults.add(`${path}.nonResourceURLs`, 'Invalid value: rules cannot apply to both regular resources and non-resource URLs');
  return {
    level: level as AuditLevel,
    users: texts('users'),
    userGroups: texts('userGroups'),
    verbs: texts('verbs'),
    namespaces: texts('namespaces'),
    resources,
    nonResourceURLs,
    omitStages: new Set([...stages, ...parseStages(rule.omitStages, `${path}.omitStages`, faults)]),
    omitManagedFields: typeof rule.omitManagedFields === 'boolean' ? rule.omitManagedFields : omitManagedFields,
  };
}

function parseResources(fields: Fields, path: string, faults: FileFaults): GroupResources {
  faults.knowOnly(fields, path, ['group', 'resources', 'resourceNames']);
  const [group, resources, resourceNames] = [
    textOf(fields.group),
    listOf(fields.resources).map(textOf),
    listOf(fields.resourceNames).map(textOf),
  ];
  if (group.includes('/')) faults.add(`${path}.group`, `Invalid value: ${JSON.stringify(group)}: group name must not contain a version`);
  if (resourceNames.length > 0 && resources.length === 0)
    faults.add(`${path}.resourceNames`, 'Invalid value: using resourceNames requires at least one resource');
  return { group, resources, resourceNames };
}

function parseStages(stages: unknown, path: string, faults: FileFaults): AuditStage[] {
  return listOf(stages).map((stage, index) => {
    const name = textOf(stage);
    if (!AUDIT_STAGES.includes(name as AuditStage))
      faults.add(`${path}[${index}]`, `Invalid value: ${JSON.stringify(name)}: allowed stages are ${AUDIT_STAGES.join(',')}`);
    return name as AuditStage;
  });
}
