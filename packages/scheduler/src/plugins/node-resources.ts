import type { NodeInfo } from '../node-info.ts';
import { type FilterPlugin, refuse, type ScorePlugin } from '../plugin.ts';
import type { PodInfo } from '../pod-info.ts';

/** A node must have free what the Pod asks for, and a place among its Pods. */
export const nodeResourcesFit: FilterPlugin = {
  name: 'NodeResourcesFit',
  events: ['PodGone', 'NodeAdd', 'NodeAllocatable'],
  prepare({ requests }) {
    const others = [...requests.others].filter(([, amount]) => amount > 0);
    return (node) => {
      const { allocatable, requested } = node;
      const reasons: string[] = [];
      if (node.podCount + 1 > node.podsMax) reasons.push('Too many pods');
      if (requests.cpuMillis > 0 && requests.cpuMillis > allocatable.cpuMillis - requested.cpuMillis) reasons.push('Insufficient cpu');
      if (requests.memoryBytes > 0 && requests.memoryBytes > allocatable.memoryBytes - requested.memoryBytes)
        reasons.push('Insufficient memory');
      if (requests.ephemeralBytes > 0 && requests.ephemeralBytes > allocatable.ephemeralBytes - requested.ephemeralBytes) {
        reasons.push('Insufficient ephemeral-storage');
      }
      for (const [name, amount] of others) {
        if (amount > (allocatable.others.get(name) ?? 0) - (requested.others.get(name) ?? 0)) reasons.push(`Insufficient ${name}`);
      }
      if (reasons.length === 0) return undefined;
      const { cpuMillis, memoryBytes, ephemeralBytes } = allocatable;
      // More than the whole node has: emptying it would not help.
      const isFinal =
        requests.cpuMillis > cpuMillis ||
        requests.memoryBytes > memoryBytes ||
        requests.ephemeralBytes > ephemeralBytes ||
        others.some(([name, amount]) => amount > (allocatable.others.get(name) ?? 0));
      return isFinal ? { reasons, isFinal } : refuse(...reasons);
    };
  },
};

/** Prefers nodes that stay emptiest. */
export const leastAllocated: ScorePlugin = {
  name: 'NodeResourcesFit',
  weight: 1,
  normalize: 'keep',
  prepare(pod) {
    return (node) => {
      const { cpu, memory } = usage(pod, node);
      return ((1 - Math.min(cpu, 1)) * 100 + (1 - Math.min(memory, 1)) * 100) / 2;
    };
  },
};

/** Prefers nodes whose cpu and memory would be used alike, so that neither is left over alone. */
export const balancedAllocation: ScorePlugin = {
  name: 'NodeResourcesBalancedAllocation',
  weight: 1,
  normalize: 'keep',
  prepare(pod) {
    return (node) => {
      const { cpu, memory } = usage(pod, node);
      // The standard deviation of two fractions.
      return (1 - Math.abs(Math.min(cpu, 1) - Math.min(memory, 1)) / 2) * 100;
    };
  },
};

/** Fractions of the node that would be in use with `pod` on it, each container counted with at least a little. */
function usage({ nonZero }: PodInfo, node: NodeInfo): { readonly cpu: number; readonly memory: number } {
  const { cpuMillis, memoryBytes } = node.allocatable;
  return {
    cpu: cpuMillis === 0 ? 1 : (node.nonZeroCpuMillis + nonZero.cpuMillis) / cpuMillis,
    memory: memoryBytes === 0 ? 1 : (node.nonZeroMemoryBytes + nonZero.memoryBytes) / memoryBytes,
  };
}
