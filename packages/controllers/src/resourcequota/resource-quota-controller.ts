import {
  type Amounts,
  addAmounts,
  equalAmounts,
  inScopes,
  isConflict,
  isNotFound,
  type JsonObject,
  type KubeObject,
  type QuotaEvaluator,
  quotaEvaluator,
  quotaScopes,
  type ResourceQuota,
  resourceQuotas,
  resourcesCountedAs,
  semanticEqual,
  totalUsage,
} from '@dure/api';
import { keyOf } from '@dure/client';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { type MonitorHandler, ResourceMonitors } from '../resource-monitors.ts';
import { hasClaimed, planQuotaStatus } from './quota-status.ts';

/**
 * How long a claim may be on its way into an object that this cache shows. Until then what is used is not lowered: the API server claims before
 * it stores, and a count that misses the object would give its place away twice.
 */
const CLAIM_SETTLES_MS = 1_000;
/** Until the cache shows who was faster. */
const CACHE_CATCHES_UP_MS = 50;
/** In case something was missed, and for Pods whose time is over without anybody saying so. */
const RECOUNT_MS = 300_000;

/**
 * Keeps the status of ResourceQuotas at what is used: counts anew when objects that a quota counts come, go or change, and when a quota does.
 * Only those collections are watched that some quota speaks of.
 */
export const resourceQuotaController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const quotas = informers.informer<ResourceQuota>(resourceQuotas);
  const queue = new WorkQueue({ clock });
  /** When somebody last claimed something of a quota, by its key. */
  const claimedAtMs = new Map<string, number>();
  /** What this controller writes as used, by key, until its own event comes back: a count is no claim. */
  const writing = new Map<string, JsonObject>();
  const evaluators = new Map<string, QuotaEvaluator>();

  const quotasCounting = (place: string, namespace: string | undefined): readonly ResourceQuota[] =>
    quotas.list(namespace).filter((quota) => placesOf(quota).has(place));

  const monitorHandler: MonitorHandler = ({ group, resource }) => {
    const place = `${group}/${resource}`;
    const concerned = ({ metadata }: KubeObject) => quotasCounting(place, metadata.namespace);
    return {
      // Already claimed as a rule, so there is no hurry.
      add: (object) => {
        for (const quota of concerned(object)) queue.addAfter(keyOf(quota), CLAIM_SETTLES_MS);
      },
      update: (object, old) => {
        const evaluator = evaluatorOf(place);
        for (const quota of concerned(object)) {
          if (evaluator !== undefined && countsOtherwise(evaluator, quota, object, old, clock.now())) queue.add(keyOf(quota));
        }
      },
      delete: (last) => {
        for (const quota of concerned(last)) queue.add(keyOf(quota));
      },
    };
  };
  const monitors = new ResourceMonitors(context, {
    handler: monitorHandler,
    gone: (objects) => {
      for (const namespace of new Set(objects.map(({ metadata }) => metadata.namespace))) {
        for (const quota of quotas.list(namespace)) queue.add(keyOf(quota));
      }
    },
    synced: ({ group, resource }) => {
      for (const quota of quotasCounting(`${group}/${resource}`, undefined)) queue.add(keyOf(quota));
    },
    wanted: ({ group, resource }) => quotas.list().some((quota) => placesOf(quota).has(`${group}/${resource}`)),
  });

  quotas.addHandler({
    add: (quota) => {
      queue.add(keyOf(quota));
      monitors.refresh();
    },
    update: (quota, old) => {
      const key = keyOf(quota);
      const isOwn = semanticEqual(writing.get(key), quota.status?.used);
      if (isOwn) writing.delete(key);
      else if (hasClaimed(old, quota)) claimedAtMs.set(key, clock.monotonicMs());
      if (!semanticEqual(quota.spec, old.spec)) {
        queue.add(key);
        monitors.refresh();
      } else if (!semanticEqual(quota.status, old.status)) queue.addAfter(key, CLAIM_SETTLES_MS);
    },
    delete: (quota) => {
      claimedAtMs.delete(keyOf(quota));
      writing.delete(keyOf(quota));
      monitors.refresh();
    },
  });

  function evaluatorOf(place: string): QuotaEvaluator | undefined {
    const known = evaluators.get(place);
    if (known !== undefined) return known;
    const [group = '', resource = ''] = place.split('/');
    const made = quotaEvaluator(group, resource);
    if (made !== undefined) evaluators.set(place, remembering(made));
    return evaluators.get(place);
  }

  function count(quota: ResourceQuota): Amounts {
    const names = limitedBy(quota);
    const scopes = quotaScopes(quota as unknown as JsonObject);
    let counted: Amounts = new Map();
    for (const place of placesOf(quota)) {
      const [group = '', resource = ''] = place.split('/');
      const evaluator = evaluatorOf(place);
      const cache = monitors.cache(group, resource);
      if (evaluator === undefined || cache?.hasSynced !== true) continue;
      const objects = cache.list(quota.metadata.namespace) as readonly unknown[] as readonly JsonObject[];
      counted = addAmounts(counted, totalUsage(evaluator, objects, scopes, names, clock.now()));
    }
    return counted;
  }

  const reconciler: Reconciler = async (key, signal) => {
    const quota = quotas.get(key);
    if (quota === undefined) return {};
    const settlesInMs = (claimedAtMs.get(key) ?? Number.NEGATIVE_INFINITY) + CLAIM_SETTLES_MS - clock.monotonicMs();
    const { status, postponed } = planQuotaStatus(quota, count(quota), settlesInMs <= 0);
    if (status !== undefined) {
      writing.set(key, status.used);
      try {
        await client.updateStatus<ResourceQuota>(resourceQuotas, { ...quota, status } as ResourceQuota, {}, signal);
      } catch (error) {
        writing.delete(key);
        if (isNotFound(error)) return {};
        if (!isConflict(error)) throw error;
        return { requeueAfterMs: CACHE_CATCHES_UP_MS };
      }
    }
    return { requeueAfterMs: postponed ? Math.max(settlesInMs, 1) : RECOUNT_MS };
  };

  const counting = reconcilingController({ name: 'resourcequota', context, queue, reconciler, caches: [quotas] });
  return {
    name: 'resourcequota',
    async run(signal) {
      await Promise.all([counting.run(signal), monitors.run(() => undefined, signal)]);
    },
  };
};

function limitedBy({ spec }: ResourceQuota): readonly string[] {
  return Object.keys(spec?.hard ?? {});
}

/** The collections, as `group/resource`, whose objects count towards something that `quota` limits. */
function placesOf(quota: ResourceQuota): ReadonlySet<string> {
  return new Set(limitedBy(quota).flatMap((name) => resourcesCountedAs(name).map(({ group, resource }) => `${group}/${resource}`)));
}

/** Whether a change of an object changes what is used of `quota`. */
function countsOtherwise(evaluator: QuotaEvaluator, quota: ResourceQuota, object: KubeObject, old: KubeObject, nowMs: number): boolean {
  const [next, before] = [object as unknown as JsonObject, old as unknown as JsonObject];
  const scopes = quotaScopes(quota as unknown as JsonObject);
  return (
    inScopes(evaluator, next, scopes) !== inScopes(evaluator, before, scopes) ||
    !equalAmounts(evaluator.usage(next, nowMs), evaluator.usage(before, nowMs))
  );
}

/** Usage of an object does not change but by time, and time matters only to what is being deleted. */
function remembering(evaluator: QuotaEvaluator): QuotaEvaluator {
  const known = new WeakMap<JsonObject, Amounts>();
  return {
    ...evaluator,
    usage(object, nowMs) {
      if ((object.metadata as JsonObject | undefined)?.deletionTimestamp !== undefined) return evaluator.usage(object, nowMs);
      const remembered = known.get(object) ?? evaluator.usage(object, nowMs);
      known.set(object, remembered);
      return remembered;
    },
  };
}
