import { lstat, readFile, readlink } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { errnoCode } from '@dure/foundation';

/** A numeric identity, resolved. */
export interface UserIdentity {
  readonly uid: number;
  readonly gid: number;
  /** Groups that the image's own /etc/group lists the user in. */
  readonly groups: readonly number[];
}

/** Bounds a file that an image's author controls. */
const ACCOUNT_FILE_BYTES_MAX = 1 << 20;
const LINKS_MAX = 16;

/**
 * Looks `path` up in stacked layers as the container would see it: topmost layer first, whiteouts hide, symlinks stay inside the image.
 * @returns The file's text; `undefined` when absent or not a regular file of a sane size.
 */
export async function readImageFile(lowerDirs: readonly string[], path: string): Promise<string | undefined> {
  let pending = normalize(`/${path}`).split('/').filter(Boolean);
  let resolved: string[] = [];
  for (let links = 0; pending.length > 0; ) {
    const [name = '', ...rest] = pending;
    if (name === '..') {
      resolved = resolved.slice(0, -1);
      pending = rest;
      continue;
    }
    const inside = [...resolved, name];
    const found = await findInLayers(lowerDirs, inside);
    if (found === undefined) return undefined;
    if (found.kind === 'link') {
      links += 1;
      if (links > LINKS_MAX) return undefined;
      const target = found.target.split('/').filter((part) => part !== '' && part !== '.');
      if (found.target.startsWith('/')) resolved = [];
      pending = [...target, ...rest];
      continue;
    }
    if (rest.length === 0) return found.kind === 'file' && found.size <= ACCOUNT_FILE_BYTES_MAX ? readFile(found.path, 'utf8') : undefined;
    if (found.kind !== 'directory') return undefined;
    resolved = inside;
    pending = rest;
  }
  return undefined;
}

type Found =
  | { readonly kind: 'file'; readonly path: string; readonly size: number }
  | { readonly kind: 'directory' }
  | { readonly kind: 'link'; readonly target: string };

async function findInLayers(lowerDirs: readonly string[], parts: readonly string[]): Promise<Found | undefined> {
  for (const layer of lowerDirs) {
    const path = join(layer, ...parts);
    try {
      const stat = await lstat(path);
      if (stat.isSymbolicLink()) return { kind: 'link', target: await readlink(path) };
      if (stat.isDirectory()) return { kind: 'directory' };
      // Overlay's whiteout: a character device 0/0 says that lower layers' file is gone.
      return stat.isFile() ? { kind: 'file', path, size: stat.size } : undefined;
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT' && errnoCode(error) !== 'ENOTDIR') throw error;
    }
  }
  return undefined;
}

export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

/**
 * Resolves `user`, `uid`, `user:group` or `uid:gid` against the image's account files. An unknown number stands for itself.
 * @returns `undefined` when a name is not known.
 */
export function resolveUser(user: string, files: AccountFiles): UserIdentity | undefined {
  const [userPart = '', groupPart] = user.split(':');
  const accounts = rows(files.passwd).map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
  const groups = rows(files.group).map(([name = '', , gid, members = '']) => ({ name, gid: Number(gid), members: members.split(',') }));
  const numeric = /^\d+$/.test(userPart) ? Number(userPart) : undefined;
  const account =
    userPart === '' ? accounts.find(({ uid }) => uid === 0) : accounts.find(({ name, uid }) => name === userPart || uid === numeric);
  const uid = account?.uid ?? numeric ?? (userPart === '' ? 0 : undefined);
  if (uid === undefined) return undefined;

  let gid = account?.gid ?? 0;
  if (groupPart !== undefined && groupPart !== '') {
    const byName = groups.find(({ name }) => name === groupPart)?.gid;
    const resolved = byName ?? (/^\d+$/.test(groupPart) ? Number(groupPart) : undefined);
    if (resolved === undefined) return undefined;
    gid = resolved;
  }
  const memberOf = account === undefined ? [] : groups.filter(({ members }) => members.includes(account.name)).map((group) => group.gid);
  return { uid, gid, groups: memberOf };
}

function rows(text: string): readonly string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}
