import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { runCommand } from '../up/run-command.ts';
import { mountPoints } from '../up/run-directory.ts';

/** What `doctor` looks at, read once. Everything it concludes is computed from this value. */
export interface HostFacts {
  readonly nodeVersion: string;
  readonly root: boolean;
  /** Mount points and their file system types. */
  readonly mounts: ReadonlyMap<string, string>;
  /** Lines of /proc/cgroups: controller to its hierarchy (0: free for v2) and whether the boot line left it on. */
  readonly controllers: ReadonlyMap<string, { readonly hierarchy: number; readonly enabled: boolean }>;
  /** `cgroup.controllers` of the v2 root; empty where there is no v2 tree. */
  readonly v2Controllers: ReadonlySet<string>;
  readonly filesystems: ReadonlySet<string>;
  readonly missingPrograms: readonly string[];
  readonly hasDefaultRoute: boolean;
  readonly addresses: readonly string[];
  /** Milliseconds since 1970. */
  readonly wallMs: number;
  readonly dataFreeBytes: number;
  readonly dataFreeInodes: number;
  /** File system type under the data directory. */
  readonly dataFilesystem: string;
  /** The boot command line's own file, where there is one to edit. */
  readonly bootLineFile: string | undefined;
}

const PROGRAMS = ['ip', 'nft', 'unshare', 'nsenter', 'mount'];
const BOOT_LINE_FILES = ['/boot/firmware/cmdline.txt', '/boot/cmdline.txt'];

export async function readHostFacts(dataDir: string, wallMs: number): Promise<HostFacts> {
  const mounts = mountPoints();
  const existing = nearestExisting(dataDir);
  const space = statfsSync(existing);
  const path = (process.env.PATH ?? '').split(':');
  return {
    nodeVersion: process.versions.node,
    root: process.getuid?.() === 0,
    mounts,
    controllers: parseControllers(readOr('/proc/cgroups', '')),
    v2Controllers: new Set(v2Root(mounts).flatMap((root) => readOr(`${root}/cgroup.controllers`, '').split(/\s+/).filter(Boolean))),
    filesystems: new Set(
      readOr('/proc/filesystems', '')
        .split('\n')
        .map((line) => line.split('\t').at(-1) ?? ''),
    ),
    missingPrograms: PROGRAMS.filter((program) => !path.some((directory) => existsSync(`${directory}/${program}`))),
    hasDefaultRoute: (await runCommand({ argv: ['ip', 'route', 'show', 'default'], mayFail: true }).catch(() => '')) !== '',
    addresses: Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).filter(({ internal }) => !internal).map(({ address }) => address),
    ),
    wallMs,
    dataFreeBytes: space.bavail * space.bsize,
    dataFreeInodes: space.ffree,
    dataFilesystem: filesystemOf(existing, mounts),
    bootLineFile: BOOT_LINE_FILES.find((file) => existsSync(file)),
  };
}

/** Parses /proc/cgroups. @see cgroups(7) */
export function parseControllers(text: string): HostFacts['controllers'] {
  const rows = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    rows.map((line) => {
      const [name = '', hierarchy = '0', , enabled = '1'] = line.split('\t');
      return [name, { hierarchy: Number(hierarchy), enabled: enabled === '1' }];
    }),
  );
}

function v2Root(mounts: ReadonlyMap<string, string>): readonly string[] {
  const root = [...mounts].find(([, type]) => type === 'cgroup2')?.[0];
  return root === undefined ? [] : [root];
}

function filesystemOf(path: string, mounts: ReadonlyMap<string, string>): string {
  const holders = [...mounts].filter(([point]) => path === point || path.startsWith(point === '/' ? '/' : `${point}/`));
  return holders.toSorted(([one], [other]) => other.length - one.length)[0]?.[1] ?? 'unknown';
}

function nearestExisting(path: string): string {
  let candidate = path;
  while (!existsSync(candidate)) candidate = candidate.slice(0, candidate.lastIndexOf('/')) || '/';
  return candidate;
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}
