import { type Draft, type EndpointSlice, type Endpoints, endpointSlices, endpoints, type Service, services } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { endpointSliceController } from '../endpointslice/endpointslice-controller.ts';
import { type ControllerBench, controllerBench } from '../testing/controller-bench.ts';
import { endpointSliceMirroringController } from './endpointslice-mirroring-controller.ts';

function service(spec: Partial<Service['spec']> = {}): Draft<Service> {
  return { metadata: { namespace: 'default', name: 'db' }, spec: { ports: [{ port: 80 }], ...spec } };
}

function byHand(subsets: Endpoints['subsets'], metadata: Partial<Endpoints['metadata']> = {}): Draft<Endpoints> {
  return { metadata: { namespace: 'default', name: 'db', ...metadata }, subsets: subsets ?? [] };
}

async function bench(): Promise<ControllerBench> {
  const made = controllerBench({ endpointslice: endpointSliceController, 'endpointslice-mirroring': endpointSliceMirroringController });
  await made.start();
  return made;
}

function slicesOf({ client }: ControllerBench): readonly EndpointSlice[] {
  return client
    .peekAll<EndpointSlice>(endpointSlices)
    .filter(({ metadata }) => metadata.labels?.['endpointslice.kubernetes.io/managed-by'] === 'endpointslicemirroring-controller.k8s.io');
}

describe('slices of Endpoints written by hand', () => {
  it('follow what these say, and go with them', async () => {
    await using run = await bench();
    run.client.put(services, service());
    const ports = [{ port: 80 }];
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', note: 'x' };
    const made = run.client.put<Endpoints>(
      endpoints,
      byHand([{ addresses: [{ ip: '10.1.2.3' }], ports }], { labels: { team: 'x' }, annotations }),
    );
    await run.settle();
    const [slice, ...others] = slicesOf(run);
    expect(others).toEqual([]);
    expect(slice).toMatchObject({
      metadata: {
        labels: {
          team: 'x',
          'kubernetes.io/service-name': 'db',
          'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
        },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Endpoints', name: 'db', controller: true }],
      },
      addressType: 'IPv4',
      ports: [{ name: '', port: 80, protocol: 'TCP' }],
      endpoints: [{ addresses: ['10.1.2.3'], conditions: { ready: true } }],
    });
    expect(slice?.metadata.annotations).toEqual({ note: 'x' });

    run.client.put<Endpoints>(endpoints, { ...made, subsets: [{ addresses: [{ ip: '10.2.3.4' }], ports: [{ port: 81 }] }] });
    await run.settle();
    expect(slicesOf(run)).toMatchObject([
      { metadata: { name: slice?.metadata.name }, ports: [{ port: 81 }], endpoints: [{ addresses: ['10.2.3.4'] }] },
    ]);

    await run.client.delete(endpoints, { namespace: 'default', name: 'db' });
    await run.settle();
    expect(slicesOf(run)).toEqual([]);
  });

  it('are one for each family and set of ports, whichever subsets name them', async () => {
    await using run = await bench();
    run.client.put(services, service());
    run.client.put(
      endpoints,
      byHand([
        { addresses: [{ ip: '10.0.0.1' }], ports: [{ name: 'a', port: 80 }] },
        { addresses: [{ ip: '10.0.0.1' }], ports: [{ name: 'b', port: 81 }] },
        { addresses: [{ ip: 'fd00::1' }], notReadyAddresses: [{ ip: '10.0.0.2' }], ports: [{ name: 'c', port: 82 }] },
      ]),
    );
    await run.settle();
    const shown = slicesOf(run).map(({ addressType, ports, endpoints: list }) => ({
      addressType,
      ports: ports?.map(({ name }) => name).join(),
      ready: list?.map(({ addresses, conditions }) => `${addresses[0]}=${conditions?.ready}`).join(),
    }));
    expect(shown.toSorted((a, b) => `${a.ports}${a.addressType}`.localeCompare(`${b.ports}${b.addressType}`))).toEqual([
      { addressType: 'IPv4', ports: 'a,b', ready: '10.0.0.1=true' },
      { addressType: 'IPv4', ports: 'c', ready: '10.0.0.2=false' },
      { addressType: 'IPv6', ports: 'c', ready: 'fd00::1=true' },
    ]);
  });

  it.each<{ what: string; selector?: Record<string, string>; metadata?: Partial<Endpoints['metadata']>; without?: boolean }>([
    { what: 'their Service selects Pods', selector: { app: 'db' } },
    { what: 'they ask not to be mirrored', metadata: { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } } },
    { what: 'they are a lock', metadata: { annotations: { 'control-plane.alpha.kubernetes.io/leader': '{}' } } },
    { what: 'there is no Service', without: true },
  ])('are not made where $what', async ({ selector, metadata, without }) => {
    await using run = await bench();
    if (without !== true) run.client.put(services, service(selector === undefined ? {} : { selector }));
    run.client.put(endpoints, byHand([{ addresses: [{ ip: '10.1.2.3' }], ports: [{ port: 80 }] }], metadata));
    await run.settle();
    expect(slicesOf(run)).toEqual([]);
  });
});
