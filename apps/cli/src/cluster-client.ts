import { type Client, createClient, createNetworkTransport, loadKubeconfig, type NetworkTransport } from '@dure/client';

export interface ClusterConnection extends AsyncDisposable {
  readonly client: Client;
  readonly transport: NetworkTransport;
  readonly server: string;
  /** PEM. */
  readonly ca: string;
}

/** Talks to the cluster of a kubeconfig as its user. @throws {KubeconfigError} */
export async function connect(kubeconfig: string): Promise<ClusterConnection> {
  const access = await loadKubeconfig(kubeconfig);
  const transport = createNetworkTransport(access);
  return {
    client: createClient(transport, { userAgent: 'dure/0.1.0' }),
    transport,
    server: access.servers[0] ?? '',
    ca: access.ca ?? '',
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}
