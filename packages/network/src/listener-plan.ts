import { type TrafficScope, usableEndpoints } from './endpoint-balancer.ts';
import type { Protocol, ServiceEndpoint, ServiceTable } from './service-table.ts';

/** In which namespace a listener stands: the services' or the node's. */
export type ListenerPlace = 'services' | 'node';

/** A listener that should be open. */
export interface WantedListener {
  /** Unique: place, protocol, address and port. */
  readonly key: string;
  readonly place: ListenerPlace;
  readonly protocol: Exclude<Protocol, 'SCTP'>;
  readonly address: string;
  readonly port: number;
  readonly balancerKey: string;
}

export interface WantedBalancer {
  readonly endpoints: readonly ServiceEndpoint[];
  readonly affinitySeconds: number;
}

export interface ListenerPlan {
  readonly listeners: ReadonlyMap<string, WantedListener>;
  readonly balancers: ReadonlyMap<string, WantedBalancer>;
  /** Keys that two Services claim; the first has them. */
  readonly conflicts: readonly string[];
}

const EVERY_ADDRESS = ['0.0.0.0', '::'];

/**
 * What a table asks for. A port without usable endpoints has no listener: the kernel then refuses its clients at once.
 * Ports of SCTP are left out: Node has no sockets for it.
 */
export function planListeners({ services, zone }: ServiceTable): ListenerPlan {
  const listeners = new Map<string, WantedListener>();
  const balancers = new Map<string, WantedBalancer>();
  const conflicts: string[] = [];
  for (const service of services) {
    for (const port of service.ports) {
      const { protocol } = port;
      if (protocol === 'SCTP') continue;
      const want = (scope: TrafficScope, place: ListenerPlace, addresses: readonly string[], number: number): void => {
        if (number === 0 || addresses.length === 0) return;
        const endpoints = usableEndpoints(service, port, scope, zone);
        if (endpoints.length === 0) return;
        const balancerKey = `${port.id} ${protocol} ${scope}`;
        balancers.set(balancerKey, { endpoints, affinitySeconds: service.sessionAffinitySeconds });
        for (const address of addresses) {
          const key = `${place} ${protocol} ${address} ${number}`;
          if (listeners.has(key)) conflicts.push(key);
          else listeners.set(key, { key, place, protocol, address, port: number, balancerKey });
        }
      };
      want('internal', 'services', service.clusterIPs, port.port);
      want('external', 'node', EVERY_ADDRESS, port.nodePort);
      want('external', 'node', [...new Set([...service.externalIPs, ...service.loadBalancerIPs])], port.port);
    }
  }
  return { listeners, balancers, conflicts };
}
