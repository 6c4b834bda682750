import { type Endpoints, endpoints, type Service, services } from '@dure/api';
import { keyOf, referenceTo } from '@dure/client';
import { Expectations, type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { watchManagedSlices } from '../endpointslice/managed-slices.ts';
import { applySlicePlan } from '../endpointslice/slice-writes.ts';
import { isNamespaceTerminating } from '../pod-control.ts';
import { ENDPOINTS_PER_SUBSET_MAX, isMirrored, MIRRORING_NAME, planMirror } from './mirror-plan.ts';

/** Keeps EndpointSlices for Endpoints that somebody wrote by hand, behind Services that select no Pods: proxies read slices alone. */
export const endpointSliceMirroringController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const queue = new WorkQueue({ clock });
  const endpointsCache = informers.informer<Endpoints>(endpoints);
  const serviceCache = informers.informer<Service>(services);
  const events = context.events('endpoint-slice-mirroring-controller');
  const expectations = new Expectations(clock);
  const { sliceCache, slicesOf } = watchManagedSlices(informers, MIRRORING_NAME, queue, expectations);

  const enqueue = (object: Endpoints | Service): void => queue.add(keyOf(object));
  endpointsCache.addHandler({ add: enqueue, update: enqueue, delete: enqueue });
  serviceCache.addHandler({
    add: enqueue,
    update: (service, old) => {
      if (selects(service) !== selects(old)) enqueue(service);
    },
    delete: enqueue,
  });

  const reconciler: Reconciler = async (key, signal) => {
    if (!expectations.settled(key)) return {};
    const existing = slicesOf(key);
    const source = endpointsCache.get(key);
    const service = serviceCache.get(key);
    if (source === undefined || !isMirrored(source) || service === undefined || selects(service)) {
      await applySlicePlan({ create: [], update: [], remove: existing }, key, { client, expectations }, signal);
      if (source === undefined) expectations.forget(key);
      return {};
    }
    const plan = planMirror(source, existing);
    if (plan.skipped > 0 && plan.create.length + plan.update.length > 0) {
      const message = `A max of ${ENDPOINTS_PER_SUBSET_MAX} addresses can be mirrored to EndpointSlices per Endpoints subset. ${plan.skipped} addresses were skipped`;
      events.record(referenceTo(source, endpoints), 'Warning', 'TooManyAddressesToMirror', message);
    }
    try {
      await applySlicePlan(plan, key, { client, expectations }, signal);
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
    }
    return {};
  };
  return reconcilingController({
    name: 'endpointslice-mirroring',
    context,
    queue,
    reconciler,
    caches: [endpointsCache, serviceCache, sliceCache],
    workers: 5,
  });
};

/** An empty selector is one too: somebody else's endpoints either way, but not these. */
function selects({ spec }: Service): boolean {
  return spec.selector !== undefined;
}
