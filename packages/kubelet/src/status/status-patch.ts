import { isDeepStrictEqual } from 'node:util';
import type { Pod, PodStatus } from '@dure/api';

/** Fields of a Pod's status that its node writes. Others are left alone. */
const OWNED = [
  'observedGeneration',
  'phase',
  'reason',
  'message',
  'hostIP',
  'hostIPs',
  'podIP',
  'podIPs',
  'startTime',
  'qosClass',
  'initContainerStatuses',
  'containerStatuses',
  'ephemeralContainerStatuses',
  'resources',
] as const;

/**
 * The strategic merge patch of /status from what the API has to what is true now; `undefined` when nothing differs.
 * Conditions are merged by type, so that those of others survive; the uid keeps it off a successor of the same name.
 */
export function statusPatch(pod: Pod, from: PodStatus | undefined, to: PodStatus): object | undefined {
  const status: Record<string, unknown> = {};
  for (const field of OWNED) {
    const before = from?.[field];
    const after = to[field];
    if (isDeepStrictEqual(before, after)) continue;
    if (after === undefined) {
      if (before !== undefined) status[field] = null;
    } else if ((field === 'podIPs' || field === 'hostIPs') && Array.isArray(before) && before.length > 0) {
      // Merged by address otherwise: the old sandbox's would stay.
      status[field] = [...(to[field] ?? []), { $patch: 'replace' }];
    } else {
      status[field] = after;
    }
  }
  const conditions = (to.conditions ?? []).filter((condition) => {
    const before = from?.conditions?.find(({ type }) => type === condition.type);
    return before === undefined || !isDeepStrictEqual(comparable(before), comparable(condition));
  });
  if (conditions.length > 0) {
    status.conditions = conditions.map((condition) => ({ reason: null, message: null, ...condition }));
  }
  return Object.keys(status).length === 0 ? undefined : { metadata: { uid: pod.metadata.uid }, status };
}

/** `lastProbeTime: null` and a transition time that follows from the status are no difference. */
function comparable(condition: NonNullable<PodStatus['conditions']>[number]): unknown {
  const { status, reason, message, observedGeneration } = condition;
  return { status, reason: reason ?? '', message: message ?? '', observedGeneration };
}
