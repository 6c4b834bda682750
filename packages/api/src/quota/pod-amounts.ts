/** What a Pod asks for as a whole. @see https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers */
import type { JsonObject } from '../definition.ts';
import { objectAt, objectsAt, stringAt } from '../json-value.ts';
import { type Amounts, addAmounts, amountsOf, maxAmounts } from './amounts.ts';

export interface PodAmountsOptions {
  /** Counts `spec.overhead`. */
  readonly overhead: boolean;
  /** Counts what containers still hold by the status where that is more than the spec asks for: a Pod that is being made smaller. */
  readonly status: boolean;
}

type Side = 'requests' | 'limits';

const NOTHING: Amounts = new Map();

/** Requests of the whole Pod: the larger of what its containers need together, and its init containers one after the other. */
export function podRequests(pod: JsonObject, options: PodAmountsOptions): Amounts {
  const total = podSide(pod, 'requests', options);
  return options.overhead ? addAmounts(total, overheadOf(pod)) : total;
}

/** Limits of the whole Pod. Overhead counts only towards what has a limit. */
export function podLimits(pod: JsonObject, options: PodAmountsOptions): Amounts {
  const total = podSide(pod, 'limits', options);
  if (!options.overhead) return total;
  const counted = new Map([...overheadOf(pod)].filter(([name]) => (total.get(name)?.nanos ?? 0n) !== 0n));
  return addAmounts(total, counted);
}

function podSide(pod: JsonObject, side: Side, options: PodAmountsOptions): Amounts {
  const ofContainer = (container: JsonObject, statuses: string): Amounts => {
    const asked = amountsOf(objectAt(container, 'resources', side));
    return options.status ? withHeld(pod, container, statuses, side, asked) : asked;
  };
  let running = objectsAt(pod, 'spec', 'containers').reduce<Amounts>(
    (sum, container) => addAmounts(sum, ofContainer(container, 'containerStatuses')),
    NOTHING,
  );
  let sidecars = NOTHING;
  let starting = NOTHING;
  for (const container of objectsAt(pod, 'spec', 'initContainers')) {
    const own = ofContainer(container, 'initContainerStatuses');
    if (stringAt(container, 'restartPolicy') === 'Always') {
      running = addAmounts(running, own);
      sidecars = addAmounts(sidecars, own);
      starting = maxAmounts(starting, sidecars);
    } else {
      starting = maxAmounts(starting, addAmounts(own, sidecars));
    }
  }
  const total = new Map(maxAmounts(running, starting));
  // What the Pod says of itself as a whole wins over its containers.
  for (const [name, amount] of amountsOf(objectAt(pod, 'spec', 'resources', side))) if (isPodLevel(name)) total.set(name, amount);
  return total;
}

function withHeld(pod: JsonObject, container: JsonObject, statuses: string, side: Side, asked: Amounts): Amounts {
  const status = objectsAt(pod, 'status', statuses).find(({ name }) => name === container.name);
  if (status === undefined) return asked;
  const actual = amountsOf(objectAt(status, 'resources', side));
  const allocated = side === 'requests' ? amountsOf(objectAt(status, 'allocatedResources')) : NOTHING;
  const held = maxAmounts(actual, allocated);
  return isResizeInfeasible(pod) && held.size > 0 ? held : maxAmounts(asked, held);
}

function isResizeInfeasible(pod: JsonObject): boolean {
  return objectsAt(pod, 'status', 'conditions').some(
    ({ type, status, reason }) => type === 'PodResizePending' && status === 'True' && reason === 'Infeasible',
  );
}

function isPodLevel(name: string): boolean {
  return name === 'cpu' || name === 'memory' || name.startsWith('hugepages-');
}

function overheadOf(pod: JsonObject): Amounts {
  return amountsOf(objectAt(pod, 'spec', 'overhead'));
}
