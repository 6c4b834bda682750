import { chmod, chown, lstat } from 'node:fs/promises';
import { errnoCode } from '@dure/foundation';

/** A directory of a layer, by latin1 path (`''`: the root), and who may do what in it. */
export interface DirectoryAttributes {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What `below` (layer directories, topmost first) say about each of `paths`; root's and 0755 where they know no such directory. */
export async function attributesBelow(paths: readonly string[], below: readonly string[]): Promise<readonly DirectoryAttributes[]> {
  const found: DirectoryAttributes[] = [];
  for (const path of paths) found.push({ path, ...((await lookUp(path, below)) ?? { mode: 0o755, uid: 0, gid: 0 }) });
  return found;
}

/** Gives directories below `root` these attributes. */
export async function applyAttributes(root: string, attributes: readonly DirectoryAttributes[]): Promise<void> {
  for (const { path, mode, uid, gid } of attributes) {
    if (uid !== 0 || gid !== 0) await chown(at(root, path), uid, gid);
    if (mode !== 0o755) await chmod(at(root, path), mode);
  }
}

async function lookUp(path: string, below: readonly string[]): Promise<Omit<DirectoryAttributes, 'path'> | undefined> {
  for (const layer of below) {
    try {
      if (!(await parentsAreDirectories(layer, path))) return undefined;
      const stats = await lstat(at(layer, path));
      // A file or a whiteout there hides whatever lies deeper.
      return stats.isDirectory() ? { mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid } : undefined;
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT') throw error;
    }
  }
  return undefined;
}

/** Otherwise a symlink of an image's would be followed, on the host. */
async function parentsAreDirectories(layer: string, path: string): Promise<boolean> {
  const components = path.split('/').slice(0, -1);
  for (let depth = 1; depth <= components.length; depth += 1) {
    if (!(await lstat(at(layer, components.slice(0, depth).join('/')))).isDirectory()) return false;
  }
  return true;
}

function at(root: string, path: string): Buffer {
  return path === '' ? Buffer.from(root) : Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);
}
