import { builtinKinds, KindRegistry, tooManyRequests } from '@dure/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';

const PODS = '/api/v1/namespaces/default/pods';
const MERGE = 'application/merge-patch+json';
let server: TestServer;
let client: TestClient;
let protectedPods: Set<string>;

beforeAll(async () => {
  protectedPods = new Set();
  server = await startTestServer(new KindRegistry(builtinKinds), {
    eviction: () => ({
      async allow(pod) {
        if (protectedPods.has(pod.metadata.name))
          throw tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 10);
      },
    }),
    serviceAccountTokens: () => ({
      async issue(account, request) {
        return { ...request, status: { token: `token of ${account.metadata.name}`, expirationTimestamp: '2030-01-01T00:00:00Z' } };
      },
    }),
  });
  client = testClient(server);
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function runningPod(name: string): Promise<void> {
  await client.send('POST', PODS, { body: { metadata: { name }, spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] } } });
  await client.send('PATCH', `${PODS}/${name}/status`, { body: { status: { phase: 'Running' } }, contentType: MERGE });
}

describe('eviction', () => {
  const evict = (name: string): Promise<Answer> =>
    client.send('POST', `${PODS}/${name}/eviction`, { body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } } });

  it('deletes gracefully, unless a budget forbids it', async () => {
    await runningPod('evicted');
    protectedPods.add('evicted');
    expect((await evict('evicted')).json).toMatchObject({ code: 429, reason: 'TooManyRequests' });
    expect((await client.send('GET', `${PODS}/evicted`)).json.metadata.deletionTimestamp).toBeUndefined();
    protectedPods.delete('evicted');
    expect(await evict('evicted')).toMatchObject({ status: 201, json: { status: 'Success' } });
    expect((await client.send('GET', `${PODS}/evicted`)).json.metadata.deletionTimestamp).toBeDefined();
    expect((await evict('absent')).json).toMatchObject({ code: 404 });
  });
});

describe('ephemeralcontainers and resize', () => {
  it('adds a debug container and lets nobody remove it again', async () => {
    await runningPod('debugged');
    const added = await client.send('PATCH', `${PODS}/debugged/ephemeralcontainers`, {
      body: { spec: { ephemeralContainers: [{ name: 'debug', image: 'busybox', targetContainerName: 'c' }] } },
      contentType: 'application/strategic-merge-patch+json',
    });
    expect(added.status).toBe(200);
    expect(added.json.spec.ephemeralContainers).toEqual([expect.objectContaining({ name: 'debug', image: 'busybox' })]);
    expect(added.json.spec.containers).toHaveLength(1);
    expect(added.json.metadata.generation).toBe(2);
    const removed = await client.send('PATCH', `${PODS}/debugged/ephemeralcontainers`, {
      body: { spec: { ephemeralContainers: [] } },
      contentType: MERGE,
    });
    expect(removed.json).toMatchObject({ code: 422, reason: 'Invalid' });
    const clash = await client.send('PATCH', `${PODS}/debugged/ephemeralcontainers`, {
      body: {
        spec: {
          ephemeralContainers: [
            { name: 'debug', image: 'x' },
            { name: 'c', image: 'x' },
          ],
        },
      },
      contentType: MERGE,
    });
    expect(clash.json).toMatchObject({ code: 422 });
  });

  it('changes resources through resize and nothing else', async () => {
    await runningPod('resized');
    const resize = (): Promise<Answer> =>
      client.send('PATCH', `${PODS}/resized/resize`, {
        body: { spec: { nodeName: 'other', containers: [{ name: 'c', image: 'other', resources: { limits: { cpu: '200m' } } }] } },
        contentType: 'application/strategic-merge-patch+json',
      });
    const { json } = await resize();
    expect(json.spec.containers[0]).toMatchObject({ image: 'i', resources: { limits: { cpu: '200m' } } });
    expect(json.spec.nodeName).toBe('n');
    expect(json.metadata.generation).toBe(2);
    expect((await resize()).json.metadata.generation).toBe(2);
  });
});

describe('tokens and approvals', () => {
  it('issues a token for an account that exists', async () => {
    await client.send('POST', '/api/v1/namespaces/default/serviceaccounts', { body: { metadata: { name: 'robot' } } });
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['a'] } };
    const { status, json } = await client.send('POST', '/api/v1/namespaces/default/serviceaccounts/robot/token', { body });
    expect(status).toBe(201);
    expect(json).toMatchObject({ kind: 'TokenRequest', metadata: { name: 'robot' }, status: { token: 'token of robot' } });
    expect((await client.send('POST', '/api/v1/namespaces/default/serviceaccounts/nobody/token', { body })).status).toBe(404);
  });

  it('approves a certificate request without letting the approval change anything else', async () => {
    const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
    const pem = Buffer.from('-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n').toString('base64');
    const created = await client.send('POST', path, {
      body: { metadata: { name: 'csr' }, spec: { request: pem, signerName: 'example.com/x', usages: ['client auth'] } },
    });
    expect(created.status).toBe(201);
    const condition = { type: 'Approved', status: 'True', reason: 'Test', message: 'fine' };
    const { json } = await client.send('PUT', `${path}/csr/approval`, {
      body: {
        ...created.json,
        metadata: { ...created.json.metadata, labels: { x: 'y' } },
        status: { conditions: [condition], certificate: 'AAAA' },
      },
    });
    expect(json.status.conditions).toEqual([expect.objectContaining(condition)]);
    expect(json.status.certificate).toBeUndefined();
    expect(json.spec).toEqual(created.json.spec);

    const patch = (conditions: object[]) =>
      client.send('PATCH', `${path}/csr/approval`, {
        contentType: 'application/merge-patch+json',
        body: { metadata: { annotations: { seen: 'yes' } }, status: { conditions } },
      });
    const own = { type: 'Own', status: 'True', reason: 'Test' };
    const patched = await patch([condition, own]);
    expect(patched.json).toMatchObject({ metadata: { annotations: { seen: 'yes' } }, status: { conditions: [condition, own] } });
    expect((await patch([own])).json.message).toContain('updates may not remove a condition of type "Approved"');
    expect((await patch([condition, { type: 'Denied', status: 'True' }])).json.message).toContain('mutually exclusive');
  });

  it('lets no status take a verdict or write over a certificate', async () => {
    const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests/csr/status';
    const put = (status: object) => client.send('PATCH', path, { contentType: 'application/merge-patch+json', body: { status } });
    const { json } = await client.send('GET', path);
    const denied = [...json.status.conditions, { type: 'Denied', status: 'True' }];
    expect((await put({ conditions: denied })).json.message).toContain('updates may not add a condition of type "Denied"');
    expect((await put({ certificate: 'QUFBQQ==' })).status).toBe(200);
    expect((await put({ certificate: 'QkJCQg==' })).json.message).toContain('updates may not modify existing certificate content');
  });
});

describe('reviews', () => {
  const review = (group: string, resource: string, body: unknown): Promise<Answer> =>
    client.send('POST', `/apis/${group}/v1/${resource}`, { body });

  it("says whose token it is, or why it is nobody's", async () => {
    expect((await review('authentication.k8s.io', 'tokenreviews', { spec: { token: 'good' } })).json.status).toMatchObject({
      authenticated: true,
      user: { username: 'token-user' },
    });
    expect((await review('authentication.k8s.io', 'tokenreviews', { spec: { token: 'bad' } })).json.status).toMatchObject({
      error: 'unknown token',
    });
  });

  it('says who may what, for others and oneself', async () => {
    const attributes = { resourceAttributes: { verb: 'get', resource: 'pods' } };
    const subject = (user: string) => review('authorization.k8s.io', 'subjectaccessreviews', { spec: { user, ...attributes } });
    expect((await subject('somebody')).json.status).toMatchObject({ allowed: true });
    expect((await subject('system:anonymous')).json.status).toMatchObject({ allowed: false });
    expect((await review('authorization.k8s.io', 'selfsubjectaccessreviews', { spec: attributes })).json.status).toMatchObject({
      allowed: true,
    });
    expect((await review('authorization.k8s.io', 'subjectaccessreviews', { spec: { user: 'x' } })).json).toMatchObject({ code: 422 });
    expect(
      (await review('authorization.k8s.io', 'selfsubjectrulesreviews', { spec: { namespace: 'default' } })).json.status.resourceRules,
    ).toHaveLength(1);
    expect((await review('authentication.k8s.io', 'selfsubjectreviews', {})).json.status.userInfo).toMatchObject({
      username: 'admin',
      groups: ['system:masters', 'system:authenticated'],
    });
  });

  it('acts as somebody else only when allowed to', async () => {
    const headers = { 'impersonate-user': 'jane', 'impersonate-group': 'dev' };
    const { json } = await client.send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { body: {}, headers });
    expect(json.status.userInfo).toMatchObject({ username: 'jane', groups: ['dev', 'system:authenticated'] });
    expect((await client.send('GET', PODS, { headers, anonymous: true })).json).toMatchObject({ code: 403 });
    expect((await client.send('GET', PODS, { headers: { 'impersonate-group': 'dev' } })).json).toMatchObject({ code: 400 });
  });
});

describe('kinds that share what they store', () => {
  it('shows one Event in both of its groups', async () => {
    const body = {
      metadata: { name: 'e' },
      involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
      reason: 'Started',
      message: 'it began',
      type: 'Normal',
      firstTimestamp: '2024-01-01T00:00:00Z',
      lastTimestamp: '2024-01-01T00:00:00Z',
      count: 1,
      source: { component: 'kubelet' },
    };
    expect((await client.send('POST', '/api/v1/namespaces/default/events', { body })).status).toBe(201);
    const { json } = await client.send('GET', '/apis/events.k8s.io/v1/namespaces/default/events/e');
    expect(json).toMatchObject({ kind: 'Event', apiVersion: 'events.k8s.io/v1', note: 'it began', regarding: { name: 'p' } });
    expect((await client.send('GET', '/apis/events.k8s.io/v1/events')).json).toMatchObject({
      kind: 'EventList',
      apiVersion: 'events.k8s.io/v1',
      items: [{ note: 'it began' }],
    });
  });

  it('shows an autoscaler in both of its versions', async () => {
    const spec = {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' },
      maxReplicas: 3,
      targetCPUUtilizationPercentage: 70,
    };
    const path = (version: string) => `/apis/autoscaling/${version}/namespaces/default/horizontalpodautoscalers`;
    expect((await client.send('POST', path('v1'), { body: { metadata: { name: 'h' }, spec } })).json).toMatchObject({
      apiVersion: 'autoscaling/v1',
      spec,
    });
    expect((await client.send('GET', `${path('v2')}/h`)).json.spec.metrics[0].resource.target.averageUtilization).toBe(70);
    const patched = await client.send('PATCH', `${path('v1')}/h`, { body: { spec: { maxReplicas: 9 } }, contentType: MERGE });
    expect(patched.json).toMatchObject({ apiVersion: 'autoscaling/v1', spec: { maxReplicas: 9, targetCPUUtilizationPercentage: 70 } });
    expect((await client.send('GET', `${path('v2')}/h`)).json.spec.maxReplicas).toBe(9);
  });
});

describe('collections', () => {
  it('deletes what a selector names and nothing else', async () => {
    const path = '/api/v1/namespaces/bulk/configmaps';
    for (let index = 0; index < 30; index += 1)
      await client.send('POST', path, { body: { metadata: { name: `c${index}`, labels: { even: String(index % 2 === 0) } } } });
    const { json } = await client.send('DELETE', `${path}?labelSelector=even%3Dtrue`);
    expect(json.items).toHaveLength(15);
    expect((await client.send('GET', path)).json.items).toHaveLength(15);
  });

  it('streams a watch as tables, with columns in the first event only', async () => {
    const path = '/api/v1/namespaces/tables/configmaps';
    await client.send('POST', path, { body: { metadata: { name: 'a' } } });
    await client.send('POST', path, { body: { metadata: { name: 'b' } } });
    const answer = await client.send('GET', `${path}?watch=1&timeoutSeconds=1`, {
      headers: { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' },
    });
    const events = answer.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.map(({ type, object }) => [type, object.kind, object.columnDefinitions.length > 0, object.rows[0].cells[0]])).toEqual([
      ['ADDED', 'Table', true, 'a'],
      ['ADDED', 'Table', false, 'b'],
    ]);
  });

  it('takes kinds that are added while it runs, and lets them go', async () => {
    const kinds = new KindRegistry(builtinKinds);
    await using own = await startTestServer(kinds);
    await using caller = testClient(own);
    const path = '/apis/example.com/v1/namespaces/default/widgets';
    expect((await caller.send('GET', path)).status).toBe(404);
    kinds.add({
      group: 'example.com',
      kind: 'Widget',
      listKind: 'WidgetList',
      resource: 'widgets',
      singular: 'widget',
      shortNames: [],
      categories: [],
      namespaced: true,
      verbs: ['create', 'delete', 'get', 'list', 'watch'],
      versions: [
        {
          name: 'v1',
          served: true,
          structural: true,
          columns: [],
          schema: { type: 'object', properties: { spec: { type: 'object', properties: { size: { type: 'integer' } } } } },
        },
      ],
      storageVersion: 'v1',
      subresources: [],
      strategy: {},
    });
    const body = { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w' }, spec: { size: 1, other: 2 } };
    expect((await caller.send('POST', path, { body })).json.spec).toEqual({ size: 1 });
    expect((await caller.send('POST', path, { body: { ...body, metadata: { name: 'x' }, spec: { size: 'big' } } })).json).toMatchObject({
      code: 422,
    });
    expect((await caller.send('GET', '/apis/example.com/v1')).json.resources[0].name).toBe('widgets');
    expect((await caller.send('GET', '/openapi/v3/apis/example.com/v1')).json.components.schemas['com.example.v1.Widget']).toBeDefined();
    kinds.remove('example.com', 'widgets');
    expect((await caller.send('GET', path)).status).toBe(404);
  });
});
