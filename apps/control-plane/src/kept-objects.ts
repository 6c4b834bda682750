import { apiServices, customResourceDefinitions, flowSchemas, type JsonObject, priorityLevelConfigurations } from '@dure/api';
import { furtherObjects, type ObjectChange, planCustomApiServices, planFlowControl } from '@dure/apiserver';
import type { Informer, InformerFactory } from '@dure/client';
import { isAbort, type Logger } from '@dure/foundation';
import { runReconciler, WorkQueue } from '@dure/reconcile';
import { applyChanges, type ChangeContext, ensureObjects } from './ensure-objects.ts';

export interface KeptObjectsOptions extends ChangeContext {
  /** Run by the caller. */
  readonly informers: InformerFactory;
  readonly log: Logger;
}

/** In case a change was missed, or lost against another's. */
const RECHECK_MS = 60_000;

/**
 * Makes what every cluster has besides what it was opened with, and keeps what every API server keeps in it, whoever leads: flow control's own
 * objects, and an APIService for each version of a custom kind. Until `signal` aborts.
 * @param onMade Called once the first is done.
 */
export async function runKeptObjects(options: KeptObjectsOptions, onMade: () => void, signal: AbortSignal): Promise<void> {
  try {
    await ensureObjects(options.client, options.refOf, furtherObjects(), options.clock, signal);
  } catch (error) {
    if (isAbort(error, signal)) return;
    throw error;
  }
  onMade();
  const { informers } = options;
  const schemas = informers.informer(flowSchemas);
  const levels = informers.informer(priorityLevelConfigurations);
  const definitions = informers.informer(customResourceDefinitions);
  const services = informers.informer(apiServices);
  await Promise.all([
    keep(options, 'flow-control', [schemas, levels], () => planFlowControl(schemas.list(), levels.list()), signal),
    keep(
      options,
      'api-services',
      [definitions, services],
      () => planCustomApiServices(definitions.list(), services.list() as readonly unknown[] as readonly JsonObject[]),
      signal,
    ),
  ]);
}

/** Makes what `plan` says whenever one of the caches changes. */
async function keep(
  { log, ...context }: KeptObjectsOptions,
  name: string,
  caches: readonly Pick<Informer<never>, 'addHandler' | 'whenSynced'>[],
  plan: () => readonly ObjectChange[],
  signal: AbortSignal,
): Promise<void> {
  const queue = new WorkQueue({ clock: context.clock });
  const again = (): void => queue.add(name);
  for (const cache of caches) cache.addHandler({ add: again, update: again, delete: again });
  try {
    await Promise.all(caches.map((cache) => cache.whenSynced(signal)));
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  const reconciler = async (_key: string, running: AbortSignal) => {
    await applyChanges(context, plan(), running);
    return { requeueAfterMs: RECHECK_MS };
  };
  await runReconciler({ name, reconciler, queue, workers: 1, clock: context.clock, log }, signal);
}
