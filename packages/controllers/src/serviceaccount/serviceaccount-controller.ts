import { isAlreadyExists, type Namespace, namespaces, type ServiceAccount, serviceAccounts } from '@dure/api';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { isNamespaceTerminating } from '../pod-control.ts';

const NAME = 'default';

/** Every namespace has a ServiceAccount `default`, from the moment it exists: Pods cannot be created without one. */
export const serviceAccountController: ControllerFactory = (context) => {
  const { client, informers, clock } = context;
  const namespaceCache = informers.informer<Namespace>(namespaces);
  const accounts = informers.informer<ServiceAccount>(serviceAccounts);
  const queue = new WorkQueue({ clock });
  namespaceCache.addHandler({ add: ({ metadata }) => queue.add(metadata.name), update: ({ metadata }) => queue.add(metadata.name) });
  accounts.addHandler({
    delete: ({ metadata }) => {
      if (metadata.name === NAME && metadata.namespace !== undefined) queue.add(metadata.namespace);
    },
  });

  const reconciler: Reconciler = async (name, signal) => {
    const namespace = namespaceCache.get(name);
    if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined || accounts.get(`${name}/${NAME}`) !== undefined)
      return {};
    try {
      await client.create<ServiceAccount>(serviceAccounts, { metadata: { namespace: name, name: NAME } }, {}, signal);
    } catch (error) {
      if (!isAlreadyExists(error) && !isNamespaceTerminating(error)) throw error;
    }
    return {};
  };
  return reconcilingController({ name: 'serviceaccount', context, queue, reconciler, caches: [namespaceCache, accounts] });
};
