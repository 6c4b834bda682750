import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openNamespaceSockets } from './namespace-sockets.ts';
import { type Lab, type LabNode, type LabPod, openLab, whyNoLab } from './testing/index.ts';

const reason = whyNoLab();
const skipped = reason ? ` [skipped: ${reason}]` : '';

/** A server in a namespace that says who calls, and hangs up. */
async function whoCalls(lab: Lab, namespacePath: string, address: string, port: number): Promise<Server> {
  using sockets = openNamespaceSockets(lab.syscalls, namespacePath);
  const server = createServer((socket) => socket.end(`${socket.remoteAddress}`));
  server.listen({ fd: sockets.listenTcp(address, port) });
  await once(server, 'listening');
  return server;
}

/** Everything that a peer sends until it hangs up. */
async function ask(lab: Lab, namespacePath: string, address: string, port: number): Promise<string> {
  using sockets = openNamespaceSockets(lab.syscalls, namespacePath);
  const { socket } = sockets.connectTcp(address, port);
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

/** What a person would compare before and after: links, routes, rules, neighbours, sysctls of a namespace, and the machine's mounts. */
function traces(lab: Lab, node: LabNode): Record<string, string> {
  const inside = (...argv: string[]): string => lab.run(node.namespacePath, ...argv);
  return {
    links: inside('ip', '-br', 'link').replace(/@if\d+/g, ''),
    addresses: inside('ip', '-br', 'addr').replace(/@if\d+/g, ''),
    routes: inside('ip', 'route', 'show', 'table', 'all'),
    rules: inside('nft', 'list', 'ruleset'),
    neighbours: inside('ip', 'neigh', 'show', 'nud', 'permanent'),
    forwarding: inside('cat', '/proc/sys/net/ipv4/ip_forward'),
    mounts: execFileSync('findmnt', ['-rno', 'TARGET'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(node.runDir))
      .join('\n'),
  };
}

describe.skipIf(reason)(`a node network on two nodes that share a link${skipped}`, () => {
  let lab: Lab;
  let one: LabNode;
  let two: LabNode;
  let before: Record<string, string>;
  let a: LabPod;
  let b: LabPod;
  let c: LabPod;

  beforeAll(async () => {
    lab = await openLab({ nodeCount: 2 });
    [one, two] = lab.nodes as [LabNode, LabNode];
    before = traces(lab, one);
    for (const node of lab.nodes) {
      await node.request({ kind: 'setUp' });
      await node.request({ kind: 'setPeers', peers: lab.nodes.filter((other) => other !== node).map(({ peer }) => peer) });
    }
    a = await one.addPod('a');
    b = await one.addPod('b');
    c = await two.addPod('c', { portMappings: [{ protocol: 'TCP', hostPort: 8080, containerPort: 80 }] });
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  it('gives addresses from the range after the one of the services namespace', () => {
    expect([a.ip, b.ip, c.ip]).toEqual(['10.42.1.2', '10.42.1.3', '10.42.2.2']);
  });

  it('connects Pods of one node and of two nodes, each seeing the real address of the other', async () => {
    const servers = await Promise.all([b, c].map((pod) => whoCalls(lab, pod.namespacePath, '0.0.0.0', 80)));
    expect(await ask(lab, a.namespacePath, b.ip, 80)).toBe(a.ip);
    expect(await ask(lab, a.namespacePath, c.ip, 80)).toBe(a.ip);
    expect(await ask(lab, one.namespacePath, b.ip, 80)).toBe(one.address);
    expect(await ask(lab, one.namespacePath, c.ip, 80)).toBe(one.address);
    for (const server of servers) server.close();
  });

  it('leads the Service range into the services namespace, from Pods and from the node, with their own addresses', async () => {
    const server = await whoCalls(lab, one.servicesNamespacePath, '10.43.0.10', 53);
    expect(await ask(lab, a.namespacePath, '10.43.0.10', 53)).toBe(a.ip);
    expect(await ask(lab, one.namespacePath, '10.43.0.10', 53)).toBe(one.address);
    server.close();
  });

  it('keeps daemons of the node off the cluster IPs, and cluster IPs out of their way', async () => {
    const daemon = await whoCalls(lab, one.namespacePath, '0.0.0.0', 80);
    const service = await whoCalls(lab, one.servicesNamespacePath, '10.43.0.99', 80);
    expect(await ask(lab, a.namespacePath, one.address, 80)).toBe(a.ip);
    await expect(ask(lab, a.namespacePath, '10.43.0.98', 80)).rejects.toThrow('ECONNREFUSED');
    await expect(ask(lab, one.namespacePath, '10.43.0.98', 80)).rejects.toThrow('ECONNREFUSED');
    expect(await ask(lab, one.namespacePath, '10.43.0.99', 80)).toBe(one.address);
    daemon.close();
    service.close();
  });

  it('tells senders that an address has no Pod', async () => {
    await expect(ask(lab, a.namespacePath, '10.42.1.200', 80)).rejects.toThrow('EHOSTUNREACH');
    await expect(ask(lab, a.namespacePath, '10.42.2.200', 80)).rejects.toThrow('EHOSTUNREACH');
    await expect(ask(lab, one.namespacePath, '10.42.1.200', 80)).rejects.toThrow('EHOSTUNREACH');
  });

  it('hides Pods behind the node towards the rest of the world', async () => {
    const server = await whoCalls(lab, two.namespacePath, '0.0.0.0', 81);
    expect(await ask(lab, a.namespacePath, two.address, 81)).toBe(one.address);
    server.close();
  });

  it('leads a host port to its Pod from other nodes, other Pods, the node and the Pod itself', async () => {
    const server = await whoCalls(lab, c.namespacePath, '0.0.0.0', 80);
    expect(await ask(lab, one.namespacePath, two.address, 8080)).toBe(one.address);
    expect(await ask(lab, a.namespacePath, two.address, 8080)).toBe(one.address);
    expect(await ask(lab, two.namespacePath, two.address, 8080)).toBe(two.address);
    expect(await ask(lab, c.namespacePath, two.address, 8080)).toBe(two.address);
    expect(await ask(lab, two.namespacePath, '127.0.0.1', 8080)).toBe(two.address);
    server.close();
  });

  it('keeps host ports of one address apart', async () => {
    const ports = { protocol: 'TCP', hostPort: 54_323, containerPort: 80 } as const;
    const loopback = await one.addPod('loopback', { portMappings: [{ ...ports, hostIP: '127.0.0.1' }] });
    const address = await one.addPod('address', { portMappings: [{ ...ports, hostIP: one.address }] });
    const servers = await Promise.all(
      [loopback, address].map(async (pod) => {
        const server = createServer((socket) => socket.end(pod.ip));
        using sockets = openNamespaceSockets(lab.syscalls, pod.namespacePath);
        server.listen({ fd: sockets.listenTcp('0.0.0.0', 80) });
        await once(server, 'listening');
        return server;
      }),
    );
    expect(await ask(lab, one.namespacePath, '127.0.0.1', 54_323)).toBe(loopback.ip);
    expect(await ask(lab, one.namespacePath, one.address, 54_323)).toBe(address.ip);
    expect(await ask(lab, two.namespacePath, one.address, 54_323)).toBe(address.ip);
    for (const server of servers) server.close();
    for (const { id } of [loopback, address]) await one.request({ kind: 'detach', id });
    await expect(ask(lab, two.namespacePath, one.address, 54_323)).rejects.toThrow('ECONNREFUSED');
  });

  it('gives the same sandbox the same address again, also after the process was killed', async () => {
    await one.restart();
    await one.request({ kind: 'setUp' });
    const metadata = { name: 'a', namespace: 'default', uid: 'a', attempt: 0 };
    const again = await one.request({ kind: 'attach', sandbox: { id: a.id, namespacePath: a.namespacePath, metadata }, options: {} });
    expect(again.value).toEqual({ ips: [a.ip] });
    const server = await whoCalls(lab, b.namespacePath, '0.0.0.0', 80);
    expect(await ask(lab, a.namespacePath, b.ip, 80)).toBe(a.ip);
    server.close();
    // Addresses given back are not given out again at once.
    expect((await one.addPod('d')).ip).toBe('10.42.1.6');
  });

  it('attaches in a few milliseconds', async () => {
    const times: number[] = [];
    for (let index = 0; index < 10; index += 1) times.push((await two.addPod(`t${index}`)).attachMs);
    times.sort((x, y) => x - y);
    console.info(`attach: median ${times[5]?.toFixed(2)} ms, worst ${times.at(-1)?.toFixed(2)} ms`);
    const detached = await two.request({ kind: 'detach', id: `${two.name}-t0` });
    console.info(`detach: ${detached.ms.toFixed(2)} ms`);
    expect(times).toHaveLength(10);
  });

  it('frees what belongs to no sandbox', async () => {
    await two.request({ kind: 'collectGarbage', ids: [c.id] });
    const links = lab
      .run(two.namespacePath, 'ip', '-br', 'link')
      .split('\n')
      .filter((line) => /^dr[0-9a-f]{6}p/.test(line));
    expect(links).toHaveLength(1);
  });

  it('leaves nothing behind', async () => {
    await one.request({ kind: 'tearDown' });
    expect(traces(lab, one)).toEqual(before);
    expect(existsSync(one.servicesNamespacePath)).toBe(false);
  });

  it('can be set up again after it was torn down', async () => {
    await one.request({ kind: 'setUp' });
    expect((await one.addPod('again')).ip).toBe('10.42.1.2');
  });
});

describe.skipIf(reason)(`a node network on two nodes with a router between${skipped}`, () => {
  it('carries Pods over VXLAN, and lets nodes reach the Pods too', async () => {
    await using lab = await openLab({ nodeCount: 2, routed: true });
    const [one, two] = lab.nodes as [LabNode, LabNode];
    const before = traces(lab, one);
    for (const node of lab.nodes) {
      await node.request({ kind: 'setUp' });
      await node.request({ kind: 'setPeers', peers: lab.nodes.filter((other) => other !== node).map(({ peer }) => peer) });
    }
    const a = await one.addPod('a');
    const b = await two.addPod('b');
    const server = await whoCalls(lab, b.namespacePath, '0.0.0.0', 80);
    expect(await ask(lab, a.namespacePath, b.ip, 80)).toBe(a.ip);
    expect(await ask(lab, one.namespacePath, b.ip, 80)).toBe('10.42.1.0');
    // Packets of full size do not fit the tunnel: both directions must learn that.
    const bulk = createServer((socket) => socket.end('x'.repeat(1 << 20)));
    {
      using sockets = openNamespaceSockets(lab.syscalls, b.namespacePath);
      bulk.listen({ fd: sockets.listenTcp('0.0.0.0', 81) });
    }
    expect(await ask(lab, a.namespacePath, b.ip, 81)).toHaveLength(1 << 20);
    expect(await ask(lab, one.servicesNamespacePath, b.ip, 81)).toHaveLength(1 << 20);
    bulk.close();
    // Elsewhere: the ways to the others are set all the same.
    const lost = { name: 'lost', internalIPs: [one.address], podCIDRs: ['10.42.9.0/24'] };
    await expect(one.request({ kind: 'setPeers', peers: [lost, two.peer] })).rejects.toThrow('no route to the addresses of lost');
    expect(await ask(lab, a.namespacePath, b.ip, 80)).toBe(a.ip);
    server.close();
    // A node that went away takes its tunnel with it.
    await one.request({ kind: 'setPeers', peers: [] });
    expect(lab.run(one.namespacePath, 'ip', 'route')).not.toContain('10.42.2.0/24');
    await one.request({ kind: 'tearDown' });
    expect(traces(lab, one)).toEqual(before);
  });
});
