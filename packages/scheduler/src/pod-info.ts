import {
  type CompiledLabelSelector,
  compileLabelSelector,
  type LabelSelector,
  labelSelector,
  type Pod,
  type PodAffinityTerm,
} from '@dure/api';
import { nonZeroRequests, podRequests, type Resources } from './resources.ts';

/** A Pod with what the plugins ask of it again and again, worked out once per version of the Pod. */
export interface PodInfo {
  readonly pod: Pod;
  readonly uid: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly requests: Resources;
  readonly nonZero: Pick<Resources, 'cpuMillis' | 'memoryBytes'>;
  readonly hostPorts: readonly HostPort[];
  readonly requiredAffinity: readonly AffinityTerm[];
  readonly requiredAntiAffinity: readonly AffinityTerm[];
  readonly preferredAffinity: readonly WeightedTerm[];
  readonly preferredAntiAffinity: readonly WeightedTerm[];
  /** The owner that manages it; its Pods are spread over nodes unless they say themselves how. */
  readonly controllerUid: string | undefined;
}

export interface HostPort {
  readonly protocol: string;
  /** `0.0.0.0` for every address. */
  readonly address: string;
  readonly port: number;
}

export interface AffinityTerm {
  readonly topologyKey: string;
  readonly selector: CompiledLabelSelector;
  /** Namespaces by name; together with those that `namespaceSelector` picks. */
  readonly namespaces: ReadonlySet<string>;
  readonly namespaceSelector: CompiledLabelSelector | undefined;
}

export interface WeightedTerm extends AffinityTerm {
  readonly weight: number;
}

export function podInfo(pod: Pod): PodInfo {
  const { metadata, spec } = pod;
  const { podAffinity, podAntiAffinity } = spec.affinity ?? {};
  const term = (one: PodAffinityTerm): AffinityTerm => affinityTerm(one, pod);
  return {
    pod,
    uid: metadata.uid,
    namespace: metadata.namespace ?? '',
    labels: metadata.labels ?? {},
    priority: spec.priority ?? 0,
    requests: podRequests(pod),
    nonZero: nonZeroRequests(pod),
    hostPorts: hostPortsOf(pod),
    requiredAffinity: (podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map(term),
    requiredAntiAffinity: (podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map(term),
    preferredAffinity: (podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, podAffinityTerm }) => ({
      ...term(podAffinityTerm),
      weight,
    })),
    preferredAntiAffinity: (podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, podAffinityTerm }) => ({
      ...term(podAffinityTerm),
      weight,
    })),
    controllerUid: metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid,
  };
}

/** True if `term` speaks of `other`. @param namespaceLabels Of a namespace by name, for terms that select namespaces. */
export function termMatches(
  term: AffinityTerm,
  other: Pick<PodInfo, 'namespace' | 'labels'>,
  namespaceLabels: (namespace: string) => Readonly<Record<string, string>>,
): boolean {
  const inNamespace = term.namespaces.has(other.namespace) || (term.namespaceSelector?.matches(namespaceLabels(other.namespace)) ?? false);
  return inNamespace && term.selector.matches(other.labels);
}

/** `selector` narrowed to Pods that have the same value as `labels` for each of `keys` (or another value, for `mismatched`). */
export function narrowedSelector(
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>>,
  keys: readonly string[] = [],
  mismatched: readonly string[] = [],
): CompiledLabelSelector {
  const compiled = compileLabelSelector(selector);
  const present = (key: string): boolean => labels[key] !== undefined;
  // The server may have put them into the selector already; saying them twice changes nothing.
  const extra = [
    ...keys.filter(present).map((key) => ({ key, operator: 'In' as const, values: [labels[key] ?? ''] })),
    ...mismatched.filter(present).map((key) => ({ key, operator: 'NotIn' as const, values: [labels[key] ?? ''] })),
  ];
  return selector === undefined || extra.length === 0 ? compiled : labelSelector([...compiled.requirements, ...extra]);
}

function affinityTerm(term: PodAffinityTerm, { metadata }: Pod): AffinityTerm {
  const { namespaces = [], namespaceSelector, topologyKey, labelSelector: selector, matchLabelKeys, mismatchLabelKeys } = term;
  const own = namespaces.length === 0 && namespaceSelector === undefined ? [metadata.namespace ?? ''] : namespaces;
  return {
    topologyKey,
    selector: narrowedSelector(selector, metadata.labels ?? {}, matchLabelKeys, mismatchLabelKeys),
    namespaces: new Set(own),
    namespaceSelector: namespaceSelector === undefined ? undefined : compileLabelSelector(namespaceSelector),
  };
}

function hostPortsOf({ spec }: Pod): readonly HostPort[] {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...spec.containers, ...sidecars].flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, hostIP, protocol }) =>
      hostPort ? [{ protocol: protocol ?? 'TCP', address: hostIP || '0.0.0.0', port: hostPort }] : [],
    ),
  );
}
