import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Says to a process that it runs in namespaces made for it. */
const MARK = 'DURE_ISOLATED';
/** Its cgroup, and its temporary files, are named so, and after the process that asked. */
const NAME = 'dure-isolated-';

/** The namespaces end, with every process in them, when the process that asked for them does. */
const NAMESPACES = [
  ...['setpriv', '--pdeathsig', 'KILL', '--', 'unshare', '--net', '--mount', '--pid', '--fork', '--kill-child=KILL'],
  ...['--mount-proc', '--propagation', 'private', '--'],
];

/** Of the first process inside, not of the one that waits outside: the root of a cgroup namespace with a process in it can hand on no controllers. */
const ENTER_CGROUP = 'echo 0 > "$1/cgroup.procs" && shift && exec unshare --cgroup -- "$@"';

export interface IsolationOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /**
   * What is seen of cgroups: never more than the subtree of this run. `layout of the machine`: version 2 where it is mounted outside, beside whatever
   * version 1 has there. `version 2 alone`: at the usual place, for programs that understand nothing else.
   */
  readonly cgroups: 'layout of the machine' | 'version 2 alone';
  /** Shell commands that are run inside first. */
  readonly setUp?: readonly string[];
}

/** Whether this process runs in namespaces that {@link runIsolated} made. */
export function isIsolated(): boolean {
  return process.env[MARK] === '1';
}

/**
 * Runs a program in network, mount, process and cgroup namespaces of its own, as root: it cannot disturb what runs on the machine, a cluster least of
 * all, and leaves nothing behind. Its cgroup, with what was made below it, and its temporary files are removed afterwards. @returns Its exit code.
 */
export async function runIsolated(
  argv: readonly string[],
  { cwd, env = process.env, cgroups, setUp = [] }: IsolationOptions,
): Promise<number> {
  const mount = cgroupMount();
  await removeAbandoned(mount);
  const group = join(mount, `${NAME}${process.pid}`);
  mkdirSync(group);
  const scratch = mkdtempSync(join(tmpdir(), NAME));
  const [program = '', ...args] = [
    ...[...NAMESPACES, 'sh', '-c', ENTER_CGROUP, 'sh', group],
    ...['sh', '-c', [...cgroupSetUp(cgroups, mount), ...setUp, 'exec "$@"'].join(' && '), 'sh', ...argv],
  ];
  // This process must outlive the program inside to clean up: of Ctrl-C that one hears itself, and of SIGTERM it would not.
  let end = (): void => {};
  const onInterrupt = (): void => {};
  const onTerminate = (): void => end();
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
  try {
    const child = spawn(program, args, {
      ...(cwd === undefined ? {} : { cwd }),
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...env, [MARK]: '1', TMPDIR: scratch },
    });
    end = () => void child.kill('SIGKILL');
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? 1));
    });
  } finally {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate);
    await removeCgroup(group);
    rmSync(scratch, { recursive: true, force: true });
  }
}

function cgroupSetUp(cgroups: IsolationOptions['cgroups'], mount: string): readonly string[] {
  const place = cgroups === 'version 2 alone' ? '/sys/fs/cgroup' : mount;
  return [
    `umount -R ${place}`,
    `mount -t cgroup2 cgroup2 ${place}`,
    // A cgroup with processes of its own cannot hand controllers on to those below.
    `mkdir ${place}/tests`,
    `echo 0 > ${place}/tests/cgroup.procs`,
  ];
}

/** What runs left that were killed themselves. */
async function removeAbandoned(mount: string): Promise<void> {
  for (const name of readdirSync(mount)) {
    if (name.startsWith(NAME) && !existsSync(`/proc/${name.slice(NAME.length)}`)) await removeCgroup(join(mount, name));
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

/** Why no program can be isolated here, `undefined` if one can. */
export function isolationUnavailable(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root: it makes namespaces, mounts and cgroups';
  return findCgroupMount() === undefined ? 'cgroup v2 is not mounted' : undefined;
}

/** Where cgroup v2 is mounted. @throws {Error} Nowhere. */
function cgroupMount(): string {
  const mount = findCgroupMount();
  if (mount === undefined) throw new Error('cgroup v2 is not mounted');
  return mount;
}

function findCgroupMount(): string | undefined {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields.at(-3) === 'cgroup2')?.[4];
}
