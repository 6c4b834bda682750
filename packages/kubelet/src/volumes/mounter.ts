import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';

/** The few mounts that a node makes for volumes, outside any container. Each call has ended or failed when it settles. */
export interface Mounter {
  mountTmpfs(target: string, options: { readonly sizeBytes?: number; readonly mode?: number }): Promise<void>;
  /** Binds what an open descriptor names, so that a path swapped meanwhile changes nothing. */
  bindDescriptor(descriptor: number, target: string): Promise<void>;
  mountOverlay(target: string, lowerDirs: readonly string[]): Promise<void>;
  /** Succeeds when nothing is mounted there. */
  unmount(target: string): Promise<void>;
  /** Mount points at or below `path`, deepest first. */
  mountsBelow(path: string): Promise<readonly string[]>;
}

/** A mount that hangs (it cannot on what we mount, but the child may be starved) must not stop a worker for good. */
const CHILD_MS_MAX = 30_000;

/** Uses the mount program: these mounts are few, and a child can be given up on where a system call cannot. */
export const systemMounter: Mounter = {
  mountTmpfs(target, { sizeBytes, mode = 0o755 }) {
    const options = [`mode=${mode.toString(8)}`, 'nosuid', 'nodev', ...(sizeBytes === undefined ? [] : [`size=${sizeBytes}`])];
    return run('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', target]);
  },
  bindDescriptor: (descriptor, target) => run('mount', ['--bind', '/proc/self/fd/3', target], descriptor),
  mountOverlay(target, lowerDirs) {
    // The kernel wants two lower layers where there is no upper one.
    const [only] = lowerDirs;
    if (lowerDirs.length === 1 && only !== undefined) return run('mount', ['--bind', '-o', 'ro', only, target]);
    return run('mount', ['-t', 'overlay', '-o', `ro,lowerdir=${lowerDirs.join(':')}`, 'overlay', target]);
  },
  async unmount(target) {
    if (!(await mountPoints()).includes(target)) return;
    await run('umount', ['-l', target]);
  },
  async mountsBelow(path) {
    const below = (await mountPoints()).filter((point) => point === path || point.startsWith(`${path}/`));
    return below.sort((a, b) => b.length - a.length);
  },
};

async function mountPoints(): Promise<readonly string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8');
  return text.split('\n').flatMap((line) => {
    const point = line.split(' ')[4];
    return point === undefined
      ? []
      : [point.replace(/\\([0-7]{3})/g, (_match, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))];
  });
}

function run(program: string, args: readonly string[], descriptor?: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const stdio: ('ignore' | 'pipe' | number)[] = ['ignore', 'ignore', 'pipe', ...(descriptor === undefined ? [] : [descriptor])];
    const child: ChildProcess = spawn(program, args, { stdio, timeout: CHILD_MS_MAX });
    let complaint = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString('utf8')).slice(0, 4096);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ${args.join(' ')}: ${complaint.trim() || `exit code ${code}`}`));
    });
  });
}
