/** Names of the built-in collections, each with the type of its objects: what a client is asked with. */
import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from './generated/admissionregistration-v1.ts';
import type { CustomResourceDefinition } from './generated/apiextensions-v1.ts';
import type { APIService } from './generated/apiregistration-v1.ts';
import type { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet } from './generated/apps-v1.ts';
import type { SelfSubjectReview, TokenReview } from './generated/authentication-v1.ts';
import type {
  LocalSubjectAccessReview,
  SelfSubjectAccessReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
} from './generated/authorization-v1.ts';
import type { HorizontalPodAutoscaler } from './generated/autoscaling-v2.ts';
import type { CronJob, Job } from './generated/batch-v1.ts';
import type { CertificateSigningRequest } from './generated/certificates-v1.ts';
import type { Lease } from './generated/coordination-v1.ts';
import type {
  ComponentStatus,
  ConfigMap,
  Endpoints,
  Event,
  LimitRange,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodTemplate,
  ReplicationController,
  ResourceQuota,
  Secret,
  Service,
  ServiceAccount,
} from './generated/core-v1.ts';
import type { EndpointSlice } from './generated/discovery-v1.ts';
import type { Event as EventsV1Event } from './generated/events-v1.ts';
import type { FlowSchema, PriorityLevelConfiguration } from './generated/flowcontrol-v1.ts';
import type { Ingress, IngressClass, IPAddress, NetworkPolicy, ServiceCIDR } from './generated/networking-v1.ts';
import type { RuntimeClass } from './generated/node-v1.ts';
import type { PodDisruptionBudget } from './generated/policy-v1.ts';
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from './generated/rbac-v1.ts';
import type { DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice } from './generated/resource-v1.ts';
import type { PriorityClass } from './generated/scheduling-v1.ts';
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from './generated/storage-v1.ts';
import type { KubeObject, ResourceRef } from './object.ts';

export const namespaces: ResourceRef<Namespace> = token('', 'v1', 'namespaces', 'Namespace', false);
export const nodes: ResourceRef<Node> = token('', 'v1', 'nodes', 'Node', false);
export const pods: ResourceRef<Pod> = token('', 'v1', 'pods', 'Pod', true);
export const services: ResourceRef<Service> = token('', 'v1', 'services', 'Service', true);
export const endpoints: ResourceRef<Endpoints> = token('', 'v1', 'endpoints', 'Endpoints', true);
export const configMaps: ResourceRef<ConfigMap> = token('', 'v1', 'configmaps', 'ConfigMap', true);
export const secrets: ResourceRef<Secret> = token('', 'v1', 'secrets', 'Secret', true);
export const events: ResourceRef<Event> = token('', 'v1', 'events', 'Event', true);
export const serviceAccounts: ResourceRef<ServiceAccount> = token('', 'v1', 'serviceaccounts', 'ServiceAccount', true);
export const replicationControllers: ResourceRef<ReplicationController> = token(
  '',
  'v1',
  'replicationcontrollers',
  'ReplicationController',
  true,
);
export const persistentVolumes: ResourceRef<PersistentVolume> = token('', 'v1', 'persistentvolumes', 'PersistentVolume', false);
export const persistentVolumeClaims: ResourceRef<PersistentVolumeClaim> = token(
  '',
  'v1',
  'persistentvolumeclaims',
  'PersistentVolumeClaim',
  true,
);
export const limitRanges: ResourceRef<LimitRange> = token('', 'v1', 'limitranges', 'LimitRange', true);
export const resourceQuotas: ResourceRef<ResourceQuota> = token('', 'v1', 'resourcequotas', 'ResourceQuota', true);
export const podTemplates: ResourceRef<PodTemplate> = token('', 'v1', 'podtemplates', 'PodTemplate', true);
export const componentStatuses: ResourceRef<ComponentStatus> = token('', 'v1', 'componentstatuses', 'ComponentStatus', false);
export const deployments: ResourceRef<Deployment> = token('apps', 'v1', 'deployments', 'Deployment', true);
export const replicaSets: ResourceRef<ReplicaSet> = token('apps', 'v1', 'replicasets', 'ReplicaSet', true);
export const daemonSets: ResourceRef<DaemonSet> = token('apps', 'v1', 'daemonsets', 'DaemonSet', true);
export const statefulSets: ResourceRef<StatefulSet> = token('apps', 'v1', 'statefulsets', 'StatefulSet', true);
export const controllerRevisions: ResourceRef<ControllerRevision> = token('apps', 'v1', 'controllerrevisions', 'ControllerRevision', true);
export const jobs: ResourceRef<Job> = token('batch', 'v1', 'jobs', 'Job', true);
export const cronJobs: ResourceRef<CronJob> = token('batch', 'v1', 'cronjobs', 'CronJob', true);
export const horizontalPodAutoscalers: ResourceRef<HorizontalPodAutoscaler> = token(
  'autoscaling',
  'v2',
  'horizontalpodautoscalers',
  'HorizontalPodAutoscaler',
  true,
);
export const podDisruptionBudgets: ResourceRef<PodDisruptionBudget> = token(
  'policy',
  'v1',
  'poddisruptionbudgets',
  'PodDisruptionBudget',
  true,
);
export const ingresses: ResourceRef<Ingress> = token('networking.k8s.io', 'v1', 'ingresses', 'Ingress', true);
export const ingressClasses: ResourceRef<IngressClass> = token('networking.k8s.io', 'v1', 'ingressclasses', 'IngressClass', false);
export const networkPolicies: ResourceRef<NetworkPolicy> = token('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy', true);
export const ipAddresses: ResourceRef<IPAddress> = token('networking.k8s.io', 'v1', 'ipaddresses', 'IPAddress', false);
export const serviceCIDRs: ResourceRef<ServiceCIDR> = token('networking.k8s.io', 'v1', 'servicecidrs', 'ServiceCIDR', false);
export const endpointSlices: ResourceRef<EndpointSlice> = token('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice', true);
export const eventsV1: ResourceRef<EventsV1Event> = token('events.k8s.io', 'v1', 'events', 'Event', true);
export const storageClasses: ResourceRef<StorageClass> = token('storage.k8s.io', 'v1', 'storageclasses', 'StorageClass', false);
export const volumeAttachments: ResourceRef<VolumeAttachment> = token(
  'storage.k8s.io',
  'v1',
  'volumeattachments',
  'VolumeAttachment',
  false,
);
export const csiDrivers: ResourceRef<CSIDriver> = token('storage.k8s.io', 'v1', 'csidrivers', 'CSIDriver', false);
export const csiNodes: ResourceRef<CSINode> = token('storage.k8s.io', 'v1', 'csinodes', 'CSINode', false);
export const csiStorageCapacities: ResourceRef<CSIStorageCapacity> = token(
  'storage.k8s.io',
  'v1',
  'csistoragecapacities',
  'CSIStorageCapacity',
  true,
);
export const volumeAttributesClasses: ResourceRef<VolumeAttributesClass> = token(
  'storage.k8s.io',
  'v1',
  'volumeattributesclasses',
  'VolumeAttributesClass',
  false,
);
export const roles: ResourceRef<Role> = token('rbac.authorization.k8s.io', 'v1', 'roles', 'Role', true);
export const roleBindings: ResourceRef<RoleBinding> = token('rbac.authorization.k8s.io', 'v1', 'rolebindings', 'RoleBinding', true);
export const clusterRoles: ResourceRef<ClusterRole> = token('rbac.authorization.k8s.io', 'v1', 'clusterroles', 'ClusterRole', false);
export const clusterRoleBindings: ResourceRef<ClusterRoleBinding> = token(
  'rbac.authorization.k8s.io',
  'v1',
  'clusterrolebindings',
  'ClusterRoleBinding',
  false,
);
export const certificateSigningRequests: ResourceRef<CertificateSigningRequest> = token(
  'certificates.k8s.io',
  'v1',
  'certificatesigningrequests',
  'CertificateSigningRequest',
  false,
);
export const leases: ResourceRef<Lease> = token('coordination.k8s.io', 'v1', 'leases', 'Lease', true);
export const priorityClasses: ResourceRef<PriorityClass> = token('scheduling.k8s.io', 'v1', 'priorityclasses', 'PriorityClass', false);
export const runtimeClasses: ResourceRef<RuntimeClass> = token('node.k8s.io', 'v1', 'runtimeclasses', 'RuntimeClass', false);
export const mutatingWebhookConfigurations: ResourceRef<MutatingWebhookConfiguration> = token(
  'admissionregistration.k8s.io',
  'v1',
  'mutatingwebhookconfigurations',
  'MutatingWebhookConfiguration',
  false,
);
export const validatingWebhookConfigurations: ResourceRef<ValidatingWebhookConfiguration> = token(
  'admissionregistration.k8s.io',
  'v1',
  'validatingwebhookconfigurations',
  'ValidatingWebhookConfiguration',
  false,
);
export const validatingAdmissionPolicies: ResourceRef<ValidatingAdmissionPolicy> = token(
  'admissionregistration.k8s.io',
  'v1',
  'validatingadmissionpolicies',
  'ValidatingAdmissionPolicy',
  false,
);
export const validatingAdmissionPolicyBindings: ResourceRef<ValidatingAdmissionPolicyBinding> = token(
  'admissionregistration.k8s.io',
  'v1',
  'validatingadmissionpolicybindings',
  'ValidatingAdmissionPolicyBinding',
  false,
);
export const mutatingAdmissionPolicies: ResourceRef<MutatingAdmissionPolicy> = token(
  'admissionregistration.k8s.io',
  'v1',
  'mutatingadmissionpolicies',
  'MutatingAdmissionPolicy',
  false,
);
export const mutatingAdmissionPolicyBindings: ResourceRef<MutatingAdmissionPolicyBinding> = token(
  'admissionregistration.k8s.io',
  'v1',
  'mutatingadmissionpolicybindings',
  'MutatingAdmissionPolicyBinding',
  false,
);
export const customResourceDefinitions: ResourceRef<CustomResourceDefinition> = token(
  'apiextensions.k8s.io',
  'v1',
  'customresourcedefinitions',
  'CustomResourceDefinition',
  false,
);
export const apiServices: ResourceRef<APIService> = token('apiregistration.k8s.io', 'v1', 'apiservices', 'APIService', false);
export const flowSchemas: ResourceRef<FlowSchema> = token('flowcontrol.apiserver.k8s.io', 'v1', 'flowschemas', 'FlowSchema', false);
export const priorityLevelConfigurations: ResourceRef<PriorityLevelConfiguration> = token(
  'flowcontrol.apiserver.k8s.io',
  'v1',
  'prioritylevelconfigurations',
  'PriorityLevelConfiguration',
  false,
);
export const deviceClasses: ResourceRef<DeviceClass> = token('resource.k8s.io', 'v1', 'deviceclasses', 'DeviceClass', false);
export const resourceClaims: ResourceRef<ResourceClaim> = token('resource.k8s.io', 'v1', 'resourceclaims', 'ResourceClaim', true);
export const resourceClaimTemplates: ResourceRef<ResourceClaimTemplate> = token(
  'resource.k8s.io',
  'v1',
  'resourceclaimtemplates',
  'ResourceClaimTemplate',
  true,
);
export const resourceSlices: ResourceRef<ResourceSlice> = token('resource.k8s.io', 'v1', 'resourceslices', 'ResourceSlice', false);
export const tokenReviews: ResourceRef<TokenReview> = token('authentication.k8s.io', 'v1', 'tokenreviews', 'TokenReview', false);
export const selfSubjectReviews: ResourceRef<SelfSubjectReview> = token(
  'authentication.k8s.io',
  'v1',
  'selfsubjectreviews',
  'SelfSubjectReview',
  false,
);
export const subjectAccessReviews: ResourceRef<SubjectAccessReview> = token(
  'authorization.k8s.io',
  'v1',
  'subjectaccessreviews',
  'SubjectAccessReview',
  false,
);
export const selfSubjectAccessReviews: ResourceRef<SelfSubjectAccessReview> = token(
  'authorization.k8s.io',
  'v1',
  'selfsubjectaccessreviews',
  'SelfSubjectAccessReview',
  false,
);
export const localSubjectAccessReviews: ResourceRef<LocalSubjectAccessReview> = token(
  'authorization.k8s.io',
  'v1',
  'localsubjectaccessreviews',
  'LocalSubjectAccessReview',
  true,
);
export const selfSubjectRulesReviews: ResourceRef<SelfSubjectRulesReview> = token(
  'authorization.k8s.io',
  'v1',
  'selfsubjectrulesreviews',
  'SelfSubjectRulesReview',
  false,
);

function token<T extends KubeObject>(group: string, version: string, resource: string, kind: string, namespaced: boolean): ResourceRef<T> {
  return Object.freeze({ group, version, resource, kind, namespaced });
}
