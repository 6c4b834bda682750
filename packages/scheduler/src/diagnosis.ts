import type { Diagnosis } from './decision.ts';

/** Why a Pod could not be placed, as `kubectl describe pod` shows it. */
export function describeRefusal({ nodeCount, refusals }: Diagnosis, preemption?: string): string {
  if (nodeCount === 0) return 'no nodes available to schedule pods';
  const counts = new Map<string, number>();
  for (const { reasons } of refusals.values()) for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const message = `0/${nodeCount} nodes are available: ${histogram(counts)}.`;
  return preemption === undefined ? message : `${message} preemption: ${preemption}`;
}

/** Why preemption did not help: nodes by reason. */
export function describePreemption(nodeCount: number, reasons: ReadonlyMap<string, number>): string {
  return `0/${nodeCount} nodes are available: ${histogram(reasons)}.`;
}

/** Sorted as text, as upstream sorts. */
function histogram(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .map(([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(', ');
}
