import type { Pod } from '@dure/api';
import { isPodReady, maxRestarts, podCondition } from '../pod-state.ts';

const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';
const PHASE_RANK: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/**
 * Compares Pods by who should go first when there are too many: the one whose loss hurts least.
 * Unassigned before assigned, pending before running, not ready before ready, cheaper before dearer, from a crowded node before from a
 * lonely one, ready for a shorter time, restarted more often, created later.
 * @param neighbours How many Pods of the same owner run on the Pod's node.
 * @param nowMs Times are compared in powers of two, so that which of two similar Pods goes is not decided by seconds.
 * @see upstream's `ActivePodsWithRanks`
 */
export function byDeletionRank(neighbours: ReadonlyMap<string, number>, nowMs: number): (a: Pod, b: Pod) => number {
  const crowd = ({ spec }: Pod): number => neighbours.get(spec.nodeName ?? '') ?? 0;
  return (a, b) =>
    Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName)) ||
    (PHASE_RANK[a.status?.phase ?? 'Pending'] ?? 0) - (PHASE_RANK[b.status?.phase ?? 'Pending'] ?? 0) ||
    Number(isPodReady(a)) - Number(isPodReady(b)) ||
    deletionCost(a) - deletionCost(b) ||
    crowd(b) - crowd(a) ||
    (isPodReady(a) && isPodReady(b) ? youngerFirst(readySince(a), readySince(b), nowMs) : 0) ||
    maxRestarts(b) - maxRestarts(a) ||
    youngerFirst(a.metadata.creationTimestamp, b.metadata.creationTimestamp, nowMs) ||
    (a.metadata.uid < b.metadata.uid ? -1 : 1);
}

function deletionCost({ metadata }: Pod): number {
  const text = metadata.annotations?.[DELETION_COST];
  return text !== undefined && /^(0|-?[1-9]\d*)$/.test(text) ? Number(text) : 0;
}

function readySince(pod: Pod): string | undefined {
  return podCondition(pod, 'Ready')?.lastTransitionTime;
}

function youngerFirst(a: string | undefined, b: string | undefined, nowMs: number): number {
  if (a === b) return 0;
  if (a === undefined) return -1;
  if (b === undefined) return 1;
  const magnitude = (time: string): number => Math.floor(Math.log2(Math.max(nowMs - Date.parse(time), 1) / 1000));
  return magnitude(a) - magnitude(b);
}
