import type { Random } from '@dure/foundation';
import type { ClusterView } from './cluster-state.ts';
import type { NodeInfo } from './node-info.ts';
import type { FilterPlugin, NodeFilter, Refusal, ScorePlugin } from './plugin.ts';
import type { PodInfo } from './pod-info.ts';

export type Decision =
  | { readonly kind: 'placed'; readonly node: NodeInfo /** Where the next Pod's search begins. */; readonly nextStart: number }
  | { readonly kind: 'refused'; readonly diagnosis: Diagnosis };

/** Why no node would do. */
export interface Diagnosis {
  readonly nodeCount: number;
  readonly refusals: ReadonlyMap<string, Refusal>;
  /** Plugins that refused at least one node: their events wake the Pod. */
  readonly plugins: ReadonlySet<string>;
}

export interface DecisionInput {
  readonly pod: PodInfo;
  readonly cluster: ClusterView;
  readonly filters: readonly FilterPlugin[];
  readonly scores: readonly ScorePlugin[];
  /** Index of the node to look at first. Moving it on gives every node its turn when not all are looked at. */
  readonly start: number;
  /** Breaks ties. */
  readonly random: Random;
  /** Pods to be counted as if they were on a node: those that preemption made room for. */
  readonly withNominated?: (node: NodeInfo) => NodeInfo;
}

/** Below this many nodes all are looked at. */
const NODES_MIN = 100;
const SHARE_MIN = 5;

/** Chooses a node for `pod`: filters, then scores those that are left. Does not change anything. */
export function decide({ pod, cluster, filters, scores, start, random, withNominated }: DecisionInput): Decision {
  const { nodes } = cluster;
  const prepared = prepareFilters(pod, cluster, filters);
  const refusals = new Map<string, Refusal>();
  const plugins = new Set<string>();
  const feasible: NodeInfo[] = [];
  const enough = feasibleNodesWanted(nodes.length);
  let looked = 0;
  for (; looked < nodes.length && feasible.length < enough; looked += 1) {
    const node = nodes[(start + looked) % nodes.length];
    if (node === undefined) break;
    const refused = firstRefusal(prepared, withNominated?.(node) ?? node) ?? (withNominated && firstRefusal(prepared, node));
    if (refused === undefined) {
      feasible.push(node);
    } else {
      refusals.set(node.name, refused.refusal);
      plugins.add(refused.plugin);
    }
  }
  const nextStart = nodes.length === 0 ? 0 : (start + looked) % nodes.length;
  const [only] = feasible;
  if (only === undefined) return { kind: 'refused', diagnosis: { nodeCount: nodes.length, refusals, plugins } };
  const node = feasible.length === 1 ? only : best(pod, cluster, scores, feasible, random);
  return { kind: 'placed', node, nextStart };
}

export interface PreparedFilter {
  readonly plugin: string;
  readonly filter: NodeFilter;
}

export function prepareFilters(pod: PodInfo, cluster: ClusterView, filters: readonly FilterPlugin[]): readonly PreparedFilter[] {
  return filters.flatMap(({ name, prepare }) => {
    const filter = prepare(pod, cluster);
    return filter === undefined ? [] : [{ plugin: name, filter }];
  });
}

export function firstRefusal(
  prepared: readonly PreparedFilter[],
  node: NodeInfo,
): { readonly plugin: string; readonly refusal: Refusal } | undefined {
  for (const { plugin, filter } of prepared) {
    const refusal = filter(node);
    if (refusal !== undefined) return { plugin, refusal };
  }
  return undefined;
}

/** How many nodes that would do are enough to choose among. @see upstream's `numFeasibleNodesToFind` */
export function feasibleNodesWanted(nodeCount: number): number {
  if (nodeCount < NODES_MIN) return nodeCount;
  const share = Math.max(50 - Math.floor(nodeCount / 125), SHARE_MIN);
  return Math.max(Math.floor((nodeCount * share) / 100), NODES_MIN);
}

function best(pod: PodInfo, cluster: ClusterView, scores: readonly ScorePlugin[], nodes: readonly NodeInfo[], random: Random): NodeInfo {
  const totals = new Float64Array(nodes.length);
  for (const plugin of scores) {
    const score = plugin.prepare(pod, cluster, nodes);
    if (score === undefined) continue;
    const points = nodes.map(score);
    const normalized = normalize(points, plugin.normalize);
    for (const [index, value] of normalized.entries()) totals[index] = (totals[index] ?? 0) + Math.floor(value) * plugin.weight;
  }
  const top = Math.max(...totals);
  const equals = nodes.filter((_node, index) => totals[index] === top);
  const chosen = equals[equals.length === 1 ? 0 : random.integer(equals.length)];
  if (chosen === undefined) throw new Error('best: no node to choose from');
  return chosen;
}

function normalize(points: readonly number[], how: ScorePlugin['normalize']): readonly number[] {
  if (how === 'keep') return points;
  const largest = Math.max(...points);
  if (how === 'largest' || how === 'largest-reversed') {
    const scaled = points.map((value) => (largest === 0 ? 0 : (value / largest) * 100));
    return how === 'largest' ? scaled : scaled.map((value) => 100 - value);
  }
  const smallest = Math.min(...points);
  const width = largest - smallest;
  if (how === 'range') return points.map((value) => (width === 0 ? 0 : ((value - smallest) / width) * 100));
  return points.map((value) => (width === 0 ? 100 : ((largest - value) / width) * 100));
}
