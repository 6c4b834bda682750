import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openNamespaceSockets, type ServiceEndpoint } from '@dure/network';
import { type Lab, type LabNode, type LabPod, openLab, whyNoLab } from '@dure/network/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveTables, type Tables } from './saved-tables.ts';

function whyNot(): string | undefined {
  try {
    execFileSync('dig', ['-v'], { stdio: 'ignore' });
  } catch {
    return 'needs dig (bind9-dnsutils)';
  }
  return whyNoLab();
}

const reason = whyNot();
const skipped = reason ? ` [skipped: ${reason}]` : '';
const APP = fileURLToPath(new URL('..', import.meta.url));
const CLUSTER_IP = '10.43.7.7';
const DNS = '10.43.0.10';

function tables(address: string): Tables {
  const endpoint: ServiceEndpoint = { address, port: 80, ready: true, serving: true, terminating: false, local: true, zoneHints: [] };
  return {
    services: {
      services: [
        {
          namespace: 'default',
          name: 'web',
          clusterIPs: [CLUSTER_IP],
          externalIPs: [],
          loadBalancerIPs: [],
          ports: [{ id: 'default/web:', protocol: 'TCP', port: 80, nodePort: 30_080, endpoints: [endpoint] }],
          sessionAffinitySeconds: 0,
          internalTrafficPolicy: 'Cluster',
          externalTrafficPolicy: 'Cluster',
        },
      ],
    },
    zone: {
      clusterDomain: 'cluster.local',
      services: [
        {
          namespace: 'default',
          name: 'web',
          clusterIPs: [CLUSTER_IP],
          ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
          endpoints: [],
        },
        {
          namespace: 'default',
          name: 'many',
          clusterIPs: [],
          ports: [],
          endpoints: Array.from({ length: 60 }, (_, index) => ({ address: `10.42.9.${index}`, ports: [] })),
        },
      ],
    },
  };
}

describe.skipIf(reason)(`the service proxy as a process, without any API server${skipped}`, () => {
  let lab: Lab;
  let node: LabNode;
  let pod: LabPod;
  let server: Server;
  let program: ChildProcess | undefined;

  const start = (): ChildProcess => {
    const argv = ['--node-name', node.name, '--run-dir', node.runDir, '--kubeconfig', join(node.runDir, 'none'), '--upstream', 'none'];
    const child = spawn('nsenter', [`--net=${node.namespacePath}`, process.execPath, join(APP, 'dist/main.cjs'), ...argv], {
      stdio: 'ignore',
    });
    program = child;
    return child;
  };
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (!program) return;
    const ended = once(program, 'exit');
    program.kill(signal);
    await ended;
    program = undefined;
  };
  const ask = async (from: string, address: string, port: number): Promise<string> => {
    using sockets = openNamespaceSockets(lab.syscalls, from);
    let answer = '';
    for await (const chunk of sockets.connectTcp(address, port).socket) answer += String(chunk);
    return answer;
  };
  const dig = (from: string, ...argv: string[]): string => lab.run(from, 'dig', `@${DNS}`, '+tries=1', '+time=2', ...argv).trim();
  const untilServing = async (): Promise<void> => {
    for (let tries = 0; tries < 200; tries += 1) {
      const isUp = await ask(pod.namespacePath, CLUSTER_IP, 80).then(
        () => true,
        () => false,
      );
      if (isUp) return;
      await setTimeout(25);
    }
    throw new Error('the proxy did not come up within 5 s');
  };

  beforeAll(async () => {
    execFileSync('node', ['../../infra/bundle.mjs'], { cwd: APP, stdio: 'ignore' });
    lab = await openLab({ nodeCount: 1 });
    [node] = lab.nodes as [LabNode];
    pod = await node.request({ kind: 'setUp' }).then(() => node.addPod('web'));
    server = createServer((socket) => socket.end(`hello ${socket.remoteAddress}`));
    {
      using sockets = openNamespaceSockets(lab.syscalls, pod.namespacePath);
      server.listen({ fd: sockets.listenTcp('0.0.0.0', 80) });
    }
    saveTables(join(node.runDir, 'proxy', 'tables.json'), tables(pod.ip));
    start();
    await untilServing();
  });
  afterAll(async () => {
    await stop('SIGKILL');
    server?.close();
    await lab?.[Symbol.asyncDispose]();
  });

  it('carries Pods, the Pod itself among them, the node and NodePorts from its saved tables', async () => {
    expect(await ask(pod.namespacePath, CLUSTER_IP, 80)).toBe('hello 10.42.1.1');
    expect(await ask(node.namespacePath, CLUSTER_IP, 80)).toBe('hello 10.42.1.1');
    expect(await ask(node.namespacePath, '127.0.0.1', 30_080)).toBe('hello 10.42.1.1');
  });

  it('answers dig from a Pod and from the node, over UDP and TCP', () => {
    for (const from of [pod.namespacePath, node.namespacePath]) {
      expect(dig(from, '+short', 'web.default.svc.cluster.local')).toBe(CLUSTER_IP);
      expect(dig(from, '+short', '+tcp', 'web.default.svc.cluster.local')).toBe(CLUSTER_IP);
      expect(dig(from, '+short', '-x', CLUSTER_IP)).toBe('web.default.svc.cluster.local.');
      expect(dig(from, '+short', '_http._tcp.web.default.svc.cluster.local', 'SRV')).toBe('0 100 80 web.default.svc.cluster.local.');
    }
  });

  it('searches like the resolver of a Pod does', () => {
    expect(dig(pod.namespacePath, '+short', '+search', '+domain=default.svc.cluster.local', 'web')).toBe(CLUSTER_IP);
  });

  it('sends dig to TCP for an answer that does not fit', () => {
    expect(
      dig(pod.namespacePath, '+short', '+noedns', 'many.default.svc.cluster.local')
        .split('\n')
        .filter((line) => line.startsWith('10.')),
    ).toHaveLength(60);
    expect(dig(pod.namespacePath, '+noedns', '+ignore', 'many.default.svc.cluster.local')).toMatch(/flags:[^;]* tc /);
  });

  it('says that names do not exist, with the time to remember that', () => {
    const answer = dig(pod.namespacePath, 'nope.default.svc.cluster.local');
    expect(answer).toContain('status: NXDOMAIN');
    expect(answer).toMatch(/cluster\.local\.\s+5\s+IN\s+SOA/);
    expect(dig(pod.namespacePath, 'example.org')).toContain('status: NXDOMAIN');
  });

  it('serves again at once after it was killed', async () => {
    await stop('SIGKILL');
    await expect(ask(pod.namespacePath, CLUSTER_IP, 80)).rejects.toThrow('ECONNREFUSED');
    start();
    await untilServing();
    expect(dig(pod.namespacePath, '+short', 'web.default.svc.cluster.local')).toBe(CLUSTER_IP);
  });

  it('opens everything again when its namespace was replaced', async () => {
    await node.request({ kind: 'tearDown' });
    expect(existsSync(node.servicesNamespacePath)).toBe(false);
    await node.request({ kind: 'setUp' });
    pod = await node.addPod('again');
    using sockets = openNamespaceSockets(lab.syscalls, pod.namespacePath);
    const again = createServer((socket) => socket.end());
    again.listen({ fd: sockets.listenTcp('0.0.0.0', 80) });
    await untilServing();
    expect(dig(pod.namespacePath, '+short', 'web.default.svc.cluster.local')).toBe(CLUSTER_IP);
    again.close();
  });

  it('ends by itself on SIGTERM', async () => {
    const child = program;
    await stop('SIGTERM');
    expect(child?.exitCode).toBe(0);
  });
});
