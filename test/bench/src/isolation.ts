import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Says to a process that it runs in namespaces made for it. */
const MARK = 'DURE_ISOLATED';

/** The namespaces end, with every process in them, when the process that asked for them does. */
const ISOLATION = [
  ...['setpriv', '--pdeathsig', 'KILL', '--', 'unshare', '--net', '--mount', '--pid', '--fork', '--kill-child=KILL'],
  ...['--mount-proc', '--propagation', 'private', '--'],
];

/** Of the first process inside, not of the one that waits outside: the root of a cgroup namespace with a process in it can hand on no controllers. */
const ENTER_CGROUP = 'echo 0 > "$1/cgroup.procs" && shift && exec unshare --cgroup -- "$@"';

/** Inside: loopback is down in a new network namespace, /run is that of the machine, and cgroups shall show nothing but the subtree of this run, version 2 alone. */
const SET_UP = [
  'ip link set lo up',
  // Where clusters keep what runs.
  'mount -t tmpfs -o mode=755 tmpfs /run',
  'umount -R /sys/fs/cgroup',
  'mount -t cgroup2 cgroup2 /sys/fs/cgroup',
  // A cgroup with processes of its own cannot hand controllers on to those below.
  'mkdir /sys/fs/cgroup/bench',
  'echo 0 > /sys/fs/cgroup/bench/cgroup.procs',
  'exec "$@"',
].join(' && ');

export function isIsolated(): boolean {
  return process.env[MARK] === '1';
}

/**
 * Runs this program again with `args`, in network, mount, process and cgroup namespaces of its own. Its cgroup, and what was made below it, is removed
 * afterwards, as are its temporary files. @returns Its exit code.
 */
export async function runIsolated(args: readonly string[]): Promise<number> {
  const group = join(cgroupMount(), `dure-bench-${process.pid}`);
  mkdirSync(group);
  const scratch = mkdtempSync(join(tmpdir(), 'dure-bench-'));
  const [, main = ''] = process.argv;
  const [program = '', ...argv] = [
    ...[...ISOLATION, 'sh', '-c', ENTER_CGROUP, 'sh', group],
    ...['sh', '-c', SET_UP, 'sh', process.execPath, ...process.execArgv, main, ...args],
  ];
  // The program inside hears of Ctrl-C itself; this one must outlive it to clean up.
  const ignore = (): void => {};
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, ignore);
  try {
    const child = spawn(program, argv, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, [MARK]: '1', TMPDIR: scratch },
    });
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? 1));
    });
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, ignore);
    await removeCgroup(group);
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Kills what is left in a cgroup and removes it with all below. */
async function removeCgroup(path: string): Promise<void> {
  writeFileSync(join(path, 'cgroup.kill'), '1');
  for (let tries = 0; /^populated 1$/m.test(readFileSync(join(path, 'cgroup.events'), 'utf8')) && tries < 100; tries += 1) await sleep(50);
  removeTree(path);
}

function removeTree(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(path, entry.name));
  rmdirSync(path);
}

/** Where cgroup v2 is mounted. @throws {Error} Nowhere. */
function cgroupMount(): string {
  const mount = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields.at(-3) === 'cgroup2')?.[4];
  if (mount === undefined) throw new Error('cgroup v2 is not mounted');
  return mount;
}
