/** Budgets, autoscalers, priorities, network rules, quotas, and the kinds that extend the API. */
import { checkCidr, parseCidr } from '../../address-syntax.ts';
import type { JsonObject } from '../../definition.ts';
import { type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { numberAt, objectAt, objectsAt, own, stringAt, stringsAt, trueAt } from '../../json-value.ts';
import { validateLabelSelector } from '../../label-selector.ts';
import { checkDns1035Label, checkDns1123Label, checkDns1123Subdomain, checkPortNumber, checkWildcardSubdomain } from '../../name-syntax.ts';
import { checked, immutable, nonNegative, oneOf, portOrName, requiredText } from '../rules.ts';
import { validateAmountOrPercent } from '../workloads/workload-validation.ts';

const USER_PRIORITY_MAX = 1_000_000_000;
const SYSTEM_PRIORITIES = ['system-node-critical', 'system-cluster-critical'];

export function validatePodDisruptionBudget(budget: JsonObject): FieldError[] {
  const spec = objectAt(budget, 'spec') ?? {};
  const errors = [...validateAmountOrPercent(spec, 'minAvailable', 'spec'), ...validateAmountOrPercent(spec, 'maxUnavailable', 'spec')];
  if (own(spec, 'minAvailable') !== undefined && own(spec, 'maxUnavailable') !== undefined) {
    errors.push(invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
  }
  errors.push(...oneOf(spec, 'unhealthyPodEvictionPolicy', 'spec', ['AlwaysAllow', 'IfHealthyBudget']));
  const selector = objectAt(spec, 'selector');
  return selector === undefined ? errors : [...errors, ...validateLabelSelector(selector, 'spec.selector')];
}

export function validateHorizontalPodAutoscaler(hpa: JsonObject): FieldError[] {
  const spec = objectAt(hpa, 'spec') ?? {};
  const errors: FieldError[] = [];
  const min = numberAt(spec, 'minReplicas') ?? 1;
  const max = numberAt(spec, 'maxReplicas') ?? 0;
  if (min < 0) errors.push(invalid('spec.minReplicas', min, 'must be greater than or equal to 1'));
  if (max < 1) errors.push(invalid('spec.maxReplicas', max, 'must be greater than 0'));
  else if (max < min) errors.push(invalid('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`'));
  const target = objectAt(spec, 'scaleTargetRef') ?? {};
  for (const field of ['kind', 'name']) errors.push(...requiredText(target, field, 'spec.scaleTargetRef'));
  for (const [index, metric] of objectsAt(spec, 'metrics').entries()) {
    errors.push(...oneOf(metric, 'type', `spec.metrics[${index}]`, ['ContainerResource', 'External', 'Object', 'Pods', 'Resource'], true));
  }
  return errors;
}

export function validatePriorityClass(priorityClass: JsonObject): FieldError[] {
  const name = stringAt(priorityClass, 'metadata', 'name');
  const value = numberAt(priorityClass, 'value') ?? 0;
  const errors: FieldError[] = [];
  if (name.startsWith('system-')) {
    if (!SYSTEM_PRIORITIES.includes(name)) {
      const rule = `priority class names with 'system-' prefix are reserved for system use only. error: ${name} is not a known system priority class`;
      errors.push(forbidden('metadata.name', rule));
    }
  } else if (value > USER_PRIORITY_MAX) {
    errors.push(forbidden('value', `maximum allowed value of a user defined priority is ${USER_PRIORITY_MAX}`));
  }
  const policy = stringAt(priorityClass, 'preemptionPolicy');
  if (policy !== 'PreemptLowerPriority' && policy !== 'Never') {
    errors.push(policy === '' ? required('preemptionPolicy') : notSupported('preemptionPolicy', policy, ['Never', 'PreemptLowerPriority']));
  }
  return errors;
}

export function validatePriorityClassUpdate(priorityClass: JsonObject, old: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  if (own(priorityClass, 'value') !== own(old, 'value')) errors.push(forbidden('value', 'may not be changed in an update.'));
  return [...errors, ...immutable(priorityClass, old, 'preemptionPolicy', 'preemptionPolicy')];
}

export function validateNetworkPolicy(policy: JsonObject): FieldError[] {
  const spec = objectAt(policy, 'spec') ?? {};
  const errors = validateLabelSelector(objectAt(spec, 'podSelector') ?? {}, 'spec.podSelector');
  for (const [direction, side] of [
    ['ingress', 'from'],
    ['egress', 'to'],
  ] as const) {
    for (const [index, rule] of objectsAt(spec, direction).entries()) {
      const at = `spec.${direction}[${index}]`;
      for (const [position, port] of objectsAt(rule, 'ports').entries())
        errors.push(...validatePolicyPort(port, `${at}.ports[${position}]`));
      for (const [position, peer] of objectsAt(rule, side).entries()) errors.push(...validatePeer(peer, `${at}.${side}[${position}]`));
    }
  }
  for (const [index, type] of stringsAt(spec, 'policyTypes').entries()) {
    if (type !== 'Ingress' && type !== 'Egress') errors.push(notSupported(`spec.policyTypes[${index}]`, type, ['Egress', 'Ingress']));
  }
  return errors;
}

function validatePolicyPort(port: JsonObject, path: string): FieldError[] {
  const errors = oneOf(port, 'protocol', path, ['SCTP', 'TCP', 'UDP']);
  const number = own(port, 'port');
  if (number !== undefined) errors.push(...portOrName(number, `${path}.port`));
  const end = numberAt(port, 'endPort');
  if (end === undefined) return errors;
  if (typeof number !== 'number') errors.push(required(`${path}.port`, 'must be specified when `endPort` is specified'));
  else if (end < number) errors.push(invalid(`${path}.endPort`, end, 'must be greater than or equal to `port`'));
  return [...errors, ...checkPortNumber(end).map((fault) => invalid(`${path}.endPort`, end, fault))];
}

function validatePeer(peer: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const selectors = ['podSelector', 'namespaceSelector'].filter((field) => objectAt(peer, field) !== undefined);
  for (const field of selectors) errors.push(...validateLabelSelector(objectAt(peer, field) ?? {}, `${path}.${field}`));
  const block = objectAt(peer, 'ipBlock');
  if (block === undefined) return selectors.length === 0 ? [required(path, 'must specify a peer')] : errors;
  if (selectors.length > 0) errors.push(forbidden(path, 'may not specify both ipBlock and another peer'));
  const cidr = stringAt(block, 'cidr');
  if (cidr === '') return [...errors, required(`${path}.ipBlock.cidr`)];
  errors.push(...checked(`${path}.ipBlock.cidr`, cidr, checkCidr));
  const outer = parseCidr(cidr);
  for (const [index, except] of stringsAt(block, 'except').entries()) {
    const at = `${path}.ipBlock.except[${index}]`;
    const inner = parseCidr(except);
    errors.push(...checked(at, except, checkCidr));
    if (outer !== undefined && inner !== undefined && inner.prefixLength <= outer.prefixLength) {
      errors.push(invalid(at, except, 'must be a strict subset of `cidr`'));
    }
  }
  return errors;
}

export function validateIngress(ingress: JsonObject): FieldError[] {
  const spec = objectAt(ingress, 'spec') ?? {};
  const errors: FieldError[] = [];
  const backend = objectAt(spec, 'defaultBackend');
  if (backend !== undefined) errors.push(...validateBackend(backend, 'spec.defaultBackend'));
  const rules = objectsAt(spec, 'rules');
  if (rules.length === 0 && backend === undefined)
    errors.push(invalid('spec', rules, 'either `defaultBackend` or `rules` must be specified'));
  for (const [index, rule] of rules.entries()) {
    const at = `spec.rules[${index}]`;
    const host = stringAt(rule, 'host');
    if (host !== '') errors.push(...checked(`${at}.host`, host, host.includes('*') ? checkWildcardSubdomain : checkDns1123Subdomain));
    const http = objectAt(rule, 'http');
    if (http === undefined) continue;
    const paths = objectsAt(http, 'paths');
    if (paths.length === 0) errors.push(required(`${at}.http.paths`));
    for (const [position, entry] of paths.entries()) errors.push(...validateIngressPath(entry, `${at}.http.paths[${position}]`));
  }
  return errors;
}

const PATH_TYPES = ['Exact', 'ImplementationSpecific', 'Prefix'];

function validateIngressPath(entry: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const type = stringAt(entry, 'pathType');
  const value = stringAt(entry, 'path');
  if (type === '') errors.push(required(`${path}.pathType`, 'pathType must be specified'));
  else if (!PATH_TYPES.includes(type)) errors.push(notSupported(`${path}.pathType`, type, PATH_TYPES));
  if (type === 'Exact' || type === 'Prefix' || value !== '') {
    if (!value.startsWith('/')) errors.push(invalid(`${path}.path`, value, 'must be an absolute path'));
  }
  return [...errors, ...validateBackend(objectAt(entry, 'backend') ?? {}, `${path}.backend`)];
}

function validateBackend(backend: JsonObject, path: string): FieldError[] {
  const service = objectAt(backend, 'service');
  const resource = objectAt(backend, 'resource');
  if (service !== undefined && resource !== undefined) {
    return [invalid(path, '', 'cannot set both resource and service backends')];
  }
  if (resource !== undefined) return ['kind', 'name'].flatMap((field) => requiredText(resource, field, `${path}.resource`));
  if (service === undefined) return [required(path, 'resource or service backend is required')];
  const errors = requiredText(service, 'name', `${path}.service`, checkDns1123Label);
  const name = stringAt(service, 'port', 'name');
  const number = numberAt(service, 'port', 'number') ?? 0;
  if (name !== '' && number !== 0) errors.push(invalid(path, '', 'cannot set both port name & port number'));
  else if (name !== '') errors.push(...portOrName(name, `${path}.service.port.name`));
  else if (number !== 0) errors.push(...portOrName(number, `${path}.service.port.number`));
  else errors.push(required(path, 'port name or number is required'));
  return errors;
}

export function validateRuntimeClass(runtimeClass: JsonObject): FieldError[] {
  return checked('handler', stringAt(runtimeClass, 'handler'), checkDns1123Label);
}

export function validateRuntimeClassUpdate(runtimeClass: JsonObject, old: JsonObject): FieldError[] {
  return immutable(runtimeClass, old, 'handler', 'handler');
}

export function validateIngressClass(ingressClass: JsonObject): FieldError[] {
  const controller = stringAt(ingressClass, 'spec', 'controller');
  return /^[^/]+\/.+$/.test(controller) || controller === ''
    ? []
    : [invalid('spec.controller', controller, 'must be a domain-prefixed path (such as "acme.io/foo")')];
}

export function validateIngressClassUpdate(ingressClass: JsonObject, old: JsonObject): FieldError[] {
  return immutable(objectAt(ingressClass, 'spec') ?? {}, objectAt(old, 'spec') ?? {}, 'controller', 'spec.controller');
}

export function validateApiService(service: JsonObject): FieldError[] {
  const spec = objectAt(service, 'spec') ?? {};
  const group = stringAt(spec, 'group');
  const version = stringAt(spec, 'version');
  const wanted = `${version}.${group}`;
  const errors: FieldError[] = [];
  if (stringAt(service, 'metadata', 'name') !== wanted) {
    errors.push(invalid('metadata.name', stringAt(service, 'metadata', 'name'), `must be \`spec.version+"."+spec.group\`: "${wanted}"`));
  }
  if (group === '' && version !== 'v1') errors.push(required('spec.group', 'only v1 may have an empty group and it better be legacy kube'));
  if (group !== '') errors.push(...checked('spec.group', group, checkDns1123Subdomain));
  errors.push(...checked('spec.version', version, checkDns1035Label));
  for (const [field, max] of [
    ['groupPriorityMinimum', 20_000],
    ['versionPriority', 1000],
  ] as const) {
    const value = numberAt(spec, field) ?? 0;
    if (value <= 0 || value > max) errors.push(invalid(`spec.${field}`, value, `must be positive and less than ${max}`));
  }
  const target = objectAt(spec, 'service');
  if (target === undefined) {
    if (stringAt(spec, 'caBundle') !== '') errors.push(invalid('spec.caBundle', '<bytes>', 'local APIServices may not have a caBundle'));
    return errors;
  }
  for (const field of ['namespace', 'name']) errors.push(...requiredText(target, field, 'spec.service'));
  if (trueAt(spec, 'insecureSkipTLSVerify') && stringAt(spec, 'caBundle') !== '') {
    errors.push(invalid('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'));
  }
  return [...errors, ...nonNegative(target, 'port', 'spec.service')];
}
