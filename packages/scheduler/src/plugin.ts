import type { ClusterView } from './cluster-state.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';

/** What happened in the cluster that may make a refused Pod fit. */
export type ClusterEvent =
  | 'NodeAdd'
  | 'NodeDelete'
  | 'NodeAllocatable'
  | 'NodeLabels'
  | 'NodeTaints'
  | 'NodeUnschedulable'
  | 'PodPlaced'
  | 'PodLabels'
  | 'PodGone'
  | 'NamespaceLabels'
  | 'Volumes';

/** Why a node does not do. */
export interface Refusal {
  /** As upstream words them: people and tools search for these. */
  readonly reasons: readonly string[];
  /** Removing Pods from the node would not change it. */
  readonly isFinal: boolean;
}

export type NodeFilter = (node: NodeInfo) => Refusal | undefined;
/** Points of a node, the more the better. The scale is the plugin's own until {@link ScorePlugin.normalize}. */
export type NodeScore = (node: NodeInfo) => number;

/** Decides which nodes may take a Pod. */
export interface FilterPlugin {
  /** The name in Kubernetes' scheduling framework. */
  readonly name: string;
  /** Events after which a Pod refused by this plugin deserves another look. */
  readonly events: readonly ClusterEvent[];
  /** Work that is the same for all nodes. @returns `undefined` if the plugin has nothing to say about this Pod. */
  prepare(pod: PodInfo, cluster: ClusterView): NodeFilter | undefined;
}

/** Says which of the nodes that may take a Pod are better. */
export interface ScorePlugin {
  readonly name: string;
  readonly weight: number;
  /** How raw points become 0 to 100: kept, scaled to the largest, scaled and turned round, or scaled between the smallest and the largest. */
  readonly normalize: 'keep' | 'largest' | 'largest-reversed' | 'range' | 'range-reversed';
  prepare(pod: PodInfo, cluster: ClusterView, nodes: readonly NodeInfo[]): NodeScore | undefined;
}

export function refuse(...reasons: readonly string[]): Refusal {
  return { reasons, isFinal: false };
}

export function refuseForGood(...reasons: readonly string[]): Refusal {
  return { reasons, isFinal: true };
}
