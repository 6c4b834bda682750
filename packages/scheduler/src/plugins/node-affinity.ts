import type { Node, NodeSelectorRequirement, NodeSelectorTerm, Pod } from '@dure/api';
import { type FilterPlugin, refuseForGood, type ScorePlugin } from '../plugin.ts';

/** `nodeSelector` and required node affinity must both hold. */
export const nodeAffinity: FilterPlugin = {
  name: 'NodeAffinity',
  events: ['NodeAdd', 'NodeLabels'],
  prepare({ pod }) {
    const fits = nodeMatcher(pod);
    if (fits === undefined) return undefined;
    return ({ node }) => (fits(node) ? undefined : refuseForGood("node(s) didn't match Pod's node affinity/selector"));
  },
};

/** Sums the weights of the preferences that a node meets. */
export const nodeAffinityScore: ScorePlugin = {
  name: 'NodeAffinity',
  weight: 2,
  normalize: 'largest',
  prepare({ pod }) {
    const preferred = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    if (preferred.length === 0) return undefined;
    return ({ node }) => preferred.reduce((sum, { weight, preference }) => (termMatchesNode(preference, node) ? sum + weight : sum), 0);
  },
};

/** What `pod` demands of its node's labels and name; `undefined` if nothing. */
export function nodeMatcher({ spec }: Pod): ((node: Node) => boolean) | undefined {
  const { nodeSelector } = spec;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required === undefined && (nodeSelector === undefined || Object.keys(nodeSelector).length === 0)) return undefined;
  const labels = Object.entries(nodeSelector ?? {});
  return (node) =>
    labels.every(([key, value]) => node.metadata.labels?.[key] === value) &&
    // Terms are alternatives; none at all match nothing.
    (required === undefined || required.nodeSelectorTerms.some((term) => termMatchesNode(term, node)));
}

/** A term without any requirement matches no node. */
export function termMatchesNode({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, { metadata }: Node): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((requirement) => holds(requirement, metadata.labels?.[requirement.key])) &&
    matchFields.every((requirement) => holds(requirement, requirement.key === 'metadata.name' ? metadata.name : undefined))
  );
}

function holds({ operator, values = [] }: NodeSelectorRequirement, actual: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return actual !== undefined && values.includes(actual);
    case 'NotIn':
      return actual === undefined || !values.includes(actual);
    case 'Exists':
      return actual !== undefined;
    case 'DoesNotExist':
      return actual === undefined;
    case 'Gt':
    case 'Lt': {
      const bound = integerOf(values[0]);
      const number = integerOf(actual);
      if (bound === undefined || number === undefined) return false;
      return operator === 'Gt' ? number > bound : number < bound;
    }
    default:
      return operator satisfies never;
  }
}

function integerOf(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[+-]?\d+$/.test(text) ? BigInt(text) : undefined;
}
