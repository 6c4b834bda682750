import { type ConfigMap, configMaps, isAlreadyExists, isNotFound, type Namespace, namespaces } from '@dure/api';
import { type Reconciler, WorkQueue } from '@dure/reconcile';
import { type ControllerFactory, reconcilingController } from '../controller.ts';
import { deepEqual } from '../deep-equal.ts';
import { isNamespaceTerminating } from '../pod-control.ts';

const NAME = 'kube-root-ca.crt';
const DESCRIPTION =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. ' +
  'No other usage is guaranteed across distributions of Kubernetes clusters.';

/** Every namespace has the ConfigMap `kube-root-ca.crt`, so that Pods can verify the API server. @param rootCa PEM. */
export function rootCaPublisher(rootCa: string): ControllerFactory {
  return (context) => {
    const { client, informers, clock } = context;
    const namespaceCache = informers.informer<Namespace>(namespaces);
    // Only this one name: a cluster's other ConfigMaps are many, and none of our business.
    const published = informers.informer<ConfigMap>(configMaps, { fieldSelector: `metadata.name=${NAME}` });
    const queue = new WorkQueue({ clock });
    const enqueue = ({ metadata }: ConfigMap): void => {
      if (metadata.namespace !== undefined) queue.add(metadata.namespace);
    };
    namespaceCache.addHandler({ add: ({ metadata }) => queue.add(metadata.name), update: ({ metadata }) => queue.add(metadata.name) });
    published.addHandler({ update: enqueue, delete: enqueue });

    const reconciler: Reconciler = async (namespace, signal) => {
      const current = namespaceCache.get(namespace);
      if (current === undefined || current.metadata.deletionTimestamp !== undefined) return {};
      const data = { 'ca.crt': rootCa };
      const annotations = { 'kubernetes.io/description': DESCRIPTION };
      const existing = published.get(`${namespace}/${NAME}`);
      try {
        if (existing === undefined) {
          await client.create<ConfigMap>(configMaps, { metadata: { namespace, name: NAME, annotations }, data }, {}, signal);
        } else if (!deepEqual(existing.data, data)) {
          const metadata = { ...existing.metadata, annotations: { ...existing.metadata.annotations, ...annotations } };
          await client.update<ConfigMap>(configMaps, { ...existing, metadata, data }, {}, signal);
        }
      } catch (error) {
        if (!isAlreadyExists(error) && !isNotFound(error) && !isNamespaceTerminating(error)) throw error;
      }
      return {};
    };
    return reconcilingController({
      name: 'root-ca-certificate-publisher',
      context,
      queue,
      reconciler,
      caches: [namespaceCache, published],
    });
  };
}
