import type { Node, Pod } from '@dure/api';
import { isPodFinished } from '../pod-state.ts';

const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service';

export interface PodGcPlan {
  readonly pod: Pod;
  readonly why: 'orphaned' | 'terminated' | 'unscheduled' | 'out-of-service';
}

/**
 * Pods that nobody will ever end: on nodes that are gone, finished ones beyond `terminatedMax` (the oldest first), going ones that never
 * had a node, and going ones on nodes declared out of service. Pure.
 * @param isGone Whether a node is known to exist no more.
 */
export function planPodGc(
  pods: readonly Pod[],
  nodes: ReadonlyMap<string, Node>,
  isGone: (nodeName: string) => boolean,
  terminatedMax: number,
): readonly PodGcPlan[] {
  const plan: PodGcPlan[] = [];
  const finished: Pod[] = [];
  for (const pod of pods) {
    const { nodeName } = pod.spec;
    const going = pod.metadata.deletionTimestamp !== undefined;
    if (!nodeName) {
      if (going) plan.push({ pod, why: 'unscheduled' });
    } else if (isGone(nodeName)) {
      plan.push({ pod, why: 'orphaned' });
    } else if (going && isOutOfService(nodes.get(nodeName))) {
      plan.push({ pod, why: 'out-of-service' });
    }
    if (isPodFinished(pod) && !going) finished.push(pod);
  }
  const surplus = terminatedMax > 0 ? finished.length - terminatedMax : 0;
  const oldest = finished.toSorted((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1));
  for (const pod of oldest.slice(0, Math.max(surplus, 0))) plan.push({ pod, why: 'terminated' });
  return plan;
}

function isOutOfService(node: Node | undefined): boolean {
  const ready = node?.status?.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status !== 'True' && (node?.spec?.taints ?? []).some(({ key }) => key === OUT_OF_SERVICE);
}
