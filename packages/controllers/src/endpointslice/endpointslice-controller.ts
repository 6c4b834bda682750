import { type Node, nodes, type Pod, type Service, services } from '@dure/api';
import { referenceTo } from '@dure/client';
import { messageOf, rfc3339Seconds } from '@dure/foundation';
import { Expectations, type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { isNamespaceTerminating } from '../pod-control.ts';
import { podCondition } from '../pod-state.ts';
import { watchManagedSlices } from './managed-slices.ts';
import { type AddressType, isEndpoint, podEndpoint, podPorts } from './pod-endpoint.ts';
import { watchServicePods } from './service-pods.ts';
import { CONTROLLER_NAME, type PortGroup, planSlices } from './slice-plan.ts';
import { applySlicePlan } from './slice-writes.ts';

const ZONE = 'topology.kubernetes.io/zone';

/** Keeps the EndpointSlices of every Service that selects Pods. */
export const endpointSliceController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const queue = new WorkQueue({ clock });
  const { serviceCache, podCache, podsOf } = watchServicePods(context, queue);
  const nodeCache = informers.informer<Node>(nodes);
  const events = context.events('endpoint-slice-controller');
  const expectations = new Expectations(clock);
  const { sliceCache, slicesOf } = watchManagedSlices(informers, CONTROLLER_NAME, queue, expectations);

  // A node that appears, or moves to another zone, changes what its Pods' endpoints say.
  const enqueueAll = (): void => {
    for (const { metadata } of serviceCache.list()) queue.add(`${metadata.namespace}/${metadata.name}`);
  };
  nodeCache.addHandler({
    add: enqueueAll,
    update: (node, old) => {
      if (node.metadata.labels?.[ZONE] !== old.metadata.labels?.[ZONE]) enqueueAll();
    },
    delete: enqueueAll,
  });

  const reconciler: Reconciler = async (key, signal) => {
    const service = serviceCache.get(key);
    // Gone: its slices go through their owner reference.
    if (service === undefined || service.metadata.deletionTimestamp !== undefined) {
      expectations.forget(key);
      return {};
    }
    const existing = slicesOf(key);
    if (service.spec.type === 'ExternalName' || Object.keys(service.spec.selector ?? {}).length === 0) return {};
    if (!expectations.settled(key)) return {};
    const endpointPods = podsOf(service).filter(isEndpoint);
    const groups = addressTypes(service).flatMap((type) => groupsOf(service, type, endpointPods));
    const plan = planSlices(service, groups, existing, triggerTime(service, endpointPods));

    try {
      await applySlicePlan(plan, key, { client, expectations }, signal);
    } catch (error) {
      if (isNamespaceTerminating(error)) return {};
      if (!signal.aborted) {
        const message = `Error updating Endpoint Slices for Service ${key}: ${messageOf(error)}`;
        events.record(referenceTo(service, services), 'Warning', 'FailedToUpdateEndpointSlices', message);
      }
      throw error;
    }
    return {};
  };

  /** Endpoints of one family by the ports they have; always at least one group, so that an empty Service has its empty slice. */
  function groupsOf(service: Service, addressType: AddressType, endpointPods: readonly Pod[]): readonly PortGroup[] {
    const groups = new Map<string, PortGroup & { readonly endpoints: NonNullable<ReturnType<typeof podEndpoint>>[] }>();
    for (const pod of endpointPods) {
      const node = nodeCache.get(pod.spec.nodeName ?? '');
      // Its node is gone: the Pod is about to go too. Its own queue entry comes with the node's.
      if (pod.spec.nodeName && node === undefined && service.spec.publishNotReadyAddresses !== true) continue;
      const endpoint = podEndpoint(pod, node, service, addressType);
      if (endpoint === undefined) continue;
      const ports = podPorts(pod, service);
      if (ports.length === 0 && (service.spec.ports ?? []).length > 0) continue;
      const id = JSON.stringify(ports);
      const group = groups.get(id) ?? { addressType, ports, endpoints: [] };
      group.endpoints.push(endpoint);
      groups.set(id, group);
    }
    return groups.size > 0 ? [...groups.values()] : [{ addressType, ports: [], endpoints: [] }];
  }

  return reconcilingController({
    name: 'endpointslice',
    context,
    queue,
    reconciler,
    caches: [serviceCache, podCache, sliceCache, nodeCache],
    workers: 5,
  });
};

function addressTypes({ spec }: Service): readonly AddressType[] {
  if (spec.ipFamilies !== undefined && spec.ipFamilies.length > 0) return spec.ipFamilies;
  return [spec.clusterIP?.includes(':') ? 'IPv6' : 'IPv4'];
}

/** When the newest change behind the endpoints happened, for measuring how long it took to get here. */
function triggerTime(service: Service, endpointPods: readonly Pod[]): string | undefined {
  const times = [service.metadata.creationTimestamp, ...endpointPods.map((pod) => podCondition(pod, 'Ready')?.lastTransitionTime)];
  const newest = Math.max(
    ...times.map((time) => (time === undefined ? Number.NaN : Date.parse(time))).filter((time) => !Number.isNaN(time)),
  );
  return Number.isFinite(newest) ? rfc3339Seconds(newest) : undefined;
}
