import { createHash } from 'node:crypto';
import { parseAddress } from './ip-address.ts';

/** The gateway of every Pod and of the services namespace. Nobody answers for it: both sides know each other's link-layer address. */
export const GATEWAY = '169.254.1.1';
/** The host's side of every veth. Each is a link of its own, so all may have the same. */
export const HOST_MAC = '02:64:75:72:65:01';
/** What a Pod, and the services namespace, sees as its interface. */
export const POD_LINK = 'eth0';

export const VXLAN_ID = 0x647572;
export const VXLAN_PORT = 4789;
/** Outer Ethernet, IPv4, UDP and VXLAN headers. */
export const VXLAN_OVERHEAD_BYTES = 50;

/** Names of a node's links, unique among nodes that share a kernel, at most 15 characters. */
export interface LinkNames {
  readonly prefix: string;
  readonly services: string;
  readonly vxlan: string;
  /** @param offset Place of the Pod's address in the node's range. */
  pod(offset: number): string;
  isPod(name: string): boolean;
}

export function linkNames(nodeName: string): LinkNames {
  const prefix = `dr${createHash('sha256').update(nodeName).digest('hex').slice(0, 6)}`;
  return {
    prefix,
    services: `${prefix}s`,
    vxlan: `${prefix}v`,
    pod: (offset) => `${prefix}p${offset.toString(16)}`,
    isPod: (name) => name.startsWith(`${prefix}p`),
  };
}

/** The link-layer address of the Pod's side, from its IPv4 address: nobody needs to remember it. */
export function podMac(address: string): string {
  return macFrom(0x0a, address);
}

/** The link-layer address of a node's VXLAN link, from its services address, so that peers can compute each other's. */
export function vxlanMac(servicesAddress: string): string {
  return macFrom(0x0e, servicesAddress);
}

function macFrom(first: number, address: string): string {
  const bytes = [first, 0x64, ...parseAddress(address).slice(-4)];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
