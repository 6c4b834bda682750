import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock, systemRandom } from '@dure/foundation';
import { imagesUnavailable, pushImage, registryUnavailable, runCommand, startRegistry, webImage } from '@dure/test-support';
import { describe, expect, test } from 'vitest';
import { openImageStore } from './image-store.ts';

const unavailable = (await imagesUnavailable()) ?? (await registryUnavailable());

describe.skipIf(unavailable !== undefined)(`a real registry${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  test('an image built from Debian packages is pulled and unpacked', async () => {
    await using registry = await startRegistry();
    const web = await webImage('1');
    await pushImage(web, { url: registry.url, repository: 'demo/web', tag: '1' });
    const directory = await mkdtemp(join(tmpdir(), `dure-images-${process.pid}-`));
    try {
      await using store = await openImageStore({ directory, log: silentLogger, clock: systemClock, random: systemRandom });
      const t = performance.now();
      const status = await store.pull(`${registry.host}/demo/web:1`, { onProgress: () => {} });
      console.log(performance.now() - t, status, await store.usage());
      const { stdout } = await runCommand('du', ['-sm', directory]);
      console.log(stdout, await readdir(directory));
      expect(status.config.stopSignal).toBe('SIGQUIT');
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
