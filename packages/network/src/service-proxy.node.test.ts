import type { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { seededRandom, silentLogger, systemClock } from '@dure/foundation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NamespaceSockets, openNamespaceSockets } from './namespace-sockets.ts';
import { createServiceProxy, type ServiceProxy } from './service-proxy.ts';
import type { ServiceEndpoint, ServiceEntry, ServiceTable } from './service-table.ts';
import { type Lab, type LabNode, type LabPod, openLab, whyNoLab } from './testing/index.ts';

const reason = whyNoLab();
const skipped = reason ? ` [skipped: ${reason}]` : '';
const CLUSTER_IP = '10.43.7.7';

function endpoint(address: string, port: number, more: Partial<ServiceEndpoint> = {}): ServiceEndpoint {
  return { address, port, ready: true, serving: true, terminating: false, local: true, zoneHints: [], ...more };
}

function table(endpoints: readonly ServiceEndpoint[], more: Partial<ServiceEntry> = {}, protocol: 'TCP' | 'UDP' = 'TCP'): ServiceTable {
  const port = { id: `default/web:${protocol}`, protocol, port: 80, nodePort: 30_080, endpoints };
  const entry: ServiceEntry = {
    namespace: 'default',
    name: 'web',
    clusterIPs: [CLUSTER_IP],
    externalIPs: [],
    loadBalancerIPs: [],
    ports: [port],
    sessionAffinitySeconds: 0,
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Cluster',
    ...more,
  };
  return { services: [entry] };
}

describe.skipIf(reason)(`a service proxy on two nodes${skipped}`, () => {
  let lab: Lab;
  let one: LabNode;
  let client: LabPod;
  let near: LabPod;
  let far: LabPod;
  let proxy: ServiceProxy;
  const stop = new AbortController();
  let running: Promise<void>;
  const sockets = new Map<string, NamespaceSockets>();
  const servers: Server[] = [];

  const inside = (namespacePath: string): NamespaceSockets => {
    const known = sockets.get(namespacePath) ?? openNamespaceSockets(lab.syscalls, namespacePath);
    sockets.set(namespacePath, known);
    return known;
  };
  const serve = async (pod: LabPod, port: number, handler: (socket: Socket) => void): Promise<Server> => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      handler(socket);
    });
    server.listen({ fd: inside(pod.namespacePath).listenTcp('0.0.0.0', port) });
    await once(server, 'listening');
    servers.push(server);
    return server;
  };
  const dial = (namespacePath: string, address = CLUSTER_IP, port = 80): Socket => inside(namespacePath).connectTcp(address, port).socket;
  const ask = async (namespacePath: string, address?: string, port?: number): Promise<string> => {
    let answer = '';
    for await (const chunk of dial(namespacePath, address, port)) answer += String(chunk);
    return answer;
  };

  beforeAll(async () => {
    lab = await openLab({ nodeCount: 2 });
    const [first, second] = lab.nodes as [LabNode, LabNode];
    one = first;
    for (const node of lab.nodes) {
      await node.request({ kind: 'setUp' });
      await node.request({ kind: 'setPeers', peers: lab.nodes.filter((other) => other !== node).map(({ peer }) => peer) });
    }
    client = await one.addPod('client');
    near = await one.addPod('near');
    far = await second.addPod('far');
    for (const pod of [near, far]) {
      await serve(pod, 80, (socket) => socket.end(`${pod === near ? 'near' : 'far'} ${socket.remoteAddress}`));
      // Says how much came, after the client has ended its half.
      await serve(pod, 81, (socket) => {
        let bytes = 0;
        socket.on('data', (chunk) => {
          bytes += chunk.length;
        });
        socket.on('end', () => socket.end(`got ${bytes}`));
      });
    }
    proxy = createServiceProxy({
      log: silentLogger,
      clock: systemClock,
      random: seededRandom(1),
      services: inside(one.servicesNamespacePath),
      node: inside(one.namespacePath),
      limits: { connectTimeoutMs: 500 },
    });
    running = proxy.run(stop.signal);
  });
  afterAll(async () => {
    stop.abort();
    await running;
    for (const server of servers) server.close();
    for (const each of sockets.values()) each[Symbol.dispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  it('gives every endpoint its turn, on this node and the other, for Pods, the node and the endpoint itself', async () => {
    proxy.update(table([endpoint(near.ip, 80), endpoint(far.ip, 80)]));
    for (const from of [client.namespacePath, one.namespacePath, near.namespacePath]) {
      const answers = [await ask(from), await ask(from)];
      // Backends see the services namespace.
      expect(answers.toSorted()).toEqual(['far 10.42.1.1', 'near 10.42.1.1']);
    }
  });

  it('answers on the NodePort, of the node as of its own address', async () => {
    expect(await ask(client.namespacePath, one.address, 30_080)).toMatch(/^(near|far) /);
    expect(await ask(one.namespacePath, '127.0.0.1', 30_080)).toMatch(/^(near|far) /);
    expect(await ask(lab.nodes[1]?.namespacePath ?? '', one.address, 30_080)).toMatch(/^(near|far) /);
  });

  it('goes to another endpoint when one refuses, without the client noticing', async () => {
    proxy.update(table([endpoint(near.ip, 9), endpoint(far.ip, 80)]));
    for (let turn = 0; turn < 4; turn += 1) expect(await ask(client.namespacePath)).toBe('far 10.42.1.1');
  });

  it('carries what the client said first over to the endpoint that takes it', async () => {
    proxy.update(table([endpoint(near.ip, 9), endpoint(far.ip, 81)]));
    for (let turn = 0; turn < 2; turn += 1) {
      const socket = dial(client.namespacePath);
      socket.end('hello');
      expect(String((await once(socket, 'data'))[0])).toBe('got 5');
      await once(socket, 'close');
    }
  });

  it('gives up on an endpoint that does not answer', async () => {
    // Nobody has this address; its node drops or rejects it late.
    proxy.update(table([endpoint('10.42.2.200', 80), endpoint(far.ip, 80)]));
    expect([await ask(client.namespacePath), await ask(client.namespacePath)]).toEqual(['far 10.42.1.1', 'far 10.42.1.1']);
  });

  it('refuses at once when there is no endpoint, and when all refuse', async () => {
    proxy.update(table([]));
    await expect(ask(client.namespacePath)).rejects.toThrow('ECONNREFUSED');
    proxy.update(table([endpoint(near.ip, 9), endpoint(far.ip, 9)]));
    await expect(ask(client.namespacePath)).rejects.toThrow('ECONNRESET');
  });

  it('keeps a client on its endpoint with session affinity', async () => {
    proxy.update(table([endpoint(near.ip, 80), endpoint(far.ip, 80)], { sessionAffinitySeconds: 100 }));
    const answers = new Set<string>();
    for (let turn = 0; turn < 6; turn += 1) answers.add(await ask(client.namespacePath));
    expect(answers.size).toBe(1);
  });

  it('passes the end of one half on while the other goes on', async () => {
    proxy.update(table([endpoint(far.ip, 81)]));
    const socket = dial(client.namespacePath);
    socket.write(Buffer.alloc(300_000));
    await setTimeout(20);
    socket.end(Buffer.alloc(700_000));
    expect(String((await once(socket, 'data'))[0])).toBe('got 1000000');
    await once(socket, 'close');
  });

  it('passes a reset on', async () => {
    await serve(near, 82, (socket) => socket.once('data', () => socket.resetAndDestroy()));
    proxy.update(table([endpoint(near.ip, 82)]));
    const socket = dial(client.namespacePath);
    socket.write('x');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
  });

  it('reads no faster than the slower side takes', async () => {
    let sent = 0;
    await serve(near, 83, (socket) => {
      const chunk = Buffer.alloc(65_536);
      const pump = (): void => {
        while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
      };
      socket.on('drain', () => {
        sent += chunk.length;
        pump();
      });
      pump();
    });
    proxy.update(table([endpoint(near.ip, 83)]));
    const socket = dial(client.namespacePath);
    socket.pause();
    // The kernel's buffers fill, then nothing moves any more.
    let before = -1;
    while (sent !== before) {
      before = sent;
      await setTimeout(200);
    }
    const external = process.memoryUsage().arrayBuffers;
    expect(sent).toBeLessThan(64 << 20);
    expect(external).toBeLessThan(64 << 20);
    socket.destroy();
  });

  it('keeps connections to an endpoint that is gone from the table', async () => {
    await serve(near, 84, (socket) => socket.on('data', (chunk) => socket.write(chunk)));
    proxy.update(table([endpoint(near.ip, 84)]));
    const socket = dial(client.namespacePath);
    socket.write('one');
    expect(String((await once(socket, 'data'))[0])).toBe('one');
    proxy.update(table([endpoint(far.ip, 80)]));
    socket.write('two');
    expect(String((await once(socket, 'data'))[0])).toBe('two');
    socket.destroy();
  });

  it('relays datagrams both ways, and leaves an endpoint that is gone', async () => {
    const echo = (pod: LabPod, name: string): ReturnType<typeof createSocket> => {
      const socket = inside(pod.namespacePath).bindUdp('0.0.0.0', 90);
      socket.on('message', (message, from) => socket.send(`${name} ${message} ${from.address}`, from.port, from.address));
      return socket;
    };
    const ends = [echo(near, 'near'), echo(far, 'far')];
    proxy.update(table([endpoint(near.ip, 90)], {}, 'UDP'));
    const socket = inside(client.namespacePath).bindUdp('0.0.0.0', 0);
    const talk = async (text: string): Promise<string> => {
      socket.send(text, 80, CLUSTER_IP);
      return String((await once(socket, 'message'))[0]);
    };
    expect(await talk('a')).toBe('near a 10.42.1.1');
    proxy.update(table([endpoint(far.ip, 90)], {}, 'UDP'));
    expect(await talk('b')).toBe('far b 10.42.1.1');
    expect(proxy.status().udpFlows).toBe(1);
    // A NodePort's answers must come from the address that was asked.
    for (const from of [client.namespacePath, lab.nodes[1]?.namespacePath ?? '']) {
      const outside = inside(from).bindUdp('0.0.0.0', 0);
      outside.send('c', 30_080, one.address);
      const [answer, { address }] = (await once(outside, 'message')) as [Buffer, { address: string }];
      expect([String(answer), address]).toEqual(['far c 10.42.1.1', one.address]);
      outside.close();
    }
    for (const each of [socket, ...ends]) each.close();
  });
});
