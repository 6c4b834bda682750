import { access } from 'node:fs/promises';
import type { Pod } from '@dure/api';
import type { Clock } from '@dure/foundation';
import type { ContainerStatus as RuntimeContainer, RuntimeService } from '@dure/runtime';
import type { Kubelet } from '../kubelet.ts';
import { readLog } from '../logs/log-reader.ts';
import { missingRun } from '../logs/missing-run.ts';
import { findContainer } from '../pod-identity.ts';
import { UsageMeter } from '../stats/cpu-rates.ts';
import { renderCadvisorMetrics, renderProcessMetrics, renderResourceMetrics } from '../stats/metrics-text.ts';
import { renderSummary } from '../stats/summary.ts';
import { type NodeUsage, type PodUsage, readUsage } from '../stats/usage.ts';
import { NodeRequestError, type NodeServerHandlers } from './node-server.ts';

export interface NodeHandlerOptions {
  readonly kubelet: Kubelet;
  readonly runtime: RuntimeService;
  readonly nodeName: string;
  readonly nodeUsage: () => Promise<NodeUsage>;
  /** This process: seconds of CPU, bytes, start in seconds since 1970. */
  readonly processUsage: () => { readonly cpuSeconds: number; readonly residentBytes: number; readonly startSeconds: number };
  /** What `/configz` shows. */
  readonly config: () => unknown;
  readonly clock: Clock;
}

/** Answers the node's HTTPS requests from the kubelet and the runtime. */
export function nodeHandlers({
  kubelet,
  runtime,
  nodeName,
  nodeUsage,
  processUsage,
  config,
  clock,
}: NodeHandlerOptions): NodeServerHandlers {
  const podOf = (namespace: string, name: string, uid: string | undefined): Pod => {
    const pod = uid === undefined ? kubelet.podByName(namespace, name) : kubelet.podByUid(uid);
    if (pod === undefined || pod.metadata.namespace !== namespace || pod.metadata.name !== name) {
      throw new NodeRequestError(404, `pod "${name}" not found`);
    }
    return pod;
  };
  /** Newest first. */
  const runsOf = async (pod: Pod, container: string): Promise<readonly RuntimeContainer[]> => {
    const ids = kubelet.sandboxIdsOf(pod.metadata.uid);
    const all = (await Promise.all(ids.map((sandboxId) => runtime.listContainers({ sandboxId })))).flat();
    return all.filter(({ metadata }) => metadata.name === container).sort((a, b) => b.metadata.attempt - a.metadata.attempt);
  };
  const usage = (): Promise<readonly PodUsage[]> => readUsage(runtime, kubelet.pods, (uid) => kubelet.sandboxIdsOf(uid), clock.now());
  const meter = new UsageMeter(async () => {
    const [node, pods] = await Promise.all([nodeUsage(), usage()]);
    return { atMs: clock.monotonicMs(), node, pods };
  }, clock);

  return {
    async containerId(namespace, name, uid, container) {
      const pod = podOf(namespace, name, uid);
      const running = (await runsOf(pod, container)).find(({ state }) => state === 'running');
      if (running === undefined) throw new NodeRequestError(404, `container not found ("${container}")`);
      return running.id;
    },

    async sandboxId(namespace, name, uid) {
      const pod = podOf(namespace, name, uid);
      for (const id of [...kubelet.sandboxIdsOf(pod.metadata.uid)].reverse()) {
        if ((await runtime.sandboxStatus(id))?.state === 'ready') return id;
      }
      throw new NodeRequestError(404, `pod "${name}" has no running sandbox`);
    },

    async logs(namespace, name, container, options, signal) {
      const pod = podOf(namespace, name, undefined);
      if (findContainer(pod, container) === undefined) {
        throw new NodeRequestError(404, `container "${container}" not found in pod "${name}"`);
      }
      const runs = (await runsOf(pod, container)).filter(({ state }) => state !== 'created');
      const run = options.previous ? runs.filter(({ state }) => state === 'exited')[runs[0]?.state === 'exited' ? 1 : 0] : runs[0];
      if (run === undefined) throw new NodeRequestError(400, missingRun(pod, container, options.previous));
      const readable = await access(run.logPath).then(
        () => true,
        () => false,
      );
      if (!readable && run.reason !== 'StartError') {
        throw new NodeRequestError(404, `log of container "${container}" in pod "${name}" is gone`);
      }
      const isRunning = async (): Promise<boolean> => (await runtime.containerStatus(run.id))?.state === 'running';
      const done = new AbortController();
      const stop = AbortSignal.any([signal, done.signal]);
      const follow = options.follow === true && run.state === 'running';
      const ended = follow ? whenEnded(runtime, run.id, stop) : Promise.resolve();
      return endingWith(readLog(run.logPath, { ...options, follow }, isRunning, ended, signal), () => done.abort());
    },

    pods: () => ({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: kubelet.pods }),

    async summary() {
      const { reading, rates } = await meter.measure();
      return renderSummary(nodeName, reading.node, reading.pods, rates, clock.now());
    },

    async metrics(kind) {
      if (kind === 'probes') return '';
      const pods = await usage();
      if (kind === 'cadvisor') return renderCadvisorMetrics(pods);
      if (kind === 'resource') return renderResourceMetrics(await nodeUsage(), pods, clock.now());
      return renderProcessMetrics(
        processUsage(),
        pods.length,
        pods.reduce((sum, { containers }) => sum + containers.length, 0),
      );
    },

    config,
  };
}

/** Resolves when the container has ended, or when `signal` aborts. */
async function whenEnded(runtime: RuntimeService, id: string, signal: AbortSignal): Promise<void> {
  try {
    const events = runtime.events(signal)[Symbol.asyncIterator]();
    // Subscribed first, looked second: an end in between is not missed.
    let next = events.next();
    if ((await runtime.containerStatus(id))?.state !== 'running') return;
    for (;;) {
      const { done, value } = await next;
      if (done === true) return;
      if (value.kind !== 'started' && value.kind !== 'sandbox-changed' && value.containerId === id) return;
      next = events.next();
    }
  } catch {
    // The stream broke off: whoever waits looks for itself.
  }
}

async function* endingWith(lines: AsyncIterable<Buffer>, finish: () => void): AsyncGenerator<Buffer> {
  try {
    yield* lines;
  } finally {
    finish();
  }
}
