import { builtinKinds, type JsonObject, KindRegistry, kindFromCustomResource, type VersionConverter } from '@dure/api';
import { seededRandom } from '@dure/foundation';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { WebhookClient } from '../connect/webhook-client.ts';
import { type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';
import { startTestWebhook, type TestWebhook } from '../testing/test-webhook.ts';
import { withConversion } from './conversion-webhook.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const GROUP = 'stable.example.com';
const NAME = `endpointers.${GROUP}`;
const V1 = `/apis/${GROUP}/v1/namespaces/default/endpointers`;
const V2 = `/apis/${GROUP}/v2/namespaces/default/endpointers`;

type Review = ReturnType<typeof JSON.parse>;

let server: TestServer;
let client: TestClient;
let hook: TestWebhook;

/** `v1` says `hostPort: h:p`, `v2` says `host` and `port`. */
function converted(object: Review, desired: string): Review {
  if (object.apiVersion === desired) return object;
  const { hostPort, host, port, ...rest } = object;
  if (desired === `${GROUP}/v2`) {
    const [given, number] = String(hostPort).split(':');
    return { ...rest, apiVersion: desired, host: given, port: number };
  }
  return { ...rest, apiVersion: desired, hostPort: `${host}:${port}` };
}

const convertAll = ({ desiredAPIVersion, objects }: Review): Review => ({
  result: { status: 'Success' },
  convertedObjects: objects.map((object: Review) => converted(object, desiredAPIVersion)),
});

function definition(change: (spec: Review) => void = () => undefined): JsonObject {
  const text = { type: 'string' };
  const schema = (properties: Record<string, unknown>) => ({ openAPIV3Schema: { type: 'object', properties } });
  const spec: Review = {
    group: GROUP,
    scope: 'Namespaced',
    names: { plural: 'endpointers', kind: 'Endpointer' },
    conversion: { strategy: 'Webhook', webhook: { clientConfig: hook.at('/convert'), conversionReviewVersions: ['v3', 'v1', 'v1beta1'] } },
    versions: [
      { name: 'v1', served: true, storage: true, schema: schema({ hostPort: text }) },
      {
        name: 'v2',
        served: true,
        storage: false,
        schema: schema({ host: text, port: text, color: { type: 'string', default: 'red' } }),
        selectableFields: [{ jsonPath: '.host' }],
      },
    ],
  };
  change(spec);
  return { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: NAME }, spec };
}

/** Changes the definition, and settles once the server serves what it says. */
async function redefine(change: (spec: Review) => void): Promise<void> {
  const before = (await client.send('GET', `${CRDS}/${NAME}`)).json;
  change(before.spec);
  const replaced = new Promise<void>((resolve) => {
    const stop = kinds.onChange((event) => {
      if (event.kind !== 'replaced' || event.definition.resource !== 'endpointers') return;
      stop();
      resolve();
    });
  });
  expect((await client.send('PUT', `${CRDS}/${NAME}`, { body: before })).status).toBe(200);
  await replaced;
}

let kinds: KindRegistry;

beforeAll(async () => {
  kinds = new KindRegistry(builtinKinds);
  server = await startTestServer(kinds);
  client = testClient(server);
  hook = await startTestWebhook();
  hook.on('/convert', convertAll);
  expect((await client.send('POST', CRDS, { body: definition() })).text).toContain('"uid"');
  for await (const { object } of client.watch(`${CRDS}?watch=1`, AbortSignal.timeout(5_000))) {
    const { conditions = [] } = (object.status ?? {}) as { conditions?: { type: string; status: string }[] };
    if (conditions.some(({ type, status }) => type === 'Established' && status === 'True')) break;
  }
});
afterEach(() => hook.on('/convert', convertAll));
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await hook[Symbol.asyncDispose]();
});

const create = (path: string, name: string, fields: Record<string, unknown>) =>
  client.send('POST', path, {
    body: { apiVersion: path === V1 ? `${GROUP}/v1` : `${GROUP}/v2`, kind: 'Endpointer', metadata: { name }, ...fields },
  });
const reviews = (): Review[] => hook.seen.map(({ review }) => review);

describe('a conversion webhook', () => {
  it('is not asked about objects of the version that was asked for', async () => {
    expect((await create(V1, 'plain', { hostPort: 'local:1' })).status).toBe(201);
    expect((await client.send('GET', `${V1}/plain`)).json).toMatchObject({ hostPort: 'local:1' });
    expect(reviews()).toEqual([]);
  });

  it('makes the other version, which is then completed by its own schema', async () => {
    const made = (await client.send('GET', `${V1}/plain`)).json;
    const got = await client.send('GET', `${V2}/plain`);
    expect(got.json).toMatchObject({ apiVersion: `${GROUP}/v2`, host: 'local', port: '1', color: 'red' });
    expect(got.json.metadata).toEqual(made.metadata);
    expect(got.json.hostPort).toBeUndefined();
    const [review] = reviews();
    expect(review).toMatchObject({
      kind: 'ConversionReview',
      apiVersion: 'apiextensions.k8s.io/v1',
      request: { desiredAPIVersion: `${GROUP}/v2`, objects: [made] },
    });
    expect(review.request.uid).toMatch(/^[0-9a-f-]{36}$/);
    // Known from then on.
    await client.send('GET', `${V2}/plain`);
    expect(reviews()).toHaveLength(1);
  });

  it('is given what is written at another version, by the rules of that one, and stores the storage version', async () => {
    const made = await create(V2, 'second', { host: 'h', port: '2', unknown: 1 });
    expect(made).toMatchObject({ status: 201, json: { host: 'h', port: '2', color: 'red' } });
    expect(made.json.metadata.managedFields[0]).toMatchObject({ apiVersion: `${GROUP}/v2`, fieldsV1: { 'f:host': {} } });
    expect((await client.send('GET', `${V1}/second`)).json).toMatchObject({ hostPort: 'h:2', metadata: { generation: 1 } });
    const entry = await server.store.get(`/registry/${GROUP}/endpointers/default/second`);
    expect(JSON.parse(Buffer.from(entry?.value ?? []).toString())).toMatchObject({ apiVersion: `${GROUP}/v1`, hostPort: 'h:2' });
    const wrong = await create(V2, 'wrong', { host: 5 });
    expect(wrong.json.message).toContain('host: Invalid value: "integer": host in body must be of type string');
  });

  it('updates, patches, applies and deletes at any version', async () => {
    const patched = await client.send('PATCH', `${V2}/second`, { contentType: 'application/merge-patch+json', body: { port: '3' } });
    expect(patched.json).toMatchObject({ port: '3', metadata: { generation: 2 } });
    const put = await client.send('PUT', `${V1}/second`, { body: { ...(await client.send('GET', `${V1}/second`)).json, hostPort: 'h:4' } });
    expect(put.json).toMatchObject({ hostPort: 'h:4', metadata: { generation: 3 } });
    const applied = await client.send('PATCH', `${V2}/second?fieldManager=a&force=true`, {
      contentType: 'application/apply-patch+yaml',
      body: { apiVersion: `${GROUP}/v2`, kind: 'Endpointer', metadata: { name: 'second' }, port: '5' },
    });
    expect(applied.json).toMatchObject({ host: 'h', port: '5', apiVersion: `${GROUP}/v2` });
    expect((await client.send('GET', `${V1}/second`)).json.hostPort).toBe('h:5');
    expect((await client.send('DELETE', `${V2}/second`)).status).toBe(200);
  });

  it('is asked what a write means to those who own fields in another version', async () => {
    const apply = (path: string, manager: string, fields: Record<string, unknown>, force = false) =>
      client.send('PATCH', `${path}/owned?fieldManager=${manager}&force=${force}`, {
        contentType: 'application/apply-patch+yaml',
        body: { apiVersion: path === V1 ? `${GROUP}/v1` : `${GROUP}/v2`, kind: 'Endpointer', metadata: { name: 'owned' }, ...fields },
      });
    const owners = (object: Review): unknown[] =>
      object.metadata.managedFields
        .map(({ manager, apiVersion, fieldsV1 }: Review) => [manager, apiVersion, Object.keys(fieldsV1)])
        // Their order says when they wrote, in whole seconds.
        .toSorted(([one]: [string], [other]: [string]) => (one < other ? -1 : 1));
    await apply(V1, 'one', { hostPort: 'o:1' });
    const refused = await apply(V2, 'two', { host: 'other' });
    expect([refused.status, refused.json.details.causes]).toEqual([
      409,
      [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.hostPort' }],
    ]);
    // The same value in other words is no conflict.
    expect(owners((await apply(V2, 'two', { host: 'o' })).json)).toEqual([
      ['one', `${GROUP}/v1`, ['f:hostPort']],
      ['two', `${GROUP}/v2`, ['f:host']],
    ]);
    const forced = await apply(V2, 'three', { port: '9' }, true);
    expect(owners(forced.json)).toEqual([
      ['three', `${GROUP}/v2`, ['f:port']],
      ['two', `${GROUP}/v2`, ['f:host']],
    ]);
    const put = await client.send('PATCH', `${V1}/owned?fieldManager=four`, {
      contentType: 'application/merge-patch+json',
      body: { hostPort: 'new:9' },
    });
    expect(owners(put.json)).toEqual([
      ['four', `${GROUP}/v1`, ['f:hostPort']],
      ['three', `${GROUP}/v2`, ['f:port']],
    ]);
    await client.send('DELETE', `${V1}/owned`);
  });

  it('gets a list in one request, whatever version each object is stored in', async () => {
    await create(V1, 'third', { hostPort: 'x:3' });
    await redefine((spec) => {
      for (const version of spec.versions) version.storage = version.name === 'v2';
    });
    await create(V2, 'fourth', { host: 'y', port: '4' });
    const before = reviews().length;
    const listed = await client.send('GET', V2);
    expect(listed.json.items.map((item: Review) => [item.metadata.name, item.apiVersion, item.host])).toEqual([
      ['fourth', `${GROUP}/v2`, 'y'],
      ['plain', `${GROUP}/v2`, 'local'],
      ['third', `${GROUP}/v2`, 'x'],
    ]);
    const [review, ...more] = reviews().slice(before);
    expect(more).toEqual([]);
    expect(review.request.objects.map((object: Review) => object.metadata.name)).toEqual(['plain', 'third']);
    expect((await client.send('GET', V1)).json.items.map((item: Review) => item.hostPort)).toEqual(['y:4', 'local:1', 'x:3']);
    expect((await client.send('GET', `${CRDS}/${NAME}`)).json.status.storedVersions).toEqual(['v1', 'v2']);
  });

  it('converts before fields are selected by, in lists and watches', async () => {
    const listed = await client.send('GET', `${V2}?fieldSelector=host%3Dx`);
    expect(listed.json.items.map((item: Review) => item.metadata.name)).toEqual(['third']);
    const stop = new AbortController();
    const events = client.watch(`${V2}?watch=1&fieldSelector=host%3Dz`, stop.signal)[Symbol.asyncIterator]();
    const first = events.next();
    await create(V1, 'fifth', { hostPort: 'z:5' });
    expect((await first).value).toMatchObject({ type: 'ADDED', object: { apiVersion: `${GROUP}/v2`, host: 'z' } });
    await client.send('PATCH', `${V1}/fifth`, { contentType: 'application/merge-patch+json', body: { hostPort: 'q:5' } });
    expect((await events.next()).value).toMatchObject({ type: 'DELETED', object: { apiVersion: `${GROUP}/v2`, host: 'z' } });
    stop.abort();
  });

  it('is asked once for all watchers of an event', async () => {
    const stop = new AbortController();
    const { resourceVersion } = (await client.send('GET', V1)).json.metadata;
    const watchers = [1, 2, 3].map(() =>
      client.watch(`${V1}?watch=1&resourceVersion=${resourceVersion}`, stop.signal)[Symbol.asyncIterator](),
    );
    const before = reviews().length;
    const firsts = watchers.map((watcher) => watcher.next());
    await create(V2, 'sixth', { host: 'six', port: '6' });
    for (const first of firsts) expect((await first).value).toMatchObject({ type: 'ADDED', object: { hostPort: 'six:6' } });
    expect(reviews().length - before).toBe(1);
    stop.abort();
  });

  it('speaks the older form to webhooks that know only that', async () => {
    await redefine((spec) => {
      spec.conversion.webhook.conversionReviewVersions = ['v1beta1'];
    });
    hook.on('/convert', (request) => ({ ...convertAll(request), uid: 'not looked at' }));
    expect((await client.send('GET', `${V1}/fourth`)).json.hostPort).toBe('y:4');
    expect(reviews().at(-1).apiVersion).toBe('apiextensions.k8s.io/v1beta1');
    await redefine((spec) => {
      spec.conversion.webhook.conversionReviewVersions = ['v1'];
    });
  });

  const one = `conversion webhook for ${GROUP}/v2, Kind=Endpointer`;
  const changed = (change: (object: Review) => void) => (request: Review) => {
    const answer = structuredClone(convertAll(request));
    for (const object of answer.convertedObjects) change(object);
    return answer;
  };
  it.each<[string, (request: Review) => Review, string]>([
    ['says why not', () => ({ result: { status: 'Failure', message: 'no way' } }), `${one} failed: no way`],
    ['says nothing', () => ({ result: {} }), `${one} failed: response.result.status was '', not 'Success'`],
    ['gives too few', () => ({ result: { status: 'Success' }, convertedObjects: [] }), `${one} returned 0 objects, expected 1`],
    [
      'leaves the version as it was',
      ({ objects }) => ({ result: { status: 'Success' }, convertedObjects: objects }),
      `${one} returned invalid object at index 0: invalid groupVersion (expected ${GROUP}/v1, received ${GROUP}/v2)`,
    ],
    [
      'changes the kind',
      changed((object) => {
        object.kind = 'Other';
      }),
      `${one} returned invalid object at index 0: invalid kind (expected Endpointer, received Other)`,
    ],
    [
      'changes the name',
      changed(({ metadata }) => {
        metadata.name = 'other';
      }),
      `${one} returned invalid object: must have the same name: fourth != other`,
    ],
    [
      'gives labels that are none',
      changed(({ metadata }) => {
        metadata.labels = { a: 1 };
      }),
      `${one} returned invalid metadata: metadata.labels[a] must be a string, but is int64 in converted object`,
    ],
    [
      'gives labels that break the rules',
      changed(({ metadata }) => {
        metadata.labels = { '-a-': 'x' };
      }),
      `${one} returned invalid metadata: metadata.labels: Invalid value: "-a-": `,
    ],
  ])('that %s fails the request', async (_what, answer, message) => {
    hook.on('/convert', answer);
    const got = await client.send('GET', `${V1}/fourth`);
    // What was converted before this server keeps; another definition has another webhook.
    expect([got.status, got.json.code, got.json.reason]).toEqual([500, 500, undefined]);
    expect(got.json.message.startsWith(message)).toBe(true);
  });

  it('cannot change metadata but labels and annotations', async () => {
    hook.on(
      '/convert',
      changed(({ metadata }) => {
        metadata.labels = { from: 'hook' };
        metadata.annotations = { also: 'hook' };
        metadata.resourceVersion = '1';
        metadata.finalizers = ['x/y'];
        delete metadata.creationTimestamp;
      }),
    );
    const stored = (await client.send('GET', `${V2}/fourth`)).json;
    const { metadata } = (await client.send('GET', `${V1}/fourth`)).json;
    expect(metadata).toEqual({ ...stored.metadata, labels: { from: 'hook' }, annotations: { also: 'hook' } });
  });

  it('that cannot be reached fails lists, and ends watches with what was wrong', async () => {
    await redefine((spec) => {
      spec.conversion.webhook.clientConfig = { url: 'https://127.0.0.1:1/convert', caBundle: hook.caBundle };
    });
    const message = `conversion webhook for ${GROUP}/v2, Kind=EndpointerList failed: Post "https://127.0.0.1:1/convert?timeout=30s": dial tcp 127.0.0.1:1: connect: connection refused`;
    expect((await client.send('GET', V1)).json.message).toBe(message);
    const seen: unknown[] = [];
    for await (const event of client.watch(`${V1}?watch=1`, AbortSignal.timeout(5_000))) seen.push(event);
    expect(seen).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 500, message } }]);
    expect((await client.send('GET', `${V2}/fourth`)).status).toBe(200);
    await redefine((spec) => {
      spec.conversion = { strategy: 'None' };
    });
  });
});

describe('a running watch', () => {
  it('ends when the definition changes, and goes on under the new one from where it was', async () => {
    const stop = new AbortController();
    const { resourceVersion } = (await client.send('GET', V2)).json.metadata;
    const events = client.watch(`${V2}?watch=1&resourceVersion=${resourceVersion}`, stop.signal)[Symbol.asyncIterator]();
    const first = events.next();
    await create(V2, 'seventh', { host: 's', port: '7' });
    const revision = ((await first).value as Review).object.metadata.resourceVersion;
    const next = events.next();
    await redefine((spec) => {
      spec.versions[1].schema.openAPIV3Schema.properties.size = { type: 'integer', default: 3 };
    });
    expect((await next).done).toBe(true);
    const again = client.watch(`${V2}?watch=1&resourceVersion=${revision}`, stop.signal)[Symbol.asyncIterator]();
    const event = again.next();
    await create(V2, 'eighth', { host: 'e', port: '8' });
    expect((await event).value).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'eighth' }, size: 3 } });
    stop.abort();
  });
});

describe('versions that share their objects', () => {
  it('show objects that were stored in another version as the one that was asked for', async () => {
    const { items } = (await client.send('GET', V2)).json;
    expect(new Set(items.map((item: Review) => item.apiVersion))).toEqual(new Set([`${GROUP}/v2`]));
    expect((await client.send('GET', `${V2}/plain`)).json).toMatchObject({ apiVersion: `${GROUP}/v2`, color: 'red' });
  });
});

describe('withConversion', () => {
  const kind = kindFromCustomResource({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.a.example' },
    spec: {
      group: 'a.example',
      scope: 'Cluster',
      names: { plural: 'things', kind: 'Thing' },
      versions: ['v1', 'v2'].map((name) => ({ name, served: true, storage: name === 'v1' })),
    },
  });
  const source = { spec: { conversion: { strategy: 'Webhook', webhook: { clientConfig: {}, conversionReviewVersions: ['v1'] } } } };
  const things = (count: number): JsonObject[] =>
    Array.from({ length: count }, (_none, at) => ({ apiVersion: 'a.example/v1', kind: 'Thing', metadata: { name: `t${at}` } }));
  const converter = (call: WebhookClient['call']): VersionConverter => {
    const webhooks = { call, async [Symbol.asyncDispose]() {} };
    const { versions } = withConversion(kind, source, { webhooks, random: seededRandom(1) });
    const found = versions.find(({ name }) => name === 'v2')?.converter;
    if (found === undefined) throw new Error('no converter');
    return found;
  };

  it('asks for many objects in batches, few of them at once, and keeps their order', async () => {
    let [running, most] = [0, 0];
    const sizes: number[] = [];
    const webhook = converter(async (_target, body) => {
      const { request } = body as Review;
      running += 1;
      most = Math.max(most, running);
      sizes.push(request.objects.length);
      await new Promise(setImmediate);
      running -= 1;
      const convertedObjects = request.objects.map((object: Review) => ({ ...object, apiVersion: request.desiredAPIVersion }));
      const response = { uid: request.uid, result: { status: 'Success' }, convertedObjects };
      return { apiVersion: 'apiextensions.k8s.io/v1', kind: 'ConversionReview', response };
    });
    const given = [...things(2_100), { apiVersion: 'a.example/v2', kind: 'Thing', metadata: { name: 'same' } }];
    const results = await webhook.convert(given);
    expect(results.map((object) => (object.metadata as JsonObject).name)).toEqual(
      given.map(({ metadata }) => (metadata as JsonObject).name),
    );
    expect(results.every(({ apiVersion }) => apiVersion === 'a.example/v2')).toBe(true);
    expect(results.at(-1)).toBe(given.at(-1));
    expect([sizes.length, Math.max(...sizes), most]).toEqual([9, 250, 4]);
  });

  it('fails whoever still waits, and nobody else', async () => {
    let fail = (_error: Error): void => undefined;
    const failing = new Promise<never>((_resolve, reject) => {
      fail = reject;
    });
    const webhook = converter(() => failing);
    const [thing] = things(1).map((object) => Object.freeze(object));
    const left = webhook.convert([thing as JsonObject], AbortSignal.abort(new Error('gone')));
    const waiting = webhook.convert([thing as JsonObject]);
    await expect(left).rejects.toThrow('gone');
    fail(new Error('no answer'));
    await expect(waiting).rejects.toThrow('conversion webhook for a.example/v1, Kind=Thing failed: no answer');
  });
});
