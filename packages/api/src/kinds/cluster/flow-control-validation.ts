/** FlowSchemas and PriorityLevelConfigurations. @see https://kubernetes.io/docs/concepts/cluster-administration/flow-control/ */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, stringsAt, trueAt } from '../../json-value.ts';
import { checkDns1123Label, checkDns1123Subdomain } from '../../name-syntax.ts';
import { checked, requiredText } from '../rules.ts';

const PRECEDENCE_MAX = 10_000;
const QUEUES_MAX = 10_000_000;
/** Of the hash that deals hands of queues. */
const HASH_BITS = 60;
const EXEMPT = 'exempt';
const ALL = '*';
const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch'];

export function validateFlowSchema(schema: JsonObject): FieldError[] {
  const name = stringAt(schema, 'metadata', 'name');
  const precedence = numberAt(schema, 'spec', 'matchingPrecedence') ?? 0;
  const at = 'spec.matchingPrecedence';
  const errors: FieldError[] = [];
  if (precedence <= 0) errors.push(invalid(at, precedence, 'must be a positive value'));
  if (precedence > PRECEDENCE_MAX) errors.push(invalid(at, precedence, `must not be greater than ${PRECEDENCE_MAX}`));
  if (precedence === 1 && name !== EXEMPT) {
    errors.push(invalid(at, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"));
  }
  const distinguisher = objectAt(schema, 'spec', 'distinguisherMethod');
  const method = stringAt(distinguisher, 'type');
  if (distinguisher !== undefined && !['ByNamespace', 'ByUser'].includes(method)) {
    errors.push(notSupported('spec.distinguisherMethod.type', method, ['ByNamespace', 'ByUser']));
  }
  const level = stringAt(schema, 'spec', 'priorityLevelConfiguration', 'name');
  const levelAt = 'spec.priorityLevelConfiguration.name';
  errors.push(...(level === '' ? [required(levelAt, 'must reference a priority level')] : checked(levelAt, level, checkDns1123Subdomain)));
  return [...errors, ...objectsAt(schema, 'spec', 'rules').flatMap((rule, index) => validateRule(rule, `spec.rules[${index}]`))];
}

function validateRule(rule: JsonObject, at: string): FieldError[] {
  const subjects = objectsAt(rule, 'subjects');
  const [resourceRules, pathRules] = [objectsAt(rule, 'resourceRules'), objectsAt(rule, 'nonResourceRules')];
  return [
    ...(subjects.length === 0 ? [required(`${at}.subjects`, 'subjects must contain at least one value')] : []),
    ...subjects.flatMap((subject, index) => validateSubject(subject, `${at}.subjects[${index}]`)),
    ...(resourceRules.length + pathRules.length === 0
      ? [required(at, 'at least one of resourceRules and nonResourceRules has to be non-empty')]
      : []),
    ...resourceRules.flatMap((one, index) => validateResourceRule(one, `${at}.resourceRules[${index}]`)),
    ...pathRules.flatMap((one, index) => validatePathRule(one, `${at}.nonResourceRules[${index}]`)),
  ];
}

const SUBJECTS = { Group: 'group', ServiceAccount: 'serviceAccount', User: 'user' } as const;

function validateSubject(subject: JsonObject, at: string): FieldError[] {
  const kind = stringAt(subject, 'kind');
  const own = Object.entries(SUBJECTS).find(([name]) => name === kind)?.[1];
  if (own === undefined) return [notSupported(`${at}.kind`, kind, Object.keys(SUBJECTS))];
  const others = Object.entries(SUBJECTS).filter(([name, field]) => name !== kind && objectAt(subject, field) !== undefined);
  const holder = objectAt(subject, own);
  return [
    ...(holder === undefined
      ? [required(`${at}.${own}`, `${own} is required when subject kind is '${kind}'`)]
      : [
          ...requiredText(holder, 'name', `${at}.${own}`),
          ...(own === 'serviceAccount' ? requiredText(holder, 'namespace', `${at}.${own}`, checkDns1123Label) : []),
        ]),
    ...others.map(([name, field]) => forbidden(`${at}.${field}`, `${field} is forbidden when subject kind is not '${name}'`)),
  ];
}

function validateResourceRule(rule: JsonObject, at: string): FieldError[] {
  const namespaces = stringsAt(rule, 'namespaces');
  const isClusterScoped = trueAt(rule, 'clusterScope');
  return [
    ...validateVerbs(rule, at),
    ...validateList(rule, 'apiGroups', at, 'resource rules must supply at least one api group', 'api groups'),
    ...validateList(rule, 'resources', at, 'resource rules must supply at least one resource', 'resources'),
    ...(namespaces.length === 0 && !isClusterScoped
      ? [required(`${at}.namespaces`, 'resource rules that are not cluster scoped must supply at least one namespace')]
      : []),
    ...validateAll(namespaces, `${at}.namespaces`, 'namespaces'),
    ...namespaces.flatMap((name, index) => (name === ALL ? [] : checked(`${at}.namespaces[${index}]`, name, checkDns1123Label))),
  ];
}

function validatePathRule(rule: JsonObject, at: string): FieldError[] {
  return [
    ...validateVerbs(rule, at),
    ...validateList(rule, 'nonResourceURLs', at, 'nonResourceURLs must contain at least one value', 'non-resource URLs'),
  ];
}

function validateVerbs(rule: JsonObject, at: string): FieldError[] {
  const verbs = stringsAt(rule, 'verbs');
  const unknown = verbs.filter((verb) => verb !== ALL && !VERBS.includes(verb));
  return [
    ...validateList(rule, 'verbs', at, 'verbs must contain at least one value', 'verbs'),
    ...(unknown.length > 0 ? [notSupported(`${at}.verbs`, verbs, VERBS)] : []),
  ];
}

function validateList(rule: JsonObject, field: string, at: string, whyNeeded: string, words: string): FieldError[] {
  const values = stringsAt(rule, field);
  return values.length === 0 ? [required(`${at}.${field}`, whyNeeded)] : validateAll(values, `${at}.${field}`, words);
}

function validateAll(values: readonly string[], path: string, words: string): FieldError[] {
  return values.length > 1 && values.includes(ALL) ? [invalid(path, values, `if '*' is present, must not specify other ${words}`)] : [];
}

export function validatePriorityLevel(level: JsonObject): FieldError[] {
  const spec = objectAt(level, 'spec') ?? {};
  const type = stringAt(spec, 'type');
  const errors: FieldError[] = [];
  if ((stringAt(level, 'metadata', 'name') === EXEMPT) !== (type === 'Exempt')) {
    errors.push(invalid('spec.type', type, "must be 'Exempt' if and only if `name` is 'exempt'"));
  }
  const [limited, exempt] = [objectAt(spec, 'limited'), objectAt(spec, 'exempt')];
  switch (type) {
    case 'Exempt':
      if (limited !== undefined) errors.push(forbidden('spec.limited', 'must be nil if the type is not Limited'));
      return exempt === undefined ? errors : [...errors, ...validateShares(exempt, 'spec.exempt')];
    case 'Limited':
      if (exempt !== undefined) errors.push(forbidden('spec.exempt', 'must be nil if the type is Limited'));
      if (limited === undefined) return [...errors, required('spec.limited', 'must not be empty when type is Limited')];
      return [...errors, ...validateLimited(limited)];
    default:
      return [...errors, notSupported('spec.type', type, ['Exempt', 'Limited'])];
  }
}

function validateShares(holder: JsonObject, at: string): FieldError[] {
  const shares = numberAt(holder, 'nominalConcurrencyShares') ?? 0;
  const lendable = numberAt(holder, 'lendablePercent') ?? 0;
  return [
    ...(shares < 0 ? [invalid(`${at}.nominalConcurrencyShares`, shares, 'must be a non-negative integer')] : []),
    ...(lendable < 0 || lendable > 100 ? [invalid(`${at}.lendablePercent`, lendable, 'must be between 0 and 100, inclusive')] : []),
  ];
}

function validateLimited(limited: JsonObject): FieldError[] {
  const at = 'spec.limited';
  const borrowing = numberAt(limited, 'borrowingLimitPercent') ?? 0;
  return [
    ...validateShares(limited, at),
    ...validateResponse(objectAt(limited, 'limitResponse') ?? {}, `${at}.limitResponse`),
    ...(borrowing < 0 ? [invalid(`${at}.borrowingLimitPercent`, borrowing, 'if specified, must be a non-negative integer')] : []),
  ];
}

function validateResponse(response: JsonObject, at: string): FieldError[] {
  const queuing = objectAt(response, 'queuing');
  switch (stringAt(response, 'type')) {
    case 'Reject':
      return queuing === undefined ? [] : [forbidden(`${at}.queuing`, 'must be nil if limited.limitResponse.type is not Limited')];
    case 'Queue':
      return queuing === undefined
        ? [required(`${at}.queuing`, 'must not be empty if limited.limitResponse.type is Limited')]
        : validateQueuing(queuing, `${at}.queuing`);
    default:
      return [notSupported(`${at}.type`, stringAt(response, 'type'), ['Queue', 'Reject'])];
  }
}

function validateQueuing(queuing: JsonObject, at: string): FieldError[] {
  const [length, queues, hand] = ['queueLengthLimit', 'queues', 'handSize'].map((field) => numberAt(queuing, field) ?? 0) as [
    number,
    number,
    number,
  ];
  const errors: FieldError[] = [];
  if (length <= 0) errors.push(invalid(`${at}.queueLengthLimit`, length, 'must be positive'));
  if (queues <= 0) errors.push(invalid(`${at}.queues`, queues, 'must be positive'));
  else if (queues > QUEUES_MAX) errors.push(invalid(`${at}.queues`, queues, `must not be greater than ${QUEUES_MAX}`));
  const bits = Math.ceil(Math.log2(Math.max(queues, 1)) * hand);
  if (hand <= 0) errors.push(invalid(`${at}.handSize`, hand, 'must be positive'));
  else if (hand > queues) errors.push(invalid(`${at}.handSize`, hand, `should not be greater than queues (${queues})`));
  else if (bits > HASH_BITS) {
    const why = `required entropy bits of deckSize ${queues} and handSize ${hand} should not be greater than ${HASH_BITS}`;
    errors.push(invalid(`${at}.handSize`, hand, why));
  }
  return errors;
}
