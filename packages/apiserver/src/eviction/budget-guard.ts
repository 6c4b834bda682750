import {
  compileLabelSelector,
  forbiddenRequest,
  internalError,
  type JsonObject,
  type KubeObject,
  type Pod,
  type PodDisruptionBudget,
  type PodDisruptionBudgetStatus,
  type StatusCause,
  StatusError,
  tooManyRequests,
} from '@dure/api';
import { type Clock, rfc3339Seconds } from '@dure/foundation';
import type { EvictionGuard } from '../contract/eviction-guard.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { StatusSwap } from '../contract/status-swap.ts';

const GROUP = 'policy';
const RESOURCE = 'poddisruptionbudgets';
/** How many allowed Pods a budget remembers; beyond that evictions wait. */
const DISRUPTED_MAX = 2000;
/** Each lost race means that another eviction, or a count, went through. */
const TRIES = 20;
const RETRY_SECONDS = 10;

/**
 * Judges evictions by what the status of budgets allows, and takes from that by compare-and-swap: however many servers are asked at once, none of them
 * gives an allowance twice. The disruption controller counts anew as Pods come and go.
 */
export class BudgetGuard implements EvictionGuard {
  readonly #reads: ObjectReader;
  readonly #statuses: StatusSwap;
  readonly #clock: Clock;

  constructor(reads: ObjectReader, statuses: StatusSwap, clock: Clock) {
    this.#reads = reads;
    this.#statuses = statuses;
    this.#clock = clock;
  }

  async allow(pod: KubeObject, dryRun: boolean, signal: AbortSignal): Promise<void> {
    const { namespace = '' } = pod.metadata;
    const budgets = (await this.#reads.list(GROUP, RESOURCE, { namespace, fresh: true })) as readonly PodDisruptionBudget[];
    const [first, another] = budgets.filter(({ spec }) => compileLabelSelector(spec.selector).matches(pod.metadata.labels ?? {}));
    if (first === undefined) return;
    if (another !== undefined) {
      throw internalError(new Error('This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.'));
    }
    let budget: PodDisruptionBudget = first;
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      if (takesNothing(budget, pod as Pod)) return;
      const status = taken(budget, pod.metadata.name, rfc3339Seconds(this.#clock.now()));
      if (dryRun) return;
      const outcome = await this.#statuses.swap(GROUP, RESOURCE, budget, status as unknown as JsonObject, signal);
      if (outcome.kind === 'swapped' || outcome.winner === undefined) return;
      budget = outcome.winner as PodDisruptionBudget;
    }
    throw tooManyRequests(`couldn't update PodDisruptionBudget ${JSON.stringify(budget.metadata.name)} due to conflicts`, RETRY_SECONDS);
  }
}

/** A Pod that serves nobody takes nothing from a budget that is met, or that does not care. */
function takesNothing({ spec, status }: PodDisruptionBudget, pod: Pod): boolean {
  if (isReady(pod)) return false;
  if (spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

/** The status once the Pod may go. Pure. @throws {StatusError} TooManyRequests: there is no allowance, or it is not known yet. */
function taken({ metadata, status }: PodDisruptionBudget, podName: string, now: string): PodDisruptionBudgetStatus {
  const { observedGeneration = 0, disruptionsAllowed = 0, disruptedPods = {}, currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  if (observedGeneration < (metadata.generation ?? 0))
    throw refused(`The disruption budget ${metadata.name} is still being processed by the server.`, RETRY_SECONDS);
  if (disruptionsAllowed < 0)
    throw forbiddenRequest({ group: GROUP, resource: RESOURCE }, metadata.name, 'pdb disruptions allowed is negative');
  if (Object.keys(disruptedPods).length > DISRUPTED_MAX)
    throw forbiddenRequest(
      { group: GROUP, resource: RESOURCE },
      metadata.name,
      'DisruptedPods map too big - too many evictions not confirmed by PDB controller',
    );
  if (disruptionsAllowed === 0)
    throw refused(`The disruption budget ${metadata.name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`, 0);
  return {
    ...status,
    disruptionsAllowed: disruptionsAllowed - 1,
    disruptedPods: { ...disruptedPods, [podName]: now },
    // It says of the number only whether it is zero.
    conditions: (status?.conditions ?? []).map((condition) =>
      condition.type === 'DisruptionAllowed' && disruptionsAllowed === 1
        ? { ...condition, status: 'False', reason: 'InsufficientPods', lastTransitionTime: now }
        : condition,
    ),
  };
}

function refused(message: string, retrySeconds: number): StatusError {
  const { status } = tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", retrySeconds);
  const cause: StatusCause = { reason: 'DisruptionBudget', message };
  return new StatusError({ ...status, details: { ...status.details, causes: [cause] } });
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
}
