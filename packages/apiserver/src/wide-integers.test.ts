import { builtinKinds, fromJsonText, integerOf, type Json, type JsonObject, KindRegistry, toJsonText } from '@dure/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { admissionChain } from './admission/admission-chain.ts';
import { protobufCodec } from './encoding/protobuf-codec.ts';
import { parseYaml, renderYaml } from './encoding/yaml-text.ts';
import { type Answer, type SendOptions, type TestClient, testClient } from './testing/test-client.ts';
import { startTestServer, type TestServer } from './testing/test-server.ts';
import { patchResponse, startTestWebhook, type TestWebhook } from './testing/test-webhook.ts';

/** Take a failing run's seed back with DURE_SEED. */
const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const MAX = 9223372036854775807n;
const MIN = -9223372036854775808n;
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const GROUP = '/apis/mygroup.example.com/v1beta1';
const NOXUS = `${GROUP}/namespaces/default/noxus`;
const GAUGES = `${GROUP}/namespaces/default/gauges`;
const PODS = '/api/v1/namespaces/default/pods';
const REVISIONS = '/apis/apps/v1/namespaces/default/controllerrevisions';
const FREE = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

let server: TestServer;
let client: TestClient;
let hook: TestWebhook;

/** Two forms of one kind: `free` keeps all, `gauges` says what numbers may be. */
function definition(plural: string, kind: string, schema: unknown, more: JsonObject = {}): JsonObject {
  const version = { served: true, schema: { openAPIV3Schema: schema as Json } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.mygroup.example.com` },
    spec: {
      group: 'mygroup.example.com',
      scope: 'Namespaced',
      names: { plural, kind },
      versions: [
        { ...version, name: 'v1beta1', storage: true, ...more },
        { ...version, name: 'v1', storage: false },
      ],
    },
  };
}

const gauge = {
  type: 'object',
  properties: {
    any: { type: 'integer' },
    defaulted: { type: 'integer', default: MAX },
    bounded: { type: 'integer', minimum: -(2 ** 62), maximum: 2 ** 62 },
    even: { type: 'integer', multipleOf: 2 },
    listed: { type: 'integer', enum: [MAX, 1] },
    narrow: { type: 'integer', format: 'int32' },
    double: { type: 'number' },
    port: { 'x-kubernetes-int-or-string': true },
    set: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'integer' } },
    keyed: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['id'],
      items: { type: 'object', required: ['id'], properties: { id: { type: 'integer' }, n: { type: 'integer' } } },
    },
    ruled: { type: 'integer', 'x-kubernetes-validations': [{ rule: 'self != 9223372036854775806', message: 'one short' }] },
  },
};

beforeAll(async () => {
  hook = await startTestWebhook();
  server = await startTestServer(new KindRegistry(builtinKinds), {
    admission: (_reads, _authorizer, _statuses, configured) => admissionChain(configured),
  });
  client = testClient(server);
  await ok('POST', '/api/v1/namespaces', { metadata: { name: 'default' } });
  for (const made of [
    definition('noxus', 'Noxu', FREE),
    definition('gauges', 'Gauge', gauge, { additionalPrinterColumns: [{ name: 'Any', type: 'integer', jsonPath: '.any' }] }),
  ]) {
    await ok('POST', CRDS, made);
    await established((made.metadata as JsonObject).name as string);
  }
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await hook[Symbol.asyncDispose]();
});

async function ok(method: string, path: string, body?: unknown, options: SendOptions = {}): Promise<Answer> {
  const answer = await client.send(method, path, { ...(body === undefined ? {} : { body }), ...options });
  if (answer.status > 299) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer;
}

async function established(name: string): Promise<void> {
  const stop = new AbortController();
  for await (const { object } of client.watch(`${CRDS}?watch=true&fieldSelector=metadata.name=${name}`, stop.signal)) {
    const { conditions = [] } = (object.status ?? {}) as { conditions?: { type: string; status: string }[] };
    if (conditions.some(({ type, status }) => type === 'Established' && status === 'True')) break;
  }
  stop.abort();
}

const noxu = (name: string, more: object): object => ({
  apiVersion: 'mygroup.example.com/v1beta1',
  kind: 'Noxu',
  metadata: { name },
  ...more,
});
const makeGauge = (name: string, more: object): object => ({ ...noxu(name, more), kind: 'Gauge' });

describe('integers of 64 bits in custom objects', () => {
  it("are kept, as in upstream's example", async () => {
    const body =
      '{"apiVersion":"mygroup.example.com/v1beta1","kind":"Noxu","metadata":{"name":"foo"},"num":{"num1":9223372036854775807,"num2":1000000}}';
    const made = await ok('POST', NOXUS, body);
    expect(made.text).toContain('"num":{"num1":9223372036854775807,"num2":1000000}');
    expect((await ok('GET', `${NOXUS}/foo`)).text).toContain('"num1":9223372036854775807');
    expect((await ok('GET', `${NOXUS}?pretty=true`)).text).toContain('"num1": 9223372036854775807,\n');
    expect((await ok('DELETE', `${NOXUS}/foo`)).status).toBe(200);
  });

  it('are doubles beyond 64 bits', async () => {
    const { json, text } = await ok(
      'POST',
      NOXUS,
      '{"metadata":{"name":"wide"},"a":18446744073709551616,"b":-9223372036854775809,"c":1e19}',
    );
    expect([json.a, json.b, json.c]).toEqual([2 ** 64, -(2 ** 63), 1e19]);
    expect(text).toContain('"a":18446744073709552000,"b":-9223372036854776000,"c":10000000000000000000');
  });

  it(`go through every door unchanged, whatever is around them (DURE_SEED=${seed})`, async () => {
    const next = sequence(seed);
    const stop = new AbortController();
    const events = client.watch(`${NOXUS}?watch=true`, stop.signal)[Symbol.asyncIterator]();
    const inProcess = server.server.transport({ name: 'admin', groups: ['system:masters'] }, 'test');
    /** The next event of the object. */
    const event = async (name: string): Promise<JsonObject> => {
      for (;;) {
        const { value } = await events.next();
        if (value.object.metadata.name === name) return value.object as JsonObject;
      }
    };
    for (let round = 0; round < 25; round += 1) {
      const name = `round-${round}`;
      const path = `${NOXUS}/${name}`;
      const [first, second, third, fourth] = [0, 0, 0, 0].map(() => document(next)) as [Json, Json, Json, Json];
      expect((await ok('POST', NOXUS, noxu(name, { doc: first }))).json.doc).toEqual(first);
      expect((await event(name)).doc).toEqual(first);
      expect((await ok('GET', path)).json.doc).toEqual(first);
      const { items } = (await ok('GET', NOXUS)).json as { items: { metadata: { name: string }; doc: Json }[] };
      expect(items.find(({ metadata }) => metadata.name === name)?.doc).toEqual(first);
      // The other version is made anew, not copied from what is stored.
      expect((await ok('GET', path.replace('v1beta1', 'v1'))).json.doc).toEqual(first);
      const answer = await inProcess.send({ method: 'GET', path, headers: {} });
      expect(((await answer.json()) as JsonObject).doc).toEqual(first);

      const yaml = parseYaml((await ok('GET', path, undefined, { headers: { accept: 'application/yaml' } })).text) as JsonObject;
      expect(yaml.doc).toEqual(first);
      const put = await ok('PUT', path, renderYaml({ ...yaml, doc: second }), { contentType: 'application/yaml' });
      expect(put.json.doc).toEqual(second);
      if (toJsonText(first) !== toJsonText(second)) expect((await event(name)).doc).toEqual(second);
      const same = await ok('PUT', path, put.json);
      expect(same.json.metadata.resourceVersion).toBe(put.json.metadata.resourceVersion);

      const operations = [
        { op: 'test', path: '/doc', value: second },
        { op: 'add', path: '/copied', value: [third] },
        { op: 'copy', from: '/copied/0', path: '/copied/-' },
      ];
      const json = await ok('PATCH', path, operations, { contentType: 'application/json-patch+json' });
      expect([json.json.doc, json.json.copied]).toEqual([second, [third, third]]);
      const merge = await ok('PATCH', path, { doc: [fourth], copied: null }, { contentType: 'application/merge-patch+json' });
      expect([merge.json.doc, merge.json.copied]).toEqual([[fourth], undefined]);
      const applied = await ok('PATCH', `${path}?fieldManager=me&force=true`, renderYaml(noxu(name, { doc: [first], n: MIN })), {
        contentType: 'application/apply-patch+yaml',
      });
      expect([applied.json.doc, applied.json.n]).toEqual([[first], MIN]);
      await ok('DELETE', path);
    }
    stop.abort();
  }, 60_000);

  it('are validated as what they are', async () => {
    const good = {
      any: MIN,
      bounded: 2n ** 62n - 1n,
      even: MAX - 1n,
      listed: MAX,
      double: MAX,
      port: MAX,
      set: [MAX, MAX - 1n],
      ruled: MAX,
    };
    const keyed = [
      { id: MAX, n: 1 },
      { id: MAX - 1n, n: 2 },
    ];
    const made = await ok('POST', GAUGES, makeGauge('good', { ...good, keyed }));
    expect(made.json).toMatchObject({ ...good, keyed, defaulted: MAX });
    const columns = await ok('GET', `${GAUGES}/good`, undefined, { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } });
    expect(columns.json.rows[0].cells).toEqual(['good', MIN]);

    const cases: readonly (readonly [object, string])[] = [
      [{ bounded: MAX }, 'bounded in body should be less than or equal to 4611686018427388000'],
      [{ bounded: MIN }, 'bounded in body should be greater than or equal to -4611686018427388000'],
      [{ even: MAX }, 'Invalid value: 9223372036854775807: even in body should be a multiple of 2'],
      [{ listed: MAX - 1n }, 'Unsupported value: 9223372036854775806: supported values: "9223372036854775807", "1"'],
      [{ narrow: MAX }, 'narrow in body should be of type int32'],
      [{ set: [MAX, 1, MAX] }, 'set[2]: Duplicate value: 9223372036854775807'],
      [{ keyed: [{ id: MAX }, { id: MAX }] }, 'keyed[1]: Duplicate value: {"id":9223372036854775807}'],
      [{ any: 2 ** 64 }, 'any in body must be of type integer: "number"'],
      [{ ruled: MAX - 1n }, 'one short'],
    ];
    for (const [fields, message] of cases) {
      const refused = await client.send('POST', GAUGES, { body: makeGauge('bad', fields) });
      expect([refused.status, refused.json.message]).toEqual([422, expect.stringContaining(message)]);
    }
  });

  it('are keys by which lists are merged', async () => {
    const apply = (manager: string, keyed: object[], set: bigint[]): Promise<Answer> =>
      ok('PATCH', `${GAUGES}/keyed?fieldManager=${manager}`, toJsonText(makeGauge('keyed', { keyed, set })), {
        contentType: 'application/apply-patch+yaml',
      });
    await apply('a', [{ id: MAX, n: 1 }], [MAX]);
    const both = await apply('b', [{ id: MAX - 1n, n: 2 }], [MAX - 1n]);
    expect(both.json.keyed).toEqual([
      { id: MAX, n: 1 },
      { id: MAX - 1n, n: 2 },
    ]);
    const without = await apply('a', [], []);
    expect([without.json.keyed, without.json.set]).toEqual([[{ id: MAX - 1n, n: 2 }], [MAX - 1n]]);
  });

  it('stand in what is published of their schema', async () => {
    expect((await ok('GET', `/openapi/v3${GROUP}`)).text).toContain('"default":9223372036854775807');
  });
});

describe('integers of 64 bits in built-in kinds', () => {
  const tolerating = (seconds: bigint): object => ({
    spec: {
      containers: [{ name: 'a', image: 'i' }],
      tolerations: [{ operator: 'Exists', effect: 'NoExecute', tolerationSeconds: seconds }],
    },
  });

  it('come and go as protobuf, and are patched', async () => {
    const codec = protobufCodec();
    const revision = { apiVersion: 'apps/v1', kind: 'ControllerRevision', metadata: { name: 'one' }, revision: MAX, data: { n: MIN } };
    const body = codec.encode(revision as unknown as JsonObject);
    expect(codec.decode(body)).toMatchObject(revision);
    const made = await ok('POST', REVISIONS, body, { contentType: 'application/vnd.kubernetes.protobuf' });
    expect(made.json).toMatchObject(revision);
    for (const type of ['application/strategic-merge-patch+json', 'application/merge-patch+json']) {
      for (const wanted of [MAX - 2n, MAX - 1n]) {
        const patched = await ok('PATCH', `${REVISIONS}/one`, { revision: wanted }, { contentType: type });
        expect([patched.json.revision, patched.json.data]).toEqual([wanted, { n: MIN }]);
      }
    }
    const pod = await ok('POST', PODS, { metadata: { name: 'p' }, ...tolerating(MIN) });
    expect(pod.text).toContain('"tolerationSeconds":-9223372036854775808');
  });

  it.each<[what: string, spec: object, message: string]>([
    [
      'more than 32 bits',
      { activeDeadlineSeconds: MAX },
      'spec.activeDeadlineSeconds: Invalid value: 9223372036854775807: must be between',
    ],
    ['a negative time', { terminationGracePeriodSeconds: MIN }, 'Invalid value: -9223372036854775808: must be greater than or equal to 0'],
    ['a user', { securityContext: { runAsUser: MAX } }, 'Invalid value: 9223372036854775807: must be between 0 and 2147483647'],
    ['an int32', { priority: MAX }, 'cannot unmarshal number 9223372036854775807 into Go struct field'],
    ['too wide an int64', { activeDeadlineSeconds: 2 ** 64 }, 'cannot unmarshal number 18446744073709552000 into Go struct field'],
  ])('are refused as %s', async (_what, spec, message) => {
    const body = { metadata: { name: 'refused' }, spec: { containers: [{ name: 'a', image: 'i' }], ...spec } };
    const refused = await client.send('POST', PODS, { body });
    expect([refused.status >= 400 && refused.status < 500, refused.json.message]).toEqual([true, expect.stringContaining(message)]);
  });

  it('may be a time to end that no timestamp can tell', async () => {
    const body = {
      metadata: { name: 'patient' },
      spec: { containers: [{ name: 'a', image: 'i' }], nodeName: 'n', terminationGracePeriodSeconds: MAX },
    };
    await ok('POST', PODS, body);
    for (const options of [undefined, { gracePeriodSeconds: MAX }]) {
      const { json } = await ok('DELETE', `${PODS}/patient`, options);
      expect(json.metadata).toMatchObject({ deletionGracePeriodSeconds: 2 ** 31 - 1 });
      expect(json.spec.terminationGracePeriodSeconds).toBe(MAX);
    }
  });
});

describe('integers of 64 bits and webhooks', () => {
  it('stand in admission reviews and in the patches that answer them', async () => {
    hook.on('/mutate', ({ object }) => patchResponse([{ op: 'add', path: '/answer', value: object.n - 1n }]));
    const configurations = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
    const rule = { operations: ['CREATE'], apiGroups: ['mygroup.example.com'], apiVersions: ['*'], resources: ['noxus'] };
    const webhook = {
      name: 'm.example.com',
      clientConfig: hook.at('/mutate'),
      rules: [rule],
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    };
    await ok('POST', configurations, { metadata: { name: 'm' }, webhooks: [webhook] });
    const { json } = await ok('POST', NOXUS, noxu('reviewed', { n: MAX }));
    expect([json.n, json.answer]).toEqual([MAX, MAX - 1n]);
    await ok('DELETE', `${configurations}/m`);
  });

  it('are counted exactly by policies', async () => {
    const policies = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
    const resourceRules = [{ operations: ['CREATE'], apiGroups: ['mygroup.example.com'], apiVersions: ['*'], resources: ['noxus'] }];
    const validations = [{ expression: 'object.n == 9223372036854775807', messageExpression: '"not " + string(object.n)' }];
    await ok('POST', policies, { metadata: { name: 'p' }, spec: { matchConstraints: { resourceRules }, validations } });
    const binding = { metadata: { name: 'p' }, spec: { policyName: 'p', validationActions: ['Deny'] } };
    await ok('POST', `${policies.replace('policies', 'policybindings')}`, binding);
    const refused = await client.send('POST', NOXUS, { body: noxu('short', { n: MAX - 1n }) });
    expect([refused.status, refused.json.message]).toEqual([422, expect.stringContaining('not 9223372036854775806')]);
    await ok('POST', NOXUS, noxu('exact', { n: MAX }));
    await ok('DELETE', `${policies.replace('policies', 'policybindings')}/p`);
    await ok('DELETE', `${policies}/p`);
  });

  it('come out of mutating policies', async () => {
    const admission = '/apis/admissionregistration.k8s.io/v1';
    const resourceRules = [{ operations: ['CREATE'], apiGroups: ['mygroup.example.com'], apiVersions: ['*'], resources: ['noxus'] }];
    const expression =
      '[JSONPatch{op: "test", path: "/n", value: 9223372036854775807}, JSONPatch{op: "add", path: "/less", value: object.n - 2}]';
    const mutations = [{ patchType: 'JSONPatch', jsonPatch: { expression } }];
    const spec = { matchConstraints: { resourceRules }, reinvocationPolicy: 'Never', mutations };
    await ok('POST', `${admission}/mutatingadmissionpolicies`, { metadata: { name: 'less' }, spec });
    await ok('POST', `${admission}/mutatingadmissionpolicybindings`, { metadata: { name: 'less' }, spec: { policyName: 'less' } });
    const { json } = await ok('POST', NOXUS, noxu('lessened', { n: MAX }));
    expect(json.less).toBe(MAX - 2n);
    await ok('DELETE', `${admission}/mutatingadmissionpolicybindings/less`);
    await ok('DELETE', `${admission}/mutatingadmissionpolicies/less`);
  });

  it('stand in conversion reviews both ways', async () => {
    hook.on('/convert', (_request, review) => ({
      result: { status: 'Success' },
      convertedObjects: review.request.objects.map((object: JsonObject) => ({
        ...object,
        apiVersion: review.request.desiredAPIVersion,
        n: (object.n as bigint) + (review.request.desiredAPIVersion.endsWith('/v1') ? -1n : 1n),
      })),
    }));
    const made = definition('turned', 'Turned', FREE);
    const conversion = { strategy: 'Webhook', webhook: { clientConfig: hook.at('/convert'), conversionReviewVersions: ['v1'] } };
    await ok('POST', CRDS, { ...made, spec: { ...(made.spec as JsonObject), conversion } });
    await established('turned.mygroup.example.com');
    const path = `${GROUP}/namespaces/default/turned`;
    await ok('POST', path, { ...noxu('one', { n: MAX }), kind: 'Turned' });
    expect((await ok('GET', `${path}/one`)).json.n).toBe(MAX);
    expect((await ok('GET', `${path.replace('v1beta1', 'v1')}/one`)).json.n).toBe(MAX - 1n);
    const { json } = await ok('PATCH', `${path.replace('v1beta1', 'v1')}/one`, { n: MIN }, { contentType: 'application/merge-patch+json' });
    expect(json.n).toBe(MIN);
    expect((await ok('GET', `${path}/one`)).json.n).toBe(MIN + 1n);
  });
});

/** Integers from 0 up to below what is asked for. */
function sequence(start: number): (below: number) => number {
  let state = start >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A document that holds a wide integer somewhere. */
function document(next: (below: number) => number): Json {
  return { value: anything(next, 4), wide: [wide(next)] };
}

function wide(next: (below: number) => number): number | bigint {
  return [MAX, MIN, 2n ** 53n, integerOf((BigInt(next(2 ** 31)) << 32n) + BigInt(next(2 ** 32)))][next(4)] ?? 0;
}

function anything(next: (below: number) => number, depth: number): Json {
  switch (next(depth > 0 ? 8 : 6)) {
    case 0:
      return wide(next);
    case 1:
      return next(1000) - 500;
    case 2:
      return (next(1000) + 0.5) / 8;
    case 3:
      return ['', '"', '\\', '9223372036854775807', '- 1: ,}]', 'yes', 'a\nb\u2028é', '0x10'][next(8)] ?? '';
    case 4:
      return next(2) === 0;
    case 5:
      return fromJsonText('{}') as Json;
    case 6:
      return Array.from({ length: next(5) }, () => anything(next, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: next(5) }, () => [['a', 'b"', '9', '~/', 'x y', 'constructor'][next(6)] ?? '', anything(next, depth - 1)]),
      );
  }
}
