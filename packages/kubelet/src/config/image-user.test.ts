import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readImageFile, resolveUser } from './image-user.ts';

const accounts = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\napp:x:1001:2001::/:/bin/sh\n',
  group: 'root:x:0:\nstaff:x:50:app\nwheel:x:10:root,app\n',
};

describe('the user of an image', () => {
  it.each([
    ['', { uid: 0, gid: 0, groups: [10] }],
    ['app', { uid: 1001, gid: 2001, groups: [50, 10] }],
    ['1001', { uid: 1001, gid: 2001, groups: [50, 10] }],
    ['app:staff', { uid: 1001, gid: 50, groups: [50, 10] }],
    ['4242', { uid: 4242, gid: 0, groups: [] }],
    ['4242:777', { uid: 4242, gid: 777, groups: [] }],
    ['ghost', undefined],
    ['app:ghosts', undefined],
  ])('%j is resolved', (user, expected) => {
    expect(resolveUser(user, accounts)).toEqual(expected);
  });
});

describe('a file of an image', () => {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dure-image-user-'));
    await mkdir(join(root, 'top/etc'), { recursive: true });
    await mkdir(join(root, 'base/etc'), { recursive: true });
  });
  afterEach(() => rm(root, { recursive: true, force: true }));
  const layers = (): string[] => [join(root, 'top'), join(root, 'base')];

  it('comes from the topmost layer that has it', async () => {
    await writeFile(join(root, 'base/etc/passwd'), 'base');
    expect(await readImageFile(layers(), '/etc/passwd')).toBe('base');
    await writeFile(join(root, 'top/etc/passwd'), 'top');
    expect(await readImageFile(layers(), '/etc/passwd')).toBe('top');
  });

  it('is never read from the host through a link of the image', async () => {
    await writeFile(join(root, 'secret'), 'host secret');
    await symlink(join(root, 'secret'), join(root, 'top/etc/passwd'));
    expect(await readImageFile(layers(), '/etc/passwd')).toBeUndefined();
    await symlink('../../../../../../etc/hostname', join(root, 'top/etc/group'));
    expect(await readImageFile(layers(), '/etc/group')).toBeUndefined();
  });

  it('is found through links that stay inside', async () => {
    await mkdir(join(root, 'base/usr/etc'), { recursive: true });
    await writeFile(join(root, 'base/usr/etc/passwd'), 'moved');
    await symlink('/usr/etc/passwd', join(root, 'top/etc/passwd'));
    expect(await readImageFile(layers(), '/etc/passwd')).toBe('moved');
  });

  it('is given up in a loop of links', async () => {
    await symlink('passwd', join(root, 'top/etc/passwd'));
    expect(await readImageFile(layers(), '/etc/passwd')).toBeUndefined();
  });
});
