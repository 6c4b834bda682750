import type { NodeUsage, PodUsage } from './usage.ts';

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly timestampMs?: number;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly Sample[];
}

/** `/metrics/resource`: what metrics pipelines scrape. @see KEP-727 for the names. */
export function renderResourceMetrics(node: NodeUsage, pods: readonly PodUsage[], nowMs: number): string {
  const perContainer = (of: (pod: PodUsage, container: PodUsage['containers'][number]) => number): Sample[] =>
    pods.flatMap((pod) =>
      pod.containers.map((container) => ({
        labels: { container: container.name, namespace: pod.pod.metadata.namespace ?? '', pod: pod.pod.metadata.name },
        value: of(pod, container),
        timestampMs: container.stats.timestampMs,
      })),
    );
  const perPod = (of: (pod: PodUsage) => number): Sample[] =>
    pods.map((pod) => ({
      labels: { namespace: pod.pod.metadata.namespace ?? '', pod: pod.pod.metadata.name },
      value: of(pod),
      timestampMs: pod.timestampMs,
    }));
  const seconds = (ns: number): number => ns / 1e9;
  return render([
    counter(
      'container_cpu_usage_seconds_total',
      'Cumulative cpu time consumed by the container in core-seconds',
      perContainer((_pod, { stats }) => seconds(stats.cpuUsageNs)),
    ),
    gauge(
      'container_memory_working_set_bytes',
      'Current working set of the container in bytes',
      perContainer((_pod, { stats }) => stats.memoryWorkingSetBytes),
    ),
    gauge(
      'container_start_time_seconds',
      'Start time of the container since unix epoch in seconds',
      perContainer((_pod, { startedAtMs }) => startedAtMs / 1000),
    ),
    counter('node_cpu_usage_seconds_total', 'Cumulative cpu time consumed by the node in core-seconds', [
      { labels: {}, value: seconds(node.cpuUsageNs), timestampMs: nowMs },
    ]),
    gauge('node_memory_working_set_bytes', 'Current working set of the node in bytes', [
      { labels: {}, value: node.memoryWorkingSetBytes, timestampMs: nowMs },
    ]),
    counter(
      'pod_cpu_usage_seconds_total',
      'Cumulative cpu time consumed by the pod in core-seconds',
      perPod(({ cpuUsageNs }) => seconds(cpuUsageNs)),
    ),
    gauge(
      'pod_memory_working_set_bytes',
      'Current working set of the pod in bytes',
      perPod(({ memoryWorkingSetBytes }) => memoryWorkingSetBytes),
    ),
    gauge('resource_scrape_error', '1 if there was an error while getting container metrics, 0 otherwise', [{ labels: {}, value: 0 }]),
  ]);
}

/** `/metrics/cadvisor`: the few series that dashboards cannot do without. */
export function renderCadvisorMetrics(pods: readonly PodUsage[]): string {
  const labelsOf = (pod: PodUsage, container: string) => ({
    container,
    id: `/kubepods/pod${pod.pod.metadata.uid}/${container}`,
    namespace: pod.pod.metadata.namespace ?? '',
    pod: pod.pod.metadata.name,
  });
  const perContainer = (of: (container: PodUsage['containers'][number]) => number): Sample[] =>
    pods.flatMap((pod) => pod.containers.map((container) => ({ labels: labelsOf(pod, container.name), value: of(container) })));
  const network = (of: (pod: PodUsage) => number): Sample[] =>
    pods.map((pod) => ({ labels: { ...labelsOf(pod, ''), interface: 'eth0' }, value: of(pod) }));
  return render([
    counter(
      'container_cpu_usage_seconds_total',
      'Cumulative cpu time consumed in seconds.',
      perContainer(({ stats }) => stats.cpuUsageNs / 1e9),
    ),
    gauge(
      'container_memory_working_set_bytes',
      'Current working set in bytes.',
      perContainer(({ stats }) => stats.memoryWorkingSetBytes),
    ),
    gauge(
      'container_memory_rss',
      'Size of RSS in bytes.',
      perContainer(({ stats }) => stats.memoryRssBytes),
    ),
    gauge(
      'container_processes',
      'Number of processes running inside the container.',
      perContainer(({ stats }) => stats.pids),
    ),
    counter(
      'container_network_receive_bytes_total',
      'Cumulative count of bytes received',
      network(({ rxBytes }) => rxBytes),
    ),
    counter(
      'container_network_transmit_bytes_total',
      'Cumulative count of bytes transmitted',
      network(({ txBytes }) => txBytes),
    ),
  ]);
}

/** `/metrics`: this process. */
export function renderProcessMetrics(
  process: { readonly cpuSeconds: number; readonly residentBytes: number; readonly startSeconds: number },
  pods: number,
  containers: number,
): string {
  return render([
    counter('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', [{ labels: {}, value: process.cpuSeconds }]),
    gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', [{ labels: {}, value: process.residentBytes }]),
    gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', [
      { labels: {}, value: process.startSeconds },
    ]),
    gauge('kubelet_running_pods', 'Number of pods that have a running pod sandbox', [{ labels: {}, value: pods }]),
    gauge('kubelet_running_containers', 'Number of containers currently running', [
      { labels: { container_state: 'running' }, value: containers },
    ]),
  ]);
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'counter', samples };
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'gauge', samples };
}

/** The text format of Prometheus. */
function render(families: readonly Family[]): string {
  const lines: string[] = [];
  for (const { name, help, type, samples } of families) {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const { labels, value, timestampMs } of samples) {
      const pairs = Object.entries(labels).map(
        ([key, text]) => `${key}="${text.replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`))}"`,
      );
      lines.push(
        `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}${timestampMs === undefined ? '' : ` ${Math.round(timestampMs)}`}`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}
