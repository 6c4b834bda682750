/** The cluster's names as plain data: what a responder needs, without Kubernetes objects. Made by `apps/service-proxy` from Services and EndpointSlices. */

export type ZoneProtocol = 'TCP' | 'UDP' | 'SCTP';

export interface ZonePort {
  /** '' for a Service's only port: it has no SRV record of its own. */
  readonly name: string;
  readonly protocol: ZoneProtocol;
  readonly port: number;
}

/** One address behind a headless Service. */
export interface ZoneEndpoint {
  readonly address: string;
  /** A single label. Absent: one is made from the address. */
  readonly hostname?: string;
  readonly ports: readonly ZonePort[];
}

export interface ZoneService {
  readonly namespace: string;
  readonly name: string;
  /** Empty for headless Services and aliases. */
  readonly clusterIPs: readonly string[];
  /** Makes the name an alias of another (type ExternalName). */
  readonly externalName?: string;
  readonly ports: readonly ZonePort[];
  /** Headless Services: the endpoints to publish, whatever made them fit. Otherwise empty. */
  readonly endpoints: readonly ZoneEndpoint[];
}

/** The whole zone. Replaced, never edited. */
export interface ZoneTable {
  /** Without dots at the ends: `cluster.local`. */
  readonly clusterDomain: string;
  readonly services: readonly ZoneService[];
}
