import type { CompiledLabelSelector, TopologySpreadConstraint } from '@dure/api';
import { type ClusterView, ZONE } from '../cluster-state.ts';
import type { NodeInfo } from '../node-info.ts';
import { type FilterPlugin, refuse, refuseForGood, type ScorePlugin } from '../plugin.ts';
import { narrowedSelector, type PodInfo } from '../pod-info.ts';
import { nodeMatcher } from './node-affinity.ts';
import { tolerates } from './node-filters.ts';

interface Constraint {
  readonly maxSkew: number;
  readonly topologyKey: string;
  readonly minDomains: number;
  readonly selector: CompiledLabelSelector;
  /** Which nodes' domains count. */
  counts(node: NodeInfo): boolean;
}

const MISMATCH = "node(s) didn't match pod topology spread constraints";

/** `whenUnsatisfiable: DoNotSchedule`: no domain may hold more than `maxSkew` matching Pods above the emptiest one. */
export const podTopologySpread: FilterPlugin = {
  name: 'PodTopologySpread',
  events: ['PodPlaced', 'PodGone', 'PodLabels', 'NodeAdd', 'NodeDelete', 'NodeLabels', 'NodeTaints'],
  prepare(pod, cluster) {
    const constraints = constraintsOf(pod, 'DoNotSchedule');
    if (constraints.length === 0) return undefined;
    const eligible = cluster.nodes.filter((node) => constraints.every(({ topologyKey }) => node.labels[topologyKey] !== undefined));
    const prepared = constraints.map((constraint) => {
      const perDomain = countPerDomain(constraint, pod, cluster, eligible);
      const fewest = perDomain.size < constraint.minDomains ? 0 : Math.min(...perDomain.values());
      return { constraint, perDomain, fewest, self: constraint.selector.matches(pod.labels) ? 1 : 0 };
    });
    return (node) => {
      for (const { constraint, perDomain, fewest, self } of prepared) {
        const domain = node.labels[constraint.topologyKey];
        if (domain === undefined) return refuseForGood(`${MISMATCH} (missing required label)`);
        const here = perDomain.get(domain) ?? 0;
        if (here + self - (fewest === Number.POSITIVE_INFINITY ? 0 : fewest) > constraint.maxSkew) return refuse(MISMATCH);
      }
      return undefined;
    };
  },
};

/** `whenUnsatisfiable: ScheduleAnyway`, and for Pods that say nothing: the Pods of one owner over nodes and zones. */
export const podTopologySpreadScore: ScorePlugin = {
  name: 'PodTopologySpread',
  weight: 2,
  normalize: 'range-reversed',
  prepare(pod, cluster, nodes) {
    if ((pod.pod.spec.topologySpreadConstraints ?? []).length === 0) return spreadByOwner(pod, cluster, nodes);
    const constraints = constraintsOf(pod, 'ScheduleAnyway');
    if (constraints.length === 0) return undefined;
    const eligible = cluster.nodes.filter((node) => constraints.every(({ topologyKey }) => node.labels[topologyKey] !== undefined));
    const prepared = constraints.map((constraint) => {
      const perDomain = countPerDomain(constraint, pod, cluster, eligible);
      // Few domains make each Pod in one count for more.
      return { constraint, perDomain, weight: Math.log(perDomain.size + 2) };
    });
    const most = prepared.map(({ perDomain, weight, constraint }) => Math.max(0, ...perDomain.values()) * weight + constraint.maxSkew - 1);
    const worst = most.reduce((sum, one) => sum + one, 0) + 1;
    return (node) => {
      let points = 0;
      for (const { constraint, perDomain, weight } of prepared) {
        const domain = node.labels[constraint.topologyKey];
        if (domain === undefined) return worst;
        points += (perDomain.get(domain) ?? 0) * weight + (constraint.maxSkew - 1);
      }
      return points;
    };
  },
};

function spreadByOwner(pod: PodInfo, cluster: ClusterView, nodes: readonly NodeInfo[]): ((node: NodeInfo) => number) | undefined {
  if (pod.controllerUid === undefined) return undefined;
  const perNode = cluster.ownedPerNode(pod.controllerUid);
  if (perNode.size === 0) return undefined;
  const perZone = cluster.ownedPerZone(pod.controllerUid);
  const zoned = perZone.size > 0 && nodes.some((node) => node.labels[ZONE] !== undefined);
  return (node) => (perNode.get(node.name) ?? 0) + (zoned ? (perZone.get(node.labels[ZONE] ?? '') ?? 0) : 0);
}

function constraintsOf(pod: PodInfo, when: TopologySpreadConstraint['whenUnsatisfiable']): readonly Constraint[] {
  const fits = nodeMatcher(pod.pod);
  const { tolerations } = pod.pod.spec;
  return (pod.pod.spec.topologySpreadConstraints ?? [])
    .filter(({ whenUnsatisfiable }) => whenUnsatisfiable === when)
    .map(({ maxSkew, topologyKey, minDomains = 1, labelSelector, matchLabelKeys, nodeAffinityPolicy, nodeTaintsPolicy }) => ({
      maxSkew,
      topologyKey,
      minDomains,
      selector: narrowedSelector(labelSelector, pod.labels, matchLabelKeys),
      counts: ({ node }) =>
        (nodeAffinityPolicy === 'Ignore' || fits === undefined || fits(node)) &&
        (nodeTaintsPolicy !== 'Honor' ||
          (node.spec?.taints ?? []).every((taint) => taint.effect === 'PreferNoSchedule' || tolerates(tolerations, taint))),
    }));
}

/** Matching Pods per domain; domains without any are there with 0. */
function countPerDomain(
  constraint: Constraint,
  pod: PodInfo,
  cluster: ClusterView,
  eligible: readonly NodeInfo[],
): ReadonlyMap<string, number> {
  const { topologyKey, selector } = constraint;
  const perDomain = new Map<string, number>();
  const counted = new Set<NodeInfo>();
  for (const node of eligible) {
    if (!constraint.counts(node)) continue;
    counted.add(node);
    const domain = node.labels[topologyKey] ?? '';
    if (!perDomain.has(domain)) perDomain.set(domain, 0);
  }
  for (const { info, node } of cluster.podsIn(pod.namespace)) {
    if (!counted.has(node) || info.pod.metadata.deletionTimestamp !== undefined || !selector.matches(info.labels)) continue;
    const domain = node.labels[topologyKey] ?? '';
    perDomain.set(domain, (perDomain.get(domain) ?? 0) + 1);
  }
  return perDomain;
}
