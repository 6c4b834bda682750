import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Node, Pod } from '@dure/api';
import { type Clock, isAbort, type Logger, messageOf, retryDelayMs } from '@dure/foundation';
import { type NodeNetwork, openNodeNetwork, type PeerNode, type PortMapping } from '@dure/network';
import type { SandboxNetwork } from '@dure/runtime';
import type { Config } from './config.ts';
import { writePrivate } from './identity-files.ts';

export interface ClusterNetworkOptions {
  readonly config: Config;
  /** For the host ports of a Pod whose sandbox is being attached. */
  readonly podByUid: (uid: string) => Pod | undefined;
  /** The state of {@link ClusterNetwork.notReady} changed. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

const BACKOFF = { baseMs: 500, maxMs: 15_000 };

/**
 * The node's network, which can only be set up once the control plane has given the node its Pod CIDR. Sandboxes wait for it. The CIDR is
 * kept on disk, so that a restart does not need the API server.
 */
export class ClusterNetwork implements SandboxNetwork {
  readonly #options: ClusterNetworkOptions;
  readonly #path: string;
  readonly #ready: Promise<NodeNetwork>;
  #resolve: (network: NodeNetwork) => void = () => undefined;
  #network: NodeNetwork | undefined;
  #opening = false;
  #reason: string | undefined = 'network not ready: waiting for a Pod CIDR from the control plane';
  #peers: string | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: ClusterNetworkOptions) {
    this.#options = options;
    this.#path = join(options.config.dataDir, 'pod-cidrs.json');
    this.#ready = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Why Pods cannot have a network yet; `undefined`: they can. */
  get notReady(): string | undefined {
    return this.#reason;
  }

  /** Goes on with the CIDR of a former start, if there was one. */
  async resume(signal: AbortSignal): Promise<void> {
    const text = await readFile(this.#path, 'utf8').catch(() => undefined);
    if (text !== undefined) this.open(JSON.parse(text) as readonly string[], signal);
  }

  /** Sets the network up in the background, once; tries until it stands. */
  open(podCIDRs: readonly string[], signal: AbortSignal): void {
    if (this.#opening || podCIDRs.length === 0) return;
    this.#opening = true;
    this.#setUp(podCIDRs, signal).catch((error: unknown) => {
      if (!isAbort(error, signal)) this.#options.log.error('network not set up', { error });
    });
  }

  async attach(sandbox: Parameters<SandboxNetwork['attach']>[0]): Promise<{ readonly ips: readonly string[] }> {
    const pod = this.#options.podByUid(sandbox.metadata.uid);
    return (await this.#ready).attach(sandbox, { portMappings: pod === undefined ? [] : hostPortsOf(pod) });
  }

  async detach(sandbox: Parameters<SandboxNetwork['detach']>[0]): Promise<void> {
    // Nothing tells the network of a former start: what it left is collected once it is known again.
    if (!this.#opening) return;
    await (await this.#ready).detach(sandbox);
  }

  /** Routes to all other nodes of the cluster. */
  setPeers(nodes: readonly Node[]): void {
    const { nodeName } = this.#options.config;
    const peers = nodes.flatMap((node): PeerNode[] => {
      const { podCIDRs = [] } = node.spec;
      const internalIPs = (node.status?.addresses ?? []).filter(({ type }) => type === 'InternalIP').map(({ address }) => address);
      return node.metadata.name === nodeName || podCIDRs.length === 0 || internalIPs.length === 0
        ? []
        : [{ name: node.metadata.name, internalIPs, podCIDRs }];
    });
    const key = JSON.stringify(peers);
    if (key === this.#peers) return;
    this.#peers = key;
    // In order: an older set must not land after a newer one.
    this.#tail = this.#tail
      .then(async () => (await this.#ready).setPeers(peers))
      .catch((error: unknown) => {
        this.#peers = undefined;
        this.#options.log.warn('routes to other nodes not set', { error });
      });
  }

  async collectGarbage(sandboxIds: ReadonlySet<string>): Promise<void> {
    await (await this.#ready).collectGarbage(sandboxIds);
  }

  /** Closes handles; what stands on the host stays. */
  async close(): Promise<void> {
    await this.#network?.[Symbol.asyncDispose]();
  }

  async #setUp(podCIDRs: readonly string[], signal: AbortSignal): Promise<void> {
    const { config, clock, log, onChange } = this.#options;
    const { nodeName, runDir, clusterCIDRs, serviceCIDRs } = config;
    for (let failures = 1; ; failures += 1) {
      try {
        this.#network ??= openNodeNetwork({ config: { nodeName, runDir, podCIDRs, clusterCIDRs, serviceCIDRs }, log });
        await this.#network.setUp();
        break;
      } catch (error) {
        this.#reason = `network not ready: ${messageOf(error)}`;
        onChange();
        log.warn('network not set up, trying again', { error });
        await clock.sleep(retryDelayMs(failures, BACKOFF), signal);
      }
    }
    await writePrivate(this.#path, JSON.stringify(podCIDRs));
    this.#reason = undefined;
    this.#resolve(this.#network);
    log.info('network set up', { podCIDRs });
    onChange();
  }
}

function hostPortsOf(pod: Pod): readonly PortMapping[] {
  const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  return all.flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, containerPort, protocol = 'TCP', hostIP }): PortMapping[] =>
      hostPort === undefined || hostPort === 0 ? [] : [{ protocol, hostPort, containerPort, ...(hostIP === undefined ? {} : { hostIP }) }],
    ),
  );
}
