export { AddressesExhaustedError, type PortMapping } from './address-leases.ts';
export type { AttachOptions, NodeNetwork, NodeNetworkConfig, PeerNode, SandboxIdentity } from './contract.ts';
export { AddressError, addressAt, type Cidr, cidrContains, cidrSize, familyOf, parseCidr, renderCidr } from './ip-address.ts';
export { type HostChange, type Ledger, openLedger } from './ledger.ts';
export { type NamespaceSockets, type OutgoingConnection, openNamespaceSockets } from './namespace-sockets.ts';
export { NetlinkError } from './netlink.ts';
export { isNetworkNamespace, within } from './network-namespace.ts';
export { NftablesError } from './nftables.ts';
export { type NodeNetworkOptions, openNodeNetwork } from './node-network.ts';
export {
  createServiceProxy,
  type ServiceProxy,
  type ServiceProxyLimits,
  type ServiceProxyOptions,
  type ServiceProxyStatus,
} from './service-proxy.ts';
export type { Protocol, ServiceEndpoint, ServiceEntry, ServicePort, ServiceTable } from './service-table.ts';
export { openSyscalls, SyscallError, type Syscalls } from './syscalls.ts';
