/**
 * A node for tests: a process of its own inside the network namespace it was started in (`nsenter --net=...`), driven over IPC.
 * Run as a program by {@link LabNode}; one request at a time.
 */
import { silentLogger } from '@dure/foundation';
import type { AttachOptions, NodeNetworkConfig, PeerNode, SandboxIdentity } from '../contract.ts';
import { openNodeNetwork } from '../node-network.ts';

export type LabRequest =
  | { readonly kind: 'setUp' | 'tearDown' | 'end' }
  | { readonly kind: 'attach'; readonly sandbox: SandboxIdentity; readonly options: AttachOptions }
  | { readonly kind: 'detach'; readonly id: string }
  | { readonly kind: 'setPeers'; readonly peers: readonly PeerNode[] }
  | { readonly kind: 'collectGarbage'; readonly ids: readonly string[] };

export type LabAnswer = { readonly value: unknown; readonly ms: number } | { readonly error: string };

if (process.send !== undefined && process.argv[2] === 'lab-node') {
  const network = openNodeNetwork({ config: JSON.parse(process.argv[3] ?? '') as NodeNetworkConfig, log: silentLogger });
  const perform = async (request: LabRequest): Promise<unknown> => {
    switch (request.kind) {
      case 'setUp':
        return network.setUp();
      case 'tearDown':
        return network.tearDown();
      case 'attach':
        return network.attach(request.sandbox, request.options);
      case 'detach':
        return network.detach(request);
      case 'setPeers':
        return network.setPeers(request.peers);
      case 'collectGarbage':
        return network.collectGarbage(new Set(request.ids));
      case 'end':
        return process.disconnect();
    }
  };
  process.on('message', (request: LabRequest) => {
    const start = performance.now();
    perform(request).then(
      (value) => process.connected && process.send?.({ value, ms: performance.now() - start } satisfies LabAnswer),
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) } satisfies LabAnswer),
    );
  });
}
