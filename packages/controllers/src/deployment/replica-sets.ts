import type { Deployment, PodTemplateSpec, ReplicaSet } from '@dure/api';
import { deepEqual } from '../deep-equal.ts';
import { resolveIntOrPercent } from '../int-or-percent.ts';

export const HASH_LABEL = 'pod-template-hash';
export const REVISION = 'deployment.kubernetes.io/revision';
export const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history';
export const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas';
export const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas';

/** Annotations of a Deployment that its ReplicaSets do not get. */
const NOT_COPIED: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  'deprecated.deployment.rollback.to',
]);
/** Longer histories lose their oldest entries. */
const HISTORY_CHARACTERS_MAX = 2000;

export function wantedReplicas({ spec }: Deployment): number {
  return spec.replicas ?? 1;
}

export function specReplicas({ spec }: ReplicaSet): number {
  return spec.replicas ?? 1;
}

export function sumOf(replicaSets: readonly ReplicaSet[], of: (replicaSet: ReplicaSet) => number | undefined): number {
  return replicaSets.reduce((sum, replicaSet) => sum + (of(replicaSet) ?? 0), 0);
}

/** How many Pods may exist above the wanted number during a rolling update. */
export function maxSurge(deployment: Deployment): number {
  return isRolling(deployment) ? bounds(deployment).surge : 0;
}

/** How many Pods may be missing from the wanted number during a rolling update. */
export function maxUnavailable(deployment: Deployment): number {
  const replicas = wantedReplicas(deployment);
  if (!isRolling(deployment) || replicas === 0) return 0;
  return Math.min(bounds(deployment).unavailable, replicas);
}

export function isRolling({ spec }: Deployment): boolean {
  return (spec.strategy?.type ?? 'RollingUpdate') === 'RollingUpdate';
}

function bounds(deployment: Deployment): { readonly surge: number; readonly unavailable: number } {
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec.strategy?.rollingUpdate ?? {};
  const replicas = wantedReplicas(deployment);
  const surge = resolveIntOrPercent(maxSurge, replicas, 'up');
  const unavailable = resolveIntOrPercent(maxUnavailable, replicas, 'down');
  // Both 0 would never move; percentages of few replicas can round to that.
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

/** Equal but for the hash label that tells ReplicaSets apart. */
export function sameTemplate(a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean {
  return deepEqual(withoutHash(a), withoutHash(b));
}

function withoutHash(template: PodTemplateSpec | undefined): unknown {
  if (template === undefined) return undefined;
  const { metadata = {}, spec } = template;
  const { [HASH_LABEL]: _hash, ...labels } = metadata.labels ?? {};
  // The server fills in `creationTimestamp: null` in some places and not in others.
  const { creationTimestamp: _created, ...rest } = metadata;
  return { metadata: { ...rest, labels }, spec };
}

/** The oldest ReplicaSet that has the Deployment's template. */
export function findNewReplicaSet(deployment: Deployment, replicaSets: readonly ReplicaSet[]): ReplicaSet | undefined {
  return replicaSets.toSorted(byCreation).find(({ spec }) => sameTemplate(spec.template, deployment.spec.template));
}

export function byCreation(a: ReplicaSet, b: ReplicaSet): number {
  return compare(a.metadata.creationTimestamp, b.metadata.creationTimestamp) || compare(a.metadata.name, b.metadata.name);
}

/** The most that a revision can be, for readers that hold 64 bits. */
const REVISION_MAX = 2n ** 63n - 1n;

/** Which template a ReplicaSet stands for, counted from 1; 0: it does not say, or what it says is no number. */
export function revisionOf({ metadata }: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } }): bigint {
  const text = metadata.annotations?.[REVISION] ?? '';
  const revision = /^\d+$/.test(text) ? BigInt(text) : 0n;
  return revision > REVISION_MAX ? 0n : revision;
}

export function byRevision(a: ReplicaSet, b: ReplicaSet): number {
  const [one, other] = [revisionOf(a), revisionOf(b)];
  return one < other ? -1 : Number(one > other);
}

/** The annotations that `replicaSet`, new or found again after a rollback, should carry as the one of `revision`. */
export function newReplicaSetAnnotations(
  deployment: Deployment,
  replicaSet: Pick<ReplicaSet, 'metadata'> | undefined,
  revision: bigint,
): Readonly<Record<string, string>> {
  const current = replicaSet?.metadata.annotations ?? {};
  const copied = Object.fromEntries(Object.entries(deployment.metadata.annotations ?? {}).filter(([name]) => !NOT_COPIED.has(name)));
  const before = revisionOf({ metadata: { annotations: current } });
  if (before >= revision) return { ...current, ...copied };
  const history = before === 0n ? undefined : appendHistory(current[REVISION_HISTORY], before);
  return { ...current, ...copied, [REVISION]: String(revision), ...(history !== undefined && { [REVISION_HISTORY]: history }) };
}

/** What a ReplicaSet remembers of the Deployment's size, for scaling several in proportion. */
export function sizeAnnotations(deployment: Deployment): Readonly<Record<string, string>> {
  const replicas = wantedReplicas(deployment);
  return { [DESIRED_REPLICAS]: String(replicas), [MAX_REPLICAS]: String(replicas + maxSurge(deployment)) };
}

export function numberAnnotation({ metadata }: ReplicaSet, name: string): number | undefined {
  const value = metadata.annotations?.[name];
  return value !== undefined && /^-?\d+$/.test(value) ? Number(value) : undefined;
}

function appendHistory(history: string | undefined, revision: bigint): string {
  const revisions = [...(history ? history.split(',') : []), String(revision)];
  while (revisions.length > 1 && revisions.join(',').length > HISTORY_CHARACTERS_MAX) revisions.shift();
  return revisions.join(',');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
