import type { Socket } from 'node:dgram';
import { statSync } from 'node:fs';
import { type Responder, serveDns } from '@dure/dns';
import { type Clock, type Logger, messageOf, type Random } from '@dure/foundation';
import type { ServiceTable } from '@dure/network';
import {
  createServiceProxy,
  isNetworkNamespace,
  type NamespaceSockets,
  openNamespaceSockets,
  type ServiceProxy,
  SyscallError,
  type Syscalls,
} from '@dure/network';

export interface NodeServicesOptions {
  readonly syscalls: Syscalls;
  /** Where the services namespace is, or will be. */
  readonly namespacePath: string;
  readonly dnsAddress: string;
  readonly responder: Responder;
  readonly drainMs: number;
  /** Called each time DNS begins to listen. */
  readonly onServing?: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** The listeners of a node: proxy and DNS, in whichever services namespace the node has now. */
export interface NodeServices {
  update(table: ServiceTable): void;
  /** The proxy of the namespace that stands now. */
  readonly proxy: ServiceProxy | undefined;
  /** True while DNS listens. */
  readonly isServing: boolean;
  /** Until `signal` aborts; then drains. */
  run(signal: AbortSignal): Promise<void>;
}

const POLL_MS = 500;
const DNS_PORT = 53;

export function createNodeServices(options: NodeServicesOptions): NodeServices {
  const { syscalls, namespacePath, dnsAddress, responder, drainMs, clock, random, log } = options;
  let table: ServiceTable | undefined;
  let proxy: ServiceProxy | undefined;
  let isServing = false;

  const whenThere = async (signal: AbortSignal): Promise<bigint | undefined> => {
    let hasComplained = false;
    while (!signal.aborted) {
      const id = namespaceId(namespacePath);
      if (id !== undefined) return id;
      if (!hasComplained) log.info('waiting for the services namespace', { path: namespacePath });
      hasComplained = true;
      await clock.sleep(POLL_MS, signal).catch(() => {});
    }
    return undefined;
  };

  /** Serves in the namespace `id` until another stands in its place or `signal` aborts. */
  const serve = async (id: bigint, signal: AbortSignal): Promise<void> => {
    using services = openNamespaceSockets(syscalls, namespacePath);
    using node = openNamespaceSockets(syscalls);
    const end = new AbortController();
    const dnsEnd = new AbortController();
    const current = createServiceProxy({ log, clock, random, services, node });
    proxy = current;
    if (table) current.update(table);
    const running = current.run(end.signal);
    const dns = answerDns(services, dnsEnd.signal);
    while (!signal.aborted && namespaceId(namespacePath) === id) await clock.sleep(POLL_MS, signal).catch(() => {});
    if (signal.aborted) await withDeadline(drainMs, (deadline) => current.drain(deadline));
    else log.warn('the services namespace was replaced, opening everything again');
    end.abort();
    dnsEnd.abort();
    proxy = undefined;
    await Promise.all([running, dns]);
  };

  const withDeadline = async (ms: number, action: (deadline: AbortSignal) => Promise<void>): Promise<void> => {
    const deadline = new AbortController();
    const isDone = new AbortController();
    const timer = clock.sleep(ms, isDone.signal).then(
      () => deadline.abort(),
      () => {},
    );
    await action(deadline.signal);
    isDone.abort();
    await timer;
  };

  const answerDns = async (sockets: NamespaceSockets, signal: AbortSignal): Promise<void> => {
    let hasComplained = false;
    while (!signal.aborted) {
      try {
        const udp: Socket = sockets.bindUdp(dnsAddress, DNS_PORT);
        let tcp: number;
        try {
          tcp = sockets.listenTcp(dnsAddress, DNS_PORT);
        } catch (error) {
          udp.close();
          throw error;
        }
        isServing = true;
        options.onServing?.();
        log.info('answering DNS', { address: dnsAddress });
        await serveDns({ responder, udp: [udp], tcp: [{ fd: tcp }], clock, log }, signal);
        isServing = false;
        return;
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error;
        // The process before this one may still be draining.
        if (!hasComplained) log.warn('DNS cannot be opened, trying again', { reason: messageOf(error) });
        hasComplained = true;
        await clock.sleep(POLL_MS, signal).catch(() => {});
      }
    }
  };

  return {
    update(next) {
      table = next;
      proxy?.update(next);
    },
    get proxy() {
      return proxy;
    },
    get isServing() {
      return isServing;
    },
    async run(signal) {
      while (!signal.aborted) {
        const id = await whenThere(signal);
        if (id !== undefined) await serve(id, signal);
      }
    },
  };
}

/** Names a namespace as long as it lives; `undefined`: none stands there. */
function namespaceId(path: string): bigint | undefined {
  try {
    return isNetworkNamespace(path) ? statSync(path, { bigint: true }).ino : undefined;
  } catch {
    // Removed between the two looks.
    return undefined;
  }
}
