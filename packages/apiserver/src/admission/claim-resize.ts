import { compareQuantities, type JsonObject, quantityOf, stringAt, trueAt, valueAt } from '@dure/api';
import type { ObjectReader } from '../contract/object-reader.ts';
import { type AdmissionPlugin, writes } from './admission-chain.ts';
import { refusal } from './refusal.ts';

const BETA_CLASS = 'volume.beta.kubernetes.io/storage-class';

/** Lets claims grow only where what provisions them can follow. */
export function persistentVolumeClaimResize(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'PersistentVolumeClaimResize',
    async validate(request) {
      const { operation, object, oldObject } = request;
      if (operation !== 'UPDATE' || !writes(request, 'persistentvolumeclaims') || object === undefined || oldObject === undefined) return;
      const old = oldObject as unknown as JsonObject;
      const [size, before] = [object, old].map((claim) => quantityOf(valueAt(claim, 'spec', 'resources', 'requests', 'storage')));
      if (size === undefined || before === undefined || compareQuantities(size, before) <= 0) return;
      if (stringAt(old, 'status', 'phase') !== 'Bound') throw refusal(request, 'Only bound persistent volume claims can be expanded');
      const name = classOf(object);
      const found =
        name === '' || name !== classOf(old) ? undefined : await reader.get('storage.k8s.io', 'storageclasses', undefined, name);
      if (!trueAt(found as unknown as JsonObject | undefined, 'allowVolumeExpansion')) {
        throw refusal(
          request,
          'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
        );
      }
    },
  };
}

function classOf(claim: JsonObject): string {
  return stringAt(claim, 'metadata', 'annotations', BETA_CLASS) || stringAt(claim, 'spec', 'storageClassName');
}
