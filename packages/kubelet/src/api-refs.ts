import type { ResourceRef } from '@dure/api';
import type { CertificateSigningRequest, ConfigMap, Lease, Node, Pod, Secret, Service } from './api-types.ts';

const core = { group: '', version: 'v1' } as const;

export const pods: ResourceRef<Pod> = { ...core, resource: 'pods', kind: 'Pod', namespaced: true };
export const nodes: ResourceRef<Node> = { ...core, resource: 'nodes', kind: 'Node', namespaced: false };
export const services: ResourceRef<Service> = { ...core, resource: 'services', kind: 'Service', namespaced: true };
export const configMaps: ResourceRef<ConfigMap> = { ...core, resource: 'configmaps', kind: 'ConfigMap', namespaced: true };
export const secrets: ResourceRef<Secret> = { ...core, resource: 'secrets', kind: 'Secret', namespaced: true };
export const serviceAccounts: ResourceRef = { ...core, resource: 'serviceaccounts', kind: 'ServiceAccount', namespaced: true };
export const leases: ResourceRef<Lease> = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases', kind: 'Lease', namespaced: true };
export const certificateSigningRequests: ResourceRef<CertificateSigningRequest> = {
  group: 'certificates.k8s.io',
  version: 'v1',
  resource: 'certificatesigningrequests',
  kind: 'CertificateSigningRequest',
  namespaced: false,
};
