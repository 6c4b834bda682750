// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';
import type { ObjectReference } from './core-v1.ts';

/** discovery.v1.Endpoint. */
export interface Endpoint {
  readonly addresses: readonly string[];
  readonly conditions?: EndpointConditions;
  readonly hostname?: string;
  readonly targetRef?: ObjectReference;
  readonly deprecatedTopology?: Readonly<Record<string, string>>;
  readonly nodeName?: string;
  readonly zone?: string;
  readonly hints?: EndpointHints;
}

/** discovery.v1.EndpointConditions. */
export interface EndpointConditions {
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

/** discovery.v1.EndpointHints. */
export interface EndpointHints {
  readonly forZones?: readonly ForZone[];
  readonly forNodes?: readonly ForNode[];
}

/** discovery.v1.EndpointPort. */
export interface EndpointPort {
  readonly name?: string;
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP';
  readonly port?: number;
  readonly appProtocol?: string;
}

/** discovery.v1.EndpointSlice. */
export interface EndpointSlice extends KubeObject {
  readonly addressType: string;
  readonly endpoints?: readonly Endpoint[];
  readonly ports?: readonly EndpointPort[];
}

/** discovery.v1.ForNode. */
export interface ForNode {
  readonly name: string;
}

/** discovery.v1.ForZone. */
export interface ForZone {
  readonly name: string;
}
