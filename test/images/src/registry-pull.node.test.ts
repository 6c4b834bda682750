import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, silentLogger, systemClock, systemRandom } from '@dure/foundation';
import { ImageNotFoundError, type ImageService, type ImageStoreOptions, openImageStore, RegistryUnauthorizedError } from '@dure/images';
import {
  type BuiltImage,
  imagesUnavailable,
  pushImage,
  pushIndex,
  RunningProcess,
  registryUnavailable,
  runCommand,
  scratchImage,
  startRegistry,
  webImage,
  writeDockerArchive,
  writeLayoutArchive,
} from '@dure/test-support';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const unavailable = (await imagesUnavailable()) ?? (await registryUnavailable());

describe.skipIf(unavailable !== undefined)(`a real registry${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  let directory = '';

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), `dure-images-${process.pid}-`));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  const open = (options: Partial<ImageStoreOptions> = {}): Promise<ImageService> =>
    openImageStore({ directory: join(directory, 'store'), log: silentLogger, clock: systemClock, random: systemRandom, ...options });
  const reasonOf = (pull: Promise<unknown>): Promise<string> => pull.then(() => 'it succeeded', messageOf);
  /** The image's files as GNU tar unpacks them, for comparison. */
  const listing = async (path: string): Promise<string> => {
    const script =
      'cd "$1" && find . -mindepth 1 \\( -type d -printf "%P %y %m %U:%G\\n" -o -printf "%P %y %m %U:%G %Ts %s %l\\n" \\) | LC_ALL=C sort';
    return (await runCommand('sh', ['-c', script, 'sh', path])).stdout;
  };
  const expectUnpacked = async (lowerDirs: readonly string[], image: BuiltImage): Promise<void> => {
    expect(lowerDirs).toHaveLength(image.layers.length);
    for (const [at, layer] of image.layers.entries()) {
      const peer = join(directory, `peer-${at}`);
      await mkdir(peer);
      await runCommand('tar', ['-xzf', layer.path, '-C', peer, '--same-owner', '-p']);
      const ours = lowerDirs[image.layers.length - 1 - at] ?? '';
      expect(await listing(ours)).toBe(await listing(peer));
      await runCommand('diff', ['-r', '--no-dereference', ours, peer]);
      await rm(peer, { recursive: true });
    }
  };

  test('an image of Debian packages comes as it was built, and its second version only by its top', async () => {
    await using registry = await startRegistry();
    const [one, two] = [await webImage('1'), await webImage('2')];
    for (const [image, tag] of [
      [one, '1'],
      [two, '2'],
    ] as const)
      await pushImage(image, { url: registry.url, repository: 'demo/web', tag });
    await using store = await open();
    const first = await store.pull(`${registry.host}/demo/web:1`);
    expect(first).toMatchObject({ id: one.config.digest, config: { stopSignal: 'SIGQUIT', exposedPorts: ['80/tcp'] } });
    expect(first.sizeBytes).toBe(one.layers.reduce((sum, { size }) => sum + size, one.config.size));
    await expectUnpacked(first.lowerDirs, one);
    const before = await store.usage();
    const second = await store.pull(`${registry.host}/demo/web:2`);
    expect(second.lowerDirs.slice(1)).toEqual(first.lowerDirs.slice(1));
    expect((await store.usage()).bytes - before.bytes).toBeLessThan(20_000);
    await expect(store.pull(`${registry.host}/demo/web:3`)).rejects.toThrow(ImageNotFoundError);
    await expect(store.pull(`${registry.host}/demo/none:1`)).rejects.toThrow(ImageNotFoundError);
  });

  test('the stacked layers run', async () => {
    await using registry = await startRegistry();
    await pushImage(await webImage('1'), { url: registry.url, repository: 'demo/web', tag: '1' });
    await using store = await open();
    const { lowerDirs } = await store.pull(`${registry.host}/demo/web:1`);
    const script =
      'mount -t tmpfs t "$2"; mkdir "$2/u" "$2/w" "$2/m"; mount -t overlay o -o "lowerdir=$1,upperdir=$2/u,workdir=$2/w" "$2/m"; exec chroot "$2/m" nginx -t';
    const scratch = join(directory, 'scratch');
    await mkdir(scratch);
    const result = await runCommand('unshare', [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-ec',
      script,
      'sh',
      lowerDirs.join(':'),
      scratch,
    ]);
    expect(result.stderr).toContain('test is successful');
  });

  test('an index gives each architecture its own image', async () => {
    await using registry = await startRegistry();
    const images = [await scratchImage({ architecture: 'amd64' }), await scratchImage({ architecture: 'arm64' })] as const;
    const digest = await pushIndex(images, { url: registry.url, repository: 'multi', tag: '1' });
    for (const [at, architecture] of ['amd64', 'arm64'].entries()) {
      await using store = await open({ platform: { os: 'linux', architecture }, directory: join(directory, architecture) });
      const status = await store.pull(`${registry.host}/multi:1`);
      expect(status).toMatchObject({ id: images[at]?.config.digest, architecture, digests: [`${registry.host}/multi@${digest}`] });
    }
  });

  test('a password is asked for, and given', async () => {
    const credentials = { username: 'user', password: 'pa:ss wörd' };
    await using registry = await startRegistry({ credentials });
    await pushImage(await scratchImage(), { url: registry.url, repository: 'p', tag: '1', credentials });
    await using store = await open();
    const reference = `${registry.host}/p:1`;
    await expect(store.pull(reference)).rejects.toThrow(RegistryUnauthorizedError);
    await expect(store.pull(reference, { credentials: [{ username: 'user', password: 'wrong' }] })).rejects.toThrow(
      RegistryUnauthorizedError,
    );
    expect((await store.pull(reference, { credentials: [{ username: 'other', password: 'x' }, credentials] })).tags).toEqual([reference]);
  });

  test('TLS needs a certificate that is trusted, and says what to do without', async () => {
    await using registry = await startRegistry({ tls: true });
    const { url, host, caFile = '' } = registry;
    await pushImage(await scratchImage(), { url, repository: 'p', tag: '1', caFile });
    await using trusting = await open({ registries: { [host]: { caFile } } });
    expect((await trusting.pull(`${host}/p:1`)).tags).toEqual([`${host}/p:1`]);
    await using careless = await open({ registries: { [host]: { insecureTls: true } }, directory: join(directory, 'careless') });
    await careless.pull(`${host}/p:1`);
    await using strict = await open({ registries: { [host]: { plainHttp: false } }, directory: join(directory, 'strict') });
    expect(await reasonOf(strict.pull(`${host}/p:1`))).toMatch(/certificate is not trusted.*CA file/);
    await using lost = await open({ registries: { [host]: { caFile: '/nonexistent.pem' } }, directory: join(directory, 'lost') });
    expect(await reasonOf(lost.pull(`${host}/p:1`))).toContain('CA file /nonexistent.pem');
  });

  test('archives give the same image as a registry', async () => {
    const image = await webImage('1');
    const path = join(directory, 'web.tar');
    for (const [write, compress] of [
      [writeLayoutArchive, false],
      [writeDockerArchive, false],
      [writeDockerArchive, true],
    ] as const) {
      await write(image, 'example.org/web:1', path);
      if (compress) await runCommand('sh', ['-c', 'gzip -1 -c "$1" > "$1.gz"; mv "$1.gz" "$1"', 'sh', path]);
      await using store = await open();
      const names = await store.importArchive(path);
      expect(names[0]).toBe('example.org/web:1');
      const status = await store.status('example.org/web:1');
      expect(status?.id).toBe(image.config.digest);
      await expectUnpacked(status?.lowerDirs ?? [], image);
      expect(await readdir(join(directory, 'store/staging'))).toEqual([]);
      await store.remove('example.org/web:1');
      expect(await store.list()).toEqual([]);
      expect(await readdir(join(directory, 'store/layers'))).toEqual([]);
    }
  });

  test('a process killed in the middle leaves only what the next one can use', async () => {
    await using registry = await startRegistry();
    const image = await webImage('1');
    await pushImage(image, { url: registry.url, repository: 'demo/web', tag: '1' });
    const store = join(directory, 'store');
    const pull = join(directory, 'pull.mjs');
    await writeFile(
      pull,
      `import { openImageStore } from ${JSON.stringify(import.meta.resolve('@dure/images'))};
       import { messageOf, silentLogger, systemClock, systemRandom } from ${JSON.stringify(import.meta.resolve('@dure/foundation'))};
       const store = await openImageStore({ directory: ${JSON.stringify(store)}, log: silentLogger, clock: systemClock, random: systemRandom });
       process.stdout.write('ready\\n');
       await store.pull(${JSON.stringify(`${registry.host}/demo/web:1`)});
       process.stdout.write('pulled\\n');`,
    );
    for (const delayMs of [40, 120, 250, 400, 600]) {
      const child = await RunningProcess.start(process.execPath, ['--import', 'tsx', pull], {
        cwd: new URL('..', import.meta.url).pathname,
      });
      await child.waitForLine(/ready/);
      await sleep(delayMs);
      child.kill('SIGKILL');
      await child.exited;
      await using survivor = await open();
      expect(await readdir(join(store, 'staging'))).toEqual([]);
      // Whole or absent: what is listed is complete.
      for (const status of await survivor.list()) await expectUnpacked(status.lowerDirs, image);
      for (const name of await readdir(join(store, 'layers'))) {
        const { bytes } = JSON.parse(await readFile(join(store, 'layers', name, 'layer.json'), 'utf8')) as { bytes: number };
        const { stdout } = await runCommand('find', [join(store, 'layers', name, 'fs'), '-type', 'f', '-printf', '%i %s\\n']);
        const sizes = new Map(
          stdout
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => line.split(' ') as [string, string]),
        );
        expect([...sizes.values()].reduce((sum, size) => sum + Number(size), 0)).toBe(bytes);
      }
    }
    await using store2 = await open();
    await expectUnpacked((await store2.pull(`${registry.host}/demo/web:1`)).lowerDirs, image);
  });
});
