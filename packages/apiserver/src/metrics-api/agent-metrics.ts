import { abortable, type Clock, rfc3339Seconds } from '@dure/foundation';
import { nodeOf } from '../connect/pod-streams.ts';
import type { MetricsSource, PodUsage, UsageSample } from '../contract/metrics-source.ts';
import type { NodeDialer } from '../contract/node-dialer.ts';
import type { ObjectReader } from '../contract/object-reader.ts';

interface Usage {
  readonly cpu?: { readonly time?: string; readonly usageNanoCores?: number };
  readonly memory?: { readonly time?: string; readonly workingSetBytes?: number };
}

interface Summary {
  readonly node?: Usage;
  readonly pods?: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string };
    readonly containers?: readonly (Usage & { readonly name: string })[];
  }[];
}

/** Answers within this time are used for everybody who asks. */
const FRESH_MS = 5_000;
const TIMEOUT_MS = 5_000;
const WINDOW_MS = 15_000;
const SUMMARY_BYTES_MAX = 32 * 1024 * 1024;

/** Reads usage from the agents' `/stats/summary`. */
export function agentMetrics(reads: ObjectReader, nodes: NodeDialer, clock: Clock): MetricsSource {
  const recent = new Map<string, { readonly atMs: number; readonly summary: Promise<Summary | undefined> }>();

  const fetchSummary = async (nodeName: string): Promise<Summary | undefined> => {
    const stop = new AbortController();
    const late = clock.sleep(TIMEOUT_MS, stop.signal).then(
      () => stop.abort(new Error('the agent did not answer in time')),
      () => undefined,
    );
    try {
      const endpoint = await nodeOf(reads, nodeName);
      const answer = await nodes.request(endpoint, { method: 'GET', path: '/stats/summary', headers: {} }, stop.signal);
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of answer.body) {
        chunks.push(chunk);
        size += chunk.length;
        if (size > SUMMARY_BYTES_MAX) return undefined;
      }
      return answer.status === 200 ? (JSON.parse(Buffer.concat(chunks).toString('utf8')) as Summary) : undefined;
    } catch {
      // An agent that is away has no figures; which one is seen in the answer.
      return undefined;
    } finally {
      stop.abort();
      await late;
    }
  };

  const summaryOf = (nodeName: string, signal: AbortSignal): Promise<Summary | undefined> => {
    const nowMs = clock.monotonicMs();
    for (const [name, { atMs }] of recent) if (nowMs - atMs >= FRESH_MS) recent.delete(name);
    let known = recent.get(nodeName);
    if (known === undefined) {
      known = { atMs: nowMs, summary: fetchSummary(nodeName) };
      recent.set(nodeName, known);
    }
    return abortable(known.summary, signal);
  };

  return {
    async node(name, signal) {
      const summary = await summaryOf(name, signal);
      return summary?.node === undefined ? undefined : sampleOf(summary.node, clock);
    },
    async pods(nodeName, signal) {
      const summary = await summaryOf(nodeName, signal);
      return (summary?.pods ?? []).map(
        ({ podRef, containers = [] }): PodUsage => ({
          namespace: podRef.namespace,
          name: podRef.name,
          containers: containers.map((container) => ({ name: container.name, usage: sampleOf(container, clock) })),
        }),
      );
    },
  };
}

function sampleOf({ cpu, memory }: Usage, clock: Clock): UsageSample {
  return {
    timestamp: cpu?.time ?? memory?.time ?? rfc3339Seconds(clock.now()),
    windowMs: WINDOW_MS,
    cpuNanoCores: cpu?.usageNanoCores ?? 0,
    memoryBytes: memory?.workingSetBytes ?? 0,
  };
}
