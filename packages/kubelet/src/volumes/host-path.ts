import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import type { HostPathVolumeSource } from '@dure/api';
import { errnoCode } from '@dure/foundation';
import { PayloadError } from './payload.ts';

/** Checks (and for the OrCreate types makes) what a hostPath volume names. @throws {PayloadError} It is not of the type asked for. */
export async function prepareHostPath({ path, type }: HostPathVolumeSource): Promise<void> {
  if (path.split('/').includes('..')) throw new PayloadError(`hostPath ${path} must not contain '..'`);
  if (type === undefined || (type as string) === '') return;
  if (type === 'DirectoryOrCreate' && (await statOf(path)) === undefined) await mkdir(path, { recursive: true, mode: 0o755 });
  if (type === 'FileOrCreate' && (await statOf(path)) === undefined) await (await open(path, 'a', 0o644)).close();
  const found = await statOf(path);
  const fail = (what: string): never => {
    throw new PayloadError(`hostPath type check failed: ${path} is not ${what}`);
  };
  switch (type) {
    case 'Directory':
    case 'DirectoryOrCreate':
      return found?.isDirectory() === true ? undefined : fail('a directory');
    case 'File':
    case 'FileOrCreate':
      return found?.isFile() === true ? undefined : fail('a file');
    case 'Socket':
      return found?.isSocket() === true ? undefined : fail('a socket file');
    case 'CharDevice':
      return found?.isCharacterDevice() === true ? undefined : fail('a character device');
    case 'BlockDevice':
      return found?.isBlockDevice() === true ? undefined : fail('a block device');
    default:
      throw new PayloadError(`${type} is an invalid volume type`);
  }
}

async function statOf(path: string): Promise<Stats | undefined> {
  return stat(path).catch((error: unknown) => {
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ENOTDIR') return undefined;
    throw error;
  });
}
