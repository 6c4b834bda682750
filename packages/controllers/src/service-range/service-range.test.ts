import { type IPAddress, ipAddresses, type Service, type ServiceCIDR, serviceAddress, serviceCIDRs, services } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { type ControllerBench, controllerBench, namesOf } from '../testing/controller-bench.ts';
import { serviceAddressController } from './service-address-controller.ts';
import { serviceCidrController } from './service-cidr-controller.ts';

const FINALIZER = 'networking.k8s.io/service-cidr-finalizer';

async function bench(): Promise<ControllerBench> {
  const made = controllerBench({ ranges: serviceCidrController, addresses: serviceAddressController });
  made.client.serve(services, ipAddresses, serviceCIDRs);
  await made.start();
  return made;
}

const range = (run: ControllerBench, name: string, ...cidrs: string[]) =>
  run.client.create<ServiceCIDR>(serviceCIDRs, { metadata: { name }, spec: { cidrs } });
const rangeOf = ({ client }: ControllerBench, name: string) => client.peek<ServiceCIDR>(serviceCIDRs, name);
const web = { namespace: 'shop', name: 'web', uid: 'w' };
const give = (run: ControllerBench, address: string) => run.client.put<IPAddress>(ipAddresses, serviceAddress(address, web) as never);

describe('a range', () => {
  it('is ready, and held', async () => {
    await using run = await bench();
    await range(run, 'r', '10.0.0.0/24');
    await run.settle();
    expect(rangeOf(run, 'r')).toMatchObject({
      metadata: { finalizers: [FINALIZER] },
      status: { conditions: [{ type: 'Ready', status: 'True', message: 'Kubernetes Service CIDR is ready' }] },
    });
  });

  it('goes some seconds after it was deleted', async () => {
    await using run = await bench();
    await range(run, 'r', '10.0.0.0/24');
    await run.settle();
    await run.client.delete(serviceCIDRs, { name: 'r' });
    await run.clock.advance(8_000);
    expect(rangeOf(run, 'r')).toBeDefined();
    await run.clock.advance(3_000);
    await run.settle();
    expect(rangeOf(run, 'r')).toBeUndefined();
  });

  it('stays while an address of it alone is in use', async () => {
    await using run = await bench();
    await range(run, 'r', '10.0.0.0/24');
    give(run, '10.0.0.5');
    await run.settle();
    await run.client.delete(serviceCIDRs, { name: 'r' });
    await run.clock.advance(11_000);
    await run.settle();
    expect(rangeOf(run, 'r')?.status?.conditions).toMatchObject([{ type: 'Ready', status: 'False', reason: 'Terminating' }]);
    await range(run, 'larger', '10.0.0.0/16');
    await run.settle();
    expect(namesOf(run.client.peekAll(serviceCIDRs))).toEqual(['larger']);
  });
});

describe('an address', () => {
  const put = (run: ControllerBench, ...clusterIPs: string[]) =>
    run.client.put<Service>(services, { metadata: web, spec: { clusterIP: clusterIPs[0], clusterIPs } } as never);
  const addresses = ({ client }: ControllerBench) => namesOf(client.peekAll(ipAddresses));

  it('comes back while a Service has it', async () => {
    await using run = await bench();
    put(run, '10.0.0.7', '2001:db8::7');
    await run.settle();
    expect(addresses(run)).toEqual(['10.0.0.7', '2001:db8::7']);
    await run.client.delete(ipAddresses, { name: '10.0.0.7' });
    await run.settle();
    expect(addresses(run)).toEqual(['10.0.0.7', '2001:db8::7']);
    expect(run.client.peek<IPAddress>(ipAddresses, '10.0.0.7')?.spec.parentRef).toMatchObject({ namespace: 'shop', name: 'web' });
  });

  it('is none where a Service has no cluster IP', async () => {
    await using run = await bench();
    put(run, 'None');
    await run.settle();
    expect(addresses(run)).toEqual([]);
  });

  it('goes where its Service never came, and not before it had its time', async () => {
    await using run = await bench();
    give(run, '10.0.0.9');
    await run.clock.advance(119_000);
    expect(addresses(run)).toEqual(['10.0.0.9']);
    await run.clock.advance(2_000);
    await run.settle();
    expect(addresses(run)).toEqual([]);
  });

  it('that somebody made for himself is left alone', async () => {
    await using run = await bench();
    await run.client.create<IPAddress>(ipAddresses, {
      metadata: { name: '10.0.0.9' },
      spec: { parentRef: { resource: 'gateways', name: 'g' } },
    });
    await run.clock.advance(300_000);
    expect(addresses(run)).toEqual(['10.0.0.9']);
  });
});
