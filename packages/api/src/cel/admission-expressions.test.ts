import { describe, expect, it } from 'vitest';
import { admissionExpression, namespaceValue, untypedValue } from './admission-expressions.ts';
import { type AuthorizationQuestion, authorizerValue, PendingAnswerError, resourceCheckValue } from './authorizer-functions.ts';
import { Budget } from './budget.ts';
import { CelCompileError, CelEvaluationError } from './cel-error.ts';
import { INT, showType } from './cel-type.ts';
import type { CelValue } from './cel-value.ts';
import { CelCompiler, Deferred } from './expression.ts';

const compiler = new CelCompiler();
const scope = { params: true, authorizer: true };
const BUDGET = 10_000_000;

function run(text: string, input: Record<string, CelValue | Deferred>, variables: readonly { name: string; type: typeof INT }[] = []) {
  return admissionExpression(compiler, text, { ...scope, variables }).evaluate(new Map(Object.entries(input)), new Budget(BUDGET));
}

describe('admission expressions', () => {
  it('see the object, its former state, the request, parameters and the Namespace', () => {
    const input = {
      object: untypedValue({ spec: { replicas: 7 } }),
      oldObject: null,
      request: untypedValue({ operation: 'CREATE', userInfo: { username: 'jane', groups: ['dev'] } }),
      params: untypedValue({ maxReplicas: 5 }),
      namespaceObject: namespaceValue({ metadata: { name: 'a', uid: 'u', creationTimestamp: '2026-01-02T03:04:05Z' } }),
    };
    expect(run('object.spec.replicas <= params.maxReplicas', input)).toBe(false);
    expect(run('oldObject == null && request.userInfo.username == "jane" && "dev" in request.userInfo.groups', input)).toBe(true);
    expect(run('namespaceObject.metadata.UID + string(namespaceObject.metadata.creationTimestamp.getFullYear())', input)).toBe('u2026');
  });

  it('know what a request has, and what they were not given', () => {
    expect(() => admissionExpression(compiler, 'request.verb == "x"', scope)).toThrow(CelCompileError);
    expect(() => admissionExpression(compiler, 'params.x', { params: false, authorizer: false })).toThrow(
      /undeclared reference to 'params'/,
    );
    expect(() => admissionExpression(compiler, 'authorizer.path("/x")', { params: false, authorizer: false })).toThrow(CelCompileError);
  });

  it('make variables when they are read, once, and fail where they are read', () => {
    let made = 0;
    const count = new Deferred(() => {
      made += 1;
      return 3n;
    });
    const broken = new Deferred(() => {
      throw new CelEvaluationError('no such key: x');
    });
    const variables = [
      { name: 'variables.count', type: INT },
      { name: 'variables.broken', type: INT },
    ];
    const input = { 'variables.count': count, 'variables.broken': broken };
    expect(run('variables.count > 1 || variables.broken > 1', input, variables)).toBe(true);
    expect(run('variables.count + variables.count', input, variables)).toBe(6n);
    expect(made).toBe(1);
    expect(() => run('variables.broken > 1', input, variables)).toThrow('no such key: x');
    expect(() => run('variables.other', input, variables)).toThrow(/undeclared reference to 'variables'/);
    expect(showType(admissionExpression(compiler, 'variables.count', { ...scope, variables }).type)).toBe('int');
  });

  it('ask what somebody may do, and wait where the answer is not there', () => {
    const asked: AuthorizationQuestion[] = [];
    let known = false;
    const oracle = {
      answer(question: AuthorizationQuestion) {
        asked.push(question);
        if (!known) throw new PendingAnswerError(Promise.resolve());
        return { allowed: question.verb === 'create', reason: 'because' };
      },
    };
    const input = {
      authorizer: authorizerValue(oracle),
      'authorizer.requestResource': resourceCheckValue(oracle, {
        group: '',
        resource: 'pods',
        subresource: '',
        namespace: 'a',
        name: 'p',
      }),
    };
    const text = 'authorizer.group("apps").resource("deployments").namespace("b").check("create").allowed()';
    // Neither logic nor the other side may swallow what is only late.
    expect(() => run(`${text} || true`, input)).toThrow(PendingAnswerError);
    known = true;
    expect(run(text, input)).toBe(true);
    expect(asked.at(-1)).toMatchObject({ verb: 'create', group: 'apps', resource: 'deployments', namespace: 'b', name: '' });
    expect(run('authorizer.requestResource.check("delete").allowed()', input)).toBe(false);
    expect(asked.at(-1)).toMatchObject({ verb: 'delete', resource: 'pods', namespace: 'a', name: 'p' });
    expect(run('authorizer.serviceAccount("ns", "sa").path("/healthz").check("GET").reason()', input)).toBe('because');
    expect(asked.at(-1)).toMatchObject({ verb: 'get', path: '/healthz', serviceAccount: { namespace: 'ns', name: 'sa' } });
    expect(() => run(`[1, 2, 3].all(x, ${text})`, input)).toThrow('cost limit');
  });
});
