import { configMaps, pods, type ResourceQuota, type ResourceRef, resourceQuotas, secrets, services } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { type ControllerBench, controllerBench } from '../testing/controller-bench.ts';
import { planQuotaStatus } from './quota-status.ts';
import { resourceQuotaController } from './resource-quota-controller.ts';

const widgets: ResourceRef = { group: 'example.com', version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true };

async function bench(...served: ResourceRef[]): Promise<ControllerBench> {
  const made = controllerBench({ quota: resourceQuotaController });
  made.client.serve(pods, services, secrets, configMaps, resourceQuotas, ...served);
  await made.start();
  return made;
}

async function limit(run: ControllerBench, hard: Record<string, string>, spec: Partial<ResourceQuota['spec']> = {}): Promise<void> {
  await run.client.create<ResourceQuota>(resourceQuotas, { metadata: { namespace: 'shop', name: 'q' }, spec: { hard, ...spec } });
  await run.clock.advance(100);
  await run.settle();
}

function pod(run: ControllerBench, name: string, cpu: string, more: { readonly phase?: string; readonly deadline?: number } = {}): void {
  run.client.put(pods, {
    metadata: { namespace: 'shop', name },
    spec: {
      containers: [{ name: 'c', resources: { requests: { cpu } } }],
      ...(more.deadline === undefined ? {} : { activeDeadlineSeconds: more.deadline }),
    },
    status: { phase: more.phase ?? 'Running' },
  } as never);
}

const statusOf = ({ client }: ControllerBench) => client.peek<ResourceQuota>(resourceQuotas, 'shop/q')?.status;

/** As the API server claims: a write of the status by another. */
async function claim(run: ControllerBench, used: Record<string, string>): Promise<void> {
  const quota = run.client.peek<ResourceQuota>(resourceQuotas, 'shop/q');
  if (quota === undefined) throw new Error('there is no quota to claim from');
  run.client.put<ResourceQuota>(resourceQuotas, { ...quota, status: { ...quota.status, used } });
  await run.settle();
  expect(statusOf(run)?.used).toEqual(used);
}

describe('a quota', () => {
  it('is counted at once, with what is there already', async () => {
    await using run = await bench();
    pod(run, 'a', '250m');
    pod(run, 'b', '1', { phase: 'Succeeded' });
    await limit(run, { pods: '5', 'requests.cpu': '2', 'count/pods': '9', secrets: '3' });
    expect(statusOf(run)).toEqual({
      hard: { pods: '5', 'requests.cpu': '2', 'count/pods': '9', secrets: '3' },
      used: { pods: '1', 'requests.cpu': '250m', 'count/pods': '2', secrets: '0' },
    });
  });

  it('follows its own limits', async () => {
    await using run = await bench();
    await limit(run, { pods: '5' });
    await run.client.patch(
      resourceQuotas,
      { namespace: 'shop', name: 'q' },
      { kind: 'merge', patch: { spec: { hard: { pods: null, secrets: '1' } } } },
    );
    await run.clock.advance(100);
    await run.settle();
    expect(statusOf(run)).toEqual({ hard: { secrets: '1' }, used: { secrets: '0' } });
  });

  it('counts what comes, changes and goes', async () => {
    await using run = await bench();
    await limit(run, { pods: '5', cpu: '2' });
    pod(run, 'a', '250m');
    pod(run, 'b', '500m');
    await run.clock.advance(1_000);
    await run.settle();
    expect(statusOf(run)?.used).toEqual({ pods: '2', cpu: '750m' });
    pod(run, 'b', '500m', { phase: 'Failed' });
    await run.settle();
    expect(statusOf(run)?.used).toEqual({ pods: '1', cpu: '250m' });
    run.client.drop(pods, 'shop/a');
    await run.settle();
    expect(statusOf(run)?.used).toEqual({ pods: '0', cpu: '0' });
  });

  it('counts only what its scopes speak of, as that changes too', async () => {
    await using run = await bench();
    await limit(run, { pods: '5' }, { scopes: ['Terminating'] });
    pod(run, 'a', '1', { deadline: 60 });
    pod(run, 'b', '1');
    await run.clock.advance(1_000);
    await run.settle();
    expect(statusOf(run)?.used).toEqual({ pods: '1' });
    pod(run, 'b', '1', { deadline: 60 });
    await run.settle();
    expect(statusOf(run)?.used).toEqual({ pods: '2' });
  });

  it('counts custom objects, also where their kind comes after the quota', async () => {
    await using run = await bench();
    await limit(run, { 'count/widgets.example.com': '3' });
    expect(statusOf(run)).toEqual({ hard: { 'count/widgets.example.com': '3' }, used: {} });
    run.client.serve(widgets);
    await run.client.create(widgets, { metadata: { namespace: 'shop', name: 'w' } });
    await run.clock.advance(300_000);
    await run.clock.advance(2_000);
    await run.settle();
    expect(statusOf(run)?.used).toEqual({ 'count/widgets.example.com': '1' });
    await run.client.delete(widgets, { namespace: 'shop', name: 'w' });
    await run.settle();
    expect(statusOf(run)?.used).toEqual({ 'count/widgets.example.com': '0' });
  });
});

describe('a claim', () => {
  it('stands while its object may be on its way, whatever else goes', async () => {
    await using run = await bench();
    await run.client.create(secrets, { metadata: { namespace: 'shop', name: 'old' } });
    await limit(run, { secrets: '2' });
    await run.clock.advance(5_000);
    await claim(run, { secrets: '2' });
    await run.client.delete(secrets, { namespace: 'shop', name: 'old' });
    await run.clock.advance(900);
    await run.settle();
    expect(statusOf(run)?.used).toEqual({ secrets: '2' });
    await run.client.create(secrets, { metadata: { namespace: 'shop', name: 'new' } });
    await run.clock.advance(1_100);
    await run.settle();
    expect(statusOf(run)?.used).toEqual({ secrets: '1' });
  });

  it('is given back where its object never came', async () => {
    await using run = await bench();
    await limit(run, { secrets: '2' });
    await claim(run, { secrets: '1' });
    await run.clock.advance(1_100);
    await run.settle();
    expect(statusOf(run)?.used).toEqual({ secrets: '0' });
  });
});

it('a status that is right is not written again', () => {
  const quota = {
    metadata: { name: 'q', uid: 'u' },
    spec: { hard: { cpu: '1000m' } },
    status: { hard: { cpu: '1' }, used: { cpu: '0' } },
  } as unknown as ResourceQuota;
  expect(planQuotaStatus(quota, new Map([['cpu', { nanos: 0n, format: 'DecimalSI' }]]), true)).toEqual({ postponed: false });
});
