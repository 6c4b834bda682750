import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { configMaps, type Volume } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { NodeFixture } from '../testing/node-fixture.ts';

const web = { name: 'web', image: 'app:1', imagePullPolicy: 'IfNotPresent' } as const;

async function podWith(node: NodeFixture, volume: Volume, subPath?: string) {
  const mount = { name: volume.name, mountPath: '/data', ...(subPath === undefined ? {} : { subPath }) };
  return node.create({ containers: [{ ...web, volumeMounts: [mount] }], volumes: [volume] });
}

function mountOf(node: NodeFixture, target = '/data') {
  const mount = node.runtime.configOf('web').mounts.find((one) => one.target === target);
  if (mount === undefined) throw new Error(`nothing mounted at ${target}`);
  return mount;
}

describe('volumes', () => {
  it('follow their ConfigMap while the pod runs', async () => {
    await using node = await NodeFixture.start();
    node.client.put(configMaps, { metadata: { name: 'settings', namespace: 'default' }, data: { color: 'blue' } });
    await podWith(node, { name: 'v', configMap: { name: 'settings' } });
    await node.until('running', () => node.runtime.isRunning('web'));
    const { source, readOnly } = mountOf(node);
    expect(readOnly).toBe(true);
    expect(await readFile(join(source, 'color'), 'utf8')).toBe('blue');
    node.client.put(configMaps, { metadata: { name: 'settings', namespace: 'default' }, data: { color: 'red', size: 'big' } });
    for (let turn = 0; turn < 200 && !(await readdir(source)).includes('size'); turn += 1) await node.settle();
    expect(await readFile(join(source, 'color'), 'utf8')).toBe('red');
    expect(await readFile(join(source, 'size'), 'utf8')).toBe('big');
  });

  it('hold the pod back while their source is missing, and say which', async () => {
    await using node = await NodeFixture.start();
    await podWith(node, { name: 'v', configMap: { name: 'settings' } });
    await node.until('told', () => node.reasons().includes('FailedMount'));
    expect(node.events.find(({ reason }) => reason === 'FailedMount')?.message).toBe(
      'MountVolume.SetUp failed for volume "v" : configmap "settings" not found',
    );
    expect(node.runtime.containers.size).toBe(0);
    node.client.put(configMaps, { metadata: { name: 'settings', namespace: 'default' }, data: {} });
    await node.until('running', () => node.runtime.isRunning('web'));
  });

  it('may be absent where they are optional', async () => {
    await using node = await NodeFixture.start();
    await podWith(node, { name: 'v', configMap: { name: 'settings', optional: true } });
    await node.until('running', () => node.runtime.isRunning('web'));
  });

  it('of kinds that this node does not know are named in the event', async () => {
    await using node = await NodeFixture.start();
    await podWith(node, { name: 'v', nfs: { server: 'a', path: '/' } });
    await node.until('told', () => node.reasons().includes('FailedMount'));
    expect(node.events.find(({ reason }) => reason === 'FailedMount')?.message).toContain('does not support volumes of type nfs');
  });

  it('in memory are a tmpfs of the size asked for', async () => {
    await using node = await NodeFixture.start();
    await podWith(node, { name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '16Mi' } });
    await node.until('running', () => node.runtime.isRunning('web'));
    const { source } = mountOf(node);
    expect(node.mounter.mounted.get(source)).toBe('tmpfs 16777216');
    expect((await stat(source)).mode & 0o7777).toBe(0o1777);
  });

  it('mount a subPath through a bind of what was checked', async () => {
    await using node = await NodeFixture.start();
    await podWith(node, { name: 'v', emptyDir: {} }, 'inner');
    await node.until('running', () => node.runtime.isRunning('web'));
    expect(node.mounter.mounted.get(mountOf(node).source)).toBe('bind');
  });

  it('leave nothing behind', async () => {
    await using node = await NodeFixture.start();
    const pod = await podWith(node, { name: 'v', emptyDir: { medium: 'Memory' } });
    await node.until('running', () => node.runtime.isRunning('web'));
    node.kubelet.remove(pod.metadata.uid);
    await node.until('gone', () => node.kubelet.pods.length === 0);
    expect([...node.mounter.mounted.keys()].filter((point) => point.includes(pod.metadata.uid))).toEqual([]);
    expect(await readdir(join(node.root, 'pods'))).toEqual([]);
  });
});
