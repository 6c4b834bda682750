import { builtinKinds, configMaps, KindRegistry } from '@dure/api';
import { SYSTEM_USER } from '@dure/apiserver';
import { startTestServer } from '@dure/apiserver/testing';
import { createClient } from '@dure/client';
import { systemClock, systemRandom } from '@dure/foundation';
import { createAuthority } from '@dure/pki';
import { expect, it } from 'vitest';
import { publishClientAuthorities } from './client-authorities.ts';

it('adds the authorities of each control plane to those of the others, even of those that start at the same moment', async () => {
  await using test = await startTestServer(new KindRegistry(builtinKinds));
  const client = createClient(test.server.transport(SYSTEM_USER, 'test'), { userAgent: 'test' });
  const { signal } = new AbortController();
  const context = { clock: systemClock, random: systemRandom };
  const pem = async (commonName: string): Promise<string> => (await createAuthority({ commonName }, context)).certificatePem;
  const clusterCA = await pem('cluster');
  const proxies = await Promise.all(['one', 'two', 'three'].map(pem));
  const facts = (frontProxyCA: string) => ({
    apiServiceIP: '10.43.0.1',
    dnsServiceIP: '10.43.0.10',
    serviceCIDRs: ['10.43.0.0/16'],
    advertiseAddress: '192.0.2.1',
    apiPort: 6443,
    clusterCA,
    frontProxyCA,
  });
  await Promise.all(proxies.map((frontProxyCA) => publishClientAuthorities(client, facts(frontProxyCA), signal)));
  const key = { namespace: 'kube-system', name: 'extension-apiserver-authentication' };
  const { data = {}, metadata } = await client.get(configMaps, key, signal);
  const bundle = data['requestheader-client-ca-file'] ?? '';
  for (const proxy of proxies) expect(bundle).toContain(proxy.trim());
  expect(data['client-ca-file']?.trim()).toBe(clusterCA.trim());
  expect(JSON.parse(data['requestheader-allowed-names'] ?? '')).toEqual(['front-proxy-client']);

  await publishClientAuthorities(client, facts(proxies[0] ?? ''), signal);
  expect((await client.get(configMaps, key, signal)).metadata.resourceVersion).toBe(metadata.resourceVersion);

  await client.patch(configMaps, key, { kind: 'merge', patch: { data: { 'client-ca-file': 'nonsense' } } }, {}, signal);
  await publishClientAuthorities(client, facts(proxies[0] ?? ''), signal);
  expect((await client.get(configMaps, key, signal)).data?.['client-ca-file']?.trim()).toBe(clusterCA.trim());
});
