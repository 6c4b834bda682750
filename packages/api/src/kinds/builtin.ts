/** Every kind that is there from the start, in the order of discovery. */
import type { KindDefinition, SubresourceDefinition, Verb } from '../definition.ts';
import { defineKind, schemaOf } from './define.ts';
import { strategies } from './strategies.ts';
import * as cluster from './tables/cluster.ts';
import { plainColumns } from './tables/column.ts';
import * as core from './tables/core.ts';
import { podColumns } from './tables/pod.ts';
import * as workloads from './tables/workloads.ts';

const CONNECT: readonly Verb[] = ['create', 'get'];
const PROXY: readonly Verb[] = ['create', 'delete', 'get', 'patch', 'update'];
const CREATE: readonly Verb[] = ['create'];
const CHANGE: readonly Verb[] = ['get', 'patch', 'update'];

const podSubresources: readonly SubresourceDefinition[] = [
  { name: 'attach', verbs: CONNECT, body: { group: '', version: 'v1', kind: 'PodAttachOptions' } },
  { name: 'binding', verbs: CREATE, body: { group: '', version: 'v1', kind: 'Binding' } },
  { name: 'ephemeralcontainers', verbs: CHANGE },
  { name: 'eviction', verbs: CREATE, body: { group: 'policy', version: 'v1', kind: 'Eviction' } },
  { name: 'exec', verbs: CONNECT, body: { group: '', version: 'v1', kind: 'PodExecOptions' } },
  { name: 'log', verbs: ['get'] },
  { name: 'portforward', verbs: CONNECT, body: { group: '', version: 'v1', kind: 'PodPortForwardOptions' } },
  { name: 'proxy', verbs: PROXY, body: { group: '', version: 'v1', kind: 'PodProxyOptions' } },
  { name: 'resize', verbs: CHANGE },
];

// biome-ignore format: a table of kinds
const coreKinds: readonly KindDefinition[] = [
  defineKind({ group: '', kind: 'Binding', resource: 'bindings', namespaced: true, schema: 'core.v1', verbs: CREATE }),
  defineKind({
    group: '', kind: 'ComponentStatus', resource: 'componentstatuses', namespaced: false, schema: 'core.v1', shortNames: ['cs'],
    verbs: ['get', 'list'], columns: core.componentStatusColumns,
  }),
  defineKind({
    group: '', kind: 'ConfigMap', resource: 'configmaps', namespaced: true, schema: 'core.v1', shortNames: ['cm'],
    columns: core.configMapColumns, strategy: strategies.configMap,
  }),
  defineKind({
    group: '', kind: 'Endpoints', resource: 'endpoints', namespaced: true, schema: 'core.v1', shortNames: ['ep'],
    columns: core.endpointsColumns, strategy: strategies.endpoints,
  }),
  defineKind({
    group: '', kind: 'Event', resource: 'events', namespaced: true, schema: 'core.v1', shortNames: ['ev'],
    columns: core.eventColumns, strategy: strategies.event,
  }),
  defineKind({
    group: '', kind: 'LimitRange', resource: 'limitranges', namespaced: true, schema: 'core.v1', shortNames: ['limits'],
    columns: core.limitRangeColumns, strategy: strategies.limitRange,
  }),
  defineKind({
    group: '', kind: 'Namespace', resource: 'namespaces', namespaced: false, schema: 'core.v1', shortNames: ['ns'],
    verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'], status: true,
    subresources: [{ name: 'finalize', verbs: ['update'] }],
    columns: core.namespaceColumns, strategy: strategies.namespace,
  }),
  defineKind({
    group: '', kind: 'Node', resource: 'nodes', namespaced: false, schema: 'core.v1', shortNames: ['no'], status: true,
    subresources: [{ name: 'proxy', verbs: PROXY, body: { group: '', version: 'v1', kind: 'NodeProxyOptions' } }],
    columns: core.nodeColumns, strategy: strategies.node,
  }),
  defineKind({
    group: '', kind: 'PersistentVolumeClaim', resource: 'persistentvolumeclaims', namespaced: true, schema: 'core.v1', shortNames: ['pvc'],
    status: true, columns: core.persistentVolumeClaimColumns, strategy: strategies.persistentVolumeClaim,
  }),
  defineKind({
    group: '', kind: 'PersistentVolume', resource: 'persistentvolumes', namespaced: false, schema: 'core.v1', shortNames: ['pv'],
    status: true, columns: core.persistentVolumeColumns, strategy: strategies.persistentVolume,
  }),
  defineKind({
    group: '', kind: 'Pod', resource: 'pods', namespaced: true, schema: 'core.v1', shortNames: ['po'], categories: ['all'],
    status: true, subresources: podSubresources, columns: podColumns, strategy: strategies.pod,
  }),
  defineKind({
    group: '', kind: 'PodTemplate', resource: 'podtemplates', namespaced: true, schema: 'core.v1',
    columns: core.podTemplateColumns, strategy: strategies.podTemplate,
  }),
  defineKind({
    group: '', kind: 'ReplicationController', resource: 'replicationcontrollers', namespaced: true, schema: 'core.v1', shortNames: ['rc'],
    categories: ['all'], status: true, scale: true, columns: core.replicationControllerColumns, strategy: strategies.replicationController,
  }),
  defineKind({
    group: '', kind: 'ResourceQuota', resource: 'resourcequotas', namespaced: true, schema: 'core.v1', shortNames: ['quota'],
    status: true, columns: core.resourceQuotaColumns, strategy: strategies.resourceQuota,
  }),
  defineKind({
    group: '', kind: 'Secret', resource: 'secrets', namespaced: true, schema: 'core.v1',
    columns: core.secretColumns, strategy: strategies.secret,
  }),
  defineKind({
    group: '', kind: 'ServiceAccount', resource: 'serviceaccounts', namespaced: true, schema: 'core.v1', shortNames: ['sa'],
    subresources: [{ name: 'token', verbs: CREATE, body: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' } }],
    columns: core.serviceAccountColumns, strategy: strategies.serviceAccount,
  }),
  defineKind({
    group: '', kind: 'Service', resource: 'services', namespaced: true, schema: 'core.v1', shortNames: ['svc'], categories: ['all'],
    status: true, subresources: [{ name: 'proxy', verbs: PROXY, body: { group: '', version: 'v1', kind: 'ServiceProxyOptions' } }],
    columns: core.serviceColumns, strategy: strategies.service,
  }),
];

const APPS = { group: 'apps', schema: 'apps.v1', namespaced: true } as const;
// biome-ignore format: a table of kinds
const appsKinds: readonly KindDefinition[] = [
  defineKind({
    ...APPS, kind: 'ControllerRevision', resource: 'controllerrevisions',
    columns: workloads.controllerRevisionColumns, strategy: strategies.controllerRevision,
  }),
  defineKind({
    ...APPS, kind: 'DaemonSet', resource: 'daemonsets', shortNames: ['ds'], categories: ['all'], status: true,
    columns: workloads.daemonSetColumns, strategy: strategies.daemonSet,
  }),
  defineKind({
    ...APPS, kind: 'Deployment', resource: 'deployments', shortNames: ['deploy'], categories: ['all'], status: true, scale: true,
    columns: workloads.deploymentColumns, strategy: strategies.deployment,
  }),
  defineKind({
    ...APPS, kind: 'ReplicaSet', resource: 'replicasets', shortNames: ['rs'], categories: ['all'], status: true, scale: true,
    columns: workloads.replicaSetColumns, strategy: strategies.replicaSet,
  }),
  defineKind({
    ...APPS, kind: 'StatefulSet', resource: 'statefulsets', shortNames: ['sts'], categories: ['all'], status: true, scale: true,
    columns: workloads.statefulSetColumns, strategy: strategies.statefulSet,
  }),
];

// biome-ignore format: a table of kinds
const workloadKinds: readonly KindDefinition[] = [
  defineKind({
    group: 'batch', kind: 'CronJob', resource: 'cronjobs', namespaced: true, schema: 'batch.v1', shortNames: ['cj'], categories: ['all'],
    status: true, columns: workloads.cronJobColumns, strategy: strategies.cronJob,
  }),
  defineKind({
    group: 'batch', kind: 'Job', resource: 'jobs', namespaced: true, schema: 'batch.v1', categories: ['all'],
    status: true, columns: workloads.jobColumns, strategy: strategies.job,
  }),
  defineKind({
    group: 'autoscaling', kind: 'HorizontalPodAutoscaler', resource: 'horizontalpodautoscalers', namespaced: true, schema: 'autoscaling.v2',
    shortNames: ['hpa'], categories: ['all'], status: true,
    columns: workloads.horizontalPodAutoscalerColumns, strategy: strategies.horizontalPodAutoscaler,
    olderVersions: [
      {
        name: 'v1', served: true, schema: schemaOf('autoscaling.v1.HorizontalPodAutoscaler'),
        columns: workloads.horizontalPodAutoscalerV1Columns, ...strategies.horizontalPodAutoscalerV1,
      },
    ],
  }),
  defineKind({
    group: 'policy', kind: 'PodDisruptionBudget', resource: 'poddisruptionbudgets', namespaced: true, schema: 'policy.v1',
    shortNames: ['pdb'], status: true, columns: workloads.podDisruptionBudgetColumns, strategy: strategies.podDisruptionBudget,
  }),
];

const NETWORKING = { group: 'networking.k8s.io', schema: 'networking.v1' } as const;
// biome-ignore format: a table of kinds
const networkKinds: readonly KindDefinition[] = [
  defineKind({ ...NETWORKING, kind: 'IngressClass', resource: 'ingressclasses', namespaced: false, columns: cluster.ingressClassColumns, strategy: strategies.ingressClass }),
  defineKind({ ...NETWORKING, kind: 'Ingress', resource: 'ingresses', namespaced: true, shortNames: ['ing'], status: true, columns: cluster.ingressColumns, strategy: strategies.ingress }),
  defineKind({ ...NETWORKING, kind: 'IPAddress', resource: 'ipaddresses', namespaced: false, shortNames: ['ip'], columns: cluster.ipAddressColumns, strategy: strategies.ipAddress }),
  defineKind({ ...NETWORKING, kind: 'NetworkPolicy', resource: 'networkpolicies', namespaced: true, shortNames: ['netpol'], columns: cluster.networkPolicyColumns, strategy: strategies.networkPolicy }),
  defineKind({ ...NETWORKING, kind: 'ServiceCIDR', resource: 'servicecidrs', namespaced: false, status: true, columns: cluster.serviceCIDRColumns, strategy: strategies.serviceCIDR }),
  defineKind({
    group: 'discovery.k8s.io', kind: 'EndpointSlice', resource: 'endpointslices', namespaced: true, schema: 'discovery.v1',
    columns: core.endpointSliceColumns, strategy: strategies.endpointSlice,
  }),
  defineKind({
    group: 'events.k8s.io', kind: 'Event', resource: 'events', namespaced: true, schema: 'events.v1', shortNames: ['ev'],
    columns: strategies.eventsV1.columns, strategy: strategies.eventsV1.strategy, conversion: strategies.eventsV1.conversion,
    storedAs: { group: '', resource: 'events' },
  }),
];

const RBAC = { group: 'rbac.authorization.k8s.io', schema: 'rbac.v1' } as const;
// biome-ignore format: a table of kinds
const accessKinds: readonly KindDefinition[] = [
  defineKind({ ...RBAC, kind: 'ClusterRoleBinding', resource: 'clusterrolebindings', namespaced: false, columns: cluster.roleBindingColumns, strategy: strategies.clusterRoleBinding }),
  defineKind({ ...RBAC, kind: 'ClusterRole', resource: 'clusterroles', namespaced: false, columns: cluster.roleColumns, strategy: strategies.clusterRole }),
  defineKind({ ...RBAC, kind: 'RoleBinding', resource: 'rolebindings', namespaced: true, columns: cluster.roleBindingColumns, strategy: strategies.roleBinding }),
  defineKind({ ...RBAC, kind: 'Role', resource: 'roles', namespaced: true, columns: cluster.roleColumns, strategy: strategies.role }),
  defineKind({ group: 'authentication.k8s.io', kind: 'SelfSubjectReview', resource: 'selfsubjectreviews', namespaced: false, schema: 'authentication.v1', verbs: CREATE }),
  defineKind({ group: 'authentication.k8s.io', kind: 'TokenReview', resource: 'tokenreviews', namespaced: false, schema: 'authentication.v1', verbs: CREATE }),
  defineKind({ group: 'authorization.k8s.io', kind: 'LocalSubjectAccessReview', resource: 'localsubjectaccessreviews', namespaced: true, schema: 'authorization.v1', verbs: CREATE }),
  defineKind({ group: 'authorization.k8s.io', kind: 'SelfSubjectAccessReview', resource: 'selfsubjectaccessreviews', namespaced: false, schema: 'authorization.v1', verbs: CREATE }),
  defineKind({ group: 'authorization.k8s.io', kind: 'SelfSubjectRulesReview', resource: 'selfsubjectrulesreviews', namespaced: false, schema: 'authorization.v1', verbs: CREATE }),
  defineKind({ group: 'authorization.k8s.io', kind: 'SubjectAccessReview', resource: 'subjectaccessreviews', namespaced: false, schema: 'authorization.v1', verbs: CREATE }),
  defineKind({
    group: 'certificates.k8s.io', kind: 'CertificateSigningRequest', resource: 'certificatesigningrequests', namespaced: false,
    schema: 'certificates.v1', shortNames: ['csr'], status: true, subresources: [{ name: 'approval', verbs: CHANGE }],
    columns: cluster.certificateSigningRequestColumns, strategy: strategies.certificateSigningRequest,
  }),
];

const STORAGE = { group: 'storage.k8s.io', schema: 'storage.v1' } as const;
const RESOURCE = { group: 'resource.k8s.io', schema: 'resource.v1' } as const;
// biome-ignore format: a table of kinds
const nodeKinds: readonly KindDefinition[] = [
  defineKind({ ...STORAGE, kind: 'CSIDriver', resource: 'csidrivers', namespaced: false, columns: cluster.csiDriverColumns, strategy: strategies.csiDriver }),
  defineKind({ ...STORAGE, kind: 'CSINode', resource: 'csinodes', namespaced: false, columns: cluster.csiNodeColumns, strategy: strategies.csiNode }),
  defineKind({ ...STORAGE, kind: 'CSIStorageCapacity', resource: 'csistoragecapacities', namespaced: true, columns: plainColumns, strategy: strategies.csiStorageCapacity }),
  defineKind({ ...STORAGE, kind: 'StorageClass', resource: 'storageclasses', namespaced: false, shortNames: ['sc'], columns: cluster.storageClassColumns, strategy: strategies.storageClass }),
  defineKind({ ...STORAGE, kind: 'VolumeAttachment', resource: 'volumeattachments', namespaced: false, status: true, columns: cluster.volumeAttachmentColumns, strategy: strategies.volumeAttachment }),
  defineKind({ ...STORAGE, kind: 'VolumeAttributesClass', resource: 'volumeattributesclasses', namespaced: false, shortNames: ['vac'], columns: cluster.volumeAttributesClassColumns, strategy: strategies.volumeAttributesClass }),
  defineKind({ group: 'scheduling.k8s.io', kind: 'PriorityClass', resource: 'priorityclasses', namespaced: false, schema: 'scheduling.v1', shortNames: ['pc'], columns: core.priorityClassColumns, strategy: strategies.priorityClass }),
  defineKind({ group: 'coordination.k8s.io', kind: 'Lease', resource: 'leases', namespaced: true, schema: 'coordination.v1', columns: core.leaseColumns, strategy: strategies.lease }),
  defineKind({ group: 'node.k8s.io', kind: 'RuntimeClass', resource: 'runtimeclasses', namespaced: false, schema: 'node.v1', columns: cluster.runtimeClassColumns, strategy: strategies.runtimeClass }),
  defineKind({ ...RESOURCE, kind: 'DeviceClass', resource: 'deviceclasses', namespaced: false, columns: cluster.deviceClassColumns, strategy: strategies.deviceClass }),
  defineKind({ ...RESOURCE, kind: 'ResourceClaim', resource: 'resourceclaims', namespaced: true, status: true, columns: cluster.resourceClaimColumns, strategy: strategies.resourceClaim }),
  defineKind({ ...RESOURCE, kind: 'ResourceClaimTemplate', resource: 'resourceclaimtemplates', namespaced: true, columns: cluster.resourceClaimTemplateColumns, strategy: strategies.resourceClaimTemplate }),
  defineKind({ ...RESOURCE, kind: 'ResourceSlice', resource: 'resourceslices', namespaced: false, columns: cluster.resourceSliceColumns, strategy: strategies.resourceSlice }),
];

const ADMISSION = {
  group: 'admissionregistration.k8s.io',
  schema: 'admissionregistration.v1',
  namespaced: false,
  categories: ['api-extensions'],
} as const;
const FLOW = { group: 'flowcontrol.apiserver.k8s.io', schema: 'flowcontrol.v1', namespaced: false } as const;
// biome-ignore format: a table of kinds
const extensionKinds: readonly KindDefinition[] = [
  defineKind({ ...ADMISSION, kind: 'MutatingAdmissionPolicy', resource: 'mutatingadmissionpolicies', columns: cluster.mutatingPolicyColumns, strategy: strategies.mutatingAdmissionPolicy }),
  defineKind({ ...ADMISSION, kind: 'MutatingAdmissionPolicyBinding', resource: 'mutatingadmissionpolicybindings', columns: cluster.policyBindingColumns, strategy: strategies.mutatingAdmissionPolicyBinding }),
  defineKind({ ...ADMISSION, kind: 'MutatingWebhookConfiguration', resource: 'mutatingwebhookconfigurations', columns: cluster.webhookConfigurationColumns, strategy: strategies.mutatingWebhookConfiguration }),
  defineKind({ ...ADMISSION, kind: 'ValidatingAdmissionPolicy', resource: 'validatingadmissionpolicies', status: true, columns: cluster.validatingPolicyColumns, strategy: strategies.validatingAdmissionPolicy }),
  defineKind({ ...ADMISSION, kind: 'ValidatingAdmissionPolicyBinding', resource: 'validatingadmissionpolicybindings', columns: cluster.policyBindingColumns, strategy: strategies.validatingAdmissionPolicyBinding }),
  defineKind({ ...ADMISSION, kind: 'ValidatingWebhookConfiguration', resource: 'validatingwebhookconfigurations', columns: cluster.webhookConfigurationColumns, strategy: strategies.validatingWebhookConfiguration }),
  defineKind({
    group: 'apiextensions.k8s.io', kind: 'CustomResourceDefinition', resource: 'customresourcedefinitions', namespaced: false,
    schema: 'apiextensions.v1', shortNames: ['crd', 'crds'], categories: ['api-extensions'], status: true,
    columns: plainColumns, strategy: strategies.customResourceDefinition,
  }),
  defineKind({
    group: 'apiregistration.k8s.io', kind: 'APIService', resource: 'apiservices', namespaced: false, schema: 'apiregistration.v1',
    categories: ['api-extensions'], status: true, columns: cluster.apiServiceColumns, strategy: strategies.apiService,
  }),
  defineKind({ ...FLOW, kind: 'FlowSchema', resource: 'flowschemas', status: true, columns: cluster.flowSchemaColumns, strategy: strategies.flowSchema }),
  defineKind({ ...FLOW, kind: 'PriorityLevelConfiguration', resource: 'prioritylevelconfigurations', status: true, columns: cluster.priorityLevelColumns, strategy: strategies.priorityLevelConfiguration }),
];

/** Every built-in kind, first path and all: each with its schema, its table and what it decides about its objects' lives. */
export const builtinKinds: readonly KindDefinition[] = Object.freeze([
  ...coreKinds,
  ...appsKinds,
  ...workloadKinds,
  ...networkKinds,
  ...accessKinds,
  ...nodeKinds,
  ...extensionKinds,
]);
