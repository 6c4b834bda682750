import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { type Random, seededRandom, silentLogger, systemClock } from '@dure/foundation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NamespaceSockets, openNamespaceSockets } from './namespace-sockets.ts';
import { createServiceProxy, type ServiceProxy } from './service-proxy.ts';
import type { ServiceEndpoint, ServiceTable } from './service-table.ts';
import { openSyscalls } from './syscalls.ts';

const seed = Number(process.env.DURE_SEED ?? Date.now() % 1_000_000);
/** All of 127/8 is this machine: an address of our own needs no port that is free elsewhere. */
const SERVICE = `127.77.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`;

function table(ports: readonly number[], more: { sessionAffinitySeconds?: number } = {}): ServiceTable {
  const endpoints = ports.map(
    (port): ServiceEndpoint => ({ address: '127.0.0.1', port, ready: true, serving: true, terminating: false, local: true, zoneHints: [] }),
  );
  return {
    services: [
      {
        namespace: 'default',
        name: 'web',
        clusterIPs: [SERVICE],
        externalIPs: [],
        loadBalancerIPs: [],
        ports: [{ id: 'default/web:', protocol: 'TCP', port: 8080, nodePort: 0, endpoints }],
        sessionAffinitySeconds: 0,
        internalTrafficPolicy: 'Cluster',
        externalTrafficPolicy: 'Cluster',
        ...more,
      },
    ],
  };
}

describe('a service proxy on loopback', () => {
  const stop = new AbortController();
  const servers: Server[] = [];
  let sockets: NamespaceSockets;
  let proxy: ServiceProxy;
  let running: Promise<void>;

  const serve = async (handler: (socket: Socket) => void): Promise<number> => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      handler(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    return (server.address() as { port: number }).port;
  };
  const closedPort = async (): Promise<number> => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, 'close');
    return port;
  };
  const dial = (): Socket => sockets.connectTcp(SERVICE, 8080).socket;

  beforeAll(() => {
    sockets = openNamespaceSockets(openSyscalls());
    proxy = createServiceProxy({ log: silentLogger, clock: systemClock, random: seededRandom(1), services: sockets, node: sockets });
    running = proxy.run(stop.signal);
  });
  afterAll(async () => {
    stop.abort();
    await running;
    for (const server of servers) server.close();
    sockets[Symbol.dispose]();
  });

  it(`brings every byte across, in order, both ways, whatever the pace (DURE_SEED=${seed})`, { timeout: 60_000 }, async () => {
    const echo = await serve((socket) => socket.pipe(socket));
    const random = seededRandom(seed);
    proxy.update(table([echo]));
    const digests = await Promise.all(Array.from({ length: 16 }, () => talk(dial(), seededRandom(random.integer(1 << 30)))));
    for (const { sent, received } of digests) expect(received).toBe(sent);
  });

  it('retries a refused connect with all that the client has said, also when it has hung up its half already', async () => {
    const count = await serve((socket) => {
      let bytes = 0;
      socket.on('data', (chunk) => {
        bytes += chunk.length;
      });
      socket.on('end', () => socket.end(String(bytes)));
    });
    proxy.update(table([await closedPort(), await closedPort(), count]));
    for (let turn = 0; turn < 6; turn += 1) {
      const socket = dial();
      socket.end(Buffer.alloc(200_000 + turn));
      expect(String((await once(socket, 'data'))[0])).toBe(String(200_000 + turn));
      await once(socket, 'close');
    }
  });

  it('lets a backend have the last word though it closed with bytes unread', async () => {
    const rude = await serve((socket) => {
      socket.pause();
      socket.end('enough');
      socket.destroySoon();
    });
    proxy.update(table([rude]));
    const socket = dial();
    const heard: string[] = [];
    socket.on('data', (chunk) => heard.push(String(chunk)));
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.write('x');
    await once(socket, 'close');
    expect(heard.join('')).toBe('enough');
  });

  it('reads no faster than a slow backend takes', async () => {
    let backend: Socket | undefined;
    const slow = await serve((socket) => {
      backend = socket.pause();
    });
    proxy.update(table([slow]));
    const socket = dial();
    socket.on('error', () => {});
    let sent = 0;
    const chunk = Buffer.alloc(65_536);
    const pump = (): void => {
      while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
    };
    socket.on('drain', () => {
      sent += chunk.length;
      pump();
    });
    pump();
    for (let before = -1; sent !== before; ) {
      before = sent;
      await setTimeout(150);
    }
    expect(sent).toBeLessThan(64 << 20);
    socket.destroy();
    backend?.destroy();
  });

  it('passes by endpoints that are no addresses or may not be reached', async () => {
    const good = await serve((socket) => socket.end('good'));
    const [entry] = table([good]).services;
    const [port] = entry?.ports ?? [];
    if (!entry || !port) throw new Error('no table');
    const endpoints = [
      ...['nonsense', '255.255.255.255'].flatMap((address) => port.endpoints.map((each) => ({ ...each, address }))),
      ...port.endpoints,
    ];
    const udp = { ...port, id: 'default/web:udp', protocol: 'UDP' as const, endpoints: endpoints.slice(0, 2) };
    const nowhere = { ...entry, name: 'nowhere', clusterIPs: ['nonsense'], ports: [{ ...port, id: 'default/nowhere:' }] };
    proxy.update({ services: [{ ...entry, ports: [{ ...port, endpoints }, udp] }, nowhere] });
    expect(proxy.status().failed).toMatchObject([{ listener: 'services TCP nonsense 8080' }]);
    for (let turn = 0; turn < 3; turn += 1) {
      const socket = dial();
      expect(String((await once(socket, 'data'))[0])).toBe('good');
      socket.destroy();
    }
    const client = sockets.bindUdp('127.0.0.1', 0);
    for (let turn = 0; turn < 4; turn += 1) client.send('x', 8080, SERVICE);
    await setTimeout(50);
    expect(proxy.status().udpFlows).toBe(0);
    client.close();
  });

  it('loses no request while every endpoint is replaced, again and again', { timeout: 60_000 }, async () => {
    const start = async (): Promise<{ server: Server; port: number }> => {
      const port = await serve((socket) => socket.on('data', () => socket.end('pong')));
      return { server: servers.at(-1) as Server, port };
    };
    const entry = table([]).services[0];
    const [servicePort] = entry?.ports ?? [];
    if (!entry || !servicePort) throw new Error('no table');
    const endpoint = (port: number, isLeaving: boolean): ServiceEndpoint => ({
      address: '127.0.0.1',
      port,
      ready: !isLeaving,
      serving: true,
      terminating: isLeaving,
      local: true,
      zoneHints: [],
    });
    const tell = (running: readonly { port: number }[], leaving: readonly { port: number }[]): void => {
      const endpoints = [...running.map(({ port }) => endpoint(port, false)), ...leaving.map(({ port }) => endpoint(port, true))];
      proxy.update({ services: [{ ...entry, ports: [{ ...servicePort, endpoints }] }] });
    };
    let running = [await start(), await start(), await start()];
    tell(running, []);
    const done = new AbortController();
    const failures: unknown[] = [];
    let answered = 0;
    const client = async (): Promise<void> => {
      while (!done.signal.aborted) {
        const socket = dial();
        try {
          socket.write('ping');
          let answer = '';
          for await (const chunk of socket) answer += String(chunk);
          if (answer !== 'pong') throw new Error(`answered ${JSON.stringify(answer)}`);
          answered += 1;
        } catch (error) {
          failures.push(error);
        }
      }
    };
    const clients = Array.from({ length: 16 }, client);
    for (let round = 0; round < 20; round += 1) {
      const leaving = running;
      running = [await start(), await start(), await start()];
      tell(running, leaving);
      await setTimeout(20);
      for (const { server } of leaving) server.close();
      // The table still names them: clients that reach one are refused, and must not notice.
      if (round % 2 === 0) tell(leaving.slice(0, 1).concat(running), []);
      await setTimeout(20);
      tell(running, []);
    }
    done.abort();
    await Promise.all(clients);
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(100);
  });

  it('forgets connections that have ended', async () => {
    const echo = await serve((socket) => socket.pipe(socket));
    proxy.update(table([echo]));
    const clients = Array.from({ length: 50 }, () => dial());
    await Promise.all(
      clients.map(async (client) => {
        client.write('x');
        await once(client, 'data');
      }),
    );
    expect(proxy.status().connections).toBeGreaterThanOrEqual(50);
    for (const [index, client] of clients.entries()) {
      client.on('error', () => {});
      if (index % 2 === 0) client.resetAndDestroy();
      else client.resume().end();
    }
    while (proxy.status().connections > 0) await setTimeout(10);
    expect(proxy.status()).toMatchObject({ listeners: 1, connections: 0, failed: [] });
  });

  it('says which listener cannot be opened, and opens it once that is possible', async () => {
    const port = await serve((socket) => socket.end());
    proxy.update({ services: [] });
    const blocker = createServer().listen(8080, SERVICE);
    await once(blocker, 'listening');
    proxy.update(table([port]));
    expect(proxy.status()).toMatchObject({ listeners: 0, failed: [{ listener: `services TCP ${SERVICE} 8080` }] });
    blocker.close();
    while (proxy.status().listeners === 0) await setTimeout(50);
    expect(proxy.status().failed).toEqual([]);
  });
});

/** Sends random pieces at a random pace, reads the echo with random pauses, and gives the digests of both. */
async function talk(socket: Socket, random: Random): Promise<{ sent: string; received: string }> {
  const sent = createHash('sha256');
  const received = createHash('sha256');
  const pieces = 20 + random.integer(60);
  const reading = (async () => {
    for await (const chunk of socket) {
      received.update(chunk);
      if (random.integer(8) === 0) await setTimeout(random.integer(5));
    }
  })();
  for (let piece = 0; piece < pieces; piece += 1) {
    const bytes = random.bytes(1 + random.integer(random.integer(4) === 0 ? 150_000 : 2_000));
    sent.update(bytes);
    if (!socket.write(bytes)) await once(socket, 'drain');
    if (random.integer(10) === 0) await setTimeout(random.integer(3));
  }
  socket.end();
  await reading;
  return { sent: sent.digest('hex'), received: received.digest('hex') };
}
