import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '@dure/foundation';
import { type ContainerConfig, type NativeRuntime, openNativeRuntime, type SandboxConfig } from '@dure/runtime';
import { unpackedClosure } from '@dure/test-support';
import type { Say } from './benches.ts';
import { type Contender, compare } from './compare.ts';
import { ISOLATION_SCRIPT, type Isolation, parseIsolation, renderIsolation } from './isolation-check.ts';
import { keepNamespaces, type OciProgram, ociProgram, outputOfBundle, runBundle, writeBundle } from './oci-runtime.ts';
import type { BenchResult } from './report.ts';

const ROUNDS = 7;
const CONTAINERS = 20;
const APPLETS = ['sh', 'true', 'cat', 'echo', 'grep', 'head', 'mknod', 'readlink', 'wc'];
/** As the kubelet's package gives them to every Pod that asks for nothing else. */
const MASKED_PATHS = ['acpi', 'asound', 'interrupts', 'kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug', 'scsi']
  .map((name) => `/proc/${name}`)
  .concat('/sys/firmware', '/sys/devices/virtual/powercap');
const READONLY_PATHS = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`);
const METRICS = {
  toExit: 'ms, start to exit',
  removed: 'ms, start to exit and removal',
  withSandbox: 'ms, with namespaces of its own',
} as const;

export async function prepareContainerStartBench(): Promise<void> {
  for (const name of ['busybox-static', 'crun', 'runc']) await unpackedClosure({ packages: [name] });
}

/** A container that runs one static program, from nothing to its end: the native runtime, crun and runc with the same isolation. */
export async function containerStartBench(say: Say): Promise<BenchResult> {
  const directory = mkdtempSync(join(tmpdir(), 'dure-bench-container-'));
  const group = `dure-bench-${process.pid}`;
  const rootfs = await makeRootfs(directory);
  try {
    await using ours = await openOurs(directory, rootfs, group);
    await using _sandbox = await keepNamespaces(join(directory, 'sandbox'));
    const peers = await Promise.all((['crun', 'runc'] as const).map((name) => ociProgram(name, directory)));
    const notes = [await ours.isolation()];
    for (const peer of peers) notes.push(await peerIsolation(peer, { directory, rootfs, group }));
    const result = await compare(
      {
        title: 'Container, start to exit',
        setting:
          `busybox' \`true\`, static, ${CONTAINERS} times one after the other in each round; the median of each round. In a sandbox that is there (namespaces for network, IPC and ` +
          'UTS), then with making and removing those too. Dure makes an overlay with a writable layer and copies output into a log for each container; the peers get a ' +
          'directory as root and /dev/null. What `run` of crun and runc removes at the end is in all their numbers.',
        rounds: ROUNDS,
        lowerIsBetter: Object.values(METRICS),
        contenders: [ours, ...peers.map((peer) => ociContender(peer, { directory, rootfs, group }))],
        aims: [
          { metric: METRICS.toExit, peer: 'crun', aim: '>= 1.0' },
          { metric: METRICS.removed, peer: 'crun', aim: '>= 1.0' },
        ],
        notes: ['What a program inside found:', '', ...notes.map((note) => `- ${note}`)],
      },
      say,
    );
    return { kind: 'comparison', result };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function makeRootfs(directory: string): Promise<string> {
  const rootfs = join(directory, 'rootfs');
  for (const name of ['bin', 'dev', 'proc', 'sys', 'tmp']) mkdirSync(join(rootfs, name), { recursive: true });
  const busybox = await unpackedClosure({ packages: ['busybox-static'] });
  copyFileSync(join(busybox, 'bin/busybox'), join(rootfs, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(rootfs, 'bin', applet));
  return rootfs;
}

type Ours = Contender & AsyncDisposable & { isolation(): Promise<string> };

async function openOurs(directory: string, rootfs: string, group: string): Promise<Ours> {
  const runtime = await openNativeRuntime({
    nodeName: group,
    runDir: join(directory, 'run'),
    stateDir: join(directory, 'state'),
    network: { attach: async () => ({ ips: ['10.42.0.2'] }), detach: async () => undefined },
    clock: systemClock,
    log: silentLogger,
  });
  const ends = new Ends(runtime);
  const run = async (sandboxId: string, serial: number, command: readonly string[]): Promise<string> => {
    const id = await runtime.createContainer(sandboxId, containerConfig(rootfs, serial, command));
    const exited = ends.of(id);
    await runtime.startContainer(id);
    await exited;
    return id;
  };
  let serial = 0;
  let kept: string | undefined;
  const sandbox = async (): Promise<string> => {
    serial += 1;
    return (await runtime.runSandbox(sandboxConfig(directory, `bench-${serial}`))).id;
  };
  return {
    name: 'dure',
    async isolation() {
      serial += 1;
      kept ??= await sandbox();
      const id = await run(kept, serial, ['/bin/sh', '-c', ISOLATION_SCRIPT, ...rootDevice()]);
      const status = await runtime.containerStatus(id);
      const log = readFileSync(status?.logPath ?? '', 'utf8');
      const lines = log.split('\n').map((line) => line.split(' ').slice(3).join(' '));
      await runtime.removeContainer(id);
      return `dure: ${renderIsolation(seen(lines.join('\n')))}`;
    },
    async measure() {
      kept ??= await sandbox();
      const times = { toExit: [] as number[], removed: [] as number[], withSandbox: [] as number[] };
      for (let index = 0; index < CONTAINERS; index += 1) {
        serial += 1;
        const startedMs = performance.now();
        const id = await run(kept, serial, ['/bin/true']);
        times.toExit.push(performance.now() - startedMs);
        await runtime.removeContainer(id);
        times.removed.push(performance.now() - startedMs);
      }
      for (let index = 0; index < CONTAINERS; index += 1) {
        const startedMs = performance.now();
        const id = await sandbox();
        await run(id, serial, ['/bin/true']);
        await runtime.removeSandbox(id);
        times.withSandbox.push(performance.now() - startedMs);
      }
      return medians(times);
    },
    async [Symbol.asyncDispose]() {
      ends.stop();
      await runtime.tearDown();
    },
  };
}

/** Resolves when containers end, told by the runtime's events. */
class Ends {
  readonly #stop = new AbortController();
  readonly #waiting = new Map<string, () => void>();

  constructor(runtime: NativeRuntime) {
    void this.#follow(runtime);
  }

  /** To be asked before the container is started. */
  of(id: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  stop(): void {
    this.#stop.abort();
  }

  async #follow(runtime: NativeRuntime): Promise<void> {
    for await (const event of runtime.events(this.#stop.signal)) {
      if (event.kind !== 'exited') continue;
      this.#waiting.get(event.containerId)?.();
      this.#waiting.delete(event.containerId);
    }
  }
}

interface PeerSetting {
  readonly directory: string;
  readonly rootfs: string;
  readonly group: string;
}

function ociContender(program: OciProgram, { directory, rootfs, group }: PeerSetting): Contender {
  const [joining, alone] = ['joining', 'alone'].map((kind) => join(directory, `${program.name}-${kind}`)) as [string, string];
  const options = {
    rootfs,
    args: ['/bin/true'],
    maskedPaths: MASKED_PATHS,
    readonlyPaths: READONLY_PATHS,
    cgroup: `/${group}/${program.name}`,
  };
  writeBundle(joining, { ...options, sandbox: join(directory, 'sandbox') });
  writeBundle(alone, options);
  let serial = 0;
  const timed = async (bundle: string): Promise<number[]> => {
    const times: number[] = [];
    for (let index = 0; index < CONTAINERS; index += 1) {
      serial += 1;
      const startedMs = performance.now();
      await runBundle(program, bundle, `bench-${serial}`);
      times.push(performance.now() - startedMs);
    }
    return times;
  };
  return {
    name: program.name,
    async measure() {
      const inSandbox = await timed(joining);
      return medians({ toExit: inSandbox, removed: inSandbox, withSandbox: await timed(alone) });
    },
  };
}

async function peerIsolation(program: OciProgram, { directory, rootfs, group }: PeerSetting): Promise<string> {
  const bundle = join(directory, `${program.name}-check`);
  writeBundle(bundle, {
    rootfs,
    args: ['/bin/sh', '-c', ISOLATION_SCRIPT, ...rootDevice()],
    maskedPaths: MASKED_PATHS,
    readonlyPaths: READONLY_PATHS,
    cgroup: `/${group}/${program.name}-check`,
    sandbox: join(directory, 'sandbox'),
  });
  return `${program.name}: ${renderIsolation(seen(await outputOfBundle(program, bundle, 'check')))}`;
}

function seen(output: string): Isolation {
  const kinds = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'];
  return parseIsolation(output, new Set(kinds.map((kind) => readlinkSync(`/proc/self/ns/${kind}`))));
}

/** Major and minor number of the disk that holds the root. */
function rootDevice(): readonly string[] {
  const { dev } = statSync(existsSync('/var/lib') ? '/var/lib' : '/');
  return [String((dev >> 8) & 0xfff), String((dev & 0xff) | ((dev >> 12) & 0xfff00))];
}

function medians(times: Readonly<Record<keyof typeof METRICS, number[]>>): Readonly<Record<string, number>> {
  const entries = Object.entries(METRICS) as [keyof typeof METRICS, string][];
  return Object.fromEntries(
    entries.map(([key, metric]) => {
      const sorted = times[key].toSorted((one, other) => one - other);
      return [metric, sorted[Math.floor(sorted.length / 2)] ?? Number.NaN];
    }),
  );
}

function sandboxConfig(directory: string, uid: string): SandboxConfig {
  return {
    metadata: { name: uid, namespace: 'default', uid, attempt: 0 },
    hostname: uid,
    logDirectory: join(directory, 'logs', uid),
    labels: {},
    annotations: {},
    cgroupParent: `kubepods/besteffort/pod${uid}`,
    namespaces: { network: 'pod', pid: 'container', ipc: 'pod' },
    sysctls: {},
  };
}

function containerConfig(rootfs: string, serial: number, command: readonly string[]): ContainerConfig {
  return {
    metadata: { name: `c${serial}`, attempt: 0 },
    labels: {},
    annotations: {},
    image: 'busybox',
    rootfs: { kind: 'layers', lowerDirs: [rootfs] },
    command,
    env: ['PATH=/bin'],
    workingDir: '/',
    mounts: [],
    devices: [],
    security: {
      uid: 0,
      gid: 0,
      supplementalGroups: [],
      capabilities: { add: [], drop: [] },
      privileged: false,
      noNewPrivileges: true,
      readOnlyRoot: false,
      seccomp: { kind: 'default' },
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
    },
    resources: {},
    logPath: `c${serial}/0.log`,
    stdin: false,
    stdinOnce: false,
    tty: false,
    stopSignal: 'SIGTERM',
    pid: 'container',
  };
}
