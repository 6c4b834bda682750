import { chmod, chown, lstat, mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoCode, type Random } from '@dure/foundation';

export interface ProjectedFile {
  readonly content: Uint8Array;
  readonly mode: number;
  /** Owner, where not root. */
  readonly uid?: number;
}

/** Files by path relative to the volume. */
export type Payload = ReadonlyMap<string, ProjectedFile>;

const DATA_LINK = '..data';
const NEW_DATA_LINK = '..data_tmp';

/**
 * Makes `directory` show exactly `payload`, all of it at once: files lie in a new directory of their own, and readers reach them
 * through the link `..data`, which is swapped in one step. Nothing is written when nothing differs.
 * @returns Whether something changed.
 * @see https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter for the layout, which programs watch.
 */
export async function writeAtomically(
  directory: string,
  payload: Payload,
  random: Random,
  finish: (newDataDir: string) => Promise<void> = async () => {},
): Promise<boolean> {
  const current = await readlink(join(directory, DATA_LINK)).catch(ignoreMissing);
  if (current !== undefined && (await isSame(join(directory, current), payload))) return false;

  const name = `..${Buffer.from(random.bytes(8)).toString('hex')}`;
  const fresh = join(directory, name);
  await mkdir(fresh, { mode: 0o755 });
  for (const [path, file] of payload) {
    const target = join(fresh, path);
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await writeFile(target, file.content, { mode: file.mode });
    // The umask may have taken bits away.
    await chmod(target, file.mode);
    if (file.uid !== undefined) await chown(target, file.uid, -1);
  }
  await finish(fresh);
  await rm(join(directory, NEW_DATA_LINK), { force: true });
  await symlink(name, join(directory, NEW_DATA_LINK));
  await rename(join(directory, NEW_DATA_LINK), join(directory, DATA_LINK));

  const wanted = new Set([...payload.keys()].map((path) => path.split('/')[0] ?? path));
  for (const top of wanted) {
    const link = join(directory, top);
    if ((await readlink(link).catch(ignoreMissing)) === undefined) await symlink(join(DATA_LINK, top), link);
  }
  for (const entry of await readdir(directory)) {
    if (!entry.startsWith('..') && !wanted.has(entry)) await rm(join(directory, entry), { force: true });
  }
  if (current !== undefined) await rm(join(directory, current), { recursive: true, force: true });
  return true;
}

async function isSame(dataDir: string, payload: Payload): Promise<boolean> {
  const present = await filesBelow(dataDir, '');
  if (present === undefined || present.length !== payload.size) return false;
  for (const path of present) {
    const wanted = payload.get(path);
    if (wanted === undefined) return false;
    const [content, stat] = await Promise.all([readFile(join(dataDir, path)), lstat(join(dataDir, path))]);
    // Ownership by fsGroup adds group bits; only what the payload asks for must be there.
    if (!content.equals(wanted.content) || (stat.mode & wanted.mode) !== wanted.mode) return false;
  }
  return true;
}

async function filesBelow(root: string, path: string): Promise<string[] | undefined> {
  const entries = await readdir(join(root, path), { withFileTypes: true }).catch(ignoreMissing);
  if (entries === undefined) return undefined;
  const files: string[] = [];
  for (const entry of entries) {
    const inside = path === '' ? entry.name : `${path}/${entry.name}`;
    if (entry.isDirectory()) files.push(...((await filesBelow(root, inside)) ?? []));
    else files.push(inside);
  }
  return files;
}

function ignoreMissing(error: unknown): undefined {
  // EINVAL: there, but no link.
  if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'EINVAL') return undefined;
  throw error;
}
