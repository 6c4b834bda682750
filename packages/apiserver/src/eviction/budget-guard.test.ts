import { builtinKinds, KindRegistry } from '@dure/api';
import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, it } from 'vitest';
import type { ApiServerOptions } from '../api-server.ts';
import { type Answer, testClient } from '../testing/test-client.ts';
import { startTestServer } from '../testing/test-server.ts';
import { BudgetGuard } from './budget-guard.ts';

const NAMESPACE = '/api/v1/namespaces/default';
const BUDGETS = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';

/** Servers on one store, with Pods and budgets whose status a test writes as the disruption controller would. */
async function cluster() {
  const eviction: ApiServerOptions['eviction'] = (reads, statuses) => new BudgetGuard(reads, statuses, new FakeClock());
  const server = await startTestServer(new KindRegistry(builtinKinds), { eviction });
  const client = testClient(server);
  const second = await startTestServer(new KindRegistry(builtinKinds), { eviction, store: server.store });
  const atSecond = testClient(second);
  return {
    client,
    async pod(name: string, ready = true): Promise<void> {
      await client.send('POST', `${NAMESPACE}/pods`, {
        body: { metadata: { name, labels: { app: 'web' } }, spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] } },
      });
      await client.send('PATCH', `${NAMESPACE}/pods/${name}/status`, {
        contentType: 'application/merge-patch+json',
        body: { status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] } },
      });
    },
    async budget(status: Record<string, unknown>, spec: Record<string, unknown> = {}, name = 'web'): Promise<void> {
      const made = await client.send('POST', BUDGETS, {
        body: { metadata: { name }, spec: { selector: { matchLabels: { app: 'web' } }, minAvailable: 1, ...spec } },
      });
      expect(made.status).toBe(201);
      const counted = await client.send('PATCH', `${BUDGETS}/${name}/status`, {
        contentType: 'application/merge-patch+json',
        body: { status: { observedGeneration: 1, ...status } },
      });
      expect(counted.status).toBe(200);
    },
    async statusOf(name = 'web') {
      return (await client.send('GET', `${BUDGETS}/${name}`)).json.status;
    },
    evict: (name: string, { query = '', second: other = false } = {}): Promise<Answer> =>
      (other ? atSecond : client).send('POST', `${NAMESPACE}/pods/${name}/eviction${query}`, {
        body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'default' } },
      }),
    async [Symbol.asyncDispose]() {
      for (const one of [atSecond, second, client, server]) await one[Symbol.asyncDispose]();
    },
  };
}

describe('an eviction', () => {
  it('is refused in words that name the budget, and says nothing of when to retry', async () => {
    await using web = await cluster();
    await web.pod('a');
    await web.budget({ disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1 });
    const refused = await web.evict('a');
    expect(refused.status).toBe(429);
    expect(refused.headers['retry-after']).toBeUndefined();
    expect(refused.json).toMatchObject({
      reason: 'TooManyRequests',
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
      details: { causes: [{ reason: 'DisruptionBudget', message: 'The disruption budget web needs 1 healthy pods and has 1 currently' }] },
    });
  });

  it('waits until the budget has been counted', async () => {
    await using web = await cluster();
    await web.pod('a');
    await web.budget({ observedGeneration: 0, disruptionsAllowed: 1 });
    const refused = await web.evict('a');
    expect(refused.json).toMatchObject({
      code: 429,
      details: { causes: [{ message: 'The disruption budget web is still being processed by the server.' }], retryAfterSeconds: 10 },
    });
  });

  it('takes one of the allowances, whichever of two servers is asked how often', async () => {
    await using web = await cluster();
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const name of names) await web.pod(name);
    await web.budget({ disruptionsAllowed: 2, currentHealthy: 6, desiredHealthy: 4 });
    const answers = await Promise.all(names.map((name, index) => web.evict(name, { second: index % 2 === 0 })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 429, 429, 429, 429]);
    const { disruptionsAllowed, disruptedPods } = await web.statusOf();
    expect(disruptionsAllowed).toBe(0);
    expect(Object.keys(disruptedPods)).toHaveLength(2);
  });

  it('says on the Pod why it goes', async () => {
    await using web = await cluster();
    await web.pod('a');
    expect((await web.evict('a')).status).toBe(201);
    const { metadata, status } = (await web.client.send('GET', `${NAMESPACE}/pods/a`)).json;
    expect(metadata.deletionTimestamp).toBeDefined();
    expect(status.conditions).toContainEqual(
      expect.objectContaining({ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }),
    );
  });

  it('takes nothing where it is only tried', async () => {
    await using web = await cluster();
    await web.pod('a');
    await web.budget({ disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1 });
    expect((await web.evict('a', { query: '?dryRun=All' })).status).toBe(201);
    expect(await web.statusOf()).toMatchObject({ disruptionsAllowed: 1 });
    expect((await web.client.send('GET', `${NAMESPACE}/pods/a`)).json.status.conditions).toHaveLength(1);
  });

  it.each([
    { healthy: 1, desired: 1, policy: 'IfHealthyBudget', status: 201 },
    { healthy: 1, desired: 2, policy: 'IfHealthyBudget', status: 429 },
    { healthy: 1, desired: 2, policy: 'AlwaysAllow', status: 201 },
  ])(
    'of an unready Pod with $healthy of $desired healthy under $policy is answered $status',
    async ({ healthy, desired, policy, status }) => {
      await using web = await cluster();
      await web.pod('sick', false);
      await web.budget({ disruptionsAllowed: 0, currentHealthy: healthy, desiredHealthy: desired }, { unhealthyPodEvictionPolicy: policy });
      expect((await web.evict('sick')).status).toBe(status);
    },
  );

  it('is refused where two budgets select one Pod', async () => {
    await using web = await cluster();
    await web.pod('a');
    await web.budget({ disruptionsAllowed: 1 });
    await web.budget({ disruptionsAllowed: 1 }, {}, 'other');
    expect((await web.evict('a')).json).toMatchObject({ code: 500, reason: 'InternalError' });
  });
});
