import { configMaps, pods } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { NodeFixture } from './testing/node-fixture.ts';

const web = { name: 'web', image: 'app:1', imagePullPolicy: 'IfNotPresent' } as const;

describe('a pod on a node', () => {
  it('is run and reported as running', async () => {
    await using node = await NodeFixture.start();
    await node.create({ containers: [web] });
    await node.until('running', () => node.pod().status?.phase === 'Running');
    expect(node.runtime.log).toEqual(['run sandbox 0', 'create web 0', 'start web']);
    const { status } = node.pod();
    expect(status?.podIP).toBe('10.42.0.1');
    expect(status?.hostIP).toBe('192.0.2.10');
    expect(status?.qosClass).toBe('BestEffort');
    expect(status?.conditions?.map(({ type, status: value }) => `${type}=${value}`).sort()).toEqual([
      'ContainersReady=True',
      'Initialized=True',
      'PodReadyToStartContainers=True',
      'PodScheduled=True',
      'Ready=True',
    ]);
    expect(status?.containerStatuses?.[0]).toMatchObject({
      name: 'web',
      ready: true,
      started: true,
      restartCount: 0,
      containerID: 'dure://container-2',
      imageID: 'app:1@sha256:0123',
      state: { running: {} },
    });
    expect(node.reasons()).toEqual(['Pulled', 'Created', 'Started']);
  });

  it('restarts a crashed container at once the first time, then after a back-off that doubles', async () => {
    await using node = await NodeFixture.start();
    await node.create({ containers: [web] });
    await node.until('first run', () => node.runtime.isRunning('web'));
    node.runtime.exit('web', 1);
    await node.until('second run', () => node.runtime.isRunning('web'));
    node.runtime.exit('web', 1);
    await node.until('waiting', () => node.pod().status?.containerStatuses?.[0]?.state?.waiting !== undefined);
    expect(node.pod().status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: {
        waiting: {
          reason: 'CrashLoopBackOff',
          message: `back-off 10s restarting failed container=web pod=web_default(${node.pod().metadata.uid})`,
        },
      },
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    });
    expect(node.pod().status?.phase).toBe('Running');
    await node.pass(9_000);
    expect(node.runtime.isRunning('web')).toBe(false);
    await node.pass(1_001);
    await node.until('third run', () => node.runtime.isRunning('web'));
    node.runtime.exit('web', 1);
    await node.until('waiting longer', () => node.pod().status?.containerStatuses?.[0]?.state?.waiting?.message?.includes('20s') ?? false);
    expect(node.reasons().filter((reason) => reason === 'BackOff')).toHaveLength(2);
  });

  it('ends Succeeded when its containers are done, and keeps its result', async () => {
    await using node = await NodeFixture.start();
    await node.create({ containers: [web], restartPolicy: 'Never' });
    await node.until('running', () => node.runtime.isRunning('web'));
    node.runtime.exit('web', 0);
    await node.until('done', () => node.pod().status?.phase === 'Succeeded');
    await node.until('sandbox stopped', () => node.runtime.log.includes('stop sandbox 0'));
    expect(node.pod().status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' });
    expect(node.pod().status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({ status: 'False', reason: 'PodCompleted' });
  });

  it('ends Failed when a container fails and the policy is Never', async () => {
    await using node = await NodeFixture.start();
    await node.create({ containers: [web], restartPolicy: 'Never' });
    await node.until('running', () => node.runtime.isRunning('web'));
    node.runtime.exit('web', 3);
    await node.until('done', () => node.pod().status?.phase === 'Failed');
    expect(node.pod().status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 3, reason: 'Error' });
  });

  it('runs init containers one after the other, then sidecars beside the rest', async () => {
    await using node = await NodeFixture.start();
    await node.create({
      initContainers: [
        { ...web, name: 'first' },
        { ...web, name: 'proxy', restartPolicy: 'Always' },
        { ...web, name: 'second' },
      ],
      containers: [web],
    });
    await node.until('first', () => node.runtime.isRunning('first'));
    expect(node.runtime.isRunning('proxy')).toBe(false);
    expect(node.pod().status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe('PodInitializing');
    node.runtime.exit('first', 0);
    await node.until('second', () => node.runtime.isRunning('second'));
    expect(node.runtime.isRunning('proxy')).toBe(true);
    expect(node.runtime.isRunning('web')).toBe(false);
    node.runtime.exit('second', 0);
    await node.until('web', () => node.pod().status?.phase === 'Running');
    expect(node.runtime.log).toEqual([
      'run sandbox 0',
      'create first 0',
      'start first',
      'create proxy 0',
      'start proxy',
      'create second 0',
      'start second',
      'create web 0',
      'start web',
    ]);
  });

  it('starts containers in their order, each after the postStart hook of the one before', async () => {
    await using node = await NodeFixture.start();
    let endHook = (): void => undefined;
    node.runtime.onExec = () => new Promise((resolve) => (endHook = () => resolve({ exitCode: 0, output: '' })));
    const first = { ...web, name: 'first', lifecycle: { postStart: { exec: { command: ['prepare'] } } } };
    await node.create({ containers: [first, { ...web, name: 'second', image: 'missing:1' }, { ...web, name: 'third' }] });
    await node.until('the hook to run', () => node.runtime.log.some((line) => line.startsWith('exec')));
    await node.settle();
    expect(node.images.pulls.map(({ reference }) => reference)).toEqual([]);
    expect(node.runtime.isRunning('third')).toBe(false);
    endHook();
    // One that cannot start does not hold up those behind it.
    await node.until('third', () => node.runtime.isRunning('third'));
    expect(node.runtime.isRunning('second')).toBe(false);
  });

  it('is taken down with grace when deleted, sidecars last, and then removed from the API', async () => {
    await using node = await NodeFixture.start();
    await node.create({ initContainers: [{ ...web, name: 'proxy', restartPolicy: 'Always' }], containers: [web] });
    await node.until('running', () => node.runtime.isRunning('web'));
    await node.client.delete(pods, { namespace: 'default', name: 'web' }, { gracePeriodSeconds: 5 });
    node.runtime.log.length = 0;
    await node.sync();
    await node.until('gone', () => node.client.peek(pods, 'default/web') === undefined);
    await node.until('cleaned', () => node.kubelet.pods.length === 0);
    expect(node.runtime.log.slice(0, 3)).toEqual(['stop web 5000', 'stop proxy 5000', 'stop sandbox 0']);
    expect(node.runtime.containers.size + node.runtime.sandboxes.size).toBe(0);
    const killing = node.events.filter(({ reason }) => reason === 'Killing').map(({ message }) => message);
    expect(killing).toEqual(['Stopping container web', 'Stopping container proxy']);
  });

  it('does not disturb a running pod when it starts again, and removes what the API no longer has', async () => {
    const first = await NodeFixture.start();
    await first.create({ containers: [web] });
    await first.until('running', () => first.runtime.isRunning('web'));
    const { uid } = first.pod().metadata;
    await first.stop();
    first.runtime.log.length = 0;
    await using second = await NodeFixture.start(first);
    await second.settle();
    expect(second.kubelet.pods.map(({ metadata }) => metadata.uid)).toEqual([uid]);
    expect(second.runtime.log).toEqual([]);
    await second.kubelet.synced(new Set());
    await second.until('removed', () => second.runtime.sandboxes.size === 0);
    expect(second.runtime.log.slice(0, 2)).toEqual(['stop web 30000', 'stop sandbox 0']);
  });

  it('waits for a ConfigMap that is missing and starts as soon as it appears', async () => {
    await using node = await NodeFixture.start();
    await node.create({ containers: [{ ...web, envFrom: [{ configMapRef: { name: 'settings' } }] }] });
    await node.until('waiting', () => node.pod().status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError');
    expect(node.pod().status?.containerStatuses?.[0]?.state?.waiting?.message).toBe('configmap "settings" not found');
    node.client.put(configMaps, { metadata: { name: 'settings', namespace: 'default' }, data: { COLOR: 'blue' } });
    await node.until('running', () => node.runtime.isRunning('web'));
    expect(node.runtime.configOf('web').env).toContain('COLOR=blue');
  });

  it('shows a failed pull, backs off, and goes on when the image is there', async () => {
    await using node = await NodeFixture.start();
    await node.create({ containers: [{ ...web, image: 'missing:1' }] });
    await node.until('error', () => node.pod().status?.containerStatuses?.[0]?.state?.waiting?.reason === 'ErrImagePull');
    expect(node.pod().status?.containerStatuses?.[0]?.state?.waiting?.message).toBe('missing:1: not found');
    await node.pass(1_500);
    await node.until('back-off', () => node.pod().status?.containerStatuses?.[0]?.state?.waiting?.reason === 'ImagePullBackOff');
    expect(node.images.pulls).toHaveLength(1);
    const { fakeImage } = await import('./testing/fake-images.ts');
    node.images.registry.set('missing:1', fakeImage('missing:1'));
    await node.pass(10_000);
    await node.until('running', () => node.runtime.isRunning('web'));
    expect(node.images.pulls).toHaveLength(2);
    expect(node.events.map(({ reason, message }) => `${reason}: ${message}`)).toContain(
      'Failed: Failed to pull image "missing:1": missing:1: not found',
    );
  });

  it('obeys a deletion while an image is being pulled', async () => {
    await using node = await NodeFixture.start();
    node.images.beforePulled = (_reference, signal) =>
      new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true }));
    await node.create({ containers: [{ ...web, image: 'slow:1' }] });
    await node.until('pulling', () => node.images.pulls.length === 1);
    await node.client.delete(pods, { namespace: 'default', name: 'web' }, { gracePeriodSeconds: 30 });
    await node.sync();
    await node.until('gone', () => node.client.peek(pods, 'default/web') === undefined);
  });

  it('restarts a container whose liveness probe fails, without back-off', async () => {
    await using node = await NodeFixture.start();
    let healthy = true;
    node.runtime.onExec = () => ({ exitCode: healthy ? 0 : 1, output: 'sick' });
    const livenessProbe = { exec: { command: ['check'] }, periodSeconds: 5, failureThreshold: 2 };
    await node.create({ containers: [{ ...web, livenessProbe }] });
    await node.until('running', () => node.runtime.isRunning('web'));
    healthy = false;
    await node.pass(5_001);
    expect(node.runtime.log.filter((line) => line.startsWith('stop'))).toEqual([]);
    await node.pass(5_001);
    await node.until('restarted', () => node.runtime.configOf('web').metadata.attempt === 1);
    expect(node.runtime.log).toContain('stop web 30000');
    expect(node.events.map(({ message }) => message)).toContain('Liveness probe failed: sick');
    expect(node.events.map(({ message }) => message)).toContain('Container web failed liveness probe, will be restarted');
  });

  it('is ready only while its readiness probe succeeds', async () => {
    await using node = await NodeFixture.start();
    let healthy = false;
    node.runtime.onExec = () => ({ exitCode: healthy ? 0 : 1, output: 'not yet' });
    const readinessProbe = { exec: { command: ['check'] }, periodSeconds: 1, failureThreshold: 1 };
    await node.create({ containers: [{ ...web, readinessProbe }] });
    await node.until('running', () => node.pod().status?.phase === 'Running');
    const ready = () => node.pod().status?.conditions?.find(({ type }) => type === 'Ready');
    expect(ready()).toMatchObject({ status: 'False', reason: 'ContainersNotReady', message: 'containers with unready status: [web]' });
    healthy = true;
    await node.pass(1_001);
    await node.until('ready', () => ready()?.status === 'True');
    healthy = false;
    await node.pass(1_001);
    await node.until('unready', () => ready()?.status === 'False');
  });

  it('goes on telling whether it is ready while it ends, and is no longer restarted', async () => {
    await using node = await NodeFixture.start();
    let healthy = true;
    node.runtime.onExec = () => ({ exitCode: healthy ? 0 : 1, output: 'draining' });
    const probe = { exec: { command: ['check'] }, periodSeconds: 1, failureThreshold: 1 };
    await node.create({ containers: [{ ...web, readinessProbe: probe, livenessProbe: probe }] });
    const ready = () => node.pod().status?.conditions?.find(({ type }) => type === 'Ready')?.status;
    await node.until('ready', () => ready() === 'True');
    let end = (): void => undefined;
    node.runtime.beforeStopped = () => new Promise((resolve) => (end = resolve));
    await node.client.delete(pods, { namespace: 'default', name: 'web' }, { gracePeriodSeconds: 300 });
    await node.sync();
    await node.until('ending', () => node.runtime.log.includes('stop web 300000'));
    healthy = false;
    await node.pass(1_001);
    await node.until('unready', () => ready() === 'False');
    expect(node.runtime.isRunning('web')).toBe(true);
    expect(node.events.map(({ message }) => message)).toContain('Readiness probe failed: draining');
    expect(node.events.map(({ message }) => message)).not.toContain('Liveness probe failed: draining');
    end();
    await node.until('gone', () => node.client.peek(pods, 'default/web') === undefined);
  });

  it('fails when it is active longer than its deadline', async () => {
    await using node = await NodeFixture.start();
    await node.create({ containers: [web], activeDeadlineSeconds: 60 });
    await node.until('running', () => node.pod().status?.phase === 'Running');
    await node.pass(61_000);
    await node.until('failed', () => node.pod().status?.phase === 'Failed');
    expect(node.pod().status?.reason).toBe('DeadlineExceeded');
    expect(node.runtime.isRunning('web')).toBe(false);
  });

  it('makes a new sandbox when the old one has gone, and says so', async () => {
    await using node = await NodeFixture.start();
    await node.create({ containers: [web] });
    await node.until('running', () => node.pod().status?.phase === 'Running');
    const [id] = node.runtime.sandboxes.keys();
    await node.runtime.stopSandbox(id ?? '');
    await node.until('running again', () => node.runtime.isRunning('web'));
    expect(node.runtime.log).toContain('run sandbox 1');
    expect(node.reasons()).toContain('SandboxChanged');
    await node.until('new address', () => node.pod().status?.podIP === '10.42.0.3');
    // A strategic merge would join the lists by address; the directive says that the old one is gone.
    const patches = node.client.writes('patch').map(({ body }) => JSON.stringify(body));
    expect(patches.some((patch) => patch.includes('"podIPs":[{"ip":"10.42.0.3"},{"$patch":"replace"}]'))).toBe(true);
  });

  it('is refused when the node does not have what it asks for', async () => {
    await using node = await NodeFixture.start();
    node.nodeObject = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'node-a', uid: 'n', resourceVersion: '1', creationTimestamp: '' },
      spec: {},
      status: { allocatable: { cpu: '1', memory: '1Gi', pods: '110' } },
    };
    await node.create({ containers: [{ ...web, resources: { requests: { cpu: '2' } } }] });
    await node.until('failed', () => node.pod().status?.phase === 'Failed');
    expect(node.pod().status).toMatchObject({ reason: 'OutOfcpu' });
    expect(node.runtime.sandboxes.size).toBe(0);
  });
});
