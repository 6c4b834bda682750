/** Webhook configurations and admission policies. Expressions are compiled here, so that one that cannot be is refused on write. */
import { type AdmissionScope, admissionExpression } from '../../cel/admission-expressions.ts';
import { CelCompileError } from '../../cel/cel-error.ts';
import { type CelType, DYN, showType } from '../../cel/cel-type.ts';
import { CelCompiler, type Variable } from '../../cel/expression.ts';
import type { JsonObject } from '../../definition.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required, tooMany } from '../../field-error.ts';
import { listAt, numberAt, objectAt, objectsAt, stringAt, stringsAt } from '../../json-value.ts';
import { validateLabelSelector } from '../../label-selector.ts';
import { checkDns1035Label, checkDns1123Subdomain, checkPathSegment, checkQualifiedName } from '../../name-syntax.ts';
import { checked, oneOf, requiredText } from '../rules.ts';
import { validateClientConfig, validateReviewVersions } from './webhook-client-validation.ts';

const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
/** There is nothing to change in what is deleted. */
const MUTABLE_OPERATIONS = ['*', 'CONNECT', 'CREATE', 'UPDATE'];
const SCOPES = ['*', 'Cluster', 'Namespaced'];
const FAILURE_POLICIES = ['Fail', 'Ignore'];
const MATCH_POLICIES = ['Equivalent', 'Exact'];
const REINVOCATION_POLICIES = ['IfNeeded', 'Never'];
const VALIDATION_REASONS = ['Forbidden', 'Invalid', 'RequestEntityTooLarge'];
const VALIDATION_ACTIONS = ['Audit', 'Deny', 'Warn'];
const MATCH_CONDITIONS_MAX = 64;
const AUDIT_ANNOTATIONS_MAX = 20;
const AUDIT_EXPRESSION_LENGTH_MAX = 5 * 1024;
const RESERVED_WORDS: ReadonlySet<string> = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(' '),
);

export function validateWebhookConfiguration(configuration: JsonObject): FieldError[] {
  const names = new Set<string>();
  return objectsAt(configuration, 'webhooks').flatMap((webhook, index) => {
    const at = `webhooks[${index}]`;
    const name = stringAt(webhook, 'name');
    const errors: FieldError[] = [];
    if (name === '') errors.push(required(`${at}.name`));
    else {
      errors.push(...checked(`${at}.name`, name, checkDns1123Subdomain));
      if (name.split('.').length < 3)
        errors.push(invalid(`${at}.name`, name, 'should be a domain with at least three segments separated by dots'));
    }
    if (name !== '' && names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
    errors.push(
      ...objectsAt(webhook, 'rules').flatMap((rule, position) => validateRule(rule, `${at}.rules[${position}]`)),
      ...oneOf(webhook, 'failurePolicy', at, FAILURE_POLICIES),
      ...oneOf(webhook, 'matchPolicy', at, MATCH_POLICIES),
      ...oneOf(webhook, 'reinvocationPolicy', at, REINVOCATION_POLICIES),
      ...validateSideEffects(webhook, at),
    );
    const timeout = numberAt(webhook, 'timeoutSeconds');
    if (timeout !== undefined && (timeout < 1 || timeout > 30))
      errors.push(invalid(`${at}.timeoutSeconds`, timeout, 'the timeout value must be between 1 and 30 seconds'));
    errors.push(
      ...validateSelectors(webhook, at),
      ...validateClientConfig(objectAt(webhook, 'clientConfig') ?? {}, `${at}.clientConfig`),
      ...validateMatchConditions(webhook, at, { params: false, authorizer: true }),
      ...validateReviewVersions(stringsAt(webhook, 'admissionReviewVersions'), `${at}.admissionReviewVersions`),
    );
    return errors;
  });
}

export function validateValidatingAdmissionPolicy(policy: JsonObject): FieldError[] {
  const spec = objectAt(policy, 'spec') ?? {};
  const compiler = new CelCompiler();
  const { errors, scope } = validatePolicyFrame(spec, compiler);
  const validations = objectsAt(spec, 'validations');
  const annotations = objectsAt(spec, 'auditAnnotations');
  if (validations.length === 0 && annotations.length === 0) {
    const detail = 'validations or auditAnnotations must contain at least one item';
    return [...errors, required('spec.validations', detail), required('spec.auditAnnotations', detail)];
  }
  for (const [index, validation] of validations.entries())
    errors.push(...validateValidation(validation, `spec.validations[${index}]`, compiler, scope));
  if (annotations.length > AUDIT_ANNOTATIONS_MAX) {
    errors.push(invalid('spec.auditAnnotations', annotations, `must not have more than ${AUDIT_ANNOTATIONS_MAX} auditAnnotations`));
  }
  const keys = new Set<string>();
  for (const [index, annotation] of annotations.entries()) {
    const at = `spec.auditAnnotations[${index}]`;
    const key = stringAt(annotation, 'key');
    errors.push(...validateAuditAnnotation(annotation, stringAt(policy, 'metadata', 'name'), at, compiler, scope));
    if (keys.has(key)) errors.push(duplicate(`${at}.key`, key));
    keys.add(key);
  }
  return errors;
}

export function validateValidatingAdmissionPolicyBinding(binding: JsonObject): FieldError[] {
  const spec = objectAt(binding, 'spec') ?? {};
  const errors = validateBinding(spec);
  const actions = stringsAt(spec, 'validationActions');
  const seen = new Set<string>();
  for (const [index, action] of actions.entries()) {
    const at = `spec.validationActions[${index}]`;
    if (!VALIDATION_ACTIONS.includes(action)) errors.push(notSupported(at, action, VALIDATION_ACTIONS));
    if (seen.has(action)) errors.push(duplicate(at, action));
    seen.add(action);
  }
  if (seen.has('Deny') && seen.has('Warn')) {
    const why =
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)';
    errors.push(invalid('spec.validationActions', actions, why));
  }
  if (actions.length === 0) errors.push(required('spec.validationActions', 'at least one validation action is required'));
  return errors;
}

export function validateMutatingAdmissionPolicy(policy: JsonObject): FieldError[] {
  const spec = objectAt(policy, 'spec') ?? {};
  const compiler = new CelCompiler({ constructs: true });
  const { errors, scope } = validatePolicyFrame(spec, compiler, MUTABLE_OPERATIONS);
  const mutations = objectsAt(spec, 'mutations');
  if (mutations.length === 0) errors.push(required('spec.mutations', 'mutations must contain at least one item'));
  for (const [index, mutation] of mutations.entries())
    errors.push(...validateMutation(mutation, `spec.mutations[${index}]`, compiler, scope));
  return [...errors, ...oneOf(spec, 'reinvocationPolicy', 'spec', REINVOCATION_POLICIES, true)];
}

export function validateMutatingAdmissionPolicyBinding(binding: JsonObject): FieldError[] {
  return validateBinding(objectAt(binding, 'spec') ?? {});
}

function validateMutation(mutation: JsonObject, path: string, compiler: CelCompiler, scope: AdmissionScope): FieldError[] {
  const type = stringAt(mutation, 'patchType');
  if (type === '') return [required(`${path}.patchType`)];
  const bodies = { ApplyConfiguration: 'applyConfiguration', JSONPatch: 'jsonPatch' } as const;
  if (type !== 'ApplyConfiguration' && type !== 'JSONPatch') return [notSupported(`${path}.patchType`, type, Object.keys(bodies))];
  const [field, other] =
    type === 'JSONPatch' ? [bodies.JSONPatch, bodies.ApplyConfiguration] : [bodies.ApplyConfiguration, bodies.JSONPatch];
  const errors: FieldError[] = [];
  const body = objectAt(mutation, field);
  if (body === undefined) errors.push(required(`${path}.${field}`, `must be specified when patchType is ${type}`));
  else {
    const at = `${path}.${field}.expression`;
    const expression = stringAt(body, 'expression').trim();
    if (expression === '') errors.push(required(at, 'expression is not specified'));
    else errors.push(...faultsOfMutation(type, expression, at, compiler, scope));
  }
  if (objectAt(mutation, other) !== undefined)
    errors.push(invalid(`${path}.${other}`, `{${other}}`, `must not be specified when patchType is ${type}`));
  return errors;
}

function faultsOfMutation(
  type: 'ApplyConfiguration' | 'JSONPatch',
  expression: string,
  path: string,
  compiler: CelCompiler,
  scope: AdmissionScope,
): readonly FieldError[] {
  const { type: result, faults } = compiledAs(compiler, expression, scope, undefined, path);
  if (faults.length > 0 || result.kind === 'dyn') return faults;
  const wanted = type === 'JSONPatch' ? 'list(JSONPatch)' : 'Object';
  // A list that may be empty shows nothing of its items.
  const open = type === 'JSONPatch' && result.kind === 'list' && result.of.kind === 'dyn';
  if (open || showType(result) === wanted) return [];
  return [invalid(path, expression, `must evaluate to ${wanted} but got ${showType(result)}`)];
}

/** What both kinds of policy have: failure policy, parameters, matching, variables. `scope` is what further expressions may use. */
function validatePolicyFrame(
  spec: JsonObject,
  compiler: CelCompiler,
  operations: readonly string[] = OPERATIONS,
): { readonly errors: FieldError[]; readonly scope: AdmissionScope & { readonly variables: readonly Variable[] } } {
  const errors = oneOf(spec, 'failurePolicy', 'spec', FAILURE_POLICIES, true);
  const paramKind = objectAt(spec, 'paramKind');
  if (paramKind !== undefined) errors.push(...validateParamKind(paramKind, 'spec.paramKind'));
  const constraints = objectAt(spec, 'matchConstraints');
  if (constraints === undefined) errors.push(required('spec.matchConstraints'));
  else {
    errors.push(...validateMatchResources(constraints, 'spec.matchConstraints', operations));
    if (listAt(constraints, 'resourceRules').length === 0) errors.push(required('spec.matchConstraints.resourceRules'));
  }
  const scope = { params: paramKind !== undefined, authorizer: true };
  errors.push(...validateMatchConditions(spec, 'spec', scope, compiler));
  const variables: Variable[] = [];
  for (const [index, variable] of objectsAt(spec, 'variables').entries()) {
    const at = `spec.variables[${index}]`;
    const name = stringAt(variable, 'name');
    const expression = stringAt(variable, 'expression');
    if (name.trim() === '') errors.push(required(`${at}.name`, 'name is not specified'));
    else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) || RESERVED_WORDS.has(name))
      errors.push(invalid(`${at}.name`, name, 'name is not a valid CEL identifier'));
    if (expression.trim() === '') {
      errors.push(required(`${at}.expression`, 'expression is not specified'));
      continue;
    }
    const { type, faults } = compiledAs(compiler, expression, { ...scope, variables }, undefined, `${at}.expression`);
    errors.push(...faults);
    variables.push({ name: `variables.${name}`, type });
  }
  return { errors, scope: { ...scope, variables } };
}

/** The type of an expression, and what is wrong with it. @param kinds What it may come to; absent: anything. */
function compiledAs(
  compiler: CelCompiler,
  expression: string,
  scope: AdmissionScope,
  kinds: readonly CelType['kind'][] | undefined,
  path: string,
  shown = expression,
): { readonly type: CelType; readonly faults: readonly FieldError[] } {
  try {
    const { type } = admissionExpression(compiler, expression, scope);
    if (kinds === undefined || kinds.includes(type.kind)) return { type, faults: [] };
    const wanted = kinds.length === 1 ? kinds[0] : `one of [${kinds.map((kind) => (kind === 'null' ? 'null_type' : kind)).join(' ')}]`;
    return { type, faults: [invalid(path, shown, `must evaluate to ${wanted} but got ${showType(type)}`)] };
  } catch (error) {
    if (!(error instanceof CelCompileError)) throw error;
    return { type: DYN, faults: [invalid(path, shown, `compilation failed: ${error.message}`)] };
  }
}

function validateMatchConditions(holder: JsonObject, path: string, scope: AdmissionScope, given?: CelCompiler): FieldError[] {
  const conditions = objectsAt(holder, 'matchConditions');
  const [first] = conditions;
  if (first === undefined) return [];
  const compiler = given ?? new CelCompiler();
  const at = `${path}.matchConditions`;
  const errors: FieldError[] = [];
  if (conditions.length > MATCH_CONDITIONS_MAX) errors.push(tooMany(at, conditions.length, MATCH_CONDITIONS_MAX));
  const names = new Set<string>();
  for (const [index, condition] of conditions.entries()) {
    const expression = stringAt(condition, 'expression').trim();
    const name = stringAt(condition, 'name');
    if (expression === '') errors.push(required(`${at}[${index}].expression`));
    else errors.push(...compiledAs(compiler, expression, scope, ['bool'], `${at}[${index}].expression`).faults);
    if (name === '') errors.push(required(`${at}[${index}].name`));
    else {
      errors.push(...checked(`${at}[${index}].name`, name, checkQualifiedName));
      if (names.has(name)) errors.push(duplicate(`${at}[${index}].name`, name));
      names.add(name);
    }
  }
  return errors;
}

function validateValidation(validation: JsonObject, path: string, compiler: CelCompiler, scope: AdmissionScope): FieldError[] {
  const errors: FieldError[] = [];
  const expression = stringAt(validation, 'expression');
  if (expression.trim() === '') errors.push(required(`${path}.expression`, 'expression is not specified'));
  else errors.push(...compiledAs(compiler, expression, scope, ['bool'], `${path}.expression`).faults);
  const messageExpression = stringAt(validation, 'messageExpression');
  if (messageExpression !== '' && messageExpression.trim() === '')
    errors.push(invalid(`${path}.messageExpression`, messageExpression, 'must be non-empty if specified'));
  else if (messageExpression !== '') {
    const spoken = { ...scope, authorizer: false };
    errors.push(...compiledAs(compiler, messageExpression, spoken, ['string'], `${path}.messageExpression`).faults);
  }
  const message = stringAt(validation, 'message');
  if (message !== '' && message.trim() === '') errors.push(invalid(`${path}.message`, message, 'message must be non-empty if specified'));
  else if (/[\n\r]/.test(message.trim())) errors.push(invalid(`${path}.message`, message, 'message must not contain line breaks'));
  return [...errors, ...oneOf(validation, 'reason', path, VALIDATION_REASONS)];
}

function validateAuditAnnotation(
  annotation: JsonObject,
  policyName: string,
  path: string,
  compiler: CelCompiler,
  scope: AdmissionScope,
): FieldError[] {
  const key = stringAt(annotation, 'key');
  const errors =
    policyName === ''
      ? [invalid(`${path}.key`, key, 'requires metadata.name be non-empty')]
      : checkQualifiedName(`${policyName}/${key}`).map((fault) => invalid(`${path}.key`, `${policyName}/${key}`, fault));
  const written = stringAt(annotation, 'valueExpression');
  const expression = written.trim();
  const at = `${path}.valueExpression`;
  if (expression === '') return [...errors, required(at, 'valueExpression is not specified')];
  if (Buffer.byteLength(expression) > AUDIT_EXPRESSION_LENGTH_MAX)
    return [...errors, required(at, `must not exceed ${AUDIT_EXPRESSION_LENGTH_MAX} bytes in length`)];
  return [...errors, ...compiledAs(compiler, expression, scope, ['string', 'null'], at, written).faults];
}

function validateParamKind(paramKind: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const apiVersion = stringAt(paramKind, 'apiVersion');
  const parts = apiVersion.split('/');
  if (apiVersion === '') errors.push(required(`${path}.apiVersion`));
  else if (parts.length > 2) errors.push(invalid(`${path}.apiVersion`, apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
  else {
    const [group, version] = parts.length === 1 ? ['', parts[0] ?? ''] : [parts[0] ?? '', parts[1] ?? ''];
    if (group !== '') errors.push(...checked(`${path}.apiVersion`, group, checkDns1123Subdomain));
    if (version === '') errors.push(invalid(`${path}.apiVersion`, apiVersion, 'version must be specified'));
    else errors.push(...checked(`${path}.apiVersion`, version, checkDns1035Label));
  }
  const kind = stringAt(paramKind, 'kind');
  if (kind === '') return [...errors, required(`${path}.kind`)];
  const faults = checkDns1035Label(kind.toLowerCase());
  if (faults.length > 0) errors.push(invalid(`${path}.kind`, kind, `may have mixed case, but should otherwise match: ${faults.join(',')}`));
  return errors;
}

function validateBinding(spec: JsonObject): FieldError[] {
  const errors = requiredText(spec, 'policyName', 'spec', checkDns1123Subdomain);
  const paramRef = objectAt(spec, 'paramRef');
  if (paramRef !== undefined) errors.push(...validateParamRef(paramRef, 'spec.paramRef'));
  const resources = objectAt(spec, 'matchResources');
  // Upstream's own spelling of the path.
  if (resources !== undefined) errors.push(...validateMatchResources(resources, 'spec.matchResouces'));
  return errors;
}

function validateParamRef(reference: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const name = stringAt(reference, 'name');
  const selector = objectAt(reference, 'selector');
  if (name !== '') {
    errors.push(...checked(`${path}.name`, name, checkPathSegment));
    if (selector !== undefined) errors.push(forbidden(`${path}.name`, 'name and selector are mutually exclusive'));
  }
  if (selector !== undefined) {
    errors.push(...validateLabelSelector(selector, `${path}.selector`));
    if (name !== '') errors.push(forbidden(`${path}.selector`, 'name and selector are mutually exclusive'));
  }
  if (name === '' && selector === undefined) errors.push(required(path, 'one of name or selector must be specified'));
  return [...errors, ...oneOf(reference, 'parameterNotFoundAction', path, ['Deny', 'Allow'], true)];
}

function validateMatchResources(resources: JsonObject, path: string, operations: readonly string[] = OPERATIONS): FieldError[] {
  const errors = oneOf(resources, 'matchPolicy', path, MATCH_POLICIES, true);
  for (const selector of ['namespaceSelector', 'objectSelector'])
    if (objectAt(resources, selector) === undefined) errors.push(required(`${path}.${selector}`));
  errors.push(...validateSelectors(resources, path));
  for (const list of ['resourceRules', 'excludeResourceRules']) {
    for (const [index, rule] of objectsAt(resources, list).entries()) {
      const at = `${path}.${list}[${index}]`;
      const names = new Set<string>();
      for (const [position, name] of stringsAt(rule, 'resourceNames').entries()) {
        errors.push(...checked(`${at}.resourceNames[${position}]`, name, checkPathSegment));
        if (names.has(name)) errors.push(duplicate(`${at}.resourceNames[${position}]`, name));
        names.add(name);
      }
      errors.push(...validateRule(rule, at, operations));
    }
  }
  return errors;
}

function validateSelectors(holder: JsonObject, path: string): FieldError[] {
  return ['namespaceSelector', 'objectSelector'].flatMap((field) => {
    const selector = objectAt(holder, field);
    return selector === undefined ? [] : validateLabelSelector(selector, `${path}.${field}`);
  });
}

function validateRule(rule: JsonObject, path: string, allowed: readonly string[] = OPERATIONS): FieldError[] {
  const errors: FieldError[] = [];
  const operations = stringsAt(rule, 'operations');
  if (operations.length === 0) errors.push(required(`${path}.operations`));
  errors.push(...lonelyStar(operations, `${path}.operations`, 'operations'));
  for (const [index, operation] of operations.entries())
    if (!allowed.includes(operation)) errors.push(notSupported(`${path}.operations[${index}]`, operation, allowed));
  const groups = stringsAt(rule, 'apiGroups');
  if (groups.length === 0) errors.push(required(`${path}.apiGroups`));
  errors.push(...lonelyStar(groups, `${path}.apiGroups`, 'API groups'));
  const versions = stringsAt(rule, 'apiVersions');
  if (versions.length === 0) errors.push(required(`${path}.apiVersions`));
  errors.push(...lonelyStar(versions, `${path}.apiVersions`, 'API versions'));
  for (const [index, version] of versions.entries()) if (version === '') errors.push(required(`${path}.apiVersions[${index}]`));
  return [...errors, ...validateResources(stringsAt(rule, 'resources'), `${path}.resources`), ...oneOf(rule, 'scope', path, SCOPES)];
}

function lonelyStar(values: readonly string[], path: string, what: string): FieldError[] {
  return values.length > 1 && values.includes('*') ? [invalid(path, values, `if '*' is present, must not specify other ${what}`)] : [];
}

function validateResources(resources: readonly string[], path: string): FieldError[] {
  if (resources.length === 0) return [required(path)];
  const errors: FieldError[] = [];
  const [wholes, parts] = [new Set<string>(), new Set<string>()];
  for (const [index, entry] of resources.entries()) {
    if (entry === '') {
      errors.push(required(`${path}[${index}]`));
      continue;
    }
    const slash = entry.indexOf('/');
    if (slash < 0) continue;
    const [resource, subresource] = [entry.slice(0, slash), entry.slice(slash + 1)];
    if (wholes.has(resource)) errors.push(invalid(`${path}[${index}]`, entry, `if '${resource}/*' is present, must not specify ${entry}`));
    if (parts.has(subresource))
      errors.push(invalid(`${path}[${index}]`, entry, `if '*/${subresource}' is present, must not specify ${entry}`));
    if (subresource === '*') wholes.add(resource);
    if (resource === '*') parts.add(subresource);
  }
  if (resources.length > 1 && resources.includes('*/*'))
    errors.push(invalid(path, resources, "if '*/*' is present, must not specify other resources"));
  if (resources.includes('*') && resources.some((entry) => entry !== '*' && !entry.includes('/'))) {
    errors.push(invalid(path, resources, "if '*' is present, must not specify other resources without subresources"));
  }
  return errors;
}

function validateSideEffects(webhook: JsonObject, path: string): FieldError[] {
  const allowed = ['None', 'NoneOnDryRun'];
  const value = stringAt(webhook, 'sideEffects');
  if (value === '') return [required(`${path}.sideEffects`, `must specify one of ${allowed.join(', ')}`)];
  return allowed.includes(value) ? [] : [notSupported(`${path}.sideEffects`, value, allowed)];
}
