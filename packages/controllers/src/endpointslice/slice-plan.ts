import { type DiscoveryEndpointPort, type Draft, type Endpoint, type EndpointSlice, type Service, services } from '@dure/api';
import { deepEqual } from '../deep-equal.ts';
import { controllerReference } from '../ownership.ts';
import type { AddressType } from './pod-endpoint.ts';

export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';
export const MANAGED_BY_LABEL = 'endpointslice.kubernetes.io/managed-by';
export const CONTROLLER_NAME = 'endpointslice-controller.k8s.io';
const HEADLESS_LABEL = 'service.kubernetes.io/headless';
export const TRIGGER_TIME = 'endpoints.kubernetes.io/last-change-trigger-time';
/** A change of one endpoint rewrites at most this many. */
const ENDPOINTS_PER_SLICE_MAX = 100;

/** Endpoints that have the same ports on them. */
export interface PortGroup {
  readonly addressType: AddressType;
  readonly ports: readonly DiscoveryEndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

export interface SlicePlan {
  readonly create: readonly Draft<EndpointSlice>[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

/**
 * What makes `existing` hold `groups`, touching as few slices as it can: endpoints stay where they are, new ones go where something
 * changes anyway, then where there is room. Pure.
 * @param groups Every address type of the Service has at least one, if need be without endpoints. @param triggerTime When the change behind this happened.
 */
export function planSlices(
  service: Service,
  groups: readonly PortGroup[],
  existing: readonly EndpointSlice[],
  triggerTime: string | undefined,
): SlicePlan {
  const plan = { create: [] as Draft<EndpointSlice>[], update: [] as EndpointSlice[], remove: [] as EndpointSlice[] };
  const labels = sliceLabels(service);
  const unused = new Set(existing);
  for (const group of groups) {
    const same = existing.filter(
      (slice) => unused.has(slice) && slice.addressType === group.addressType && deepEqual(sorted(slice.ports), sorted(group.ports)),
    );
    for (const slice of same) unused.delete(slice);
    planGroup(service, group, same, labels, triggerTime, plan);
  }
  plan.remove.push(...unused);
  return reuseRemoved(plan);
}

/** A slice that would go takes the content of one that would come: readers see one change instead of a moment with both, or none. */
function reuseRemoved(plan: SlicePlan): SlicePlan {
  const remove = [...plan.remove];
  const update = [...plan.update];
  const create = plan.create.filter(({ addressType, endpoints = [], ports = [], metadata }) => {
    const at = remove.findIndex((slice) => slice.addressType === addressType);
    const [reused] = at < 0 ? [] : remove.splice(at, 1);
    if (reused === undefined) return true;
    const { labels = {}, annotations = {} } = metadata;
    update.push({
      ...reused,
      metadata: { ...reused.metadata, labels, annotations: { ...reused.metadata.annotations, ...annotations } },
      endpoints,
      ports,
    });
    return false;
  });
  return { create, update, remove };
}

function planGroup(
  service: Service,
  { addressType, ports, endpoints }: PortGroup,
  slices: readonly EndpointSlice[],
  labels: Readonly<Record<string, string>>,
  triggerTime: string | undefined,
  plan: { readonly create: Draft<EndpointSlice>[]; readonly update: EndpointSlice[]; readonly remove: EndpointSlice[] },
): void {
  const missing = new Map(endpoints.map((endpoint) => [identity(endpoint), endpoint]));
  const drafts = slices.map((slice) => {
    const kept: Endpoint[] = [];
    for (const old of slice.endpoints ?? []) {
      const wanted = missing.get(identity(old));
      if (wanted === undefined) continue;
      missing.delete(identity(old));
      kept.push(wanted);
    }
    const changed = !deepEqual(kept, slice.endpoints ?? []) || !deepEqual(slice.metadata.labels ?? {}, labels);
    return { slice, kept, changed };
  });

  const added = [...missing.values()];
  // Slices that are rewritten anyway first, the fullest first: few slices, few writes.
  const byUse = drafts
    .filter(({ kept }) => kept.length < ENDPOINTS_PER_SLICE_MAX)
    .toSorted((a, b) => Number(b.changed) - Number(a.changed) || b.kept.length - a.kept.length);
  for (const draft of byUse) {
    if (added.length === 0) break;
    const room = ENDPOINTS_PER_SLICE_MAX - draft.kept.length;
    draft.kept.push(...added.splice(0, room));
    draft.changed = true;
  }

  const isEmpty = endpoints.length === 0;
  for (const [index, { slice, kept, changed }] of drafts.entries()) {
    // A Service without endpoints keeps one empty slice, which says just that.
    if (kept.length === 0 && !(isEmpty && index === 0)) {
      plan.remove.push(slice);
    } else if (changed) {
      const annotations =
        triggerTime === undefined ? slice.metadata.annotations : { ...slice.metadata.annotations, [TRIGGER_TIME]: triggerTime };
      const metadata = { ...slice.metadata, labels, ...(annotations !== undefined && { annotations }) };
      plan.update.push({ ...slice, metadata, endpoints: kept, ports });
    }
  }
  while (added.length > 0 || (isEmpty && drafts.length === 0)) {
    plan.create.push(newSlice(service, addressType, ports, added.splice(0, ENDPOINTS_PER_SLICE_MAX), labels, triggerTime));
    if (isEmpty) break;
  }
}

function newSlice(
  service: Service,
  addressType: AddressType,
  ports: readonly DiscoveryEndpointPort[],
  endpoints: readonly Endpoint[],
  labels: Readonly<Record<string, string>>,
  triggerTime: string | undefined,
): Draft<EndpointSlice> {
  const { namespace = '', name } = service.metadata;
  return {
    metadata: {
      namespace,
      generateName: `${name}-`,
      labels,
      ...(triggerTime !== undefined && { annotations: { [TRIGGER_TIME]: triggerTime } }),
      ownerReferences: [controllerReference(service, services)],
    },
    addressType,
    endpoints,
    ports,
  };
}

/** The Service's own labels are copied; those that say whose slice it is cannot be overridden. */
function sliceLabels({ metadata, spec }: Service): Readonly<Record<string, string>> {
  const { [HEADLESS_LABEL]: _headless, ...copied } = metadata.labels ?? {};
  return {
    ...copied,
    [SERVICE_NAME_LABEL]: metadata.name,
    [MANAGED_BY_LABEL]: CONTROLLER_NAME,
    ...(spec.clusterIP === 'None' && { [HEADLESS_LABEL]: '' }),
  };
}

/** Which Pod at which addresses; all else about an endpoint may change while it stays the same one. */
function identity({ addresses, targetRef, hostname }: Endpoint): string {
  return [targetRef?.uid ?? '', hostname ?? '', ...addresses].join(' ');
}

function sorted(ports: readonly DiscoveryEndpointPort[] | undefined): readonly DiscoveryEndpointPort[] {
  const key = ({ name = '', port, protocol }: DiscoveryEndpointPort): string => `${name}/${protocol}/${port}`;
  return (ports ?? []).toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}
