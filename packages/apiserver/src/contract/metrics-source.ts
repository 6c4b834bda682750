export interface UsageSample {
  /** RFC 3339. */
  readonly timestamp: string;
  readonly windowMs: number;
  readonly cpuNanoCores: number;
  readonly memoryBytes: number;
}

export interface PodUsage {
  readonly namespace: string;
  readonly name: string;
  readonly containers: readonly { readonly name: string; readonly usage: UsageSample }[];
}

/** What `metrics.k8s.io` is answered from. A node that does not answer in time is missing from the answer; nothing is made up. */
export interface MetricsSource {
  node(name: string, signal: AbortSignal): Promise<UsageSample | undefined>;
  /** Usage of the Pods on one node. */
  pods(nodeName: string, signal: AbortSignal): Promise<readonly PodUsage[]>;
}
