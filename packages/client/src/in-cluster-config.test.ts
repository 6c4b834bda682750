import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@dure/foundation/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inClusterConfig } from './in-cluster-config.ts';

describe('in-cluster config', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dure-in-cluster-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('reaches the server of the environment with the mounted CA, and a token that is read again', async () => {
    const clock = new FakeClock();
    await Promise.all([
      writeFile(join(directory, 'ca.crt'), 'CA'),
      writeFile(join(directory, 'namespace'), 'web'),
      writeFile(join(directory, 'token'), 'one\n'),
    ]);
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    const access = await inClusterConfig({ env, clock, directory });
    expect(access).toMatchObject({ servers: ['https://[fd00::1]:443'], ca: 'CA', namespace: 'web' });
    const token = access.token as () => Promise<string>;
    expect(await token()).toBe('one');
    await writeFile(join(directory, 'token'), 'two');
    expect(await token()).toBe('one');
    await clock.advance(60_000);
    expect(await token()).toBe('two');
    await rm(join(directory, 'token'));
    await clock.advance(60_000);
    expect(await token()).toBe('two');
  });

  it('says that this is no Pod', async () => {
    const clock = new FakeClock();
    await expect(inClusterConfig({ env: {}, clock, directory })).rejects.toThrow('KUBERNETES_SERVICE_HOST');
    const env = { KUBERNETES_SERVICE_HOST: 'h', KUBERNETES_SERVICE_PORT: '1' };
    await expect(inClusterConfig({ env, clock, directory })).rejects.toThrow('ca.crt');
  });
});
