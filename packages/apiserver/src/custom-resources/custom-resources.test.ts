import { builtinKinds, type JsonObject, KindRegistry } from '@dure/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { database, databaseDefinition } from '../testing/sample-definitions.ts';
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

describe('custom resources over HTTPS', () => {
  let server: TestServer;
  let client: TestClient;

  beforeAll(async () => {
    server = await startTestServer(new KindRegistry(builtinKinds));
    client = testClient(server);
    const made = await client.send('POST', CRDS, { body: databaseDefinition() });
    expect(made.text).toContain('"storedVersions":["v1"]');
    expect(made.status).toBe(201);
    await established(client, 'databases.acid.example.org');
  });

  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it('makes an object with what its schema defaults, and prunes what it does not know', async () => {
    const made = await client.send('POST', DATABASES, {
      body: database('a', { image: 'pg:16', unknown: 1, databases: [{ name: 'x', more: true }], extra: { known: 'k', any: { thing: 1 } } }),
    });
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
    });
    expect(String(made.headers.warning)).toContain('unknown field \\"spec.unknown\\"');
  });
});
