import { builtinKinds, KindRegistry } from '@dure/api';
import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, it } from 'vitest';
import type { ObjectReader } from '../contract/object-reader.ts';
import { type Answer, testClient } from '../testing/test-client.ts';
import { startTestServer } from '../testing/test-server.ts';
import { BudgetGuard } from './budget-guard.ts';

const NAMESPACE = '/api/v1/namespaces/default';
const BUDGETS = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';

async function cluster() {
  const server = await startTestServer(new KindRegistry(builtinKinds), { eviction: (reads) => new BudgetGuard(reads, new FakeClock()) });
  const client = testClient(server);
  return {
    client,
    async pod(name: string, ready = true, owner?: { kind: string; name: string }): Promise<void> {
      const ownerReferences =
        owner === undefined ? [] : [{ apiVersion: 'apps/v1', kind: owner.kind, name: owner.name, uid: owner.name, controller: true }];
      await client.send('POST', `${NAMESPACE}/pods`, {
        body: {
          metadata: { name, labels: { app: 'web' }, ownerReferences },
          spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
        },
      });
      await client.send('PATCH', `${NAMESPACE}/pods/${name}/status`, {
        contentType: 'application/merge-patch+json',
        body: { status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] } },
      });
    },
    async budget(spec: Record<string, unknown>, name = 'web'): Promise<void> {
      const made = await client.send('POST', BUDGETS, {
        body: { metadata: { name }, spec: { selector: { matchLabels: { app: 'web' } }, ...spec } },
      });
      expect(made.status).toBe(201);
    },
    evict: (name: string, query = ''): Promise<Answer> =>
      client.send('POST', `${NAMESPACE}/pods/${name}/eviction${query}`, {
        body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'default' } },
      }),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

describe('BudgetGuard', () => {
  it('refuses in words that name the budget, and says nothing of when to retry', async () => {
    await using web = await cluster();
    await web.pod('a');
    await web.budget({ minAvailable: 1 });
    const refused = await web.evict('a');
    expect(refused.status).toBe(429);
    expect(refused.headers['retry-after']).toBeUndefined();
    expect(refused.json).toMatchObject({
      reason: 'TooManyRequests',
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
      details: {
        causes: [{ reason: 'DisruptionBudget', message: 'The disruption budget web needs 1 healthy pods and has 1 currently' }],
      },
    });
  });

  it('gives one allowance to one of many who ask at once', async () => {
    await using web = await cluster();
    for (const name of ['a', 'b', 'c', 'd']) await web.pod(name);
    await web.budget({ minAvailable: 3 });
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map((name) => web.evict(name)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 429, 429, 429]);
  });

  it('a dry run takes nothing', async () => {
    await using web = await cluster();
    for (const name of ['a', 'b']) await web.pod(name);
    await web.budget({ minAvailable: 1 });
    expect((await web.evict('a', '?dryRun=All')).status).toBe(201);
    expect((await web.evict('b')).status).toBe(201);
    expect((await web.evict('a')).status).toBe(429);
  });

  it('counts what may be unavailable from what the owner wants', async () => {
    await using web = await cluster();
    const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    const made = await web.client.send('POST', '/apis/apps/v1/namespaces/default/replicasets', {
      body: { metadata: { name: 'set' }, spec: { replicas: 4, selector: { matchLabels: { app: 'web' } }, template } },
    });
    expect(made.status).toBe(201);
    for (const name of ['a', 'b', 'c']) await web.pod(name, true, { kind: 'ReplicaSet', name: 'set' });
    await web.budget({ maxUnavailable: '25%' });
    // 3 of 4 are there: the one that may be missing is missing.
    expect((await web.evict('a')).status).toBe(429);
    await web.pod('d', true, { kind: 'ReplicaSet', name: 'set' });
    expect((await web.evict('a')).status).toBe(201);
  });

  it.each([
    { minAvailable: 1, policy: 'IfHealthyBudget', healthy: true, status: 201 },
    { minAvailable: 2, policy: 'IfHealthyBudget', healthy: true, status: 429 },
    { minAvailable: 2, policy: 'AlwaysAllow', healthy: true, status: 201 },
  ])('an unready Pod under minAvailable $minAvailable and $policy is answered $status', async ({ minAvailable, policy, status }) => {
    await using web = await cluster();
    await web.pod('sick', false);
    await web.pod('well');
    await web.budget({ minAvailable, unhealthyPodEvictionPolicy: policy });
    expect((await web.evict('sick')).status).toBe(status);
  });

  it('refuses where two budgets select one Pod', async () => {
    await using web = await cluster();
    await web.pod('a');
    await web.budget({ minAvailable: 0 });
    await web.budget({ minAvailable: 0 }, 'other');
    expect((await web.evict('a')).json).toMatchObject({ code: 500, reason: 'InternalError' });
  });

  it('counts a Pod again that was allowed to go and did not', async () => {
    const clock = new FakeClock();
    const meta = (name: string) => ({ name, uid: name, namespace: 'default', labels: { app: 'web' } });
    const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    const pods = ['a', 'b'].map((name) => ({ metadata: meta(name), status: ready }));
    const budgets = [{ metadata: { name: 'web' }, spec: { minAvailable: 1, selector: { matchLabels: { app: 'web' } } } }];
    const reads = {
      get: async (_group: string, _resource: string, _namespace: string, name: string) => pods.find((pod) => pod.metadata.name === name),
      list: async (_group: string, resource: string) => (resource === 'pods' ? pods : budgets),
    } as unknown as ObjectReader;
    const guard = new BudgetGuard(reads, clock);
    const [a, b] = pods as unknown as Parameters<BudgetGuard['allow']>[0][];
    if (a === undefined || b === undefined) throw new Error('two Pods expected');
    await guard.allow(a, false);
    await expect(guard.allow(b, false)).rejects.toMatchObject({ status: { code: 429 } });
    await clock.advance(120_001);
    await guard.allow(b, false);
  });
});
