/** LimitRanges and ResourceQuotas. */
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, forbidden, invalid, required } from '../../field-error.ts';
import { objectAt, objectsAt, stringAt, stringsAt } from '../../json-value.ts';
import { checkQualifiedName } from '../../name-syntax.ts';
import { compareQuantities, formatQuantity, type Quantity, quantityFromUnits, quantityOf } from '../../quantity.ts';
import { mayOvercommit, validateContainerResourceName } from '../pods/resources-validation.ts';

const COMPUTE = ['cpu', 'memory'].flatMap((name) => [name, `requests.${name}`, `limits.${name}`]);
const EPHEMERAL = ['ephemeral-storage', 'requests.ephemeral-storage', 'limits.ephemeral-storage'];
const COUNTS = [
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
];
const QUOTA_NAMES: ReadonlySet<string> = new Set([...COMPUTE, ...EPHEMERAL, ...COUNTS, 'requests.storage']);
const HUGE_PAGES = ['hugepages-', 'requests.hugepages-'];

const POD_SCOPES = ['Terminating', 'NotTerminating', 'NotBestEffort', 'PriorityClass', 'CrossNamespacePodAffinity'];
const BARE_SCOPES = ['Terminating', 'NotTerminating', 'BestEffort', 'NotBestEffort', 'CrossNamespacePodAffinity'];
/** The names that a quota of the scope may limit, of those that are not qualified. */
const SCOPED_NAMES: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ...POD_SCOPES.map((scope) => [scope, new Set(['pods', ...COMPUTE])] as const),
  ['BestEffort', new Set(['pods'])],
  ['VolumeAttributesClass', new Set(['persistentvolumeclaims', 'requests.storage'])],
]);
const CONTRADICTIONS = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
];

export function validateResourceQuota(quota: JsonObject): FieldError[] {
  return [...validateAmounts(objectAt(quota, 'spec', 'hard'), 'spec.hard'), ...validateScopes(quota), ...validateScopeSelector(quota)];
}

export function validateResourceQuotaUpdate(quota: JsonObject, old: JsonObject): FieldError[] {
  const [scopes, before] = [stringsAt(quota, 'spec', 'scopes'), stringsAt(old, 'spec', 'scopes')];
  const isSame = scopes.every((scope) => before.includes(scope)) && before.every((scope) => scopes.includes(scope));
  return isSame ? [] : [invalid('spec.scopes', scopes, 'field is immutable')];
}

export function validateResourceQuotaStatus(quota: JsonObject): FieldError[] {
  return ['hard', 'used'].flatMap((field) => validateAmounts(objectAt(quota, 'status', field), `status.${field}`));
}

function validateAmounts(amounts: JsonObject | undefined, path: string): FieldError[] {
  return Object.entries(amounts ?? {}).flatMap(([name, text]) => {
    const at = `${path}[${name}]`;
    const errors = checkQualifiedName(name).map((fault) => invalid(at, name, fault));
    if (errors.length === 0 && !name.includes('/') && !isQuotaName(name)) {
      errors.push(
        invalid(at, name, 'must be a standard resource type or fully qualified'),
        invalid(at, name, 'must be a standard resource for quota'),
      );
    }
    const amount = quantityOf(text);
    if (amount === undefined) return errors;
    if (amount.nanos < 0n) errors.push(invalid(at, text, 'must be greater than or equal to 0'));
    if (COUNTS.includes(name) && amount.nanos % quantityFromUnits(1).nanos !== 0n) errors.push(invalid(at, text, 'must be an integer'));
    return errors;
  });
}

function isQuotaName(name: string): boolean {
  return QUOTA_NAMES.has(name) || HUGE_PAGES.some((prefix) => name.startsWith(prefix));
}

function validateScopes(quota: JsonObject): FieldError[] {
  const scopes = stringsAt(quota, 'spec', 'scopes');
  return [
    ...scopes.flatMap((scope) => [
      ...(SCOPED_NAMES.has(scope) ? [] : [invalid('spec.scopes', scopes, 'unsupported scope')]),
      ...outOfScope(quota, scope).map(() => invalid('spec.scopes', scopes, 'unsupported scope applied to resource')),
    ]),
    ...contradictions(scopes).map(() => invalid('spec.scopes', scopes, 'conflicting scopes')),
  ];
}

function validateScopeSelector(quota: JsonObject): FieldError[] {
  const path = 'spec.scopeSelector.matchExpressions';
  const expressions = objectsAt(quota, 'spec', 'scopeSelector', 'matchExpressions');
  const errors = expressions.flatMap((expression): FieldError[] => {
    const [scope, operator, values] = [
      stringAt(expression, 'scopeName'),
      stringAt(expression, 'operator'),
      stringsAt(expression, 'values'),
    ];
    return [
      ...(SCOPED_NAMES.has(scope) ? [] : [invalid(`${path}.scopeName`, scope, 'unsupported scope')]),
      ...outOfScope(quota, scope).map(() =>
        invalid(path, objectAt(quota, 'spec', 'scopeSelector'), 'unsupported scope applied to resource'),
      ),
      ...(BARE_SCOPES.includes(scope) && operator !== 'Exists'
        ? [
            invalid(
              `${path}.operator`,
              operator,
              "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
            ),
          ]
        : []),
      ...validateOperator(operator, values, path),
    ];
  });
  const scopes = expressions.map((expression) => stringAt(expression, 'scopeName'));
  return [...errors, ...contradictions(scopes).map(() => invalid(path, stringsAt(quota, 'spec', 'scopes'), 'conflicting scopes'))];
}

function validateOperator(operator: string, values: readonly string[], path: string): FieldError[] {
  switch (operator) {
    case 'In':
    case 'NotIn':
      return values.length > 0
        ? []
        : [required(`${path}.values`, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")];
    case 'Exists':
    case 'DoesNotExist':
      return values.length === 0
        ? []
        : [invalid(`${path}.values`, values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector")];
    default:
      return [invalid(`${path}.operator`, operator, 'not a valid selector operator')];
  }
}

/** What the quota limits and objects of the scope do not have. */
function outOfScope(quota: JsonObject, scope: string): readonly string[] {
  const names = SCOPED_NAMES.get(scope);
  if (names === undefined) return [];
  return Object.keys(objectAt(quota, 'spec', 'hard') ?? {}).filter((name) => isQuotaName(name) && !names.has(name));
}

function contradictions(scopes: readonly string[]): readonly (readonly string[])[] {
  return CONTRADICTIONS.filter((pair) => pair.every((scope) => scopes.includes(scope)));
}

const TYPES = ['Pod', 'Container', 'PersistentVolumeClaim'];
const RESOURCE_NAMES: ReadonlySet<string> = new Set([...QUOTA_NAMES, 'storage']);
const FIELDS = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'];

export function validateLimitRange(limitRange: JsonObject): FieldError[] {
  const types = new Set<string>();
  return objectsAt(limitRange, 'spec', 'limits').flatMap((item, index) => {
    const at = `spec.limits[${index}]`;
    const type = stringAt(item, 'type');
    const errors = validateType(type, `${at}.type`);
    if (types.has(type)) errors.push(duplicate(`${at}.type`, type));
    types.add(type);
    const isPod = type === 'Pod';
    for (const field of ['default', 'defaultRequest']) {
      if (isPod && Object.keys(objectAt(item, field) ?? {}).length > 0) {
        errors.push(forbidden(`${at}.${field}`, "may not be specified when `type` is 'Pod'"));
      }
    }
    const fields = FIELDS.filter((field) => !isPod || !field.startsWith('default'));
    for (const field of fields) {
      for (const name of Object.keys(objectAt(item, field) ?? {})) errors.push(...validateName(type, name, `${at}.${field}[${name}]`));
    }
    if (type === 'PersistentVolumeClaim' && ['min', 'max'].every((field) => objectAt(item, field)?.storage === undefined)) {
      errors.push(required(`${at}.limits`, 'either minimum or maximum storage value is required, but neither was provided'));
    }
    const names = [...new Set(fields.flatMap((field) => Object.keys(objectAt(item, field) ?? {})))].sort();
    return [...errors, ...names.flatMap((name) => validateOrder(item, name, at, isPod))];
  });
}

function validateType(type: string, path: string): FieldError[] {
  if (type === '') return [required(path)];
  const errors = checkQualifiedName(type).map((fault) => invalid(path, type, fault));
  if (errors.length > 0 || type.includes('/') || TYPES.includes(type)) return errors;
  return [invalid(path, type, 'must be a standard limit type or fully qualified')];
}

function validateName(type: string, name: string, path: string): FieldError[] {
  if (type === 'Pod' || type === 'Container') return validateContainerResourceName(name, path);
  const errors = checkQualifiedName(name).map((fault) => invalid(path, name, fault));
  if (errors.length > 0 || name.includes('/') || RESOURCE_NAMES.has(name)) return errors;
  return [invalid(path, name, 'must be a standard resource type or fully qualified')];
}

/** From the minimum by the default request and the default limit to the maximum, nothing may be larger than what follows. */
function validateOrder(item: JsonObject, name: string, at: string, isPod: boolean): FieldError[] {
  const amountOf = (field: string): Quantity | undefined => quantityOf(objectAt(item, field)?.[name]);
  const [min, max, ratio] = [amountOf('min'), amountOf('max'), amountOf('maxLimitRequestRatio')];
  const [limit, request] = isPod ? [undefined, undefined] : [amountOf('default'), amountOf('defaultRequest')];
  const isMore = (one: Quantity | undefined, other: Quantity | undefined): boolean =>
    one !== undefined && other !== undefined && compareQuantities(one, other) > 0;
  const show = (amount: Quantity | undefined): string => (amount === undefined ? '' : formatQuantity(amount));
  const fault = (field: string, value: Quantity | undefined, why: string): FieldError =>
    invalid(`${at}.${field}[${name}]`, show(value), why);
  const errors: FieldError[] = [];
  if (isMore(min, max)) errors.push(fault('min', min, `min value ${show(min)} is greater than max value ${show(max)}`));
  if (isMore(min, request)) {
    errors.push(fault('defaultRequest', request, `min value ${show(min)} is greater than default request value ${show(request)}`));
  }
  if (isMore(request, max)) {
    errors.push(fault('defaultRequest', request, `default request value ${show(request)} is greater than max value ${show(max)}`));
  }
  if (isMore(request, limit)) {
    errors.push(
      fault('defaultRequest', request, `default request value ${show(request)} is greater than default limit value ${show(limit)}`),
    );
  }
  if (isMore(min, limit)) errors.push(fault('default', min, `min value ${show(min)} is greater than default value ${show(limit)}`));
  if (isMore(limit, max)) errors.push(fault('default', max, `default value ${show(limit)} is greater than max value ${show(max)}`));
  if (ratio !== undefined) errors.push(...validateRatio(ratio, min, max, (why) => fault('maxLimitRequestRatio', ratio, why)));
  if (!mayOvercommit(name) && limit !== undefined && request !== undefined && compareQuantities(limit, request) !== 0) {
    errors.push(
      fault('defaultRequest', request, `default value ${show(limit)} must equal to defaultRequest value ${show(request)} in ${name}`),
    );
  }
  return errors;
}

function validateRatio(
  ratio: Quantity,
  min: Quantity | undefined,
  max: Quantity | undefined,
  fault: (why: string) => FieldError,
): FieldError[] {
  const text = formatQuantity(ratio);
  const errors = compareQuantities(ratio, quantityFromUnits(1)) < 0 ? [fault(`ratio ${text} is less than 1`)] : [];
  if (min === undefined || max === undefined || min.nanos === 0n) return errors;
  const largest = Number(max.nanos) / Number(min.nanos);
  if (Number(ratio.nanos) / 1e9 > largest) errors.push(fault(`ratio ${text} is greater than max/min = ${largest.toFixed(6)}`));
  return errors;
}
