import type { RemoteInfo, Socket } from 'node:dgram';
import { type Clock, type Logger, messageOf } from '@dure/foundation';
import { type EndpointBalancer, endpointKey } from './endpoint-balancer.ts';
import type { NamespaceSockets } from './namespace-sockets.ts';
import type { ProxyListener } from './tcp-listener.ts';

export interface UdpContext {
  readonly log: Logger;
  readonly clock: Clock;
  readonly backends: NamespaceSockets;
  /** Flows of one listener; the oldest gives way to a new one. */
  readonly flowsMax: number;
  readonly idleMs: number;
}

export interface UdpListener extends ProxyListener {
  /** Ends flows that were idle too long, and those to endpoints that may no longer be used. */
  sweep(nowMs: number): void;
  readonly flowCount: number;
}

/** Datagrams of one client to one endpoint, and the answers. */
interface Flow {
  readonly key: string;
  readonly backend: Socket;
  lastMs: number;
}

/** Relays datagrams between the clients of `socket` and endpoints of `balancer`: one endpoint per client for as long as it talks. */
export function listenUdp(socket: Socket, balancer: EndpointBalancer, context: UdpContext): UdpListener {
  const { log, clock, backends, flowsMax, idleMs } = context;
  const flows = new Map<string, Flow>();

  const end = (client: string, flow: Flow): void => {
    if (flows.get(client) === flow) flows.delete(client);
    flow.backend.close();
  };

  const start = (client: string, { address, port }: RemoteInfo): Flow | undefined => {
    const endpoint = balancer.choose(address, clock.monotonicMs());
    if (!endpoint) return undefined;
    let backend: Socket;
    try {
      backend = backends.connectUdp(endpoint.address, endpoint.port);
    } catch (error) {
      log.debug('endpoint cannot be reached', { address: endpoint.address, reason: messageOf(error) });
      return undefined;
    }
    const flow: Flow = { key: endpointKey(endpoint), backend, lastMs: clock.monotonicMs() };
    backend.on('message', (answer) => {
      flow.lastMs = clock.monotonicMs();
      socket.send(answer, port, address);
    });
    // Nobody listens there (any more): the client's next datagram goes to another endpoint.
    backend.on('error', () => {
      if (flows.get(client) === flow) end(client, flow);
    });
    flows.set(client, flow);
    if (flows.size > flowsMax) {
      const [oldest] = flows;
      if (oldest) end(...oldest);
    }
    return flow;
  };

  socket.on('message', (datagram, from) => {
    // Forged: nobody could be answered there, and Node throws at the attempt.
    if (from.port === 0) return;
    const client = `${from.address} ${from.port}`;
    const flow = flows.get(client) ?? start(client, from);
    if (!flow) return;
    flow.lastMs = clock.monotonicMs();
    flow.backend.send(datagram);
  });
  // An answer that a client no longer takes; its flow ends by itself.
  socket.on('error', (error) => log.debug('datagram refused', { reason: error.message }));

  return {
    get flowCount() {
      return flows.size;
    },
    sweep(nowMs) {
      for (const [client, flow] of flows) {
        if (nowMs - flow.lastMs >= idleMs || !balancer.has(flow.key)) end(client, flow);
      }
    },
    close() {
      for (const [client, flow] of flows) end(client, flow);
      socket.close();
    },
  };
}
