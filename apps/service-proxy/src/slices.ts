import type { EndpointSlice, Service } from '@dure/api';

/** What one turn of translation reads. */
export interface ServiceObjects {
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
}

const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

/** EndpointSlices by `namespace/name` of the Service they belong to. */
export function slicesByService(endpointSlices: readonly EndpointSlice[]): ReadonlyMap<string, readonly EndpointSlice[]> {
  const bySlice = new Map<string, EndpointSlice[]>();
  for (const slice of endpointSlices) {
    const name = slice.metadata.labels?.[SERVICE_NAME_LABEL];
    if (name === undefined) continue;
    const key = `${slice.metadata.namespace}/${name}`;
    const known = bySlice.get(key);
    if (known) known.push(slice);
    else bySlice.set(key, [slice]);
  }
  return bySlice;
}

/** Cluster IPs of a Service; empty for headless ones and aliases. */
export function clusterIPsOf({ spec }: Service): readonly string[] {
  if (spec.type === 'ExternalName' || isHeadless({ spec })) return [];
  const addresses = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  return addresses.filter((address) => address !== '');
}

export function isHeadless({ spec }: Pick<Service, 'spec'>): boolean {
  return spec.type !== 'ExternalName' && spec.clusterIP === 'None';
}
