import type { KindRegistry } from '@dure/api';
import { type Clock, silentLogger, systemClock, systemRandom, uuid } from '@dure/foundation';
import { createAuthority, issueCertificate } from '@dure/pki';
import { openMemoryStore, type Store } from '@dure/store';
import { type ApiServer, type ApiServerOptions, createApiServer } from '../api-server.ts';
import type { NetworkDoor } from '../http/network-door.ts';
import { admitAll, allowKnown, certificateNames } from './open-parts.ts';

/** A server over HTTPS with a memory store, and what a client needs to be its administrator. */
export interface TestServer extends AsyncDisposable {
  readonly server: ApiServer;
  readonly store: Store;
  readonly door: NetworkDoor;
  readonly url: string;
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
  /** A kubeconfig for the administrator. */
  readonly kubeconfig: string;
}

/** Starts one on a free port of the loopback interface. */
export async function startTestServer(
  kinds: KindRegistry,
  options: Partial<ApiServerOptions> & { readonly port?: number } = {},
): Promise<TestServer> {
  const clock: Clock = options.clock ?? systemClock;
  const context = { clock: systemClock, random: systemRandom };
  const authority = await createAuthority({ commonName: 'test-ca' }, context);
  const serving = await issueCertificate(
    authority,
    { commonName: 'kube-apiserver', organizations: [], usages: ['server auth'], ipAddresses: ['127.0.0.1'], dnsNames: ['localhost'] },
    context,
  );
  const admin = await issueCertificate(
    authority,
    { commonName: 'admin', organizations: ['system:masters'], usages: ['client auth'] },
    context,
  );
  const store = options.store ?? (await openTestStore(clock));
  const server = createApiServer({
    kinds,
    random: systemRandom,
    log: silentLogger,
    authenticator: () => certificateNames,
    authorizer: () => allowKnown,
    admission: () => admitAll,
    ...options,
    store,
    clock,
  });
  const tls = { cert: serving.certificatePem, key: serving.privateKeyPem, clientCa: authority.certificatePem };
  const door = await server.listen({ host: '127.0.0.1', port: options.port ?? 0 }, tls);
  const url = `https://127.0.0.1:${door.address.port}`;
  return {
    server,
    store,
    door,
    url,
    caPem: authority.certificatePem,
    certPem: admin.certificatePem,
    keyPem: admin.privateKeyPem,
    kubeconfig: kubeconfigOf(url, authority.certificatePem, admin.certificatePem, admin.privateKeyPem),
    async [Symbol.asyncDispose]() {
      await server.close();
      if (options.store === undefined) await store[Symbol.asyncDispose]();
    },
  };
}

/** In memory; where `DURE_TEST_ETCD` names an etcd, there instead, behind a prefix of its own. */
async function openTestStore(clock: Clock): Promise<Store> {
  const endpoint = process.env.DURE_TEST_ETCD;
  if (endpoint === undefined) return openMemoryStore({ clock });
  const { openEtcdStore } = await import('@dure/store/etcd');
  return openEtcdStore({ endpoints: [endpoint], prefix: `/${uuid(systemRandom)}`, clock: systemClock, log: silentLogger });
}

function kubeconfigOf(server: string, ca: string, cert: string, key: string): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': base64(ca) } }],
    users: [{ name: 'admin', user: { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin', namespace: 'default' } }],
  });
}
