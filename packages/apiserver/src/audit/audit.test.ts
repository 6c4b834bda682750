import { builtinKinds, KindRegistry } from '@dure/api';
import { systemClock } from '@dure/foundation';
import { afterEach, describe, expect, it } from 'vitest';
import { admitAll, allowKnown, startTestServer, type TestClient, type TestServer, testClient } from '../testing/index.ts';
import type { AuditEvent } from './audit-event.ts';
import { parseAuditPolicy } from './audit-policy.ts';
import { PolicyAuditor } from './policy-auditor.ts';

const SECRETS = '/api/v1/namespaces/default/secrets';
let server: TestServer | undefined;
let client: TestClient | undefined;

afterEach(async () => {
  await client?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** A server that writes down what `rules` say. */
async function start(
  rules: readonly object[],
  more: object = {},
  options: Parameters<typeof startTestServer>[1] = {},
): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  const auditor = new PolicyAuditor({
    policy: parseAuditPolicy(JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules, ...more })),
    sinks: [{ record: (event) => void events.push(JSON.parse(JSON.stringify(event))), async [Symbol.asyncDispose]() {} }],
    clock: systemClock,
  });
  server = await startTestServer(new KindRegistry(builtinKinds), { auditor, ...options });
  client = testClient(server);
  return events;
}

const send: TestClient['send'] = (...args) => {
  if (client === undefined) throw new Error('no server');
  return client.send(...args);
};

describe('events', () => {
  it('tell who asked for what, when, and what came of it', async () => {
    const events = await start([{ level: 'Metadata' }]);
    const answer = await send('GET', `${SECRETS}?limit=5`, {
      headers: { 'user-agent': 'test/1', 'x-forwarded-for': '192.0.2.1, 192.0.2.2' },
    });
    expect(events.map(({ stage }) => stage)).toEqual(['RequestReceived', 'ResponseComplete']);
    expect(events[1]).toMatchObject({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'Metadata',
      auditID: answer.headers['audit-id'],
      requestURI: `${SECRETS}?limit=5`,
      verb: 'list',
      user: { username: 'admin', groups: ['system:masters', 'system:authenticated'] },
      sourceIPs: ['192.0.2.1', '192.0.2.2', '127.0.0.1'],
      userAgent: 'test/1',
      objectRef: { resource: 'secrets', namespace: 'default', apiVersion: 'v1' },
      responseStatus: { metadata: {}, code: 200 },
      annotations: { 'authorization.k8s.io/decision': 'allow', 'authorization.k8s.io/reason': '' },
    });
    expect(events[0]?.responseStatus).toBeUndefined();
    for (const { requestReceivedTimestamp, stageTimestamp } of events) {
      expect(String(requestReceivedTimestamp)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      expect(String(stageTimestamp) >= String(requestReceivedTimestamp)).toBe(true);
    }
  });

  it('of one request share the id that the client gave, or a new one', async () => {
    const events = await start([{ level: 'Metadata' }]);
    expect((await send('GET', SECRETS, { headers: { 'audit-id': 'mine' } })).headers['audit-id']).toBe('mine');
    expect(new Set(events.map(({ auditID }) => auditID))).toEqual(new Set(['mine']));
    const [one, other] = [await send('GET', SECRETS), await send('GET', SECRETS)].map(({ headers }) => headers['audit-id']);
    expect(one).toMatch(/^[0-9a-f-]{36}$/);
    expect(one).not.toBe(other);
  });

  it('at Metadata name what was made and hold nothing of it', async () => {
    const events = await start([{ level: 'Metadata' }]);
    const secret = { metadata: { name: 'a' }, stringData: { password: 'hunter2' } };
    await send('POST', SECRETS, { body: secret });
    await send('POST', SECRETS, { body: { ...secret, metadata: { generateName: 'b-' } } });
    await send('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { body: { spec: { token: 'hunter2' } } });
    expect(events[1]?.objectRef).toEqual({ resource: 'secrets', namespace: 'default', name: 'a', apiVersion: 'v1' });
    expect(JSON.stringify(events)).not.toMatch(/hunter2|aHVudGVyMg/);
  });

  it('at Request hold what was sent, at RequestResponse what was answered too', async () => {
    const events = await start([{ level: 'Request', verbs: ['create'] }, { level: 'RequestResponse' }]);
    await send('POST', '/api/v1/namespaces/default/configmaps', { body: { metadata: { name: 'a' }, data: { x: '1' } } });
    expect(events[1]).toMatchObject({ requestObject: { metadata: { name: 'a' }, data: { x: '1' } } });
    expect(events[1]?.responseObject).toBeUndefined();
    const patch = { body: { data: { y: '2' } }, contentType: 'application/merge-patch+json' };
    await send('PATCH', '/api/v1/namespaces/default/configmaps/a', patch);
    const apply = { body: 'data: {z: "3"}', contentType: 'application/apply-patch+yaml' };
    await send('PATCH', '/api/v1/namespaces/default/configmaps/a?fieldManager=f&force=true', apply);
    expect(events[5]).toMatchObject({ requestObject: { data: { z: '3' } } });
    expect(events[2]?.requestObject).toBeUndefined();
    expect(events[3]).toMatchObject({
      verb: 'patch',
      requestObject: { data: { y: '2' } },
      responseObject: { kind: 'ConfigMap', data: { x: '1', y: '2' }, metadata: { managedFields: expect.anything() } },
    });
  });

  it('leave managed fields out where the policy says so, in lists too', async () => {
    const events = await start([{ level: 'RequestResponse' }], { omitManagedFields: true, omitStages: ['RequestReceived'] });
    await send('POST', '/api/v1/namespaces/default/configmaps', { body: { metadata: { name: 'a' }, data: { x: '1' } } });
    const list = await send('GET', '/api/v1/namespaces/default/configmaps');
    expect(list.json.items[0].metadata.managedFields).toBeDefined();
    expect(events).toHaveLength(2);
    expect(events[1]?.responseObject).toMatchObject({ items: [{ data: { x: '1' } }] });
    expect(JSON.stringify(events)).not.toContain('managedFields');
  });

  it('of failures hold what the client was told', async () => {
    const events = await start([{ level: 'RequestResponse', omitStages: ['RequestReceived'] }]);
    await send('GET', `${SECRETS}/none`);
    expect(events[0]).toMatchObject({
      stage: 'ResponseComplete',
      responseStatus: { metadata: {}, status: 'Failure', reason: 'NotFound', message: 'secrets "none" not found', code: 404 },
      responseObject: { kind: 'Status', reason: 'NotFound' },
    });
  });

  it('tell of refusals', async () => {
    const events = await start(
      [{ level: 'Metadata', omitStages: ['RequestReceived'] }],
      {},
      {
        authorizer: () => ({ ...allowKnown, authorize: async () => ({ decision: 'no-opinion', reason: 'not today' }) }),
      },
    );
    await send('GET', SECRETS);
    expect(events[0]).toMatchObject({
      responseStatus: { code: 403, reason: 'Forbidden' },
      annotations: { 'authorization.k8s.io/decision': 'forbid', 'authorization.k8s.io/reason': 'not today' },
    });
  });

  it('tell of senders that nobody knows', async () => {
    const events = await start(
      [{ level: 'RequestResponse' }],
      {},
      {
        authenticator: () => ({ authenticate: async () => undefined, reviewToken: async () => ({}) }),
      },
    );
    const answer = await send('GET', SECRETS, { anonymous: true, headers: { authorization: 'Bearer hunter2' } });
    expect(answer.status).toBe(401);
    expect(events).toMatchObject([
      {
        stage: 'ResponseStarted',
        user: { username: '' },
        responseStatus: { code: 401, message: 'Authentication failed, attempted: bearer' },
      },
    ]);
    expect(JSON.stringify(events)).not.toContain('hunter2');
  });

  it('tell who acts as whom', async () => {
    const events = await start([{ level: 'Metadata', users: ['admin'] }]);
    await send('GET', SECRETS, { headers: { 'impersonate-user': 'jane', 'impersonate-uid': '7', 'impersonate-group': 'dev' } });
    expect(events[1]).toMatchObject({
      user: { username: 'admin' },
      impersonatedUser: { username: 'jane', uid: '7', groups: ['dev', 'system:authenticated'] },
    });
  });

  it('of watches come when they begin and when they end', async () => {
    const events = await start([{ level: 'RequestResponse' }]);
    const stop = new AbortController();
    const watching = (async () => {
      for await (const _event of client?.watch(`${SECRETS}?watch=true`, stop.signal) ?? []) stop.abort();
    })();
    await expect.poll(() => events.map(({ stage }) => stage)).toEqual(['RequestReceived', 'ResponseStarted']);
    await send('POST', '/api/v1/namespaces/default/secrets', { body: { metadata: { name: 'a' } } });
    await watching;
    await expect.poll(() => events.filter(({ verb, stage }) => verb === 'watch' && stage === 'ResponseComplete').length).toBe(1);
    expect(events.find(({ stage, verb }) => verb === 'watch' && stage === 'ResponseComplete')?.responseObject).toBeUndefined();
  });

  it('carry the notes of admission, the first of each key', async () => {
    const events = await start(
      [{ level: 'Metadata', omitStages: ['RequestReceived'] }],
      {},
      {
        admission: () => ({
          ...admitAll,
          async mutate(request) {
            request.annotate('example.com/note', 'one');
            request.annotate('example.com/note', 'two');
          },
        }),
      },
    );
    await send('POST', SECRETS, { body: { metadata: { name: 'a' } } });
    expect(events[0]?.annotations).toMatchObject({ 'example.com/note': 'one' });
  });

  it('tell of faults of the server without their cause', async () => {
    const events = await start(
      [{ level: 'Metadata', omitStages: ['RequestReceived'] }],
      {},
      {
        admission: () => ({
          ...admitAll,
          async validate() {
            throw new TypeError('a fault of ours');
          },
        }),
      },
    );
    expect((await send('POST', SECRETS, { body: { metadata: { name: 'a' } } })).status).toBe(500);
    expect(events).toMatchObject([{ stage: 'Panic', responseStatus: { code: 500 } }]);
    expect(JSON.stringify(events)).not.toContain('a fault of ours');
  });

  it('are not made of what the policy leaves out, while answers still have an id', async () => {
    const events = await start([{ level: 'Metadata', users: ['somebody else'] }]);
    expect((await send('GET', SECRETS)).headers['audit-id']).toBeDefined();
    expect(events).toEqual([]);
  });
});
