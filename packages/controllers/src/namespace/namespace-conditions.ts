import type { Namespace, NamespaceCondition } from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';

/** What deleting a namespace's content met. */
export interface DeletionFindings {
  /** Group versions that could not be discovered. */
  readonly discovery: readonly string[];
  /** Collections whose content could not be deleted. */
  readonly content: readonly string[];
  /** Objects left, by resource as `pods.`, `widgets.example.com`. */
  readonly remaining: ReadonlyMap<string, number>;
  /** Objects left that wait for a finalizer, by finalizer. */
  readonly finalizers: ReadonlyMap<string, number>;
}

interface Kind {
  readonly type: string;
  /** Reason when something is wrong, and when nothing is. */
  readonly bad: string;
  readonly good: string;
  readonly goodMessage: string;
}

const KINDS: Readonly<Record<'discovery' | 'group' | 'content' | 'remaining' | 'finalizers', Kind>> = {
  discovery: {
    type: 'NamespaceDeletionDiscoveryFailure',
    bad: 'DiscoveryFailed',
    good: 'ResourcesDiscovered',
    goodMessage: 'All resources successfully discovered',
  },
  group: {
    type: 'NamespaceDeletionGroupVersionParsingFailure',
    bad: 'GroupVersionParsingFailed',
    good: 'ParsedGroupVersions',
    goodMessage: 'All legacy kube types successfully parsed',
  },
  content: {
    type: 'NamespaceDeletionContentFailure',
    bad: 'ContentDeletionFailed',
    good: 'ContentDeleted',
    goodMessage: 'All content successfully deleted, may be waiting on finalization',
  },
  remaining: {
    type: 'NamespaceContentRemaining',
    bad: 'SomeResourcesRemain',
    good: 'ContentRemoved',
    goodMessage: 'All content successfully removed',
  },
  finalizers: {
    type: 'NamespaceFinalizersRemaining',
    bad: 'SomeFinalizersRemain',
    good: 'ContentHasNoFinalizers',
    goodMessage: 'All content-preserving finalizers finished',
  },
};

/** The conditions of a namespace on its way out. A condition whose status and reason stay keeps its time. */
export function deletionConditions({ status }: Namespace, findings: DeletionFindings, nowMs: number): readonly NamespaceCondition[] {
  const wrong: Readonly<Record<keyof typeof KINDS, string | undefined>> = {
    discovery: listed('Discovery failed for some groups, ', findings.discovery),
    group: undefined,
    content: listed('Failed to delete all resource types, ', findings.content),
    remaining: counted('Some resources are remaining: ', findings.remaining, (name, count) => `${name} has ${count} resource instances`),
    finalizers: counted(
      'Some content in the namespace has finalizers remaining: ',
      findings.finalizers,
      (name, count) => `${name} in ${count} resource instances`,
    ),
  };
  return (Object.keys(KINDS) as (keyof typeof KINDS)[]).map((key) => {
    const { type, bad, good, goodMessage } = KINDS[key];
    const message = wrong[key];
    const said = message === undefined ? { status: 'False', reason: good, message: goodMessage } : { status: 'True', reason: bad, message };
    const before = status?.conditions?.find((condition) => condition.type === type);
    const isKept = before?.status === said.status && before.reason === said.reason;
    return { type, ...said, lastTransitionTime: (isKept ? before.lastTransitionTime : undefined) ?? rfc3339Seconds(nowMs) };
  });
}

function listed(prefix: string, what: readonly string[]): string | undefined {
  return what.length === 0 ? undefined : `${prefix}${what.length} remaining: ${what.join(', ')}`;
}

function counted(prefix: string, counts: ReadonlyMap<string, number>, say: (name: string, count: number) => string): string | undefined {
  const parts = [...counts].filter(([, count]) => count > 0).map(([name, count]) => say(name, count));
  return parts.length === 0 ? undefined : `${prefix}${parts.sort().join(', ')}`;
}
