import { builtinKinds, endpoints, KindRegistry, type Lease, leases } from '@dure/api';
import { SYSTEM_USER } from '@dure/apiserver';
import { startTestServer } from '@dure/apiserver/testing';
import { createClient } from '@dure/client';
import { silentLogger } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { expect, it } from 'vitest';
import { ServerAddresses } from './server-addresses.ts';

it('lists every server that renews its Lease, and takes out one that does not, or that ends', async () => {
  const kinds = new KindRegistry(builtinKinds);
  await using api = await startTestServer(kinds);
  const client = createClient(api.server.transport(SYSTEM_USER, 'test'), { userAgent: 'test' });
  const refOf = (apiVersion: string, kind: string) => {
    const definition = kinds.object(apiVersion, kind)?.definition;
    if (definition === undefined) return undefined;
    const { group, resource, namespaced } = definition;
    return { group, version: apiVersion.split('/').at(-1) ?? '', resource, kind, namespaced };
  };
  const clock = new FakeClock();
  const server = (advertiseAddress: string) =>
    new ServerAddresses({
      client,
      refOf,
      facts: {
        apiServiceIP: '10.43.0.1',
        dnsServiceIP: '10.43.0.10',
        serviceCIDRs: ['10.43.0.0/16'],
        advertiseAddress,
        apiPort: 6443,
        clusterCA: '',
        frontProxyCA: '',
      },
      clock,
      log: silentLogger,
    });
  const shown = async (): Promise<unknown> => {
    const { subsets } = await client.get(endpoints, { namespace: 'default', name: 'kubernetes' });
    return subsets?.map(({ addresses, ports }) => [addresses?.map(({ ip }) => ip), ports?.[0]?.port]);
  };
  const { signal } = new AbortController();
  const [one, other, third] = [server('192.0.2.1'), server('192.0.2.2'), server('192.0.2.3')];
  for (const each of [one, other, third]) await each.update(signal);
  expect(await shown()).toEqual([[['192.0.2.1', '192.0.2.2', '192.0.2.3'], 6443]]);

  // The second says no more. What counts is what the others see, not what its Lease says the time is.
  await one.update(signal);
  for (let elapsed = 0; elapsed < 40_000; elapsed += 10_000) {
    await clock.advance(10_000);
    await one.update(signal);
    await third.update(signal);
  }
  expect(await shown()).toEqual([[['192.0.2.1', '192.0.2.3'], 6443]]);
  expect((await client.list<Lease>(leases, { namespace: 'kube-system' })).items).toHaveLength(2);

  await third.run(AbortSignal.abort(new Error('the control plane is stopping')));
  expect(await shown()).toEqual([[['192.0.2.1'], 6443]]);
  await one.run(AbortSignal.abort(new Error('the control plane is stopping')));
  expect(await shown()).toEqual([[['192.0.2.1'], 6443]]);

  await other.update(signal);
  expect(await shown()).toEqual([[['192.0.2.2'], 6443]]);
});
