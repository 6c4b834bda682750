import { builtinKinds, KindRegistry } from '@dure/api';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { databaseDefinition } from '../../testing/sample-definitions.ts';
import { type Answer, type TestClient, testClient } from '../../testing/test-client.ts';
import { startTestServer, type TestServer } from '../../testing/test-server.ts';
import { patchResponse, startTestWebhook } from '../../testing/test-webhook.ts';
import { admissionChain } from '../admission-chain.ts';

type Json = ReturnType<typeof JSON.parse>;

const GROUP = '/apis/admissionregistration.k8s.io/v1';
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
const MAPS = '/api/v1/namespaces/default/configmaps';
let server: TestServer;
let client: TestClient;
const made: string[] = [];

beforeAll(async () => {
  server = await startTestServer(new KindRegistry(builtinKinds), {
    admission: (_reads, _authorizer, _statuses, configured) => admissionChain(configured),
  });
  client = testClient(server);
  await expectOk(client.send('POST', '/api/v1/namespaces', { body: { metadata: { name: 'default', labels: { tier: 'test' } } } }));
});

beforeEach(async () => {
  for (const path of made.splice(0)) await client.send('DELETE', path);
  for (const path of [MAPS, DEPLOYMENTS]) await client.send('DELETE', path);
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

const rule = (resources: string[], apiGroups: string[] = ['apps'], apiVersions: string[] = ['v1']): Json => ({
  operations: ['CREATE', 'UPDATE'],
  apiGroups,
  apiVersions,
  resources,
});
const apply = (expression: string): Json => ({ patchType: 'ApplyConfiguration', applyConfiguration: { expression } });
const patch = (expression: string): Json => ({ patchType: 'JSONPatch', jsonPatch: { expression } });

async function policy(spec: Json, binding: Json = {}, name = `p${made.length}.example.com`): Promise<void> {
  const body = {
    metadata: { name },
    spec: { matchConstraints: { resourceRules: [rule(['deployments'])] }, reinvocationPolicy: 'Never', ...spec },
  };
  await expectOk(client.send('POST', `${GROUP}/mutatingadmissionpolicies`, { body }));
  made.push(`${GROUP}/mutatingadmissionpolicies/${name}`);
  const bound = { metadata: { name: `b-${name}` }, spec: { policyName: name, ...binding } };
  await expectOk(client.send('POST', `${GROUP}/mutatingadmissionpolicybindings`, { body: bound }));
  made.push(`${GROUP}/mutatingadmissionpolicybindings/b-${name}`);
}

const deploy = (name: string, metadata: Json = {}, replicas = 1): Promise<Answer> =>
  client.send('POST', DEPLOYMENTS, {
    body: {
      metadata: { name, ...metadata },
      spec: {
        replicas,
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    },
  });

describe('a mutating policy', () => {
  it('lays an object over what is written', async () => {
    await policy({ mutations: [apply('Object{metadata: Object.metadata{annotations: {"my-foo-annotation": "myAnnotationValue"}}}')] });
    const stored = (await expectOk(deploy('d', { annotations: { own: 'kept' } }))).json;
    expect(stored.metadata.annotations).toEqual({ own: 'kept', 'my-foo-annotation': 'myAnnotationValue' });
  });

  it('merges lists by their keys, and gets defaults for what it adds', async () => {
    const sidecar = `Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
      containers: [Object.spec.template.spec.containers{name: "side", image: object.spec.template.spec.containers[0].image}]}}}}`;
    await policy({ mutations: [apply(sidecar)] });
    const { containers } = (await expectOk(deploy('d'))).json.spec.template.spec;
    expect(containers.map(({ name, image, imagePullPolicy }: Json) => [name, image, imagePullPolicy])).toEqual([
      ['c', 'i', 'Always'],
      ['side', 'i', 'Always'],
    ]);
  });

  it('patches by operations, with keys escaped, and leaves alone what does not pass a test', async () => {
    await policy({
      variables: [{ name: 'key', expression: '"example.com/a.b"' }],
      mutations: [
        patch('has(object.metadata.labels) ? [] : [JSONPatch{op: "add", path: "/metadata/labels", value: {"first": "yes"}}]'),
        patch(
          '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey(variables.key), value: string(object.spec.replicas)}]',
        ),
        patch(
          '[JSONPatch{op: "replace", path: "/spec/replicas", value: 9}, JSONPatch{op: "test", path: "/metadata/name", value: "other"}]',
        ),
      ],
    });
    const stored = (await expectOk(deploy('d', {}, 2))).json;
    expect(stored.metadata.labels).toEqual({ first: 'yes', 'example.com/a.b': '2' });
    expect(stored.spec.replicas).toBe(2);
  });

  it('acts where it matches, with the parameters of its binding', async () => {
    await expectOk(client.send('POST', MAPS, { body: { metadata: { name: 'params' }, data: { value: 'from-params' } } }));
    await policy(
      {
        paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
        matchConditions: [{ name: 'n', expression: "object.metadata.name.startsWith('x') && params != null" }],
        mutations: [
          apply('Object{metadata: Object.metadata{labels: {"p": params.data.value, "t": namespaceObject.metadata.labels.tier}}}'),
        ],
      },
      { paramRef: { name: 'params', parameterNotFoundAction: 'Deny' } },
    );
    expect((await expectOk(deploy('a'))).json.metadata.labels).toBeUndefined();
    expect((await expectOk(deploy('x'))).json.metadata.labels).toEqual({ p: 'from-params', t: 'test' });
  });

  it('changes custom objects, in the version that its rule names', async () => {
    const definition = databaseDefinition() as Json;
    const { group, names, versions } = definition.spec;
    await expectOk(client.send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: definition }));
    const [{ name: version }] = versions;
    const at = `/apis/${group}/${version}/namespaces/default/${names.plural}`;
    await expect.poll(async () => (await client.send('GET', at)).status).toBe(200);
    await policy({
      matchConstraints: { resourceRules: [rule([names.plural], [group], [version])] },
      mutations: [apply('Object{spec: Object.spec{image: "policy"}}')],
    });
    const body = { apiVersion: `${group}/${version}`, kind: names.kind, metadata: { name: 'db' }, spec: { instances: 2 } };
    expect((await expectOk(client.send('POST', at, { body }))).json.spec).toMatchObject({ image: 'policy', instances: 2 });
  });
});

describe('rounds', () => {
  const count = (key: string): Json =>
    patch(
      `[JSONPatch{op: "add", path: "/data", value: {"${key}": has(object.data.${key}) ? object.data.${key} + "I" : "I", "late": has(object.data.late) ? object.data.late : ""}}]`,
    );

  it('come again for policies that want to see what was changed after them', async () => {
    const maps = { resourceRules: [rule(['configmaps'], [''])] };
    const seesLate = patch('has(object.data.late) ? [JSONPatch{op: "add", path: "/data/seen", value: "yes"}] : []');
    await policy({ matchConstraints: maps, reinvocationPolicy: 'IfNeeded', mutations: [seesLate] }, {}, 'a.example.com');
    await policy({ matchConstraints: maps, reinvocationPolicy: 'Never', mutations: [count('once')] }, {}, 'b.example.com');
    const stored = (await expectOk(client.send('POST', MAPS, { body: { metadata: { name: 'm' }, data: { x: 'y' } } }))).json;
    expect(stored.data).toEqual({ once: 'I', late: '', seen: 'yes' });
  });

  it('come again after webhooks too', async () => {
    await using hook = await startTestWebhook();
    hook.on('/late', ({ object }) =>
      object.data?.late === undefined ? patchResponse([{ op: 'add', path: '/data/late', value: 'x' }]) : { allowed: true },
    );
    const webhooks = [
      {
        name: 'late.example.com',
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        rules: [rule(['configmaps'], [''])],
        clientConfig: hook.at('/late'),
      },
    ];
    const at = `${GROUP}/mutatingwebhookconfigurations`;
    await expectOk(client.send('POST', at, { body: { metadata: { name: 'late' }, webhooks } }));
    made.push(`${at}/late`);
    const maps = { resourceRules: [rule(['configmaps'], [''])] };
    const seesLate = patch('has(object.data.late) ? [JSONPatch{op: "add", path: "/data/seen", value: "yes"}] : []');
    await policy({ matchConstraints: maps, reinvocationPolicy: 'IfNeeded', mutations: [seesLate] });
    const stored = (await expectOk(client.send('POST', MAPS, { body: { metadata: { name: 'm' }, data: { x: 'y' } } }))).json;
    expect(stored.data).toEqual({ x: 'y', late: 'x', seen: 'yes' });
  });
});

describe('failures', () => {
  it.each<{ what: string; mutation: Json; words: string }>([
    {
      what: 'atomic lists',
      mutation: apply(
        'Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: "c", args: ["x"]}]}}}}',
      ),
      words:
        'error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.template.spec.containers[0].args',
    },
    {
      what: 'fields that there are not',
      mutation: apply('Object{spec: Object.spec{unheardOf: 1}}'),
      words: 'failed to convert patch object to typed object: .spec.unheardOf: field not declared in schema',
    },
    {
      what: 'types at the wrong place',
      mutation: apply('Object{spec: Object.spec{selector: Object.spec.wrong{}}}'),
      words: 'type mismatch: unexpected type name "Object.spec.wrong", expected "Object.spec.selector"',
    },
    { what: 'expressions', mutation: apply('Object{spec: object.nothing}'), words: 'no such key: nothing' },
    { what: 'patches', mutation: patch('[JSONPatch{op: "remove", path: "/spec/nothing"}]'), words: 'JSONPath: ' },
  ])('of $what refuse the request or not, as the failure policy says', async ({ mutation, words }) => {
    await policy({ mutations: [mutation] }, {}, 'f.example.com');
    const refused = await deploy('d');
    expect(refused.json).toMatchObject({ code: 403, reason: 'Invalid' });
    expect(refused.json.message).toMatch(/^policy 'f\.example\.com' with binding 'b-f\.example\.com' denied request: /);
    expect(refused.json.message).toContain(words);
    const open = { body: { spec: { failurePolicy: 'Ignore' } }, contentType: 'application/merge-patch+json' };
    await expectOk(client.send('PATCH', made[0] ?? '', open));
    await expectOk(deploy('d'));
  });

  it('of what comes out are told by the rules of the kind', async () => {
    await policy({ mutations: [patch('[JSONPatch{op: "replace", path: "/spec/replicas", value: -1}]')] });
    expect((await deploy('d')).json).toMatchObject({ code: 422, reason: 'Invalid' });
  });
});
