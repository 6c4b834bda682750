import { type Draft, type EndpointSlice, endpointSlices, endpoints, nodes, type Pod, pods, type Service, services } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { endpointsController } from '../endpoints/endpoints-controller.ts';
import { planEndpoints } from '../endpoints/endpoints-plan.ts';
import { type ControllerBench, controllerBench } from '../testing/controller-bench.ts';
import { endpointSliceController } from './endpointslice-controller.ts';

const selector = { app: 'web' };

function service(spec: Partial<Service['spec']> = {}, labels?: Record<string, string>): Draft<Service> {
  return {
    metadata: { namespace: 'default', name: 'web', ...(labels && { labels }) },
    spec: { selector, clusterIP: '10.43.0.9', ipFamilies: ['IPv4'], ports: [{ name: 'http', port: 80, targetPort: 'web' }], ...spec },
  };
}

function pod(
  name: string,
  ip: string,
  change: { ready?: boolean; going?: boolean; spec?: Partial<Pod['spec']>; phase?: 'Succeeded'; port?: number } = {},
): Draft<Pod> {
  const { ready = true, going = false, spec = {}, phase, port = 8080 } = change;
  return {
    metadata: {
      namespace: 'default',
      name,
      labels: selector,
      ...(going && { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 30 }),
    },
    spec: { containers: [{ name: 'c', ports: [{ name: 'web', containerPort: port }] }], nodeName: 'n1', ...spec },
    status: {
      phase: phase ?? 'Running',
      podIPs: ip === '' ? [] : ip.split(',').map((one) => ({ ip: one })),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

async function bench(): Promise<ControllerBench> {
  const made = controllerBench({ endpointslice: endpointSliceController, endpoints: endpointsController });
  made.client.put(nodes, { metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'z1' } }, spec: {}, status: {} });
  await made.start();
  return made;
}

function slicesOf({ client }: ControllerBench): readonly EndpointSlice[] {
  return client.peekAll<EndpointSlice>(endpointSlices).toSorted((a, b) => (a.addressType < b.addressType ? -1 : 1));
}

describe('endpoint slices', () => {
  it('say ready, serving and terminating for each Pod that has an address, and leave finished ones out', async () => {
    await using run = await bench();
    run.client.put(services, service({}, { team: 'x' }));
    run.client.put(pods, pod('ready', '10.42.0.1'));
    run.client.put(pods, pod('unready', '10.42.0.2', { ready: false }));
    run.client.put(pods, pod('going', '10.42.0.3', { going: true }));
    run.client.put(pods, pod('pending', ''));
    run.client.put(pods, pod('done', '10.42.0.4', { phase: 'Succeeded' }));
    await run.settle();
    const [slice, ...others] = slicesOf(run);
    expect(others).toEqual([]);
    expect(slice?.metadata.labels).toEqual({
      team: 'x',
      'kubernetes.io/service-name': 'web',
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
    });
    expect(slice?.metadata.name).toMatch(/^web-/);
    expect(slice?.metadata.ownerReferences).toMatchObject([{ kind: 'Service', name: 'web', controller: true, blockOwnerDeletion: true }]);
    expect(slice?.ports).toEqual([{ name: 'http', port: 8080, protocol: 'TCP' }]);
    expect(slice?.endpoints?.toSorted((a, b) => ((a.addresses[0] ?? '') < (b.addresses[0] ?? '') ? -1 : 1))).toMatchObject([
      {
        addresses: ['10.42.0.1'],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: 'n1',
        zone: 'z1',
        targetRef: { kind: 'Pod', name: 'ready' },
      },
      { addresses: ['10.42.0.2'], conditions: { ready: false, serving: false, terminating: false } },
      { addresses: ['10.42.0.3'], conditions: { ready: false, serving: true, terminating: true } },
    ]);
    expect(run.client.peek(endpoints, 'default/web')?.subsets).toMatchObject([
      {
        addresses: [{ ip: '10.42.0.1' }],
        notReadyAddresses: [{ ip: '10.42.0.2' }],
        ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      },
    ]);
  });

  it('split by what a named port means on each Pod, and by address family', async () => {
    await using run = await bench();
    run.client.put(services, service({ ipFamilies: ['IPv4', 'IPv6'] }));
    run.client.put(pods, pod('a', '10.42.0.1,fd00::1'));
    run.client.put(pods, pod('b', '10.42.0.2', { port: 9090 }));
    await run.settle();
    const groups = slicesOf(run).map(
      ({ addressType, ports, endpoints: list = [] }) => `${addressType} ${ports?.[0]?.port} ${list.map(({ addresses }) => addresses)}`,
    );
    expect(groups.sort()).toEqual(['IPv4 8080 10.42.0.1', 'IPv4 9090 10.42.0.2', 'IPv6 8080 fd00::1']);
  });

  it('hold at most 100 endpoints each, and a change touches one of them', async () => {
    await using run = await bench();
    run.client.put(services, service());
    for (let index = 0; index < 250; index += 1)
      run.client.put(pods, pod(`p${index}`, `10.42.${Math.floor(index / 200)}.${(index % 200) + 1}`));
    await run.settle();
    expect(
      slicesOf(run)
        .map(({ endpoints: list = [] }) => list.length)
        .sort(),
    ).toEqual([100, 100, 50]);
    const before = run.client.writes().filter(({ ref }) => ref.resource === 'endpointslices').length;
    run.client.drop(pods, 'default/p7');
    run.client.put(pods, pod('new', '10.42.9.9'));
    await run.settle();
    expect(run.client.writes().filter(({ ref }) => ref.resource === 'endpointslices').length - before).toBeLessThanOrEqual(2);
    expect(slicesOf(run).flatMap(({ endpoints: list = [] }) => list)).toHaveLength(250);
    for (let index = 0; index < 245; index += 1) run.client.drop(pods, `default/p${index}`);
    await run.settle();
    expect(slicesOf(run).flatMap(({ endpoints: list = [] }) => list)).toHaveLength(6);
  });

  it('keep one empty slice for a Service without Pods, and reuse it when the first comes', async () => {
    await using run = await bench();
    run.client.put(services, service({ clusterIP: 'None' }));
    await run.settle();
    const [empty] = slicesOf(run);
    expect(empty?.endpoints).toEqual([]);
    expect(empty?.metadata.labels?.['service.kubernetes.io/headless']).toBe('');
    run.client.put(pods, pod('a', '10.42.0.1', { spec: { hostname: 'db-0', subdomain: 'web' } }));
    await run.settle();
    const [filled, ...others] = slicesOf(run);
    expect(others).toEqual([]);
    expect(filled?.metadata.name).toBe(empty?.metadata.name);
    expect(filled?.endpoints).toMatchObject([{ hostname: 'db-0' }]);
  });

  it('publish addresses that are not ready where the Service asks for it', async () => {
    await using run = await bench();
    run.client.put(services, service({ publishNotReadyAddresses: true }));
    run.client.put(pods, pod('a', '10.42.0.1', { ready: false, going: true }));
    await run.settle();
    expect(slicesOf(run)[0]?.endpoints).toMatchObject([{ conditions: { ready: true, serving: false, terminating: true } }]);
    expect(run.client.peek(endpoints, 'default/web')?.subsets).toMatchObject([{ addresses: [{ ip: '10.42.0.1' }] }]);
  });

  it('leave Services without a selector and ExternalNames alone', async () => {
    await using run = await bench();
    run.client.put(services, service({ selector: {} }));
    run.client.put(services, { ...service({ type: 'ExternalName' }), metadata: { namespace: 'default', name: 'other' } });
    run.client.put(pods, pod('a', '10.42.0.1'));
    run.client.put(endpointSlices, {
      metadata: { namespace: 'default', name: 'mine', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [],
    });
    await run.settle();
    expect(slicesOf(run).map(({ metadata }) => metadata.name)).toEqual(['mine']);
    expect(run.client.peekAll(endpoints)).toEqual([]);
  });

  it('say nothing twice: a settled state causes no writes', async () => {
    await using run = await bench();
    run.client.put(services, service());
    run.client.put(pods, pod('a', '10.42.0.1'));
    await run.settle();
    const before = run.client.writes().length;
    run.client.put(services, { ...service(), metadata: { ...service().metadata, annotations: { touched: 'yes' } } });
    run.client.put(pods, { ...pod('a', '10.42.0.1'), metadata: { ...pod('a', '').metadata, annotations: { touched: 'yes' } } });
    await run.settle();
    expect(run.client.writes().length).toBe(before);
    expect(run.complaints).toEqual([]);
  });

  it('go from Endpoints when the Service goes', async () => {
    await using run = await bench();
    run.client.put(services, service());
    run.client.put(pods, pod('a', '10.42.0.1'));
    await run.settle();
    run.client.drop(services, 'default/web');
    await run.settle();
    expect(run.client.peekAll(endpoints)).toEqual([]);
  });

  it('truncate Endpoints at 1000 addresses, ready ones first, and say so', () => {
    const made = { apiVersion: 'v1', kind: 'Service', ...service() } as unknown as Service;
    const many = Array.from(
      { length: 1_200 },
      (_unused, index) => pod(`p${index}`, `10.${Math.floor(index / 250)}.0.${index % 250}`, { ready: index < 900 }) as unknown as Pod,
    );
    const planned = planEndpoints(made, many, undefined);
    expect(planned?.metadata.annotations).toEqual({ 'endpoints.kubernetes.io/over-capacity': 'truncated' });
    expect(planned?.subsets?.[0]?.addresses).toHaveLength(900);
    expect(planned?.subsets?.[0]?.notReadyAddresses).toHaveLength(100);
  });
});
