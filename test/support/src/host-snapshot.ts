import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { findProgram, runCommand } from './process.ts';

/** What a node agent can change on a machine, each as sorted lines that say what and where. */
export interface HostSnapshot {
  readonly links: readonly string[];
  readonly addresses: readonly string[];
  /** Of all tables, both families. */
  readonly routes: readonly string[];
  readonly rules: readonly string[];
  readonly nftables: readonly string[];
  readonly mounts: readonly string[];
  /** Below every cgroup v2 mount. */
  readonly cgroups: readonly string[];
  /** Named network namespaces, and those that `netnsDirectories` hold. */
  readonly networkNamespaces: readonly string[];
  readonly listeners: readonly string[];
  /** Of those whose command line matches `processes`: pid and command line. */
  readonly processes: readonly string[];
}

export interface SnapshotOptions {
  /** Which processes count as ours. Default: none. */
  readonly processes?: RegExp;
  /** Default: `/run/netns` and `/var/run/netns`. */
  readonly netnsDirectories?: readonly string[];
}

/** What was added (`+`) and removed (`-`) between two snapshots; empty lists are left out. */
export type SnapshotDiff = Partial<Record<keyof HostSnapshot, readonly string[]>>;

/** Takes stock of this machine, as far as this user may look. A part whose tool is missing is one line that says so. */
export async function takeHostSnapshot({ processes, netnsDirectories = ['/run/netns'] }: SnapshotOptions = {}): Promise<HostSnapshot> {
  const [links, addresses, routes, rules, nftables, mounts, cgroups, networkNamespaces, listeners, ours] = await Promise.all([
    ip(['-details', '-oneline', 'link', 'show']),
    ip(['-oneline', 'address', 'show']),
    bothFamilies(['route', 'show', 'table', 'all']),
    bothFamilies(['rule', 'show']),
    lines('nft', ['-s', 'list', 'ruleset']),
    mountLines(),
    cgroupLines(),
    namespaceLines(netnsDirectories),
    lines('ss', ['-Hlntup']),
    processLines(processes),
  ]);
  return {
    links: sorted(links.map(withoutCounters)),
    addresses: sorted(addresses.map((line) => line.replace(/(?:valid|preferred)_lft \S+/g, '').trim())),
    routes: sorted(routes.map((line) => line.replace(/ expires \S+/, ''))),
    rules: sorted(rules),
    // Rules mean something by their order: the whole ruleset counts as it stands.
    nftables,
    mounts: sorted(mounts),
    cgroups: sorted(cgroups),
    networkNamespaces: sorted(networkNamespaces),
    listeners: sorted(listeners.map((line) => line.replace(/\s+/g, ' ').replace(/ (?:fd=\d+|users:\S+)/g, ''))),
    processes: sorted(ours),
  };
}

/** What differs, as lines that begin with `+` or `-`. An empty object means: nothing stayed behind, nothing was lost. */
export function diffSnapshots(before: HostSnapshot, after: HostSnapshot): SnapshotDiff {
  const diff: { -readonly [Part in keyof HostSnapshot]?: readonly string[] } = {};
  for (const part of Object.keys(before) as (keyof HostSnapshot)[]) {
    const changes = [
      ...less(before[part], after[part]).map((line) => `- ${line}`),
      ...less(after[part], before[part]).map((line) => `+ ${line}`),
    ];
    if (changes.length > 0) diff[part] = changes;
  }
  return diff;
}

/** Lines of `all` that `others` lack, each as often as it stands there too often. */
function less(all: readonly string[], others: readonly string[]): readonly string[] {
  const left = new Map<string, number>();
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
  return all.filter((line) => {
    const count = left.get(line) ?? 0;
    left.set(line, count - 1);
    return count <= 0;
  });
}

async function ip(args: readonly string[]): Promise<readonly string[]> {
  return (await lines('ip', args)).map((line) => line.replace(/\\/g, ' ').replace(/\s+/g, ' '));
}

async function bothFamilies(args: readonly string[]): Promise<readonly string[]> {
  const [four, six] = await Promise.all([ip(['-4', ...args]), ip(['-6', ...args])]);
  return [...four.map((line) => `inet ${line}`), ...six.map((line) => `inet6 ${line}`)];
}

async function lines(program: string, args: readonly string[]): Promise<readonly string[]> {
  const path = await findProgram(program);
  if (path === undefined) return [`${program} is not installed`];
  const { stdout } = await runCommand(path, args);
  return stdout.split('\n').filter((line) => line.trim() !== '');
}

/** Mounts by what and where; their numbers come and go. */
async function mountLines(): Promise<readonly string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8');
  return text.split('\n').flatMap((line) => {
    const [front, back] = line.split(' - ');
    if (front === undefined || back === undefined) return [];
    const [, , , root = '', point = ''] = front.split(' ');
    const [type = '', source = ''] = back.split(' ');
    return [`${point} ${type} ${source} ${root}`];
  });
}

async function cgroupLines(): Promise<readonly string[]> {
  const mounts = (await mountLines()).flatMap((line) => {
    const [point = '', type] = line.split(' ');
    return type === 'cgroup2' ? [point] : [];
  });
  const found: string[] = [];
  const walk = async (directory: string): Promise<void> => {
    // Groups of others come and go while we look.
    for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
      if (!entry.isDirectory()) continue;
      found.push(join(directory, entry.name));
      await walk(join(directory, entry.name));
    }
  };
  for (const mount of new Set(mounts)) await walk(mount);
  return found;
}

async function namespaceLines(directories: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const directory of directories) {
    for (const name of await readdir(directory).catch(() => [])) {
      const kind = await stat(join(directory, name)).then(
        ({ ino }) => ino,
        () => 0,
      );
      found.push(`${join(directory, name)} ${kind}`);
    }
  }
  return found;
}

async function processLines(pattern: RegExp | undefined): Promise<readonly string[]> {
  if (pattern === undefined) return [];
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim();
    // A process that has ended but is not yet reaped has no command line, and is no concern.
    if (command !== '' && pattern.test(command)) found.push(`${pid} ${command} (${await readlink(`/proc/${pid}/exe`).catch(() => '?')})`);
  }
  return found;
}

/** Numbers that change by themselves. */
function withoutCounters(line: string): string {
  return line
    .replace(/ (?:gso|gro|tso)_\S+ \S+/g, '')
    .replace(
      / (?:numtxqueues|numrxqueues|promiscuity|allmulti|minmtu|maxmtu|inet6 .*|hello_timer|gc_timer|tcn_timer|topology_change_timer) \S+/g,
      '',
    );
}

function sorted(list: readonly string[]): readonly string[] {
  return list.toSorted();
}
