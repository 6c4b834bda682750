import { type EndpointSlice, endpointSlices } from '@dure/api';
import type { Informer, InformerFactory } from '@dure/client';
import type { Expectations, WorkQueue } from '@dure/reconcile';
import { MANAGED_BY_LABEL, SERVICE_NAME_LABEL } from './slice-plan.ts';

const BY_MANAGER = 'manager';

export interface ManagedSlices {
  readonly sliceCache: Informer<EndpointSlice>;
  /** Those of the Service at `key`, without those on their way out. */
  slicesOf(key: string): readonly EndpointSlice[];
}

/** The slices that `manager` keeps. A change of one brings the key of its Service to `queue` and is told to `expectations`. */
export function watchManagedSlices(
  informers: InformerFactory,
  manager: string,
  queue: WorkQueue,
  expectations: Expectations,
): ManagedSlices {
  const sliceCache = informers.informer<EndpointSlice>(endpointSlices);
  const keyOf = (slice: EndpointSlice): string | undefined => (managerOf(slice) === manager ? serviceKeyOf(slice) : undefined);
  sliceCache.addIndex(BY_MANAGER, managedKey);
  sliceCache.addHandler({
    add: (slice) => {
      const key = keyOf(slice);
      if (key === undefined) return;
      expectations.creationDone(key);
      queue.add(key);
    },
    update: (slice, old) => {
      for (const key of new Set([keyOf(slice), keyOf(old)])) if (key !== undefined) queue.add(key);
    },
    delete: (slice) => {
      const key = keyOf(slice);
      if (key === undefined) return;
      expectations.deletionDone(key, slice.metadata.uid);
      queue.add(key);
    },
  });
  return {
    sliceCache,
    slicesOf: (key) =>
      sliceCache.byIndex(BY_MANAGER, `${manager}/${key}`).filter(({ metadata }) => metadata.deletionTimestamp === undefined),
  };
}

/** `MANAGER/NAMESPACE/SERVICE`: one index for all managers, since they share the informer. */
function managedKey(slice: EndpointSlice): readonly string[] {
  const [manager, key] = [managerOf(slice), serviceKeyOf(slice)];
  return manager === undefined || key === undefined ? [] : [`${manager}/${key}`];
}

function managerOf({ metadata }: EndpointSlice): string | undefined {
  return metadata.labels?.[MANAGED_BY_LABEL];
}

function serviceKeyOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels?.[SERVICE_NAME_LABEL];
  return name === undefined ? undefined : `${metadata.namespace}/${name}`;
}
