import { type AdmissionPlugin, writes } from './admission-chain.ts';
import { asObject } from './pod-shape.ts';

/** Finalizers that controllers take away once nobody uses the object. */
const FINALIZERS = [
  { group: '', resource: 'persistentvolumeclaims', finalizer: 'kubernetes.io/pvc-protection' },
  { group: '', resource: 'persistentvolumes', finalizer: 'kubernetes.io/pv-protection' },
  { group: 'storage.k8s.io', resource: 'volumeattributesclasses', finalizer: 'kubernetes.io/vac-protection' },
];

/** Keeps volumes, claims and their classes from being deleted while they are in use. @see https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection */
export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  async mutate(request) {
    if (request.operation !== 'CREATE' || request.object === undefined) return;
    const own = FINALIZERS.find(({ group, resource }) => writes(request, resource, group));
    if (own === undefined) return;
    const metadata = asObject(request.object.metadata) ?? {};
    const finalizers = Array.isArray(metadata.finalizers) ? metadata.finalizers : [];
    if (!finalizers.includes(own.finalizer)) request.object.metadata = { ...metadata, finalizers: [...finalizers, own.finalizer] };
  },
};
