export type { NodeNetwork, NodeNetworkConfig, PeerNode, SandboxIdentity } from './contract.ts';
export type { Protocol, ServiceEndpoint, ServiceEntry, ServicePort, ServiceTable } from './service-table.ts';
