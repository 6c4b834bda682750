import type { Draft, EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service } from '@dure/api';
import { deepEqual } from '../deep-equal.ts';
import { hostnameIn, podAddresses, podPorts } from '../endpointslice/pod-endpoint.ts';
import { isPodReady } from '../pod-state.ts';

const OVER_CAPACITY = 'endpoints.kubernetes.io/over-capacity';
const HEADLESS_LABEL = 'service.kubernetes.io/headless';
const MANAGED_BY_LABEL = 'endpoints.kubernetes.io/managed-by';
/** More do not fit into one object that every node watches. */
const ADDRESSES_MAX = 1000;

/** The Endpoints that `service` should have. `undefined`: they are right already. Pure. @param chosen Pods that are endpoints, going ones left out. */
export function planEndpoints(
  service: Service,
  chosen: readonly Pod[],
  current: Endpoints | undefined,
): Draft<Endpoints> | Endpoints | undefined {
  const all = packSubsets(chosen.flatMap((pod) => subsetOf(pod, service)));
  const { subsets, truncated } = truncate(all);
  const { namespace = '', name, labels: serviceLabels = {} } = service.metadata;
  const { [HEADLESS_LABEL]: _headless, ...copied } = serviceLabels;
  const labels = {
    ...copied,
    ...(service.spec.clusterIP === 'None' && { [HEADLESS_LABEL]: '' }),
    [MANAGED_BY_LABEL]: 'endpoint-controller',
  };
  const { [OVER_CAPACITY]: _over, ...rest } = current?.metadata.annotations ?? {};
  const annotations = truncated ? { ...rest, [OVER_CAPACITY]: 'truncated' } : rest;
  const isSame =
    current !== undefined &&
    deepEqual(current.subsets ?? [], subsets) &&
    deepEqual(current.metadata.labels ?? {}, labels) &&
    deepEqual(current.metadata.annotations ?? {}, annotations);
  if (isSame) return undefined;
  if (current !== undefined) return { ...current, metadata: { ...current.metadata, labels, annotations }, subsets };
  return { metadata: { namespace, name, labels, annotations }, subsets };
}

function subsetOf(pod: Pod, service: Service): readonly EndpointSubset[] {
  const wantsIPv6 = (service.spec.ipFamilies?.[0] ?? (service.spec.clusterIP?.includes(':') ? 'IPv6' : 'IPv4')) === 'IPv6';
  const ip = podAddresses(pod).find((address) => address.includes(':') === wantsIPv6);
  if (ip === undefined) return [];
  const hostname = hostnameIn(pod, service);
  const { name, namespace = '', uid } = pod.metadata;
  const address: EndpointAddress = {
    ip,
    ...(hostname !== undefined && { hostname }),
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', namespace, name, uid },
  };
  const ports = podPorts(pod, service) as readonly EndpointPort[];
  if (ports.length === 0 && (service.spec.ports ?? []).length > 0) return [];
  const named = ports.map(({ name: portName, ...port }) => (portName ? { name: portName, ...port } : port)) as readonly EndpointPort[];
  const ready = service.spec.publishNotReadyAddresses === true || isPodReady(pod);
  return [{ ...(ready ? { addresses: [address] } : { notReadyAddresses: [address] }), ...(named.length > 0 && { ports: named }) }];
}

/** One subset per set of ports, everything in a fixed order: equal content is an equal object. */
function packSubsets(parts: readonly EndpointSubset[]): readonly EndpointSubset[] {
  const groups = new Map<string, { ports: readonly EndpointPort[]; addresses: EndpointAddress[]; notReady: EndpointAddress[] }>();
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of parts) {
    const ordered = ports.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    const id = JSON.stringify(ordered);
    const group = groups.get(id) ?? { ports: ordered, addresses: [], notReady: [] };
    group.addresses.push(...addresses);
    group.notReady.push(...notReadyAddresses);
    groups.set(id, group);
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { ports, addresses, notReady }]) => ({
      ...(addresses.length > 0 && { addresses: addresses.sort(byAddress) }),
      ...(notReady.length > 0 && { notReadyAddresses: notReady.sort(byAddress) }),
      ...(ports.length > 0 && { ports }),
    }));
}

/** At most {@link ADDRESSES_MAX}, ready ones first, each subset in proportion. */
function truncate(subsets: readonly EndpointSubset[]): { readonly subsets: readonly EndpointSubset[]; readonly truncated: boolean } {
  const count = (of: (subset: EndpointSubset) => readonly EndpointAddress[] | undefined): number =>
    subsets.reduce((sum, subset) => sum + (of(subset)?.length ?? 0), 0);
  const ready = count(({ addresses }) => addresses);
  const notReady = count(({ notReadyAddresses }) => notReadyAddresses);
  if (ready + notReady <= ADDRESSES_MAX) return { subsets, truncated: false };
  const readyMax = Math.min(ready, ADDRESSES_MAX);
  const notReadyMax = ADDRESSES_MAX - readyMax;
  const share = (list: readonly EndpointAddress[] | undefined, max: number, total: number): readonly EndpointAddress[] =>
    (list ?? []).slice(0, total === 0 ? 0 : Math.floor(((list?.length ?? 0) / total) * max));
  const kept = subsets.map(({ addresses, notReadyAddresses, ports }) => {
    const some = share(addresses, readyMax, ready);
    const others = share(notReadyAddresses, notReadyMax, notReady);
    return {
      ...(some.length > 0 && { addresses: some }),
      ...(others.length > 0 && { notReadyAddresses: others }),
      ...(ports && { ports }),
    };
  });
  return { subsets: kept.filter((subset) => 'addresses' in subset || 'notReadyAddresses' in subset), truncated: true };
}

function byAddress(a: EndpointAddress, b: EndpointAddress): number {
  const key = ({ ip, targetRef }: EndpointAddress): string => `${ip} ${targetRef?.uid ?? ''}`;
  return key(a) < key(b) ? -1 : 1;
}
