import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { cacheDirectory, cachedDirectory, cacheKey, exists } from './cache.ts';
import { findProgram, runCommand } from './process.ts';

/** `host`: whatever this machine's own sources offer. */
export type Distribution = 'host' | 'trixie' | 'bookworm';
export type Architecture = 'amd64' | 'arm64' | 'armhf';

/** Packages and, through apt, all they depend on (not what they recommend). */
export interface PackageClosure {
  readonly packages: readonly string[];
  /** Default: `host`. */
  readonly distribution?: Distribution;
  /** Default: this machine's. */
  readonly architecture?: Architecture;
}

/** apt's lists are fetched anew after this long, since mirrors drop old versions of packages. */
const LISTS_FRESH_MS = 24 * 60 * 60 * 1000;
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

export function hostArchitecture(): Architecture {
  if (process.arch === 'arm64') return 'arm64';
  return process.arch === 'arm' ? 'armhf' : 'amd64';
}

/** Why packages cannot be had here, `undefined` if they can. For tests that skip with a reason. */
export async function debianUnavailable(): Promise<string | undefined> {
  for (const program of ['apt-get', 'dpkg-deb', 'tar', 'flock']) {
    if ((await findProgram(program)) === undefined) return `${program} is not installed`;
  }
  return undefined;
}

/**
 * Paths of the .deb files of a closure, downloaded unless cached. Uses apt with state of its own: the machine's packages are neither asked nor
 * touched, so the closure is complete down to libc.
 */
export async function downloadClosure(closure: PackageClosure): Promise<readonly string[]> {
  const { distribution = 'host', architecture = hostArchitecture() } = closure;
  const packages = [...new Set(closure.packages)].sort();
  const home = join(cacheDirectory(), 'debian', `${distribution}-${architecture}`);
  const archives = join(home, 'cache/archives');
  const listing = join(home, `closure-${cacheKey(packages)}.json`);

  const known = await readListing(listing, archives);
  if (known !== undefined) return known;

  for (const part of ['state/lists/partial', 'cache/archives/partial', 'empty/partial', 'parts'])
    await mkdir(join(home, part), { recursive: true });
  const apt = await aptRunner(home, distribution, architecture);
  await refreshLists(home, apt);
  // Against an empty cache it names every file, downloaded or not.
  const { stdout } = await apt(['-y', '--print-uris', 'install', ...packages], [`Dir::Cache::archives=${join(home, 'empty')}`]);
  const files = [...stdout.matchAll(/^'[^']+' (\S+\.deb) /gm)].map(([, file]) => file ?? '');
  if (files.length === 0) throw new Error(`download ${packages.join(' ')}: apt names no files\n${stdout}`);
  await apt(['-y', '-qq', '--download-only', 'install', ...packages], []);
  await writeFile(`${listing}.${process.pid}`, JSON.stringify(files));
  await rename(`${listing}.${process.pid}`, listing);
  return files.map((file) => join(archives, file));
}

export interface UnpackOptions {
  /** Leave documentation, translations and the like out. Default: true. */
  readonly withoutDocs?: boolean;
}

const DOCS = ['doc', 'man', 'locale', 'info', 'lintian', 'bug', 'i18n/locales'] as const;

/**
 * Unpacks packages into `root`, over what is there; no maintainer script runs. The root gets merged `/usr` first (`bin -> usr/bin`), as in every
 * current Debian. Owners are kept when run as root.
 */
export async function unpackPackages(files: readonly string[], root: string, { withoutDocs = true }: UnpackOptions = {}): Promise<void> {
  const excludes = withoutDocs ? DOCS.map((name) => `--exclude=./usr/share/${name}`) : [];
  for (const file of files) {
    // The only pipe here; names come as arguments, never as text of the script.
    const script =
      'file=$1 root=$2; shift 2; dpkg-deb --fsys-tarfile "$file" | tar -x -C "$root" --keep-directory-symlink --numeric-owner "$@"';
    await runCommand('sh', ['-c', script, 'sh', file, root, ...excludes]);
  }
}

/** A directory with a closure unpacked, kept in the cache. For running a program that is not installed here; do not write to it. */
export async function unpackedClosure(closure: PackageClosure): Promise<string> {
  const files = await downloadClosure(closure);
  const path = join(cacheDirectory(), 'roots', cacheKey([files.map((file) => basename(file)).sort(), 1]));
  await mkdir(join(path, '..'), { recursive: true });
  return cachedDirectory(path, async (directory) => {
    await prepareRoot(directory);
    await unpackPackages(files, directory);
  });
}

/** The links of merged `/usr`. */
export async function prepareRoot(root: string): Promise<void> {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(root, 'usr', name), { recursive: true });
    if (!(await exists(join(root, name)))) await runCommand('ln', ['-s', `usr/${name}`, join(root, name)]);
  }
}

/** The package of a .deb file by its name: `libc6` of `libc6_2.36-9_amd64.deb`. */
export function packageOf(file: string): string {
  return basename(file).replace(/_.*$/, '');
}

type Apt = (args: readonly string[], options: readonly string[]) => Promise<{ readonly stdout: string }>;

async function aptRunner(home: string, distribution: Distribution, architecture: Architecture): Promise<Apt> {
  const status = join(home, 'status');
  if (!(await exists(status))) await writeFile(status, '');
  const settings = [
    `Dir::State=${join(home, 'state')}`,
    `Dir::Cache=${join(home, 'cache')}`,
    `Dir::State::status=${status}`,
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    'APT::Install-Recommends=0',
    'APT::Sandbox::User=root',
    'Debug::NoLocking=1',
    'Acquire::Languages=none',
    'Acquire::Retries=3',
    ...(distribution === 'host' ? [] : await ownSources(home, distribution)),
  ];
  const lock = join(home, 'lock');
  return (args, options) => {
    const all = [...settings, ...options].flatMap((setting) => ['-o', setting]);
    // Test files run side by side and share this state; apt's own locks would fail instead of waiting.
    return runCommand('flock', [lock, 'apt-get', ...all, ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
      timeoutMs: 10 * 60 * 1000,
    });
  };
}

async function ownSources(home: string, distribution: Distribution): Promise<readonly string[]> {
  const list = join(home, 'sources.list');
  const signed = (await exists(KEYRING)) ? `[signed-by=${KEYRING}] ` : '';
  await writeFile(list, `deb ${signed}${await mirror()} ${distribution} main\n`);
  return [`Dir::Etc::sourcelist=${list}`, `Dir::Etc::sourceparts=${join(home, 'parts')}`];
}

/** The machine's own mirror of Debian. @throws {Error} It has none. */
async function mirror(): Promise<string> {
  const directory = '/etc/apt/sources.list.d';
  const files = ['/etc/apt/sources.list', ...(await readdir(directory).catch(() => [])).map((name) => join(directory, name))];
  for (const file of files.filter((name) => name.endsWith('.list') || name.endsWith('.sources'))) {
    const text = await readFile(file, 'utf8').catch(() => '');
    const found = /^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s+)?)(\S+\/debian)\/?(?:\s|$)/m.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error(`find a mirror: neither /etc/apt/sources.list nor ${directory} names one of Debian`);
}

async function refreshLists(home: string, apt: Apt): Promise<void> {
  const mark = join(home, 'lists-fetched');
  const fetchedMs = await stat(mark).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
  if (Date.now() - fetchedMs < LISTS_FRESH_MS) return;
  await apt(['update', '-qq'], []);
  await writeFile(mark, '');
}

async function readListing(listing: string, archives: string): Promise<readonly string[] | undefined> {
  const text = await readFile(listing, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const files = (JSON.parse(text) as readonly string[]).map((file) => join(archives, file));
  for (const file of files) {
    if (!(await exists(file))) return undefined;
  }
  return files;
}
