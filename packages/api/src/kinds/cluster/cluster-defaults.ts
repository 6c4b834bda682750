/** Defaults of access, network, storage, admission and extension kinds. */
import type { JsonObject } from '../../definition.ts';
import { ensureObject, isJsonObject, listAt, objectAt, objectsAt, own, setDefault, stringAt } from '../../json-value.ts';
import { setIfEmpty } from '../pods/pod-spec-defaults.ts';

const RBAC_GROUP = 'rbac.authorization.k8s.io';
const WEBHOOK_TIMEOUT_SECONDS = 10;
const HTTPS_PORT = 443;

export function defaultRoleBinding(binding: JsonObject): void {
  setIfEmpty(ensureObject(binding, 'roleRef'), 'apiGroup', RBAC_GROUP);
  for (const subject of objectsAt(binding, 'subjects')) {
    const kind = stringAt(subject, 'kind');
    if (kind === 'User' || kind === 'Group') setIfEmpty(subject, 'apiGroup', RBAC_GROUP);
  }
}

export function defaultNetworkPolicy(policy: JsonObject): void {
  const spec = ensureObject(policy, 'spec');
  if (listAt(spec, 'policyTypes').length === 0) {
    spec.policyTypes = listAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  }
  for (const rule of [...objectsAt(spec, 'ingress'), ...objectsAt(spec, 'egress')]) {
    for (const port of objectsAt(rule, 'ports')) setIfEmpty(port, 'protocol', 'TCP');
  }
}

export function defaultIngressClass(ingressClass: JsonObject): void {
  const parameters = objectAt(ingressClass, 'spec', 'parameters');
  if (parameters !== undefined) setIfEmpty(parameters, 'scope', 'Cluster');
}

export function defaultStorageClass(storageClass: JsonObject): void {
  setIfEmpty(storageClass, 'reclaimPolicy', 'Delete');
  setIfEmpty(storageClass, 'volumeBindingMode', 'Immediate');
}

export function defaultCsiDriver(driver: JsonObject): void {
  const spec = ensureObject(driver, 'spec');
  setDefault(spec, 'attachRequired', true);
  setDefault(spec, 'podInfoOnMount', false);
  setDefault(spec, 'storageCapacity', false);
  setIfEmpty(spec, 'fsGroupPolicy', 'ReadWriteOnceWithFSType');
  if (listAt(spec, 'volumeLifecycleModes').length === 0) spec.volumeLifecycleModes = ['Persistent'];
  setDefault(spec, 'requiresRepublish', false);
  setDefault(spec, 'seLinuxMount', false);
}

export function defaultPriorityClass(priorityClass: JsonObject): void {
  setIfEmpty(priorityClass, 'preemptionPolicy', 'PreemptLowerPriority');
}

export function defaultHorizontalPodAutoscaler(hpa: JsonObject): void {
  const spec = ensureObject(hpa, 'spec');
  setDefault(spec, 'minReplicas', 1);
  if (listAt(spec, 'metrics').length === 0) {
    spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }];
  }
  const behavior = objectAt(spec, 'behavior');
  if (behavior === undefined) return;
  const perWindow = [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ];
  const up = ensureObject(behavior, 'scaleUp');
  setDefault(up, 'stabilizationWindowSeconds', 0);
  setIfEmpty(up, 'selectPolicy', 'Max');
  if (listAt(up, 'policies').length === 0) up.policies = perWindow;
  const down = ensureObject(behavior, 'scaleDown');
  setIfEmpty(down, 'selectPolicy', 'Max');
  if (listAt(down, 'policies').length === 0) down.policies = [{ type: 'Percent', value: 100, periodSeconds: 15 }];
}

export function defaultWebhookConfiguration(mutating: boolean): (configuration: JsonObject) => void {
  return (configuration) => {
    for (const webhook of objectsAt(configuration, 'webhooks')) {
      setIfEmpty(webhook, 'failurePolicy', 'Fail');
      setIfEmpty(webhook, 'matchPolicy', 'Equivalent');
      setDefault(webhook, 'namespaceSelector', {});
      setDefault(webhook, 'objectSelector', {});
      setDefault(webhook, 'timeoutSeconds', WEBHOOK_TIMEOUT_SECONDS);
      if (mutating) setIfEmpty(webhook, 'reinvocationPolicy', 'Never');
      defaultServicePort(objectAt(webhook, 'clientConfig', 'service'));
      for (const rule of objectsAt(webhook, 'rules')) setIfEmpty(rule, 'scope', '*');
    }
  };
}

export function defaultAdmissionPolicy(policy: JsonObject): void {
  const spec = ensureObject(policy, 'spec');
  setIfEmpty(spec, 'failurePolicy', 'Fail');
  defaultMatch(objectAt(spec, 'matchConstraints'));
}

export function defaultAdmissionPolicyBinding(binding: JsonObject): void {
  defaultMatch(objectAt(binding, 'spec', 'matchResources'));
}

export function defaultCustomResourceDefinition(definition: JsonObject): void {
  const spec = ensureObject(definition, 'spec');
  const names = ensureObject(spec, 'names');
  const kind = stringAt(names, 'kind');
  if (kind !== '') {
    setIfEmpty(names, 'singular', kind.toLowerCase());
    setIfEmpty(names, 'listKind', `${kind}List`);
  }
  const conversion = own(spec, 'conversion');
  if (isJsonObject(conversion)) defaultServicePort(objectAt(conversion, 'webhook', 'clientConfig', 'service'));
  else spec.conversion = { strategy: 'None' };
}

export function defaultApiService(service: JsonObject): void {
  defaultServicePort(objectAt(service, 'spec', 'service'));
}

export function defaultFlowSchema(schema: JsonObject): void {
  const spec = ensureObject(schema, 'spec');
  if ((own(spec, 'matchingPrecedence') ?? 0) === 0) spec.matchingPrecedence = 1000;
}

export function defaultPriorityLevel(level: JsonObject): void {
  for (const kind of ['limited', 'exempt']) {
    const bounds = objectAt(level, 'spec', kind);
    if (bounds === undefined) continue;
    setDefault(bounds, 'nominalConcurrencyShares', kind === 'limited' ? 30 : 0);
    setDefault(bounds, 'lendablePercent', 0);
    const queuing = objectAt(bounds, 'limitResponse', 'queuing');
    if (queuing === undefined) continue;
    const amounts = { queues: 64, handSize: 8, queueLengthLimit: 50 };
    for (const [field, amount] of Object.entries(amounts)) if ((own(queuing, field) ?? 0) === 0) queuing[field] = amount;
  }
}

export function defaultDeviceRequests(spec: JsonObject | undefined): void {
  for (const request of objectsAt(spec, 'devices', 'requests')) {
    for (const device of [objectAt(request, 'exactly'), ...objectsAt(request, 'firstAvailable')]) {
      if (device === undefined) continue;
      setIfEmpty(device, 'allocationMode', 'ExactCount');
      if (device.allocationMode === 'ExactCount' && (own(device, 'count') ?? 0) === 0) device.count = 1;
    }
  }
}

function defaultMatch(match: JsonObject | undefined): void {
  if (match === undefined) return;
  setIfEmpty(match, 'matchPolicy', 'Equivalent');
  setDefault(match, 'namespaceSelector', {});
  setDefault(match, 'objectSelector', {});
  for (const rule of [...objectsAt(match, 'resourceRules'), ...objectsAt(match, 'excludeResourceRules')]) setIfEmpty(rule, 'scope', '*');
}

function defaultServicePort(service: JsonObject | undefined): void {
  if (service !== undefined) setDefault(service, 'port', HTTPS_PORT);
}
