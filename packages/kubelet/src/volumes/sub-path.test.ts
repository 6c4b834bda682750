import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSubPath } from './sub-path.ts';

describe('a subPath of a volume', () => {
  let outside = '';
  let volume = '';
  beforeEach(async () => {
    outside = await mkdtemp(join(tmpdir(), 'dure-sub-path-'));
    volume = join(outside, 'volume');
    await mkdir(volume);
    await writeFile(join(outside, 'secret'), 'of the host');
  });
  afterEach(() => rm(outside, { recursive: true, force: true }));

  const read = async (subPath: string): Promise<string> => {
    const handle = await openSubPath(volume, subPath);
    try {
      return await readFile(`/proc/self/fd/${handle.fd}`, 'utf8');
    } finally {
      await handle.close();
    }
  };

  it('is a file or a directory below the volume', async () => {
    await mkdir(join(volume, 'dir'));
    await writeFile(join(volume, 'dir/file'), 'inside');
    expect(await read('dir/file')).toBe('inside');
  });

  it('is made as a directory when absent', async () => {
    await (await openSubPath(volume, 'new/deep')).close();
    expect((await stat(join(volume, 'new/deep'))).isDirectory()).toBe(true);
  });

  it("is made with the volume's mode", async () => {
    await chmod(volume, 0o3777);
    await (await openSubPath(volume, 'new/deep')).close();
    for (const made of ['new', 'new/deep']) expect((await stat(join(volume, made))).mode & 0o7777).toBe(0o3777);
  });

  it('is left absent where it must be there', async () => {
    await expect(openSubPath(volume, 'new/deep', 'refuse')).rejects.toThrow('ENOENT');
    await expect(stat(join(volume, 'new'))).rejects.toThrow('ENOENT');
  });

  it('may go through links that stay inside', async () => {
    await writeFile(join(volume, 'real'), 'inside');
    await symlink('real', join(volume, 'link'));
    expect(await read('link')).toBe('inside');
  });

  it.each(['../secret', '/etc/passwd', 'a/../../secret'])('refuses %s', async (subPath) => {
    await expect(openSubPath(volume, subPath)).rejects.toThrow('must stay inside the volume');
  });

  it('refuses a link that leads out, at its end or on the way', async () => {
    await symlink(join(outside, 'secret'), join(volume, 'end'));
    await expect(openSubPath(volume, 'end')).rejects.toThrow('leads out of the volume');
    await symlink('..', join(volume, 'up'));
    await expect(openSubPath(volume, 'up/secret')).rejects.toThrow('leads out of the volume');
    await expect(openSubPath(volume, 'up/new')).rejects.toThrow('leads out of the volume');
    await expect(stat(join(outside, 'new'))).rejects.toThrow('ENOENT');
  });
});
