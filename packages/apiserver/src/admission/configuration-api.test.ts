import { builtinKinds, KindRegistry } from '@dure/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';

type Json = ReturnType<typeof JSON.parse>;

const GROUP = '/apis/admissionregistration.k8s.io/v1';
const rule = { operations: ['CREATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'] };
const matchConditions = [{ name: 'named', expression: "object.metadata.name != 'x'" }];
const webhook = {
  name: 'hook.example.com',
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
  rules: [rule],
  matchConditions,
  clientConfig: { service: { namespace: 'a', name: 'b' } },
};
const mutations = [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression: 'Object{spec: Object.spec{replicas: 1}}' } }];
const matchConstraints = { resourceRules: [rule] };

let server: TestServer;
let client: TestClient;

beforeAll(async () => {
  server = await startTestServer(new KindRegistry(builtinKinds));
  client = testClient(server);
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

describe.each<{ kind: string; resource: string; body: Json; defaulted: Json; change: Json }>([
  {
    kind: 'MutatingWebhookConfiguration',
    resource: 'mutatingwebhookconfigurations',
    body: { webhooks: [webhook] },
    defaulted: {
      webhooks: [
        {
          matchConditions,
          failurePolicy: 'Fail',
          matchPolicy: 'Equivalent',
          timeoutSeconds: 10,
          reinvocationPolicy: 'Never',
          rules: [{ scope: '*' }],
        },
      ],
    },
    change: { webhooks: [{ ...webhook, timeoutSeconds: 3 }] },
  },
  {
    kind: 'ValidatingWebhookConfiguration',
    resource: 'validatingwebhookconfigurations',
    body: { webhooks: [webhook] },
    defaulted: { webhooks: [{ matchConditions, failurePolicy: 'Fail', timeoutSeconds: 10, clientConfig: { service: { port: 443 } } }] },
    change: { webhooks: [{ ...webhook, timeoutSeconds: 3 }] },
  },
  {
    kind: 'ValidatingAdmissionPolicy',
    resource: 'validatingadmissionpolicies',
    body: { spec: { matchConstraints, validations: [{ expression: 'true' }] } },
    defaulted: {
      spec: { failurePolicy: 'Fail', matchConstraints: { matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {} } },
    },
    change: { spec: { failurePolicy: 'Ignore' } },
  },
  {
    kind: 'ValidatingAdmissionPolicyBinding',
    resource: 'validatingadmissionpolicybindings',
    body: { spec: { policyName: 'replicas.example.com', validationActions: ['Deny'] } },
    defaulted: { spec: { policyName: 'replicas.example.com' } },
    change: { spec: { validationActions: ['Warn'] } },
  },
  {
    kind: 'MutatingAdmissionPolicy',
    resource: 'mutatingadmissionpolicies',
    body: { spec: { matchConstraints, mutations, reinvocationPolicy: 'Never' } },
    defaulted: { spec: { failurePolicy: 'Fail', matchConstraints: { matchPolicy: 'Equivalent' } } },
    change: { spec: { failurePolicy: 'Ignore' } },
  },
  {
    kind: 'MutatingAdmissionPolicyBinding',
    resource: 'mutatingadmissionpolicybindings',
    body: { spec: { policyName: 'replicas.example.com' } },
    defaulted: { spec: { policyName: 'replicas.example.com' } },
    change: { spec: { policyName: 'others.example.com' } },
  },
])('$kind', ({ kind, resource, body, defaulted, change }) => {
  const at = `${GROUP}/${resource}`;
  const labels = { 'e2e-test': 'yes' };

  it('is created, read, listed, watched, patched, updated and deleted with its collection', async () => {
    const { resources } = (await client.send('GET', GROUP)).json;
    expect(resources).toContainEqual(expect.objectContaining({ name: resource, kind, namespaced: false }));
    for (const name of ['one', 'two']) {
      const created = await client.send('POST', at, { body: { metadata: { name, labels }, ...body } });
      expect(created.text).toContain('"uid"');
      expect(created.json).toMatchObject({ ...defaulted, metadata: { name, generation: 1 } });
    }
    const one = (await client.send('GET', `${at}/one`)).json;
    const list = (await client.send('GET', `${at}?labelSelector=e2e-test%3Dyes`)).json;
    expect(list.items.map(({ metadata }: Json) => metadata.name)).toEqual(['one', 'two']);

    const stop = new AbortController();
    const events = client.watch(`${at}?watch=1&resourceVersion=${list.metadata.resourceVersion}`, stop.signal)[Symbol.asyncIterator]();
    const patch = { body: { metadata: { annotations: { patched: 'true' } }, ...change }, contentType: 'application/merge-patch+json' };
    const patched = (await client.send('PATCH', `${at}/one`, patch)).json;
    expect(patched.metadata).toMatchObject({ generation: 2, annotations: { patched: 'true' } });
    // The server's own status writes may come between.
    let seen: Json;
    do seen = (await events.next()).value;
    while (seen.object.metadata.annotations?.patched !== 'true');
    expect(seen).toMatchObject({ type: 'MODIFIED', object: { metadata: { name: 'one' } } });

    expect((await client.send('PUT', `${at}/one`, { body: one })).json.reason).toBe('Conflict');
    patched.metadata.annotations.updated = 'true';
    delete patched.metadata.resourceVersion;
    const updated = (await client.send('PUT', `${at}/one`, { body: patched })).json;
    expect(updated.metadata).toMatchObject({ generation: 2, annotations: { updated: 'true' } });

    expect((await client.send('DELETE', `${at}/one`)).status).toBe(200);
    expect((await client.send('DELETE', `${at}?labelSelector=e2e-test%3Dyes`)).status).toBe(200);
    expect((await client.send('GET', at)).json.items).toEqual([]);
    stop.abort();
  });
});

describe('the status of a ValidatingAdmissionPolicy', () => {
  it('has a door of its own', async () => {
    const at = `${GROUP}/validatingadmissionpolicies`;
    const body = { metadata: { name: 'p' }, spec: { matchConstraints, validations: [{ expression: 'true' }] } };
    await client.send('POST', at, { body });
    const conditions = [{ type: 'T', status: 'True', reason: 'R', message: 'M', lastTransitionTime: '2026-01-01T00:00:00Z' }];
    const merge = { body: { status: { conditions }, spec: { failurePolicy: 'Ignore' } }, contentType: 'application/merge-patch+json' };
    expect((await client.send('PATCH', `${at}/p/status`, merge)).json).toMatchObject({
      status: { conditions: [{ type: 'T' }] },
      spec: { failurePolicy: 'Fail' },
    });
    await client.send('DELETE', `${at}/p`);
  });
});
