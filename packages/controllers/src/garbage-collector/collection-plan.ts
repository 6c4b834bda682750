import type { KubeObject, OwnerReference } from '@dure/api';
import { FOREGROUND, type GraphNode, ORPHAN, refersTo } from './ownership-graph.ts';

/** What is known of one owner. */
export type OwnerState = 'present' | 'absent' | 'waits-for-dependents';

export type CollectionPlan =
  | { readonly kind: 'nothing' }
  /** Some owners remain: only the references to the others go. */
  | { readonly kind: 'drop-references'; readonly uids: readonly string[] }
  | {
      readonly kind: 'delete';
      readonly policy: 'Foreground' | 'Background' | 'Orphan' /** Dependents that would wait for us while we wait for them. */;
      readonly unblock: readonly GraphNode[];
    };

/**
 * What happens to an object, given the state of each of its owners. Pure.
 * @param latest The object as the server has it now. @param dependents Objects that it owns itself.
 */
export function planCollection(
  latest: KubeObject,
  states: ReadonlyMap<string, OwnerState>,
  dependents: readonly GraphNode[],
): CollectionPlan {
  const owners = latest.metadata.ownerReferences ?? [];
  if (owners.length === 0) return { kind: 'nothing' };
  const of = (state: OwnerState): readonly OwnerReference[] => owners.filter(({ uid }) => states.get(uid) === state);
  const useless = [...of('absent'), ...of('waits-for-dependents')];
  if (of('present').length > 0) {
    return useless.length === 0 ? { kind: 'nothing' } : { kind: 'drop-references', uids: useless.map(({ uid }) => uid) };
  }
  if (of('waits-for-dependents').length > 0 && dependents.length > 0) {
    return { kind: 'delete', policy: 'Foreground', unblock: dependents.filter(({ waitsForDependents }) => waitsForDependents) };
  }
  // A wish that the object carries already stands: somebody asked for that before us.
  const { finalizers = [] } = latest.metadata;
  const policy = finalizers.includes(ORPHAN) ? 'Orphan' : finalizers.includes(FOREGROUND) ? 'Foreground' : 'Background';
  return { kind: 'delete', policy, unblock: [] };
}

/** Dependents whose owner may not go before they are gone. */
export function blockingDependents(owner: GraphNode, dependents: readonly GraphNode[]): readonly GraphNode[] {
  return dependents.filter(({ owners }) => owners.some(({ uid, blockOwnerDeletion }) => uid === owner.uid && blockOwnerDeletion === true));
}

/** Keys of {@link GraphNode}s that a change from `before` to `after` makes worth a look. Pure. */
export function affectedBy(
  before: GraphNode | undefined,
  after: GraphNode,
  isKnown: (uid: string) => GraphNode | undefined,
): readonly string[] {
  const affected: string[] = [];
  const startsWaiting = after.waitsForDependents && before?.waitsForDependents !== true;
  const startsLeaving = after.leavesDependents && before?.leavesDependents !== true;
  if (startsWaiting || startsLeaving) affected.push(after.uid);
  // An owner unknown, another than the one named, or waiting for us: somebody has to find out, or let it go.
  const isDue = after.owners.some((reference) => {
    const owner = isKnown(reference.uid);
    return owner === undefined || owner.waitsForDependents || !refersTo(reference, after.namespace, owner);
  });
  if (isDue) affected.push(after.uid);
  const blocked = (node: GraphNode | undefined): ReadonlySet<string> =>
    new Set((node?.owners ?? []).filter(({ blockOwnerDeletion }) => blockOwnerDeletion === true).map(({ uid }) => uid));
  const stillBlocked = blocked(after);
  for (const uid of blocked(before)) if (!stillBlocked.has(uid)) affected.push(uid);
  return [...new Set(affected)];
}
