import { type Clock, errnoCode, type Logger, messageOf, type Random } from '@dure/foundation';
import { EndpointBalancer } from './endpoint-balancer.ts';
import { planListeners, type WantedListener } from './listener-plan.ts';
import type { NamespaceSockets } from './namespace-sockets.ts';
import type { ServiceTable } from './service-table.ts';
import { listenTcp, type ProxyListener } from './tcp-listener.ts';
import type { TcpRelay } from './tcp-relay.ts';
import { listenUdp, type UdpListener } from './udp-listener.ts';

export interface ServiceProxyLimits {
  /** TCP connections at once, over all Services. Default 20 000. */
  readonly connectionsMax: number;
  /** UDP clients at once per listener. Default 4 096. */
  readonly udpFlowsMax: number;
  /** Silence after which a UDP client is forgotten. Default 60 s. */
  readonly udpIdleMs: number;
  /** Time an endpoint has to answer a connection before another is tried. Default 3 s. */
  readonly connectTimeoutMs: number;
}

export interface ServiceProxyOptions {
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
  /** The services namespace: cluster IPs are opened there, and every backend is reached from there. */
  readonly services: NamespaceSockets;
  /** The node's namespace: NodePorts and external addresses. */
  readonly node: NamespaceSockets;
  readonly limits?: Partial<ServiceProxyLimits>;
}

export interface ServiceProxyStatus {
  readonly listeners: number;
  /** Listeners that could not be opened, with the reason; they are tried again each second. */
  readonly failed: readonly { readonly listener: string; readonly reason: string }[];
  readonly connections: number;
  readonly udpFlows: number;
}

/** Carries TCP and UDP from Services' addresses to their endpoints. */
export interface ServiceProxy {
  /** Opens and closes listeners so that they match `table`. Connections that exist go on, also to endpoints that are gone from it. */
  update(table: ServiceTable): void;
  status(): ServiceProxyStatus;
  /** Until `signal` aborts: times out, retries, forgets. Settles when every listener is closed and every connection has ended or been cut. */
  run(signal: AbortSignal): Promise<void>;
  /** Takes no new clients, and waits for those that are there until `signal` aborts, then cuts them. */
  drain(signal: AbortSignal): Promise<void>;
}

const LIMITS: ServiceProxyLimits = { connectionsMax: 20_000, udpFlowsMax: 4_096, udpIdleMs: 60_000, connectTimeoutMs: 3_000 };
const TICK_MS = 1_000;
const DRAIN_POLL_MS = 50;

interface OpenListener {
  readonly listener: ProxyListener;
  readonly balancerKey: string;
  readonly udp?: UdpListener;
}

export function createServiceProxy({ log, clock, random, services, node, limits }: ServiceProxyOptions): ServiceProxy {
  const { connectionsMax, udpFlowsMax, udpIdleMs, connectTimeoutMs } = { ...LIMITS, ...limits };
  const relays = new Set<TcpRelay>();
  const balancers = new Map<string, EndpointBalancer>();
  const open = new Map<string, OpenListener>();
  const failed = new Map<string, { readonly wanted: WantedListener; reason: string }>();
  let turnedAway = 0;
  const onTurnedAway = (): void => {
    turnedAway += 1;
  };
  const tcp = { log, clock, backends: services, relays, connectionsMax, onTurnedAway };
  const udp = { log, clock, backends: services, flowsMax: udpFlowsMax, idleMs: udpIdleMs };
  let isClosed = false;

  const tryOpen = (wanted: WantedListener): void => {
    const { key, place, protocol, address, port, balancerKey } = wanted;
    const balancer = balancers.get(balancerKey);
    if (!balancer) return;
    const sockets = place === 'services' ? services : node;
    try {
      if (protocol === 'TCP') {
        open.set(key, { listener: listenTcp(sockets.listenTcp(address, port), balancer, tcp), balancerKey });
      } else {
        const listener = listenUdp(sockets.bindUdp(address, port), balancer, udp);
        open.set(key, { listener, balancerKey, udp: listener });
      }
      failed.delete(key);
    } catch (error) {
      const reason = messageOf(error);
      // A host without IPv6 has no addresses of it to listen on either.
      if (address === '::' && errnoCode(error) === 'EAFNOSUPPORT') return;
      if (failed.get(key)?.reason !== reason) log.warn('listener cannot be opened, trying again', { listener: key, reason });
      failed.set(key, { wanted, reason });
    }
  };

  const closeAll = (): void => {
    isClosed = true;
    for (const { listener } of open.values()) listener.close();
    open.clear();
    failed.clear();
  };

  const tick = (): void => {
    const nowMs = clock.monotonicMs();
    for (const relay of relays) relay.tick(nowMs, connectTimeoutMs);
    for (const { udp: listener } of open.values()) listener?.sweep(nowMs);
    for (const { wanted } of failed.values()) tryOpen(wanted);
    if (turnedAway > 0) log.warn('too many connections, clients turned away', { connectionsMax, turnedAway });
    turnedAway = 0;
  };

  const drain = async (signal: AbortSignal): Promise<void> => {
    closeAll();
    while (relays.size > 0 && !signal.aborted) await clock.sleep(DRAIN_POLL_MS, signal).catch(() => {});
    for (const relay of relays) relay.destroy();
    relays.clear();
  };

  return {
    update(table) {
      if (isClosed) return;
      const plan = planListeners(table);
      for (const key of plan.conflicts) log.warn('two Services claim one address and port', { listener: key });
      for (const [key, { listener, balancerKey }] of open) {
        if (plan.listeners.get(key)?.balancerKey === balancerKey) continue;
        listener.close();
        open.delete(key);
      }
      for (const key of failed.keys()) if (!plan.listeners.has(key)) failed.delete(key);
      for (const [key, { endpoints, affinitySeconds }] of plan.balancers) {
        const balancer = balancers.get(key) ?? new EndpointBalancer(random);
        balancers.set(key, balancer);
        balancer.update(endpoints, affinitySeconds);
      }
      for (const [key, balancer] of balancers) {
        if (plan.balancers.has(key)) continue;
        balancer.update([], 0);
        balancers.delete(key);
      }
      for (const wanted of plan.listeners.values()) if (!open.has(wanted.key)) tryOpen(wanted);
      const nowMs = clock.monotonicMs();
      for (const { udp: listener } of open.values()) listener?.sweep(nowMs);
    },
    status: () => ({
      listeners: open.size,
      failed: [...failed.values()].map(({ wanted, reason }) => ({ listener: wanted.key, reason })),
      connections: relays.size,
      udpFlows: [...open.values()].reduce((sum, { udp: listener }) => sum + (listener?.flowCount ?? 0), 0),
    }),
    drain,
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(TICK_MS, signal).catch(() => {});
        tick();
      }
      await drain(signal);
    },
  };
}
