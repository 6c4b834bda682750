import type { Node, NodeCondition, Taint } from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';

/** Conditions that the node itself reports, and what stands there when it stopped reporting. */
const REPORTED = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'] as const;

const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';
const UNSCHEDULABLE = 'node.kubernetes.io/unschedulable';

/** Taints that a condition brings, by condition type and status. */
const CONDITION_TAINTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: NOT_READY, Unknown: UNREACHABLE },
  MemoryPressure: { True: 'node.kubernetes.io/memory-pressure' },
  DiskPressure: { True: 'node.kubernetes.io/disk-pressure' },
  PIDPressure: { True: 'node.kubernetes.io/pid-pressure' },
  NetworkUnavailable: { True: 'node.kubernetes.io/network-unavailable' },
};
const OWN_NO_SCHEDULE: ReadonlySet<string> = new Set([
  UNSCHEDULABLE,
  ...Object.values(CONDITION_TAINTS).flatMap((byStatus) => Object.values(byStatus)),
]);
const OWN_NO_EXECUTE: ReadonlySet<string> = new Set([NOT_READY, UNREACHABLE]);

/** The conditions of a node that has been silent too long: nobody knows. `undefined`: they say so already. Pure. */
export function silencedConditions({ status }: Node, nowMs: number): readonly NodeCondition[] | undefined {
  const current = status?.conditions ?? [];
  if (REPORTED.every((type) => current.find((condition) => condition.type === type)?.status === 'Unknown')) return undefined;
  const now = rfc3339Seconds(nowMs);
  const silenced = REPORTED.map((type): NodeCondition => {
    const before = current.find((condition) => condition.type === type);
    if (before === undefined) {
      const never = { reason: 'NodeStatusNeverUpdated', message: 'Kubelet never posted node status.' };
      return { type, status: 'Unknown', ...never, lastHeartbeatTime: now, lastTransitionTime: now };
    }
    if (before.status === 'Unknown') return before;
    return {
      ...before,
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
      message: 'Kubelet stopped posting node status.',
      lastTransitionTime: now,
    };
  });
  return [...current.filter(({ type }) => !(REPORTED as readonly string[]).includes(type)), ...silenced];
}

/**
 * The taints that `node` should have: those of others as they are, and ours as its conditions and `spec.unschedulable` say. Pure.
 * @param evict Whether a node that is not ready may also push its Pods out.
 * @returns `undefined` if they are right already.
 */
export function plannedTaints({ spec, status }: Node, evict: boolean, nowMs: number): readonly Taint[] | undefined {
  const current = spec?.taints ?? [];
  const wanted = new Set<string>();
  if (spec?.unschedulable === true) wanted.add(`${UNSCHEDULABLE}:NoSchedule`);
  for (const { type, status: value } of status?.conditions ?? []) {
    const key = CONDITION_TAINTS[type]?.[value];
    if (key === undefined) continue;
    wanted.add(`${key}:NoSchedule`);
    if (!OWN_NO_EXECUTE.has(key)) continue;
    // Once pushed out, always: holding the taint back is only about who is next.
    if (evict || current.some((taint) => taint.key === key && taint.effect === 'NoExecute')) wanted.add(`${key}:NoExecute`);
  }
  const isOurs = ({ key, effect }: Taint): boolean =>
    (effect === 'NoSchedule' && OWN_NO_SCHEDULE.has(key)) || (effect === 'NoExecute' && OWN_NO_EXECUTE.has(key));
  const kept = current.filter((taint) => !isOurs(taint) || wanted.has(`${taint.key}:${taint.effect}`));
  const present = new Set(kept.map(({ key, effect }) => `${key}:${effect}`));
  const added = [...wanted]
    .filter((id) => !present.has(id))
    .map((id): Taint => {
      const colon = id.lastIndexOf(':');
      return { key: id.slice(0, colon), effect: id.slice(colon + 1) as Taint['effect'], timeAdded: rfc3339Seconds(nowMs) };
    });
  return added.length === 0 && kept.length === current.length ? undefined : [...kept, ...added];
}

/** True if its conditions call for pushing Pods out, and it does not do so yet. */
export function wantsEviction({ spec, status }: Node): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
  const key = CONDITION_TAINTS.Ready?.[ready ?? ''];
  return key !== undefined && !(spec?.taints ?? []).some((taint) => taint.key === key && taint.effect === 'NoExecute');
}

export function isNodeReady({ status }: Node): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
}
