import { rfc3339Seconds } from '@dure/foundation';
import { type CpuRates, containerKey } from './cpu-rates.ts';
import type { NodeUsage, PodUsage } from './usage.ts';

/** `/stats/summary`, as the metrics clients of Kubernetes read it. A rate that is not known is left out. */
export function renderSummary(nodeName: string, node: NodeUsage, pods: readonly PodUsage[], rates: CpuRates, nowMs: number): unknown {
  const time = rfc3339Seconds(nowMs);
  const cpu = (usageCoreNanoSeconds: number, usageNanoCores: number | undefined) => ({
    time,
    usageCoreNanoSeconds,
    ...(usageNanoCores === undefined ? {} : { usageNanoCores }),
  });
  return {
    node: {
      nodeName,
      startTime: rfc3339Seconds(node.bootedAtMs),
      cpu: cpu(node.cpuUsageNs, rates.node),
      memory: { time, availableBytes: node.memoryAvailableBytes, workingSetBytes: node.memoryWorkingSetBytes },
      fs: {
        time,
        capacityBytes: node.fsCapacityBytes,
        availableBytes: node.fsAvailableBytes,
        usedBytes: node.fsCapacityBytes - node.fsAvailableBytes,
      },
    },
    pods: pods.map((usage) => ({
      podRef: { name: usage.pod.metadata.name, namespace: usage.pod.metadata.namespace, uid: usage.pod.metadata.uid },
      startTime: rfc3339Seconds(usage.startedAtMs),
      cpu: cpu(usage.cpuUsageNs, rates.pods.get(usage.pod.metadata.uid)),
      memory: { time, workingSetBytes: usage.memoryWorkingSetBytes },
      network: {
        time,
        name: 'eth0',
        rxBytes: usage.rxBytes,
        txBytes: usage.txBytes,
        interfaces: [{ name: 'eth0', rxBytes: usage.rxBytes, txBytes: usage.txBytes }],
      },
      containers: usage.containers.map(({ name, startedAtMs, stats }) => ({
        name,
        startTime: rfc3339Seconds(startedAtMs),
        cpu: cpu(stats.cpuUsageNs, rates.containers.get(containerKey(usage.pod.metadata.uid, name))),
        memory: {
          time,
          workingSetBytes: stats.memoryWorkingSetBytes,
          rssBytes: stats.memoryRssBytes,
          ...(stats.memoryUsageBytes === undefined ? {} : { usageBytes: stats.memoryUsageBytes }),
        },
        ...(stats.writableLayerBytes === undefined ? {} : { rootfs: { time, usedBytes: stats.writableLayerBytes } }),
      })),
    })),
  };
}
