import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, messageOf } from '@dure/foundation';
import { type Lease, openAddressLeases, servicesAddress } from './address-leases.ts';
import type { AttachOptions, NodeNetwork, NodeNetworkConfig, PeerNode, SandboxIdentity } from './contract.ts';
import { AddressError, addressAt, parseCidr } from './ip-address.ts';
import { type HostChange, openLedger } from './ledger.ts';
import { GATEWAY, HOST_MAC, linkNames, POD_LINK, podMac, VXLAN_ID, VXLAN_OVERHEAD_BYTES, VXLAN_PORT, vxlanMac } from './link-plan.ts';
import { hostRoute, type Link, Netlink, NetlinkError } from './netlink.ts';
import { createNetworkNamespace, removeNetworkNamespace, within } from './network-namespace.ts';
import { applyNftables, droppingForwardChains } from './nftables.ts';
import { type HostPort, NFTABLES_FAMILY, nftablesTableName, renderNftables } from './nftables-plan.ts';
import { type PeerReach, PeersUnreachableError, planPeers, type Tunnel } from './peer-plan.ts';
import { openSyscalls } from './syscalls.ts';
import { restoreSysctl, setSysctl } from './sysctl.ts';

export interface NodeNetworkOptions {
  readonly config: NodeNetworkConfig;
  readonly log: Logger;
}

const MTU_DEFAULT = 1500;
/** Any address outside: only its route is asked for, nothing is sent. */
const OUTSIDE = '1.1.1.1';

/**
 * The network of one node in the calling process's network namespace. Changes nothing until {@link NodeNetwork.setUp}.
 * Must be called on the main thread, as root. @throws {AddressError} A range cannot be read, or no Pod CIDR is IPv4.
 */
export function openNodeNetwork({ config, log }: NodeNetworkOptions): NodeNetwork {
  const { nodeName, runDir } = config;
  const podCIDR = config.podCIDRs.map(parseCidr).find(({ family }) => family === 4);
  if (!podCIDR) throw new AddressError(`open node network: no IPv4 range among Pod CIDRs ${JSON.stringify(config.podCIDRs)}`);
  const podRange = config.podCIDRs.find((cidr) => !cidr.includes(':')) ?? '';
  const isIPv4 = (cidr: string): boolean => parseCidr(cidr).family === 4;
  const serviceCIDRs = config.serviceCIDRs.filter(isIPv4);
  const ownAddress = servicesAddress(podCIDR);
  const names = linkNames(nodeName);
  const syscalls = openSyscalls();
  const host = Netlink.open(syscalls);
  const remover = Netlink.open(syscalls);
  const stateDir = join(runDir, 'network');
  const servicesNamespacePath = join(runDir, 'netns', 'services');
  const ledger = openLedger(join(stateDir, 'ledger.jsonl'));
  const leasesPath = join(stateDir, 'leases.json');
  let leases = openAddressLeases(leasesPath, podCIDR);
  /** nft runs one after the other, each with the state of its turn. */
  let nftables: Promise<void> = Promise.resolve();
  /** Links are deleted one after the other. */
  let removals: Promise<void> = Promise.resolve();

  const linkMtu = (): number => {
    if (config.mtu !== undefined) return config.mtu;
    const outside = host.resolve(OUTSIDE);
    return host.links().find(({ index }) => index === outside?.linkIndex)?.mtu ?? MTU_DEFAULT;
  };

  /** One end in `namespacePath` with `address`, the other here with a route to it. Whatever part stands already is kept. */
  const connect = (linkName: string, namespacePath: string, address: string): void => {
    using inside = Netlink.open(syscalls, namespacePath);
    let near = host.link(linkName);
    let far = inside.link(POD_LINK);
    // Either end alone is what a crash or another sandbox with the same address left behind.
    if (!near || far?.mac !== podMac(address)) {
      host.deleteLink(linkName);
      if (far) inside.deleteLink(POD_LINK);
      const nearEnd = { name: linkName, mac: HOST_MAC, mtu: linkMtu() };
      host.addVeth(nearEnd, { name: POD_LINK, mac: podMac(address), namespacePath });
      near = host.link(linkName);
      far = inside.link(POD_LINK);
    }
    const loopback = inside.link('lo');
    if (!near || !far || !loopback) throw new NetlinkError(`connect ${address}: link vanished`, 19);
    inside.setLinkUp(loopback.index);
    inside.setLinkUp(far.index);
    inside.setHostAddress(far.index, address);
    inside.setNeighbour(far.index, GATEWAY, HOST_MAC);
    inside.setRoute({ destination: hostRoute(GATEWAY), linkIndex: far.index });
    inside.setRoute({ destination: '0.0.0.0/0', via: GATEWAY, linkIndex: far.index });
    host.setLinkUp(near.index);
    host.setNeighbour(near.index, address, podMac(address));
    host.setRoute({ destination: hostRoute(address), linkIndex: near.index });
  };

  const refreshNftables = (): Promise<void> => {
    const apply = (): Promise<void> => {
      const hostPorts = leases
        .entries()
        .flatMap(([, { offset, ports }]): HostPort[] => ports.map((port) => ({ ...port, podIP: addressAt(podCIDR, offset) })));
      const unmasqueraded = [...config.clusterCIDRs.filter(isIPv4), ...serviceCIDRs];
      return applyNftables(renderNftables({ nodeName, podCIDR: podRange, unmasqueraded, linkPrefix: names.prefix, hostPorts }));
    };
    const turn = nftables.then(apply);
    nftables = turn.catch(() => {});
    return turn;
  };

  const setUp = async (): Promise<void> => {
    ledger.record({ kind: 'links', namePrefix: names.prefix });
    ledger.record({ kind: 'nftables-table', family: NFTABLES_FAMILY, name: nftablesTableName(nodeName) });
    ledger.record({ kind: 'network-namespace', path: servicesNamespacePath });
    setSysctl(ledger, 'net/ipv4/ip_forward', '1');
    // Addresses that no Pod has now: senders hear that at once, instead of their packets leaving by the default route.
    ledger.record({ kind: 'unreachable-route', destination: podRange });
    host.setRoute({ destination: podRange, type: 'unreachable' });
    createNetworkNamespace(syscalls, servicesNamespacePath);
    connect(names.services, servicesNamespacePath, ownAddress);
    using inside = Netlink.open(syscalls, servicesNamespacePath);
    const loopback = inside.link('lo');
    const near = host.link(names.services);
    if (!loopback || !near) throw new NetlinkError('set up services namespace: link vanished', 19);
    // The proxy is one client of every backend: it needs more ports than one program usually does.
    within(syscalls, servicesNamespacePath, () => writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '1024 65535'));
    for (const destination of serviceCIDRs) {
      inside.setRoute({ destination, linkIndex: loopback.index, type: 'local' });
      host.setRoute({ destination, via: ownAddress, linkIndex: near.index });
    }
    await refreshNftables();
    for (const chain of await droppingForwardChains())
      log.warn('another firewall drops forwarded packets by default: let those of our links pass', { chain, links: `${names.prefix}*` });
    log.info('node network set up', { services: ownAddress, podCIDR: podRange });
  };

  /** The address can go to another sandbox only when nothing leads to the former one any more. */
  const free = async (sandboxId: string, lease: Lease): Promise<void> => {
    const turn = removals.then(() => remover.deleteLinkAside(names.pod(lease.offset)));
    removals = turn.catch(() => {});
    await turn;
    leases.release(sandboxId);
  };

  const reachFrom =
    (links: readonly Link[]) =>
    (address: string): PeerReach => {
      const found = host.resolve(address);
      if (!found || found.isLocal) return { kind: 'none' };
      if (found.via !== undefined) return { kind: 'routed' };
      const link = links.find(({ index }) => index === found.linkIndex);
      return link ? { kind: 'link', linkIndex: link.index, linkName: link.name } : { kind: 'none' };
    };

  const setTunnels = (tunnels: readonly Tunnel[]): void => {
    if (tunnels.length === 0) {
      host.deleteLink(names.vxlan);
      return;
    }
    let link = host.link(names.vxlan);
    if (!link) {
      const mtu = linkMtu() - VXLAN_OVERHEAD_BYTES;
      host.addVxlan({ name: names.vxlan, mac: vxlanMac(ownAddress), mtu }, { id: VXLAN_ID, port: VXLAN_PORT });
      link = host.link(names.vxlan);
      if (!link) throw new NetlinkError(`add vxlan ${names.vxlan}: link vanished`, 19);
      // What the node itself sends through a tunnel needs a source that leads back into it; elsewhere it would be dropped as forged.
      host.setHostAddress(link.index, addressAt(podCIDR, 0));
    }
    const { index } = link;
    for (const { mac, remote } of host.tunnels(index)) {
      if (!tunnels.some((tunnel) => tunnel.mac === mac && tunnel.remote === remote)) host.deleteTunnel(index, mac, remote);
    }
    for (const { address } of host.neighbours(index)) {
      if (!tunnels.some(({ via }) => via === address)) host.deleteNeighbour(index, address);
    }
    for (const { mac, remote, via, destination } of tunnels) {
      host.setTunnel(index, mac, remote);
      host.setNeighbour(index, via, mac);
      ledger.record({ kind: 'route', destination, link: names.vxlan, via });
      host.setRoute({ destination, via, linkIndex: index });
    }
  };

  const undo = async (change: HostChange): Promise<void> => {
    switch (change.kind) {
      case 'links':
        for (const { name } of host.links()) if (name.startsWith(change.namePrefix)) host.deleteLink(name);
        return;
      case 'network-namespace':
        return removeNetworkNamespace(syscalls, change.path);
      case 'nftables-table': {
        // Deleting what may be absent: declare it first, in the same transaction.
        const table = `table ${change.family} ${change.name}`;
        await nftables;
        return applyNftables(`${table}\ndelete ${table}\n`);
      }
      case 'route': {
        const link = host.link(change.link);
        if (link)
          host.deleteRoute({
            destination: change.destination,
            linkIndex: link.index,
            ...(change.via !== undefined && { via: change.via }),
          });
        return;
      }
      case 'unreachable-route':
        host.deleteRoute({ destination: change.destination, type: 'unreachable' });
        return;
      case 'sysctl':
        return restoreSysctl(change.name, change.found, change.set);
    }
  };

  return {
    servicesNamespacePath,
    setUp,
    async attach(sandbox: SandboxIdentity, { portMappings = [] }: AttachOptions = {}) {
      const known = leases.get(sandbox.id);
      const lease = known ?? leases.acquire(sandbox.id, portMappings);
      const address = addressAt(podCIDR, lease.offset);
      const link = names.pod(lease.offset);
      connect(link, sandbox.namespacePath, address);
      // A host port answers on 127.0.0.1 too. Ends with the link.
      if (lease.ports.length > 0) writeFileSync(`/proc/sys/net/ipv4/conf/${link}/route_localnet`, '1');
      if (!known && lease.ports.length > 0) await refreshNftables();
      return { ips: [address] };
    },
    async detach({ id }) {
      const lease = leases.get(id);
      if (!lease) return;
      await free(id, lease);
      if (lease.ports.length > 0) await refreshNftables();
    },
    ips(sandboxId) {
      const lease = leases.get(sandboxId);
      return lease && [addressAt(podCIDR, lease.offset)];
    },
    async setPeers(peers: readonly PeerNode[]) {
      const plan = planPeers(peers, reachFrom(host.links()));
      const wanted = [
        ...plan.routes.map(({ destination, via, linkName }) => ({ destination, via, link: linkName })),
        ...plan.tunnels.map(({ destination, via }) => ({ destination, via, link: names.vxlan })),
      ];
      for (const change of ledger.entries()) {
        if (change.kind !== 'route') continue;
        const isWanted = wanted.some(
          ({ destination, via, link }) => destination === change.destination && via === change.via && link === change.link,
        );
        if (isWanted) continue;
        await undo(change);
        ledger.forget(change);
      }
      for (const { destination, via, linkIndex, linkName } of plan.routes) {
        ledger.record({ kind: 'route', destination, link: linkName, via });
        host.setRoute({ destination, via, linkIndex });
      }
      setTunnels(plan.tunnels);
      if (plan.unreachable.length > 0) throw new PeersUnreachableError(plan.unreachable);
    },
    async collectGarbage(sandboxIds) {
      let portsChanged = false;
      for (const [id, lease] of leases.entries()) {
        if (sandboxIds.has(id)) continue;
        await free(id, lease);
        portsChanged ||= lease.ports.length > 0;
        log.info('freed the network of a sandbox that is gone', { sandboxId: id });
      }
      const kept = new Set(leases.entries().map(([, { offset }]) => names.pod(offset)));
      for (const { name } of host.links()) if (names.isPod(name) && !kept.has(name)) host.deleteLink(name);
      if (portsChanged) await refreshNftables();
    },
    async tearDown() {
      const failures: unknown[] = [];
      for (const change of ledger.entries().toReversed()) {
        try {
          await undo(change);
          ledger.forget(change);
        } catch (error) {
          log.error('cannot undo a change of this host', { change, reason: messageOf(error) });
          failures.push(error);
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, `tear down node network: ${failures.length} changes of the host remain`);
      ledger.remove();
      rmSync(stateDir, { recursive: true, force: true });
      leases = openAddressLeases(leasesPath, podCIDR);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([nftables, removals]);
      host[Symbol.dispose]();
      remover[Symbol.dispose]();
    },
  };
}
