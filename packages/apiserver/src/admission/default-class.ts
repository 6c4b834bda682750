import type { KubeObject } from '@dure/api';
import type { ObjectReader } from '../contract/object-reader.ts';
import { type AdmissionPlugin, writes } from './admission-chain.ts';
import { asObject } from './pod-shape.ts';

const BETA_CLASS = 'volume.beta.kubernetes.io/storage-class';

/** Gives a claim that names no StorageClass the cluster's default one. @see https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass */
export function defaultStorageClass(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    async mutate(request) {
      if (request.operation !== 'CREATE' || !writes(request, 'persistentvolumeclaims') || request.object === undefined) return;
      const spec = asObject(request.object.spec) ?? {};
      const annotations = asObject(asObject(request.object.metadata)?.annotations);
      // An empty name asks for none.
      if (spec.storageClassName !== undefined || annotations?.[BETA_CLASS] !== undefined) return;
      const found = await defaultOf(reader, 'storage.k8s.io', 'storageclasses', [
        'storageclass.kubernetes.io/is-default-class',
        'storageclass.beta.kubernetes.io/is-default-class',
      ]);
      if (found !== undefined) request.object.spec = { ...spec, storageClassName: found };
    },
  };
}

/** Gives an Ingress that names no IngressClass the cluster's default one. @see https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class */
export function defaultIngressClass(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    async mutate(request) {
      if (request.operation !== 'CREATE' || !writes(request, 'ingresses', 'networking.k8s.io') || request.object === undefined) return;
      const spec = asObject(request.object.spec) ?? {};
      const annotations = asObject(asObject(request.object.metadata)?.annotations);
      if (spec.ingressClassName !== undefined || annotations?.['kubernetes.io/ingress.class'] !== undefined) return;
      const found = await defaultOf(reader, 'networking.k8s.io', 'ingressclasses', ['ingressclass.kubernetes.io/is-default-class']);
      if (found !== undefined) request.object.spec = { ...spec, ingressClassName: found };
    },
  };
}

/** Of several that call themselves the default, the newest counts. */
async function defaultOf(reader: ObjectReader, group: string, resource: string, marks: readonly string[]): Promise<string | undefined> {
  const isDefault = ({ metadata }: KubeObject): boolean => marks.some((mark) => metadata.annotations?.[mark] === 'true');
  const candidates = await reader.list(group, resource, { where: isDefault, fresh: true });
  const [first] = candidates.toSorted(
    ({ metadata: one }, { metadata: other }) =>
      Date.parse(other.creationTimestamp ?? '') - Date.parse(one.creationTimestamp ?? '') || (one.name < other.name ? -1 : 1),
  );
  return first?.metadata.name;
}
