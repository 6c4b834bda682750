import { builtinKinds, KindRegistry } from '@dure/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';

const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
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

interface Container {
  readonly name: string;
  readonly image?: string;
  readonly env?: readonly { readonly name: string; readonly value: string }[];
}

function deployment(
  name: string,
  containers: readonly Container[],
  spec: Record<string, unknown> = {},
  labels?: Record<string, string>,
): Record<string, unknown> {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, ...(labels === undefined ? {} : { labels }) },
    spec: { selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, spec: { containers } }, ...spec },
  };
}

function apply(name: string, body: Record<string, unknown>, manager: string, query = ''): Promise<Answer> {
  return client.send('PATCH', `${DEPLOYMENTS}/${name}?fieldManager=${manager}${query}`, {
    body,
    contentType: 'application/apply-patch+yaml',
  });
}

const containersOf = (answer: Answer): Container[] => answer.json.spec.template.spec.containers;

describe('server-side apply', () => {
  it('creates, and does not write again what is so already', async () => {
    const body = deployment('same', [{ name: 'c', image: 'i' }]);
    const first = await apply('same', body, 'one');
    expect(first.status).toBe(201);
    const again = await apply('same', body, 'one');
    expect(again.status).toBe(200);
    expect(again.json).toEqual(first.json);
    expect(first.json.metadata.managedFields).toEqual([
      expect.objectContaining({ manager: 'one', operation: 'Apply', apiVersion: 'apps/v1', fieldsType: 'FieldsV1' }),
    ]);
    const { fieldsV1 } = first.json.metadata.managedFields[0];
    expect(fieldsV1['f:spec']['f:template']['f:spec']['f:containers']).toEqual({
      'k:{"name":"c"}': { '.': {}, 'f:image': {}, 'f:name': {} },
    });
    expect(fieldsV1['f:spec']['f:replicas']).toBeUndefined();
  });

  it("lets two managers own different items of one list and removes only one's own", async () => {
    await apply('two', deployment('two', [{ name: 'a', image: 'i' }]), 'one');
    const both = await apply('two', deployment('two', [{ name: 'b', image: 'j' }]), 'two');
    expect(containersOf(both).map(({ name }) => name)).toEqual(['a', 'b']);
    const renamed = await apply('two', deployment('two', [{ name: 'c', image: 'k' }]), 'two');
    expect(containersOf(renamed).map(({ name }) => name)).toEqual(['a', 'c']);
  });

  it('keeps what another manager wants too, until nobody does', async () => {
    await apply('shared', deployment('shared', [{ name: 'c', image: 'i' }], {}, { tier: 'x' }), 'one');
    await apply('shared', deployment('shared', [{ name: 'c', image: 'i' }], {}, { tier: 'x' }), 'two');
    expect((await apply('shared', deployment('shared', [{ name: 'c', image: 'i' }]), 'one')).json.metadata.labels).toEqual({ tier: 'x' });
    expect((await apply('shared', deployment('shared', [{ name: 'c', image: 'i' }]), 'two')).json.metadata.labels).toBeUndefined();
  });

  it('refuses to change what another applied, names the fields, and takes them over by force', async () => {
    await apply('fought', deployment('fought', [{ name: 'c', image: 'i' }], { replicas: 1 }), 'one');
    const refused = await apply('fought', deployment('fought', [{ name: 'c', image: 'j' }], { replicas: 2 }), 'two');
    expect(refused.json).toMatchObject({ code: 409, reason: 'Conflict' });
    expect(refused.json.message).toMatch(/^Apply failed with 2 conflicts: conflicts with "one":\n- \./);
    expect(refused.json.details.causes.map(({ field }: { field: string }) => field).sort()).toEqual([
      '.spec.replicas',
      '.spec.template.spec.containers[name="c"].image',
    ]);
    const forced = await apply('fought', deployment('fought', [{ name: 'c', image: 'j' }], { replicas: 2 }), 'two', '&force=true');
    expect(forced.json.spec.replicas).toBe(2);
    const loser = forced.json.metadata.managedFields.find(({ manager }: { manager: string }) => manager === 'one');
    expect(loser.fieldsV1['f:spec']['f:replicas']).toBeUndefined();
  });

  it.each(['', '&fieldValidation=Ignore', '&fieldValidation=Strict'])(
    'refuses fields that no schema has, asked with "%s"',
    async (query) => {
      const body = deployment('odd', [{ name: 'a', image: 'x' }], { unknown: 1 });
      const one = await apply('odd', body, 'ann', query);
      expect(one.json).toMatchObject({ code: 500, status: 'Failure' });
      expect(one.json.reason).toBeUndefined();
      expect(one.json.message).toBe(
        'failed to create typed patch object (/odd; apps/v1, Kind=Deployment): .spec.unknown: field not declared in schema',
      );
      const two = await apply('odd', { ...body, metadata: { name: 'odd', odd: 1 } }, 'ann', query);
      expect(two.json.message).toContain(
        'errors:\n  .metadata.odd: field not declared in schema\n  .spec.unknown: field not declared in schema',
      );
      expect((await client.send('GET', `${DEPLOYMENTS}/odd`)).status).toBe(404);
    },
  );

  it('leaves to an updater what it changed, and gives up a field without taking it away', async () => {
    await apply('scaled', deployment('scaled', [{ name: 'c', image: 'i' }], { replicas: 1 }), 'one');
    await client.send('PATCH', `${DEPLOYMENTS}/scaled?fieldManager=scaler`, {
      body: { spec: { replicas: 5 } },
      contentType: 'application/merge-patch+json',
    });
    const refused = await apply('scaled', deployment('scaled', [{ name: 'c', image: 'i' }], { replicas: 1 }), 'one');
    expect(refused.json.message).toContain('conflict with "scaler" using apps/v1: .spec.replicas');
    const left = await apply('scaled', deployment('scaled', [{ name: 'c', image: 'i' }]), 'one');
    expect(left.json.spec.replicas).toBe(5);
  });

  it('notes status writes under their subresource', async () => {
    await apply('stated', deployment('stated', [{ name: 'c', image: 'i' }]), 'one');
    const { json } = await client.send('PATCH', `${DEPLOYMENTS}/stated/status?fieldManager=controller`, {
      body: { status: { replicas: 3 } },
      contentType: 'application/merge-patch+json',
    });
    expect(json.metadata.managedFields).toContainEqual(
      expect.objectContaining({
        manager: 'controller',
        operation: 'Update',
        subresource: 'status',
        fieldsV1: { 'f:status': { 'f:replicas': {} } },
      }),
    );
  });

  it('starts from a clean slate when managedFields are reset', async () => {
    await apply('reset', deployment('reset', [{ name: 'c', image: 'i' }]), 'one');
    const { json } = await client.send('PATCH', `${DEPLOYMENTS}/reset?fieldManager=x`, {
      body: { metadata: { managedFields: [{}] } },
      contentType: 'application/merge-patch+json',
    });
    expect(json.metadata.managedFields).toBeUndefined();
  });

  it('gives each key of a list its own owner, whatever the protocol default', async () => {
    const port = (number: number, protocol?: string) => ({ containerPort: number, ...(protocol === undefined ? {} : { protocol }) });
    const container = { name: 'c', image: 'i', ports: [port(80), port(53, 'UDP'), port(53)] };
    const { json } = await apply('ports', deployment('ports', [container]), 'one');
    const fields = json.metadata.managedFields[0].fieldsV1['f:spec']['f:template']['f:spec']['f:containers']['k:{"name":"c"}']['f:ports'];
    expect(Object.keys(fields)).toEqual([
      'k:{"containerPort":53,"protocol":"TCP"}',
      'k:{"containerPort":53,"protocol":"UDP"}',
      'k:{"containerPort":80,"protocol":"TCP"}',
    ]);
    expect(
      (await apply('ports', deployment('ports', [{ ...container, ports: [port(53, 'UDP')] } as Container]), 'one')).json.spec.template.spec
        .containers[0].ports,
    ).toEqual([port(53, 'UDP')]);
  });

  it.each([
    ['no manager', '', deployment('bad', []), 422],
    ['managedFields of its own', 'fieldManager=x', { ...deployment('bad', []), metadata: { name: 'bad', managedFields: [{}] } }, 400],
    ['no kind', 'fieldManager=x', { metadata: { name: 'bad' } }, 400],
    ['another name', 'fieldManager=x', deployment('other', []), 400],
  ])('refuses an apply with %s', async (_name, query, body, code) => {
    const answer = await client.send('PATCH', `${DEPLOYMENTS}/bad?${query}`, { body, contentType: 'application/apply-patch+yaml' });
    expect(answer.json).toMatchObject({ kind: 'Status', code });
    expect((await client.send('GET', `${DEPLOYMENTS}/bad`)).status).toBe(404);
  });
});
