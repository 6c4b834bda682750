/** What tests that run real containers share: a tiny root file system, a runtime in a directory of its own, and a look at what is left. */
import { execFile } from 'node:child_process';
import { accessSync, existsSync, readdirSync, readFileSync, readlinkSync, watch } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { silentLogger, systemClock } from '@dure/foundation';
import { findCgroupMount } from '../cgroup-tree.ts';
import type { ContainerConfig, ContainerStatus, ExecRequest, SandboxConfig, StreamSession } from '../contract.ts';
import { builtBinary, type NativeRuntime, openNativeRuntime } from '../native-runtime.ts';

const BUSYBOX = ['/usr/bin/busybox', '/bin/busybox'].find((path) => existsSync(path));
/** Another build of it, such as one with the compiler's checks, may be tried by naming it. */
const program = process.env.DURE_RUN ?? builtBinary;
const APPLETS =
  'sh ls cat sleep id mount umount ps echo ip hostname tty stty env kill mknod dd touch head tail wc yes seq test readlink printf true false stat nc od grep mkdir rm ln df nproc ulimit setsid chmod chown sync'.split(
    ' ',
  );

/** Why these tests cannot run here; `undefined` when they can. */
export function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (BUSYBOX === undefined) return 'needs busybox-static (apt-get install busybox-static)';
  try {
    accessSync(program);
  } catch {
    return 'needs dure-run (node build.mjs in packages/runtime)';
  }
  return undefined;
}

/** A runtime with its directories, for one test file. */
export interface Machine {
  readonly directory: string;
  readonly rootfs: string;
  readonly nodeName: string;
  runtime: NativeRuntime;
  /** Opens another runtime on the same state, as a restarted agent does. */
  reopen(): Promise<NativeRuntime>;
  /** A sandbox of its own unless told otherwise. */
  sandbox(change?: Partial<SandboxConfig>): Promise<string>;
  /** Creates and starts. */
  start(sandboxId: string, command: readonly string[], change?: Change): Promise<string>;
  create(sandboxId: string, command: readonly string[], change?: Change): Promise<string>;
  /** Runs to the end; what it said, without time stamps, by stream. */
  run(sandboxId: string, command: readonly string[], change?: Change): Promise<Outcome>;
  exited(id: string): Promise<ContainerStatus>;
  log(id: string): Promise<readonly LogLine[]>;
  exec(id: string, command: readonly string[], change?: Partial<ExecRequest>): Promise<{ code: number; stdout: string; stderr: string }>;
  close(): Promise<void>;
}

export interface Change extends Partial<Omit<ContainerConfig, 'security'>> {
  readonly security?: Partial<ContainerConfig['security']>;
}

export interface Outcome {
  readonly status: ContainerStatus;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LogLine {
  readonly time: string;
  readonly stream: string;
  readonly tag: string;
  readonly text: string;
}

let machines = 0;

export async function openMachine(): Promise<Machine> {
  machines += 1;
  const directory = await mkdtemp(join(tmpdir(), 'dure-runtime-'));
  const rootfs = await makeRootfs(join(directory, 'rootfs'));
  const nodeName = `test-${process.pid}-${machines}`;
  let serial = 0;
  const open = (): Promise<NativeRuntime> =>
    openNativeRuntime({
      nodeName,
      runDir: join(directory, 'run'),
      stateDir: join(directory, 'state'),
      network: { attach: async () => ({ ips: ['10.42.0.2'] }), detach: async () => undefined },
      clock: systemClock,
      log: silentLogger,
      binary: program,
    });
  const machine: Machine = {
    directory,
    rootfs,
    nodeName,
    runtime: await open(),
    reopen: open,
    async sandbox(change = {}) {
      serial += 1;
      const uid = `uid-${serial}`;
      const status = await machine.runtime.runSandbox({
        metadata: { name: `pod-${serial}`, namespace: 'default', uid, attempt: 0 },
        hostname: `pod-${serial}`,
        logDirectory: join(directory, 'logs', uid),
        labels: {},
        annotations: {},
        cgroupParent: `kubepods/besteffort/pod${uid}`,
        namespaces: { network: 'pod', pid: 'container', ipc: 'pod' },
        sysctls: {},
        ...change,
      });
      return status.id;
    },
    async create(sandboxId, command, change = {}) {
      serial += 1;
      const { security, ...rest } = change;
      return machine.runtime.createContainer(sandboxId, {
        metadata: { name: `c-${serial}`, attempt: 0 },
        labels: {},
        annotations: {},
        image: 'busybox',
        rootfs: { kind: 'layers', lowerDirs: [rootfs] },
        command,
        env: ['PATH=/bin'],
        workingDir: '',
        mounts: [],
        devices: [],
        resources: {},
        logPath: `c-${serial}/0.log`,
        stdin: false,
        stdinOnce: false,
        tty: false,
        stopSignal: 'SIGTERM',
        pid: 'container',
        ...rest,
        security: {
          uid: 0,
          gid: 0,
          supplementalGroups: [],
          capabilities: { add: [], drop: [] },
          privileged: false,
          noNewPrivileges: false,
          readOnlyRoot: false,
          seccomp: { kind: 'default' },
          maskedPaths: [],
          readonlyPaths: [],
          ...security,
        },
      });
    },
    async start(sandboxId, command, change) {
      const id = await machine.create(sandboxId, command, change);
      await machine.runtime.startContainer(id);
      return id;
    },
    async run(sandboxId, command, change) {
      const id = await machine.start(sandboxId, command, change);
      const status = await machine.exited(id);
      const lines = await machine.log(id);
      return { status, stdout: textOf(lines, 'stdout'), stderr: textOf(lines, 'stderr') };
    },
    exited: (id) => waitForExit(machine.runtime, id),
    async log(id) {
      const status = await machine.runtime.containerStatus(id);
      return parseLog(await readFile(status?.logPath ?? '', 'utf8'));
    },
    async exec(id, command, change = {}) {
      const session = await machine.runtime.exec(id, { command, tty: false, stdin: false, ...change });
      const [stdout, stderr, code] = await Promise.all([
        collect(session.stdout),
        session.stderr === undefined ? '' : collect(session.stderr),
        session.exited,
      ]);
      return { code, stdout, stderr };
    },
    async close() {
      await machine.runtime.tearDown();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return machine;
}

export async function waitForExit(runtime: NativeRuntime, id: string): Promise<ContainerStatus> {
  const over = new AbortController();
  const events = runtime.events(over.signal);
  try {
    for (;;) {
      const status = await runtime.containerStatus(id);
      if (status === undefined) throw new Error(`container ${id} is gone`);
      if (status.state === 'exited') return status;
      for await (const event of events) if (event.kind === 'exited' && event.containerId === id) break;
    }
  } finally {
    over.abort();
  }
}

/** Waits until a container has logged `text`: what it says last before it is as the test wants it. */
export async function logged(machine: Machine, id: string, text: string): Promise<void> {
  const { logPath } = (await machine.runtime.containerStatus(id)) ?? { logPath: '' };
  await new Promise<void>((resolve, reject) => {
    const look = (): void => {
      if (readFileSync(logPath, 'utf8').includes(text)) done(resolve);
      else
        void machine.runtime
          .containerStatus(id)
          .then((status) => status?.state === 'exited' && done(() => reject(new Error(`it ended and never said ${text}`))));
    };
    const watcher = watch(logPath, look);
    const done = (settle: () => void): void => {
      watcher.close();
      settle();
    };
    look();
  });
}

export async function collect(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Reads until `text` has come. */
export async function until(session: StreamSession, text: string): Promise<string> {
  let seen = '';
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      seen += chunk.toString();
      if (!seen.includes(text)) return;
      session.stdout.off('data', onData);
      session.stdout.off('end', onEnd);
      resolve(seen);
    };
    const onEnd = (): void => reject(new Error(`the stream ended before ${JSON.stringify(text)}; it said ${JSON.stringify(seen)}`));
    session.stdout.on('data', onData);
    session.stdout.on('end', onEnd);
  });
}

export function parseLog(text: string): readonly LogLine[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const match = /^(\S+) (stdout|stderr) ([FP]) (.*)$/s.exec(line);
      if (match === null) throw new Error(`no CRI log line: ${JSON.stringify(line.slice(0, 100))}`);
      return { time: match[1] ?? '', stream: match[2] ?? '', tag: match[3] ?? '', text: match[4] ?? '' };
    });
}

/** What the program wrote, byte for byte. */
export function textOf(lines: readonly LogLine[], stream: string): string {
  return lines
    .filter((line) => line.stream === stream)
    .map(({ text, tag }) => (tag === 'F' ? `${text}\n` : text))
    .join('');
}

/** Everything a test could leave behind on the host. */
export interface Footprint {
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
  readonly processes: readonly string[];
  readonly descriptors: readonly string[];
}

export async function footprint(marker: string): Promise<Footprint> {
  const cgroups: string[] = [];
  const root = join(await findCgroupMount(), 'dure');
  const walk = (directory: string): void => {
    for (const entry of existsSync(directory) ? readdirSync(directory, { withFileTypes: true }) : []) {
      if (!entry.isDirectory()) continue;
      const path = join(directory, entry.name);
      if (path.includes(marker)) cgroups.push(path);
      walk(path);
    }
  };
  walk(root);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(marker));
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`;
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(marker));
  const descriptors = readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    })
    .filter((target) => target.includes(marker) || target.startsWith('socket:'));
  return { mounts, cgroups, processes, descriptors };
}

/** Compiles a C program without a library to lean on in the container. */
export async function compileStatic(directory: string, name: string, source: string): Promise<string> {
  await writeFile(join(directory, `${name}.c`), source);
  const target = join(directory, name);
  await promisify(execFile)('cc', ['-static', '-O2', '-o', target, join(directory, `${name}.c`)]);
  return target;
}

async function makeRootfs(directory: string): Promise<string> {
  for (const name of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'root']) await mkdir(join(directory, name), { recursive: true });
  await copyFile(BUSYBOX ?? '', join(directory, 'bin', 'busybox'));
  for (const applet of APPLETS) await symlink('busybox', join(directory, 'bin', applet));
  await writeFile(join(directory, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/srv/web:/bin/sh\n');
  await writeFile(join(directory, 'etc', 'group'), 'root:x:0:\nweb:x:1000:\n');
  return directory;
}
