import { builtinKinds, KindRegistry } from '@dure/api';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { podDialer } from '../../connect/dialers.ts';
import type { PodDialer } from '../../contract/node-dialer.ts';
import { databaseDefinition } from '../../testing/sample-definitions.ts';
import { type Answer, type TestClient, testClient } from '../../testing/test-client.ts';
import { startTestServer, type TestServer } from '../../testing/test-server.ts';
import { patchResponse, startTestWebhook, type TestWebhook } from '../../testing/test-webhook.ts';
import { admissionChain } from '../admission-chain.ts';

type Json = ReturnType<typeof JSON.parse>;

const GROUP = '/apis/admissionregistration.k8s.io/v1';
const MAPS = '/api/v1/namespaces/default/configmaps';
let hook: TestWebhook;
let server: TestServer;
let client: TestClient;
let notes: Map<string, string>;
const made: string[] = [];
/** Where Pods are: all of them on this machine. */
const loopback = podDialer();
const pods: PodDialer = {
  request: (target, request, signal) => loopback.request({ ...target, host: '127.0.0.1' }, request, signal),
  connect: (target, signal) => loopback.connect({ ...target, host: '127.0.0.1' }, signal),
};

beforeAll(async () => {
  hook = await startTestWebhook();
  notes = new Map();
  server = await startTestServer(new KindRegistry(builtinKinds), {
    pods,
    admission: (_reads, _authorizer, _statuses, configured) => {
      const chain = admissionChain(configured);
      const heard = <T extends object>(request: T): T =>
        Object.assign(request, { annotate: (key: string, value: string) => void notes.set(key, value) });
      return {
        mutate: (request, signal) => chain.mutate(heard(request), signal),
        validate: (request, signal) => chain.validate(request, signal),
      };
    },
  });
  client = testClient(server);
  for (const name of ['default', 'hooks']) await expectOk(client.send('POST', '/api/v1/namespaces', { body: { metadata: { name } } }));
});

beforeEach(async () => {
  for (const path of made.splice(0)) await client.send('DELETE', path);
  await client.send('DELETE', MAPS);
  hook.seen.length = 0;
  notes.clear();
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await hook[Symbol.asyncDispose]();
  await loopback[Symbol.asyncDispose]();
});

async function expectOk(answer: Promise<Answer>): Promise<Answer> {
  const got = await answer;
  if (got.status > 299) throw new Error(`${got.status} ${got.text}`);
  return got;
}

const rule = (resources: string[], operations = ['CREATE', 'UPDATE'], more: Json = {}): Json => ({
  operations,
  apiGroups: [''],
  apiVersions: ['v1'],
  resources,
  ...more,
});

/** Stores a configuration of webhooks, each at the path of its first name part unless said otherwise. */
async function configure(sort: 'mutating' | 'validating', name: string, webhooks: readonly Json[]): Promise<void> {
  const path = `${GROUP}/${sort}webhookconfigurations`;
  await expectOk(
    client.send('POST', path, {
      body: {
        metadata: { name },
        webhooks: webhooks.map((webhook) => ({
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
          rules: [rule(['configmaps'])],
          clientConfig: hook.at(`/${String(webhook.name).split('.')[0]}`),
          ...webhook,
        })),
      },
    }),
  );
  made.push(`${path}/${name}`);
}

const create = (name: string, body: Json = {}, query = ''): Promise<Answer> =>
  client.send('POST', `${MAPS}${query}`, { body: { metadata: { name, ...body.metadata }, data: body.data ?? {} } });
const paths = (): string[] => hook.seen.map(({ path }) => path);

describe('validating webhooks', () => {
  it('are shown the request as upstream shows it', async () => {
    hook.on('/see', () => ({ allowed: true, warnings: ['mind this'], auditAnnotations: { note: 'seen' } }));
    await configure('validating', 'see', [{ name: 'see.example.com', rules: [rule(['configmaps'], ['*'])] }]);
    const created = await create('a', { data: { k: 'v' } }, '?fieldManager=tester&fieldValidation=Strict');
    expect(created.status).toBe(201);
    expect(created.headers.warning).toBe('299 - "mind this"');
    expect(notes.get('see.example.com/note')).toBe('seen');
    await expectOk(client.send('PUT', `${MAPS}/a?dryRun=All`, { body: { ...created.json, data: { k: 'w' } } }));
    await expectOk(client.send('DELETE', `${MAPS}/a`, { body: { gracePeriodSeconds: 5, propagationPolicy: 'Background' } }));
    const [first, second, third] = hook.seen.map(({ review }) => review);
    expect(first).toMatchObject({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1' });
    const common = {
      kind: { group: '', version: 'v1', kind: 'ConfigMap' },
      resource: { group: '', version: 'v1', resource: 'configmaps' },
      requestKind: { group: '', version: 'v1', kind: 'ConfigMap' },
      requestResource: { group: '', version: 'v1', resource: 'configmaps' },
      name: 'a',
      namespace: 'default',
      userInfo: { username: 'admin', groups: ['system:masters', 'system:authenticated'] },
    };
    expect(first.request).toEqual({
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      ...common,
      operation: 'CREATE',
      object: expect.objectContaining({ kind: 'ConfigMap', apiVersion: 'v1', data: { k: 'v' } }),
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'tester', fieldValidation: 'Strict' },
    });
    expect(first.request.object.metadata).toMatchObject({ name: 'a', namespace: 'default', uid: expect.any(String) });
    expect(second.request).toMatchObject({
      ...common,
      operation: 'UPDATE',
      object: { data: { k: 'w' } },
      oldObject: { kind: 'ConfigMap', data: { k: 'v' } },
      dryRun: true,
      options: { kind: 'UpdateOptions', apiVersion: 'meta.k8s.io/v1', dryRun: ['All'] },
    });
    expect(third.request).toMatchObject({
      ...common,
      operation: 'DELETE',
      object: null,
      oldObject: { data: { k: 'v' } },
      options: { kind: 'DeleteOptions', apiVersion: 'meta.k8s.io/v1', gracePeriodSeconds: 5, propagationPolicy: 'Background' },
    });
  });

  it('say no in words of their own, for create, update, patch, delete and deletecollection', async () => {
    await expectOk(create('kept'));
    hook.on('/no', () => ({ allowed: false, status: { message: 'not today', code: 403, reason: 'Forbidden' } }));
    await configure('validating', 'no', [{ name: 'no.example.com', rules: [rule(['configmaps'], ['*'])] }]);
    const refused = await create('a');
    expect(refused.json).toMatchObject({
      status: 'Failure',
      code: 403,
      reason: 'Forbidden',
      message: 'admission webhook "no.example.com" denied the request: not today',
    });
    const body = { metadata: { name: 'kept' }, data: { x: 'y' } };
    expect((await client.send('PUT', `${MAPS}/kept`, { body })).status).toBe(403);
    const merge = { body: { data: { x: 'y' } }, contentType: 'application/merge-patch+json' };
    expect((await client.send('PATCH', `${MAPS}/kept`, merge)).status).toBe(403);
    expect((await client.send('DELETE', `${MAPS}/kept`)).status).toBe(403);
    expect((await client.send('DELETE', MAPS)).status).toBe(403);
    expect((await client.send('GET', `${MAPS}/kept`)).json.data).toEqual({});
    hook.on('/no', () => ({ allowed: false }));
    expect((await create('a')).json).toMatchObject({
      code: 400,
      message: 'admission webhook "no.example.com" denied the request without explanation',
    });
  });

  it('are asked at the same time', async () => {
    let both: (() => void) | undefined;
    const met = new Promise<void>((resolve) => {
      both = resolve;
    });
    let waiting = 0;
    for (const path of ['/one', '/two'])
      hook.on(path, async () => {
        waiting += 1;
        if (waiting === 2) both?.();
        await met;
        return { allowed: true };
      });
    await configure('validating', 'pair', [{ name: 'one.example.com' }, { name: 'two.example.com' }]);
    expect((await create('a')).status).toBe(201);
  });

  it('are heard in v1beta1 too', async () => {
    hook.on('/old', () => ({ allowed: false, status: { reason: 'Because' } }));
    await configure('validating', 'old', [{ name: 'old.example.com', admissionReviewVersions: ['v1beta1', 'v1'] }]);
    expect((await create('a')).json.message).toBe('admission webhook "old.example.com" denied the request: Because');
    expect(hook.seen[0]?.review.apiVersion).toBe('admission.k8s.io/v1beta1');
  });
});

describe('failures', () => {
  it('block the request, or let it pass, as the failure policy says', async () => {
    hook.on('/hang', () => undefined);
    await configure('validating', 'closed', [{ name: 'hang.example.com', timeoutSeconds: 1 }]);
    const blocked = await create('a');
    expect(blocked.json).toMatchObject({
      code: 500,
      reason: 'InternalError',
      message: `Internal error occurred: failed calling webhook "hang.example.com": failed to call webhook: Post "${hook.url}/hang?timeout=1s": context deadline exceeded`,
    });
    await expectOk(client.send('DELETE', made.pop() ?? ''));
    const open = { name: 'hang.example.com', timeoutSeconds: 1, failurePolicy: 'Ignore' };
    await configure('validating', 'open', [open]);
    expect((await create('a')).status).toBe(201);
    expect(notes.get('failed-open.validating.webhook.admission.k8s.io/round_0_index_0')).toBe('hang.example.com');
  });

  it('come of certificates that nobody vouches for, and of Services that are not there', async () => {
    await configure('validating', 'stranger', [{ name: 'no.example.com', clientConfig: { url: `${hook.url}/no` } }]);
    expect((await create('a')).json.message).toContain('x509: certificate signed by unknown authority');
    await expectOk(client.send('DELETE', made.pop() ?? ''));
    const service = { namespace: 'hooks', name: 'gone', path: '/x' };
    await configure('validating', 'gone', [{ name: 'gone.example.com', clientConfig: { service } }]);
    expect((await create('a')).json.message).toBe(
      'Internal error occurred: failed calling webhook "gone.example.com": failed to call webhook: Post "https://gone.hooks.svc:443/x?timeout=10s": service "gone" not found',
    );
  });

  it.each<{ what: string; response: Json; words: string }>([
    { what: 'another uid', response: { uid: 'x', allowed: true }, words: 'expected response.uid=' },
    {
      what: 'a patch without its type',
      response: { allowed: true, patch: 'W10=' },
      words: 'webhook returned response.patch but not response.patchType',
    },
    {
      what: 'a type without a patch',
      response: { allowed: true, patchType: 'JSONPatch' },
      words: 'webhook returned response.patchType but not response.patch',
    },
  ])('come of $what', async ({ response, words }) => {
    hook.on('/odd', () => response);
    await configure('mutating', 'odd', [{ name: 'odd.example.com' }]);
    expect((await create('a')).json.message).toContain(
      `Internal error occurred: failed calling webhook "odd.example.com": received invalid webhook response: ${words}`,
    );
  });

  it('come of patches that do not apply', async () => {
    hook.on('/odd', () => patchResponse([{ op: 'remove', path: '/data/absent' }]));
    await configure('mutating', 'odd', [{ name: 'odd.example.com' }]);
    expect((await create('a')).json).toMatchObject({ code: 500, reason: 'InternalError' });
    hook.on('/odd', () => patchResponse([{ op: 'add', path: '/metadata/labels', value: 7 }]));
    expect((await create('a')).status).toBe(500);
  });
});

describe('a webhook at a Service', () => {
  it('is reached at an endpoint', async () => {
    await expectOk(
      client.send('POST', '/api/v1/namespaces/hooks/services', {
        body: { metadata: { name: 'hook' }, spec: { ports: [{ port: 8443, targetPort: 1 }] } },
      }),
    );
    await expectOk(
      client.send('POST', '/apis/discovery.k8s.io/v1/namespaces/hooks/endpointslices', {
        body: {
          metadata: { name: 'hook-1', labels: { 'kubernetes.io/service-name': 'hook' } },
          addressType: 'IPv4',
          endpoints: [{ addresses: ['10.9.9.9'], conditions: { ready: true } }],
          ports: [{ name: '', port: hook.port }],
        },
      }),
    );
    hook.on('/svc', () => ({ allowed: false, status: { message: 'from the Service' } }));
    const clientConfig = { service: { namespace: 'hooks', name: 'hook', port: 8443, path: '/svc' }, caBundle: hook.caBundle };
    await configure('validating', 'svc', [{ name: 'svc.example.com', clientConfig }]);
    expect((await create('a')).json.message).toBe('admission webhook "svc.example.com" denied the request: from the Service');
  });
});

describe('mutating webhooks', () => {
  it('change the object one after another, by the names of their configurations', async () => {
    hook.on('/first', () => patchResponse([{ op: 'add', path: '/data', value: { stage: '1' } }]));
    hook.on('/second', ({ object }) => patchResponse([{ op: 'add', path: '/data/seen', value: object.data.stage }]));
    await configure('mutating', 'b', [{ name: 'second.example.com' }]);
    await configure('mutating', 'a', [{ name: 'first.example.com' }]);
    expect((await create('m')).json.data).toEqual({ stage: '1', seen: '1' });
    expect(notes.get('mutation.webhook.admission.k8s.io/round_0_index_1')).toBe(
      JSON.stringify({ configuration: 'b', webhook: 'second.example.com', mutated: true }),
    );
  });

  it('get what they add defaulted, pruned and validated', async () => {
    hook.on('/pod', () =>
      patchResponse([
        { op: 'add', path: '/spec/initContainers', value: [{ name: 'added', image: 'a' }] },
        { op: 'add', path: '/spec/unheardOf', value: true },
      ]),
    );
    await configure('mutating', 'pod', [{ name: 'pod.example.com', rules: [rule(['pods'])] }]);
    const body = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    const pod = (await expectOk(client.send('POST', '/api/v1/namespaces/default/pods', { body }))).json;
    expect(pod.spec.initContainers[0]).toMatchObject({ terminationMessagePolicy: 'File', imagePullPolicy: 'Always' });
    expect(pod.spec.unheardOf).toBeUndefined();
    hook.on('/pod', () => patchResponse([{ op: 'replace', path: '/spec/containers/0/name', value: 'Not A Name' }]));
    const refused = await client.send('POST', '/api/v1/namespaces/default/pods', { body: { ...body, metadata: { name: 'q' } } });
    expect(refused.json).toMatchObject({ code: 422, reason: 'Invalid' });
  });

  it('are asked again where a later one changed something, if they want to be', async () => {
    let last = 0;
    hook.on('/again', ({ object }) =>
      object.data?.late === undefined ? { allowed: true } : patchResponse([{ op: 'add', path: '/data/again', value: 'yes' }]),
    );
    hook.on('/never', () => ({ allowed: true }));
    hook.on('/late', ({ object }) => {
      last += 1;
      return object.data?.late === undefined ? patchResponse([{ op: 'add', path: '/data', value: { late: 'x' } }]) : { allowed: true };
    });
    await configure('mutating', 'r', [
      { name: 'again.example.com', reinvocationPolicy: 'IfNeeded' },
      { name: 'never.example.com', reinvocationPolicy: 'Never' },
      { name: 'late.example.com' },
    ]);
    expect((await create('m')).json.data).toEqual({ late: 'x', again: 'yes' });
    expect(paths()).toEqual(['/again', '/never', '/late', '/again']);
    expect(last).toBe(1);
  });

  it('cannot change what is deleted', async () => {
    await expectOk(create('m'));
    hook.on('/del', () => patchResponse([{ op: 'add', path: '/data', value: {} }]));
    await configure('mutating', 'del', [{ name: 'del.example.com', rules: [rule(['configmaps'], ['DELETE'])] }]);
    expect((await client.send('DELETE', `${MAPS}/m`)).json.message).toBe(
      'Internal error occurred: admission webhook "del.example.com" attempted to modify the object, which is not supported for this operation',
    );
  });
});

describe('who is asked', () => {
  beforeEach(() => hook.on('/who', () => ({ allowed: true })));

  it('depends on the labels of the Namespace and of the object, new or old', async () => {
    await expectOk(
      client.send('PATCH', '/api/v1/namespaces/hooks', {
        body: { metadata: { labels: { team: 'a' } } },
        contentType: 'application/merge-patch+json',
      }),
    );
    await configure('validating', 'ns', [{ name: 'who.example.com', namespaceSelector: { matchLabels: { team: 'a' } } }]);
    await expectOk(create('outside'));
    expect(paths()).toEqual([]);
    await expectOk(client.send('POST', '/api/v1/namespaces/hooks/configmaps', { body: { metadata: { name: 'inside' } } }));
    expect(paths()).toEqual(['/who']);
    await expectOk(client.send('DELETE', made.pop() ?? ''));
    hook.seen.length = 0;
    await configure('validating', 'obj', [{ name: 'who.example.com', objectSelector: { matchLabels: { ask: 'yes' } } }]);
    const labelled = (await expectOk(create('x', { metadata: { labels: { ask: 'yes' } } }))).json;
    await expectOk(create('y'));
    expect(paths()).toEqual(['/who']);
    await expectOk(client.send('PUT', `${MAPS}/x`, { body: { ...labelled, metadata: { name: 'x' } } }));
    expect(paths()).toEqual(['/who', '/who']);
  });

  it('depends on match conditions, and on what the user may do', async () => {
    await configure('validating', 'cond', [
      {
        name: 'who.example.com',
        matchConditions: [
          { name: 'not-skipped', expression: "object.metadata.name != 'skip-me'" },
          { name: 'allowed', expression: "authorizer.group('').resource('configmaps').namespace('default').check('delete').allowed()" },
          { name: 'created', expression: "request.operation == 'CREATE' && oldObject == null" },
        ],
      },
    ]);
    await expectOk(create('skip-me'));
    expect(paths()).toEqual([]);
    await expectOk(create('asked'));
    expect(paths()).toEqual(['/who']);
  });

  it('is refused, or not asked, where a condition cannot be evaluated', async () => {
    const matchConditions = [{ name: 'broken', expression: "object.nothing == 'x'" }];
    await configure('validating', 'broken', [{ name: 'who.example.com', matchConditions }]);
    const refused = await create('a');
    expect(refused.json).toMatchObject({ code: 403, reason: 'Forbidden' });
    expect(refused.json.message).toContain("expression 'object.nothing == 'x'' resulted in error: no such key: nothing");
    await expectOk(client.send('DELETE', made.pop() ?? ''));
    await configure('validating', 'broken', [{ name: 'who.example.com', matchConditions, failurePolicy: 'Ignore' }]);
    await expectOk(create('a'));
    expect(paths()).toEqual([]);
  });

  it('depends on operations, groups, versions, subresources and scope', async () => {
    await configure('validating', 'rules', [
      {
        name: 'who.example.com',
        rules: [
          rule(['pods/status'], ['UPDATE']),
          rule(['*'], ['CREATE'], { scope: 'Cluster' }),
          { operations: ['*'], apiGroups: ['apps'], apiVersions: ['*'], resources: ['*/*'] },
        ],
      },
    ]);
    await expectOk(create('none'));
    const pod = { metadata: { name: 'ruled' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    const made1 = (await expectOk(client.send('POST', '/api/v1/namespaces/default/pods', { body: pod }))).json;
    expect(paths()).toEqual([]);
    await expectOk(
      client.send('PUT', '/api/v1/namespaces/default/pods/ruled/status', { body: { ...made1, status: { phase: 'Running' } } }),
    );
    await expectOk(client.send('POST', '/api/v1/namespaces', { body: { metadata: { name: 'ruled' } } }));
    expect(hook.seen.map(({ review }) => [review.request.resource.resource, review.request.subResource, review.request.namespace])).toEqual(
      [
        ['pods', 'status', 'default'],
        ['namespaces', undefined, 'ruled'],
      ],
    );
  });

  it('is asked in the version of its rule, where the two are equivalent', async () => {
    const hpa = {
      apiVersion: 'autoscaling/v1',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'h' },
      spec: {
        maxReplicas: 3,
        targetCPUUtilizationPercentage: 50,
        scaleTargetRef: { kind: 'Deployment', name: 'd', apiVersion: 'apps/v1' },
      },
    };
    const v2 = { operations: ['CREATE'], apiGroups: ['autoscaling'], apiVersions: ['v2'], resources: ['horizontalpodautoscalers'] };
    await configure('validating', 'exact', [{ name: 'who.example.com', matchPolicy: 'Exact', rules: [v2] }]);
    const at = '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers';
    await expectOk(client.send('POST', at, { body: hpa }));
    expect(paths()).toEqual([]);
    hook.on('/equal', () => patchResponse([{ op: 'replace', path: '/spec/metrics/0/resource/target/averageUtilization', value: 60 }]));
    await configure('mutating', 'equal', [{ name: 'equal.example.com', rules: [v2] }]);
    const stored = (await expectOk(client.send('POST', at, { body: { ...hpa, metadata: { name: 'i' } } }))).json;
    expect(hook.seen[0]?.review.request).toMatchObject({
      kind: { group: 'autoscaling', version: 'v2', kind: 'HorizontalPodAutoscaler' },
      resource: { group: 'autoscaling', version: 'v2', resource: 'horizontalpodautoscalers' },
      requestKind: { version: 'v1' },
      requestResource: { version: 'v1' },
      object: { apiVersion: 'autoscaling/v2', spec: { metrics: [{ type: 'Resource' }] } },
    });
    expect(stored).toMatchObject({ apiVersion: 'autoscaling/v1', spec: { targetCPUUtilizationPercentage: 60 } });
  });

  it('is never asked about what configures admission', async () => {
    hook.on('/no', () => ({ allowed: false }));
    const all = { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] };
    await configure('validating', 'all', [{ name: 'no.example.com', rules: [all] }]);
    await configure('mutating', 'dummy', [{ name: 'who.example.com', rules: [rule(['secrets'])] }]);
    expect((await client.send('DELETE', made.pop() ?? '')).status).toBe(200);
    expect((await client.send('DELETE', made.pop() ?? '')).status).toBe(200);
    expect(paths()).toEqual([]);
  });

  it('changes with the configuration, at once', async () => {
    hook.on('/no', () => ({ allowed: false }));
    await configure('validating', 'live', [{ name: 'no.example.com' }]);
    const at = `${GROUP}/validatingwebhookconfigurations/live`;
    for (const [operations, status] of [
      [['UPDATE'], 201],
      [['CREATE'], 400],
      [['UPDATE'], 201],
    ] as const) {
      const patch = [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: operations }];
      await expectOk(client.send('PATCH', at, { body: patch, contentType: 'application/json-patch+json' }));
      const answer = await create(`live-${operations[0].toLowerCase()}`);
      expect(answer.status).toBe(status);
      if (status === 201) await client.send('DELETE', `${MAPS}/live-update`);
    }
    await expectOk(client.send('DELETE', at));
    expect((await create('after')).status).toBe(201);
  });

  it('takes part in dry runs only without side effects', async () => {
    await configure('validating', 'dry', [{ name: 'who.example.com', sideEffects: 'NoneOnDryRun' }]);
    expect((await create('a', {}, '?dryRun=All')).status).toBe(201);
    expect(hook.seen[0]?.review.request.dryRun).toBe(true);
  });
});

describe('subresources and connections', () => {
  it('show the body of their own kind', async () => {
    hook.on('/sub', () => ({ allowed: true }));
    const any = {
      operations: ['*'],
      apiGroups: ['*'],
      apiVersions: ['*'],
      resources: ['deployments/scale', 'pods/*', 'services/proxy', 'serviceaccounts/token'],
    };
    const selector = { matchLabels: { a: 'b' } };
    const deployment = {
      metadata: { name: 'd' },
      spec: { replicas: 1, selector, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } },
    };
    await expectOk(client.send('POST', '/apis/apps/v1/namespaces/default/deployments', { body: deployment }));
    const pod = { metadata: { name: 'sub' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    await expectOk(client.send('POST', '/api/v1/namespaces/default/pods', { body: pod }));
    await configure('validating', 'sub', [{ name: 'sub.example.com', rules: [any] }]);

    await expectOk(
      client.send('PATCH', '/apis/apps/v1/namespaces/default/deployments/d/scale', {
        body: { spec: { replicas: 4 } },
        contentType: 'application/merge-patch+json',
      }),
    );
    const binding = { metadata: { name: 'sub' }, target: { kind: 'Node', name: 'n' } };
    await expectOk(client.send('POST', '/api/v1/namespaces/default/pods/sub/binding', { body: binding }));
    await client.send('GET', '/api/v1/namespaces/default/pods/sub/attach?container=c&stdout=true');
    await client.send('GET', '/api/v1/namespaces/default/pods/sub/exec?command=ls&stdout=true');
    await client.send('GET', '/api/v1/namespaces/default/pods/sub/portforward?ports=80');
    await client.send('GET', '/api/v1/namespaces/default/services/s/proxy/metrics');
    await expectOk(client.send('POST', '/api/v1/namespaces/default/pods/sub/eviction', { body: { metadata: { name: 'sub' } } }));

    const shown = hook.seen.map(({ review: { request } }) => [
      `${request.operation} ${request.resource.resource}/${request.subResource}`,
      `${request.kind.group}/${request.kind.version} ${request.kind.kind}`,
      `${request.object?.kind} ${request.options?.kind ?? 'none'}`,
    ]);
    expect(shown).toEqual([
      ['UPDATE deployments/scale', 'autoscaling/v1 Scale', 'Scale UpdateOptions'],
      ['CREATE pods/binding', '/v1 Binding', 'Binding CreateOptions'],
      ['CONNECT pods/attach', '/v1 PodAttachOptions', 'PodAttachOptions none'],
      ['CONNECT pods/exec', '/v1 PodExecOptions', 'PodExecOptions none'],
      ['CONNECT pods/portforward', '/v1 PodPortForwardOptions', 'PodPortForwardOptions none'],
      ['CONNECT services/proxy', '/v1 ServiceProxyOptions', 'ServiceProxyOptions none'],
      ['CREATE pods/eviction', 'policy/v1 Eviction', 'Eviction CreateOptions'],
    ]);
    expect(hook.seen[0]?.review.request).toMatchObject({ object: { spec: { replicas: 4 } }, oldObject: { spec: { replicas: 1 } } });
    expect(hook.seen[3]?.review.request.object).toEqual({
      kind: 'PodExecOptions',
      apiVersion: 'v1',
      stdout: true,
      container: 'c',
      command: ['ls'],
    });
  });

  it('and reviews, which webhooks are asked about too', async () => {
    hook.on('/no', () => ({ allowed: false, status: { message: 'ask nothing' } }));
    const reviews = {
      operations: ['CREATE'],
      apiGroups: ['authorization.k8s.io'],
      apiVersions: ['v1'],
      resources: ['selfsubjectaccessreviews'],
    };
    await configure('validating', 'reviews', [{ name: 'no.example.com', rules: [reviews] }]);
    const spec = { resourceAttributes: { verb: 'get', resource: 'pods' } };
    const at = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    expect((await client.send('POST', at, { body: { spec } })).json.message).toContain('denied the request: ask nothing');
    expect(hook.seen[0]?.review.request).toMatchObject({
      kind: { group: 'authorization.k8s.io', version: 'v1', kind: 'SelfSubjectAccessReview' },
      object: { kind: 'SelfSubjectAccessReview', spec },
    });
    await expectOk(client.send('DELETE', made.pop() ?? ''));
    expect((await client.send('POST', at, { body: { spec } })).json.status.allowed).toBe(true);
  });

  it('can be refused and changed', async () => {
    const pod = { metadata: { name: 'held' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    await expectOk(client.send('POST', '/api/v1/namespaces/default/pods', { body: pod }));
    hook.on('/no', () => ({ allowed: false, status: { message: 'attaching to pod is not allowed' } }));
    await configure('validating', 'attach', [
      { name: 'no.example.com', rules: [rule(['pods/attach', 'pods/eviction'], ['CONNECT', 'CREATE'])] },
    ]);
    const attached = await client.send('GET', '/api/v1/namespaces/default/pods/held/attach?container=c&stdout=true');
    expect(attached.json.message).toBe('admission webhook "no.example.com" denied the request: attaching to pod is not allowed');
    expect((await client.send('POST', '/api/v1/namespaces/default/pods/held/eviction', { body: {} })).status).toBe(400);
    expect((await client.send('GET', '/api/v1/namespaces/default/pods/held')).status).toBe(200);
    hook.on('/less', () => patchResponse([{ op: 'replace', path: '/spec/replicas', value: 2 }]));
    const scale = { operations: ['UPDATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments/scale'] };
    await configure('mutating', 'less', [{ name: 'less.example.com', rules: [scale] }]);
    const merge = { body: { spec: { replicas: 9 } }, contentType: 'application/merge-patch+json' };
    const scaled = await expectOk(client.send('PATCH', '/apis/apps/v1/namespaces/default/deployments/d/scale', merge));
    expect(scaled.json.spec.replicas).toBe(2);
  });
});

describe('custom resources', () => {
  it('are shown in the version of the request, and pruned after they were changed', async () => {
    const definition = databaseDefinition() as Json;
    const { group, names, versions } = definition.spec;
    await expectOk(client.send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: definition }));
    const at = (version: string): string => `/apis/${group}/${version}/namespaces/default/${names.plural}`;
    await expect.poll(async () => (await client.send('GET', at(versions[0].name))).status).toBe(200);
    hook.on('/db', () =>
      patchResponse([
        { op: 'add', path: '/spec/image', value: 'changed' },
        { op: 'add', path: '/spec/unheardOf', value: 1 },
      ]),
    );
    const any = { operations: ['*'], apiGroups: [group], apiVersions: ['*'], resources: [names.plural] };
    await configure('mutating', 'db', [{ name: 'db.example.com', rules: [{ ...any, operations: ['CREATE'] }] }]);
    for (const { name: version } of versions) {
      const body = { apiVersion: `${group}/${version}`, kind: names.kind, metadata: { name: `db-${version}` }, spec: { instances: 1 } };
      const stored = (await expectOk(client.send('POST', at(version), { body }))).json;
      expect(hook.seen.at(-1)?.review.request.object.apiVersion).toBe(`${group}/${version}`);
      expect(stored.apiVersion).toBe(`${group}/${version}`);
      expect(stored.spec.image).toBe('changed');
      expect(stored.spec.unheardOf).toBeUndefined();
    }
    hook.on('/no', () => ({ allowed: false }));
    await configure('validating', 'db', [{ name: 'no.example.com', rules: [any] }]);
    const one = `${at(versions[0].name)}/db-${versions[0].name}`;
    expect((await client.send('DELETE', one)).status).toBe(400);
    const merge = { body: { spec: { instances: 2 } }, contentType: 'application/merge-patch+json' };
    expect((await client.send('PATCH', one, merge)).status).toBe(400);
  });

  it('that a webhook converts are shown in the version of the rule, and changed there', async () => {
    const group = 'converted.example.com';
    const text = { type: 'string' };
    const schema = (properties: Json): Json => ({ openAPIV3Schema: { type: 'object', properties } });
    const version = (name: string, properties: Json): Json => ({ name, served: true, storage: name === 'v1', schema: schema(properties) });
    // `v1` says `place: host:port`, `v2` says `host` and `port`.
    hook.on('/convert', ({ desiredAPIVersion, objects }) => ({
      result: { status: 'Success' },
      convertedObjects: objects.map(({ apiVersion, place, host, port, ...rest }: Json) => {
        const [from, to] = apiVersion.endsWith('/v1') ? String(place).split(':') : [host, port];
        const fields = desiredAPIVersion.endsWith('/v1') ? { place: `${from}:${to}` } : { host: from, port: to };
        return { ...rest, ...fields, apiVersion: desiredAPIVersion };
      }),
    }));
    const definition = {
      metadata: { name: `places.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural: 'places', kind: 'Place' },
        conversion: { strategy: 'Webhook', webhook: { clientConfig: hook.at('/convert'), conversionReviewVersions: ['v1'] } },
        versions: [version('v1', { place: text }), version('v2', { host: text, port: text })],
      },
    };
    await expectOk(client.send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: definition }));
    const at = `/apis/${group}/v1/namespaces/default/places`;
    await expect.poll(async () => (await client.send('GET', at)).status).toBe(200);
    hook.on('/place', () => patchResponse([{ op: 'replace', path: '/port', value: '9' }]));
    hook.on('/seen', () => ({ allowed: true }));
    const rules = [{ operations: ['*'], apiGroups: [group], apiVersions: ['v2'], resources: ['places'] }];
    await configure('mutating', 'place', [{ name: 'place.example.com', rules: [{ ...rules[0], operations: ['CREATE'] }] }]);
    await configure('validating', 'seen', [{ name: 'seen.example.com', rules }]);
    const body = { apiVersion: `${group}/v1`, kind: 'Place', metadata: { name: 'p' }, place: 'h:1' };
    const stored = (await expectOk(client.send('POST', at, { body }))).json;
    expect(stored).toMatchObject({ apiVersion: `${group}/v1`, place: 'h:9' });
    expect(stored.port).toBeUndefined();
    await expectOk(client.send('DELETE', `${at}/p`));
    const shown = hook.seen
      .filter(({ path }) => path !== '/convert')
      .map(({ path, review: { request } }) => [path, request.object, request.oldObject]);
    expect(shown).toEqual([
      ['/place', expect.objectContaining({ apiVersion: `${group}/v2`, host: 'h', port: '1' }), null],
      ['/seen', expect.objectContaining({ apiVersion: `${group}/v2`, host: 'h', port: '9' }), null],
      ['/seen', null, expect.objectContaining({ apiVersion: `${group}/v2`, host: 'h', port: '9' })],
    ]);
  });

  it('and their definitions can be refused', async () => {
    hook.on('/no', () => ({ allowed: false, status: { message: 'the definition contains unwanted label' } }));
    const crds = {
      operations: ['CREATE'],
      apiGroups: ['apiextensions.k8s.io'],
      apiVersions: ['*'],
      resources: ['customresourcedefinitions'],
    };
    await configure('validating', 'crd', [{ name: 'no.example.com', rules: [crds] }]);
    const definition = databaseDefinition() as Json;
    definition.metadata.name = `others.${definition.spec.group}`;
    definition.spec.names = { plural: 'others', kind: 'Other' };
    const refused = await client.send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: definition });
    expect(refused.json.message).toContain('denied the request: the definition contains unwanted label');
  });
});
