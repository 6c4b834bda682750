import { builtinKinds, KindRegistry } from '@dure/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestClient, testClient } from './testing/test-client.ts';
import { startTestServer, type TestServer } from './testing/test-server.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
let server: TestServer;
let client: TestClient;

beforeAll(async () => {
  server = await startTestServer(new KindRegistry(builtinKinds), {
    services: { cidrs: ['10.43.0.0/16'], nodePorts: { from: 30_000, to: 32_767 } },
  });
  client = testClient(server);
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

function configMap(name: string, data: Record<string, string> = { a: '1' }): Record<string, unknown> {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
}

describe('writing objects over HTTPS', () => {
  it('creates, gets, updates and deletes, with a resourceVersion that moves only on change', async () => {
    const created = await client.send('POST', CONFIG_MAPS, { body: configMap('life') });
    expect(created.status).toBe(201);
    expect(created.json).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'life', namespace: 'default' }, data: { a: '1' } });
    const { uid, resourceVersion } = created.json.metadata;
    expect(uid).toMatch(/^[0-9a-f-]{36}$/);

    const same = await client.send('PUT', `${CONFIG_MAPS}/life`, { body: created.json });
    expect(same.json.metadata.resourceVersion).toBe(resourceVersion);
    const changed = await client.send('PUT', `${CONFIG_MAPS}/life`, { body: { ...created.json, data: { a: '2' } } });
    expect(Number(changed.json.metadata.resourceVersion)).toBeGreaterThan(Number(resourceVersion));
    expect((await client.send('GET', `${CONFIG_MAPS}/life`)).json).toEqual(changed.json);

    const deleted = await client.send('DELETE', `${CONFIG_MAPS}/life`);
    expect(deleted.json).toMatchObject({ kind: 'Status', status: 'Success', details: { name: 'life', kind: 'configmaps', uid } });
    expect((await client.send('GET', `${CONFIG_MAPS}/life`)).json).toMatchObject({
      code: 404,
      reason: 'NotFound',
      message: 'configmaps "life" not found',
    });
  });

  it('refuses an update from an old resourceVersion with Conflict and leaves the object as it is', async () => {
    const { json } = await client.send('POST', CONFIG_MAPS, { body: configMap('stale') });
    const now = await client.send('PUT', `${CONFIG_MAPS}/stale`, { body: { ...json, data: { a: '2' } } });
    const late = await client.send('PUT', `${CONFIG_MAPS}/stale`, { body: { ...json, data: { a: '3' } } });
    expect(late.json).toMatchObject({ code: 409, reason: 'Conflict' });
    expect((await client.send('GET', `${CONFIG_MAPS}/stale`)).json).toEqual(now.json);
  });

  it('says AlreadyExists for a taken name and draws a free one for generateName', async () => {
    await client.send('POST', CONFIG_MAPS, { body: configMap('taken') });
    expect((await client.send('POST', CONFIG_MAPS, { body: configMap('taken') })).json).toMatchObject({
      code: 409,
      reason: 'AlreadyExists',
    });
    const drawn = await client.send('POST', CONFIG_MAPS, { body: { metadata: { generateName: 'drawn-' } } });
    expect(drawn.json.metadata.name).toMatch(/^drawn-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });

  it('stores nothing on a dry run', async () => {
    const dry = await client.send('POST', `${CONFIG_MAPS}?dryRun=All`, { body: configMap('dry') });
    expect(dry.status).toBe(201);
    expect((await client.send('GET', `${CONFIG_MAPS}/dry`)).status).toBe(404);
  });

  it.each([
    ['json patch', 'application/json-patch+json', [{ op: 'replace', path: '/data/a', value: '9' }]],
    ['merge patch', 'application/merge-patch+json', { data: { a: '9' } }],
    ['strategic merge patch', 'application/strategic-merge-patch+json', { data: { a: '9' } }],
  ])('applies a %s', async (kind, contentType, body) => {
    const name = kind.replaceAll(' ', '-');
    await client.send('POST', CONFIG_MAPS, { body: configMap(name, { a: '1', b: '2' }) });
    const answer = await client.send('PATCH', `${CONFIG_MAPS}/${name}`, { body, contentType });
    expect(answer.json.data).toEqual({ a: '9', b: '2' });
  });

  it('keeps an object with finalizers until the last one has gone', async () => {
    const body = { ...configMap('held'), metadata: { name: 'held', finalizers: ['example.com/hold'] } };
    await client.send('POST', CONFIG_MAPS, { body });
    expect((await client.send('DELETE', `${CONFIG_MAPS}/held`)).json.metadata.deletionTimestamp).toBeDefined();
    expect((await client.send('GET', `${CONFIG_MAPS}/held`)).status).toBe(200);
    await client.send('PATCH', `${CONFIG_MAPS}/held`, {
      body: { metadata: { finalizers: null } },
      contentType: 'application/merge-patch+json',
    });
    expect((await client.send('GET', `${CONFIG_MAPS}/held`)).status).toBe(404);
  });

  it('refuses a delete whose preconditions do not hold', async () => {
    await client.send('POST', CONFIG_MAPS, { body: configMap('guarded') });
    const answer = await client.send('DELETE', `${CONFIG_MAPS}/guarded`, { body: { preconditions: { uid: 'other' } } });
    expect(answer.json).toMatchObject({ code: 409, reason: 'Conflict' });
    expect((await client.send('GET', `${CONFIG_MAPS}/guarded`)).status).toBe(200);
  });

  it('takes turns between many writers of one object without losing one', async () => {
    await client.send('POST', CONFIG_MAPS, { body: configMap('busy', {}) });
    const patches = Array.from({ length: 20 }, (_none, index) =>
      client.send('PATCH', `${CONFIG_MAPS}/busy`, { body: { data: { [`k${index}`]: 'v' } }, contentType: 'application/merge-patch+json' }),
    );
    expect((await Promise.all(patches)).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(Object.keys((await client.send('GET', `${CONFIG_MAPS}/busy`)).json.data)).toHaveLength(20);
  });
});

describe('bad input', () => {
  it.each([
    ['malformed JSON', 'POST', CONFIG_MAPS, '{"kind":', 'application/json', 400, 'BadRequest'],
    ['no object', 'POST', CONFIG_MAPS, '[]', 'application/json', 400, 'BadRequest'],
    [
      'another kind',
      'POST',
      CONFIG_MAPS,
      '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}',
      'application/json',
      400,
      'BadRequest',
    ],
    ['another namespace', 'POST', CONFIG_MAPS, '{"metadata":{"name":"a","namespace":"other"}}', 'application/json', 400, 'BadRequest'],
    ['another name than the path', 'PUT', `${CONFIG_MAPS}/one`, '{"metadata":{"name":"two"}}', 'application/json', 400, 'BadRequest'],
    ['a name that is none', 'POST', CONFIG_MAPS, '{"metadata":{"name":"A_b"}}', 'application/json', 422, 'Invalid'],
    ['no name', 'POST', CONFIG_MAPS, '{"metadata":{}}', 'application/json', 422, 'Invalid'],
    ['an unknown format', 'POST', CONFIG_MAPS, '<a/>', 'text/xml', 415, 'UnsupportedMediaType'],
    ['broken protobuf', 'POST', CONFIG_MAPS, 'k8s\u0000\u00ff', 'application/vnd.kubernetes.protobuf', 400, 'BadRequest'],
    [
      'a resourceVersion on create',
      'POST',
      CONFIG_MAPS,
      '{"metadata":{"name":"a","resourceVersion":"5"}}',
      'application/json',
      400,
      'BadRequest',
    ],
    ['an unknown resource', 'POST', '/api/v1/namespaces/default/nothings', '{}', 'application/json', 404, 'NotFound'],
    ['nesting without end', 'POST', CONFIG_MAPS, '['.repeat(50_000), 'application/json', 400, 'BadRequest'],
    ['a wrong type', 'POST', CONFIG_MAPS, '{"metadata":{"name":"a"},"data":{"x":1}}', 'application/json', 400, 'BadRequest'],
    ['too much', 'POST', CONFIG_MAPS, `{"data":{"a":"${'x'.repeat(4 * 1024 * 1024)}"}}`, 'application/json', 413, 'RequestEntityTooLarge'],
    [
      'a patch of a path that is absent',
      'PATCH',
      `${CONFIG_MAPS}/bad`,
      '[{"op":"remove","path":"/data/none"}]',
      'application/json-patch+json',
      422,
      'Invalid',
    ],
    [
      'a patch that doubles itself',
      'PATCH',
      `${CONFIG_MAPS}/bad`,
      doublingPatch(),
      'application/json-patch+json',
      413,
      'RequestEntityTooLarge',
    ],
  ])('answers %s with the right Status', async (_name, method, path, body, contentType, code, reason) => {
    await client.send('POST', CONFIG_MAPS, { body: configMap('bad') });
    const before = (await client.send('GET', '/api/v1/configmaps')).json.items.length;
    const answer = await client.send(method, path, { body, contentType });
    expect(answer.json).toMatchObject({ kind: 'Status', status: 'Failure', code, reason });
    expect((await client.send('GET', '/api/v1/configmaps')).json.items.length).toBe(before);
  });

  it.each([
    '/api/v1/%zz',
    '/api/v1/namespaces/a%2fb/pods',
    '/api//v1',
    '/apis/a/b/c/d/e/f/g/h',
    '/api/v1/namespaces/default/configmaps/a/b/c',
    '/\u00e4',
    '/..%2f..',
    '/api/v1/configmaps?limit=x',
    '/api/v1/configmaps?resourceVersion=-1',
    '/api/v1/configmaps?continue=abc',
    '/api/v1/configmaps?labelSelector=%21%21',
    '/api/v1/pods?fieldSelector=spec.nothing=1',
  ])('answers the odd path %s with a Status of 4xx', async (path) => {
    const answer = await client.send('GET', path);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(answer.json).toMatchObject({ kind: 'Status', status: 'Failure' });
  });

  it('warns of unknown and repeated fields, and refuses them when asked to be strict', async () => {
    const body = '{"metadata":{"name":"fields"},"nonsense":1,"data":{"a":"1","a":"2"}}';
    const warned = await client.send('POST', `${CONFIG_MAPS}?dryRun=All`, { body });
    expect([warned.headers.warning].flat().join('\n')).toContain('unknown field \\"nonsense\\"');
    expect([warned.headers.warning].flat().join('\n')).toContain('duplicate field \\"data.a\\"');
    const strict = await client.send('POST', `${CONFIG_MAPS}?dryRun=All&fieldValidation=Strict`, { body });
    expect(strict.json).toMatchObject({ code: 400, reason: 'BadRequest' });
    expect(strict.json.message).toContain('strict decoding error: unknown field "nonsense", duplicate field "data.a"');
    expect((await client.send('POST', `${CONFIG_MAPS}?dryRun=All&fieldValidation=Ignore`, { body })).headers.warning).toBeUndefined();
  });
});

function doublingPatch(): string {
  const operations = [{ op: 'add', path: '/data/x', value: 'x'.repeat(1000) }];
  for (let step = 0; step < 30; step += 1) operations.push({ op: 'copy', from: '/data', path: `/data/c${step}` } as never);
  return JSON.stringify(operations);
}

describe('reading', () => {
  it('answers anonymous requests with Forbidden', async () => {
    const answer = await client.send('GET', CONFIG_MAPS, { anonymous: true });
    expect(answer.json).toMatchObject({ code: 403, reason: 'Forbidden', details: { kind: 'configmaps' } });
    expect(answer.json.message).toContain(
      'User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "default"',
    );
  });

  it('goes through pages that all show one revision', async () => {
    const path = '/api/v1/namespaces/paged/secrets';
    for (let index = 0; index < 7; index += 1) await client.send('POST', path, { body: { metadata: { name: `s${index}` } } });
    const first = await client.send('GET', `${path}?limit=3`);
    expect(first.json.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(['s0', 's1', 's2']);
    expect(first.json.metadata.remainingItemCount).toBe(4);
    await client.send('DELETE', `${path}/s4`);
    await client.send('POST', path, { body: { metadata: { name: 's9' } } });
    const second = await client.send('GET', `${path}?limit=10&continue=${first.json.metadata.continue}`);
    expect(second.json.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(['s3', 's4', 's5', 's6']);
    expect(second.json.metadata.resourceVersion).toBe(first.json.metadata.resourceVersion);
  });

  it('says Expired, with a token to go on inconsistently, when the pages have been compacted away', async () => {
    const path = '/api/v1/namespaces/compacted/secrets';
    for (let index = 0; index < 4; index += 1) await client.send('POST', path, { body: { metadata: { name: `s${index}` } } });
    const first = await client.send('GET', `${path}?limit=2`);
    await client.send('POST', path, { body: { metadata: { name: 's8' } } });
    await server.store.compact(await server.store.revision());
    const gone = await client.send('GET', `${path}?limit=2&continue=${first.json.metadata.continue}`);
    expect(gone.json).toMatchObject({ code: 410, reason: 'Expired' });
    const rest = await client.send('GET', `${path}?continue=${gone.json.metadata.continue}`);
    expect(rest.json.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(['s2', 's3', 's8']);
  });

  it('waits in vain for a resourceVersion of the future, and says so with Timeout', async () => {
    const answer = await client.send('GET', `${CONFIG_MAPS}?resourceVersion=99999999`);
    expect(answer.json).toMatchObject({ code: 504, reason: 'Timeout', details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } });
    expect(answer.headers['retry-after']).toBe('1');
  });

  it('selects by labels and fields', async () => {
    const path = '/api/v1/namespaces/selected/configmaps';
    await client.send('POST', path, { body: { metadata: { name: 'a', labels: { app: 'x' } } } });
    await client.send('POST', path, { body: { metadata: { name: 'b', labels: { app: 'y' } } } });
    const names = async (query: string): Promise<string[]> =>
      (await client.send('GET', `${path}?${query}`)).json.items.map((item: { metadata: { name: string } }) => item.metadata.name);
    expect(await names('labelSelector=app%3Dx')).toEqual(['a']);
    expect(await names('labelSelector=app+in+(x,y)')).toEqual(['a', 'b']);
    expect(await names('fieldSelector=metadata.name%3Db')).toEqual(['b']);
    expect(await names('fieldSelector=metadata.name!%3Db')).toEqual(['a']);
  });

  it('shows tables and metadata alone when asked', async () => {
    const accept = 'application/json;as=Table;g=meta.k8s.io;v=v1,application/json';
    const table = await client.send('GET', '/api/v1/namespaces/selected/configmaps', { headers: { accept } });
    expect(table.json).toMatchObject({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' });
    expect(table.json.columnDefinitions[0]).toMatchObject({ name: 'Name', format: 'name' });
    expect(table.json.rows[0].object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'a' } });
    const partial = await client.send('GET', '/api/v1/namespaces/selected/configmaps', {
      headers: { accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' },
    });
    expect(partial.json).toMatchObject({ kind: 'PartialObjectMetadataList' });
    expect(partial.json.items[0].data).toBeUndefined();
  });

  it('answers in YAML and protobuf, and refuses what it cannot write', async () => {
    const path = '/api/v1/namespaces/selected/configmaps/a';
    expect((await client.send('GET', path, { headers: { accept: 'application/yaml' } })).text).toContain('kind: ConfigMap\n');
    const binary = await client.send('GET', path, { headers: { accept: 'application/vnd.kubernetes.protobuf' } });
    expect(binary.text.startsWith('k8s\0')).toBe(true);
    expect((await client.send('GET', path, { headers: { accept: 'text/html' } })).json).toMatchObject({
      code: 406,
      reason: 'NotAcceptable',
    });
  });
});

describe('watching', () => {
  it('translates changes into what a selector sees', async () => {
    const path = '/api/v1/namespaces/watched/configmaps';
    const stop = new AbortController();
    const seen: string[] = [];
    const { json: list } = await client.send('GET', path);
    const watching = (async () => {
      for await (const { type, object } of client.watch(
        `${path}?watch=1&resourceVersion=${list.metadata.resourceVersion}&labelSelector=on%3Dyes`,
        stop.signal,
      )) {
        seen.push(`${type} ${object.metadata.name}`);
        if (type === 'DELETED' && object.metadata.name === 'b') stop.abort();
      }
    })();
    const patch = (name: string, on: string | null) =>
      client.send('PATCH', `${path}/${name}`, { body: { metadata: { labels: { on } } }, contentType: 'application/merge-patch+json' });
    await client.send('POST', path, { body: { metadata: { name: 'a' } } });
    await patch('a', 'yes');
    await client.send('PATCH', `${path}/a`, { body: { data: { x: '1' } }, contentType: 'application/merge-patch+json' });
    await patch('a', null);
    await client.send('POST', path, { body: { metadata: { name: 'b', labels: { on: 'yes' } } } });
    await client.send('DELETE', `${path}/b`);
    await watching;
    expect(seen).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED b', 'DELETED b']);
  });

  it('begins with the present state and marks its end when initial events are asked for', async () => {
    const path = '/api/v1/namespaces/initial/configmaps';
    for (const name of ['a', 'b']) await client.send('POST', path, { body: { metadata: { name } } });
    const stop = new AbortController();
    const seen: unknown[] = [];
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    for await (const { type, object } of client.watch(`${path}?${query}`, stop.signal)) {
      seen.push([type, object.metadata.name ?? object.metadata.annotations]);
      if (type === 'BOOKMARK') stop.abort();
    }
    expect(seen).toEqual([
      ['ADDED', 'a'],
      ['ADDED', 'b'],
      ['BOOKMARK', { 'k8s.io/initial-events-end': 'true' }],
    ]);
  });

  it('ends after timeoutSeconds with a bookmark', async () => {
    const seen: string[] = [];
    for await (const { type } of client.watch(
      `${CONFIG_MAPS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion=0&fieldSelector=metadata.name%3Dnobody`,
      new AbortController().signal,
    )) {
      seen.push(type);
    }
    expect(seen).toEqual(['BOOKMARK']);
  });

  it('says Expired for a resourceVersion that has left the window and the store', async () => {
    await using small = await startTestServer(new KindRegistry(builtinKinds), { windowEvents: 4 });
    await using own = testClient(small);
    await own.send('GET', CONFIG_MAPS);
    for (let index = 0; index < 20; index += 1) await own.send('POST', CONFIG_MAPS, { body: configMap(`w${index}`) });
    await small.store.compact(await small.store.revision());
    const answer = await own.send('GET', `${CONFIG_MAPS}?watch=1&resourceVersion=2`);
    expect(answer.json).toMatchObject({ code: 410, reason: 'Expired' });
    expect(answer.json.message).toMatch(/^too old resource version: 2 \(\d+\)$/);
  });

  it('goes on at a server that began later on the same store, with what happened before that', async () => {
    await using first = await startTestServer(new KindRegistry(builtinKinds));
    await using before = testClient(first);
    const path = '/api/v1/namespaces/later/configmaps';
    const { json: seen } = await before.send('POST', path, { body: configMap('seen') });
    await before.send('POST', path, { body: configMap('passing') });
    await before.send('DELETE', `${path}/passing`);
    await using second = await startTestServer(new KindRegistry(builtinKinds), { store: first.store });
    await using after = testClient(second);
    await after.send('POST', path, { body: configMap('new') });
    const stop = new AbortController();
    const events: string[] = [];
    for await (const { type, object } of after.watch(`${path}?watch=1&resourceVersion=${seen.metadata.resourceVersion}`, stop.signal)) {
      events.push(`${type} ${object.metadata.name}`);
      if (object.metadata.name === 'new') stop.abort();
    }
    expect(events).toEqual(['ADDED passing', 'DELETED passing', 'ADDED new']);
  });
});

describe('what the server says of itself', () => {
  it.each(['/healthz', '/livez', '/readyz', '/readyz/etcd'])('%s is ok', async (path) => {
    expect(await client.send('GET', path)).toMatchObject({ status: 200, text: 'ok' });
  });

  it('lists its checks and speaks for release 1.36', async () => {
    expect((await client.send('GET', '/readyz?verbose')).text).toContain('[+]etcd ok\n');
    expect((await client.send('GET', '/version')).json).toMatchObject({ major: '1', minor: '36' });
    expect((await client.send('GET', '/metrics')).text).toMatch(
      /apiserver_request_total\{verb="LIST",group="",version="v1",resource="configmaps"[^}]*code="200"\} \d+/,
    );
  });

  it('serves discovery in all its forms', async () => {
    expect((await client.send('GET', '/api')).json.versions).toEqual(['v1']);
    expect((await client.send('GET', '/apis')).json.groups.map(({ name }: { name: string }) => name)).toContain('apps');
    expect(
      (await client.send('GET', '/apis/apps/v1')).json.resources.find(({ name }: { name: string }) => name === 'deployments/scale'),
    ).toMatchObject({ kind: 'Scale', group: 'autoscaling' });
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const all = await client.send('GET', '/apis', { headers: { accept } });
    expect(all.headers['content-type']).toBe(accept);
    expect(all.json).toMatchObject({ kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2' });
    expect((await client.send('GET', '/apis', { headers: { accept, 'if-none-match': String(all.headers.etag) } })).status).toBe(304);
  });

  it('serves OpenAPI documents whose references all resolve', async () => {
    const { json: index } = await client.send('GET', '/openapi/v3');
    const { json: apps } = await client.send('GET', index.paths['apis/apps/v1'].serverRelativeURL);
    expect(apps.components.schemas['io.k8s.api.apps.v1.Deployment']['x-kubernetes-group-version-kind']).toEqual([
      { group: 'apps', kind: 'Deployment', version: 'v1' },
    ]);
    const { json: swagger } = await client.send('GET', '/openapi/v2');
    for (const [document, prefix, schemas] of [
      [apps, '#/components/schemas/', apps.components.schemas],
      [swagger, '#/definitions/', swagger.definitions],
    ]) {
      const references = new Set([...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target));
      expect([...references].filter((target) => target === undefined || schemas[target.replace(prefix, '')] === undefined)).toEqual([]);
    }
    const binary = await client.send('GET', '/openapi/v2', {
      headers: { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' },
    });
    expect(binary.headers['content-type']).toContain('protobuf');
    expect(binary.text.length).toBeGreaterThan(100_000);
    const newer = await client.send('GET', index.paths['apis/apps/v1'].serverRelativeURL, {
      headers: { accept: 'application/com.github.proto-openapi.spec.v3@v1.0+protobuf' },
    });
    expect([newer.status, newer.headers['content-type']]).toEqual([200, 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf']);
  });
});

describe('Services', () => {
  const path = '/api/v1/namespaces/net/services';
  const service = (name: string, spec: Record<string, unknown>): Record<string, unknown> => ({
    metadata: { name },
    spec: { ports: [{ port: 80 }], ...spec },
  });

  it('get a cluster IP of their own, keep it over updates, and give it back', async () => {
    const { json } = await client.send('POST', path, { body: service('plain', {}) });
    expect(json.spec.clusterIP).toMatch(/^10\.43\./);
    expect(json.spec).toMatchObject({
      clusterIPs: [json.spec.clusterIP],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      type: 'ClusterIP',
    });
    const taken = await client.send('POST', path, { body: service('same', { clusterIP: json.spec.clusterIP }) });
    expect(taken.json).toMatchObject({ code: 422, reason: 'Invalid' });
    expect(taken.json.message).toContain('provided IP is already allocated');
    const updated = await client.send('PUT', `${path}/plain`, { body: service('plain', { ports: [{ port: 81 }] }) });
    expect(updated.json.spec.clusterIP).toBe(json.spec.clusterIP);
    await client.send('DELETE', `${path}/plain`);
    expect((await client.send('POST', path, { body: service('same', { clusterIP: json.spec.clusterIP }) })).status).toBe(201);
  });

  it('refuse addresses and ports outside the ranges', async () => {
    expect((await client.send('POST', path, { body: service('far', { clusterIP: '10.99.0.1' }) })).json.message).toContain(
      'The range of valid IPs is 10.43.0.0/16',
    );
    expect(
      (await client.send('POST', path, { body: service('low', { type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] }) })).json.message,
    ).toContain('The range of valid ports is 30000-32767');
  });

  it('are headless, external and node-ported as their spec says', async () => {
    expect((await client.send('POST', path, { body: service('headless', { clusterIP: 'None' }) })).json.spec.clusterIPs).toEqual(['None']);
    const { json } = await client.send('POST', path, { body: service('ported', { type: 'NodePort' }) });
    expect(json.spec.ports[0].nodePort).toBeGreaterThanOrEqual(30_000);
    const clash = await client.send('POST', path, {
      body: service('clash', { type: 'NodePort', ports: [{ port: 1, nodePort: json.spec.ports[0].nodePort }] }),
    });
    expect(clash.json.message).toContain('provided port is already allocated');
    const external = await client.send('PATCH', `${path}/ported`, {
      body: { spec: { type: 'ExternalName', externalName: 'example.com', clusterIP: null, clusterIPs: null } },
      contentType: 'application/merge-patch+json',
    });
    expect(external.json.spec.clusterIP).toBeUndefined();
    const again = await client.send('POST', path, { body: service('again', { clusterIP: json.spec.clusterIP }) });
    expect(again.status).toBe(201);
  });

  it('never share an address, however many are made at once', async () => {
    const made = await Promise.all(
      Array.from({ length: 40 }, (_none, index) => client.send('POST', path, { body: service(`many-${index}`, { type: 'NodePort' }) })),
    );
    expect(new Set(made.map(({ json }) => json.spec.clusterIP)).size).toBe(40);
    expect(new Set(made.map(({ json }) => json.spec.ports[0].nodePort)).size).toBe(40);
  });
});

describe('Pods', () => {
  const path = '/api/v1/namespaces/default/pods';
  const pod = (name: string): Record<string, unknown> => ({ metadata: { name }, spec: { containers: [{ name: 'c', image: 'i' }] } });
  const bind = (name: string) =>
    client.send('POST', `${path}/${name}/binding`, {
      body: { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target: { kind: 'Node', name: 'n1' } },
    });

  it('are bound once, and say that they were scheduled', async () => {
    await client.send('POST', path, { body: pod('bound') });
    expect(await bind('bound')).toMatchObject({ status: 201, json: { status: 'Success' } });
    const { json } = await client.send('GET', `${path}/bound`);
    expect(json.spec.nodeName).toBe('n1');
    expect(json.status.conditions).toContainEqual(expect.objectContaining({ type: 'PodScheduled', status: 'True' }));
    expect((await bind('bound')).json).toMatchObject({ code: 409, reason: 'Conflict' });
  });

  it('end gracefully on a node, and at once without one or when forced', async () => {
    await client.send('POST', path, { body: pod('graceful') });
    await bind('graceful');
    const { json } = await client.send('DELETE', `${path}/graceful`);
    expect(json.metadata).toMatchObject({ deletionGracePeriodSeconds: 30 });
    const shorter = await client.send('DELETE', `${path}/graceful?gracePeriodSeconds=5`);
    expect(shorter.json.metadata.deletionGracePeriodSeconds).toBe(5);
    expect((await client.send('GET', `${path}/graceful`)).status).toBe(200);
    await client.send('DELETE', `${path}/graceful?gracePeriodSeconds=0`);
    expect((await client.send('GET', `${path}/graceful`)).status).toBe(404);
    await client.send('POST', path, { body: pod('nowhere') });
    await client.send('DELETE', `${path}/nowhere`);
    expect((await client.send('GET', `${path}/nowhere`)).status).toBe(404);
  });

  it('change their status through its own door only', async () => {
    await client.send('POST', path, { body: pod('doors') });
    await client.send('PATCH', `${path}/doors`, { body: { status: { phase: 'Running' } }, contentType: 'application/merge-patch+json' });
    expect((await client.send('GET', `${path}/doors`)).json.status.phase).toBe('Pending');
    await client.send('PATCH', `${path}/doors/status`, {
      body: { status: { phase: 'Running' }, spec: { nodeName: 'x' } },
      contentType: 'application/merge-patch+json',
    });
    const { json } = await client.send('GET', `${path}/doors`);
    expect(json.status.phase).toBe('Running');
    expect(json.spec.nodeName).toBeUndefined();
  });

  it('refuse a log without a node, and an exec without an upgrade', async () => {
    await client.send('POST', path, { body: pod('streams') });
    expect((await client.send('GET', `${path}/streams/log`)).json.message).toBe('pod streams does not have a host assigned');
    expect((await client.send('GET', `${path}/streams/log?container=x`)).json.message).toBe('container x is not valid for pod streams');
    expect((await client.send('POST', `${path}/streams/exec?command=ls&stdout=1`)).json).toMatchObject({ code: 400 });
  });
});

describe('Namespaces', () => {
  it('stay Terminating until they are finalized', async () => {
    await client.send('POST', '/api/v1/namespaces', { body: { metadata: { name: 'going' } } });
    const { json } = await client.send('DELETE', '/api/v1/namespaces/going');
    expect(json.status.phase).toBe('Terminating');
    expect((await client.send('DELETE', '/api/v1/namespaces/going')).json).toMatchObject({ code: 409, reason: 'Conflict' });
    await client.send('PUT', '/api/v1/namespaces/going/finalize', { body: { ...json, spec: { finalizers: [] } } });
    expect((await client.send('GET', '/api/v1/namespaces/going')).status).toBe(404);
  });
});

describe('scale', () => {
  it('shows and sets the replicas of a Deployment', async () => {
    const path = '/apis/apps/v1/namespaces/default/deployments';
    const template = { metadata: { labels: { app: 'd' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    await client.send('POST', path, {
      body: { metadata: { name: 'd' }, spec: { replicas: 1, selector: { matchLabels: { app: 'd' } }, template } },
    });
    expect((await client.send('GET', `${path}/d/scale`)).json).toMatchObject({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      spec: { replicas: 1 },
      status: { selector: 'app=d' },
    });
    await client.send('PATCH', `${path}/d/scale`, { body: { spec: { replicas: 4 } }, contentType: 'application/merge-patch+json' });
    const { json } = await client.send('GET', `${path}/d`);
    expect(json.spec.replicas).toBe(4);
    expect(json.metadata.generation).toBe(2);
  });
});

describe('the door in the process', () => {
  it('gives everybody the same frozen object', async () => {
    await client.send('POST', CONFIG_MAPS, { body: configMap('shared') });
    await using transport = server.server.transport({ name: 'inside', groups: ['system:masters'] }, 'inside/1');
    const read = async (): Promise<{ data: { a: string } }> =>
      (await (await transport.send({ method: 'GET', path: `${CONFIG_MAPS}/shared`, headers: {} })).json()) as { data: { a: string } };
    const [one, two] = [await read(), await read()];
    expect(one).toBe(two);
    expect(() => {
      one.data.a = 'mine';
    }).toThrow(TypeError);
  });

  it('ends its watches when it is closed', async () => {
    const transport = server.server.transport({ name: 'inside', groups: [] }, 'inside/1');
    const response = await transport.send({ method: 'GET', path: `${CONFIG_MAPS}?watch=1`, headers: {} });
    const first = response.frames()[Symbol.asyncIterator]();
    expect(((await first.next()).value as { type: string }).type).toBe('ADDED');
    await transport[Symbol.asyncDispose]();
    let last = await first.next();
    while (last.done !== true) last = await first.next();
    expect(last.done).toBe(true);
  });
});
