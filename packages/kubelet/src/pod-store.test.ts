import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pod } from '@dure/api';
import { silentLogger } from '@dure/foundation';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PodStore } from './pod-store.ts';

const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1', creationTimestamp: '' },
  spec: { containers: [{ name: 'c', image: 'app:1' }] },
  status: {},
};

describe('the pods kept on disk', () => {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dure-pod-store-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  async function until(holds: () => Promise<boolean>): Promise<void> {
    for (let turn = 0; turn < 500; turn += 1) {
      if (await holds()) return;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    throw new Error('never came true');
  }

  it('are found by the next process', async () => {
    new PodStore(root, silentLogger).save(pod);
    await until(async () => (await new PodStore(root, silentLogger).load()).length === 1);
    expect((await new PodStore(root, silentLogger).load())[0]).toEqual(pod);
  });

  it('leave nothing behind when the pod goes while it is written', async () => {
    const store = new PodStore(root, silentLogger);
    store.save(pod);
    store.forget('u1');
    await until(async () => (await readdir(root)).length === 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await readdir(root)).toEqual([]);
  });

  it('are passed over when a power cut tore them', async () => {
    await mkdir(join(root, 'u2'));
    await writeFile(join(root, 'u2', 'pod.json'), '{"metadata":');
    expect(await new PodStore(root, silentLogger).load()).toEqual([]);
  });
});
