/** Roles, their bindings, and certificate requests. */
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { listAt, numberAt, objectAt, objectsAt, own, semanticEqual, stringAt, stringsAt } from '../../json-value.ts';
import { validateLabelSelector } from '../../label-selector.ts';
import { checkDns1123Subdomain, checkPathSegment } from '../../name-syntax.ts';
import { checked } from '../rules.ts';

const GROUP = 'rbac.authorization.k8s.io';
const EXPIRATION_SECONDS_MIN = 600;

export function validateRole(role: JsonObject): FieldError[] {
  return validateRules(role, true);
}

export function validateClusterRole(role: JsonObject): FieldError[] {
  const errors = validateRules(role, false);
  const aggregation = objectAt(role, 'aggregationRule');
  if (aggregation === undefined) return errors;
  const selectors = objectsAt(aggregation, 'clusterRoleSelectors');
  const path = 'aggregationRule.clusterRoleSelectors';
  if (selectors.length === 0) return [...errors, required(path, 'at least one clusterRoleSelector required if aggregationRule is non-nil')];
  return [...errors, ...selectors.flatMap((selector, index) => validateLabelSelector(selector, `${path}[${index}]`))];
}

export function validateRoleBinding(binding: JsonObject): FieldError[] {
  return validateBinding(binding, true);
}

export function validateClusterRoleBinding(binding: JsonObject): FieldError[] {
  return validateBinding(binding, false);
}

/** Another role is another grant: it takes a new binding. */
export function validateBindingUpdate(binding: JsonObject, old: JsonObject): FieldError[] {
  if (semanticEqual(own(binding, 'roleRef'), own(old, 'roleRef'))) return [];
  return [invalid('roleRef', own(binding, 'roleRef'), 'cannot change roleRef')];
}

function validateRules(role: JsonObject, namespaced: boolean): FieldError[] {
  return objectsAt(role, 'rules').flatMap((rule, index) => {
    const at = `rules[${index}]`;
    const errors: FieldError[] = [];
    if (listAt(rule, 'verbs').length === 0) errors.push(required(`${at}.verbs`, 'verbs must contain at least one value'));
    const urls = stringsAt(rule, 'nonResourceURLs');
    const groups = listAt(rule, 'apiGroups').length;
    const resources = listAt(rule, 'resources').length;
    if (urls.length > 0) {
      if (namespaced) errors.push(invalid(`${at}.nonResourceURLs`, urls, 'namespaced rules cannot apply to non-resource URLs'));
      if (groups + resources + listAt(rule, 'resourceNames').length > 0) {
        errors.push(invalid(`${at}.nonResourceURLs`, urls, 'rules cannot apply to both regular resources and non-resource URLs'));
      }
      return errors;
    }
    if (groups === 0) errors.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'));
    if (resources === 0) errors.push(required(`${at}.resources`, 'resource rules must supply at least one resource'));
    return errors;
  });
}

function validateBinding(binding: JsonObject, namespaced: boolean): FieldError[] {
  const ref = objectAt(binding, 'roleRef') ?? {};
  const errors: FieldError[] = [];
  const group = stringAt(ref, 'apiGroup');
  if (group !== GROUP) errors.push(notSupported('roleRef.apiGroup', group, [GROUP]));
  const kind = stringAt(ref, 'kind');
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(kind)) errors.push(notSupported('roleRef.kind', kind, kinds));
  const name = stringAt(ref, 'name');
  if (name === '') errors.push(required('roleRef.name'));
  else errors.push(...checked('roleRef.name', name, checkPathSegment));
  return [
    ...errors,
    ...objectsAt(binding, 'subjects').flatMap((subject, index) => validateSubject(subject, namespaced, `subjects[${index}]`)),
  ];
}

function validateSubject(subject: JsonObject, namespaced: boolean, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const name = stringAt(subject, 'name');
  const group = stringAt(subject, 'apiGroup');
  if (name === '') errors.push(required(`${path}.name`));
  switch (stringAt(subject, 'kind')) {
    case 'ServiceAccount':
      if (name !== '') errors.push(...checked(`${path}.name`, name, checkDns1123Subdomain));
      if (group !== '') errors.push(notSupported(`${path}.apiGroup`, group, ['']));
      if (!namespaced && stringAt(subject, 'namespace') === '') errors.push(required(`${path}.namespace`));
      return errors;
    case 'User':
    case 'Group':
      return group === GROUP ? errors : [...errors, notSupported(`${path}.apiGroup`, group, [GROUP])];
    default:
      return [...errors, notSupported(`${path}.kind`, stringAt(subject, 'kind'), ['ServiceAccount', 'User', 'Group'])];
  }
}

export function validateCertificateSigningRequest(request: JsonObject): FieldError[] {
  const spec = objectAt(request, 'spec') ?? {};
  const errors: FieldError[] = [];
  const pem = Buffer.from(stringAt(spec, 'request'), 'base64').toString('latin1');
  if (!pem.includes('-----BEGIN CERTIFICATE REQUEST-----')) {
    errors.push(invalid('spec.request', stringAt(spec, 'request'), 'PEM block type must be CERTIFICATE REQUEST'));
  }
  if (listAt(spec, 'usages').length === 0) errors.push(required('spec.usages', 'usages are required'));
  const signer = stringAt(spec, 'signerName');
  if (signer === '') errors.push(required('spec.signerName'));
  else if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/[^/]+$/.test(signer)) {
    errors.push(invalid('spec.signerName', signer, 'must be a fully qualified domain and path of the form "example.com/signer-name"'));
  }
  const seconds = numberAt(spec, 'expirationSeconds');
  if (seconds !== undefined && seconds < EXPIRATION_SECONDS_MIN) {
    errors.push(invalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 600 seconds (10 minutes)'));
  }
  return errors;
}

/** Verdicts that are never taken back. */
const LASTING = ['Approved', 'Denied', 'Failed'];

/** Of /approval, which may add verdicts. */
export function validateCertificateApproval(request: JsonObject, old: JsonObject): FieldError[] {
  return [...validateVerdicts(request), ...removedVerdicts(request, old)];
}

/** Of /status, which may neither add verdicts nor write a certificate over another. */
export function validateCertificateStatus(request: JsonObject, old: JsonObject): FieldError[] {
  const errors = validateCertificateApproval(request, old);
  for (const type of ['Approved', 'Denied']) {
    const [now, before] = [conditionsOf(request, type), conditionsOf(old, type)];
    if (now.length > before.length) errors.push(forbidden('status.conditions', `updates may not add a condition of type "${type}"`));
    else if (now.length === before.length && !semanticEqual(now, before)) {
      errors.push(forbidden('status.conditions', `updates may not modify a condition of type "${type}"`));
    }
  }
  const certificate = stringAt(old, 'status', 'certificate');
  if (certificate !== '' && stringAt(request, 'status', 'certificate') !== certificate) {
    errors.push(forbidden('status.certificate', 'updates may not modify existing certificate content'));
  }
  return errors;
}

function validateVerdicts(request: JsonObject): FieldError[] {
  const conditions = objectsAt(request, 'status', 'conditions');
  const types = conditions.map((condition) => stringAt(condition, 'type'));
  const errors = conditions.flatMap((condition, index): FieldError[] => {
    const at = `status.conditions[${index}]`;
    const [type, status] = [stringAt(condition, 'type'), stringAt(condition, 'status')];
    const allowed = LASTING.includes(type) ? ['True'] : ['False', 'True', 'Unknown'];
    return [
      ...(type === '' ? [required(`${at}.type`)] : []),
      ...(status === '' ? [required(`${at}.status`)] : allowed.includes(status) ? [] : [notSupported(`${at}.status`, status, allowed)]),
      ...(types.indexOf(type) < index ? [duplicate(`${at}.type`, type)] : []),
    ];
  });
  const verdict = types.findLast((type) => type === 'Approved' || type === 'Denied');
  if (types.includes('Approved') && types.includes('Denied')) {
    errors.push(invalid('status.conditions', verdict, 'Approved and Denied conditions are mutually exclusive'));
  }
  return errors;
}

function removedVerdicts(request: JsonObject, old: JsonObject): FieldError[] {
  return LASTING.filter((type) => conditionsOf(request, type).length < conditionsOf(old, type).length).map((type) =>
    forbidden('status.conditions', `updates may not remove a condition of type "${type}"`),
  );
}

function conditionsOf(request: JsonObject, type: string): readonly JsonObject[] {
  return objectsAt(request, 'status', 'conditions').filter((condition) => stringAt(condition, 'type') === type);
}
