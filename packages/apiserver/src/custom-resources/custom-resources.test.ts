import { builtinKinds, type JsonObject, KindRegistry } from '@dure/api';
import { systemClock } from '@dure/foundation';
import { openMemoryStore } from '@dure/store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { database, databaseDefinition, plainDefinition } from '../testing/sample-definitions.ts';
import { type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const DATABASES = '/apis/acid.example.org/v1/namespaces/default/databases';

/** The definition once its condition says so; the server promises that within a second. */
async function established(client: TestClient, name: string, type = 'Established', status = 'True'): Promise<JsonObject> {
  const stop = AbortSignal.timeout(1_000);
  for await (const { object } of client.watch(`${CRDS}?watch=1&fieldSelector=metadata.name%3D${name}`, stop)) {
    const conditions = ((object.status as JsonObject | undefined)?.conditions ?? []) as JsonObject[];
    if (conditions.some((one) => one.type === type && one.status === status)) return object as unknown as JsonObject;
  }
  throw new Error(`${name} is not ${type} within a second`);
}

/** Once `what` is true; the server promises nothing slower. */
async function eventually(what: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!(await what())) {
    if (performance.now() > deadline) throw new Error('it did not happen within 5 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('custom resources over HTTPS', () => {
  let server: TestServer;
  let client: TestClient;
  const post = (spec: JsonObject, name: string, query = '') => client.send('POST', `${DATABASES}${query}`, { body: database(name, spec) });
  const patch = (path: string, body: unknown, contentType = 'application/merge-patch+json') =>
    client.send('PATCH', path, { body, contentType });

  beforeAll(async () => {
    server = await startTestServer(new KindRegistry(builtinKinds));
    client = testClient(server);
    const made = await client.send('POST', CRDS, { body: databaseDefinition() });
    expect(made.text).toContain('"storedVersions":["v1"]');
    expect(made.status).toBe(201);
    const { status } = await established(client, 'databases.acid.example.org');
    expect(status).toMatchObject({
      acceptedNames: { plural: 'databases', singular: 'database', kind: 'Database', listKind: 'DatabaseList', shortNames: ['db'] },
      conditions: [
        { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts' },
        { type: 'Established', status: 'True', reason: 'InitialNamesAccepted' },
      ],
    });
  });

  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it('makes an object with what its schema defaults, and prunes what it does not know', async () => {
    const made = await post(
      {
        image: 'pg:16',
        unknown: 1,
        databases: [{ name: 'x', more: true }],
        extra: { known: 'k', any: { thing: 1 } },
        backup: null,
        targetPort: 'http',
      },
      'a',
    );
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      apiVersion: 'acid.example.org/v1',
      kind: 'Database',
      metadata: { generation: 1, managedFields: [{ operation: 'Update' }] },
    });
    expect(made.json.spec).toEqual({
      image: 'pg:16',
      instances: 1,
      minSyncReplicas: 0,
      maxSyncReplicas: 0,
      storage: { size: '1Gi' },
      databases: [{ name: 'x', owner: 'app' }],
      extra: { known: 'k', any: { thing: 1 } },
      backup: null,
      targetPort: 'http',
    });
    expect(String(made.headers.warning)).toContain('unknown field \\"spec.unknown\\"');
    expect(String(made.headers.warning)).toContain('unknown field \\"spec.databases[0].more\\"');
  });

  it('refuses unknown fields where the client is strict, and duplicate keys', async () => {
    const strict = await post({ unknown: 1 }, 'strict', '?fieldValidation=Strict');
    expect([strict.status, strict.json.message]).toEqual([
      400,
      'Database in version "v1" cannot be handled as a Database: strict decoding error: unknown field "spec.unknown"',
    ]);
    const twice = await client.send('POST', `${DATABASES}?fieldValidation=Strict`, {
      body: '{"apiVersion":"acid.example.org/v1","kind":"Database","metadata":{"name":"d"},"spec":{"instances":1,"instances":2}}',
    });
    expect(twice.json.message).toContain('duplicate field "spec.instances"');
  });

  it.each<[string, JsonObject, string[]]>([
    ['a wrong type', { instances: 'two' }, ['spec.instances', '<nil>']],
    ['too many', { instances: 100 }, ['spec.instances']],
    ['a pattern', { image: 'UPPER' }, ['spec.image']],
    ['an unknown key in a list of maps', { databases: [{ owner: 'o' }] }, ['spec.databases[0].name', '<nil>']],
    ['one entry twice', { databases: [{ name: 'a' }, { name: 'a' }] }, ['spec.databases[1]']],
    ['one member of a set twice', { databases: [{ name: 'a', extensions: ['x', 'x'] }] }, ['spec.databases[0].extensions[1]']],
    ['neither integer nor string', { targetPort: true }, ['spec.targetPort', '<nil>']],
    ['an embedded object that does not say what it is', { template: { kind: 'Pod' } }, ['spec.template.apiVersion', '<nil>']],
    ['a rule', { minSyncReplicas: 1 }, ['spec']],
    ['a rule with a field and a reason', { maxSyncReplicas: 1 }, ['spec.maxSyncReplicas']],
    ['a rule that asks a library', { storage: { size: 'much' } }, ['spec.storage.size']],
  ])('refuses %s', async (_name, spec, fields) => {
    const answer = await post(spec, 'bad');
    expect(answer.status).toBe(422);
    expect(answer.json.details).toMatchObject({ group: 'acid.example.org', kind: 'Database', name: 'bad' });
    expect(answer.json.details.causes.map((cause: JsonObject) => cause.field)).toEqual(fields);
  });

  it('answers a body of any depth, and lives on', async () => {
    const nested = `${'{"n":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
    const answer = await client.send('POST', DATABASES, {
      body: `{"apiVersion":"acid.example.org/v1","kind":"Database","metadata":{"name":"deep"},"spec":{"extra":${nested}}}`,
    });
    expect([answer.status, answer.json.reason]).toEqual([400, 'BadRequest']);
    expect((await client.send('GET', DATABASES)).status).toBe(200);
  });

  it('says why a rule failed in the words of the rule', async () => {
    const { json } = await post({ maxSyncReplicas: 1 }, 'bad');
    expect(json.message).toBe(
      'Database.acid.example.org "bad" is invalid: spec.maxSyncReplicas: Forbidden: maxSyncReplicas (1) must be below instances',
    );
  });

  it('counts generations, keeps the status to its own door, and scales', async () => {
    await post({ instances: 3 }, 'b');
    const path = `${DATABASES}/b`;
    expect((await patch(path, { metadata: { labels: { x: 'y' } } })).json.metadata.generation).toBe(1);
    const changed = await patch(path, { spec: { instances: 4 }, status: { phase: 'no' } });
    expect(changed.json).toMatchObject({ metadata: { generation: 2 }, spec: { instances: 4 } });
    expect(changed.json.status).toBeUndefined();
    const reported = await patch(`${path}/status`, { spec: { instances: 9 }, status: { instances: 4, selector: 'app=b', more: 1 } });
    expect(reported.json).toMatchObject({
      metadata: { generation: 2 },
      spec: { instances: 4 },
      status: { instances: 4, selector: 'app=b' },
    });
    expect(reported.json.status.more).toBeUndefined();
    const scale = await client.send('GET', `${path}/scale`);
    expect(scale.json).toMatchObject({ kind: 'Scale', spec: { replicas: 4 }, status: { replicas: 4, selector: 'app=b' } });
    const scaled = await patch(`${path}/scale`, { spec: { replicas: 5 } });
    expect(scaled.json.spec.replicas).toBe(5);
    expect((await client.send('GET', path)).json).toMatchObject({ metadata: { generation: 3 }, spec: { instances: 5 } });
    expect((await patch(`${path}/scale`, { spec: { replicas: 500 } })).status).toBe(422);
  });

  it('takes JSON and merge patches and server-side apply, and no strategic merge', async () => {
    await post({ instances: 1 }, 'c');
    const path = `${DATABASES}/c`;
    const json = await patch(path, [{ op: 'replace', path: '/spec/instances', value: 2 }], 'application/json-patch+json');
    expect(json.json.spec.instances).toBe(2);
    const strategic = await patch(path, { spec: { instances: 3 } }, 'application/strategic-merge-patch+json');
    expect([strategic.status, strategic.json.reason]).toEqual([415, 'UnsupportedMediaType']);

    const apply = (manager: string, spec: JsonObject, force = false) =>
      patch(`${path}?fieldManager=${manager}&force=${force}`, database('c', spec), 'application/apply-patch+yaml');
    const one = await apply('one', { databases: [{ name: 'x', owner: 'one' }] });
    expect(one.json.spec.databases).toEqual([{ name: 'x', owner: 'one' }]);
    const two = await apply('two', { databases: [{ name: 'y' }] });
    expect(two.json.spec.databases).toEqual([
      { name: 'x', owner: 'one' },
      { name: 'y', owner: 'app' },
    ]);
    const conflict = await apply('two', { databases: [{ name: 'x', owner: 'two' }] });
    expect([conflict.status, conflict.json.details.causes[0].field]).toEqual([409, '.spec.databases[name="x"].owner']);
    expect((await apply('two', { databases: [{ name: 'x', owner: 'two' }] }, true)).json.spec.databases).toEqual([
      { name: 'x', owner: 'two' },
    ]);
  });

  it('holds transition rules against changes only', async () => {
    await post({ storage: { storageClass: 'fast' } }, 'd');
    const path = `${DATABASES}/d`;
    expect((await patch(path, { spec: { image: 'pg:17' } })).status).toBe(200);
    const changed = await patch(path, { spec: { storage: { storageClass: 'slow' } } });
    expect([changed.status, changed.json.details.causes[0].message]).toEqual([422, 'Invalid value: "string": storageClass is immutable']);
  });

  it('shows the same object at its other version, with a warning where that is deprecated', async () => {
    await post({ image: 'pg:15' }, 'e');
    const old = await client.send('GET', `${DATABASES.replace('/v1/', '/v1beta1/')}/e`);
    expect(old.json).toMatchObject({ apiVersion: 'acid.example.org/v1beta1', spec: { image: 'pg:15' } });
    expect(String(old.headers.warning)).toContain('use acid.example.org/v1');
    const made = await client.send('POST', DATABASES.replace('/v1/', '/v1beta1/'), {
      body: { ...database('e2', { image: 'pg:14' }), apiVersion: 'acid.example.org/v1beta1' },
    });
    expect([made.status, made.json.apiVersion]).toEqual([201, 'acid.example.org/v1beta1']);
    expect((await client.send('GET', `${DATABASES}/e2`)).json.apiVersion).toBe('acid.example.org/v1');
  });

  it('lists and watches by selectable fields, and prints its columns', async () => {
    await post({ image: 'select:me', instances: 2 }, 'f');
    const selected = await client.send('GET', `${DATABASES}?fieldSelector=spec.image%3Dselect:me`);
    expect(selected.json).toMatchObject({ kind: 'DatabaseList', apiVersion: 'acid.example.org/v1' });
    expect(selected.json.items.map((item: { metadata: JsonObject }) => item.metadata.name)).toEqual(['f']);
    const none = await client.send('GET', `${DATABASES}?fieldSelector=spec.instances%3D2`);
    expect([none.status, none.json.message]).toEqual([400, 'field label not supported: spec.instances']);
    const table = await client.send('GET', `${DATABASES}?fieldSelector=spec.image%3Dselect:me`, {
      headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
    });
    expect(table.json.columnDefinitions.map((column: JsonObject) => [column.name, column.type, column.priority])).toEqual([
      ['Name', 'string', 0],
      ['Instances', 'integer', 0],
      ['Ready', 'string', 0],
      ['Image', 'string', 1],
      ['Age', 'date', 0],
    ]);
    expect(table.json.rows[0].cells.slice(0, 4)).toEqual(['f', 2, null, 'select:me']);
    const stop = AbortSignal.timeout(3_000);
    for await (const event of client.watch(`${DATABASES}?watch=1&fieldSelector=spec.image%3Dselect:me`, stop)) {
      expect([event.type, event.object.metadata.name]).toEqual(['ADDED', 'f']);
      break;
    }
  });

  it('is told of in discovery, in both forms, with what each version has', async () => {
    const list = await client.send('GET', '/apis/acid.example.org/v1');
    expect(list.json.resources).toMatchObject([
      { name: 'databases', singularName: 'database', namespaced: true, kind: 'Database', shortNames: ['db'], categories: ['all'] },
      { name: 'databases/scale', group: 'autoscaling', version: 'v1', kind: 'Scale' },
      { name: 'databases/status', kind: 'Database' },
    ]);
    const all = await client.send('GET', '/apis', {
      headers: { accept: 'application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList' },
    });
    const group = all.json.items.find((item: { metadata: JsonObject }) => item.metadata.name === 'acid.example.org');
    expect(group.versions.map(({ version }: JsonObject) => version)).toEqual(['v1', 'v1beta1']);
  });

  it('is published as it was defined', async () => {
    const given = ((databaseDefinition().spec as JsonObject).versions as JsonObject[])[0] as { schema: { openAPIV3Schema: JsonObject } };
    const { spec, status } = given.schema.openAPIV3Schema.properties as JsonObject;
    const document = await client.send('GET', '/openapi/v3/apis/acid.example.org/v1');
    const published = document.json.components.schemas['org.example.acid.v1.Database'];
    expect(published).toMatchObject({
      description: 'A cluster of database servers.',
      'x-kubernetes-group-version-kind': [{ group: 'acid.example.org', version: 'v1', kind: 'Database' }],
    });
    const { template, ...properties } = published.properties.spec.properties;
    const { template: givenTemplate, ...givenProperties } = (spec as { properties: JsonObject }).properties;
    expect({ ...published.properties.spec, properties }).toEqual({ ...(spec as JsonObject), properties: givenProperties });
    expect(template).toMatchObject({
      ...(givenTemplate as JsonObject),
      required: ['kind', 'apiVersion'],
      properties: {
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        metadata: { allOf: [{ $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' }] },
      },
    });
    expect(published.properties.status).toEqual(status);
    const older = await client.send('GET', '/openapi/v2', { headers: { accept: 'application/json' } });
    expect(older.json.definitions['org.example.acid.v1.Database'].properties.status).toEqual(status);
    expect(older.json.definitions['org.example.acid.v1.Database'].properties.spec.properties.backup).toEqual({});
    expect(older.json.definitions['org.example.acid.v1.Database'].properties.spec.properties.template.properties).toBeUndefined();
  });

  it('serves what changes while it is served: defaults on reading, columns, versions', async () => {
    const definition = databaseDefinition((spec) => {
      Object.assign(spec, { group: 'live.example.org' });
    });
    definition.metadata = { name: 'databases.live.example.org' };
    await client.send('POST', CRDS, { body: definition });
    await established(client, 'databases.live.example.org');
    const path = '/apis/live.example.org/v1/namespaces/default/databases';
    await client.send('POST', path, { body: { ...database('old', {}), apiVersion: 'live.example.org/v1' } });

    const change = (operations: readonly JsonObject[]) =>
      patch(`${CRDS}/databases.live.example.org`, operations, 'application/json-patch+json');
    const schema = '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties';
    expect(
      (await change([{ op: 'add', path: `${schema}/tier`, value: { type: 'string', default: 'small' } }])).json.metadata.generation,
    ).toBe(2);
    await eventually(async () => (await client.send('GET', `${path}/old`)).json.spec.tier === 'small');
    expect((await client.send('GET', path)).json.items[0].spec.tier).toBe('small');
    const touched = await patch(`${path}/old`, { metadata: { labels: { seen: 'yes' } } });
    expect(touched.json.metadata.generation).toBe(1);

    await change([{ op: 'replace', path: '/spec/versions/1/served', value: false }]);
    await eventually(async () => (await client.send('GET', path.replace('/v1/', '/v1beta1/'))).status === 404);
    expect((await client.send('GET', '/openapi/v2', { headers: { accept: 'application/json' } })).text).not.toContain(
      'org.example.live.v1beta1',
    );
    const gone = await change([{ op: 'remove', path: '/spec/versions/0' }]);
    expect(gone.status).toBe(422);
  });

  it('goes with its objects, which go first', async () => {
    await client.send('POST', CRDS, { body: plainDefinition('tigers', 'Tiger') });
    await established(client, 'tigers.plain.example.org');
    const path = '/apis/plain.example.org/v1/tigers';
    const tiger = (name: string, finalizers: readonly string[]) => ({
      apiVersion: 'plain.example.org/v1',
      kind: 'Tiger',
      metadata: { name, finalizers },
      any: { thing: [1] },
    });
    expect((await client.send('POST', path, { body: tiger('free', []) })).json.any).toEqual({ thing: [1] });
    await client.send('POST', path, { body: tiger('held', ['example.org/hold']) });

    const deleted = await client.send('DELETE', `${CRDS}/tigers.plain.example.org`);
    expect(deleted.json.metadata.finalizers).toEqual(['customresourcecleanup.apiextensions.k8s.io']);
    expect(deleted.json.status.conditions).toContainEqual(expect.objectContaining({ type: 'Terminating', status: 'True' }));
    await eventually(async () => (await client.send('GET', `${path}/free`)).status === 404);
    await eventually(async () => (await client.send('POST', path, { body: tiger('late', []) })).status === 405);
    expect((await client.send('GET', `${CRDS}/tigers.plain.example.org`)).status).toBe(200);
    await patch(`${path}/held`, { metadata: { finalizers: null } });
    await eventually(async () => (await client.send('GET', `${CRDS}/tigers.plain.example.org`)).status === 404);
    await eventually(async () => (await client.send('GET', path)).status === 404);
    expect((await client.send('GET', '/apis/plain.example.org/v1')).status).toBe(404);
  });

  it('gives a name to the first who asks, and to the next once it is free', async () => {
    await client.send('POST', CRDS, { body: plainDefinition('cats', 'Cat') });
    await established(client, 'cats.plain.example.org');
    await client.send('POST', CRDS, { body: plainDefinition('kitties', 'Cat') });
    const refused = await established(client, 'kitties.plain.example.org', 'NamesAccepted', 'False');
    expect((refused.status as JsonObject).conditions).toMatchObject([
      { type: 'NamesAccepted', reason: 'ListKindConflict', message: '"CatList" is already in use' },
      { type: 'Established', status: 'False', reason: 'NotAccepted' },
    ]);
    expect((await client.send('GET', '/apis/plain.example.org/v1/kitties')).status).toBe(404);
    await client.send('DELETE', `${CRDS}/cats.plain.example.org`);
    await eventually(async () => (await client.send('GET', '/apis/plain.example.org/v1/kitties')).status === 200);
  });

  it('never lets a definition have the names of a built-in kind', async () => {
    const definition = plainDefinition('ingresses', 'Ingress', 'networking.k8s.io', 'Namespaced');
    definition.metadata = { name: 'ingresses.networking.k8s.io', annotations: { 'api-approved.kubernetes.io': 'unapproved, a test' } };
    expect((await client.send('POST', CRDS, { body: definition })).status).toBe(201);
    await established(client, 'ingresses.networking.k8s.io', 'NamesAccepted', 'False');
    const ingress = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name: 'kept' },
      spec: { defaultBackend: { service: { name: 's', port: { number: 80 } } } },
    };
    const path = '/apis/networking.k8s.io/v1/namespaces/default/ingresses';
    expect((await client.send('POST', path, { body: ingress })).status).toBe(201);
    await client.send('DELETE', `${CRDS}/ingresses.networking.k8s.io`);
    await eventually(async () => (await client.send('GET', `${CRDS}/ingresses.networking.k8s.io`)).status === 404);
    expect((await client.send('GET', `${path}/kept`)).status).toBe(200);
  });

  it('refuses definitions that it could not serve, each fault by its field', async () => {
    const broken = databaseDefinition((spec) => {
      const [version] = spec.versions as JsonObject[];
      const { spec: node } = (version as { schema: { openAPIV3Schema: { properties: { spec: JsonObject } } } }).schema.openAPIV3Schema
        .properties;
      node['x-kubernetes-validations'] = [{ rule: 'self.nope == 1' }];
      spec.conversion = {
        strategy: 'Webhook',
        webhook: { clientConfig: { url: 'http://example.org' }, conversionReviewVersions: ['v1'] },
      };
    });
    const answer = await client.send('POST', CRDS, { body: broken });
    expect(answer.status).toBe(422);
    expect(answer.json.details.causes.map((cause: JsonObject) => cause.field)).toEqual([
      'spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule',
      'spec.conversion.webhook.clientConfig.url',
    ]);
    expect(answer.json.message).toContain("undefined field 'nope'");
  });
});

describe('a server that starts again', () => {
  it('serves every stored kind before it says that it is ready', async () => {
    const store = openMemoryStore({ clock: systemClock });
    const first = await startTestServer(new KindRegistry(builtinKinds), { store });
    const client = testClient(first);
    await client.send('POST', CRDS, { body: databaseDefinition() });
    await established(client, 'databases.acid.example.org');
    await client.send('POST', DATABASES, { body: database('kept', {}) });
    await client[Symbol.asyncDispose]();
    await first[Symbol.asyncDispose]();

    const second = await startTestServer(new KindRegistry(builtinKinds), { store });
    const again = testClient(second);
    await eventually(async () => (await again.send('GET', '/readyz')).status === 200);
    expect((await again.send('GET', `${DATABASES}/kept`)).json.spec.instances).toBe(1);
    await again[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  });
});
