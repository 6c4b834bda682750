import { type Draft, type Endpoints, endpoints, isAlreadyExists, isNotFound } from '@dure/api';
import { keyOf, parseKey } from '@dure/client';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { isEndpoint } from '../endpointslice/pod-endpoint.ts';
import { watchServicePods } from '../endpointslice/service-pods.ts';
import { isNamespaceTerminating } from '../pod-control.ts';
import { planEndpoints } from './endpoints-plan.ts';

/** Keeps the Endpoints of every Service that selects Pods, for clients older than EndpointSlices. */
export const endpointsController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const queue = new WorkQueue({ clock });
  const { serviceCache, podCache, podsOf } = watchServicePods(context, queue);
  const cache = informers.informer<Endpoints>(endpoints);
  cache.addHandler({ update: (object) => queue.add(keyOf(object)), delete: (object) => queue.add(keyOf(object)) });

  const reconciler: Reconciler = async (key, signal) => {
    const service = serviceCache.get(key);
    const current = cache.get(key);
    if (service === undefined) {
      // They carry the Service's name and no owner; nobody else takes them away.
      if (current !== undefined && current.metadata.labels?.['endpoints.kubernetes.io/managed-by'] === 'endpoint-controller') {
        await client.delete(endpoints, parseKey(key), { preconditions: { uid: current.metadata.uid } }, signal).catch((error: unknown) => {
          if (!isNotFound(error)) throw error;
        });
      }
      return {};
    }
    if (service.spec.type === 'ExternalName' || Object.keys(service.spec.selector ?? {}).length === 0) return {};
    const chosen = podsOf(service).filter(
      (pod) => isEndpoint(pod) && (pod.metadata.deletionTimestamp === undefined || service.spec.publishNotReadyAddresses === true),
    );
    const wanted = planEndpoints(service, chosen, current);
    if (wanted === undefined) return {};
    try {
      if (current === undefined) await client.create<Endpoints>(endpoints, wanted as Draft<Endpoints>, {}, signal);
      else await client.update<Endpoints>(endpoints, wanted as Endpoints, {}, signal);
    } catch (error) {
      // Made by another pass; the cache will show it and bring the key back.
      if (!isNamespaceTerminating(error) && !isAlreadyExists(error)) throw error;
      if (isAlreadyExists(error)) return { requeueAfterMs: 1_000 };
    }
    return {};
  };
  return reconcilingController({ name: 'endpoints', context, queue, reconciler, caches: [serviceCache, podCache, cache], workers: 5 });
};
