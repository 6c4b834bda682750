import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Says to a process that it runs in namespaces made for it. */
const MARK = 'DURE_ISOLATED';

/** The namespaces end, with every process in them, when the process that asked for them does. */
const ISOLATION = [
  ...['setpriv', '--pdeathsig', 'KILL', '--', 'unshare', '--net', '--mount', '--pid', '--cgroup', '--fork', '--kill-child=KILL'],
  ...['--mount-proc', '--propagation', 'private', '--'],
];

/** Inside: loopback is down in a new network namespace, and cgroups show nothing but the subtree of this run, version 2 alone. */
const SET_UP = [
  'ip link set lo up',
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
 * afterwards. @returns Its exit code.
 */
export async function runIsolated(args: readonly string[]): Promise<number> {
  const group = join(cgroupMount(), `dure-bench-${process.pid}`);
  mkdirSync(group);
  const [, main = ''] = process.argv;
  const argv = [...ISOLATION, 'sh', '-c', SET_UP, 'sh', process.execPath, ...process.execArgv, main, ...args];
  const enter = 'echo 0 > "$1/cgroup.procs" && shift && exec "$@"';
  // The program inside hears of Ctrl-C itself; this one must outlive it to clean up.
  const ignore = (): void => {};
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, ignore);
  try {
    const child = spawn('sh', ['-c', enter, 'sh', group, ...argv], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, [MARK]: '1' },
    });
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? 1));
    });
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, ignore);
    await removeCgroup(group);
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
