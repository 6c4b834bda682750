import type { ClusterView, PlacedPod } from './cluster-state.ts';
import { type Diagnosis, firstRefusal, prepareFilters } from './decision.ts';
import { describePreemption } from './diagnosis.ts';
import type { NodeInfo } from './node-info.ts';
import type { FilterPlugin } from './plugin.ts';
import type { PodInfo } from './pod-info.ts';

export type PreemptionPlan =
  | { readonly kind: 'victims'; readonly node: NodeInfo; readonly victims: readonly PodInfo[] }
  | { readonly kind: 'none'; readonly message: string };

export interface PreemptionInput {
  readonly pod: PodInfo;
  readonly cluster: ClusterView;
  readonly filters: readonly FilterPlugin[];
  readonly diagnosis: Diagnosis;
  /** True if removing the Pod would break a PodDisruptionBudget. */
  violatesBudget(pod: PodInfo): boolean;
}

/** Candidates are tried on at most this share of the nodes, but at least on that many. */
const CANDIDATES_SHARE = 0.1;
const CANDIDATES_MIN = 100;

/** The node and the less important Pods on it that would have to go for `pod` to fit, the least harm first. Does not change anything. */
export function planPreemption(input: PreemptionInput): PreemptionPlan {
  const { pod, cluster, diagnosis } = input;
  if (pod.pod.spec.preemptionPolicy === 'Never') return { kind: 'none', message: 'not eligible due to preemptionPolicy=Never.' };
  if (waitsForVictims(pod, cluster)) return { kind: 'none', message: 'not eligible due to a terminating pod on the nominated node.' };

  const candidates: Candidate[] = [];
  const reasons = new Map<string, number>();
  const count = (reason: string): void => void reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const wanted = Math.max(Math.floor(diagnosis.nodeCount * CANDIDATES_SHARE), CANDIDATES_MIN);
  for (const [name, { isFinal }] of diagnosis.refusals) {
    const node = cluster.node(name);
    if (isFinal || node === undefined) {
      count('Preemption is not helpful for scheduling');
      continue;
    }
    if (candidates.length >= wanted) break;
    const victims = victimsOn(node, input);
    if (victims === undefined) count('No preemption victims found for incoming pod');
    else candidates.push({ node, victims, violations: victims.filter((one) => input.violatesBudget(one)).length });
  }
  const [least] = candidates.sort(byHarm);
  if (least === undefined) return { kind: 'none', message: describePreemption(diagnosis.nodeCount, reasons) };
  return { kind: 'victims', node: least.node, victims: least.victims };
}

interface Candidate {
  readonly node: NodeInfo;
  readonly victims: readonly PodInfo[];
  readonly violations: number;
}

/** The smallest set of less important Pods whose removal lets `pod` in; `undefined` if even removing all would not. */
function victimsOn(node: NodeInfo, { pod, cluster, filters, violatesBudget }: PreemptionInput): readonly PodInfo[] | undefined {
  const lesser = [...node.pods()].filter(({ priority }) => priority < pod.priority);
  if (lesser.length === 0) return undefined;
  const removed = new Map(lesser.map((one) => [one.uid, one]));
  const fits = (): boolean => {
    const remaining = node.clone();
    for (const uid of removed.keys()) remaining.remove(uid);
    return firstRefusal(prepareFilters(pod, without(cluster, removed), filters), remaining) === undefined;
  };
  if (!fits()) return undefined;
  // Spare whom we can, the most important and the protected first.
  const byImportance = lesser.toSorted(
    (a, b) => Number(violatesBudget(b)) - Number(violatesBudget(a)) || b.priority - a.priority || (startOf(a) < startOf(b) ? -1 : 1),
  );
  for (const spared of byImportance) {
    removed.delete(spared.uid);
    if (!fits()) removed.set(spared.uid, spared);
  }
  return [...removed.values()].toSorted((a, b) => b.priority - a.priority);
}

/** Fewest broken budgets, then the least important first victim, then least importance in all, fewest, and started last. */
function byHarm(a: Candidate, b: Candidate): number {
  const highest = ({ victims }: Candidate): number => victims[0]?.priority ?? Number.NEGATIVE_INFINITY;
  // Priorities may be negative; counted from the lowest possible one, more victims always weigh more.
  const sum = ({ victims }: Candidate): number => victims.reduce((total, { priority }) => total + priority + 2 ** 31, 0);
  const earliest = ({ victims }: Candidate): string =>
    victims
      .filter(({ priority }) => priority === victims[0]?.priority)
      .map(startOf)
      .sort()[0] ?? '';
  return (
    a.violations - b.violations ||
    highest(a) - highest(b) ||
    sum(a) - sum(b) ||
    a.victims.length - b.victims.length ||
    (earliest(a) > earliest(b) ? -1 : earliest(a) < earliest(b) ? 1 : 0)
  );
}

/** Room was made for it already; more victims would die for nothing. */
function waitsForVictims({ pod, priority }: PodInfo, cluster: ClusterView): boolean {
  const nominated = pod.status?.nominatedNodeName;
  const node = nominated ? cluster.node(nominated) : undefined;
  if (node === undefined) return false;
  for (const other of node.pods()) {
    if (other.priority < priority && other.pod.metadata.deletionTimestamp !== undefined) return true;
  }
  return false;
}

/** `cluster` as it would be without `removed`. */
function without(cluster: ClusterView, removed: ReadonlyMap<string, PodInfo>): ClusterView {
  function* staying(pods: Iterable<PlacedPod>): Iterable<PlacedPod> {
    for (const placed of pods) if (!removed.has(placed.info.uid)) yield placed;
  }
  return {
    nodes: cluster.nodes,
    node: (name) => cluster.node(name),
    podsIn: (namespace) => staying(cluster.podsIn(namespace)),
    get podsWithRequiredAntiAffinity() {
      return staying(cluster.podsWithRequiredAntiAffinity);
    },
    get podsWithAffinity() {
      return staying(cluster.podsWithAffinity);
    },
    namespaceLabels: (namespace) => cluster.namespaceLabels(namespace),
    namespaces: cluster.namespaces,
    ownedPerNode: (uid) => cluster.ownedPerNode(uid),
    ownedPerZone: (uid) => cluster.ownedPerZone(uid),
  };
}

function startOf({ pod }: PodInfo): string {
  return pod.status?.startTime ?? pod.metadata.creationTimestamp;
}
