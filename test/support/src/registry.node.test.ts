import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { describe, expect, test } from 'vitest';
import { exists } from './cache.ts';
import { pushImage, pushIndex } from './image-push.ts';
import { imagesUnavailable, scratchImage } from './image-recipes.ts';
import { kubectlPath, kubectlUnavailable } from './kubectl.ts';
import { runCommand } from './process.ts';
import { registryUnavailable, startRegistry } from './registry.ts';

const unavailable = (await imagesUnavailable()) ?? (await registryUnavailable());

describe.skipIf(unavailable !== undefined)(`test registry${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  test('takes images, gives them back, and leaves nothing when it ends', async () => {
    const image = await scratchImage();
    const registry = await startRegistry();
    try {
      const digest = await pushImage(image, { url: registry.url, repository: 'a/b', tag: '1' });
      await pushImage(image, { url: registry.url, repository: 'a/b', tag: '2' });
      const { body, headers } = await request(`${registry.url}/v2/a/b/manifests/1`, { headers: { accept: image.manifest.mediaType } });
      expect(headers['docker-content-digest']).toBe(digest);
      expect(await body.text()).toBe(await readFile(image.manifest.path, 'utf8'));
      await pushIndex([image, await scratchImage({ architecture: 'arm64' })], { url: registry.url, repository: 'a/b', tag: 'multi' });
    } finally {
      await registry[Symbol.asyncDispose]();
    }
    expect(await exists(registry.storageDirectory)).toBe(false);
    expect(await exists(`/proc/${registry.process.pid}`)).toBe(false);
    await expect(request(`${registry.url}/v2/`)).rejects.toThrow();
  });

  test('asks for a password when told to', async () => {
    const credentials = { username: 'user', password: 'pa:ss wörd' };
    await using registry = await startRegistry({ credentials });
    const image = await scratchImage();
    const target = { url: registry.url, repository: 'p', tag: '1' };
    await expect(pushImage(image, target)).rejects.toThrow('401');
    await expect(pushImage(image, { ...target, credentials: { username: 'user', password: 'wrong' } })).rejects.toThrow('401');
    await pushImage(image, { ...target, credentials });
  });

  test('speaks TLS with a certificate that can be trusted', async () => {
    await using registry = await startRegistry({ tls: true });
    const { url, caFile } = registry;
    await expect(request(`${url}/v2/`)).rejects.toThrow(/self-signed/);
    const agent = new Agent({ connect: { ca: await readFile(caFile ?? '') } });
    expect((await request(`${url}/v2/`, { dispatcher: agent })).statusCode).toBe(200);
    await agent.close();
    await pushImage(await scratchImage(), { url, repository: 'p', tag: '1', caFile });
  });
});

const noKubectl = await kubectlUnavailable();
describe.skipIf(noKubectl !== undefined)(`kubectl${noKubectl === undefined ? '' : ` [skipped: ${noKubectl}]`}`, () => {
  test('is there and tells its version', async () => {
    const { stdout } = await runCommand(await kubectlPath(), ['version', '--client', '-o', 'json']);
    expect(JSON.parse(stdout)).toHaveProperty('clientVersion.gitVersion');
  });
});
