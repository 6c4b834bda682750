import { constants } from 'node:fs';
import { chmod, type FileHandle, mkdir, open, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { errnoCode } from '@dure/foundation';
import { PayloadError } from './payload.ts';

/** Linux's O_PATH, which Node has no name for: names a file without opening it. */
const O_PATH = 0o10000000;

/**
 * An open descriptor of `subPath` inside the volume at `root`, made as a directory with the volume's own mode when absent, unless it must be there. Symlinks are followed only as far as they
 * stay inside; the last walk follows none, so that a container which swaps a component meanwhile gains nothing.
 * @returns The caller closes it. @throws {PayloadError} It leads outside.
 */
export async function openSubPath(root: string, subPath: string, missing: 'make' | 'refuse' = 'make'): Promise<FileHandle> {
  if (subPath.startsWith('/') || subPath.split('/').includes('..'))
    throw new PayloadError(`subPath "${subPath}" must stay inside the volume`);
  const base = await realpath(root);
  const wanted = await resolveInside(base, subPath, missing);
  let handle = await open(base, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    for (const part of wanted.split('/').filter(Boolean)) {
      const next = await open(`/proc/self/fd/${handle.fd}/${part}`, O_PATH | constants.O_NOFOLLOW);
      await handle.close();
      handle = next;
    }
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The real path below `base`, missing directories made where that is wanted. @throws {PayloadError} It leads outside. */
async function resolveInside(base: string, subPath: string, missing: 'make' | 'refuse'): Promise<string> {
  const path = join(base, subPath);
  const resolved = await realpath(path).catch(async (error: unknown) => {
    if (errnoCode(error) !== 'ENOENT' || missing === 'refuse') throw error;
    const parent = await nearestExisting(path);
    assertInside(base, parent, subPath);
    await makeDirectories(path, (await stat(base)).mode & 0o7777);
    return realpath(path);
  });
  assertInside(base, resolved, subPath);
  return relative(base, resolved);
}

/** Whoever may write to the volume may write below it too, whatever this process's umask says. */
async function makeDirectories(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let at = path; at.startsWith(first); at = dirname(at)) await chmod(at, mode);
}

async function nearestExisting(path: string): Promise<string> {
  for (let at = dirname(path); ; at = dirname(at)) {
    try {
      return await realpath(at);
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT' || at === '/') throw error;
    }
  }
}

function assertInside(base: string, path: string, subPath: string): void {
  if (path !== base && !path.startsWith(`${base}/`)) throw new PayloadError(`subPath "${subPath}" leads out of the volume`);
}
