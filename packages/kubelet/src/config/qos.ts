import type { Container, Pod, ResourceRequirements } from '@dure/api';
import { isSidecar } from '../pod-identity.ts';
import { amountOf, bytesOf, cpuMillisOf } from '../resource-amount.ts';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const COUNTED = ['cpu', 'memory'] as const;

/** @see https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/ */
export function qosClassOf(pod: Pod): QosClass {
  // Requests and limits of the Pod itself, where set, speak for all its containers.
  if (pod.spec?.resources !== undefined && hasAny(pod.spec.resources)) return classOf([pod.spec.resources]);
  const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  return classOf(all.map(({ resources }) => resources ?? {}));
}

function classOf(all: readonly ResourceRequirements[]): QosClass {
  if (!all.some(hasAny)) return 'BestEffort';
  const guaranteed = all.every(({ requests, limits }) =>
    COUNTED.every((name) => {
      const limit = positive(limits?.[name]);
      const request = positive(requests?.[name]) ?? limit;
      return limit !== undefined && request === limit;
    }),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function hasAny({ requests, limits }: ResourceRequirements): boolean {
  return COUNTED.some((name) => positive(requests?.[name]) !== undefined || positive(limits?.[name]) !== undefined);
}

function positive(quantity: string | undefined): number | undefined {
  const amount = quantity === undefined ? 0 : amountOf(quantity);
  return amount > 0 ? amount : undefined;
}

/** `kubepods/burstable/pod<uid>`, relative to the runtime's cgroup root. */
export function cgroupParentOf(pod: Pod): string {
  return `kubepods/${qosClassOf(pod).toLowerCase()}/pod${pod.metadata.uid}`;
}

/** What the whole Pod asks for or may use of one resource; `undefined` in `limits` when any container is unlimited. */
export interface PodTotals {
  readonly cpuRequestMillis: number;
  readonly memoryRequestBytes: number;
  readonly cpuLimitMillis?: number;
  readonly memoryLimitBytes?: number;
}

/**
 * A Pod's effective resources: regular containers plus sidecars, or the largest init container beside the sidecars before it,
 * whichever is more; plus overhead. Pod-level values win. @see KEP-753, KEP-2837
 */
export function podTotals(pod: Pod): PodTotals {
  const cpu = (value: string | undefined): number | undefined => cpuMillisOf(value);
  const memory = (value: string | undefined): number | undefined => bytesOf(value);
  const level = pod.spec?.resources;
  const cpuLimitMillis = cpu(level?.limits?.cpu) ?? totalLimit(pod, 'cpu', cpu);
  const memoryLimitBytes = memory(level?.limits?.memory) ?? totalLimit(pod, 'memory', memory);
  const overheadCpu = cpu(pod.spec?.overhead?.cpu) ?? 0;
  const overheadMemory = memory(pod.spec?.overhead?.memory) ?? 0;
  return {
    cpuRequestMillis: (cpu(level?.requests?.cpu) ?? totalRequest(pod, 'cpu', cpu)) + overheadCpu,
    memoryRequestBytes: (memory(level?.requests?.memory) ?? totalRequest(pod, 'memory', memory)) + overheadMemory,
    ...(cpuLimitMillis === undefined ? {} : { cpuLimitMillis: cpuLimitMillis + overheadCpu }),
    ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes: memoryLimitBytes + overheadMemory }),
  };
}

/** Any other resource (`nvidia.com/gpu`, `ephemeral-storage`) summed the same way. */
export function totalRequest(pod: Pod, name: string, parse: (value: string | undefined) => number | undefined): number {
  const of = ({ resources }: Container): number => parse(resources?.requests?.[name] ?? resources?.limits?.[name]) ?? 0;
  return effective(pod, of);
}

function totalLimit(pod: Pod, name: string, parse: (value: string | undefined) => number | undefined): number | undefined {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? []).filter(isSidecar)];
  if (containers.some(({ resources }) => parse(resources?.limits?.[name]) === undefined)) return undefined;
  return effective(pod, ({ resources }) => parse(resources?.limits?.[name]) ?? 0);
}

function effective(pod: Pod, of: (container: Container) => number): number {
  let sidecars = 0;
  let initPeak = 0;
  for (const container of pod.spec?.initContainers ?? []) {
    if (isSidecar(container)) sidecars += of(container);
    else initPeak = Math.max(initPeak, sidecars + of(container));
  }
  const running = (pod.spec?.containers ?? []).reduce((sum, container) => sum + of(container), sidecars);
  return Math.max(running, initPeak);
}

/** @see upstream's GetContainerOOMScoreAdjust: the more memory was asked for, the later a container dies. */
export function oomScoreAdjOf(pod: Pod, container: Container, nodeMemoryBytes: number): number {
  if (pod.spec?.priorityClassName === 'system-node-critical') return -997;
  const qos = qosClassOf(pod);
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const requested = bytesOf(container.resources?.requests?.memory) ?? 0;
  const adjust = 1000 - Math.trunc((1000 * requested) / nodeMemoryBytes);
  if (adjust < 1000 + -997) return 1000 + -997;
  return adjust === 1000 ? 999 : adjust;
}
