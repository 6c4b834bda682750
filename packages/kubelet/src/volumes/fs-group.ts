import { chmod, lchown, lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Gives everything below `path` to a group: members may read it (and write it, unless `readOnly`), and what is made in directories later
 * belongs to the group too.
 */
export async function setGroupOwnership(
  path: string,
  gid: number,
  { readOnly, onRootMismatch = false }: { readonly readOnly: boolean; readonly onRootMismatch?: boolean },
): Promise<void> {
  if (onRootMismatch) {
    const root = await stat(path);
    if (root.gid === gid && (root.mode & 0o2000) !== 0 && (root.mode & 0o060) === (readOnly ? 0o040 : 0o060)) return;
  }
  await own(path, gid, readOnly);
}

async function own(path: string, gid: number, readOnly: boolean): Promise<void> {
  const found = await lstat(path);
  await lchown(path, found.uid, gid);
  // A link has no mode of its own; its target is either below here too or none of ours.
  if (found.isSymbolicLink()) return;
  const bits = (readOnly ? 0o440 : 0o660) | (found.isDirectory() ? 0o2110 : 0);
  await chmod(path, (found.mode & 0o7777) | bits);
  if (found.isDirectory()) for (const entry of await readdir(path)) await own(join(path, entry), gid, readOnly);
}
