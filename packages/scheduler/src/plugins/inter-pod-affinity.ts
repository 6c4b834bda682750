import type { ClusterView, PlacedPod } from '../cluster-state.ts';
import type { NodeInfo } from '../node-info.ts';
import { type FilterPlugin, refuse, refuseForGood, type ScorePlugin } from '../plugin.ts';
import { type AffinityTerm, type PodInfo, termMatches, type WeightedTerm } from '../pod-info.ts';

/** Counts or points per topology key and value. */
class Topology {
  readonly #perKey = new Map<string, Map<string, number>>();

  add(key: string, { labels }: NodeInfo, amount: number): void {
    const value = labels[key];
    if (value === undefined) return;
    const perValue = this.#perKey.get(key) ?? new Map<string, number>();
    perValue.set(value, (perValue.get(value) ?? 0) + amount);
    this.#perKey.set(key, perValue);
  }

  at(key: string, { labels }: NodeInfo): number {
    const value = labels[key];
    return value === undefined ? 0 : (this.#perKey.get(key)?.get(value) ?? 0);
  }

  sumAt(node: NodeInfo): number {
    let sum = 0;
    for (const [key, perValue] of this.#perKey) sum += perValue.get(node.labels[key] ?? '') ?? 0;
    return sum;
  }

  get isEmpty(): boolean {
    return this.#perKey.size === 0;
  }

  *keys(): Iterable<string> {
    yield* this.#perKey.keys();
  }
}

/** Required affinity and anti-affinity, the Pod's own and that of Pods already placed. */
export const interPodAffinity: FilterPlugin = {
  name: 'InterPodAffinity',
  events: ['PodPlaced', 'PodGone', 'PodLabels', 'NodeAdd', 'NodeLabels', 'NamespaceLabels'],
  prepare(pod, cluster) {
    const labelsOf = (namespace: string): Readonly<Record<string, string>> => cluster.namespaceLabels(namespace);
    const forbidden = new Topology();
    for (const { info, node } of cluster.podsWithRequiredAntiAffinity) {
      for (const term of info.requiredAntiAffinity) {
        if (termMatches(term, pod, labelsOf)) forbidden.add(term.topologyKey, node, 1);
      }
    }
    if (forbidden.isEmpty && pod.requiredAffinity.length === 0 && pod.requiredAntiAffinity.length === 0) return undefined;
    const near = countAll(pod.requiredAffinity, cluster);
    const far = countEach(pod.requiredAntiAffinity, cluster);
    const forbiddenKeys = [...forbidden.keys()];
    // The first of Pods that want to be near each other has nobody to be near to.
    const isFirst = near.isEmpty && pod.requiredAffinity.every((term) => termMatches(term, pod, labelsOf));
    return (node) => {
      for (const { topologyKey } of pod.requiredAffinity) {
        const known = node.labels[topologyKey] !== undefined;
        if (!known || (!isFirst && near.at(topologyKey, node) === 0)) return refuseForGood("node(s) didn't match pod affinity rules");
      }
      if (pod.requiredAntiAffinity.some(({ topologyKey }) => far.at(topologyKey, node) > 0)) {
        return refuse("node(s) didn't match pod anti-affinity rules");
      }
      if (forbiddenKeys.some((key) => forbidden.at(key, node) > 0))
        return refuse("node(s) didn't satisfy existing pods anti-affinity rules");
      return undefined;
    };
  },
};

/** How much a required term of a placed Pod draws others near. @see upstream's `hardPodAffinityWeight` */
const REQUIRED_WEIGHT = 1;

/** Preferred affinity and anti-affinity, in both directions. */
export const interPodAffinityScore: ScorePlugin = {
  name: 'InterPodAffinity',
  weight: 2,
  normalize: 'range',
  prepare(pod, cluster) {
    const labelsOf = (namespace: string): Readonly<Record<string, string>> => cluster.namespaceLabels(namespace);
    const points = new Topology();
    const own: readonly WeightedTerm[] = [
      ...pod.preferredAffinity,
      ...pod.preferredAntiAffinity.map((term) => ({ ...term, weight: -term.weight })),
    ];
    for (const term of own) {
      for (const { info, node } of matching(term, cluster)) if (isStaying(info)) points.add(term.topologyKey, node, term.weight);
    }
    for (const { info, node } of cluster.podsWithAffinity) {
      const terms = [
        ...info.preferredAffinity,
        ...info.preferredAntiAffinity.map((term) => ({ ...term, weight: -term.weight })),
        ...info.requiredAffinity.map((term) => ({ ...term, weight: REQUIRED_WEIGHT })),
      ];
      for (const term of terms) if (termMatches(term, pod, labelsOf)) points.add(term.topologyKey, node, term.weight);
    }
    return points.isEmpty ? undefined : (node) => points.sumAt(node);
  },
};

/** Pods that match every one of `terms` count: one Pod must meet them all. */
function countAll(terms: readonly AffinityTerm[], cluster: ClusterView): Topology {
  const topology = new Topology();
  const [first, ...others] = terms;
  if (first === undefined) return topology;
  const labelsOf = (namespace: string): Readonly<Record<string, string>> => cluster.namespaceLabels(namespace);
  for (const { info, node } of matching(first, cluster)) {
    if (!others.every((term) => termMatches(term, info, labelsOf))) continue;
    for (const { topologyKey } of terms) topology.add(topologyKey, node, 1);
  }
  return topology;
}

/** Pods that match any one of `terms` count for that term. */
function countEach(terms: readonly AffinityTerm[], cluster: ClusterView): Topology {
  const topology = new Topology();
  for (const term of terms) for (const { node } of matching(term, cluster)) topology.add(term.topologyKey, node, 1);
  return topology;
}

function* matching(term: AffinityTerm, cluster: ClusterView): Iterable<PlacedPod> {
  const namespaces = new Set(term.namespaces);
  if (term.namespaceSelector !== undefined) {
    for (const name of cluster.namespaces) if (term.namespaceSelector.matches(cluster.namespaceLabels(name))) namespaces.add(name);
  }
  for (const namespace of namespaces) {
    for (const placed of cluster.podsIn(namespace)) if (term.selector.matches(placed.info.labels)) yield placed;
  }
}

function isStaying({ pod }: PodInfo): boolean {
  return pod.metadata.deletionTimestamp === undefined;
}
