import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, createClient, createNetworkTransport, loadKubeconfig, type NetworkTransport } from '@dure/client';
import { Scope, systemClock, systemRandom } from '@dure/foundation';
import { createAuthority, createKeyPair } from '@dure/pki';
import { freePort, RunningProcess } from '@dure/test-support';
import type { EtcdPki, TestEtcd } from './etcd-server.ts';

const MAIN = fileURLToPath(new URL('../../../apps/control-plane/src/main.ts', import.meta.url));
const START_MS = 60_000;

/** One control plane of several on one etcd: a process of its own, with an administrator's client to its API server. */
export interface TestControlPlane {
  readonly name: string;
  readonly client: Client;
  readonly kubeconfig: string;
  readonly process: RunningProcess;
  readonly advertised: string;
}

export interface TestControlPlanes extends AsyncDisposable {
  readonly planes: readonly TestControlPlane[];
}

/** Starts control planes at the same moment on an empty etcd, as one cluster: they have the authority and the ServiceAccount key in common. */
export async function startControlPlanes(etcd: TestEtcd, pki: EtcdPki, count: number): Promise<TestControlPlanes> {
  const scope = new Scope();
  try {
    const directory = await mkdtemp(join(tmpdir(), `dure-planes-${process.pid}-`));
    scope.defer(() => rm(directory, { recursive: true, force: true }));
    const ca = await createAuthority({ commonName: 'dure-ca' }, { clock: systemClock, random: systemRandom });
    const serviceAccountKey = createKeyPair().privateKeyPem;
    const etcdFiles = { ca: join(directory, 'etcd-ca.crt'), cert: join(directory, 'etcd.crt'), key: join(directory, 'etcd.key') };
    await writeFile(etcdFiles.ca, pki.ca);
    await writeFile(etcdFiles.cert, pki.client.certificatePem);
    await writeFile(etcdFiles.key, pki.client.privateKeyPem, { mode: 0o600 });
    const port = await freePort();
    // All settle before anything is given back, so that nothing is started behind it.
    const started = await Promise.allSettled(
      Array.from({ length: count }, async (_none, at): Promise<TestControlPlane> => {
        const home = join(directory, `plane-${at}`);
        await mkdir(join(home, 'pki'), { recursive: true });
        await writeFile(join(home, 'pki/ca.crt'), ca.certificatePem);
        await writeFile(join(home, 'pki/ca.key'), ca.privateKeyPem, { mode: 0o600 });
        await writeFile(join(home, 'pki/sa.key'), serviceAccountKey, { mode: 0o600 });
        const kubeconfig = join(home, 'kubeconfig');
        const [address, advertised] = [`127.0.0.${at + 1}`, `192.0.2.${at + 1}`];
        const running = await RunningProcess.start(process.execPath, [
          ...['--import', 'tsx', MAIN, '--data-dir', home, '--kubeconfig', kubeconfig],
          ...['--listen', `${address}:${port}`, '--advertise-address', advertised, '--server-name', address],
          ...['--store', 'etcd', '--etcd-endpoints', etcd.endpoints.join(',')],
          ...['--etcd-ca', etcdFiles.ca, '--etcd-cert', etcdFiles.cert, '--etcd-key', etcdFiles.key],
        ]);
        scope.use(running);
        await running.waitForLine(/API server is ready/, START_MS);
        const transport: NetworkTransport = scope.use(createNetworkTransport(await loadKubeconfig(kubeconfig)));
        return { name: address, client: createClient(transport, { userAgent: 'test' }), kubeconfig, process: running, advertised };
      }),
    );
    const planes = started.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
    return { planes, [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() };
  } catch (error) {
    await scope[Symbol.asyncDispose]();
    throw error;
  }
}
