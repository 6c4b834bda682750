import type { Taint, Toleration } from '@dure/api';
import { type FilterPlugin, refuse, refuseForGood, type ScorePlugin } from '../plugin.ts';

const UNSCHEDULABLE_TAINT: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** A Pod that names its node goes nowhere else. */
export const nodeName: FilterPlugin = {
  name: 'NodeName',
  events: ['NodeAdd'],
  prepare({ pod }) {
    const wanted = pod.spec.nodeName;
    if (!wanted) return undefined;
    return (node) => (node.name === wanted ? undefined : refuseForGood("node(s) didn't match the requested node name"));
  },
};

/** Cordoned nodes take only Pods that tolerate it. */
export const nodeUnschedulable: FilterPlugin = {
  name: 'NodeUnschedulable',
  events: ['NodeAdd', 'NodeUnschedulable', 'NodeTaints'],
  prepare({ pod }) {
    if (tolerates(pod.spec.tolerations, UNSCHEDULABLE_TAINT)) return undefined;
    return (node) => (node.node.spec?.unschedulable === true ? refuseForGood('node(s) were unschedulable') : undefined);
  },
};

/** NoSchedule and NoExecute taints keep out Pods that do not tolerate them. */
export const taintToleration: FilterPlugin = {
  name: 'TaintToleration',
  events: ['NodeAdd', 'NodeTaints'],
  prepare({ pod }) {
    const { tolerations } = pod.spec;
    return ({ node }) => {
      const taint = node.spec?.taints?.find((one) => one.effect !== 'PreferNoSchedule' && !tolerates(tolerations, one));
      return taint === undefined ? undefined : refuseForGood(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`);
    };
  },
};

/** Prefers nodes with few PreferNoSchedule taints that the Pod does not tolerate. */
export const taintTolerationScore: ScorePlugin = {
  name: 'TaintToleration',
  weight: 3,
  normalize: 'largest-reversed',
  prepare({ pod }) {
    const tolerations = pod.spec.tolerations?.filter(({ effect }) => !effect || effect === 'PreferNoSchedule');
    return ({ node }) =>
      (node.spec?.taints ?? []).filter((taint) => taint.effect === 'PreferNoSchedule' && !tolerates(tolerations, taint)).length;
  },
};

/** True if one of `tolerations` allows `taint`. @see https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ */
export function tolerates(tolerations: readonly Toleration[] | undefined, taint: Taint): boolean {
  return (tolerations ?? []).some(({ key, operator, value, effect }) => {
    if (effect && effect !== taint.effect) return false;
    if (key && key !== taint.key) return false;
    // Without a key only Exists says anything: it tolerates everything.
    if (!key) return operator === 'Exists';
    return operator === 'Exists' || (value ?? '') === (taint.value ?? '');
  });
}

/** Two Pods cannot have the same port of one host. */
export const nodePorts: FilterPlugin = {
  name: 'NodePorts',
  events: ['PodGone', 'NodeAdd'],
  prepare({ hostPorts }) {
    if (hostPorts.length === 0) return undefined;
    return (node) =>
      hostPorts.some((port) => node.isPortTaken(port)) ? refuse("node(s) didn't have free ports for the requested pod ports") : undefined;
  },
};
