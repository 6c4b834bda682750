import type { FilterPlugin, ScorePlugin } from './plugin.ts';
import { imageLocality } from './plugins/image-locality.ts';
import { interPodAffinity, interPodAffinityScore } from './plugins/inter-pod-affinity.ts';
import { nodeAffinity, nodeAffinityScore } from './plugins/node-affinity.ts';
import { nodeName, nodePorts, nodeUnschedulable, taintToleration, taintTolerationScore } from './plugins/node-filters.ts';
import { balancedAllocation, leastAllocated, nodeResourcesFit } from './plugins/node-resources.ts';
import { podTopologySpread, podTopologySpreadScore } from './plugins/pod-topology-spread.ts';

/** In this order; the first that refuses a node is the one that is named. */
export const defaultFilters: readonly FilterPlugin[] = [
  nodeUnschedulable,
  nodeName,
  taintToleration,
  nodeAffinity,
  nodePorts,
  nodeResourcesFit,
  podTopologySpread,
  interPodAffinity,
];

export const defaultScores: readonly ScorePlugin[] = [
  taintTolerationScore,
  nodeAffinityScore,
  podTopologySpreadScore,
  interPodAffinityScore,
  leastAllocated,
  balancedAllocation,
  imageLocality,
];
