import { createServer, type Server, type Socket } from 'node:net';
import { type Clock, type Logger, messageOf } from '@dure/foundation';
import { type EndpointBalancer, endpointKey } from './endpoint-balancer.ts';
import type { DataHandler, NamespaceSockets, OutgoingConnection } from './namespace-sockets.ts';
import { type BackendSource, TcpRelay } from './tcp-relay.ts';

/** What all listeners of a proxy share. */
export interface TcpContext {
  readonly log: Logger;
  readonly clock: Clock;
  /** Where backends are reached from. */
  readonly backends: NamespaceSockets;
  /** Connections under way, of all listeners. */
  readonly relays: Set<TcpRelay>;
  readonly connectionsMax: number;
  /** Told of each client turned away because there are too many. */
  readonly onTurnedAway: () => void;
}

export interface ProxyListener {
  /** Takes no more clients; those that are there go on. */
  close(): void;
}

/** Endpoints tried for one client before it is turned away. */
const ATTEMPTS_MAX = 16;

/** Accepts on `fd` and connects each client with an endpoint of `balancer`. */
export function listenTcp(fd: number, balancer: EndpointBalancer, context: TcpContext): ProxyListener {
  const server: Server = createServer({ allowHalfOpen: true }, (client) => accept(client, balancer, context));
  server.on('error', (error) => context.log.warn('listener failed', { error }));
  server.listen({ fd });
  return { close: () => void server.close() };
}

function accept(
  client: Socket,
  balancer: EndpointBalancer,
  { log, clock, backends, relays, connectionsMax, onTurnedAway }: TcpContext,
): void {
  if (relays.size >= connectionsMax) {
    onTurnedAway();
    client.resetAndDestroy();
    return;
  }
  // Asking the kernel costs as much as a small write; absent: it has gone already, which the relay finds out.
  const address = balancer.hasAffinity ? (client.remoteAddress ?? '') : '';
  let tried: Set<string> | undefined;
  let relay: TcpRelay | undefined;
  const source: BackendSource = {
    next(onData) {
      for (let attempt = tried?.size ?? 0; attempt < ATTEMPTS_MAX; attempt += 1) {
        const endpoint = balancer.choose(address, clock.monotonicMs(), tried);
        if (!endpoint) return undefined;
        tried ??= new Set();
        tried.add(endpointKey(endpoint));
        const connection = tryConnect(backends, endpoint.address, endpoint.port, onData, log);
        if (connection) return connection;
      }
      return undefined;
    },
    ended() {
      if (relay) relays.delete(relay);
    },
  };
  relay = new TcpRelay(client, source, clock.monotonicMs());
  if (!relay.isEnded) relays.add(relay);
}

function tryConnect(
  backends: NamespaceSockets,
  address: string,
  port: number,
  onData: DataHandler,
  log: Logger,
): OutgoingConnection | undefined {
  try {
    return backends.connectTcp(address, port, onData);
  } catch (error) {
    // One endpoint's trouble, an address that is none among them, must not become everybody's.
    log.debug('endpoint cannot be reached', { address, port, reason: messageOf(error) });
    return undefined;
  }
}
