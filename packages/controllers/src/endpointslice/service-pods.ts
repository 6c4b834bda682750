import { type Pod, pods, type Service, services } from '@dure/api';
import { type Informer, keyOf } from '@dure/client';
import type { WorkQueue } from '@dure/reconcile';
import type { ControllerContext } from '../controller.ts';

/** Which Services a Pod belongs to, and the other way round: what EndpointSlices and Endpoints both need. */
export interface ServicePods {
  readonly serviceCache: Informer<Service>;
  readonly podCache: Informer<Pod>;
  podsOf(service: Service): readonly Pod[];
}

/** Adds the key of each Service that a change of a Service or Pod concerns to `queue`. */
export function watchServicePods({ informers }: ControllerContext, queue: WorkQueue): ServicePods {
  const serviceCache = informers.informer<Service>(services);
  const podCache = informers.informer<Pod>(pods);
  const enqueue = (service: Service): void => queue.add(keyOf(service));
  serviceCache.addHandler({ add: enqueue, update: enqueue, delete: enqueue });

  const enqueueSelecting = (...versions: readonly Pod[]): void => {
    const [{ metadata } = { metadata: undefined }] = versions;
    for (const service of serviceCache.list(metadata?.namespace ?? '')) {
      if (versions.some((pod) => selects(service, pod))) queue.add(keyOf(service));
    }
  };
  podCache.addHandler({
    add: enqueueSelecting,
    update: (pod, old) => {
      if (endpointFacts(pod) !== endpointFacts(old)) enqueueSelecting(pod, old);
    },
    delete: enqueueSelecting,
  });
  return {
    serviceCache,
    podCache,
    podsOf: (service) => podCache.list(service.metadata.namespace ?? '').filter((pod) => selects(service, pod)),
  };
}

/** An empty selector selects nothing here: somebody else tends such a Service's endpoints. */
export function selects({ spec }: Service, { metadata }: Pod): boolean {
  const wanted = Object.entries(spec.selector ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => metadata.labels?.[key] === value);
}

/** What of a Pod can show in an endpoint: most updates change nothing of it. */
function endpointFacts({ metadata, spec, status }: Pod): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return JSON.stringify([
    metadata.uid,
    metadata.labels,
    metadata.deletionTimestamp !== undefined,
    spec.nodeName,
    spec.hostname,
    spec.subdomain,
    status?.phase,
    status?.podIP,
    status?.podIPs,
    ready?.status,
  ]);
}
