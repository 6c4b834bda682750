/** The node's side of the cluster network. Every change to the host is idempotent and written to the ledger first. */

export interface NodeNetworkConfig {
  /** Unique on this host: names links, rules and namespaces (`--nodes N` shares one kernel). */
  readonly nodeName: string;
  /** This node's Pod CIDRs, IPv4 first. */
  readonly podCIDRs: readonly string[];
  /** All Pods of the cluster, IPv4 first: what is not masqueraded. */
  readonly clusterCIDRs: readonly string[];
  readonly serviceCIDRs: readonly string[];
  /** tmpfs directory for namespaces, leases of addresses and tables. */
  readonly runDir: string;
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

export interface NodeNetwork extends AsyncDisposable {
  /** Makes the services namespace, forwarding sysctls, the nftables table. May be called again after anything. */
  setUp(): Promise<void>;
  /** A /32 veth with a link-local gateway, an address of the node's Pod CIDR that is never given out twice. */
  attach(sandbox: SandboxIdentity): Promise<{ readonly ips: readonly string[] }>;
  detach(sandbox: SandboxIdentity): Promise<void>;
  /** Routes to the other nodes' Pods: plain ones on a shared link, VXLAN where there is a router between. Replaces the former set. */
  setPeers(peers: readonly PeerNode[]): Promise<void>;
  /** Frees what belongs to none of `sandboxIds` (after a crash between steps). */
  collectGarbage(sandboxIds: ReadonlySet<string>): Promise<void>;
  /** Removes everything this node ever made on the host. */
  tearDown(): Promise<void>;
  /** Path that names the services namespace; the proxy opens its listeners there. */
  readonly servicesNamespacePath: string;
}
