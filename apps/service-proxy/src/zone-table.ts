import type { EndpointSlice } from '@dure/api';
import type { ZoneEndpoint, ZonePort, ZoneService, ZoneTable } from '@dure/dns';
import { clusterIPsOf, isHeadless, type ServiceObjects, slicesByService } from './slices.ts';

/** What DNS should answer. Pure. Endpoints of headless Services are published while they are ready (which includes `publishNotReadyAddresses`). */
export function translateZone({ services, endpointSlices }: ServiceObjects, clusterDomain: string): ZoneTable {
  const slices = slicesByService(endpointSlices);
  const zone = services.flatMap((service): ZoneService[] => {
    const { spec, metadata } = service;
    const { name, namespace = '' } = metadata;
    const ports = (spec.ports ?? []).map(
      (port): ZonePort => ({ name: port.name ?? '', protocol: port.protocol ?? 'TCP', port: port.port }),
    );
    if (spec.type === 'ExternalName') {
      const externalName = spec.externalName?.replace(/\.$/, '');
      return externalName ? [{ namespace, name, clusterIPs: [], externalName, ports: [], endpoints: [] }] : [];
    }
    const clusterIPs = clusterIPsOf(service);
    if (clusterIPs.length > 0) return [{ namespace, name, clusterIPs, ports, endpoints: [] }];
    if (!isHeadless(service)) return [];
    const endpoints = (slices.get(`${namespace}/${name}`) ?? []).flatMap(publishedEndpoints);
    return [{ namespace, name, clusterIPs: [], ports: [], endpoints: mergeByAddress(endpoints) }];
  });
  return { clusterDomain, services: zone };
}

function publishedEndpoints({ addressType, endpoints, ports }: EndpointSlice): ZoneEndpoint[] {
  if (addressType !== 'IPv4' && addressType !== 'IPv6') return [];
  const zonePorts = (ports ?? []).flatMap(({ name, protocol, port }): ZonePort[] =>
    port === undefined ? [] : [{ name: name ?? '', protocol: protocol ?? 'TCP', port }],
  );
  return (endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready ?? true)
    .flatMap(({ addresses, hostname }) =>
      addresses.map((address): ZoneEndpoint => ({ address, ports: zonePorts, ...(hostname !== undefined && { hostname }) })),
    );
}

/** Slices of different ports may hold the same endpoint. */
function mergeByAddress(endpoints: readonly ZoneEndpoint[]): ZoneEndpoint[] {
  const merged = new Map<string, ZoneEndpoint>();
  for (const endpoint of endpoints) {
    const key = `${endpoint.address} ${endpoint.hostname ?? ''}`;
    const known = merged.get(key);
    merged.set(key, known ? { ...known, ports: [...known.ports, ...endpoint.ports] } : endpoint);
  }
  return [...merged.values()];
}
