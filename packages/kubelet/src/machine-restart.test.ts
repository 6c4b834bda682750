import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Pod, pods } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { NodeFixture } from './testing/node-fixture.ts';

const web = { name: 'web', image: 'app:1', imagePullPolicy: 'IfNotPresent' } as const;

/** A node whose kernel and run directory are new; what the API had of the Pod it still has. */
async function restarted(pod: Pod): Promise<NodeFixture> {
  const node = await NodeFixture.start();
  node.client.put(pods, pod);
  await node.sync();
  return node;
}

describe('a pod whose machine was restarted', () => {
  it('runs again, as a further run of its containers', async () => {
    await using before = await NodeFixture.start();
    await before.create({ containers: [web] });
    await before.until('running', () => before.pod().status?.phase === 'Running');
    await using after = await restarted(before.pod());
    await after.until('running again', () => after.pod().status?.containerStatuses?.[0]?.restartCount === 1);
    await after.until('ready', () => after.pod().status?.containerStatuses?.[0]?.ready === true);
    expect(after.runtime.log).toEqual(['run sandbox 0', 'create web 1', 'start web']);
    expect(after.pod().status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { running: {} },
      lastState: {
        terminated: {
          exitCode: 137,
          reason: 'ContainerStatusUnknown',
          containerID: before.pod().status?.containerStatuses?.[0]?.containerID,
        },
      },
    });
  });

  it('counts on from a crash loop, whose last end stays known', async () => {
    await using before = await NodeFixture.start();
    await before.create({ containers: [web] });
    for (const run of [0, 1]) {
      await before.until(`run ${run}`, () => before.runtime.isRunning('web'));
      before.runtime.exit('web', 3);
    }
    await before.until('waiting', () => before.pod().status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff');
    await using after = await restarted(before.pod());
    await after.until('running again', () => after.pod().status?.containerStatuses?.[0]?.state?.running !== undefined);
    expect(after.pod().status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 2,
      lastState: { terminated: { exitCode: 3, reason: 'Error' } },
    });
  });

  it('has failed if it may not run twice', async () => {
    await using before = await NodeFixture.start();
    await before.create({ containers: [web], restartPolicy: 'Never' });
    await before.until('running', () => before.pod().status?.phase === 'Running');
    await using after = await restarted(before.pod());
    await after.until('failed', () => after.pod().status?.phase === 'Failed');
    expect(after.pod().status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
    });
    expect(after.runtime.log.filter((line) => line.startsWith('create'))).toEqual([]);
  });

  it('runs what was not done, and not what was', async () => {
    await using before = await NodeFixture.start();
    await before.create({ containers: [web, { ...web, name: 'once' }], restartPolicy: 'OnFailure' });
    await before.until('running', () => before.runtime.isRunning('once') && before.runtime.isRunning('web'));
    before.runtime.exit('once', 0);
    await before.until('done', () => before.pod().status?.containerStatuses?.[1]?.state?.terminated !== undefined);
    await using after = await restarted(before.pod());
    await after.until('running again', () => after.pod().status?.containerStatuses?.[0]?.restartCount === 1);
    expect(after.runtime.log).toEqual(['run sandbox 0', 'create web 1', 'start web']);
    expect(after.pod().status?.containerStatuses?.[1]).toMatchObject({
      restartCount: 0,
      state: { terminated: { exitCode: 0, reason: 'Completed' } },
    });
  });

  it('is known by its end also while the API server is away', async () => {
    await using before = await NodeFixture.start();
    await before.create({ containers: [web], restartPolicy: 'Never' });
    await before.until('running', () => before.runtime.isRunning('web'));
    before.runtime.exit('web', 0);
    await before.until('done', () => before.pod().status?.phase === 'Succeeded');
    await before.sync();
    const text = await readFile(join(before.root, 'pods', before.pod().metadata.uid, 'pod.json'), 'utf8');
    expect((JSON.parse(text) as Pod).status?.phase).toBe('Succeeded');
    await using after = await NodeFixture.start();
    after.kubelet.upsert(JSON.parse(text) as Pod);
    await after.settle();
    expect(after.runtime.log).toEqual([]);
  });
});
