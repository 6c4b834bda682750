import type { PortMapping } from './address-leases.ts';

/** The node's side of the cluster network. Every change to the host is idempotent and written to the ledger first. */

export interface NodeNetworkConfig {
  /** Unique on this host: names links, rules and namespaces (`--nodes N` shares one kernel). */
  readonly nodeName: string;
  /** This node's Pod CIDRs, IPv4 first. Its first usable address is the services namespace's. */
  readonly podCIDRs: readonly string[];
  /** All Pods of the cluster, IPv4 first: what is not masqueraded. */
  readonly clusterCIDRs: readonly string[];
  readonly serviceCIDRs: readonly string[];
  /** tmpfs directory for namespaces, leases of addresses and tables. */
  readonly runDir: string;
  /** Bytes of a packet on Pods' links. Default: that of the link to the default route, else 1500. */
  readonly mtu?: number;
}

/** Another node, as far as packets care. */
export interface PeerNode {
  readonly name: string;
  readonly internalIPs: readonly string[];
  readonly podCIDRs: readonly string[];
}

export interface SandboxIdentity {
  readonly id: string;
  readonly namespacePath: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string; readonly attempt: number };
}

export interface AttachOptions {
  /** Ports of the node that lead to the sandbox. Kept with its lease: a second attach does not change them. */
  readonly portMappings?: readonly PortMapping[];
}

/** Every method throws {@link SyscallError}, {@link NetlinkError} or {@link NftablesError} if the kernel refuses. */
export interface NodeNetwork extends AsyncDisposable {
  /** Makes the services namespace, forwarding sysctls, the nftables table. May be called again after anything. */
  setUp(): Promise<void>;
  /**
   * A /32 veth with a link-local gateway, an address of the node's Pod CIDR that nobody else has. Again for the same sandbox: the same address.
   * @throws {AddressesExhaustedError}
   */
  attach(sandbox: SandboxIdentity, options?: AttachOptions): Promise<{ readonly ips: readonly string[] }>;
  /** Gives everything of `attach` back; does nothing if there is nothing. The namespace itself may be gone already. */
  detach(sandbox: Pick<SandboxIdentity, 'id'>): Promise<void>;
  /** What {@link attach} gave, or `undefined`: lets an agent that starts again find its Pods' addresses. */
  ips(sandboxId: string): readonly string[] | undefined;
  /**
   * Routes to the other nodes' Pods: plain ones on a shared link, VXLAN where there is a router between. Replaces the former set.
   * The kernel drops routes of a link that goes down: to be repeated now and then, and when addresses of this node change.
   * @throws {PeersUnreachableError} There is no way to some now; the others are set.
   */
  setPeers(peers: readonly PeerNode[]): Promise<void>;
  /** Frees what belongs to none of `sandboxIds` (after a crash between steps). */
  collectGarbage(sandboxIds: ReadonlySet<string>): Promise<void>;
  /** Removes everything this node ever made on the host. */
  tearDown(): Promise<void>;
  /** Path that names the services namespace; the proxy opens its listeners there. */
  readonly servicesNamespacePath: string;
}
