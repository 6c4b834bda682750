import { eventually, type Kubectl } from '@dure/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clusterUnavailable } from './addresses.ts';
import { list, podObject } from './manifests.ts';
import { OneNode } from './one-node.ts';

const unavailable = clusterUnavailable();

interface ContainerShape {
  readonly name: string;
  readonly restartCount: number;
  readonly ready: boolean;
  readonly started?: boolean;
  readonly state: StateShape;
  readonly lastState: StateShape;
}

interface StateShape {
  readonly running?: object;
  readonly waiting?: { readonly reason: string; readonly message?: string };
  readonly terminated?: {
    readonly exitCode: number;
    readonly reason: string;
    readonly signal?: number;
    readonly startedAt: string;
    readonly finishedAt: string;
  };
}

interface PodShape {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: {
    readonly phase: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason?: string; readonly message?: string }[];
    readonly initContainerStatuses?: readonly ContainerShape[];
    readonly containerStatuses?: readonly ContainerShape[];
  };
}

interface EventShape {
  readonly reason: string;
  readonly message: string;
  readonly type: string;
  readonly count?: number;
}

/** From the first init container to the last signal, in Pods that all start at once. */
describe.skipIf(unavailable !== undefined)(`the life of a Pod${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  let one: OneNode;
  let kubectl: Kubectl;

  beforeAll(async () => {
    one = await OneNode.start();
    kubectl = one.kubectl;
    await kubectl.apply(list(...objects({ busybox: one.image('library/busybox:1.37'), web: one.image('web:1') })));
  });

  afterAll(() => one?.[Symbol.asyncDispose]());

  const podOf = (name: string): Promise<PodShape> => kubectl.json<PodShape>(['get', 'pod', name]);
  const until = (name: string, what: string, check: (pod: PodShape) => boolean): Promise<PodShape> =>
    eventually(`${name}: ${what}`, async () => {
      const pod = await podOf(name);
      return check(pod) ? pod : undefined;
    });
  const mainOf = ({ status }: PodShape): ContainerShape | undefined => status.containerStatuses?.find(({ name }) => name === 'main');
  const eventsOf = async (name: string): Promise<readonly EventShape[]> =>
    (await kubectl.json<{ items: EventShape[] }>(['get', 'events', '--field-selector', `involvedObject.name=${name}`])).items;
  const event = (pod: string, reason: string, message: RegExp | string = /./): Promise<EventShape> =>
    eventually(`event ${reason} of ${pod}`, async () =>
      (await eventsOf(pod)).find(
        (it) => it.reason === reason && (typeof message === 'string' ? it.message === message : message.test(it.message)),
      ),
    );
  const logOf = (...args: string[]): Promise<string> => kubectl.run(['logs', ...args]);

  it('restarts what ended as restartPolicy says, and counts', async () => {
    expect((await until('never', 'Failed', ({ status }) => status.phase === 'Failed')).status.containerStatuses?.[0]?.restartCount).toBe(0);
    expect(mainOf(await until('on-failure', 'Succeeded', ({ status }) => status.phase === 'Succeeded'))).toMatchObject({
      restartCount: 1,
      state: { terminated: { exitCode: 0, reason: 'Completed' } },
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    });
    const again = await until('always', 'restarted though it succeeded', (pod) => (mainOf(pod)?.restartCount ?? 0) >= 1);
    expect(mainOf(again)?.lastState.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' });
    const held = await until('always', 'held back', (pod) => mainOf(pod)?.state.waiting?.reason === 'CrashLoopBackOff');
    expect(mainOf(held)?.state.waiting?.message).toMatch(/^back-off \d+0s restarting failed container=main pod=always_default\(.+\)$/);
    expect(held.status.phase).toBe('Running');
    const backOff = await event('always', 'BackOff');
    expect(backOff).toMatchObject({
      type: 'Warning',
      message: expect.stringMatching(/^Back-off restarting failed container main in pod always_default\(/),
    });
    // Doubled each time, from ten seconds.
    await until('always', 'held back for longer', (pod) => mainOf(pod)?.state.waiting?.message?.startsWith('back-off 20s') === true);
    const started = (await eventsOf('always')).filter(({ reason }) => reason === 'Started');
    expect(started).toHaveLength(1);
    expect(started[0]?.count).toBeGreaterThanOrEqual(3);
  });

  it('runs init containers one by one before the others', async () => {
    await one.ready('prepared');
    expect(await one.inside('prepared', 'cat /shared/log')).toBe('first\nsecond\nmain\n');
    const { status } = await podOf('prepared');
    expect(status.initContainerStatuses?.map(({ name, ready, state }) => [name, ready, state.terminated?.reason])).toEqual([
      ['first', true, 'Completed'],
      ['second', true, 'Completed'],
    ]);
    const times = status.initContainerStatuses?.map(({ state }) => state.terminated);
    expect(Date.parse(times?.[1]?.startedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(times?.[0]?.finishedAt ?? ''));
    expect(status.conditions.find(({ type }) => type === 'Initialized')?.status).toBe('True');
  });

  it('does not start a Pod whose init container fails', async () => {
    const failed = await until('init-never', 'Failed', ({ status }) => status.phase === 'Failed');
    expect(failed.status.initContainerStatuses?.[0]?.state.terminated).toMatchObject({ exitCode: 6, reason: 'Error' });
    expect(failed.status.containerStatuses?.[0]?.state).toMatchObject({ waiting: { reason: 'PodInitializing' } });
    expect(await kubectl.run(['get', 'pod', 'init-never'])).toContain('Init:Error');
    const looping = await until(
      'init-always',
      'held back',
      ({ status }) => status.initContainerStatuses?.[0]?.state.waiting?.reason === 'CrashLoopBackOff',
    );
    expect(looping.status.phase).toBe('Pending');
    expect(looping.status.conditions.find(({ type }) => type === 'Initialized')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotInitialized',
      message: 'containers with incomplete status: [first]',
    });
    expect(await kubectl.run(['get', 'pod', 'init-always'])).toContain('Init:CrashLoopBackOff');
  });

  it('starts sidecars before the others, keeps them running, and ends them last, in reverse', async () => {
    await one.ready('accompanied');
    const { status } = await podOf('accompanied');
    expect(status.initContainerStatuses?.map(({ name, started, ready }) => [name, started, ready])).toEqual([
      ['side-1', true, true],
      ['side-2', true, true],
    ]);
    expect(await kubectl.run(['get', 'pod', 'accompanied'])).toContain('3/3');
    await one.inside('accompanied', 'kill 1', 'side-2').catch(() => undefined);
    await until('accompanied', 'side-2 restarted', (pod) => pod.status.initContainerStatuses?.[1]?.restartCount === 1);
    expect((await podOf('accompanied')).status.containerStatuses?.[0]?.restartCount).toBe(0);
    await using watched = await kubectl.start(['logs', '-f', 'watcher']);
    await kubectl.run(['delete', 'pod', 'accompanied', '--wait=true']);
    await watched.waitForLine(/^side-1 ends$/);
    expect(watched.output.split('\n').filter((line) => line.endsWith(' ends'))).toEqual([
      'side-2 ends',
      'main ends',
      'side-2 ends',
      'side-1 ends',
    ]);
    // Once the others are done, sidecars end with them, and the Pod has succeeded.
    const done = await until('accompanied-once', 'Succeeded', (pod) => pod.status.phase === 'Succeeded');
    expect(done.status.initContainerStatuses?.[0]?.state.terminated).toBeDefined();
  });

  it('restarts on a failing liveness probe of each kind, and says why', async () => {
    for (const [name, said] of [
      ['dies-exec', /^Liveness probe failed: no more\n?$/],
      ['dies-http', /^Liveness probe failed: HTTP probe failed with statuscode: 404$/],
      ['dies-tcp', /^Liveness probe failed: dial tcp 10\.42\.\d+\.\d+:81: connect: connection refused$/],
      ['dies-grpc', /^Liveness probe failed: /],
    ] as const) {
      await until(name, 'restarted', (pod) => (mainOf(pod)?.restartCount ?? 0) >= 1);
      expect(await event(name, 'Unhealthy', said)).toMatchObject({ type: 'Warning' });
      await event(name, 'Killing', 'Container main failed liveness probe, will be restarted');
    }
    expect(mainOf(await podOf('dies-exec'))?.lastState.terminated).toMatchObject({ exitCode: 137, reason: 'Error' });
  });

  it('waits for a startup probe before the others, and for readiness before Ready', async () => {
    await one.ready('slow');
    expect(mainOf(await podOf('slow'))).toMatchObject({ started: true, ready: true, restartCount: 0 });
    await event('slow', 'Unhealthy', /^Startup probe failed: /);
    const unready = await until('never-ready', 'runs', (pod) => mainOf(pod)?.state.running !== undefined && mainOf(pod)?.started === true);
    expect(unready.status.conditions.find(({ type }) => type === 'Ready')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [main]',
    });
    await until('never-starts', 'restarted', (pod) => (mainOf(pod)?.restartCount ?? 0) >= 1);
    await event('never-starts', 'Killing', 'Container main failed startup probe, will be restarted');
    await one.inside('slow', 'rm /tmp/ready');
    await until('slow', 'not ready', (pod) => mainOf(pod)?.ready === false);
    await one.inside('slow', 'touch /tmp/ready');
    await one.ready('slow');
  });

  it('runs hooks after start and before the end', async () => {
    await one.ready('hooked');
    expect(await one.inside('hooked', 'cat /tmp/hook')).toBe('after start\n');
    await kubectl.run(['delete', 'pod', 'hooked', '--wait=true']);
    await eventually('the log of both', async () => {
      const log = await logOf('watcher');
      return log.indexOf('hooked: preStop') > 0 && log.indexOf('hooked: preStop') < log.indexOf('hooked: TERM') ? true : undefined;
    });
    await event('hook-fails', 'FailedPostStartHook', /PostStartHook failed|Exec lifecycle hook/);
    await until('hook-fails', 'restarted', (pod) => (mainOf(pod)?.restartCount ?? 0) >= 1);
  });

  it("ends with the image's signal, or the Pod's, and kills what does not after its grace", async () => {
    await one.ready('signal-image', 'signal-own', 'stubborn');
    await using log = await kubectl.start(['logs', '-f', 'signal-image']);
    await kubectl.run(['delete', 'pod', 'signal-image', '--wait=true']);
    await log.waitForLine(/signal 3 \(SIGQUIT\) received/);
    await using other = await kubectl.start(['logs', '-f', 'signal-own']);
    await kubectl.run(['delete', 'pod', 'signal-own', '--wait=true']);
    expect(await other.waitForLine(/^got/)).toBe('got USR1');
    const begun = performance.now();
    await kubectl.run(['delete', 'pod', 'stubborn', '--wait=true']);
    const tookMs = performance.now() - begun;
    expect(tookMs).toBeGreaterThan(2_900);
    expect(tookMs).toBeLessThan(12_000);
    await event('stubborn', 'Killing', 'Stopping container main');
    await one.ready('stubborn-2');
    const forced = performance.now();
    await kubectl.run(['delete', 'pod', 'stubborn-2', '--grace-period=1', '--wait=true']);
    expect(performance.now() - forced).toBeLessThan(8_000);
  });

  it('ends a Pod that takes longer than it may', async () => {
    const late = await until('deadline', 'Failed', ({ status }) => status.phase === 'Failed');
    expect(late.status).toMatchObject({
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    });
  });

  it('reports a program that cannot be started', async () => {
    const pod = await until('no-program', 'held back', (it) => {
      const main = mainOf(it);
      return (main?.state.waiting?.reason ?? main?.state.terminated?.reason) !== 'ContainerCreating';
    });
    expect(JSON.stringify(mainOf(pod))).toMatch(/RunContainerError|CrashLoopBackOff|StartError/);
    expect((await event('no-program', 'Failed')).message).toMatch(/\/no\/such\/program.*no such file or directory/i);
    expect(await kubectl.run(['get', 'pod', 'no-program'])).toMatch(/RunContainerError|CrashLoopBackOff|StartError/);
  });

  it('tells the usual story in Events', async () => {
    const reasons = (await eventsOf('prepared')).map(({ reason, type }) => `${type} ${reason}`);
    for (const reason of ['Scheduled', 'Created', 'Started']) expect(reasons).toContain(`Normal ${reason}`);
    const messages = (await eventsOf('prepared')).map(({ message }) => message);
    expect(messages).toEqual(
      expect.arrayContaining([
        `Successfully assigned default/prepared to ${one.node}`,
        expect.stringMatching(/^Container created|^Created container: main$/),
        expect.stringMatching(/^Container started|^Started container main$/),
        expect.stringMatching(/^(Successfully pulled image|Container image) "/),
      ]),
    );
  });
});

function objects({ busybox, web }: { readonly busybox: string; readonly web: string }): readonly object[] {
  const sh = (script: string): { readonly command: readonly string[] } => ({ command: ['sh', '-c', script] });
  const shared = { name: 'shared', hostPath: { path: '/run/dure-e2e-lifecycle', type: 'DirectoryOrCreate' } };
  const scratch = { name: 'shared', emptyDir: {} };
  const mounts = { volumeMounts: [{ name: 'shared', mountPath: '/shared' }] };
  const quick = { periodSeconds: 1, failureThreshold: 1 };
  const container = (name: string, script: string, more: object = {}): object => ({ name, image: busybox, ...sh(script), ...more });
  const says = (name: string): string => `trap 'echo ${name} ends >> /shared/log; exit 0' TERM; while true; do sleep 0.1; done`;
  return [
    podObject('never', busybox, { ...sh('exit 1'), spec: { restartPolicy: 'Never' } }),
    podObject('on-failure', busybox, {
      ...sh('if test -e /shared/tried; then exit 0; fi; touch /shared/tried; exit 1'),
      spec: { restartPolicy: 'OnFailure', volumes: [scratch] },
      container: mounts,
    }),
    podObject('always', busybox, sh('exit 0')),
    podObject('prepared', busybox, {
      spec: {
        volumes: [scratch],
        initContainers: [
          container('first', 'sleep 1; echo first > /shared/log', mounts),
          container('second', 'echo second >> /shared/log', mounts),
        ],
      },
      ...sh('echo main >> /shared/log; sleep 3600'),
      container: mounts,
    }),
    podObject('init-never', busybox, {
      spec: { restartPolicy: 'Never', initContainers: [container('first', 'exit 6')] },
      ...sh('sleep 3600'),
    }),
    podObject('init-always', busybox, { spec: { initContainers: [container('first', 'exit 6')] }, ...sh('sleep 3600') }),
    podObject('watcher', busybox, {
      ...sh('touch /shared/log; tail -F /shared/log'),
      spec: { volumes: [shared] },
      container: mounts,
    }),
    podObject('accompanied', busybox, {
      spec: {
        terminationGracePeriodSeconds: 10,
        volumes: [shared],
        initContainers: [
          container('side-1', says('side-1'), { ...mounts, restartPolicy: 'Always' }),
          container('side-2', says('side-2'), { ...mounts, restartPolicy: 'Always' }),
        ],
      },
      ...sh(says('main')),
      container: mounts,
    }),
    podObject('accompanied-once', busybox, {
      spec: { restartPolicy: 'Never', initContainers: [container('side', 'sleep 3600', { restartPolicy: 'Always' })] },
      ...sh('true'),
    }),
    podObject('dies-exec', busybox, {
      ...sh('sleep 3600'),
      container: { livenessProbe: { exec: { command: ['sh', '-c', 'echo no more; exit 1'] }, ...quick } },
    }),
    podObject('dies-http', web, {
      container: { livenessProbe: { httpGet: { path: '/nothing', port: 80 }, initialDelaySeconds: 1, ...quick } },
    }),
    podObject('dies-tcp', web, { container: { livenessProbe: { tcpSocket: { port: 81 }, ...quick } } }),
    podObject('dies-grpc', web, { container: { livenessProbe: { grpc: { port: 80 }, ...quick } } }),
    podObject('slow', busybox, {
      ...sh('touch /tmp/ready; sleep 2; touch /tmp/started; sleep 3600'),
      container: {
        startupProbe: { exec: { command: ['ls', '/tmp/started'] }, periodSeconds: 1, failureThreshold: 30 },
        livenessProbe: { exec: { command: ['ls', '/tmp/started'] }, ...quick },
        readinessProbe: { exec: { command: ['ls', '/tmp/ready'] }, ...quick },
      },
    }),
    podObject('never-ready', busybox, { ...sh('sleep 3600'), container: { readinessProbe: { tcpSocket: { port: 80 }, ...quick } } }),
    podObject('never-starts', busybox, { ...sh('sleep 3600'), container: { startupProbe: { exec: { command: ['false'] }, ...quick } } }),
    podObject('hooked', busybox, {
      ...sh("trap 'echo hooked: TERM >> /shared/log; exit 0' TERM; while true; do sleep 0.1; done"),
      spec: { terminationGracePeriodSeconds: 10, volumes: [shared] },
      container: {
        ...mounts,
        lifecycle: {
          postStart: { exec: { command: ['sh', '-c', 'echo after start > /tmp/hook'] } },
          preStop: { exec: { command: ['sh', '-c', 'sleep 1; echo hooked: preStop >> /shared/log'] } },
        },
      },
    }),
    podObject('hook-fails', busybox, { ...sh('sleep 3600'), container: { lifecycle: { postStart: { exec: { command: ['false'] } } } } }),
    podObject('signal-image', web, { spec: { terminationGracePeriodSeconds: 10 } }),
    podObject('signal-own', busybox, {
      ...sh("trap 'echo got USR1; exit 0' USR1; trap 'echo got TERM; exit 0' TERM; while true; do sleep 0.1; done"),
      spec: { os: { name: 'linux' }, terminationGracePeriodSeconds: 10 },
      container: { lifecycle: { stopSignal: 'SIGUSR1' } },
    }),
    ...['stubborn', 'stubborn-2'].map((name) =>
      podObject(name, busybox, { ...sh("trap '' TERM; while true; do sleep 1; done"), spec: { terminationGracePeriodSeconds: 3 } }),
    ),
    podObject('deadline', busybox, { ...sh('sleep 3600'), spec: { activeDeadlineSeconds: 2 } }),
    podObject('no-program', busybox, { command: ['/no/such/program'] }),
  ];
}
