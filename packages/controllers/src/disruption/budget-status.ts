import type { Condition, Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';
import { resolveIntOrPercent } from '../int-or-percent.ts';
import { isPodReady } from '../pod-state.ts';

/** A Pod that was allowed to go and has not gone by then will not go, and counts again. */
const DISRUPTION_MS = 120_000;
const DISRUPTION_ALLOWED = 'DisruptionAllowed';

export interface BudgetPlan {
  readonly status: PodDisruptionBudgetStatus;
  /** Pods that were allowed to go, did not, and count again from now on. */
  readonly stayed: readonly Pod[];
  /** When an allowed Pod comes to count again, milliseconds from now. */
  readonly againInMs?: number;
}

/** How many Pods a budget is about: what it says of its own is `selected`, what their owners want together is `expected`. */
export interface BudgetCounts {
  /** The Pods that it selects, those that ended left out. */
  readonly selected: readonly Pod[];
  /** Absent: it could not be found out, for the reason that `problem` gives. */
  readonly expected?: number;
  readonly problem?: string;
}

/** Whether the budget can only be judged by what the Pods' owners want. */
export function countsFromOwners({ spec }: PodDisruptionBudget): boolean {
  return spec.maxUnavailable !== undefined || typeof spec.minAvailable === 'string';
}

/** What a budget's status should say. Pure. @see upstream's disruption controller: percentages round up, those of maxUnavailable too. */
export function planBudget(budget: PodDisruptionBudget, { selected, expected, problem }: BudgetCounts, nowMs: number): BudgetPlan {
  const { spec, status, metadata } = budget;
  const observedGeneration = metadata.generation ?? 0;
  // Without it nobody may go: allowing too little is put right later, allowing too much is not.
  if (expected === undefined) {
    const condition = conditionOf(budget, false, 'SyncFailed', problem ?? '', nowMs);
    return { status: { ...status, disruptionsAllowed: 0, observedGeneration, conditions: withCondition(budget, condition) }, stayed: [] };
  }
  const { disruptedPods, stayed, againInMs } = planDisrupted(status?.disruptedPods ?? {}, selected, nowMs);
  const currentHealthy = selected.filter(
    (pod) => isPodReady(pod) && pod.metadata.deletionTimestamp === undefined && disruptedPods[pod.metadata.name] === undefined,
  ).length;
  const desiredHealthy =
    spec.maxUnavailable !== undefined
      ? Math.max(expected - resolveIntOrPercent(spec.maxUnavailable, expected, 'up'), 0)
      : resolveIntOrPercent(spec.minAvailable, expected, 'up');
  const disruptionsAllowed = expected <= 0 ? 0 : Math.max(currentHealthy - desiredHealthy, 0);
  const enough = disruptionsAllowed > 0;
  const condition = conditionOf(budget, enough, enough ? 'SufficientPods' : 'InsufficientPods', '', nowMs);
  return {
    status: {
      ...(Object.keys(disruptedPods).length === 0 ? {} : { disruptedPods }),
      conditions: withCondition(budget, condition),
      currentHealthy,
      desiredHealthy,
      disruptionsAllowed,
      expectedPods: expected,
      observedGeneration,
    },
    stayed,
    ...(againInMs === undefined ? {} : { againInMs }),
  };
}

/** Allowed Pods that still stand and may still go; those that are gone or going need no remembering. */
function planDisrupted(
  remembered: Readonly<Record<string, string>>,
  selected: readonly Pod[],
  nowMs: number,
): { readonly disruptedPods: Readonly<Record<string, string>>; readonly stayed: readonly Pod[]; readonly againInMs: number | undefined } {
  const disruptedPods: Record<string, string> = {};
  const stayed: Pod[] = [];
  let againInMs: number | undefined;
  for (const pod of selected) {
    const since = remembered[pod.metadata.name];
    if (since === undefined || pod.metadata.deletionTimestamp !== undefined) continue;
    const leftMs = Date.parse(since) + DISRUPTION_MS - nowMs;
    if (leftMs <= 0) {
      stayed.push(pod);
      continue;
    }
    disruptedPods[pod.metadata.name] = since;
    againInMs = Math.min(againInMs ?? leftMs, leftMs);
  }
  return { disruptedPods, stayed, againInMs };
}

function conditionOf(budget: PodDisruptionBudget, allowed: boolean, reason: string, message: string, nowMs: number): Condition {
  const status = allowed ? 'True' : 'False';
  const current = budget.status?.conditions?.find(({ type }) => type === DISRUPTION_ALLOWED);
  const lastTransitionTime = current?.status === status ? current.lastTransitionTime : rfc3339Seconds(nowMs);
  return { type: DISRUPTION_ALLOWED, status, reason, message, lastTransitionTime, observedGeneration: budget.metadata.generation ?? 0 };
}

function withCondition({ status }: PodDisruptionBudget, condition: Condition): readonly Condition[] {
  return [...(status?.conditions ?? []).filter(({ type }) => type !== DISRUPTION_ALLOWED), condition];
}
