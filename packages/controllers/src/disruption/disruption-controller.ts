import {
  type CompiledLabelSelector,
  compileLabelSelector,
  type KubeObject,
  type Pod,
  type PodDisruptionBudget,
  podDisruptionBudgets,
  pods,
  semanticEqual,
} from '@dure/api';
import { type Informer, keyOf, referenceTo } from '@dure/client';
import { rfc3339Seconds } from '@dure/foundation';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { isPodFinished, podCondition } from '../pod-state.ts';
import { countsFromOwners, planBudget } from './budget-status.ts';
import { type Expected, ExpectedPods } from './expected-pods.ts';

const TARGET = 'DisruptionTarget';

/**
 * Keeps the status of PodDisruptionBudgets: how many of their Pods may be evicted at this moment. The API server takes from that number when it allows
 * an eviction, by compare-and-swap, and remembers the Pod in `disruptedPods` until it is seen to go here.
 */
export const disruptionController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const budgets = informers.informer<PodDisruptionBudget>(podDisruptionBudgets);
  const podCache = informers.informer<Pod>(pods);
  const expectedPods = new ExpectedPods(context);
  const events = context.events('controllermanager');
  const queue = new WorkQueue({ clock });
  const selectors = new WeakMap<PodDisruptionBudget, CompiledLabelSelector>();

  const selectorOf = (budget: PodDisruptionBudget): CompiledLabelSelector => {
    const known = selectors.get(budget);
    if (known !== undefined) return known;
    const made = compileLabelSelector(budget.spec.selector);
    selectors.set(budget, made);
    return made;
  };
  const enqueueSelecting = (...states: readonly Pod[]): void => {
    for (const budget of budgets.list(states[0]?.metadata.namespace)) {
      if (states.some(({ metadata }) => selectorOf(budget).matches(metadata.labels))) queue.add(keyOf(budget));
    }
  };

  budgets.addHandler({
    add: (budget) => queue.add(keyOf(budget)),
    update: (budget) => queue.add(keyOf(budget)),
    delete: (budget) => queue.forget(keyOf(budget)),
  });
  podCache.addHandler({
    add: (pod) => enqueueSelecting(pod),
    update: (pod, old) => enqueueSelecting(pod, old),
    delete: (pod) => enqueueSelecting(pod),
  });
  // Budgets that count from owners change with what those want.
  const ownersChanged = ({ metadata: { namespace } }: KubeObject): void => {
    for (const budget of budgets.list(namespace)) if (countsFromOwners(budget)) queue.add(keyOf(budget));
  };
  for (const cache of expectedPods.caches) {
    cache.addHandler({
      add: ownersChanged,
      delete: ownersChanged,
      update: (object, old) => wantsOther(object, old) && ownersChanged(object),
    });
  }

  const reconciler: Reconciler = async (key, signal) => {
    const budget = budgets.get(key);
    if (budget === undefined) return {};
    const selector = selectorOf(budget);
    const selected = podCache.list(budget.metadata.namespace).filter((pod) => selector.matches(pod.metadata.labels) && !isPodFinished(pod));
    if (selected.length === 0) events.record(referenceTo(budget, podDisruptionBudgets), 'Normal', 'NoPods', 'No matching pods found');
    const found: Expected = countsFromOwners(budget) ? await expectedPods.of(selected, signal) : { expected: selected.length };
    if ('problem' in found)
      events.record(
        referenceTo(budget, podDisruptionBudgets),
        'Warning',
        'CalculateExpectedPodCountFailed',
        `Failed to calculate the number of expected pods: ${found.problem}`,
      );
    const plan = planBudget(budget, { selected, ...found }, clock.now());
    for (const pod of plan.stayed)
      events.record(referenceTo(pod, pods), 'Warning', 'NotDeleted', 'Pod was expected by PDB to be deleted but it was not');
    if (!semanticEqual(budget.status, plan.status))
      await client.updateStatus<PodDisruptionBudget>(podDisruptionBudgets, { ...budget, status: plan.status }, {}, signal);
    await Promise.all(plan.stayed.map((pod) => clearTarget(pod, signal)));
    return plan.againInMs === undefined ? {} : { requeueAfterMs: plan.againInMs };
  };

  /** The eviction that this condition spoke of did not come. */
  async function clearTarget(pod: Pod, signal: AbortSignal): Promise<void> {
    if (podCondition(pod, TARGET)?.status !== 'True') return;
    const { namespace = '', name, uid } = pod.metadata;
    const condition = { type: TARGET, status: 'False', lastTransitionTime: rfc3339Seconds(clock.now()) };
    const patch = { kind: 'strategic', patch: { metadata: { uid }, status: { conditions: [condition] } } } as const;
    await client.patch(pods, { namespace, name }, patch, { subresource: 'status' }, signal);
  }

  const caches = [budgets, podCache, ...expectedPods.caches] as readonly Informer<KubeObject>[];
  return reconcilingController({ name: 'disruption', context, queue, reconciler, caches });
};

function wantsOther(object: KubeObject, old: KubeObject): boolean {
  const replicasOf = (one: KubeObject): unknown => (one as KubeObject & { readonly spec?: { readonly replicas?: number } }).spec?.replicas;
  return replicasOf(object) !== replicasOf(old);
}
