import { isIP } from 'node:net';
import type { DiscoveryEndpointPort, Draft, Endpoint, EndpointAddress, EndpointPort, EndpointSlice, Endpoints } from '@dure/api';
import { endpoints as endpointsKind } from '@dure/api';
import { deepEqual } from '../deep-equal.ts';
import type { AddressType } from '../endpointslice/pod-endpoint.ts';
import { MANAGED_BY_LABEL, SERVICE_NAME_LABEL, type SlicePlan, TRIGGER_TIME } from '../endpointslice/slice-plan.ts';
import { controllerReference } from '../ownership.ts';

export const MIRRORING_NAME = 'endpointslicemirroring-controller.k8s.io';
const SKIP_MIRROR_LABEL = 'endpointslice.kubernetes.io/skip-mirror';
const LEADER_ANNOTATION = 'control-plane.alpha.kubernetes.io/leader';
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
/** Of each subset, so that a subset is one slice of each family. */
export const ENDPOINTS_PER_SUBSET_MAX = 1000;

export interface MirrorPlan extends SlicePlan {
  /** Addresses beyond {@link ENDPOINTS_PER_SUBSET_MAX}. */
  readonly skipped: number;
}

/** Whether `endpoints` are anybody's addresses: not a lock of former days, and not what asks to be left alone. */
export function isMirrored({ metadata }: Endpoints): boolean {
  return metadata.labels?.[SKIP_MIRROR_LABEL] !== 'true' && metadata.annotations?.[LEADER_ANNOTATION] === undefined;
}

/** What makes `existing` say what `endpoints` says: one slice for each set of ports and family. Pure. */
export function planMirror(endpoints: Endpoints, existing: readonly EndpointSlice[]): MirrorPlan {
  const plan = { create: [] as Draft<EndpointSlice>[], update: [] as EndpointSlice[], remove: [] as EndpointSlice[] };
  const spare = new Set(existing);
  const take = (matches: (slice: EndpointSlice) => boolean): EndpointSlice | undefined => {
    const found = [...spare].find(matches);
    if (found !== undefined) spare.delete(found);
    return found;
  };
  const { groups, skipped } = groupsOf(endpoints);
  const placed = groups.map((group) => ({
    group,
    slice: take(({ addressType, ports }) => addressType === group.addressType && deepEqual(ports ?? [], group.ports)),
  }));
  for (const { group, slice } of placed) {
    // A slice that would go takes the content of one that would come: readers see one change instead of a moment with neither.
    const reused = slice ?? take(({ addressType }) => addressType === group.addressType);
    const wanted = { ...group, metadata: mirroredMetadata(endpoints) };
    if (reused === undefined)
      plan.create.push({ ...wanted, metadata: { ...wanted.metadata, generateName: `${endpoints.metadata.name}-` } });
    else if (!isSame(reused, wanted)) plan.update.push({ ...reused, ...wanted, metadata: { ...reused.metadata, ...wanted.metadata } });
  }
  plan.remove.push(...spare);
  // What is being deleted gets no new slices: they would go with it.
  return { ...plan, create: endpoints.metadata.deletionTimestamp === undefined ? plan.create : [], skipped };
}

type SliceContent = Pick<Draft<EndpointSlice>, 'metadata'> & Required<Pick<EndpointSlice, 'addressType' | 'ports' | 'endpoints'>>;

function isSame(slice: EndpointSlice, wanted: SliceContent): boolean {
  return (
    deepEqual(slice.ports ?? [], wanted.ports) &&
    deepEqual(slice.endpoints ?? [], wanted.endpoints) &&
    deepEqual(slice.metadata.labels ?? {}, wanted.metadata.labels) &&
    deepEqual(slice.metadata.annotations ?? {}, wanted.metadata.annotations)
  );
}

function mirroredMetadata(endpoints: Endpoints) {
  const { namespace = '', name, labels, annotations = {} } = endpoints.metadata;
  const { [TRIGGER_TIME]: _trigger, [LAST_APPLIED]: _applied, ...shown } = annotations;
  return {
    namespace,
    labels: { ...labels, [SERVICE_NAME_LABEL]: name, [MANAGED_BY_LABEL]: MIRRORING_NAME },
    annotations: shown,
    ownerReferences: [controllerReference(endpoints, endpointsKind)],
  };
}

interface Group {
  readonly addressType: AddressType;
  readonly ports: readonly DiscoveryEndpointPort[];
  readonly endpoints: Endpoint[];
}

/** The endpoints by their ports and family, in a fixed order: equal content is an equal slice. */
function groupsOf(endpoints: Endpoints): { readonly groups: readonly Group[]; readonly skipped: number } {
  const groups: Group[] = [];
  let skipped = 0;
  for (const { ports, addresses } of portSets(endpoints)) {
    const kept = addresses.slice(0, ENDPOINTS_PER_SUBSET_MAX);
    skipped += addresses.length - kept.length;
    for (const addressType of ['IPv4', 'IPv6'] as const) {
      const ofFamily = kept.filter(({ address }) => isIP(address.ip) === (addressType === 'IPv4' ? 4 : 6));
      if (ofFamily.length > 0) groups.push({ addressType, ports: ports.map(slicePort), endpoints: ofFamily.map(sliceEndpoint) });
    }
  }
  return { groups, skipped };
}

interface ReadyAddress {
  readonly address: EndpointAddress;
  readonly ready: boolean;
}

interface PortSet {
  readonly ports: readonly EndpointPort[];
  readonly addresses: readonly ReadyAddress[];
}

/** Ports that the same addresses are behind, whichever subsets name them. An address that any subset calls not ready is not ready. */
function portSets({ subsets = [] }: Endpoints): readonly PortSet[] {
  const byPort = new Map<string, { readonly port: EndpointPort | undefined; readonly addresses: Map<string, ReadyAddress> }>();
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    for (const port of ports.length === 0 ? [undefined] : ports) {
      const id = JSON.stringify(port ?? null);
      const entry = byPort.get(id) ?? { port, addresses: new Map<string, ReadyAddress>() };
      byPort.set(id, entry);
      for (const address of addresses) {
        const key = addressKey(address);
        if (!entry.addresses.has(key)) entry.addresses.set(key, { address, ready: true });
      }
      for (const address of notReadyAddresses) entry.addresses.set(addressKey(address), { address, ready: false });
    }
  }
  const sets = new Map<string, { readonly ports: EndpointPort[]; readonly addresses: readonly ReadyAddress[] }>();
  for (const [, { port, addresses }] of sortedEntries(byPort)) {
    const ordered = sortedEntries(addresses);
    // Ready ones first: they are the last to be cut.
    const list = ordered.map(([, address]) => address).toSorted((a, b) => Number(b.ready) - Number(a.ready));
    const id = JSON.stringify([port === undefined, ordered.map(([key, { ready }]) => [key, ready])]);
    const set = sets.get(id) ?? { ports: [], addresses: list };
    sets.set(id, set);
    if (port !== undefined) set.ports.push(port);
  }
  return [...sets.values()];
}

function sortedEntries<T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

function addressKey({ ip, hostname = '', nodeName = '', targetRef }: EndpointAddress): string {
  return [ip, hostname, nodeName, targetRef?.uid ?? '', targetRef?.name ?? ''].join(' ');
}

function slicePort({ name = '', port, protocol = 'TCP', appProtocol }: EndpointPort): DiscoveryEndpointPort {
  return { name, port, protocol, ...(appProtocol !== undefined && { appProtocol }) };
}

function sliceEndpoint({ address: { ip, hostname, nodeName, targetRef }, ready }: ReadyAddress): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname && { hostname }),
    ...(nodeName !== undefined && { nodeName }),
    ...(targetRef !== undefined && { targetRef }),
  };
}
