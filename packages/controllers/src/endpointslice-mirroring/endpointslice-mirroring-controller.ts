import { type EndpointSlice, type Endpoints, endpointSlices, endpoints, type Service, services } from '@dure/api';
import { keyOf, referenceTo } from '@dure/client';
import { Expectations, type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { MANAGED_BY_LABEL, SERVICE_NAME_LABEL } from '../endpointslice/slice-plan.ts';
import { applySlicePlan } from '../endpointslice/slice-writes.ts';
import { isNamespaceTerminating } from '../pod-control.ts';
import { ENDPOINTS_PER_SUBSET_MAX, isMirrored, MIRRORING_NAME, planMirror } from './mirror-plan.ts';

const BY_SERVICE = 'service';

/** Keeps EndpointSlices for Endpoints that somebody wrote by hand, behind Services that select no Pods: proxies read slices alone. */
export const endpointSliceMirroringController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const queue = new WorkQueue({ clock });
  const endpointsCache = informers.informer<Endpoints>(endpoints);
  const serviceCache = informers.informer<Service>(services);
  const sliceCache = informers.informer<EndpointSlice>(endpointSlices);
  const events = context.events('endpoint-slice-mirroring-controller');
  const expectations = new Expectations(clock);

  const enqueue = (object: Endpoints | Service): void => queue.add(keyOf(object));
  endpointsCache.addHandler({ add: enqueue, update: enqueue, delete: enqueue });
  serviceCache.addHandler({
    add: enqueue,
    update: (service, old) => {
      if (selects(service) !== selects(old)) enqueue(service);
    },
    delete: enqueue,
  });
  sliceCache.addIndex(BY_SERVICE, (slice) => {
    const key = mirroredKeyOf(slice);
    return key === undefined ? [] : [key];
  });
  sliceCache.addHandler({
    add: (slice) => {
      const key = mirroredKeyOf(slice);
      if (key === undefined) return;
      expectations.creationDone(key);
      queue.add(key);
    },
    update: (slice, old) => {
      for (const key of new Set([mirroredKeyOf(slice), mirroredKeyOf(old)])) if (key !== undefined) queue.add(key);
    },
    delete: (slice) => {
      const key = mirroredKeyOf(slice);
      if (key === undefined) return;
      expectations.deletionDone(key, slice.metadata.uid);
      queue.add(key);
    },
  });

  const reconciler: Reconciler = async (key, signal) => {
    if (!expectations.settled(key)) return {};
    const existing = sliceCache.byIndex(BY_SERVICE, key).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
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

function mirroredKeyOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels?.[SERVICE_NAME_LABEL];
  if (name === undefined || metadata.labels?.[MANAGED_BY_LABEL] !== MIRRORING_NAME) return undefined;
  return `${metadata.namespace}/${name}`;
}

/** An empty selector is one too: somebody else's endpoints either way, but not these. */
function selects({ spec }: Service): boolean {
  return spec.selector !== undefined;
}
