import { parseIP } from './address-syntax.ts';
import type { IPAddress } from './generated/networking-v1.ts';
import type { Draft } from './object.ts';

/** Whom a cluster IP belongs to. */
export interface AddressHolder {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

const FAMILY = 'ipaddress.kubernetes.io/ip-family';
const MANAGED_BY = 'ipaddress.kubernetes.io/managed-by';
/** Upstream's name for who gives out addresses. */
const ALLOCATOR = 'ipallocator.k8s.io';
/** A Service that was made anew under its old name does not hold what the old one held. */
const HOLDER_UID = 'dure.dev/service-uid';

/** The object that says that a Service has a cluster IP. @param address In canonical spelling. @see KEP-1880 */
export function serviceAddress(address: string, { namespace, name, uid }: AddressHolder): Draft<IPAddress> {
  return {
    metadata: {
      name: address,
      labels: { [FAMILY]: parseIP(address)?.family ?? 'IPv4', [MANAGED_BY]: ALLOCATOR },
      annotations: { [HOLDER_UID]: uid },
    },
    spec: { parentRef: { resource: 'services', namespace, name } },
  };
}

/** Whose the address is; `undefined` where it was not given out by a server, but made by somebody. */
export function addressHolder({ metadata, spec }: Pick<IPAddress, 'metadata' | 'spec'>): AddressHolder | undefined {
  const uid = metadata.annotations?.[HOLDER_UID];
  const { namespace = '', name } = spec.parentRef ?? { name: '' };
  return uid === undefined || metadata.labels?.[MANAGED_BY] !== ALLOCATOR ? undefined : { namespace, name: name ?? '', uid };
}
