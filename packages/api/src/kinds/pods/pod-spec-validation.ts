/** A Pod's spec as a whole; its parts have files of their own. */
import { checkIP } from '../../address-syntax.ts';
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { integerAt, listAt, numberAt, objectAt, objectsAt, own, stringAt, stringsAt, trueAt } from '../../json-value.ts';
import { checkDns1123Label, checkDns1123Subdomain, checkQualifiedName, checkUnderscoredSubdomain } from '../../name-syntax.ts';
import { checked, optionalText } from '../rules.ts';
import { validateContainers } from './container-validation.ts';
import { validateResources } from './resources-validation.ts';
import { validateScheduling } from './scheduling-validation.ts';
import { validatePodSecurity } from './security-validation.ts';
import { validateVolumes } from './volume-validation.ts';

const RESTART_POLICIES = ['Always', 'OnFailure', 'Never'];
const DNS_POLICIES = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'];
const NAMESERVERS_MAX = 3;
const SEARCHES_MAX = 32;
/** Of all together, with the spaces between them. */
const SEARCH_CHARACTERS_MAX = 2048;
const HOSTNAME_OVERRIDE_LENGTH_MAX = 64;

/** Faults of a Pod's spec at `path` (`spec`, or a template's `spec.template.spec`). */
export function validatePodSpec(spec: JsonObject, path: string): FieldError[] {
  const { errors, volumes } = validateVolumes(spec, path);
  const claims = objectsAt(spec, 'resourceClaims').map((claim) => stringAt(claim, 'name'));
  const graceSeconds = integerAt(spec, 'terminationGracePeriodSeconds');
  errors.push(...validateContainers(spec, path, { volumes, claims, graceSeconds }));
  errors.push(...validateChoice(spec, 'restartPolicy', path, RESTART_POLICIES), ...validateChoice(spec, 'dnsPolicy', path, DNS_POLICIES));
  errors.push(...validateScheduling(spec, path), ...validatePodSecurity(spec, path), ...validateHostNetwork(spec, path));
  if (graceSeconds !== undefined && graceSeconds < 0) {
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, graceSeconds, 'must be greater than or equal to 0'));
  }
  for (const [index, secret] of objectsAt(spec, 'imagePullSecrets').entries()) {
    if (stringAt(secret, 'name') === '') errors.push(required(`${path}.imagePullSecrets[${index}].name`));
  }
  errors.push(...optionalText(spec, 'hostname', path, checkDns1123Label), ...optionalText(spec, 'subdomain', path, checkDns1123Label));
  errors.push(...validateHostnameOverride(spec, path), ...validateHostAliases(spec, path), ...validateDns(spec, path));
  for (const [index, gate] of objectsAt(spec, 'readinessGates').entries()) {
    errors.push(...checked(`${path}.readinessGates[${index}].conditionType`, stringAt(gate, 'conditionType'), checkQualifiedName));
  }
  const resources = objectAt(spec, 'resources');
  if (resources !== undefined) errors.push(...validatePodResources(resources, spec, `${path}.resources`));
  errors.push(...validateClaims(spec, path), ...validateOs(spec, path));
  return errors;
}

function validateChoice(spec: JsonObject, field: string, path: string, allowed: readonly string[]): FieldError[] {
  const value = stringAt(spec, field);
  if (value === '') return [required(`${path}.${field}`)];
  return allowed.includes(value) ? [] : [notSupported(`${path}.${field}`, value, allowed)];
}

/** A Pod in the host's network has the host's ports, under the same numbers. */
function validateHostNetwork(spec: JsonObject, path: string): FieldError[] {
  if (!trueAt(spec, 'hostNetwork')) return [];
  return objectsAt(spec, 'containers').flatMap((container, index) =>
    objectsAt(container, 'ports').flatMap((port, position) => {
      const number = numberAt(port, 'containerPort');
      if (number === (numberAt(port, 'hostPort') ?? 0)) return [];
      const at = `${path}.containers[${index}].ports[${position}].containerPort`;
      return [invalid(at, number, 'must match `hostPort` when `hostNetwork` is true')];
    }),
  );
}

function validateHostnameOverride(spec: JsonObject, path: string): FieldError[] {
  const name = own(spec, 'hostnameOverride');
  if (typeof name !== 'string') return [];
  const at = `${path}.hostnameOverride`;
  const errors = checked(at, name, checkDns1123Subdomain);
  if (name.length > HOSTNAME_OVERRIDE_LENGTH_MAX) {
    errors.push(invalid(at, name, `must be no more than ${HOSTNAME_OVERRIDE_LENGTH_MAX} characters`));
  }
  if (trueAt(spec, 'hostNetwork')) errors.push(forbidden(at, 'may not be set when `hostNetwork` is true'));
  if (trueAt(spec, 'setHostnameAsFQDN')) errors.push(forbidden(at, 'may not be set when `setHostnameAsFQDN` is true'));
  return errors;
}

function validateHostAliases(spec: JsonObject, path: string): FieldError[] {
  return objectsAt(spec, 'hostAliases').flatMap((alias, index) => {
    const at = `${path}.hostAliases[${index}]`;
    return [
      ...checked(`${at}.ip`, stringAt(alias, 'ip'), checkIP),
      ...stringsAt(alias, 'hostnames').flatMap((name, position) => checked(`${at}.hostnames[${position}]`, name, checkDns1123Subdomain)),
    ];
  });
}

function validateDns(spec: JsonObject, path: string): FieldError[] {
  const config = objectAt(spec, 'dnsConfig');
  const at = `${path}.dnsConfig`;
  const servers = stringsAt(config, 'nameservers');
  if (stringAt(spec, 'dnsPolicy') === 'None') {
    if (config === undefined) return [required(at, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    if (servers.length === 0) return [required(`${at}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None')];
  }
  const errors: FieldError[] = [];
  if (servers.length > NAMESERVERS_MAX) {
    errors.push(invalid(`${at}.nameservers`, servers, `must not have more than ${NAMESERVERS_MAX} nameservers`));
  }
  servers.forEach((server, index) => void errors.push(...checked(`${at}.nameservers[${index}]`, server, checkIP)));
  const searches = stringsAt(config, 'searches');
  if (searches.length > SEARCHES_MAX)
    errors.push(invalid(`${at}.searches`, searches, `must not have more than ${SEARCHES_MAX} search paths`));
  if (searches.join(' ').length > SEARCH_CHARACTERS_MAX) {
    const rule = `must not have more than ${SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list`;
    errors.push(invalid(`${at}.searches`, searches, rule));
  }
  for (const [index, search] of searches.entries()) {
    if (search !== '.') errors.push(...checked(`${at}.searches[${index}]`, search.replace(/\.$/, ''), checkUnderscoredSubdomain));
  }
  for (const [index, option] of objectsAt(config, 'options').entries()) {
    if (stringAt(option, 'name') === '') errors.push(required(`${at}.options[${index}]`, 'must not be empty'));
  }
  return errors;
}

/** Requests and limits of the Pod as a whole: only what all containers can share. */
function validatePodResources(resources: JsonObject, spec: JsonObject, path: string): FieldError[] {
  const errors = validateResources(resources, path);
  for (const side of ['limits', 'requests']) {
    for (const name of Object.keys(objectAt(resources, side) ?? {})) {
      if (name !== 'cpu' && name !== 'memory' && !name.startsWith('hugepages-')) {
        errors.push(notSupported(`${path}.${side}[${name}]`, name, ['cpu', 'hugepages-', 'memory']));
      }
    }
  }
  if (listAt(resources, 'claims').length > 0) errors.push(forbidden(`${path}.claims`, 'may not be set for Pod level resources'));
  if (stringAt(spec, 'os', 'name') === 'windows') errors.push(forbidden(path, 'may not be set for a windows pod'));
  return errors;
}

function validateClaims(spec: JsonObject, path: string): FieldError[] {
  const names = new Set<string>();
  return objectsAt(spec, 'resourceClaims').flatMap((claim, index) => {
    const at = `${path}.resourceClaims[${index}]`;
    const name = stringAt(claim, 'name');
    const errors = name === '' ? [required(`${at}.name`)] : checked(`${at}.name`, name, checkDns1123Label);
    if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
    const given = ['resourceClaimName', 'resourceClaimTemplateName'].filter((field) => stringAt(claim, field) !== '');
    const rule = 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`';
    if (given.length === 0) errors.push(invalid(at, claim, rule));
    else if (given.length > 1)
      errors.push(invalid(at, claim, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified'));
    return errors;
  });
}

function validateOs(spec: JsonObject, path: string): FieldError[] {
  const os = objectAt(spec, 'os');
  if (os === undefined) return [];
  const name = stringAt(os, 'name');
  if (name === '') return [required(`${path}.os.name`, 'cannot be empty')];
  return name === 'linux' || name === 'windows' ? [] : [notSupported(`${path}.os.name`, name, ['linux', 'windows'])];
}
