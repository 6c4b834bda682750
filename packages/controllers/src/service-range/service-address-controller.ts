import {
  addressHolder,
  type IPAddress,
  ipAddresses,
  isAlreadyExists,
  isConflict,
  isNotFound,
  type Service,
  serviceAddress,
  services,
} from '@dure/api';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';

/** An address may be older than its Service, which is then on its way: it is claimed first. */
const ABANDONED_AFTER_MS = 120_000;

/**
 * Keeps IPAddresses in step with the Services that have them: one that was deleted from under its Service comes back, and one whose Service never
 * came, since a server died in between, goes.
 */
export const serviceAddressController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const serviceCache = informers.informer<Service>(services);
  const addresses = informers.informer<IPAddress>(ipAddresses);
  serviceCache.addIndex('addresses', addressesOf);
  const queue = new WorkQueue({ clock });
  const enqueueAll = (service: Service): void => {
    for (const address of addressesOf(service)) queue.add(address);
  };
  serviceCache.addHandler({
    add: enqueueAll,
    update(service, old) {
      enqueueAll(old);
      enqueueAll(service);
    },
    delete: enqueueAll,
  });
  const enqueue = ({ metadata }: IPAddress): void => queue.add(metadata.name);
  addresses.addHandler({ add: enqueue, delete: enqueue });

  const reconciler: Reconciler = async (name, signal) => {
    const [service] = serviceCache.byIndex('addresses', name);
    const address = addresses.get(name);
    try {
      if (service !== undefined) {
        if (address === undefined) await client.create<IPAddress>(ipAddresses, serviceAddress(name, holderOf(service)), {}, signal);
        return {};
      }
      const holder = address && addressHolder(address);
      if (address === undefined || holder === undefined) return {};
      const leftMs = Date.parse(address.metadata.creationTimestamp) + ABANDONED_AFTER_MS - clock.now();
      if (leftMs > 0) return { requeueAfterMs: leftMs };
      // The cache may lag, and an address that is given out twice is worse than one that is lost.
      const { items } = await client.list<Service>(services, { namespace: holder.namespace }, signal);
      if (items.some((candidate) => addressesOf(candidate).includes(name))) return {};
      await client.delete(ipAddresses, { name }, { preconditions: { uid: address.metadata.uid } }, signal);
    } catch (error) {
      if (!isAlreadyExists(error) && !isConflict(error) && !isNotFound(error)) throw error;
    }
    return {};
  };
  return reconcilingController({ name: 'service-address', context, queue, reconciler, caches: [serviceCache, addresses] });
};

function holderOf({ metadata }: Service) {
  return { namespace: metadata.namespace ?? '', name: metadata.name, uid: metadata.uid };
}

function addressesOf({ spec }: Service): readonly string[] {
  return (spec?.clusterIPs ?? []).filter((address) => address !== '' && address !== 'None');
}
