/** Where a Pod may go: node selectors, affinity, tolerations, spread, gates. */
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { listAt, numberAt, objectAt, objectsAt, own, stringAt, stringsAt } from '../../json-value.ts';
import { type LabelSelectorObject, validateLabelSelector, validateLabels } from '../../label-selector.ts';
import { checkDns1123Label, checkDns1123Subdomain, checkLabelValue, checkQualifiedName } from '../../name-syntax.ts';
import { checked, inRange } from '../rules.ts';

const HARD = 'requiredDuringSchedulingIgnoredDuringExecution';
const SOFT = 'preferredDuringSchedulingIgnoredDuringExecution';
const WEIGHT_MAX = 100;
const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateScheduling(spec: JsonObject, path: string): FieldError[] {
  const affinity = objectAt(spec, 'affinity');
  return [
    ...validateLabels((objectAt(spec, 'nodeSelector') ?? {}) as Record<string, string>, `${path}.nodeSelector`),
    ...(affinity === undefined ? [] : validateAffinity(affinity, `${path}.affinity`)),
    ...validateTolerations(objectsAt(spec, 'tolerations'), `${path}.tolerations`),
    ...validateSpread(objectsAt(spec, 'topologySpreadConstraints'), `${path}.topologySpreadConstraints`),
    ...validateGates(spec, path),
  ];
}

/** Faults of a node selector: terms of which one must hold. */
export function validateNodeSelector(selector: JsonObject, path: string): FieldError[] {
  const terms = objectsAt(selector, 'nodeSelectorTerms');
  if (terms.length === 0) return [required(`${path}.nodeSelectorTerms`, 'must have at least one node selector term')];
  return terms.flatMap((term, index) => validateNodeTerm(term, `${path}.nodeSelectorTerms[${index}]`));
}

function validateNodeTerm(term: JsonObject, path: string): FieldError[] {
  const labels = objectsAt(term, 'matchExpressions').flatMap((requirement, index) => {
    const at = `${path}.matchExpressions[${index}]`;
    return [
      ...validateNodeRequirement(requirement, at),
      ...checked(`${at}.key`, stringAt(requirement, 'key'), checkQualifiedName),
      ...stringsAt(requirement, 'values').flatMap((value, position) => checked(`${at}.values[${position}]`, value, checkLabelValue)),
    ];
  });
  const fields = objectsAt(term, 'matchFields').flatMap((requirement, index) => {
    const at = `${path}.matchFields[${index}]`;
    const operator = stringAt(requirement, 'operator');
    const errors: FieldError[] = [];
    if (operator !== 'In' && operator !== 'NotIn') errors.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
    else if (listAt(requirement, 'values').length !== 1) {
      errors.push(required(`${at}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
    }
    if (stringAt(requirement, 'key') !== 'metadata.name') {
      errors.push(invalid(`${at}.key`, stringAt(requirement, 'key'), 'not a valid field selector key'));
    }
    return errors;
  });
  return [...labels, ...fields];
}

function validateNodeRequirement(requirement: JsonObject, path: string): FieldError[] {
  const operator = stringAt(requirement, 'operator');
  const count = listAt(requirement, 'values').length;
  switch (operator) {
    case 'In':
    case 'NotIn':
      return count === 0 ? [required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'")] : [];
    case 'Exists':
    case 'DoesNotExist':
      return count > 0 ? [forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")] : [];
    case 'Gt':
    case 'Lt':
      return count === 1 ? [] : [required(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'")];
    default:
      return [invalid(`${path}.operator`, operator, 'not a valid selector operator')];
  }
}

function validateAffinity(affinity: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const node = objectAt(affinity, 'nodeAffinity');
  const hard = objectAt(node, HARD);
  if (hard !== undefined) errors.push(...validateNodeSelector(hard, `${path}.nodeAffinity.${HARD}`));
  for (const [index, term] of objectsAt(node, SOFT).entries()) {
    const at = `${path}.nodeAffinity.${SOFT}[${index}]`;
    errors.push(...validateWeight(term, at), ...validateNodeTerm(objectAt(term, 'preference') ?? {}, `${at}.preference`));
  }
  for (const kind of ['podAffinity', 'podAntiAffinity']) {
    const rules = objectAt(affinity, kind);
    for (const [index, term] of objectsAt(rules, HARD).entries())
      errors.push(...validatePodTerm(term, `${path}.${kind}.${HARD}[${index}]`));
    for (const [index, term] of objectsAt(rules, SOFT).entries()) {
      const at = `${path}.${kind}.${SOFT}[${index}]`;
      errors.push(...validateWeight(term, at), ...validatePodTerm(objectAt(term, 'podAffinityTerm') ?? {}, `${at}.podAffinityTerm`));
    }
  }
  return errors;
}

function validateWeight(term: JsonObject, path: string): FieldError[] {
  const weight = numberAt(term, 'weight') ?? 0;
  return weight < 1 || weight > WEIGHT_MAX ? [invalid(`${path}.weight`, weight, 'must be in the range 1-100')] : [];
}

function validatePodTerm(term: JsonObject, path: string): FieldError[] {
  const errors = ['labelSelector', 'namespaceSelector'].flatMap((field) => {
    const selector = objectAt(term, field);
    return selector === undefined ? [] : validateLabelSelector(selector as unknown as LabelSelectorObject, `${path}.${field}`);
  });
  for (const name of stringsAt(term, 'namespaces')) errors.push(...checked(`${path}.namespace`, name, checkDns1123Label));
  const key = stringAt(term, 'topologyKey');
  if (key === '') errors.push(required(`${path}.topologyKey`, 'can not be empty'));
  return [...errors, ...checked(`${path}.topologyKey`, key, checkQualifiedName)];
}

/** Faults of tolerations, also those of a RuntimeClass. */
export function validateTolerations(tolerations: readonly JsonObject[], path: string): FieldError[] {
  return tolerations.flatMap((toleration, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const key = stringAt(toleration, 'key');
    const operator = stringAt(toleration, 'operator');
    const value = stringAt(toleration, 'value');
    const effect = stringAt(toleration, 'effect');
    if (key !== '') errors.push(...checked(`${at}.key`, key, checkQualifiedName));
    else if (operator !== 'Exists') {
      errors.push(
        invalid(`${at}.operator`, operator, 'operator must be Exists when `key` is empty, which means "match all values and all keys"'),
      );
    }
    if (own(toleration, 'tolerationSeconds') !== undefined && effect !== 'NoExecute') {
      errors.push(invalid(`${at}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    if (operator === '' || operator === 'Equal') errors.push(...checked(`${at}.operator`, value, checkLabelValue));
    else if (operator === 'Exists') {
      if (value !== '') errors.push(invalid(`${at}.operator`, toleration, "value must be empty when `operator` is 'Exists'"));
    } else if (operator !== 'Lt' && operator !== 'Gt') errors.push(notSupported(`${at}.operator`, operator, ['Equal', 'Exists']));
    if (effect !== '' && !EFFECTS.includes(effect)) errors.push(notSupported(`${at}.effect`, effect, EFFECTS));
    return errors;
  });
}

function validateSpread(constraints: readonly JsonObject[], path: string): FieldError[] {
  const seen = new Set<string>();
  return constraints.flatMap((constraint, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const skew = numberAt(constraint, 'maxSkew') ?? 0;
    if (skew <= 0) errors.push(invalid(`${at}.maxSkew`, skew, 'must be greater than zero'));
    const key = stringAt(constraint, 'topologyKey');
    if (key === '') errors.push(required(`${at}.topologyKey`, 'can not be empty'));
    else errors.push(...checked(`${at}.topologyKey`, key, checkQualifiedName));
    const action = stringAt(constraint, 'whenUnsatisfiable');
    if (action !== 'DoNotSchedule' && action !== 'ScheduleAnyway') {
      errors.push(notSupported(`${at}.whenUnsatisfiable`, action, ['DoNotSchedule', 'ScheduleAnyway']));
    }
    const identity = `{${key}, ${action}}`;
    if (seen.has(identity)) errors.push(duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, identity));
    seen.add(identity);
    const domains = numberAt(constraint, 'minDomains');
    if (domains !== undefined && domains <= 0) errors.push(invalid(`${at}.minDomains`, domains, 'must be greater than zero'));
    if (domains !== undefined && action !== 'DoNotSchedule') {
      errors.push(invalid(`${at}.minDomains`, domains, `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${action}`));
    }
    for (const field of ['nodeAffinityPolicy', 'nodeTaintsPolicy']) {
      const policy = stringAt(constraint, field);
      if (policy !== '' && policy !== 'Honor' && policy !== 'Ignore')
        errors.push(notSupported(`${at}.${field}`, policy, ['Honor', 'Ignore']));
    }
    const selector = objectAt(constraint, 'labelSelector');
    if (selector !== undefined) errors.push(...validateLabelSelector(selector as unknown as LabelSelectorObject, `${at}.labelSelector`));
    return errors;
  });
}

function validateGates(spec: JsonObject, path: string): FieldError[] {
  const names = new Set<string>();
  const errors = objectsAt(spec, 'schedulingGates').flatMap((gate, index) => {
    const name = stringAt(gate, 'name');
    const at = `${path}.schedulingGates[${index}]`;
    const faults = checked(`${at}.name`, name, checkQualifiedName);
    if (names.has(name)) faults.push(duplicate(at, name));
    names.add(name);
    return faults;
  });
  if (names.size > 0 && stringAt(spec, 'nodeName') !== '') {
    errors.push(forbidden(`${path}.nodeName`, 'cannot be set until all schedulingGates have been cleared'));
  }
  for (const field of ['schedulerName', 'nodeName', 'serviceAccountName', 'priorityClassName', 'runtimeClassName']) {
    const value = stringAt(spec, field);
    if (value !== '' && field !== 'schedulerName') errors.push(...checked(`${path}.${field}`, value, checkDns1123Subdomain));
  }
  return [...errors, ...inRange(spec, 'activeDeadlineSeconds', path, 1, 2 ** 31 - 1)];
}
