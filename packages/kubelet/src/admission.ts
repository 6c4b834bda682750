import type { Node, NodeSelectorTerm, Pod } from '@dure/api';
import { podTotals, totalRequest } from './config/qos.ts';
import { forbiddenSysctl } from './config/security.ts';
import { bytesOf, cpuMillisOf } from './resource-amount.ts';

const OS_LABEL = 'kubernetes.io/os';
const OS = 'linux';

/** Why a node does not take a Pod that was bound to it. Becomes the Failed status's reason and message. */
export interface Rejection {
  readonly reason: string;
  readonly message: string;
}

export interface AdmissionInput {
  readonly pod: Pod;
  /** Pods that run here or are about to. */
  readonly others: readonly Pod[];
  readonly node: Node;
  readonly allowedSysctls: ReadonlySet<string>;
}

/** The node's own look at a Pod, since the scheduler may have known less, or the Pod named the node itself. Pure. */
export function admit({ pod, others, node, allowedSysctls }: AdmissionInput): Rejection | undefined {
  const labelled = pod.metadata.labels?.[OS_LABEL];
  if (labelled !== undefined && labelled !== OS) {
    return {
      reason: 'PodOSSelectorNodeLabelDoesNotMatch',
      message: "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
    };
  }
  if (pod.spec?.os !== undefined && pod.spec.os.name !== OS) {
    return { reason: 'PodOSNotSupported', message: "Failed to admit pod as the OS field doesn't match node OS" };
  }
  if (!matchesNode(pod, node)) return { reason: 'NodeAffinity', message: 'Pod was rejected: Predicate NodeAffinity failed' };
  const sysctl = forbiddenSysctl(pod, allowedSysctls);
  if (sysctl !== undefined)
    return { reason: 'SysctlForbidden', message: `Pod was rejected: forbidden sysctl: "${sysctl}" not allowlisted` };
  if (portsCollide(pod, others)) return { reason: 'NodePorts', message: 'Pod was rejected: Predicate NodePorts failed' };
  return outOfResources(pod, others, node);
}

function outOfResources(pod: Pod, others: readonly Pod[], node: Node): Rejection | undefined {
  const allocatable = node.status?.allocatable ?? {};
  const podsMax = bytesOf(allocatable.pods);
  if (podsMax !== undefined && others.length + 1 > podsMax) return rejectionFor('pods', 1, others.length, podsMax);
  const names = new Set(['cpu', 'memory', 'ephemeral-storage', ...extendedResources(pod)]);
  for (const name of names) {
    const requested = requestOf(pod, name);
    if (requested === 0) continue;
    const capacity = (name === 'cpu' ? cpuMillisOf(allocatable[name]) : bytesOf(allocatable[name])) ?? 0;
    const used = others.reduce((sum, other) => sum + requestOf(other, name), 0);
    if (used + requested > capacity) return rejectionFor(name, requested, used, capacity);
  }
  return undefined;
}

function rejectionFor(name: string, requested: number, used: number, capacity: number): Rejection {
  return {
    reason: `OutOf${name}`,
    message: `Pod was rejected: Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  };
}

function requestOf(pod: Pod, name: string): number {
  if (name === 'cpu') return podTotals(pod).cpuRequestMillis;
  if (name === 'memory') return podTotals(pod).memoryRequestBytes;
  return totalRequest(pod, name, bytesOf);
}

function extendedResources(pod: Pod): readonly string[] {
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  return all.flatMap(({ resources }) => Object.keys(resources?.requests ?? {})).filter((name) => name.includes('/'));
}

function portsCollide(pod: Pod, others: readonly Pod[]): boolean {
  const wanted = hostPortsOf(pod);
  const taken = others.flatMap(hostPortsOf);
  return wanted.some((port) =>
    taken.some(
      (other) =>
        other.port === port.port && other.protocol === port.protocol && (other.ip === port.ip || isAny(other.ip) || isAny(port.ip)),
    ),
  );
}

function isAny(ip: string): boolean {
  return ip === '' || ip === '0.0.0.0' || ip === '::';
}

function hostPortsOf(pod: Pod): readonly { readonly port: number; readonly protocol: string; readonly ip: string }[] {
  return (pod.spec?.containers ?? []).flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, protocol = 'TCP', hostIP = '' }) =>
      hostPort === undefined || hostPort === 0 ? [] : [{ port: hostPort, protocol, ip: hostIP }],
    ),
  );
}

function matchesNode(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  if (Object.entries(pod.spec?.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value)) return false;
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || required.nodeSelectorTerms.some((term) => matchesTerm(term, node));
}

function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean {
  // A term that asks for nothing matches nothing.
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  const labels = node.metadata.labels ?? {};
  return (
    matchExpressions.every(({ key, operator, values = [] }) => matches(labels[key], operator, values)) &&
    matchFields.every(({ key, operator, values = [] }) => key === 'metadata.name' && matches(node.metadata.name, operator, values))
  );
}

function matches(value: string | undefined, operator: string, values: readonly string[]): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}
