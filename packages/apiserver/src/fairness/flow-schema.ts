/** Which requests belong to a FlowSchema. Pure. @see https://kubernetes.io/docs/concepts/cluster-administration/flow-control/ */
import type { FlowSchema, FlowSchemaSpec } from '@dure/api';
import type { UserInfo } from '../contract/user.ts';
import type { RequestInfo, ResourceRequestInfo } from '../request/request-info.ts';

type Rule = NonNullable<FlowSchemaSpec['rules']>[number];
type Subject = Rule['subjects'][number];
type ResourceRule = NonNullable<Rule['resourceRules']>[number];
type PathRule = NonNullable<Rule['nonResourceRules']>[number];

const ANY = '*';
const PRECEDENCE_DEFAULT = 1000;

/** In the order in which they are asked: of those that match, the first one counts. */
export function inMatchingOrder(schemas: readonly FlowSchema[]): readonly FlowSchema[] {
  const precedence = ({ spec }: FlowSchema): number => spec.matchingPrecedence ?? PRECEDENCE_DEFAULT;
  return schemas.toSorted((one, other) => precedence(one) - precedence(other) || (one.metadata.name < other.metadata.name ? -1 : 1));
}

/** Whether a request of `user` belongs to `schema`. */
export function matchesSchema({ spec }: FlowSchema, user: UserInfo, info: RequestInfo): boolean {
  return (spec.rules ?? []).some((rule) => matchesRule(rule, user, info));
}

/** What tells the flows of one schema apart: '' where it has only one. */
export function distinguisherOf({ spec }: FlowSchema, user: UserInfo, info: RequestInfo): string {
  switch (spec.distinguisherMethod?.type) {
    case 'ByUser':
      return user.name;
    case 'ByNamespace':
      return info.kind === 'resource' ? info.namespace : '';
    default:
      return '';
  }
}

function matchesRule({ subjects, resourceRules = [], nonResourceRules = [] }: Rule, user: UserInfo, info: RequestInfo): boolean {
  if (!subjects.some((subject) => isSubject(subject, user))) return false;
  return info.kind === 'resource'
    ? resourceRules.some((rule) => matchesResource(rule, info))
    : nonResourceRules.some((rule) => matchesPath(rule, info.verb, info.path));
}

function isSubject({ kind, user: named, group, serviceAccount }: Subject, user: UserInfo): boolean {
  switch (kind) {
    case 'User':
      return named !== undefined && (named.name === ANY || named.name === user.name);
    case 'Group':
      return group !== undefined && (group.name === ANY || user.groups.includes(group.name));
    case 'ServiceAccount': {
      if (serviceAccount === undefined) return false;
      const prefix = `system:serviceaccount:${serviceAccount.namespace}:`;
      return serviceAccount.name === ANY ? user.name.startsWith(prefix) : user.name === `${prefix}${serviceAccount.name}`;
    }
    default:
      return false;
  }
}

function matchesResource(rule: ResourceRule, { verb, group, resource, subresource, namespace }: ResourceRequestInfo): boolean {
  return (
    includes(rule.verbs, verb) &&
    includes(rule.apiGroups, group) &&
    includes(rule.resources, subresource === '' ? resource : `${resource}/${subresource}`) &&
    (namespace === '' ? rule.clusterScope === true : includes(rule.namespaces ?? [], namespace))
  );
}

function matchesPath({ verbs, nonResourceURLs }: PathRule, verb: string, path: string): boolean {
  if (!includes(verbs, verb)) return false;
  return nonResourceURLs.some((url) => {
    if (url === ANY || url === path) return true;
    const prefix = url.endsWith(ANY) ? url.slice(0, -1) : url;
    return path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
  });
}

function includes(list: readonly string[], item: string): boolean {
  return list.includes(item) || list[0] === ANY;
}
