import { servicesAddress } from './address-leases.ts';
import type { PeerNode } from './contract.ts';
import { parseCidr } from './ip-address.ts';
import { vxlanMac } from './link-plan.ts';

/** How the kernel would reach a peer: on a link they share, over routers, or not at all. */
export type PeerReach =
  | { readonly kind: 'link'; readonly linkIndex: number; readonly linkName: string }
  | { readonly kind: 'routed' }
  | { readonly kind: 'none' };

export interface PlainRoute {
  readonly destination: string;
  readonly via: string;
  readonly linkIndex: number;
  readonly linkName: string;
}

export interface Tunnel {
  /** The peer's Pods. */
  readonly destination: string;
  /** The peer's services address: gateway of the route, never seen outside the tunnel. */
  readonly via: string;
  readonly mac: string;
  readonly remote: string;
}

export interface PeerPlan {
  readonly routes: readonly PlainRoute[];
  readonly tunnels: readonly Tunnel[];
  /** Names of peers for which nothing can be done now. */
  readonly unreachable: readonly string[];
}

/** There is no way to some peers now (no route, or no IPv4 InternalIP). The ways to all others stand. To be tried again later. */
export class PeersUnreachableError extends Error {
  override readonly name = 'PeersUnreachableError';
  readonly code = 'NETWORK_PEERS_UNREACHABLE';
  readonly peers: readonly string[];

  constructor(peers: readonly string[]) {
    super(`set peers: no route to the addresses of ${peers.join(', ')}`);
    this.peers = peers;
  }
}

/** What leads to the peers' Pods. IPv4 ranges only. @param reach Asked for a peer's first IPv4 InternalIP. */
export function planPeers(peers: readonly PeerNode[], reach: (address: string) => PeerReach): PeerPlan {
  const routes: PlainRoute[] = [];
  const tunnels: Tunnel[] = [];
  const unreachable: string[] = [];
  for (const peer of peers) {
    const address = peer.internalIPs.find((ip) => !ip.includes(':'));
    const ranges = peer.podCIDRs.filter((cidr) => !cidr.includes(':'));
    const found: PeerReach = address === undefined ? { kind: 'none' } : reach(address);
    if (address === undefined || found.kind === 'none') {
      unreachable.push(peer.name);
      continue;
    }
    for (const destination of ranges) {
      if (found.kind === 'link') {
        routes.push({ destination, via: address, linkIndex: found.linkIndex, linkName: found.linkName });
      } else {
        const via = servicesAddress(parseCidr(destination));
        tunnels.push({ destination, via, mac: vxlanMac(via), remote: address });
      }
    }
  }
  return { routes, tunnels, unreachable };
}
