import { setImmediate } from 'node:timers/promises';
import { builtinKinds, type JsonObject, KindRegistry } from '@dure/api';
import { systemClock } from '@dure/foundation';
import { openMemoryStore, type Store } from '@dure/store';
import { describe, expect, it } from 'vitest';
import type { StatusSwap } from '../contract/status-swap.ts';
import { admit, createRequest, readerOf, updateRequest } from '../testing/admission-bench.ts';
import { type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';
import { admissionChain } from './admission-chain.ts';
import { resourceQuota } from './resource-quota.ts';

const podOf = (cpu: string, more: JsonObject = {}): JsonObject => ({
  metadata: { name: 'p' },
  spec: { containers: [{ name: 'c', resources: { requests: { cpu }, limits: {} } }], ...more },
});

/** One quota that always takes what is written, and what was written. */
function quotaOf(hard: JsonObject, used: JsonObject, spec: JsonObject = {}) {
  const quota = { metadata: { name: 'q', namespace: 'default', uid: 'u', resourceVersion: '1' }, spec, status: { hard, used } };
  const written: unknown[] = [];
  const statuses: StatusSwap = {
    async swap(_group, _resource, object, status) {
      written.push(status.used);
      return { kind: 'swapped', object };
    },
  };
  return { plugin: resourceQuota(readerOf({ '/resourcequotas': [quota] }), statuses, systemClock), written };
}

describe('a quota', () => {
  it('gives what is asked and writes down what is used', async () => {
    const { plugin, written } = quotaOf({ pods: '2', cpu: '1' }, { pods: '1', cpu: '250m' });
    await admit(plugin, createRequest('pods', podOf('500m')));
    expect(written).toEqual([{ pods: '2', cpu: '750m' }]);
  });

  it('refuses what is too much, and names it only', async () => {
    const { plugin, written } = quotaOf({ pods: '5', cpu: '1', memory: '1Gi' }, { pods: '1', cpu: '750m', memory: '0' });
    const pod = podOf('500m');
    const containers = (pod.spec as JsonObject).containers as JsonObject[];
    (containers[0] as JsonObject).resources = { requests: { cpu: '500m', memory: '2Gi' } };
    await expect(admit(plugin, createRequest('pods', pod, { name: 'p' }))).rejects.toMatchObject({
      message:
        'pods "p" is forbidden: exceeded quota: q, requested: cpu=500m,memory=2Gi, used: cpu=750m,memory=0, limited: cpu=1,memory=1Gi',
      status: { code: 403 },
    });
    expect(written).toEqual([]);
  });

  it.each<[string, JsonObject, JsonObject, JsonObject, string]>([
    [
      'a container says nothing of what is limited',
      { 'limits.cpu': '1' },
      { 'limits.cpu': '0' },
      podOf('1'),
      'failed quota: q: must specify limits.cpu for: c',
    ],
    ['nobody has counted yet', { pods: '1', cpu: '1' }, { pods: '0' }, podOf('1'), 'status unknown for quota: q, resources: cpu,pods'],
    ['an amount is negative', { cpu: '1' }, { cpu: '0' }, podOf('-1'), 'quota usage is negative for resource(s): cpu,requests.cpu'],
  ])('refuses where %s', async (_what, hard, used, pod, why) => {
    await expect(admit(quotaOf(hard, used).plugin, createRequest('pods', pod))).rejects.toThrow(`pods "p" is forbidden: ${why}`);
  });

  it.each<[string, ReturnType<typeof createRequest>]>([
    ['another namespace', createRequest('pods', podOf('9'), { namespace: 'other' })],
    ['another kind', createRequest('secrets', { metadata: { name: 's' } })],
    ['a Pod out of its scope', createRequest('pods', podOf('9', { activeDeadlineSeconds: 60 }))],
    ['an update that changes no usage', updateRequest('pods', podOf('9'), podOf('9'))],
    ['a write of the status', updateRequest('pods', podOf('9'), podOf('9'), { subresource: 'status' })],
  ])('has nothing to say about %s', async (_what, request) => {
    const { plugin, written } = quotaOf({ pods: '0' }, { pods: '0' }, { scopes: ['NotTerminating'] });
    await expect(admit(plugin, request)).resolves.toBeDefined();
    expect(written).toEqual([]);
  });

  it('charges an update with the difference, and gives nothing back', async () => {
    const service = (type: string): JsonObject => ({ metadata: { name: 's' }, spec: { type, ports: [{ port: 1 }, { port: 2 }] } });
    const quota = () => quotaOf({ services: '1', 'services.nodeports': '2' }, { services: '1', 'services.nodeports': '0' });
    const up = quota();
    await admit(up.plugin, updateRequest('services', service('ClusterIP'), service('NodePort')));
    expect(up.written).toEqual([{ services: '1', 'services.nodeports': '2' }]);
    const down = quota();
    await admit(down.plugin, updateRequest('services', service('NodePort'), service('ClusterIP')));
    expect(down.written).toEqual([]);
  });

  it('is asked by a dry run and not charged', async () => {
    const { plugin, written } = quotaOf({ pods: '1' }, { pods: '0' });
    await admit(plugin, createRequest('pods', podOf('1'), { dryRun: true }));
    expect(written).toEqual([]);
    await expect(admit(quotaOf({ pods: '1' }, { pods: '1' }).plugin, createRequest('pods', podOf('1'), { dryRun: true }))).rejects.toThrow(
      'exceeded quota',
    );
  });
});

/** A server with nothing but quota in its admission. */
async function serve(
  options: Parameters<typeof startTestServer>[1] = {},
): Promise<{ readonly test: TestServer; readonly client: TestClient }> {
  const test = await startTestServer(new KindRegistry(builtinKinds), {
    ...options,
    admission: (reader, _authorizer, statuses) => admissionChain([resourceQuota(reader, statuses, systemClock)]),
  });
  return { test, client: testClient(test) };
}

/** A store at which writes of several servers meet. */
function slowToWrite(store: Store): Store {
  const append: Store['append'] = async (...parts) => {
    await setImmediate();
    return store.append(...parts);
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === 'append') return append;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

async function countedQuota(client: TestClient, hard: JsonObject): Promise<void> {
  const path = '/api/v1/namespaces/default/resourcequotas';
  await client.send('POST', path, { body: { metadata: { name: 'q' }, spec: { hard } } });
  const used = Object.fromEntries(Object.keys(hard).map((name) => [name, '0']));
  await client.send('PATCH', `${path}/q/status`, { contentType: 'application/merge-patch+json', body: { status: { hard, used } } });
}

describe('a claim that another server was faster with', () => {
  /** A quota whose status was `seen`, and is `now` since. */
  function contested(seen: JsonObject, now: JsonObject) {
    const quotaAt = (resourceVersion: string, used: JsonObject) => ({
      metadata: { name: 'q', namespace: 'default', uid: 'u', resourceVersion },
      spec: {},
      status: { hard: { secrets: '5' }, used },
    });
    const written: [revision: string, used: unknown][] = [];
    const statuses: StatusSwap = {
      async swap(_group, _resource, object, status) {
        const { resourceVersion } = object.metadata;
        written.push([resourceVersion, status.used]);
        if (resourceVersion === '1') return { kind: 'lost', winner: quotaAt('2', now) as never };
        return { kind: 'swapped', object: quotaAt('3', status.used as JsonObject) as never };
      },
    };
    return { plugin: resourceQuota(readerOf({ '/resourcequotas': [quotaAt('1', seen)] }), statuses, systemClock), written };
  }
  const secret = () => createRequest('secrets', { metadata: { name: 's' } });

  it('is made anew from what that one left', async () => {
    const { plugin, written } = contested({ secrets: '1' }, { secrets: '3' });
    await admit(plugin, secret());
    expect(written).toEqual([
      ['1', { secrets: '2' }],
      ['2', { secrets: '4' }],
    ]);
    // The cache still shows the first state; this server knows better.
    await admit(plugin, secret());
    expect(written.at(-1)).toEqual(['3', { secrets: '5' }]);
    await expect(admit(plugin, secret())).rejects.toThrow('exceeded quota: q, requested: secrets=1, used: secrets=5, limited: secrets=5');
  });

  it('is refused where that one left nothing', async () => {
    const { plugin } = contested({ secrets: '1' }, { secrets: '5' });
    await expect(admit(plugin, secret())).rejects.toThrow('exceeded quota');
  });
});

describe('writers at once', () => {
  it('cannot come to more than the limit, at one server or two', async () => {
    await using store = slowToWrite(await openMemoryStore({ clock: systemClock }));
    const one = await serve({ store });
    const two = await serve({ store });
    await using _stop = {
      [Symbol.asyncDispose]: async () =>
        void (await Promise.all([one, two].flatMap(({ test, client }) => [client[Symbol.asyncDispose](), test[Symbol.asyncDispose]()]))),
    };
    await countedQuota(one.client, { configmaps: '10' });
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 === 0 ? one : two).client.send('POST', '/api/v1/namespaces/default/configmaps', {
          body: { metadata: { name: `c${index}` } },
        }),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(10);
    const refused = answers.filter(({ status }) => status === 403);
    expect(refused).toHaveLength(30);
    expect(refused[0]?.json.message).toMatch(
      /^configmaps "c\d+" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=10, limited: configmaps=10$/,
    );
    const { json } = await two.client.send('GET', '/api/v1/namespaces/default/resourcequotas/q');
    expect(json.status.used).toEqual({ configmaps: '10' });
  });
});
