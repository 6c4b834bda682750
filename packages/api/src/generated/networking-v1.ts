// Written by tools/generate-types.ts from schema/*.json; do not edit.
import type { KubeObject } from '../object.ts';
import type { TypedLocalObjectReference } from './core-v1.ts';
import type { Condition, LabelSelector } from './meta-v1.ts';

/** networking.v1.HTTPIngressPath. */
export interface HTTPIngressPath {
  readonly path?: string;
  readonly pathType: string;
  readonly backend: IngressBackend;
}

/** networking.v1.HTTPIngressRuleValue. */
export interface HTTPIngressRuleValue {
  readonly paths: readonly HTTPIngressPath[];
}

/** networking.v1.IPAddress. */
export interface IPAddress extends KubeObject {
  readonly spec: IPAddressSpec;
}

/** networking.v1.IPAddressSpec. */
export interface IPAddressSpec {
  readonly parentRef: ParentReference;
}

/** networking.v1.IPBlock. */
export interface IPBlock {
  readonly cidr: string;
  readonly except?: readonly string[];
}

/** networking.v1.Ingress. */
export interface Ingress extends KubeObject {
  readonly spec: IngressSpec;
  readonly status: IngressStatus;
}

/** networking.v1.IngressBackend. */
export interface IngressBackend {
  readonly service?: IngressServiceBackend;
  readonly resource?: TypedLocalObjectReference;
}

/** networking.v1.IngressClass. */
export interface IngressClass extends KubeObject {
  readonly spec: IngressClassSpec;
}

/** networking.v1.IngressClassParametersReference. */
export interface IngressClassParametersReference {
  readonly apiGroup?: string;
  readonly kind: string;
  readonly name: string;
  readonly scope?: string;
  readonly namespace?: string;
}

/** networking.v1.IngressClassSpec. */
export interface IngressClassSpec {
  readonly controller?: string;
  readonly parameters?: IngressClassParametersReference;
}

/** networking.v1.IngressLoadBalancerIngress. */
export interface IngressLoadBalancerIngress {
  readonly ip?: string;
  readonly hostname?: string;
  readonly ports?: readonly IngressPortStatus[];
}

/** networking.v1.IngressLoadBalancerStatus. */
export interface IngressLoadBalancerStatus {
  readonly ingress?: readonly IngressLoadBalancerIngress[];
}

/** networking.v1.IngressPortStatus. */
export interface IngressPortStatus {
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly error?: string;
}

/** networking.v1.IngressRule. */
export interface IngressRule {
  readonly host?: string;
  readonly http?: HTTPIngressRuleValue;
}

/** networking.v1.IngressServiceBackend. */
export interface IngressServiceBackend {
  readonly name: string;
  readonly port?: ServiceBackendPort;
}

/** networking.v1.IngressSpec. */
export interface IngressSpec {
  readonly ingressClassName?: string;
  readonly defaultBackend?: IngressBackend;
  readonly tls?: readonly IngressTLS[];
  readonly rules?: readonly IngressRule[];
}

/** networking.v1.IngressStatus. */
export interface IngressStatus {
  readonly loadBalancer?: IngressLoadBalancerStatus;
}

/** networking.v1.IngressTLS. */
export interface IngressTLS {
  readonly hosts?: readonly string[];
  readonly secretName?: string;
}

/** networking.v1.NetworkPolicy. */
export interface NetworkPolicy extends KubeObject {
  readonly spec: NetworkPolicySpec;
}

/** networking.v1.NetworkPolicyEgressRule. */
export interface NetworkPolicyEgressRule {
  readonly ports?: readonly NetworkPolicyPort[];
  readonly to?: readonly NetworkPolicyPeer[];
}

/** networking.v1.NetworkPolicyIngressRule. */
export interface NetworkPolicyIngressRule {
  readonly ports?: readonly NetworkPolicyPort[];
  readonly from?: readonly NetworkPolicyPeer[];
}

/** networking.v1.NetworkPolicyPeer. */
export interface NetworkPolicyPeer {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  readonly ipBlock?: IPBlock;
}

/** networking.v1.NetworkPolicyPort. */
export interface NetworkPolicyPort {
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP';
  readonly port?: number | string;
  readonly endPort?: number;
}

/** networking.v1.NetworkPolicySpec. */
export interface NetworkPolicySpec {
  readonly podSelector?: LabelSelector;
  readonly ingress?: readonly NetworkPolicyIngressRule[];
  readonly egress?: readonly NetworkPolicyEgressRule[];
  readonly policyTypes?: readonly ('Ingress' | 'Egress')[];
}

/** networking.v1.ParentReference. */
export interface ParentReference {
  readonly group?: string;
  readonly resource: string;
  readonly namespace?: string;
  readonly name: string;
}

/** networking.v1.ServiceBackendPort. */
export interface ServiceBackendPort {
  readonly name?: string;
  readonly number?: number;
}

/** networking.v1.ServiceCIDR. */
export interface ServiceCIDR extends KubeObject {
  readonly spec: ServiceCIDRSpec;
  readonly status: ServiceCIDRStatus;
}

/** networking.v1.ServiceCIDRSpec. */
export interface ServiceCIDRSpec {
  readonly cidrs?: readonly string[];
}

/** networking.v1.ServiceCIDRStatus. */
export interface ServiceCIDRStatus {
  readonly conditions?: readonly Condition[];
}
