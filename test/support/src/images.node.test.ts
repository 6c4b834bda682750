import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cacheDirectory } from './cache.ts';
import { type BuiltImage, buildImage, writeDockerArchive, writeLayoutArchive } from './image-builder.ts';
import { busyboxImage, imagesUnavailable, scratchImage, toolsImage, webImage } from './image-recipes.ts';
import { runCommand } from './process.ts';

const unavailable = await imagesUnavailable();

describe.skipIf(unavailable !== undefined)(
  `images built from Debian packages${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let root = '';

    beforeEach(async () => {
      root = await mkdtemp(join(tmpdir(), `dure-image-root-${process.pid}-`));
    });
    afterEach(async () => {
      await rm(root, { recursive: true, force: true });
    });

    const unpack = async (image: BuiltImage): Promise<void> => {
      // Plain tar does for these: they hide nothing of one another.
      for (const layer of image.layers) await runCommand('tar', ['-xzf', layer.path, '-C', root, '--keep-directory-symlink']);
    };
    /** Runs a script of the image's own programs inside it, in namespaces that end with it. */
    const inside = async (script: string): Promise<string> => {
      await mkdir(join(root, 'dev'), { recursive: true });
      await mkdir(join(root, 'proc'), { recursive: true });
      const outer =
        'ip link set lo up; hostname test-host; mount --bind /dev "$1/dev"; mount -t proc proc "$1/proc"; exec chroot "$1" sh -c "$2"';
      const unshare = [
        '--net',
        '--mount',
        '--pid',
        '--uts',
        '--ipc',
        '--fork',
        '--kill-child=KILL',
        'sh',
        '-ec',
        outer,
        'sh',
        root,
        script,
      ];
      return (await runCommand('unshare', unshare, { timeoutMs: 30_000 })).stdout;
    };

    test('web serves its version and its host name, and two versions share all but the top', async () => {
      const [one, two] = [await webImage('1'), await webImage('2')];
      expect(one.layers.slice(0, -1)).toEqual(two.layers.slice(0, -1).map((layer) => ({ ...layer, path: expect.any(String) })));
      expect(one.layers.at(-1)?.digest).not.toBe(two.layers.at(-1)?.digest);
      await unpack(two);
      const answers = await inside(
        'nginx; for u in / /hostname /version /healthz; do curl -sS --retry 20 --retry-connrefused http://127.0.0.1$u; done; curl -sI http://127.0.0.1/ | grep -i x-host',
      );
      expect(answers.split(/\r?\n/)).toEqual(['dure web 2', 'test-host', '2', 'ok', 'X-Hostname: test-host', '']);
    });

    test('tools has what one looks for', async () => {
      await unpack(await toolsImage());
      const programs = [
        'curl',
        'ip',
        'dig',
        'nslookup',
        'tar',
        'bash',
        'ps',
        'nc',
        'ping',
        'sleep',
        'grep',
        'sed',
        'find',
        'hostname',
        'gzip',
      ];
      expect(
        await inside(
          `for p in ${programs.join(' ')}; do command -v $p >/dev/null || echo lacks $p; done; ip -br link | cut -d' ' -f1; dig -v 2>&1 | cut -c1-3; ps aux >/dev/null && id -un`,
        ),
      ).toBe('lo\nDiG\nroot\n');
    });

    test('busybox is a shell with applets and accounts', async () => {
      await unpack(await busyboxImage());
      expect(
        await inside(
          'echo hi | tr a-z A-Z; id -un app; wget 2>&1 | head -1 | cut -c1-7; ls -ld /tmp | cut -c1-10; /usr/bin/env true && echo ok',
        ),
      ).toBe('HI\napp\nBusyBox\ndrwxrwxrwt\nok\n');
    });

    test('scratch is one file, which runs', async () => {
      const image = await scratchImage();
      await unpack(image);
      expect(await readdir(root)).toEqual(['busybox']);
      expect((await runCommand('chroot', [root, '/busybox', 'echo', 'alone'])).stdout).toBe('alone\n');
    });

    test('the same recipe gives the same bytes without its cache', async () => {
      const recipe = {
        layers: [
          {
            packages: ['busybox-static'],
            pick: { '/bin/busybox': '/b' },
            files: { '/etc/x': { kind: 'file', content: `x${process.pid}`, uid: 5 } as const },
          },
        ],
        config: { cmd: ['/b'] },
      };
      const first = await buildImage(recipe);
      const layer = join(cacheDirectory(), 'layers');
      for (const name of await readdir(layer)) {
        const text = await readFile(join(layer, name, 'layer.json'), 'utf8').catch(() => '');
        if (text.includes(first.layers[0]?.digest ?? '?')) await rm(join(layer, name), { recursive: true });
      }
      await rm(first.directory, { recursive: true });
      const second = await buildImage(recipe);
      expect(second.manifest.digest).toBe(first.manifest.digest);
      await rm(second.directory, { recursive: true });
    });

    test('builds for another architecture', async () => {
      const image = await scratchImage({ architecture: 'arm64' });
      expect(JSON.parse(await readFile(image.config.path, 'utf8'))).toMatchObject({ os: 'linux', architecture: 'arm64' });
      await unpack(image);
      // ELF's machine field: 183 is AArch64.
      expect((await readFile(join(root, 'busybox'))).readUInt16LE(18)).toBe(183);
    });

    test('writes archives that other tools can list', async () => {
      const image = await scratchImage();
      for (const [write, member] of [
        [writeLayoutArchive, './index.json'],
        [writeDockerArchive, './manifest.json'],
      ] as const) {
        const path = join(root, 'archive.tar');
        await write(image, 'example.org/scratch:1', path);
        expect((await runCommand('tar', ['-tf', path])).stdout.split('\n')).toContain(member);
        expect((await stat(path)).size).toBeGreaterThan(500_000);
        expect((await readdir(root)).map((name) => basename(name))).toEqual(['archive.tar']);
      }
    });
  },
);
