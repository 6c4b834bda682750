import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LayerRejectedError } from './errors.ts';
import { type LayerLimits, type UnpackedLayer, unpackLayer } from './layer-unpack.ts';
import { openSyscalls } from './syscalls.ts';
import { type RawMember, tarBytes } from './testing/tar-bytes.ts';

const unavailable = process.getuid?.() === 0 ? undefined : 'owners and device nodes need root';
const run = promisify(execFile);
const LIMITS: LayerLimits = { bytesMax: 100 * 1024 * 1024, entriesMax: 10_000 };

async function* pieces(bytes: Buffer, size = 64 * 1024): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe.skipIf(unavailable !== undefined)(`unpackLayer${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  let outside = '';
  let root = '';

  beforeEach(async () => {
    outside = await mkdtemp(join(tmpdir(), `dure-unpack-${process.pid}-`));
    root = join(outside, 'a/b/root');
    await mkdir(root, { recursive: true });
  });
  afterEach(async () => {
    await rm(outside, { recursive: true, force: true });
  });

  const unpack = (members: readonly RawMember[], limits: LayerLimits = LIMITS): Promise<UnpackedLayer> =>
    unpackBytes(tarBytes(members), limits);
  const unpackBytes = (bytes: Buffer, limits: LayerLimits = LIMITS, signal = new AbortController().signal): Promise<UnpackedLayer> =>
    unpackLayer(pieces(bytes), root, { limits, syscalls: openSyscalls(), signal });
  /** Path, kind and permission bits of all that is there. */
  const tree = async (directory = root, prefix = ''): Promise<readonly string[]> => {
    const lines: string[] = [];
    for (const name of (await readdir(directory)).sort()) {
      const stats = await lstat(join(directory, name));
      const kind = stats.isDirectory()
        ? 'd'
        : stats.isSymbolicLink()
          ? 'l'
          : stats.isFIFO()
            ? 'p'
            : stats.isCharacterDevice()
              ? `c${stats.rdev}`
              : 'f';
      lines.push(`${kind} ${(stats.mode & 0o7777).toString(8)} ${stats.uid}:${stats.gid} ${prefix}${name}`);
      if (stats.isDirectory()) lines.push(...(await tree(join(directory, name), `${prefix}${name}/`)));
    }
    return lines;
  };
  const xattr = async (path: string, name: string): Promise<string> => {
    const script = 'import os,sys; sys.stdout.write(os.getxattr(sys.argv[1],sys.argv[2],follow_symlinks=False).hex())';
    return (await run('python3', ['-c', script, join(root, path), name]).catch(() => ({ stdout: 'none' }))).stdout;
  };

  test('makes files, links, directories and fifos with owners, modes and times', async () => {
    const result = await unpack([
      { name: './', type: '5', mode: 0o711 },
      { name: './bin/', type: '5', mode: 0o2775, uid: 3, gid: 4, mtime: 1_000_000 },
      { name: './bin/su', content: 'su', mode: 0o4755, uid: 10, gid: 20, mtime: 1_500_000_000 },
      { name: './bin/su2', type: '1', linkName: './bin/su' },
      { name: './lib', type: '2', linkName: 'usr/lib', uid: 7, gid: 8, mtime: 5, mode: 0o777 },
      { name: './pipe', type: '6', mode: 0o622, uid: 1 },
    ]);
    expect(await tree()).toEqual(['d 2775 3:4 bin', 'f 4755 10:20 bin/su', 'f 4755 10:20 bin/su2', 'l 777 7:8 lib', 'p 622 1:0 pipe']);
    expect((await lstat(root)).mode & 0o7777).toBe(0o711);
    const su = await lstat(join(root, 'bin/su'));
    expect([su.nlink, su.mtimeMs]).toEqual([2, 1_500_000_000_000]);
    expect((await lstat(join(root, 'bin'))).mtimeMs).toBe(1_000_000_000);
    expect((await lstat(join(root, 'lib'))).mtimeMs).toBe(5000);
    expect(result).toMatchObject({ bytes: 2, inodes: 5, impliedDirectories: [] });
  });

  test('names the directories that the archive leaves out', async () => {
    const result = await unpack([
      { name: 'usr/share/x/y', content: 'y' },
      { name: 'usr/', type: '5', mode: 0o700 },
    ]);
    expect(result.impliedDirectories).toEqual(['', 'usr/share', 'usr/share/x']);
    expect(await tree()).toEqual(['d 700 0:0 usr', 'd 755 0:0 usr/share', 'd 755 0:0 usr/share/x', 'f 644 0:0 usr/share/x/y']);
  });

  test('turns whiteouts into what overlayfs knows', async () => {
    await unpack([
      { name: 'etc/', type: '5', mode: 0o755 },
      { name: 'etc/.wh.passwd' },
      { name: 'var/', type: '5', mode: 0o755 },
      { name: 'var/.wh..wh..opq' },
      { name: 'var/new', content: 'n' },
      { name: '.wh..wh.plnk/1.2', content: 'aufs' },
    ]);
    expect((await tree()).filter((line) => !line.includes('plnk'))).toEqual([
      'd 755 0:0 etc',
      'c0 0 0:0 etc/passwd',
      'd 755 0:0 var',
      'f 644 0:0 var/new',
    ]);
    expect(await xattr('var', 'trusted.overlay.opaque')).toBe('79');
  });

  test('a whiteout never removes what its own layer brings, in either order', async () => {
    await unpack([
      { name: 'a/', type: '5', mode: 0o755 },
      { name: 'a/f', content: 'ours' },
      { name: '.wh.a' },
      { name: '.wh.b' },
      { name: 'b/', type: '5', mode: 0o755 },
      { name: 'b/g', content: 'ours' },
      { name: '.wh.c' },
      { name: 'c', content: 'ours' },
      { name: '.wh.d' },
      { name: 'd/e', content: 'ours' },
    ]);
    expect((await tree()).map((line) => line.split(' ').at(-1))).toEqual(['a', 'a/f', 'b', 'b/g', 'c', 'd', 'd/e']);
    for (const directory of ['a', 'b', 'd']) expect(await xattr(directory, 'trusted.overlay.opaque')).toBe('79');
  });

  test('the layers of an image, stacked, show what a registry meant', async () => {
    const directories = ['l1', 'l2', 'up', 'work', 'merged'].map((name) => join(outside, name));
    const [lower, upper, up, work, merged] = directories as [string, string, string, string, string];
    for (const directory of directories) await mkdir(directory);
    root = lower;
    await unpack([
      { name: 'keep', content: '1' },
      { name: 'gone', content: '1' },
      { name: 'dir/old', content: '1' },
      { name: 'dir2/old', content: '1' },
    ]);
    root = upper;
    await unpack([
      { name: '.wh.gone' },
      { name: 'dir/', type: '5', mode: 0o755 },
      { name: 'dir/.wh..wh..opq' },
      { name: 'dir/new', content: '2' },
      { name: 'dir2/new', content: '2' },
    ]);
    await run('mount', ['-t', 'tmpfs', 'tmpfs', work]);
    try {
      await mkdir(join(work, 'u'));
      await mkdir(join(work, 'w'));
      await run('mount', [
        '-t',
        'overlay',
        'overlay',
        '-o',
        `lowerdir=${upper}:${lower},upperdir=${join(work, 'u')},workdir=${join(work, 'w')}`,
        merged,
      ]);
      try {
        expect((await tree(merged)).map((line) => line.split(' ').at(-1))).toEqual([
          'dir',
          'dir/new',
          'dir2',
          'dir2/new',
          'dir2/old',
          'keep',
        ]);
      } finally {
        await run('umount', [merged]);
      }
    } finally {
      await run('umount', [work]);
    }
    expect(up).not.toBe('');
  });

  test('sets file capabilities, byte for byte, and keeps overlayfs out of reach', async () => {
    // Bits 7 and 10 of the permitted set: 0x80 is no UTF-8.
    const capability = Buffer.from('0100000280040000000000000000000000000000', 'hex');
    await unpack([
      {
        name: 'ping',
        content: 'x',
        uid: 1,
        mode: 0o755,
        pax: {
          'SCHILY.xattr.security.capability': capability,
          'SCHILY.xattr.trusted.overlay.redirect': '/../../etc',
          'SCHILY.xattr.trusted.overlay.opaque': 'y',
          'SCHILY.xattr.user.overlay.opaque': 'y',
        },
      },
      { name: 'd/', type: '5', pax: { 'SCHILY.xattr.trusted.overlay.opaque': 'y' } },
    ]);
    expect(await xattr('ping', 'security.capability')).toBe(capability.toString('hex'));
    for (const name of ['trusted.overlay.redirect', 'trusted.overlay.opaque', 'user.overlay.opaque'])
      expect(await xattr('ping', name)).toBe('none');
    expect(await xattr('d', 'trusted.overlay.opaque')).toBe('none');
  });

  test('leaves device nodes out, and hard links to them', async () => {
    await unpack([
      { name: 'dev/sda', type: '4', major: 8 },
      { name: 'dev/null', type: '3', major: 1, minor: 3 },
      { name: 'disk', type: '1', linkName: 'dev/sda' },
    ]);
    expect(await tree()).toEqual(['d 755 0:0 dev']);
  });

  test('writes through symlinks only inside the root', async () => {
    await writeFile(join(outside, 'victim'), 'safe');
    await mkdir(join(outside, 'a/b/etc'));
    await unpack([
      { name: 'up', type: '2', linkName: '../../../../../..' },
      { name: 'abs', type: '2', linkName: outside },
      { name: 'up/etc/cron.d/evil', content: 'evil' },
      { name: 'abs/victim', content: 'evil' },
      { name: 'to-up', type: '2', linkName: 'up/../up' },
      { name: 'to-up/second', content: 'evil' },
      { name: 'here', type: '2', linkName: '.' },
      { name: 'here/here/third', content: 'x' },
    ]);
    expect(await readFile(join(outside, 'victim'), 'utf8')).toBe('safe');
    expect(await readdir(outside)).toEqual(['a', 'victim']);
    expect((await readdir(join(outside, 'a/b'))).sort()).toEqual(['etc', 'root']);
    expect(await readdir(join(outside, 'a/b/etc'))).toEqual([]);
    expect(await readFile(join(root, 'etc/cron.d/evil'), 'utf8')).toBe('evil');
    expect(await readFile(join(root, outside, 'victim'), 'utf8')).toBe('evil');
    expect(existsSync(join(root, 'second')) && existsSync(join(root, 'third'))).toBe(true);
  });

  test('replaces what an earlier member left, never following it', async () => {
    await writeFile(join(outside, 'victim'), 'safe');
    await unpack([
      { name: 'x', type: '2', linkName: join(outside, 'victim') },
      { name: 'x', content: 'file now' },
      { name: 'y/', type: '5' },
      { name: 'y/deep/er', content: '1' },
      { name: 'y', type: '2', linkName: '/tmp' },
      { name: 'z', content: 'first' },
      { name: 'z', content: 'second', mode: 0o600 },
      { name: 'd', content: 'file' },
      { name: 'd/', type: '5', mode: 0o750 },
      { name: 'd/', type: '5', mode: 0o751 },
    ]);
    expect(await readFile(join(outside, 'victim'), 'utf8')).toBe('safe');
    expect(await tree()).toEqual(['d 751 0:0 d', 'f 644 0:0 x', 'l 777 0:0 y', 'f 600 0:0 z']);
    expect([await readFile(join(root, 'x'), 'utf8'), await readFile(join(root, 'z'), 'utf8'), await readlink(join(root, 'y'))]).toEqual([
      'file now',
      'second',
      '/tmp',
    ]);
  });

  test('absolute names stay below the root', async () => {
    await unpack([
      { name: '/tmp/x', content: '1' },
      { name: '//y', content: '2' },
    ]);
    expect((await tree()).map((line) => line.split(' ').at(-1))).toEqual(['tmp', 'tmp/x', 'y']);
  });

  test('keeps names that are no UTF-8', async () => {
    await unpack([{ name: 'x', content: '1', pax: { path: Buffer.from([0x66, 0xff, 0xfe]) } }]);
    expect((await readdir(root, { encoding: 'buffer' })).map((name) => name.toString('hex'))).toEqual(['66fffe']);
  });

  const HOSTILE: readonly (readonly [string, readonly RawMember[]])[] = [
    ['a name that climbs', [{ name: '../../evil', content: 'x' }]],
    ['a name that climbs from inside', [{ name: 'a/../../evil', content: 'x' }]],
    ['a name that ends in ..', [{ name: 'a/..', type: '5' }]],
    ['a name with a NUL byte', [{ name: 'x', pax: { path: Buffer.from('a\0b') } }]],
    ['a hard link out of the root', [{ name: 'l', type: '1', linkName: '../../../../../etc/passwd' }]],
    ['a hard link to a file of the host', [{ name: 'l', type: '1', linkName: '/etc/passwd' }]],
    [
      'a hard link through a symlink to the host',
      [
        { name: 's', type: '2', linkName: '/etc' },
        { name: 'l', type: '1', linkName: 's/passwd' },
      ],
    ],
    [
      'a hard link to a directory',
      [
        { name: 'd/', type: '5' },
        { name: 'l', type: '1', linkName: 'd' },
      ],
    ],
    [
      'a symlink loop in a path',
      [
        { name: 'a', type: '2', linkName: 'b' },
        { name: 'b', type: '2', linkName: 'a' },
        { name: 'a/x', content: 'x' },
      ],
    ],
    ['a symlink without a target', [{ name: 'a', type: '2' }]],
    [
      'a file as a directory',
      [
        { name: 'a', content: 'x' },
        { name: 'a/b', content: 'y' },
      ],
    ],
    ['a whiteout of the parent', [{ name: 'd/.wh...' }]],
    ['a whiteout of nothing', [{ name: 'd/.wh.' }]],
    ['a root that is no directory', [{ name: './', type: '2', linkName: '/etc' }]],
    ['an id that no file system has', [{ name: 'a', pax: { uid: '4294967295' } }]],
    ['a negative id', [{ name: 'a', pax: { uid: '-1' } }]],
    ['a component that is too long', [{ name: 'x', pax: { path: 'n'.repeat(300) } }]],
    ['a path that is too long', [{ name: 'x', pax: { path: 'directory/'.repeat(500) } }]],
    ['a declared size beyond the limit', [{ name: 'a', size: 8 * 1024 ** 3 - 1 }]],
  ];
  test.each(HOSTILE)('rejects %s', async (_, members) => {
    await expect(unpack(members)).rejects.toThrow(LayerRejectedError);
    expect(await readdir(outside)).toEqual(['a']);
    expect(await readdir(join(outside, 'a/b'))).toEqual(['root']);
  });

  test('rejects more members than configured', async () => {
    const members = Array.from({ length: 101 }, (_, at) => ({ name: `f${at}` }));
    await expect(unpack(members, { ...LIMITS, entriesMax: 100 })).rejects.toThrow(/more than 100 members/);
  });

  test('stops a gzip bomb at the configured length', async () => {
    const bomb = gzipSync(tarBytes([{ name: 'zeros', content: Buffer.alloc(64 * 1024 * 1024) }]));
    expect(bomb.length).toBeLessThan(100_000);
    await expect(unpackBytes(bomb, { ...LIMITS, bytesMax: 4 * 1024 * 1024 })).rejects.toThrow(/larger than the configured/);
    expect((await lstat(join(root, 'zeros'))).size).toBeLessThanOrEqual(4 * 1024 * 1024);
  });

  test('ends when its caller stops wanting it', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const endless = async function* (): AsyncGenerator<Buffer, void, undefined> {
      for (let at = 0; ; at += 1) {
        yield tarBytes([{ name: `f${at}`, content: 'x' }]).subarray(0, 1024);
        if (at === 50) controller.abort(reason);
      }
    };
    await expect(unpackLayer(endless(), root, { limits: LIMITS, syscalls: openSyscalls(), signal: controller.signal })).rejects.toBe(
      reason,
    );
  });
});

const tar = await run('tar', ['--version']).catch(() => undefined);
describe.skipIf(unavailable !== undefined || tar === undefined)(
  `unpackLayer beside GNU tar${unavailable === undefined && tar !== undefined ? '' : ` [skipped: ${unavailable ?? 'tar is not installed'}]`}`,
  () => {
    test('gives the same tree for a directory of this machine', async () => {
      const work = await mkdtemp(join(tmpdir(), `dure-unpack-peer-${process.pid}-`));
      try {
        const archive = join(work, 'a.tar');
        const from = ['-C', '/usr', 'bin', 'sbin', '-C', '/usr/share', 'perl5'];
        await run('tar', ['-c', '--format=pax', '--xattrs', '--numeric-owner', '-f', archive, ...from]);
        for (const name of ['ours', 'theirs']) await mkdir(join(work, name));
        await run('tar', ['-x', '--xattrs', '--xattrs-include=*', '--same-owner', '-p', '-f', archive, '-C', join(work, 'theirs')]);
        const bytes = await readFile(archive);
        await unpackLayer(pieces(bytes), join(work, 'ours'), {
          limits: { bytesMax: 2 ** 40, entriesMax: 1e6 },
          syscalls: openSyscalls(),
          signal: new AbortController().signal,
        });
        const list = async (name: string): Promise<string> => {
          const { stdout } = await run('sh', [
            '-c',
            'cd "$1" && find . -mindepth 1 -printf "%P %y %m %U:%G %T@ %s %n %l\\n" | grep -v " d " | sort; find . -mindepth 1 -type d -printf "%P %y %m %U:%G %T@\\n" | sort',
            'sh',
            join(work, name),
          ]);
          return stdout;
        };
        // Our times come through a double and may lose what is below a microsecond.
        const rounded = (text: string): string => text.replace(/(\d+\.\d{5})\d+/g, '$1');
        const ours = rounded(await list('ours'));
        expect(ours.split('\n').length).toBeGreaterThan(500);
        expect(ours).toBe(rounded(await list('theirs')));
        await run('diff', ['-r', '--no-dereference', join(work, 'ours'), join(work, 'theirs')]);
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    });
  },
);
