import type { Container, DiscoveryEndpointPort, Endpoint, Node, Pod, Service, ServicePort } from '@dure/api';
import { isPodFinished, isPodReady } from '../pod-state.ts';

export type AddressType = 'IPv4' | 'IPv6';

const ZONE = 'topology.kubernetes.io/zone';

/** Whether `pod` has a place among the Service's endpoints at all. A going Pod has, until it is gone: connections drain. */
export function isEndpoint(pod: Pod): boolean {
  return !isPodFinished(pod) && podAddresses(pod).length > 0;
}

export function podAddresses({ status }: Pod): readonly string[] {
  const addresses = (status?.podIPs ?? []).map(({ ip }) => ip);
  return addresses.length > 0 || !status?.podIP ? addresses : [status.podIP];
}

/** `pod` as an endpoint of `service` in one address family; `undefined` if it has no such address. */
export function podEndpoint(pod: Pod, node: Node | undefined, service: Service, addressType: AddressType): Endpoint | undefined {
  const addresses = podAddresses(pod).filter((address) => address.includes(':') === (addressType === 'IPv6'));
  if (addresses.length === 0) return undefined;
  const serving = isPodReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const { name, namespace = '', uid } = pod.metadata;
  const zone = node?.metadata.labels?.[ZONE];
  const hostname = hostnameIn(pod, service);
  return {
    addresses,
    conditions: { ready, serving, terminating },
    ...(hostname !== undefined && { hostname }),
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', namespace, name, uid },
    ...(zone !== undefined && { zone }),
    ...hintsOf(service, { ready, zone, nodeName: pod.spec.nodeName }),
  };
}

/** The ports of `service` as they are on `pod`. A named port that the Pod does not have is left out. */
export function podPorts(pod: Pod, { spec }: Service): readonly DiscoveryEndpointPort[] {
  return (spec.ports ?? []).flatMap((port) => {
    const number = targetPort(pod, port);
    if (number === undefined) return [];
    return [
      { name: port.name ?? '', port: number, protocol: port.protocol ?? 'TCP', ...(port.appProtocol && { appProtocol: port.appProtocol }) },
    ];
  });
}

/** The number behind a Service port's `targetPort` on `pod`. */
export function targetPort(pod: Pod, { targetPort: target, port, protocol = 'TCP' }: ServicePort): number | undefined {
  if (target === undefined || target === 0 || target === '') return port;
  if (typeof target === 'number') return target;
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...pod.spec.containers, ...sidecars]
    .flatMap(({ ports = [] }: Container) => ports)
    .find((one) => one.name === target && (one.protocol ?? 'TCP') === protocol)?.containerPort;
}

/** The name under which DNS finds this one Pod: only within the headless Service that its `subdomain` names. */
export function hostnameIn({ spec, metadata }: Pod, service: Service): string | undefined {
  const isOwn = spec.subdomain === service.metadata.name && metadata.namespace === service.metadata.namespace;
  return spec.hostname && isOwn ? spec.hostname : undefined;
}

/** Where traffic to this endpoint should come from, if the Service cares. */
function hintsOf(
  { spec }: Service,
  { ready, zone, nodeName }: { readonly ready: boolean; readonly zone: string | undefined; readonly nodeName: string | undefined },
): Pick<Endpoint, 'hints'> {
  const { trafficDistribution } = spec;
  if (!trafficDistribution || !ready) return {};
  const sameNode = trafficDistribution === 'PreferSameNode' && nodeName ? { forNodes: [{ name: nodeName }] } : {};
  const sameZone = zone === undefined ? {} : { forZones: [{ name: zone }] };
  const hints = { ...sameZone, ...sameNode };
  return Object.keys(hints).length === 0 ? {} : { hints };
}
