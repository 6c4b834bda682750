import type { JsonObject } from '@dure/api';
import { type Revision, RevisionConflictError, type Store } from '@dure/store';
import type { StatusSwap } from '../contract/status-swap.ts';
import { objectKey } from './storage-key.ts';
import { encodeStored, StoredObject } from './stored-object.ts';

/** Swaps in `store`. */
export function statusSwap(store: Store): StatusSwap {
  return {
    async swap(group, resource, object, status, signal) {
      const { name, namespace = '', resourceVersion } = object.metadata;
      const key = objectKey(group, resource, namespace, name);
      const value = encodeStored({ ...(object as unknown as JsonObject), status });
      try {
        const revision = await store.append({ kind: 'put', key, value }, Number(resourceVersion) as Revision, 'durable', signal);
        return { kind: 'swapped', object: new StoredObject(key, value, revision).object };
      } catch (error) {
        if (!(error instanceof RevisionConflictError)) throw error;
        const { winner } = error;
        return { kind: 'lost', winner: winner && new StoredObject(key, winner.value, winner.modifiedAt).object };
      }
    },
  };
}
