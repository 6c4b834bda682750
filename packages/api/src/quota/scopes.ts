/** Which objects a ResourceQuota with scopes speaks of. @see https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes */
import type { JsonObject } from '../definition.ts';
import { numberAt, objectAt, objectsAt, stringAt, stringsAt } from '../json-value.ts';
import { podQosClass } from '../kinds/pods/pod-qos.ts';

/** One scope of a quota; all of them must hold for an object to count. */
export interface QuotaScope {
  readonly scopeName: string;
  readonly operator: string;
  readonly values: readonly string[];
}

/** Those of `spec.scopes` and of `spec.scopeSelector`. */
export function quotaScopes(quota: JsonObject): readonly QuotaScope[] {
  return [
    ...stringsAt(quota, 'spec', 'scopes').map((scopeName) => ({ scopeName, operator: 'Exists', values: [] })),
    ...objectsAt(quota, 'spec', 'scopeSelector', 'matchExpressions').map((expression) => ({
      scopeName: stringAt(expression, 'scopeName'),
      operator: stringAt(expression, 'operator'),
      values: stringsAt(expression, 'values'),
    })),
  ];
}

export function podMatchesScope(pod: JsonObject, scope: QuotaScope): boolean {
  switch (scope.scopeName) {
    case 'Terminating':
      return hasDeadline(pod);
    case 'NotTerminating':
      return !hasDeadline(pod);
    case 'BestEffort':
      return podQosClass(pod) === 'BestEffort';
    case 'NotBestEffort':
      return podQosClass(pod) !== 'BestEffort';
    case 'PriorityClass':
      return selects(
        scope,
        [stringAt(pod, 'spec', 'priorityClassName')].filter((name) => name !== ''),
      );
    case 'CrossNamespacePodAffinity':
      return looksBeyondItsNamespace(pod);
    default:
      return false;
  }
}

export function claimMatchesScope(claim: JsonObject, scope: QuotaScope): boolean {
  if (scope.scopeName !== 'VolumeAttributesClass') return false;
  const names = [
    stringAt(claim, 'spec', 'volumeAttributesClassName'),
    stringAt(claim, 'status', 'currentVolumeAttributesClassName'),
    stringAt(claim, 'status', 'modifyVolumeStatus', 'targetVolumeAttributesClassName'),
  ].filter((name) => name !== '');
  return selects(scope, names);
}

/** Whether the Pod is bound to end by itself. */
export function hasDeadline(pod: JsonObject): boolean {
  return (numberAt(pod, 'spec', 'activeDeadlineSeconds') ?? -1) >= 0;
}

/** Whether one of the names, or their absence where there is none, is what the scope asks for. */
function selects({ operator, values }: QuotaScope, names: readonly string[]): boolean {
  switch (operator) {
    case 'Exists':
      return names.length > 0;
    case 'DoesNotExist':
      return names.length === 0;
    case 'In':
      return names.some((name) => values.includes(name));
    case 'NotIn':
      return names.length === 0 || names.some((name) => !values.includes(name));
    default:
      return false;
  }
}

function looksBeyondItsNamespace(pod: JsonObject): boolean {
  return ['podAffinity', 'podAntiAffinity'].some((side) => {
    const affinity = objectAt(pod, 'spec', 'affinity', side);
    const terms = [
      ...objectsAt(affinity, 'requiredDuringSchedulingIgnoredDuringExecution'),
      ...objectsAt(affinity, 'preferredDuringSchedulingIgnoredDuringExecution').map(
        (weighted) => objectAt(weighted, 'podAffinityTerm') ?? {},
      ),
    ];
    return terms.some((term) => stringsAt(term, 'namespaces').length > 0 || objectAt(term, 'namespaceSelector') !== undefined);
  });
}
