/** Services as plain data: what a proxy needs, without Kubernetes objects. Made by `apps/service-proxy` from Services and EndpointSlices. */

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

export interface ServiceEndpoint {
  readonly address: string;
  readonly port: number;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** On this node. */
  readonly local: boolean;
  /** Zones the endpoint is meant for; empty: all of them. */
  readonly zoneHints: readonly string[];
}

export interface ServicePort {
  /** `namespace/name:port`, unique. */
  readonly id: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** 0: none. */
  readonly nodePort: number;
  readonly endpoints: readonly ServiceEndpoint[];
}

export interface ServiceEntry {
  readonly namespace: string;
  readonly name: string;
  /** Empty for headless Services. */
  readonly clusterIPs: readonly string[];
  readonly externalIPs: readonly string[];
  readonly loadBalancerIPs: readonly string[];
  readonly ports: readonly ServicePort[];
  /** Seconds; 0: no affinity. */
  readonly sessionAffinitySeconds: number;
  readonly internalTrafficPolicy: 'Cluster' | 'Local';
  readonly externalTrafficPolicy: 'Cluster' | 'Local';
}

/** The whole desired state. Replaced, never edited. */
export interface ServiceTable {
  /** Zone of this node, where known: endpoints meant for it are preferred. */
  readonly zone?: string;
  readonly services: readonly ServiceEntry[];
}
