import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningProcess } from '@dure/test-support';
import type { Say } from './benches.ts';
import { type Contender, compare } from './compare.ts';
import { debianProgram } from './debian-program.ts';
import { nodeProgram } from './node-program.ts';
import { MEASURED_PROCESSOR, OTHER_PROCESSORS, startPinned } from './pinned-process.ts';
import { cpuMs } from './process-usage.ts';
import type { BenchResult } from './report.ts';
import { runWrk } from './wrk.ts';

/** In a network namespace of our own every port is free. */
const PORTS = { backend: 8080, dure: 8081, haproxy: 8082 } as const;
const ROUNDS = 5;
const SECONDS = 2;
const KEPT_CONNECTIONS = 64;
const BULK_CONNECTIONS = 4;
const BULK_BYTES = 16 * 2 ** 20;
const LISTENS_WITHIN_MS = 10_000;

export async function prepareProxyBench(): Promise<void> {
  await debianProgram('nginx-light', 'nginx');
  await debianProgram('haproxy', 'haproxy');
  await debianProgram('wrk', 'wrk');
}

/** What a proxy costs between a client and nginx: ours, haproxy in TCP mode with one thread, and none. */
export async function proxyBench(say: Say): Promise<BenchResult> {
  const directory = mkdtempSync(join(tmpdir(), 'dure-bench-proxy-'));
  try {
    allowManyConnections();
    await using nginx = await startPinned(OTHER_PROCESSORS, await nginxProgram(directory));
    await using dure = await startPinned(MEASURED_PROCESSOR, nodeProgram('proxy-program.ts', String(PORTS.dure), String(PORTS.backend)));
    await using haproxy = await startPinned(MEASURED_PROCESSOR, await haproxyProgram(directory));
    await Promise.all([listening(nginx, PORTS.backend), listening(dure, PORTS.dure), listening(haproxy, PORTS.haproxy)]);
    // What a compiler does for a program that runs for months must not count against its first seconds.
    await contender('warm-up', PORTS.dure, dure.pid).measure();
    const result = await compare(
      {
        title: 'Service proxy, TCP, one core',
        setting:
          `nginx behind the proxy, wrk in front, both on one core; the proxy alone on another. ${SECONDS} s each of ${KEPT_CONNECTIONS} kept-alive ` +
          `connections with small answers, ${BULK_CONNECTIONS} connections with ${BULK_BYTES / 2 ** 20} MiB answers, and ${KEPT_CONNECTIONS} clients ` +
          'that open a connection per request. CPU is that of the proxy, from /proc; where wrk and nginx are the limit, it tells more than the rate.',
        rounds: ROUNDS,
        lowerIsBetter: ['CPU µs/request', 'CPU ms/GB', 'CPU µs/connection'],
        contenders: [
          contender('dure', PORTS.dure, dure.pid),
          contender('haproxy', PORTS.haproxy, haproxy.pid),
          contender('no proxy', PORTS.backend, undefined),
        ],
        aims: [
          { metric: 'kept-alive requests/s', peer: 'haproxy', aim: '>= 1.0' },
          { metric: 'bulk MB/s', peer: 'haproxy', aim: '>= 1.0' },
          { metric: 'new connections/s', peer: 'haproxy', aim: '>= 0.8' },
        ],
      },
      say,
    );
    return { kind: 'comparison', result };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function contender(name: string, port: number, pid: number | undefined): Contender {
  const load = async (path: string, connections: number, connection: 'kept' | 'close') => {
    const before = pid === undefined ? 0 : cpuMs(pid);
    const url = `http://127.0.0.1:${port}${path}`;
    const result = await runWrk({ url, connections, connection, seconds: SECONDS, processors: OTHER_PROCESSORS });
    return { ...result, cpuMs: pid === undefined ? undefined : cpuMs(pid) - before };
  };
  const cpu = (metric: string, value: number | undefined): Readonly<Record<string, number>> =>
    value === undefined ? {} : { [metric]: value };
  return {
    name,
    async measure() {
      const kept = await load('/', KEPT_CONNECTIONS, 'kept');
      const bulk = await load('/bulk', BULK_CONNECTIONS, 'kept');
      const fresh = await load('/', KEPT_CONNECTIONS, 'close');
      return {
        'kept-alive requests/s': kept.requests / kept.seconds,
        ...cpu('CPU µs/request', kept.cpuMs && (kept.cpuMs * 1000) / kept.requests),
        'bulk MB/s': bulk.bytes / bulk.seconds / 1e6,
        ...cpu('CPU ms/GB', bulk.cpuMs && bulk.cpuMs / (bulk.bytes / 1e9)),
        'new connections/s': fresh.requests / fresh.seconds,
        ...cpu('CPU µs/connection', fresh.cpuMs && (fresh.cpuMs * 1000) / fresh.requests),
      };
    },
  };
}

/** Short connections leave ports waiting for a minute; of this namespace alone. */
function allowManyConnections(): void {
  writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '10000 65535');
  writeFileSync('/proc/sys/net/ipv4/tcp_tw_reuse', '1');
}

async function nginxProgram(directory: string): Promise<readonly string[]> {
  mkdirSync(join(directory, 'html'));
  writeFileSync(join(directory, 'html', 'bulk'), Buffer.alloc(BULK_BYTES, 'x'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/${name};`);
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off; master_process off; pid ${directory}/nginx.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; ${temporary.join(' ')}
  server {
    listen 127.0.0.1:${PORTS.backend} backlog=4096; root ${directory}/html;
    location = / { return 200 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"; }
  }
}
`,
  );
  return [...(await debianProgram('nginx-light', 'nginx')), '-e', 'stderr', '-p', directory, '-c', join(directory, 'nginx.conf')];
}

async function haproxyProgram(directory: string): Promise<readonly string[]> {
  writeFileSync(
    join(directory, 'haproxy.cfg'),
    `global
  nbthread 1
  maxconn 8000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
listen bench
  bind 127.0.0.1:${PORTS.haproxy} backlog 4096
  server nginx 127.0.0.1:${PORTS.backend}
`,
  );
  return [...(await debianProgram('haproxy', 'haproxy')), '-db', '-q', '-f', join(directory, 'haproxy.cfg')];
}

/** @throws {Error} The program ended, or does not listen in time. */
async function listening(program: RunningProcess, port: number): Promise<void> {
  const deadlineMs = performance.now() + LISTENS_WITHIN_MS;
  while (!(await accepts(port))) {
    if (program.exit !== undefined || performance.now() > deadlineMs) {
      throw new Error(`${program.name} does not listen on port ${port}\n${program.output}`);
    }
    await sleep(50);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
