import {
  addressHolder,
  cidrContains,
  type IPAddress,
  ipAddresses,
  isConflict,
  isNotFound,
  parseCidr,
  parseIP,
  type ServiceCIDR,
  serviceCIDRs,
} from '@dure/api';
import { rfc3339Seconds } from '@dure/foundation';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';

const FINALIZER = 'networking.k8s.io/service-cidr-finalizer';
/** Servers may still give out addresses of a range that has just been deleted. Upstream's value. */
const SETTLES_MS = 10_000;

/** Says that ranges of Service addresses are ready, and keeps one that is being deleted while addresses of it, and of no other, are in use. */
export const serviceCidrController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const ranges = informers.informer<ServiceCIDR>(serviceCIDRs);
  const addresses = informers.informer<IPAddress>(ipAddresses);
  const queue = new WorkQueue({ clock });
  const enqueueGoing = (): void => {
    for (const { metadata } of ranges.list()) if (metadata.deletionTimestamp !== undefined) queue.add(metadata.name);
  };
  ranges.addHandler({
    add(range) {
      queue.add(range.metadata.name);
      enqueueGoing();
    },
    update: (range) => queue.add(range.metadata.name),
  });
  addresses.addHandler({ delete: enqueueGoing });

  const isNeeded = (range: ServiceCIDR): boolean => {
    const others = ranges.list().filter(({ metadata }) => metadata.uid !== range.metadata.uid && metadata.deletionTimestamp === undefined);
    return addresses
      .list()
      .some((address) => addressHolder(address) !== undefined && holds(range, address) && !others.some((other) => holds(other, address)));
  };

  const reconciler: Reconciler = async (name, signal) => {
    const range = ranges.get(name);
    if (range === undefined) return {};
    const { finalizers = [], deletionTimestamp } = range.metadata;
    const isHeld = finalizers.includes(FINALIZER);
    const write = (next: readonly string[]) =>
      client.update<ServiceCIDR>(serviceCIDRs, { ...range, metadata: { ...range.metadata, finalizers: next } }, {}, signal);
    try {
      if (deletionTimestamp === undefined) {
        const current = isHeld ? range : await write([...finalizers, FINALIZER]);
        if (readiness(current) === undefined) await say(current, 'True', '', 'Kubernetes Service CIDR is ready', signal);
        return {};
      }
      if (!isHeld) return {};
      if (isNeeded(range)) {
        const why = 'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR';
        if (readiness(range)?.reason !== 'Terminating') await say(range, 'False', 'Terminating', why, signal);
        return {};
      }
      const leftMs = Date.parse(deletionTimestamp) + SETTLES_MS - clock.now();
      if (leftMs > 0) return { requeueAfterMs: leftMs };
      await write(finalizers.filter((finalizer) => finalizer !== FINALIZER));
    } catch (error) {
      // Changed meanwhile: the cache tells, and then it is looked at again.
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
    return {};
  };

  async function say(range: ServiceCIDR, status: string, reason: string, message: string, signal: AbortSignal): Promise<void> {
    const condition = { type: 'Ready', status, reason, message, lastTransitionTime: rfc3339Seconds(clock.now()) };
    const others = (range.status?.conditions ?? []).filter(({ type }) => type !== 'Ready');
    await client.updateStatus<ServiceCIDR>(
      serviceCIDRs,
      { ...range, status: { ...range.status, conditions: [...others, condition] } },
      {},
      signal,
    );
  }
  return reconcilingController({ name: 'service-cidr', context, queue, reconciler, caches: [ranges, addresses] });
};

function readiness({ status }: ServiceCIDR) {
  return status?.conditions?.find(({ type }) => type === 'Ready');
}

function holds({ spec }: ServiceCIDR, { metadata }: IPAddress): boolean {
  const address = parseIP(metadata.name);
  return (spec?.cidrs ?? []).some((text) => {
    const cidr = parseCidr(text);
    return cidr !== undefined && address !== undefined && cidrContains(cidr, address);
  });
}
