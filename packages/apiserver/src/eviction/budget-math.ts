import { compileLabelSelector, type KubeObject, type Pod, type PodDisruptionBudget } from '@dure/api';

/** What a budget comes to at this moment. */
export interface BudgetState {
  readonly currentHealthy: number;
  readonly desiredHealthy: number;
}

/** The budgets of `pod`'s namespace that select it. Pure. */
export function budgetsOf(pod: KubeObject, budgets: readonly PodDisruptionBudget[]): readonly PodDisruptionBudget[] {
  const labels = pod.metadata.labels ?? {};
  return budgets.filter(({ spec }) => compileLabelSelector(spec.selector).matches(labels));
}

/**
 * Counts the healthy Pods of a budget and how many it wants. Pure.
 * @param selected The Pods that the budget selects.
 * @param gone Uids of Pods whose disruption was allowed already, though they may still look healthy.
 * @param expected How many Pods their owners want together; asked only where the budget counts from it.
 * @see upstream's disruption controller: percentages round up, also those that may be unavailable.
 */
export function budgetState(
  { spec }: PodDisruptionBudget,
  selected: readonly Pod[],
  gone: ReadonlySet<string>,
  expected: number,
): BudgetState {
  const currentHealthy = selected.filter(
    (pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined && !gone.has(pod.metadata.uid),
  ).length;
  if (spec.maxUnavailable !== undefined) {
    return { currentHealthy, desiredHealthy: Math.max(expected - portionOf(spec.maxUnavailable, expected), 0) };
  }
  return { currentHealthy, desiredHealthy: portionOf(spec.minAvailable ?? 0, expected) };
}

/** Whether the budget can only be judged by what the Pods' owners want. */
export function countsFromOwners({ spec }: PodDisruptionBudget): boolean {
  return spec.maxUnavailable !== undefined || typeof spec.minAvailable === 'string';
}

export function isReady({ status }: Pod): boolean {
  return status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
}

function portionOf(value: number | string, total: number): number {
  if (typeof value === 'number') return value;
  const percent = /^(\d+)%$/.exec(value)?.[1];
  return percent === undefined ? 0 : Math.ceil((Number(percent) * total) / 100);
}
