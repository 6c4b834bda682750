import type { EndpointSlice, ServicePort as KubeServicePort, Service } from '@dure/api';
import type { ServiceEndpoint, ServiceEntry, ServicePort, ServiceTable } from '@dure/network';
import { clusterIPsOf, type ServiceObjects, slicesByService } from './slices.ts';

export interface ProxyTableContext {
  readonly nodeName: string;
  /** Zone of this node, where known. */
  readonly zone?: string;
  /** `ADDRESS:PORT` that this process answers itself. */
  readonly reserved: ReadonlySet<string>;
}

const AFFINITY_SECONDS = 10_800;
/** A Service with this label is another proxy's. */
const PROXY_NAME_LABEL = 'service.kubernetes.io/service-proxy-name';
/** Whoever labels a Service or a slice with this wants no proxy for it, whether it has a cluster IP or not. */
const HEADLESS_LABEL = 'service.kubernetes.io/headless';

/** What the proxy should carry. Pure; Services without a cluster IP (headless, ExternalName) have nothing to carry. */
export function translateServices({ services, endpointSlices }: ServiceObjects, context: ProxyTableContext): ServiceTable {
  const slices = slicesByService(endpointSlices.filter(({ metadata }) => metadata.labels?.[HEADLESS_LABEL] === undefined));
  const entries = services.flatMap((service): ServiceEntry[] => {
    const { name, namespace = '', labels } = service.metadata;
    const clusterIPs = clusterIPsOf(service);
    const isOthers = labels?.[PROXY_NAME_LABEL] !== undefined || labels?.[HEADLESS_LABEL] !== undefined;
    if (clusterIPs.length === 0 || isOthers) return [];
    return [translate(service, namespace, name, clusterIPs, slices.get(`${namespace}/${name}`) ?? [], context)];
  });
  return { services: entries, ...(context.zone !== undefined && { zone: context.zone }) };
}

function translate(
  { spec, status }: Service,
  namespace: string,
  name: string,
  clusterIPs: readonly string[],
  slices: readonly EndpointSlice[],
  { nodeName, reserved }: ProxyTableContext,
): ServiceEntry {
  const addressType = clusterIPs.some((address) => !address.includes(':')) ? 'IPv4' : 'IPv6';
  const usable = slices.filter((slice) => slice.addressType === addressType);
  const isOurs = ({ port }: KubeServicePort): boolean => clusterIPs.some((address) => reserved.has(`${address}:${port}`));
  const ports = (spec.ports ?? [])
    .filter((port) => !isOurs(port))
    .map((port) => translatePort(`${namespace}/${name}`, port, usable, nodeName));
  return {
    namespace,
    name,
    clusterIPs,
    externalIPs: spec.externalIPs ?? [],
    // ipMode Proxy: the load balancer wants to see the traffic of the cluster too.
    loadBalancerIPs: (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) =>
      ip === undefined || ipMode === 'Proxy' ? [] : [ip],
    ),
    ports,
    sessionAffinitySeconds:
      spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS) : 0,
    internalTrafficPolicy: spec.internalTrafficPolicy ?? 'Cluster',
    externalTrafficPolicy: spec.externalTrafficPolicy ?? 'Cluster',
  };
}

function translatePort(
  service: string,
  { name = '', protocol = 'TCP', port, nodePort }: KubeServicePort,
  slices: readonly EndpointSlice[],
  nodeName: string,
): ServicePort {
  const endpoints = new Map<string, ServiceEndpoint>();
  for (const slice of slices) {
    const target = slice.ports?.find((candidate) => (candidate.name ?? '') === name && (candidate.protocol ?? 'TCP') === protocol)?.port;
    if (target === undefined) continue;
    for (const { addresses, conditions, nodeName: on, hints } of slice.endpoints ?? []) {
      const [address] = addresses;
      if (address === undefined) continue;
      const ready = conditions?.ready ?? true;
      const endpoint: ServiceEndpoint = {
        address,
        port: target,
        ready,
        serving: conditions?.serving ?? ready,
        terminating: conditions?.terminating ?? false,
        local: on === nodeName,
        zoneHints: (hints?.forZones ?? []).map((zone) => zone.name),
      };
      // While slices are being rearranged an endpoint may stand in two of them; the better state holds.
      const key = `${address} ${target}`;
      if (!endpoints.get(key)?.ready) endpoints.set(key, endpoint);
    }
  }
  return { id: `${service}:${name}`, protocol, port, nodePort: nodePort ?? 0, endpoints: [...endpoints.values()] };
}
