import { builtinKinds, KindRegistry } from '@dure/api';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Authorizer } from '../../contract/authorizer.ts';
import { plainDefinition } from '../../testing/sample-definitions.ts';
import { type Answer, type TestClient, testClient } from '../../testing/test-client.ts';
import { startTestServer, type TestServer } from '../../testing/test-server.ts';
import { admissionChain } from '../admission-chain.ts';

type Json = ReturnType<typeof JSON.parse>;

const GROUP = '/apis/admissionregistration.k8s.io/v1';
const MAPS = '/api/v1/namespaces/default/configmaps';
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
let server: TestServer;
let client: TestClient;
let notes: Map<string, string>;
const made: string[] = [];
/** Lets everybody do everything but delete Secrets. */
const authorizer: Authorizer = {
  async authorize(query) {
    const refused = query.kind === 'resource' && query.resource === 'secrets' && query.verb === 'delete';
    return refused ? { decision: 'deny', reason: 'not Secrets' } : { decision: 'allow' };
  },
  rulesFor: async () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }),
};

beforeAll(async () => {
  notes = new Map();
  server = await startTestServer(new KindRegistry(builtinKinds), {
    authorizer: () => authorizer,
    admission: (_reads, _authorizer, _statuses, configured) => {
      const chain = admissionChain(configured);
      return {
        mutate: (request, signal) => chain.mutate(request, signal),
        validate: (request, signal) =>
          chain.validate(Object.assign(request, { annotate: (key: string, value: string) => void notes.set(key, value) }), signal),
      };
    },
  });
  client = testClient(server);
  for (const [name, labels] of [
    ['default', { tier: 'test' }],
    ['other', {}],
  ] as const)
    await expectOk(client.send('POST', '/api/v1/namespaces', { body: { metadata: { name, labels } } }));
});

beforeEach(async () => {
  for (const path of made.splice(0)) await client.send('DELETE', path);
  for (const path of [MAPS, DEPLOYMENTS]) await client.send('DELETE', path);
  notes.clear();
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function expectOk(answer: Promise<Answer>): Promise<Answer> {
  const got = await answer;
  if (got.status > 299) throw new Error(`${got.status} ${got.text}`);
  return got;
}

const rule = (resources: string[], apiGroups: string[] = ['']): Json => ({
  operations: ['CREATE', 'UPDATE'],
  apiGroups,
  apiVersions: ['v1'],
  resources,
});

async function policy(spec: Json, binding: Json = {}): Promise<void> {
  const name = `p${made.length}.example.com`;
  const body = { metadata: { name }, spec: { matchConstraints: { resourceRules: [rule(['configmaps'])] }, ...spec } };
  await expectOk(client.send('POST', `${GROUP}/validatingadmissionpolicies`, { body }));
  made.push(`${GROUP}/validatingadmissionpolicies/${name}`);
  const bound = { metadata: { name: `b-${name}` }, spec: { policyName: name, validationActions: ['Deny'], ...binding } };
  await expectOk(client.send('POST', `${GROUP}/validatingadmissionpolicybindings`, { body: bound }));
  made.push(`${GROUP}/validatingadmissionpolicybindings/b-${name}`);
}

const create = (name: string, body: Json = {}, namespace = 'default'): Promise<Answer> =>
  client.send('POST', `/api/v1/namespaces/${namespace}/configmaps`, { body: { ...body, metadata: { name, ...body.metadata } } });
const deployment = (name: string, replicas: number, more: Json = {}): Json => ({
  metadata: { name, ...more },
  spec: {
    replicas,
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  },
});

describe('a validating policy', () => {
  it('refuses what breaks its rules, in upstream words', async () => {
    await policy({
      matchConstraints: { resourceRules: [rule(['deployments'], ['apps'])] },
      validations: [{ expression: 'object.spec.replicas > 1', messageExpression: "'wants more than ' + string(object.spec.replicas)" }],
    });
    const refused = await client.send('POST', DEPLOYMENTS, { body: deployment('d', 1) });
    const message = "ValidatingAdmissionPolicy 'p0.example.com' with binding 'b-p0.example.com' denied request: wants more than 1";
    expect(refused.json).toMatchObject({
      code: 422,
      reason: 'Invalid',
      message: `deployments.apps "d" is forbidden: ${message}`,
      details: { name: 'd', group: 'apps', kind: 'deployments', causes: [{ message }] },
    });
    await expectOk(client.send('POST', DEPLOYMENTS, { body: deployment('d', 2) }));
    await expectOk(create('untouched'));
  });

  it('says what it was told to, or the expression itself, with its own reason', async () => {
    await policy({ validations: [{ expression: 'has(object.data)', message: ' data, please ', reason: 'Forbidden' }] });
    expect((await create('a', { immutable: true, data: undefined })).json).toMatchObject({ code: 403, reason: 'Forbidden' });
    await client.send('DELETE', made.pop() ?? '');
    await policy({ validations: [{ expression: "object.metadata.name != 'b'", messageExpression: 'string(object.metadata.nothing)' }] });
    expect((await create('b', { data: { a: 'b' } })).json.message).toContain(
      "denied request: failed expression: object.metadata.name != 'b'",
    );
  });

  it('computes variables when they are read', async () => {
    await policy({
      variables: [
        { name: 'all', expression: 'object.data.map(key, object.data[key])' },
        { name: 'bad', expression: "variables.all.filter(value, value == 'bad')" },
        { name: 'broken', expression: 'object.nothing.here' },
      ],
      validations: [{ expression: 'size(variables.bad) == 0', messageExpression: "'bad values: ' + variables.bad.join(',')" }],
    });
    await expectOk(create('a', { data: { x: 'good' } }));
    expect((await create('b', { data: { x: 'bad' } })).json.message).toContain('bad values: bad');
  });

  it('sees the Namespace, the request, the old object, and what the user may do', async () => {
    await policy({
      validations: [
        { expression: "namespaceObject.metadata.labels.tier == 'test'", message: 'namespace' },
        { expression: "request.operation == 'CREATE' ? oldObject == null : oldObject.data.v != object.data.v", message: 'old object' },
        { expression: "authorizer.group('').resource('secrets').check('get').allowed()", message: 'secrets' },
        { expression: "!authorizer.group('').resource('secrets').check('delete').allowed()", message: 'deleting secrets' },
        { expression: "authorizer.requestResource.check('create').allowed() && request.userInfo.username == 'admin'", message: 'request' },
      ],
    });
    const stored = (await expectOk(create('a', { data: { v: '1' } }))).json;
    expect((await client.send('PUT', `${MAPS}/a`, { body: stored })).json.message).toContain('old object');
    await expectOk(client.send('PUT', `${MAPS}/a`, { body: { ...stored, data: { v: '2' } } }));
  });

  it('warns and notes instead, where its binding says so', async () => {
    await policy(
      {
        validations: [{ expression: 'false', message: 'never good' }],
        auditAnnotations: [{ key: 'who', valueExpression: 'request.userInfo.username' }],
      },
      { validationActions: ['Warn', 'Audit'] },
    );
    const created = await expectOk(create('a'));
    expect(created.headers.warning).toBe(
      `299 - "Validation failed for ValidatingAdmissionPolicy 'p0.example.com' with binding 'b-p0.example.com': never good"`,
    );
    expect(JSON.parse(notes.get('validation.policy.admission.k8s.io/validation_failure') ?? '')).toEqual([
      {
        message: 'never good',
        policy: 'p0.example.com',
        binding: 'b-p0.example.com',
        expressionIndex: 0,
        validationActions: ['Warn', 'Audit'],
      },
    ]);
    expect(notes.get('p0.example.com/who')).toBe('admin');
  });

  it('says nothing without a binding', async () => {
    await policy({ validations: [{ expression: 'false' }] });
    await client.send('DELETE', made.pop() ?? '');
    await expectOk(create('a'));
  });
});

describe('what a policy is about', () => {
  const validations = [{ expression: 'false', message: 'asked' }];

  it('is said by its constraints and by the binding', async () => {
    await policy(
      {
        matchConstraints: {
          resourceRules: [rule(['configmaps'])],
          excludeResourceRules: [{ ...rule(['configmaps']), resourceNames: ['left-out'] }],
          objectSelector: { matchExpressions: [{ key: 'skip', operator: 'DoesNotExist' }] },
        },
        validations,
      },
      { matchResources: { namespaceSelector: { matchLabels: { tier: 'test' } } } },
    );
    expect((await create('a')).status).toBe(422);
    await expectOk(create('left-out'));
    await expectOk(create('skipped', { metadata: { labels: { skip: 'yes' } } }));
    await expectOk(create('elsewhere', {}, 'other'));
  });

  it('and by match conditions', async () => {
    await policy({ matchConditions: [{ name: 'n', expression: "object.metadata.name.startsWith('x')" }], validations });
    await expectOk(create('a'));
    expect((await create('x')).status).toBe(422);
  });

  it('never is a review', async () => {
    await policy({ matchConstraints: { resourceRules: [{ ...rule(['*'], ['*']), operations: ['*'] }] }, validations });
    const body = { spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } };
    expect((await client.send('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { body })).status).toBe(201);
  });

  it('never is what configures admission', async () => {
    await policy({ matchConstraints: { resourceRules: [{ ...rule(['*'], ['*']), operations: ['*'] }] }, validations });
    expect((await create('a')).status).toBe(422);
    await expectOk(client.send('DELETE', made.pop() ?? ''));
    await expectOk(client.send('DELETE', made.pop() ?? ''));
  });
});

describe('parameters', () => {
  const limited = {
    paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
    matchConstraints: { resourceRules: [rule(['deployments'], ['apps'])] },
    validations: [
      { expression: 'params == null || object.spec.replicas <= int(params.data.max)', messageExpression: "'at most ' + params.data.max" },
    ],
  };
  const scaled = (name: string, replicas: number): Promise<Answer> =>
    client.send('POST', DEPLOYMENTS, { body: deployment(name, replicas) });

  it('are found by name, and change what is allowed at once', async () => {
    const params = (await expectOk(create('limit', { data: { max: '3' } }))).json;
    await policy(limited, { paramRef: { name: 'limit', namespace: 'default', parameterNotFoundAction: 'Deny' } });
    expect((await scaled('a', 4)).json.message).toContain('denied request: at most 3');
    await expectOk(client.send('PUT', `${MAPS}/limit`, { body: { ...params, data: { max: '5' } } }));
    await expectOk(scaled('a', 4));
  });

  it('are found by labels, and each must be content', async () => {
    for (const max of ['3', '5']) await expectOk(create(`limit-${max}`, { metadata: { labels: { limit: 'yes' } }, data: { max } }));
    await policy(limited, { paramRef: { selector: { matchLabels: { limit: 'yes' } }, parameterNotFoundAction: 'Deny' } });
    expect((await scaled('a', 4)).json.message).toContain('at most 3');
    await expectOk(scaled('a', 3));
  });

  it.each<{ action: string; status: number }>([
    { action: 'Deny', status: 422 },
    { action: 'Allow', status: 201 },
  ])('that are not there: $action', async ({ action, status }) => {
    await policy(limited, { paramRef: { name: 'gone', namespace: 'default', parameterNotFoundAction: action } });
    const answer = await scaled('a', 4);
    expect(answer.status).toBe(status);
    if (status !== 201)
      expect(answer.json.message).toContain(
        'failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction',
      );
  });

  it('may be custom objects, and nothing where the kind is not known', async () => {
    await policy(
      {
        ...limited,
        paramKind: { apiVersion: 'plain.example.org/v1', kind: 'Limit' },
        validations: [{ expression: 'object.spec.replicas <= params.spec.max' }],
      },
      { paramRef: { name: 'limit', parameterNotFoundAction: 'Deny' } },
    );
    expect((await scaled('a', 1)).json.message).toContain(
      'paramKind kind `&ParamKind{APIVersion:plain.example.org/v1,Kind:Limit,}` not known',
    );
    const definition = plainDefinition('limits', 'Limit');
    await expectOk(client.send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: definition }));
    await expect.poll(async () => (await client.send('GET', '/apis/plain.example.org/v1/limits')).status).toBe(200);
    await expectOk(
      client.send('POST', '/apis/plain.example.org/v1/limits', {
        body: { apiVersion: 'plain.example.org/v1', kind: 'Limit', metadata: { name: 'limit' }, spec: { max: 2 } },
      }),
    );
    expect((await scaled('a', 3)).status).toBe(422);
    await expectOk(scaled('a', 2));
  });
});

describe('failures', () => {
  it.each<{ policy: 'Fail' | 'Ignore'; status: number }>([
    { policy: 'Fail', status: 422 },
    { policy: 'Ignore', status: 201 },
  ])('of expressions count as the failure policy says: $policy', async ({ policy: failurePolicy, status }) => {
    await policy({ failurePolicy, validations: [{ expression: "object.nothing == 'x'" }] });
    const answer = await create('a');
    expect(answer.status).toBe(status);
    if (status !== 201)
      expect(answer.json.message).toContain("denied request: expression 'object.nothing == 'x'' resulted in error: no such key: nothing");
  });

  it('come of expressions that cost too much', async () => {
    const costly =
      'object.data.all(a, object.data.all(b, object.data.all(c, object.data.all(d, object.data.all(e, a != "no" || b != c || d != e)))))';
    const data = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`k${index}`, 'v']));
    await policy({ validations: [{ expression: costly }] });
    expect((await create('a', { data })).json.message).toMatch(/resulted in error: operation cancelled: actual cost limit exceeded$/);
    await policy({ validations: Array.from({ length: 11 }, (_, index) => ({ expression: `${costly} || ${index} < 0` })) });
    await client.send('DELETE', made[0] ?? '');
    expect((await create('a', { data })).json.message).toMatch(
      /denied request: validation failed due to running out of cost budget, no further validation rules will be run$/,
    );
    await expectOk(create('b', { data: { k: 'v' } }));
  });

  it('of expressions are told on write where they can be', async () => {
    const body = {
      metadata: { name: 'bad' },
      spec: { matchConstraints: { resourceRules: [rule(['pods'])] }, validations: [{ expression: 'object.x +' }] },
    };
    const refused = await client.send('POST', `${GROUP}/validatingadmissionpolicies`, { body });
    expect(refused.json).toMatchObject({ code: 422, reason: 'Invalid' });
    expect(refused.json.message).toContain(
      'spec.validations[0].expression: Invalid value: "object.x +": compilation failed: ERROR: <input>:1:',
    );
  });
});

describe('the status of a policy', () => {
  const status = async (): Promise<Json> => (await client.send('GET', made.find((path) => path.includes('policies/')) ?? '')).json.status;

  it('says which expressions cannot fit the kinds that the policy is about', async () => {
    await policy({
      matchConstraints: { resourceRules: [rule(['deployments', 'replicasets'], ['apps']), rule(['*/*'])] },
      variables: [{ name: 'spec', expression: 'object.spec' }],
      validations: [
        { expression: 'object.spec.replicas > 1 && object.metadata.name != ""' },
        { expression: 'object.replicas > 1', messageExpression: 'string(object.spec.strategy.type)' },
        { expression: "variables.spec.template.spec.containers.all(c, c.image.startsWith('a') && c.ports.size() < 3)" },
        { expression: "object.spec.replicas == 'two'" },
      ],
    });
    await expect.poll(async () => (await status())?.observedGeneration).toBe(1);
    const { expressionWarnings } = (await status()).typeChecking;
    expect(expressionWarnings.map(({ fieldRef }: Json) => fieldRef)).toEqual([
      'spec.validations[1].expression',
      'spec.validations[1].messageExpression',
      'spec.validations[3].expression',
    ]);
    expect(expressionWarnings[0].warning).toContain("apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'");
    expect(expressionWarnings[0].warning).toContain('apps/v1, Kind=ReplicaSet: ERROR');
    expect(expressionWarnings[1].warning).toMatch(/^apps\/v1, Kind=ReplicaSet: ERROR: <input>:1:19: undefined field 'strategy'/);
    expect(expressionWarnings[2].warning).toContain("found no matching overload for '_==_' applied to '(int, string)'");
  });

  it('is empty where they all fit, and follows what is written', async () => {
    await policy({ validations: [{ expression: "object.data.all(key, object.data[key] != '')" }] });
    await expect.poll(status).toMatchObject({ observedGeneration: 1, typeChecking: {} });
    const patch = { body: { spec: { failurePolicy: 'Ignore' } }, contentType: 'application/merge-patch+json' };
    await expectOk(client.send('PATCH', made[0] ?? '', patch));
    await expect.poll(status).toMatchObject({ observedGeneration: 2 });
  });
});
