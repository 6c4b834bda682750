/** What each built-in kind decides about its objects, by kind. The rules themselves are in the folders beside this file. */
import type { JsonObject, KindVersion, Strategy, TableColumn } from '../definition.ts';
import { ensureObject, numberAt, objectAt, objectsAt, own, stringAt, trueAt } from '../json-value.ts';
import { checkDns1123Label, checkPathSegment } from '../name-syntax.ts';
import * as access from './cluster/access-validation.ts';
import * as admission from './cluster/admission-validation.ts';
import * as clusterDefaults from './cluster/cluster-defaults.ts';
import * as csi from './cluster/csi-validation.ts';
import { validateCustomResourceDefinition, validateCustomResourceDefinitionUpdate } from './cluster/custom-resource-validation.ts';
import * as flowControl from './cluster/flow-control-validation.ts';
import * as limits from './cluster/limits-validation.ts';
import * as policy from './cluster/policy-validation.ts';
import * as range from './cluster/service-range-validation.ts';
import * as storage from './cluster/storage-validation.ts';
import {
  mergeStringData,
  validateConfigMap,
  validateConfigMapUpdate,
  validateSecret,
  validateSecretUpdate,
} from './core/config-validation.ts';
import * as coreDefaults from './core/core-defaults.ts';
import { validateEndpointSlice, validateEndpointSliceUpdate, validateEndpoints } from './core/endpoints-validation.ts';
import { eventStrategy, eventsV1Columns, eventsV1Conversion, eventsV1Strategy } from './core/events.ts';
import { validateLease, validateNamespace, validateNode, validateNodeStatus, validateNodeUpdate } from './core/node-validation.ts';
import { serviceStrategy } from './core/service.ts';
import { combine, copyField, lifecycle } from './lifecycle.ts';
import { podStrategy } from './pods/pod.ts';
import { defaultPodTemplate } from './pods/pod-spec-defaults.ts';
import { validatePodTemplate } from './pods/pod-template-validation.ts';
import { autoscalerV1Conversion } from './workloads/autoscaler-conversion.ts';
import { generateJobSelector } from './workloads/job-selector.ts';
import * as workloadDefaults from './workloads/workload-defaults.ts';
import * as workloads from './workloads/workload-validation.ts';

const ANY_UPDATE: Strategy = { unconditionalUpdateAllowed: true };
const UPSERT: Strategy = { createOnUpdateAllowed: true };

/** RBAC names are path segments: `system:controller:x` is one. */
const rbac = combine(ANY_UPDATE, UPSERT, { checkName: checkPathSegment });

export const strategies = {
  pod: podStrategy,
  podTemplate: combine(lifecycle({ generation: true, desired: ['template'] }), ANY_UPDATE, {
    defaults: (template) => defaultPodTemplate(objectAt(template, 'template')),
    validate: (template) => validatePodTemplate(objectAt(template, 'template'), 'template'),
  }),
  namespace: combine(ANY_UPDATE, {
    defaults: coreDefaults.defaultNamespace,
    checkName: checkDns1123Label,
    validate: validateNamespace,
    prepareForCreate(namespace) {
      namespace.status = { phase: 'Active' };
      const spec = ensureObject(namespace, 'spec');
      const finalizers = Array.isArray(own(spec, 'finalizers')) ? (own(spec, 'finalizers') as string[]) : [];
      if (!finalizers.includes('kubernetes')) spec.finalizers = [...finalizers, 'kubernetes'];
    },
    // Finalizers of the spec go through /finalize alone.
    prepareForUpdate(namespace, old) {
      copyField(ensureObject(namespace, 'spec'), objectAt(old, 'spec') ?? {}, 'finalizers');
      copyField(namespace, old, 'status');
    },
    prepareForStatusUpdate: (namespace, old) => copyField(namespace, old, 'spec'),
    selectableFields: (namespace) => ({
      'status.phase': stringAt(namespace, 'status', 'phase'),
      name: stringAt(namespace, 'metadata', 'name'),
    }),
  }),
  node: combine(ANY_UPDATE, {
    defaults: coreDefaults.defaultNode,
    validate: validateNode,
    validateUpdate: validateNodeUpdate,
    validateStatusUpdate: validateNodeStatus,
    prepareForUpdate: (node, old) => copyField(node, old, 'status'),
    prepareForStatusUpdate: (node, old) => copyField(node, old, 'spec'),
    selectableFields: (node) => ({ 'spec.unschedulable': String(trueAt(node, 'spec', 'unschedulable')) }),
  }),
  service: serviceStrategy,
  endpoints: combine(ANY_UPDATE, UPSERT, { defaults: coreDefaults.defaultEndpoints, validate: validateEndpoints }),
  endpointSlice: combine(lifecycle({ generation: true, desired: ['addressType', 'endpoints', 'ports'] }), ANY_UPDATE, {
    defaults: coreDefaults.defaultEndpointSlice,
    validate: validateEndpointSlice,
    validateUpdate: validateEndpointSliceUpdate,
  }),
  configMap: combine(ANY_UPDATE, { validate: validateConfigMap, validateUpdate: validateConfigMapUpdate }),
  secret: combine(ANY_UPDATE, {
    defaults(secret) {
      mergeStringData(secret);
      coreDefaults.defaultSecret(secret);
    },
    validate: validateSecret,
    validateUpdate: validateSecretUpdate,
    selectableFields: (secret) => ({ type: stringAt(secret, 'type') }),
  }),
  serviceAccount: { validate: () => [] },
  event: eventStrategy,
  eventsV1: { strategy: eventsV1Strategy, conversion: eventsV1Conversion, columns: eventsV1Columns } satisfies {
    strategy: Strategy;
    conversion: Pick<KindVersion, 'toStorage' | 'fromStorage'>;
    columns: readonly TableColumn[];
  },
  limitRange: combine(ANY_UPDATE, UPSERT, { defaults: coreDefaults.defaultLimitRange, validate: limits.validateLimitRange }),
  resourceQuota: combine(lifecycle({ status: true }), ANY_UPDATE, {
    validate: limits.validateResourceQuota,
    validateUpdate: limits.validateResourceQuotaUpdate,
    validateStatusUpdate: limits.validateResourceQuotaStatus,
  }),
  persistentVolume: combine(lifecycle({ status: true }), ANY_UPDATE, {
    defaults: coreDefaults.defaultPersistentVolume,
    validate: storage.validatePersistentVolume,
    validateUpdate: storage.validatePersistentVolumeUpdate,
    prepareForCreate(volume) {
      volume.status = { phase: 'Pending' };
    },
  }),
  persistentVolumeClaim: combine(lifecycle({ status: true }), ANY_UPDATE, {
    defaults: coreDefaults.defaultPersistentVolumeClaim,
    validate: storage.validatePersistentVolumeClaim,
    validateUpdate: storage.validatePersistentVolumeClaimUpdate,
    prepareForCreate(claim) {
      claim.status = { phase: 'Pending' };
    },
  }),
  replicationController: combine(lifecycle({ status: true, generation: true }), ANY_UPDATE, {
    defaults: workloadDefaults.defaultReplicationController,
    validate: workloads.validateReplicationController,
    selectableFields: (controller) => ({ 'status.replicas': String(numberAt(controller, 'status', 'replicas') ?? 0) }),
  }),
  deployment: combine(lifecycle({ status: true, generation: true }), ANY_UPDATE, {
    defaults: workloadDefaults.defaultDeployment,
    validate: workloads.validateDeployment,
    validateUpdate: workloads.validateSelectorUpdate,
  }),
  replicaSet: combine(lifecycle({ status: true, generation: true }), ANY_UPDATE, {
    defaults: workloadDefaults.defaultReplicaSet,
    validate: workloads.validateReplicaSet,
    validateUpdate: workloads.validateSelectorUpdate,
    selectableFields: (replicaSet) => ({ 'status.replicas': String(numberAt(replicaSet, 'status', 'replicas') ?? 0) }),
  }),
  statefulSet: combine(lifecycle({ status: true, generation: true }), ANY_UPDATE, {
    defaults: workloadDefaults.defaultStatefulSet,
    checkName: checkDns1123Label,
    validate: workloads.validateStatefulSet,
    validateUpdate: workloads.validateStatefulSetUpdate,
  }),
  daemonSet: combine(lifecycle({ status: true, generation: true }), ANY_UPDATE, {
    defaults: workloadDefaults.defaultDaemonSet,
    validate: workloads.validateDaemonSet,
    validateUpdate: workloads.validateSelectorUpdate,
  }),
  controllerRevision: {},
  job: combine(lifecycle({ status: true, generation: true }), ANY_UPDATE, {
    defaults: workloadDefaults.defaultJob,
    prepareForCreate: generateJobSelector,
    validate: workloads.validateJob,
    validateUpdate: workloads.validateJobUpdate,
    selectableFields: (job) => ({ 'status.successful': String(numberAt(job, 'status', 'succeeded') ?? 0) }),
  }),
  cronJob: combine(lifecycle({ status: true, generation: true }), ANY_UPDATE, {
    defaults: workloadDefaults.defaultCronJob,
    validate: workloads.validateCronJob,
  }),
  horizontalPodAutoscaler: combine(lifecycle({ status: true }), ANY_UPDATE, {
    defaults: clusterDefaults.defaultHorizontalPodAutoscaler,
    validate: policy.validateHorizontalPodAutoscaler,
  }),
  horizontalPodAutoscalerV1: autoscalerV1Conversion,
  podDisruptionBudget: combine(lifecycle({ status: true, generation: true }), { validate: policy.validatePodDisruptionBudget }),
  lease: combine(UPSERT, { validate: validateLease }),
  role: combine(rbac, { validate: access.validateRole }),
  clusterRole: combine(rbac, { validate: access.validateClusterRole }),
  roleBinding: combine(rbac, {
    defaults: clusterDefaults.defaultRoleBinding,
    validate: access.validateRoleBinding,
    validateUpdate: access.validateBindingUpdate,
  }),
  clusterRoleBinding: combine(rbac, {
    defaults: clusterDefaults.defaultRoleBinding,
    validate: access.validateClusterRoleBinding,
    validateUpdate: access.validateBindingUpdate,
  }),
  certificateSigningRequest: combine(lifecycle({ status: true }), ANY_UPDATE, {
    checkName: checkPathSegment,
    prepareForUpdate: (request, old) => copyField(request, old, 'spec'),
    validate: access.validateCertificateSigningRequest,
    validateUpdate: access.validateCertificateApproval,
    validateStatusUpdate: access.validateCertificateStatus,
    selectableFields: (request) => ({ 'spec.signerName': stringAt(request, 'spec', 'signerName') }),
  }),
  ingress: combine(lifecycle({ status: true, generation: true }), ANY_UPDATE, { validate: policy.validateIngress }),
  ingressClass: combine(lifecycle({ generation: true }), ANY_UPDATE, {
    defaults: clusterDefaults.defaultIngressClass,
    validate: policy.validateIngressClass,
    validateUpdate: policy.validateIngressClassUpdate,
  }),
  networkPolicy: combine(lifecycle({ generation: true }), ANY_UPDATE, {
    defaults: clusterDefaults.defaultNetworkPolicy,
    validate: policy.validateNetworkPolicy,
  }),
  ipAddress: combine(ANY_UPDATE, {
    checkName: range.checkAddressName,
    validate: range.validateIPAddress,
    validateUpdate: range.validateIPAddressUpdate,
    selectableFields: (address) => ({
      'spec.parentRef.group': stringAt(address, 'spec', 'parentRef', 'group'),
      'spec.parentRef.resource': stringAt(address, 'spec', 'parentRef', 'resource'),
      'spec.parentRef.namespace': stringAt(address, 'spec', 'parentRef', 'namespace'),
      'spec.parentRef.name': stringAt(address, 'spec', 'parentRef', 'name'),
    }),
  }),
  serviceCIDR: combine(lifecycle({ status: true }), ANY_UPDATE, {
    validate: range.validateServiceCIDR,
    validateUpdate: range.validateServiceCIDRUpdate,
  }),
  storageClass: combine(ANY_UPDATE, {
    defaults: clusterDefaults.defaultStorageClass,
    validate: storage.validateStorageClass,
    validateUpdate: storage.validateStorageClassUpdate,
  }),
  volumeAttachment: combine(lifecycle({ status: true }), {
    validate: csi.validateVolumeAttachment,
    validateUpdate: csi.validateVolumeAttachmentUpdate,
  }),
  volumeAttributesClass: combine(ANY_UPDATE, {
    validate: csi.validateVolumeAttributesClass,
    validateUpdate: csi.validateVolumeAttributesClassUpdate,
  }),
  csiDriver: combine(lifecycle({ generation: true }), {
    defaults: clusterDefaults.defaultCsiDriver,
    validate: csi.validateCsiDriver,
    validateUpdate: csi.validateCsiDriverUpdate,
  }),
  csiNode: { validate: csi.validateCsiNode, validateUpdate: csi.validateCsiNodeUpdate },
  csiStorageCapacity: { validate: csi.validateCsiStorageCapacity, validateUpdate: csi.validateCsiStorageCapacityUpdate },
  priorityClass: combine(ANY_UPDATE, {
    defaults: clusterDefaults.defaultPriorityClass,
    validate: policy.validatePriorityClass,
    validateUpdate: policy.validatePriorityClassUpdate,
    prepareForCreate(priorityClass) {
      ensureObject(priorityClass, 'metadata').generation = 1;
    },
  }),
  runtimeClass: { validate: policy.validateRuntimeClass, validateUpdate: policy.validateRuntimeClassUpdate },
  deviceClass: combine(lifecycle({ generation: true }), ANY_UPDATE),
  resourceClaim: combine(lifecycle({ status: true }), ANY_UPDATE, {
    defaults: (claim) => clusterDefaults.defaultDeviceRequests(objectAt(claim, 'spec')),
  }),
  resourceClaimTemplate: combine(ANY_UPDATE, {
    defaults: (template) => clusterDefaults.defaultDeviceRequests(objectAt(template, 'spec', 'spec')),
  }),
  resourceSlice: combine(lifecycle({ generation: true }), ANY_UPDATE, {
    selectableFields: (slice) => ({
      'spec.nodeName': stringAt(slice, 'spec', 'nodeName'),
      'spec.driver': stringAt(slice, 'spec', 'driver'),
    }),
  }),
  mutatingWebhookConfiguration: combine(lifecycle({ generation: true, desired: ['webhooks'] }), {
    defaults: clusterDefaults.defaultWebhookConfiguration(true),
    validate: admission.validateWebhookConfiguration,
  }),
  validatingWebhookConfiguration: combine(lifecycle({ generation: true, desired: ['webhooks'] }), {
    defaults: clusterDefaults.defaultWebhookConfiguration(false),
    validate: admission.validateWebhookConfiguration,
  }),
  validatingAdmissionPolicy: combine(lifecycle({ status: true, generation: true }), {
    defaults: clusterDefaults.defaultAdmissionPolicy,
    validate: admission.validateValidatingAdmissionPolicy,
  }),
  mutatingAdmissionPolicy: combine(lifecycle({ generation: true }), {
    defaults: clusterDefaults.defaultAdmissionPolicy,
    validate: admission.validateMutatingAdmissionPolicy,
  }),
  mutatingAdmissionPolicyBinding: combine(lifecycle({ generation: true }), {
    defaults: clusterDefaults.defaultAdmissionPolicyBinding,
    validate: admission.validateMutatingAdmissionPolicyBinding,
  }),
  validatingAdmissionPolicyBinding: combine(lifecycle({ generation: true }), {
    defaults: clusterDefaults.defaultAdmissionPolicyBinding,
    validate: admission.validateValidatingAdmissionPolicyBinding,
  }),
  customResourceDefinition: combine(lifecycle({ status: true, generation: true }), {
    defaults: clusterDefaults.defaultCustomResourceDefinition,
    validate: validateCustomResourceDefinition,
    validateUpdate: validateCustomResourceDefinitionUpdate,
    prepareForCreate(definition) {
      const stored = objectsAt(definition, 'spec', 'versions').find((version) => version.storage === true);
      if (stored !== undefined) definition.status = { storedVersions: [stringAt(stored, 'name')] };
    },
    prepareForUpdate(definition) {
      const status: JsonObject = ensureObject(definition, 'status');
      const stored = objectsAt(definition, 'spec', 'versions').find((version) => version.storage === true);
      const names = Array.isArray(status.storedVersions) ? status.storedVersions : [];
      if (stored !== undefined && !names.includes(stringAt(stored, 'name'))) status.storedVersions = [...names, stringAt(stored, 'name')];
    },
  }),
  apiService: combine(lifecycle({ status: true }), {
    defaults: clusterDefaults.defaultApiService,
    checkName: checkPathSegment,
    validate: policy.validateApiService,
  }),
  flowSchema: combine(lifecycle({ status: true, generation: true }), ANY_UPDATE, {
    defaults: clusterDefaults.defaultFlowSchema,
    validate: flowControl.validateFlowSchema,
  }),
  priorityLevelConfiguration: combine(lifecycle({ status: true, generation: true }), ANY_UPDATE, {
    defaults: clusterDefaults.defaultPriorityLevel,
    validate: flowControl.validatePriorityLevel,
  }),
} as const satisfies Record<string, unknown>;
