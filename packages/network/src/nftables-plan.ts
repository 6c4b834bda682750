import type { PortMapping } from './address-leases.ts';

export interface HostPort extends PortMapping {
  readonly podIP: string;
}

export interface NftablesState {
  readonly nodeName: string;
  /** IPv4 ranges. */
  readonly podCIDR: string;
  /** Traffic from Pods to these keeps its source address. */
  readonly unmasqueraded: readonly string[];
  /** Names of this node's own links start so. */
  readonly linkPrefix: string;
  readonly hostPorts: readonly HostPort[];
}

export const NFTABLES_FAMILY = 'ip';

/** The one table of a node. */
export function nftablesTableName(nodeName: string): string {
  return `dure-${nodeName}`;
}

/**
 * The whole table as one transaction for `nft -f -`: replaces what was there, in one step.
 *
 * Host ports answer on the node's loopback too, which needs `route_localnet` on the link; the guard keeps Pods from reaching the node's own
 * loopback daemons that way.
 *
 * `accept` in the forward chain ends this table's chain only: a drop policy in another table still drops. A host with such a policy needs a rule there.
 */
export function renderNftables({ nodeName, podCIDR, unmasqueraded, linkPrefix, hostPorts }: NftablesState): string {
  const table = `table ${NFTABLES_FAMILY} ${nftablesTableName(nodeName)}`;
  const isBound = ({ hostIP }: HostPort): boolean => hostIP !== undefined && hostIP !== '' && hostIP !== '0.0.0.0' && hostIP !== '::';
  const target = ({ podIP, containerPort }: HostPort): string => `${podIP} . ${containerPort}`;
  const anyAddress = hostPorts.filter((port) => !isBound(port)).map((port) => `${protocolOf(port)} . ${port.hostPort} : ${target(port)}`);
  const oneAddress = hostPorts
    .filter((port) => isBound(port) && !port.hostIP?.includes(':'))
    .map((port) => `${port.hostIP} . ${protocolOf(port)} . ${port.hostPort} : ${target(port)}`);
  return `${table}
delete ${table}
${table} {
  map host-ports {
    type inet_proto . inet_service : ipv4_addr . inet_service
${elements(anyAddress)}  }
  map host-ports-of-address {
    type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
${elements(oneAddress)}  }
  chain to-host-port {
    dnat ip to ip daddr . meta l4proto . th dport map @host-ports-of-address
    dnat ip to meta l4proto . th dport map @host-ports
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    meta l4proto { tcp, udp, sctp } fib daddr type local jump to-host-port
  }
  chain output {
    type nat hook output priority -100; policy accept;
    meta l4proto { tcp, udp, sctp } fib daddr type local jump to-host-port
  }
  chain loopback-guard {
    type filter hook prerouting priority raw; policy accept;
    iifname "${linkPrefix}*" ip daddr 127.0.0.0/8 drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 127.0.0.0/8 oifname "${linkPrefix}*" masquerade
    ct status dnat ip saddr ${podCIDR} ip daddr ${podCIDR} masquerade
    ip saddr ${podCIDR} ip daddr != { ${mergedSet(unmasqueraded)} } oifname != "${linkPrefix}*" masquerade fully-random
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "${linkPrefix}*" accept
    oifname "${linkPrefix}*" accept
  }
}
`;
}

function elements(entries: readonly string[]): string {
  // A duplicate key would refuse the whole transaction; the first Pod keeps the port.
  const byKey = new Map(entries.toReversed().map((entry) => [entry.split(' : ')[0], entry]));
  return byKey.size === 0 ? '' : `    elements = { ${[...byKey.values()].toReversed().join(', ')} }\n`;
}

function mergedSet(cidrs: readonly string[]): string {
  return [...new Set([...cidrs, '224.0.0.0/4'])].join(', ');
}

function protocolOf({ protocol }: PortMapping): string {
  return protocol.toLowerCase();
}
