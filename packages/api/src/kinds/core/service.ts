/** What the server decides about Services. Addresses and node ports are allocated by the API server; what may be asked for is here. */
import { checkCidr, checkIP, parseIP } from '../../address-syntax.ts';
import type { JsonObject, Strategy } from '../../definition.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { ensureObject, listAt, numberAt, objectAt, objectsAt, own, semanticEqual, stringAt, stringsAt } from '../../json-value.ts';
import { type Labels, validateLabels } from '../../label-selector.ts';
import { checkDns1123Label, checkDns1123Subdomain, checkPortNumber, checkQualifiedName } from '../../name-syntax.ts';
import { combine, lifecycle } from '../lifecycle.ts';
import { checked, oneOf, portOrName } from '../rules.ts';
import { defaultService } from './core-defaults.ts';

const HEADLESS = 'None';
const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const AFFINITY_SECONDS_MAX = 86_400;

export const serviceStrategy: Strategy = combine(lifecycle({ status: true }), {
  unconditionalUpdateAllowed: true,
  createOnUpdateAllowed: true,
  defaults: defaultService,
  checkName: checkDns1123Label,
  prepareForCreate: (service) => syncClusterIPs(service, undefined),
  prepareForUpdate(service, old) {
    syncClusterIPs(service, old);
    keepAllocated(service, old);
    dropForeign(service, old);
  },
  validate: (service) => validateService(service),
  validateUpdate: (service, old) => validateServiceUpdate(service, old),
  selectableFields: (service) => ({
    'spec.clusterIP': stringAt(service, 'spec', 'clusterIP'),
    'spec.type': stringAt(service, 'spec', 'type'),
  }),
});

/** `clusterIP` is the first of `clusterIPs`; a client that knows only one of the two fields changes both. */
function syncClusterIPs(service: JsonObject, old: JsonObject | undefined): void {
  const spec = ensureObject(service, 'spec');
  const single = stringAt(spec, 'clusterIP');
  const list = stringsAt(spec, 'clusterIPs');
  if (old === undefined) {
    if (single !== '' && list.length === 0) spec.clusterIPs = [single];
    return;
  }
  const singleChanged = single !== stringAt(old, 'spec', 'clusterIP');
  const listChanged = !semanticEqual(list, stringsAt(old, 'spec', 'clusterIPs'));
  if (singleChanged && !listChanged) {
    if (single === '') delete spec.clusterIPs;
    else spec.clusterIPs = [single, ...list.slice(1)];
  } else if (listChanged && !singleChanged && list.length === 0) {
    delete spec.clusterIP;
  }
}

/** What was allocated stays, where the update says nothing about it. */
function keepAllocated(service: JsonObject, old: JsonObject): void {
  const spec = ensureObject(service, 'spec');
  if (hasClusterIP(service) && hasClusterIP(old) && stringAt(spec, 'clusterIP') === '' && listAt(spec, 'clusterIPs').length === 0) {
    for (const field of ['clusterIP', 'clusterIPs']) {
      const value = own(objectAt(old, 'spec'), field);
      if (value !== undefined) spec[field] = value;
    }
  }
  if (hasNodePorts(service) && hasNodePorts(old)) {
    const before = new Map(objectsAt(old, 'spec', 'ports').map((port) => [portIdentity(port), numberAt(port, 'nodePort') ?? 0]));
    const used = new Set(objectsAt(spec, 'ports').map((port) => numberAt(port, 'nodePort') ?? 0));
    for (const port of objectsAt(spec, 'ports')) {
      const known = before.get(portIdentity(port)) ?? 0;
      if ((numberAt(port, 'nodePort') ?? 0) === 0 && known !== 0 && !used.has(known)) port.nodePort = known;
    }
  }
  const check = numberAt(old, 'spec', 'healthCheckNodePort') ?? 0;
  if (needsHealthCheck(service) && needsHealthCheck(old) && (numberAt(spec, 'healthCheckNodePort') ?? 0) === 0 && check !== 0) {
    spec.healthCheckNodePort = check;
  }
}

/** What only the old type had goes with it, unless the update itself says it. */
function dropForeign(service: JsonObject, old: JsonObject): void {
  const spec = ensureObject(service, 'spec');
  const oldSpec = objectAt(old, 'spec') ?? {};
  const unchanged = (field: string) => semanticEqual(own(spec, field), own(oldSpec, field));
  if (hasClusterIP(old) && !hasClusterIP(service) && unchanged('clusterIP') && unchanged('clusterIPs')) {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) delete spec[field];
  }
  if (hasNodePorts(old) && !hasNodePorts(service)) {
    const before = new Set(objectsAt(oldSpec, 'ports').map((port) => numberAt(port, 'nodePort')));
    for (const port of objectsAt(spec, 'ports')) if (before.has(numberAt(port, 'nodePort'))) delete port.nodePort;
  }
  if (needsHealthCheck(old) && !needsHealthCheck(service) && unchanged('healthCheckNodePort')) delete spec.healthCheckNodePort;
  if (stringAt(oldSpec, 'type') === 'LoadBalancer' && stringAt(spec, 'type') !== 'LoadBalancer') {
    for (const field of ['allocateLoadBalancerNodePorts', 'loadBalancerClass']) if (unchanged(field)) delete spec[field];
  }
  if (stringAt(spec, 'externalTrafficPolicy') !== '' && !isReachable(spec) && unchanged('externalTrafficPolicy'))
    delete spec.externalTrafficPolicy;
}

function validateService(service: JsonObject): FieldError[] {
  const spec = objectAt(service, 'spec') ?? {};
  const type = stringAt(spec, 'type');
  const headless = stringAt(spec, 'clusterIP') === HEADLESS;
  const ports = objectsAt(spec, 'ports');
  const errors: FieldError[] = [];
  if (ports.length === 0 && !headless && type !== 'ExternalName') errors.push(required('spec.ports'));
  errors.push(...validateType(spec, type, headless), ...validatePorts(ports, type));
  errors.push(...validateLabels((objectAt(spec, 'selector') ?? {}) as Labels, 'spec.selector'));
  errors.push(...validateAffinity(spec), ...validateClusterIPs(spec));
  for (const [index, ip] of stringsAt(spec, 'externalIPs').entries()) errors.push(...externalIPFaults(ip, `spec.externalIPs[${index}]`));
  if (!TYPES.includes(type)) errors.push(type === '' ? required('spec.type') : notSupported('spec.type', type, TYPES));
  return [...errors, ...validateTraffic(spec, type)];
}

function validateType(spec: JsonObject, type: string, headless: boolean): FieldError[] {
  switch (type) {
    case 'LoadBalancer':
    case 'NodePort':
      return headless ? [invalid('spec.clusterIPs[0]', HEADLESS, `may not be set to 'None' for ${type} services`)] : [];
    case 'ExternalName': {
      const errors: FieldError[] = [];
      if (listAt(spec, 'clusterIPs').length > 0) errors.push(forbidden('spec.clusterIPs', 'may not be set for ExternalName services'));
      const name = stringAt(spec, 'externalName').replace(/\.$/, '');
      if (name === '') errors.push(required('spec.externalName'));
      else errors.push(...checked('spec.externalName', name, checkDns1123Subdomain));
      return errors;
    }
    default:
      return [];
  }
}

function validatePorts(ports: readonly JsonObject[], type: string): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  const identities = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `spec.ports[${index}]`;
    const name = stringAt(port, 'name');
    if (name === '' && ports.length > 1) errors.push(required(`${at}.name`));
    else if (name !== '') {
      errors.push(...checked(`${at}.name`, name, checkDns1123Label));
      if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
      names.add(name);
    }
    const number = numberAt(port, 'port') ?? 0;
    errors.push(...checkPortNumber(number).map((fault) => invalid(`${at}.port`, number, fault)));
    errors.push(...oneOf(port, 'protocol', at, ['SCTP', 'TCP', 'UDP'], true), ...portOrName(own(port, 'targetPort'), `${at}.targetPort`));
    const application = stringAt(port, 'appProtocol');
    if (application !== '') errors.push(...checked(`${at}.appProtocol`, application, checkQualifiedName));
    const nodePort = numberAt(port, 'nodePort') ?? 0;
    const protocol = stringAt(port, 'protocol');
    if (nodePort !== 0 && (type === 'ClusterIP' || type === 'ExternalName')) {
      errors.push(forbidden(`${at}.nodePort`, `may not be used when \`type\` is '${type}'`));
    } else if (nodePort !== 0) {
      if (nodePorts.has(`${protocol}/${nodePort}`)) errors.push(duplicate(`${at}.nodePort`, nodePort));
      nodePorts.add(`${protocol}/${nodePort}`);
    }
    const identity = `${protocol}/${number}`;
    if (identities.has(identity)) errors.push(duplicate(at, { protocol, port: number }));
    identities.add(identity);
  }
  return errors;
}

function validateAffinity(spec: JsonObject): FieldError[] {
  const affinity = stringAt(spec, 'sessionAffinity');
  if (affinity === '') return [required('spec.sessionAffinity')];
  if (affinity !== 'ClientIP' && affinity !== 'None') return [notSupported('spec.sessionAffinity', affinity, ['ClientIP', 'None'])];
  const path = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds';
  const seconds = numberAt(spec, 'sessionAffinityConfig', 'clientIP', 'timeoutSeconds');
  if (affinity === 'None') {
    if (objectAt(spec, 'sessionAffinityConfig') === undefined) return [];
    return [forbidden('spec.sessionAffinityConfig', 'must not be set when session affinity is None')];
  }
  if (seconds === undefined) return [required(path, 'when session affinity type is ClientIP')];
  return seconds > 0 && seconds <= AFFINITY_SECONDS_MAX
    ? []
    : [invalid(path, seconds, `must be greater than 0 and less than ${AFFINITY_SECONDS_MAX}`)];
}

function validateClusterIPs(spec: JsonObject): FieldError[] {
  const list = stringsAt(spec, 'clusterIPs');
  const single = stringAt(spec, 'clusterIP');
  const errors: FieldError[] = [];
  if (list.length === 0 && single !== '') errors.push(required('spec.clusterIPs'));
  if (list.length > 0 && single !== list[0]) {
    errors.push(invalid('spec.clusterIPs', list, 'first value must match `clusterIP`'));
  }
  const families = new Set<string>();
  for (const [index, ip] of list.entries()) {
    if (ip === HEADLESS) {
      if (list.length > 1) errors.push(invalid('spec.clusterIPs', list, "'None' must be the first and only value"));
      continue;
    }
    errors.push(...checked(`spec.clusterIPs[${index}]`, ip, checkIP));
    const family = parseIP(ip)?.family;
    if (family !== undefined && families.has(family)) {
      errors.push(invalid('spec.clusterIPs', list, 'may specify no more than one IP for each IP family'));
    }
    if (family !== undefined) families.add(family);
  }
  errors.push(...oneOf(spec, 'ipFamilyPolicy', 'spec', ['PreferDualStack', 'RequireDualStack', 'SingleStack']));
  const seen = new Set<string>();
  for (const [index, family] of stringsAt(spec, 'ipFamilies').entries()) {
    const at = `spec.ipFamilies[${index}]`;
    if (family !== 'IPv4' && family !== 'IPv6') errors.push(notSupported(at, family, ['IPv4', 'IPv6']));
    if (seen.has(family)) errors.push(duplicate(at, family));
    seen.add(family);
  }
  return errors;
}

function validateTraffic(spec: JsonObject, type: string): FieldError[] {
  const errors: FieldError[] = [];
  const external = stringAt(spec, 'externalTrafficPolicy');
  if (!isReachable(spec)) {
    if (external !== '') errors.push(invalid('spec.externalTrafficPolicy', external, 'may only be set for externally-accessible services'));
  } else errors.push(...oneOf(spec, 'externalTrafficPolicy', 'spec', ['Cluster', 'Local'], true));
  if (type !== 'ExternalName') errors.push(...oneOf(spec, 'internalTrafficPolicy', 'spec', ['Cluster', 'Local'], true));
  const check = numberAt(spec, 'healthCheckNodePort') ?? 0;
  if (check !== 0 && !needsHealthCheck({ spec })) {
    const rule = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    errors.push(invalid('spec.healthCheckNodePort', check, rule));
  }
  for (const field of ['allocateLoadBalancerNodePorts', 'loadBalancerClass', 'loadBalancerSourceRanges']) {
    const value = own(spec, field);
    const given = value !== undefined && !(Array.isArray(value) && value.length === 0);
    if (given && type !== 'LoadBalancer') errors.push(forbidden(`spec.${field}`, "may only be used when `type` is 'LoadBalancer'"));
  }
  if (type === 'LoadBalancer' && own(spec, 'allocateLoadBalancerNodePorts') === undefined)
    errors.push(required('spec.allocateLoadBalancerNodePorts'));
  for (const [index, range] of stringsAt(spec, 'loadBalancerSourceRanges').entries()) {
    errors.push(...checked(`spec.loadBalancerSourceRanges[${index}]`, range.trim(), checkCidr));
  }
  errors.push(...oneOf(spec, 'trafficDistribution', 'spec', ['PreferClose', 'PreferSameNode', 'PreferSameZone']));
  return errors;
}

function validateServiceUpdate(service: JsonObject, old: JsonObject): FieldError[] {
  if (!hasClusterIP(service) || !hasClusterIP(old)) return [];
  const before = stringsAt(old, 'spec', 'clusterIPs');
  const now = stringsAt(service, 'spec', 'clusterIPs');
  const errors: FieldError[] = [];
  if (before[0] !== undefined && now[0] === undefined) {
    errors.push(invalid('spec.clusterIPs[0]', now, 'primary clusterIP can not be unset'));
  } else if (before[0] !== undefined && now[0] !== before[0]) {
    errors.push(invalid('spec.clusterIPs[0]', now, 'may not change once set'));
  }
  const className = stringAt(old, 'spec', 'loadBalancerClass');
  if (
    className !== '' &&
    stringAt(service, 'spec', 'type') === 'LoadBalancer' &&
    stringAt(service, 'spec', 'loadBalancerClass') !== className
  ) {
    errors.push(invalid('spec.loadBalancerClass', stringAt(service, 'spec', 'loadBalancerClass'), 'may not change once set'));
  }
  return errors;
}

/** An address that may be reached from elsewhere: not a special one. */
export function externalIPFaults(ip: string, path: string): FieldError[] {
  const faults = checked(path, ip, checkIP);
  if (faults.length > 0) return faults;
  const special = specialAddress(ip);
  return special === undefined ? [] : [invalid(path, ip, special)];
}

function specialAddress(ip: string): string | undefined {
  const address = parseIP(ip);
  if (address === undefined) return undefined;
  if (address.value === 0n) return 'may not be unspecified (0.0.0.0 or ::)';
  const { family, value } = address;
  const v4 = family === 'IPv4';
  if (v4 ? value >> 24n === 127n : value === 1n) return 'may not be in the loopback range (127.0.0.0/8, ::1/128)';
  if (v4 ? value >> 16n === 0xa9fen : value >> 118n === 0x3fan) return 'may not be in the link-local range (169.254.0.0/16, fe80::/10)';
  if (v4 ? value >> 8n === 0xe00000n : value >> 112n === 0xff02n)
    return 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)';
  return undefined;
}

function hasClusterIP(service: JsonObject): boolean {
  return stringAt(service, 'spec', 'type') !== 'ExternalName';
}

function hasNodePorts(service: JsonObject): boolean {
  const type = stringAt(service, 'spec', 'type');
  return type === 'NodePort' || (type === 'LoadBalancer' && objectAt(service, 'spec')?.allocateLoadBalancerNodePorts !== false);
}

function needsHealthCheck(service: JsonObject): boolean {
  return stringAt(service, 'spec', 'type') === 'LoadBalancer' && stringAt(service, 'spec', 'externalTrafficPolicy') === 'Local';
}

function isReachable(spec: JsonObject): boolean {
  const type = stringAt(spec, 'type');
  return type === 'LoadBalancer' || type === 'NodePort' || (type === 'ClusterIP' && listAt(spec, 'externalIPs').length > 0);
}

function portIdentity(port: JsonObject): string {
  return `${stringAt(port, 'protocol')}/${numberAt(port, 'port') ?? 0}`;
}
