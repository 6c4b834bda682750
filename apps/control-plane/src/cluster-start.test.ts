import {
  type APIService,
  apiServices,
  builtinKinds,
  type ClusterRole,
  clusterRoleBindings,
  clusterRoles,
  customResourceDefinitions,
  flowSchemas,
  type JsonObject,
  KindRegistry,
  type KubeObject,
  priorityLevelConfigurations,
  type ResourceRef,
} from '@dure/api';
import { bootstrapObjects, furtherObjects, SYSTEM_USER } from '@dure/apiserver';
import { plainDefinition, startTestServer, type TestServer } from '@dure/apiserver/testing';
import { type Client, createClient, createInformerFactory } from '@dure/client';
import { silentLogger, systemClock, systemRandom } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyChanges, ensureObjects, type RefOf } from './ensure-objects.ts';
import { runKeptObjects } from './kept-objects.ts';

const facts = {
  apiServiceIP: '10.43.0.1',
  dnsServiceIP: '10.43.0.10',
  serviceCIDRs: ['10.43.0.0/16'],
  advertiseAddress: '192.0.2.1',
  apiPort: 6443,
  clusterCA: 'CA',
  frontProxyCA: 'CA',
};

let test: TestServer;
let client: Client;
let refOf: RefOf;
let stop: AbortController;

beforeEach(() => startServer());

async function startServer(options: Parameters<typeof startTestServer>[1] = {}): Promise<void> {
  const kinds = new KindRegistry(builtinKinds);
  test = await startTestServer(kinds, options);
  client = createClient(test.server.transport(SYSTEM_USER, 'test'), { userAgent: 'test' });
  refOf = (apiVersion, kind) => {
    const served = kinds.object(apiVersion, kind);
    if (served === undefined) return undefined;
    const { group, resource, namespaced } = served.definition;
    return { group, version: served.version.name, resource, kind, namespaced };
  };
  stop = new AbortController();
}
afterEach(async () => {
  stop.abort();
  await test[Symbol.asyncDispose]();
});

const everything = [...bootstrapObjects(facts), ...furtherObjects()];
const start = (by: Client = client) => ensureObjects(by, refOf, everything, systemClock, stop.signal);

/** `client`, and the names of the methods that were called. */
function recording(): { readonly recorded: Client; readonly calls: string[] } {
  const calls: string[] = [];
  const get =
    (target: Client, name: keyof Client) =>
    (...args: never[]) => {
      calls.push(name);
      return (target[name] as (...args: never[]) => unknown)(...args);
    };
  return { recorded: new Proxy(client, { get: (target, name) => get(target, name as keyof Client) }), calls };
}

/** The first state of `name` for which `isIt` holds; `undefined` stands for its absence. */
async function until<T extends KubeObject>(ref: ResourceRef<T>, name: string, isIt: (object: T | undefined) => boolean): Promise<void> {
  const { items, metadata } = await client.list<T>(ref, { fieldSelector: `metadata.name=${name}` }, stop.signal);
  if (isIt(items[0])) return;
  const deadline = AbortSignal.timeout(10_000);
  const query = { fieldSelector: `metadata.name=${name}`, resourceVersion: metadata.resourceVersion ?? '' };
  for await (const event of client.watch<T>(ref, query, AbortSignal.any([stop.signal, deadline]))) {
    if (event.type === 'BOOKMARK') continue;
    if (isIt(event.type === 'DELETED' ? undefined : event.object)) return;
  }
  throw new Error(`${ref.resource} ${name} did not become what was waited for`);
}

describe('a first start', () => {
  it('makes what every cluster has', async () => {
    await start();
    const names = async (ref: ResourceRef) => new Set((await client.list(ref)).items.map(({ metadata }) => metadata.name));
    const roles = await names(clusterRoles);
    for (const name of [
      'cluster-admin',
      'admin',
      'edit',
      'view',
      'system:aggregate-to-view',
      'system:node',
      'system:controller:job-controller',
    ]) {
      expect(roles).toContain(name);
    }
    const bindings = await names(clusterRoleBindings);
    for (const name of ['cluster-admin', 'system:public-info-viewer', 'system:controller:replicaset-controller'])
      expect(bindings).toContain(name);
    expect(await names(flowSchemas)).toContain('system-leader-election');
    expect(await names(priorityLevelConfigurations)).toEqual(
      new Set(['exempt', 'catch-all', 'system', 'node-high', 'leader-election', 'workload-high', 'workload-low', 'global-default']),
    );
    expect(await names(apiServices)).toContain('v1.apps');
    expect(await names(apiServices)).toContain('v1.');
  });

  it('gives collecting roles what they collect, through one another', async () => {
    await start();
    const rulesOf = async (name: string) => (await client.get<ClusterRole>(clusterRoles, { name })).rules ?? [];
    const [admin, view] = [await rulesOf('admin'), await rulesOf('view')];
    expect(view.length).toBeGreaterThan(5);
    expect(admin).toEqual(expect.arrayContaining([...view]));
    expect(admin).toEqual(expect.arrayContaining([...(await rulesOf('system:aggregate-to-admin'))]));
  });
});

describe('a start beside another', () => {
  it('leaves to the other what that was faster with, addresses of Services too', async () => {
    await test[Symbol.asyncDispose]();
    await startServer({ services: { cidrs: facts.serviceCIDRs, nodePorts: { from: 30_000, to: 32_767 } } });
    await start();
    const dns = everything.find(({ object }) => object.kind === 'Service')?.object;
    if (dns === undefined) throw new Error('there is no Service to be made');
    const clock = new FakeClock();
    // As seen before the other had made it: on a clock that stands still, trying again later would never end.
    await applyChanges({ client, refOf, clock }, [{ kind: 'create', object: dns }], stop.signal);
  });
});

describe('a later start', () => {
  it('asks once for each kind, and writes nothing where everything is there', async () => {
    await start();
    const { recorded, calls } = recording();
    await start(recorded);
    expect(new Set(calls)).toEqual(new Set(['list']));
    expect(calls).toHaveLength(new Set(everything.map(({ object }) => object.kind)).size);
  });

  it('adds what a role lacks, leaves what it has beyond, and turns a binding back', async () => {
    await start();
    const extra = { verbs: ['get'], apiGroups: ['example.com'], resources: ['widgets'] };
    const set = (ref: ResourceRef, name: string, patch: JsonObject) => client.patch(ref, { name }, { kind: 'merge', patch });
    await set(clusterRoles, 'system:discovery', { rules: [extra] });
    await set(clusterRoles, 'system:basic-user', {
      rules: [],
      metadata: { annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'false' } },
    });
    await client.delete(clusterRoleBindings, { name: 'system:monitoring' });
    await client.create(clusterRoleBindings, {
      metadata: { name: 'system:monitoring' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    } as never);
    await start();
    const discovery = await client.get<ClusterRole>(clusterRoles, { name: 'system:discovery' });
    expect(discovery.rules).toEqual([extra, expect.objectContaining({ nonResourceURLs: expect.arrayContaining(['/apis/*']) })]);
    expect((await client.get<ClusterRole>(clusterRoles, { name: 'system:basic-user' })).rules ?? []).toEqual([]);
    const binding = await client.get<KubeObject & { readonly roleRef: { readonly name: string } }>(clusterRoleBindings as never, {
      name: 'system:monitoring',
    });
    expect(binding.roleRef.name).toBe('system:monitoring');
  });
});

describe('while it runs', () => {
  let running: Promise<unknown>;

  beforeEach(async () => {
    await start();
    const informers = createInformerFactory({ client, clock: systemClock, random: systemRandom, log: silentLogger });
    running = Promise.all([
      runKeptObjects({ client, refOf, informers, clock: systemClock, log: silentLogger }, () => undefined, stop.signal),
      informers.run(stop.signal),
    ]);
  });
  afterEach(async () => {
    stop.abort();
    await running;
  });

  const shares = (level: KubeObject | undefined) =>
    (level as JsonObject | undefined as { spec?: { limited?: { nominalConcurrencyShares?: number } } })?.spec?.limited
      ?.nominalConcurrencyShares;

  it('puts mandatory flow control back, and suggested where it is not an operator’s', async () => {
    await client.delete(flowSchemas, { name: 'catch-all' });
    await until(flowSchemas, 'catch-all', (schema) => schema !== undefined);
    const set = (name: string, patch: JsonObject) => client.patch(priorityLevelConfigurations, { name }, { kind: 'merge', patch });
    const few = { limited: { nominalConcurrencyShares: 7 } };
    await set('catch-all', { spec: few, metadata: { annotations: { 'apf.kubernetes.io/autoupdate-spec': 'false' } } });
    await until(priorityLevelConfigurations, 'catch-all', (level) => shares(level) === 5);
    await set('workload-low', { spec: few, metadata: { annotations: { 'apf.kubernetes.io/autoupdate-spec': 'false' } } });
    await set('workload-high', { spec: few });
    await until(priorityLevelConfigurations, 'workload-high', (level) => shares(level) === 40);
    expect(shares(await client.get(priorityLevelConfigurations, { name: 'workload-low' }))).toBe(7);
  });

  it('has an APIService for each version of a custom kind, as long as the kind is there', async () => {
    const definition = plainDefinition('crontabs', 'CronTab', 'stable.example.com');
    await client.create(customResourceDefinitions, definition as never);
    await until<APIService>(apiServices, 'v1.stable.example.com', (service) => service?.spec?.groupPriorityMinimum === 1000);
    const service = await client.get<APIService>(apiServices, { name: 'v1.stable.example.com' });
    expect(service.metadata.labels).toEqual({ 'kube-aggregator.kubernetes.io/automanaged': 'true' });
    expect(service.spec).toEqual({ group: 'stable.example.com', version: 'v1', groupPriorityMinimum: 1000, versionPriority: 100 });
    await client.delete(customResourceDefinitions, { name: 'crontabs.stable.example.com' });
    await until(apiServices, 'v1.stable.example.com', (gone) => gone === undefined);
  });
});
