import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../definition.ts';
import {
  validateMutatingAdmissionPolicy,
  validateValidatingAdmissionPolicy,
  validateValidatingAdmissionPolicyBinding,
  validateWebhookConfiguration,
} from './admission-validation.ts';

const rule = { operations: ['CREATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'] };
const webhook = {
  name: 'x.example.com',
  admissionReviewVersions: ['v1'],
  sideEffects: 'None',
  failurePolicy: 'Fail',
  clientConfig: { service: { namespace: 'a', name: 'b', path: '/c', port: 443 } },
  rules: [rule],
};
const policy = {
  metadata: { name: 'p.example.com' },
  spec: {
    failurePolicy: 'Fail',
    matchConstraints: { matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {}, resourceRules: [rule] },
    validations: [{ expression: 'object.spec.replicas < 5' }],
  },
};
const shown = (errors: readonly { field: string; message: string }[]): string[] =>
  errors.map(({ field, message }) => `${field}: ${message}`);
const ofWebhook = (change: JsonObject): string[] =>
  shown(validateWebhookConfiguration({ webhooks: [{ ...webhook, ...change }] } as JsonObject));
const ofPolicy = (change: JsonObject): string[] =>
  shown(validateValidatingAdmissionPolicy({ ...policy, spec: { ...policy.spec, ...change } } as JsonObject));
const ofBinding = (spec: JsonObject): string[] => shown(validateValidatingAdmissionPolicyBinding({ spec }));

describe('webhook configurations', () => {
  it('pass where nothing is wrong', () => {
    expect(ofWebhook({})).toEqual([]);
    for (const path of ['', '/', '/a/b/'])
      expect(ofWebhook({ clientConfig: { service: { namespace: 'a', name: 'b', path } } })).toEqual([]);
    expect(ofWebhook({ matchConditions: [{ name: 'a', expression: 'request.userInfo.username != "x"' }] })).toEqual([]);
  });

  it.each<{ what: string; change: JsonObject; fault: string }>([
    {
      what: 'a condition that does not compile',
      change: { matchConditions: [{ name: 'a', expression: '... [] bad expression' }] },
      fault:
        'webhooks[0].matchConditions[0].expression: Invalid value: "... [] bad expression": compilation failed: ERROR: <input>:1:1: Syntax error',
    },
    {
      what: 'a condition that is no question',
      change: { matchConditions: [{ name: 'a', expression: '"text"' }] },
      fault: 'webhooks[0].matchConditions[0].expression: Invalid value: "\\"text\\"": must evaluate to bool but got string',
    },
    {
      what: 'a condition that may be anything',
      change: { matchConditions: [{ name: 'a', expression: 'object.spec.paused' }] },
      fault: 'webhooks[0].matchConditions[0].expression: Invalid value: "object.spec.paused": must evaluate to bool but got dyn',
    },
    {
      what: 'parameters where there are none',
      change: { matchConditions: [{ name: 'a', expression: 'params.x == 1' }] },
      fault: "undeclared reference to 'params'",
    },
    {
      what: 'a condition without a name',
      change: { matchConditions: [{ expression: 'true' }] },
      fault: 'matchConditions[0].name: Required value',
    },
    {
      what: 'side effects',
      change: { sideEffects: 'Some' },
      fault: 'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
    },
    {
      what: 'a timeout out of range',
      change: { timeoutSeconds: 31 },
      fault: 'webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds',
    },
    { what: 'two ways', change: { clientConfig: { url: 'https://a', service: {} } }, fault: 'exactly one of url or service is required' },
    { what: 'a plain URL', change: { clientConfig: { url: 'http://a' } }, fault: "'https' is the only allowed URL scheme; desired format" },
    {
      what: 'stars beside names',
      change: { rules: [{ ...rule, resources: ['*', 'pods'] }] },
      fault: `webhooks[0].rules[0].resources: Invalid value: ["*","pods"]: if '*' is present, must not specify other resources without subresources`,
    },
    {
      what: 'a path without its beginning',
      change: { clientConfig: { service: { namespace: 'a', name: 'b', path: 'c' } } },
      fault: `webhooks[0].clientConfig.service.path: Invalid value: "c": must start with a '/'`,
    },
    { what: 'unknown reviews', change: { admissionReviewVersions: ['v7'] }, fault: 'must include at least one of v1, v1beta1' },
  ])('refuse $what', ({ change, fault }) => {
    expect(ofWebhook(change).join('\n')).toContain(fault);
  });
});

describe('validating policies', () => {
  it('pass where nothing is wrong', () => {
    expect(ofPolicy({})).toEqual([]);
    const variables = [
      { name: 'a', expression: 'object.spec.replicas' },
      { name: 'b', expression: 'variables.a > 3 || authorizer.path("/x").check("get").allowed()' },
    ];
    expect(ofPolicy({ variables, validations: [{ expression: 'variables.b', messageExpression: '"no " + string(variables.a)' }] })).toEqual(
      [],
    );
    expect(ofPolicy({ auditAnnotations: [{ key: 'k', valueExpression: 'object.x == 1 ? "a" : null' }] })).toEqual([]);
  });

  it.each<{ what: string; change: JsonObject; fault: string }>([
    {
      what: 'an expression that does not compile',
      change: { validations: [{ expression: 'object.x in [1, 2' }] },
      fault: 'spec.validations[0].expression: Invalid value: "object.x in [1, 2": compilation failed: ERROR: <input>:1:',
    },
    {
      what: 'an expression that is no question',
      change: { validations: [{ expression: '1 + 2' }] },
      fault: 'spec.validations[0].expression: Invalid value: "1 + 2": must evaluate to bool but got int',
    },
    {
      what: 'a message that is no text',
      change: { validations: [{ expression: 'true', messageExpression: '1' }] },
      fault: 'spec.validations[0].messageExpression: Invalid value: "1": must evaluate to string but got int',
    },
    {
      what: 'a message that asks for rights',
      change: { validations: [{ expression: 'true', messageExpression: 'authorizer.path("/").check("get").reason()' }] },
      fault: "undeclared reference to 'authorizer'",
    },
    {
      what: 'a variable that is read before it is there',
      change: {
        variables: [
          { name: 'a', expression: 'variables.b' },
          { name: 'b', expression: '1' },
        ],
      },
      fault: 'spec.variables[0].expression: Invalid value: "variables.b": compilation failed',
    },
    {
      what: 'a variable with a reserved name',
      change: { variables: [{ name: 'loop', expression: '1' }] },
      fault: 'spec.variables[0].name: Invalid value: "loop": name is not a valid CEL identifier',
    },
    {
      what: 'no rule at all',
      change: { validations: [] },
      fault: 'spec.auditAnnotations: Required value: validations or auditAnnotations',
    },
    { what: 'no resources', change: { matchConstraints: undefined as never }, fault: 'spec.matchConstraints: Required value' },
    {
      what: 'an unknown reason',
      change: { validations: [{ expression: 'true', reason: 'Because' }] },
      fault: 'spec.validations[0].reason: Unsupported value: "Because"',
    },
    {
      what: 'an annotation that is neither text nor null',
      change: { auditAnnotations: [{ key: 'k', valueExpression: '1' }] },
      fault: 'must evaluate to one of [string null_type] but got int',
    },
    { what: 'half a parameter kind', change: { paramKind: { apiVersion: 'v1' } }, fault: 'spec.paramKind.kind: Required value' },
  ])('refuse $what', ({ change, fault }) => {
    expect(ofPolicy(change).join('\n')).toContain(fault);
  });
});

describe('bindings of validating policies', () => {
  it('say what happens, and with which parameters', () => {
    expect(ofBinding({ policyName: 'p', validationActions: ['Deny'] })).toEqual([]);
    expect(ofBinding({ policyName: 'p', validationActions: [] })).toEqual([
      'spec.validationActions: Required value: at least one validation action is required',
    ]);
    expect(ofBinding({ policyName: 'p', validationActions: ['Deny', 'Warn'] }).join()).toContain('must not contain both Deny and Warn');
    expect(ofBinding({ policyName: 'p', validationActions: ['Deny'], paramRef: { name: 'a', selector: {} } })).toEqual([
      'spec.paramRef.name: Forbidden: name and selector are mutually exclusive',
      'spec.paramRef.selector: Forbidden: name and selector are mutually exclusive',
      'spec.paramRef.parameterNotFoundAction: Required value',
    ]);
  });
});

describe('mutating policies', () => {
  const { validations: _none, ...frame } = policy.spec;
  const apply = { patchType: 'ApplyConfiguration', applyConfiguration: { expression: 'Object{spec: Object.spec{replicas: 1}}' } };
  const ofMutating = (change: JsonObject): string[] =>
    shown(
      validateMutatingAdmissionPolicy({
        ...policy,
        spec: { ...frame, reinvocationPolicy: 'Never', mutations: [apply], ...change },
      } as JsonObject),
    );

  it('pass where nothing is wrong', () => {
    expect(ofMutating({})).toEqual([]);
    const jsonPatch = { expression: 'has(object.x) ? [JSONPatch{op: "remove", path: "/x"}] : []' };
    expect(ofMutating({ mutations: [{ patchType: 'JSONPatch', jsonPatch }] })).toEqual([]);
  });

  it.each<{ what: string; change: JsonObject; fault: string }>([
    { what: 'nothing to do', change: { mutations: [] }, fault: 'spec.mutations: Required value: mutations must contain at least one item' },
    { what: 'no word on rounds', change: { reinvocationPolicy: '' }, fault: 'spec.reinvocationPolicy: Required value' },
    {
      what: 'an unknown way',
      change: { mutations: [{ patchType: 'other' }] },
      fault: 'spec.mutations[0].patchType: Unsupported value: "other": supported values: "ApplyConfiguration", "JSONPatch"',
    },
    {
      what: 'the wrong body',
      change: { mutations: [{ patchType: 'JSONPatch', applyConfiguration: { expression: 'Object{}' } }] },
      fault: 'spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch',
    },
    {
      what: 'something that is no object',
      change: { mutations: [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression: 'Object.spec{}' } }] },
      fault: 'must evaluate to Object but got Object.spec',
    },
    {
      what: 'something that is no patch',
      change: { mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: '["a"]' } }] },
      fault: 'must evaluate to list(JSONPatch) but got list(string)',
    },
    {
      what: 'what is deleted',
      change: { matchConstraints: { ...policy.spec.matchConstraints, resourceRules: [{ ...rule, operations: ['DELETE'] }] } },
      fault: 'spec.matchConstraints.resourceRules[0].operations[0]: Unsupported value: "DELETE"',
    },
  ])('refuse $what', ({ change, fault }) => {
    expect(ofMutating(change).join('\n')).toContain(fault);
  });
});
