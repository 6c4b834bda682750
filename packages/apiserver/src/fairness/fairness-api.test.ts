import { builtinKinds, KindRegistry } from '@dure/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allowKnown } from '../testing/open-parts.ts';
import { type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';

const API = '/apis/flowcontrol.apiserver.k8s.io/v1';
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const AS_SOMEBODY = { headers: { 'impersonate-user': 'somebody' } };

let server: TestServer;
let client: TestClient;

/** Requests for objects of this name wait until they are let go. */
let held: (() => void)[];

beforeEach(async () => {
  held = [];
  server = await startTestServer(new KindRegistry(builtinKinds), {
    inFlight: { readOnly: 8, mutating: 2 },
    authorizer: () => ({
      ...allowKnown,
      async authorize(query, signal) {
        if (query.kind === 'resource' && query.name === 'held') await new Promise<void>((resolve) => held.push(resolve));
        return allowKnown.authorize(query, signal);
      },
    }),
  });
  client = testClient(server);
});

afterEach(async () => {
  for (const letGo of held) letGo();
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const level = (nominalConcurrencyShares: number, limitResponse: object) => ({
  metadata: { name: 'tight' },
  spec: { type: 'Limited', limited: { nominalConcurrencyShares, limitResponse } },
});
const SCHEMA = {
  metadata: { name: 'somebody' },
  spec: {
    priorityLevelConfiguration: { name: 'tight' },
    matchingPrecedence: 500,
    rules: [
      {
        subjects: [{ kind: 'User', user: { name: 'somebody' } }],
        resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'] }],
      },
    ],
  },
};

async function dangling(): Promise<{ readonly status?: string; readonly reason?: string; readonly message?: string }> {
  const { json } = await client.send('GET', `${API}/flowschemas/somebody`);
  return json.status?.conditions?.find(({ type }: { type: string }) => type === 'Dangling') ?? {};
}

describe('priority and fairness', () => {
  it('follows what is stored, says which schemas dangle, and tells clients where their requests belong', async () => {
    const created = await client.send('POST', `${API}/flowschemas`, { body: SCHEMA });
    expect(created.status).toBe(201);
    await expect.poll(dangling).toMatchObject({
      status: 'True',
      reason: 'NotFound',
      message: 'This FlowSchema references the PriorityLevelConfiguration object named "tight" but there is no such object',
    });
    expect((await client.send('GET', CONFIG_MAPS, AS_SOMEBODY)).headers['x-kubernetes-pf-flowschema-uid']).toBe('');

    const tight = await client.send('POST', `${API}/prioritylevelconfigurations`, { body: level(1, { type: 'Reject' }) });
    await expect.poll(dangling).toMatchObject({ status: 'False', reason: 'Found' });
    const { headers } = await client.send('GET', CONFIG_MAPS, AS_SOMEBODY);
    expect(headers['x-kubernetes-pf-flowschema-uid']).toBe(created.json.metadata.uid);
    expect(headers['x-kubernetes-pf-prioritylevel-uid']).toBe(tight.json.metadata.uid);

    await client.send('DELETE', `${API}/prioritylevelconfigurations/tight`);
    await expect.poll(dangling).toMatchObject({ status: 'True' });
  });

  it('queues what does not fit and lets it in later; watches hold a seat only until they have begun', async () => {
    const queue = { type: 'Queue', queuing: { queues: 1, handSize: 1, queueLengthLimit: 1 } };
    // One share beside the five of catch-all: two of ten seats.
    await client.send('POST', `${API}/prioritylevelconfigurations`, { body: level(1, queue) });
    await client.send('PATCH', `${API}/prioritylevelconfigurations/tight`, {
      contentType: 'application/merge-patch+json',
      body: { spec: { limited: { borrowingLimitPercent: 0 } } },
    });
    await client.send('POST', `${API}/flowschemas`, { body: SCHEMA });
    await expect.poll(dangling).toMatchObject({ status: 'False' });
    const seats = async (): Promise<string | undefined> =>
      /nominal_limit_seats\{priority_level="tight"\} (\d+)/.exec((await client.send('GET', '/metrics')).text)?.[1];
    expect(await seats()).toBe('2');

    const gone = new AbortController();
    await client.send('POST', CONFIG_MAPS, { body: { metadata: { name: 'first' } } });
    const watch = client.watch(`${CONFIG_MAPS}?watch=1`, gone.signal, AS_SOMEBODY.headers)[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'first' } } });
    const running = [1, 2].map(() => client.send('GET', `${CONFIG_MAPS}/held`, AS_SOMEBODY));
    await expect.poll(() => held.length).toBe(2);
    const waiting = client.send('GET', CONFIG_MAPS, AS_SOMEBODY);
    const dump = async (what: string): Promise<string> => (await client.send('GET', `/debug/api_priority_and_fairness/dump_${what}`)).text;
    await expect.poll(() => dump('requests')).toMatch(/^tight, somebody, 0, 0, , /m);
    expect((await client.send('GET', CONFIG_MAPS, AS_SOMEBODY)).status).toBe(429);
    expect(await dump('priority_levels')).toMatch(/^tight, 1, false, false, 1, 2, \d+, 1, 0, 0$/m);
    expect(await dump('queues')).toMatch(/^tight, 0, 1, 2, 2, /m);
    for (const letGo of held.splice(0)) letGo();
    expect((await waiting).status).toBe(200);
    await Promise.all(running);
    expect(await dump('priority_levels')).toMatch(/^tight, 0, true, false, 0, 0, /m);
    gone.abort();
    await watch.return?.();
  });
});
