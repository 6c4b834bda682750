import {
  internalError,
  type KubeObject,
  type Pod,
  type PodDisruptionBudget,
  type StatusCause,
  StatusError,
  tooManyRequests,
} from '@dure/api';
import type { Clock } from '@dure/foundation';
import type { EvictionGuard } from '../contract/eviction-guard.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import { type BudgetState, budgetState, budgetsOf, countsFromOwners, isReady } from './budget-math.ts';

/** An allowed Pod that has not gone by then will not go, and counts again. */
const DISRUPTION_MS = 120_000;
/** How many allowed Pods are remembered for all budgets; beyond that evictions wait. */
const DISRUPTIONS_MAX = 2000;
/** Resources whose `spec.replicas` says how many Pods an owner wants, by the owner's kind. */
const SCALED: Readonly<Record<string, { readonly group: string; readonly resource: string }>> = {
  ReplicaSet: { group: 'apps', resource: 'replicasets' },
  StatefulSet: { group: 'apps', resource: 'statefulsets' },
  ReplicationController: { group: '', resource: 'replicationcontrollers' },
};

/**
 * Judges evictions by the budgets' specs and the Pods as they stand, not by the budgets' status: the answer is right without a controller that keeps
 * that status, and cannot be older than the newest write. What was allowed counts as gone at once, so that two evictions never share one allowance.
 */
export class BudgetGuard implements EvictionGuard {
  readonly #reads: ObjectReader;
  readonly #clock: Clock;
  /** Until when an allowed Pod counts as gone, by its uid; monotonic milliseconds. */
  readonly #allowed = new Map<string, number>();

  constructor(reads: ObjectReader, clock: Clock) {
    this.#reads = reads;
    this.#clock = clock;
  }

  async allow(pod: KubeObject, dryRun: boolean): Promise<void> {
    const { namespace = '', uid } = pod.metadata;
    const candidate = pod as Pod;
    const budgets = await this.#reads.list('policy', 'poddisruptionbudgets', { namespace, fresh: true });
    const [budget, another] = budgetsOf(pod, budgets as readonly PodDisruptionBudget[]);
    if (budget === undefined) return;
    if (another !== undefined) {
      throw internalError(new Error('This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.'));
    }
    if (budget.spec.unhealthyPodEvictionPolicy === 'AlwaysAllow' && !isReady(candidate)) return;
    const selected = (await this.#reads.list('', 'pods', {
      namespace,
      fresh: true,
      where: (other) => budgetsOf(other, [budget]).length > 0,
    })) as readonly Pod[];
    const expected = countsFromOwners(budget) ? await this.#expected(selected) : selected.length;

    // From here on nothing waits: what is counted is what is allowed.
    const state = budgetState(budget, selected, this.#gone(), expected);
    const spare = state.currentHealthy - state.desiredHealthy;
    // A Pod that serves nobody takes nothing from a budget that is met.
    if (!isReady(candidate) && spare >= 0 && state.desiredHealthy > 0) return;
    if (spare <= 0) throw exhausted(budget, state);
    if (this.#allowed.size >= DISRUPTIONS_MAX) throw tooManyRequests('too many evictions are on their way', 10);
    if (!dryRun) this.#allowed.set(uid, this.#clock.monotonicMs() + DISRUPTION_MS);
  }

  /** Allowed Pods that still count as gone; forgets the others. */
  #gone(): ReadonlySet<string> {
    const nowMs = this.#clock.monotonicMs();
    for (const [uid, untilMs] of this.#allowed) if (untilMs <= nowMs) this.#allowed.delete(uid);
    return new Set(this.#allowed.keys());
  }

  /** How many Pods the owners of `selected` want together; a Pod without a scaled owner stands for itself. */
  async #expected(selected: readonly Pod[]): Promise<number> {
    const owners = new Map<string, Promise<number>>();
    let alone = 0;
    for (const pod of selected) {
      const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
      const place = owner === undefined ? undefined : SCALED[owner.kind];
      if (owner === undefined || place === undefined) alone += 1;
      else if (!owners.has(owner.uid)) owners.set(owner.uid, this.#replicasOf(place, pod.metadata.namespace, owner.name));
    }
    const wanted = await Promise.all(owners.values());
    return wanted.reduce((sum, replicas) => sum + replicas, alone);
  }

  async #replicasOf(
    { group, resource }: { group: string; resource: string },
    namespace: string | undefined,
    name: string,
  ): Promise<number> {
    const owner = await this.#reads.get(group, resource, namespace, name);
    const replicas = (owner as { readonly spec?: { readonly replicas?: number } } | undefined)?.spec?.replicas;
    return replicas ?? 0;
  }
}

function exhausted(budget: PodDisruptionBudget, { currentHealthy, desiredHealthy }: BudgetState): StatusError {
  const { status } = tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0);
  const cause: StatusCause = {
    reason: 'DisruptionBudget',
    message: `The disruption budget ${budget.metadata.name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
  };
  return new StatusError({ ...status, details: { causes: [cause] } });
}
