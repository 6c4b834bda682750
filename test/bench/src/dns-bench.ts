import { Resolver } from 'node:dns/promises';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ZoneService } from '@dure/dns';
import type { RunningProcess } from '@dure/test-support';
import type { Say } from './benches.ts';
import { type Contender, compare } from './compare.ts';
import { debianProgram } from './debian-program.ts';
import { runDnsperf } from './dnsperf.ts';
import { nodeProgram } from './node-program.ts';
import { MEASURED_PROCESSOR, OTHER_PROCESSORS, startPinned } from './pinned-process.ts';
import { cpuMs } from './process-usage.ts';
import type { BenchResult } from './report.ts';

const PORTS = { dure: 5301, dnsmasq: 5302, unbound: 5303 } as const;
const SERVICES = 1000;
const ROUNDS = 5;
const SECONDS = 3;
const OUTSTANDING = 100;
const TTL = 5;
const ANSWERS_WITHIN_MS = 10_000;

interface Name {
  readonly name: string;
  readonly address: string;
}

export async function prepareDnsBench(): Promise<void> {
  await debianProgram('dnsmasq-base', 'dnsmasq');
  await debianProgram('unbound', 'unbound');
  await debianProgram('dnsperf', 'dnsperf');
}

/** Addresses of Services by name over UDP: our responder, dnsmasq, and unbound with one thread. */
export async function dnsBench(say: Say): Promise<BenchResult> {
  const directory = mkdtempSync(join(tmpdir(), 'dure-bench-dns-'));
  const names = Array.from({ length: SERVICES }, (_, index): Name => {
    return { name: `service-${index}`, address: `10.43.${Math.floor(index / 250)}.${(index % 250) + 1}` };
  });
  const questionsFile = join(directory, 'questions');
  writeFileSync(questionsFile, names.map(({ name }) => `${fullName(name)} A\n`).join(''));
  try {
    await using dure = await startPinned(MEASURED_PROCESSOR, dureProgram(directory, names));
    await using dnsmasq = await startPinned(MEASURED_PROCESSOR, await dnsmasqProgram(directory, names));
    await using unbound = await startPinned(MEASURED_PROCESSOR, await unboundProgram(directory, names));
    await Promise.all([
      answering(dure, PORTS.dure, names),
      answering(dnsmasq, PORTS.dnsmasq, names),
      answering(unbound, PORTS.unbound, names),
    ]);
    const contenders = [
      contender('dure', PORTS.dure, dure.pid, questionsFile),
      contender('dnsmasq', PORTS.dnsmasq, dnsmasq.pid, questionsFile),
      contender('unbound', PORTS.unbound, unbound.pid, questionsFile),
    ];
    await contenders[0]?.measure();
    const result = await compare(
      {
        title: 'DNS, names of Services',
        setting:
          `A records of ${SERVICES} Services over UDP, asked by dnsperf with ${OUTSTANDING} questions under way for ${SECONDS} s; the server on one ` +
          'core (one thread), dnsperf on the other. Every server was asked for every name once before and gave the right address. CPU is that of the server, from /proc.',
        rounds: ROUNDS,
        lowerIsBetter: ['CPU µs/query'],
        contenders,
        aims: [
          { metric: 'queries/s', peer: 'dnsmasq', aim: '>= 1.0' },
          { metric: 'queries/s', peer: 'unbound', aim: '>= 0.9' },
        ],
      },
      say,
    );
    return { kind: 'comparison', result };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function contender(name: string, port: number, pid: number, questionsFile: string): Contender {
  return {
    name,
    async measure() {
      const before = cpuMs(pid);
      const load = { port, questionsFile, seconds: SECONDS, outstanding: OUTSTANDING, processors: OTHER_PROCESSORS };
      const { completed, queriesPerSecond } = await runDnsperf(load);
      return { 'queries/s': queriesPerSecond, 'CPU µs/query': ((cpuMs(pid) - before) * 1000) / completed };
    },
  };
}

function fullName(name: string): string {
  return `${name}.default.svc.cluster.local`;
}

function dureProgram(directory: string, names: readonly Name[]): readonly string[] {
  const file = join(directory, 'services.json');
  const services = names.map(
    ({ name, address }): ZoneService => ({ namespace: 'default', name, clusterIPs: [address], ports: [], endpoints: [] }),
  );
  writeFileSync(file, JSON.stringify(services));
  return nodeProgram('dns-program.ts', String(PORTS.dure), file);
}

async function dnsmasqProgram(directory: string, names: readonly Name[]): Promise<readonly string[]> {
  const hosts = join(directory, 'hosts');
  writeFileSync(hosts, names.map(({ name, address }) => `${address} ${fullName(name)}\n`).join(''));
  return [
    ...(await debianProgram('dnsmasq-base', 'dnsmasq')),
    ...['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', `--addn-hosts=${hosts}`, '--user=root'],
    ...[
      `--port=${PORTS.dnsmasq}`,
      '--listen-address=127.0.0.1',
      '--bind-interfaces',
      `--local-ttl=${TTL}`,
      '--cache-size=10000',
      '--pid-file=',
    ],
  ];
}

async function unboundProgram(directory: string, names: readonly Name[]): Promise<readonly string[]> {
  const configuration = join(directory, 'unbound.conf');
  const data = names.map(({ name, address }) => `  local-data: "${fullName(name)}. ${TTL} IN A ${address}"`);
  writeFileSync(
    configuration,
    `server:
  interface: 127.0.0.1@${PORTS.unbound}
  do-daemonize: no
  num-threads: 1
  username: ""
  chroot: ""
  directory: "${directory}"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
  local-zone: "cluster.local." static
${data.join('\n')}
remote-control:
  control-enable: no
`,
  );
  return [...(await debianProgram('unbound', 'unbound')), '-d', '-c', configuration];
}

/** @throws {Error} It ended, does not answer in time, or answers wrongly. */
async function answering(program: RunningProcess, port: number, names: readonly Name[]): Promise<void> {
  const resolver = new Resolver({ timeout: 200, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  const deadlineMs = performance.now() + ANSWERS_WITHIN_MS;
  for (const { name, address } of names) {
    for (;;) {
      const found = await resolver.resolve4(fullName(name)).catch((error: NodeJS.ErrnoException) => error);
      if (Array.isArray(found)) {
        if (found.join() !== address) throw new Error(`port ${port}: ${name} is ${found.join()}, expected ${address}`);
        break;
      }
      if (program.exit !== undefined || performance.now() > deadlineMs) {
        throw new Error(`${program.name} does not answer on port ${port}: ${found.message}\n${program.output}`);
      }
      await sleep(50);
    }
  }
}
