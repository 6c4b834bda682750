import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Pod, type PodSpec, pods, secrets } from '@dure/api';
import { FakeClient } from '@dure/client/testing';
import { silentLogger, systemClock, systemRandom } from '@dure/foundation';
import { builtBinary, type NativeRuntime, openNativeRuntime } from '@dure/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Kubelet } from './kubelet.ts';
import { FakeImages, fakeImage } from './testing/fake-images.ts';
import { wireKubelet } from './testing/kubelet-wiring.ts';
import { systemMounter } from './volumes/mounter.ts';

const BUSYBOX = '/bin/busybox';
const missing =
  process.getuid?.() !== 0
    ? 'not root'
    : !existsSync(BUSYBOX)
      ? 'no busybox'
      : !existsSync(builtBinary)
        ? 'dure-run is not built'
        : undefined;

/** Real containers of a root file system made of one busybox; the API and the images are fakes. */
describe.skipIf(missing !== undefined)(`pods in real containers${missing === undefined ? '' : ` [skipped: ${missing}]`}`, () => {
  const nodeName = `kubelet-test-${process.pid}`;
  let root = '';
  let runtime: NativeRuntime;
  let client: FakeClient;
  let images: FakeImages;
  let kubelet: Kubelet;
  let stop: AbortController;
  let running: Promise<void>;
  const events: string[] = [];

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'dure-kubelet-node-'));
    await chmod(root, 0o755);
    const layer = join(root, 'layer');
    for (const directory of ['bin', 'etc', 'tmp', 'proc', 'dev', 'sys']) await mkdir(join(layer, directory), { recursive: true });
    await copyFile(BUSYBOX, join(layer, 'bin/busybox'));
    // A dynamically linked busybox brings its libraries along.
    const libraries = execFileSync('sh', ['-c', `ldd ${BUSYBOX} 2>/dev/null | grep -o '/[^ ]*' || true`], { encoding: 'utf8' });
    for (const library of libraries.split('\n').filter(Boolean)) {
      await mkdir(join(layer, library, '..'), { recursive: true });
      await copyFile(library, join(layer, library));
    }
    for (const applet of ['sh', 'sleep', 'cat', 'id', 'echo', 'test', 'ls', 'hostname'])
      await symlink('busybox', join(layer, 'bin', applet));
    images = new FakeImages();
    images.present.set('busybox:1', { ...fakeImage('busybox:1', { entrypoint: [], env: ['PATH=/bin'] }), lowerDirs: [layer] });
    client = new FakeClient({ clock: systemClock });
    await open();
  });

  afterAll(async () => {
    if (root === '') return;
    stop.abort();
    await running;
    await runtime.tearDown();
    for (const point of await systemMounter.mountsBelow(root)) await systemMounter.unmount(point);
    await rm(root, { recursive: true, force: true });
  });

  async function open(): Promise<void> {
    runtime = await openNativeRuntime({
      nodeName,
      runDir: join(root, 'run'),
      stateDir: join(root, 'state'),
      network: { attach: async () => ({ ips: ['127.0.0.1'] }), detach: async () => undefined },
      clock: systemClock,
      log: silentLogger,
    });
    stop = new AbortController();
    const record = (pod: Pod, _container: unknown, _type: string, reason: string, message: string): void => {
      events.push(`${pod.metadata.name} ${reason} ${message}`);
    };
    const { signal } = stop;
    ({ kubelet } = wireKubelet({
      client,
      runtime,
      images,
      mounter: systemMounter,
      clock: systemClock,
      random: systemRandom,
      events: { record },
      root,
      services: () => [],
      nodeObject: () => undefined,
      signal,
    }));
    running = kubelet.run(signal);
    await kubelet.whenRecovered;
  }

  async function create(name: string, spec: Partial<PodSpec>): Promise<void> {
    const containers = (spec.containers ?? []).map((container) => ({
      image: 'busybox:1',
      imagePullPolicy: 'Never' as const,
      ...container,
    }));
    const pod = client.put(pods, {
      metadata: { name, namespace: 'default' },
      spec: { nodeName: 'node-a', restartPolicy: 'Never', terminationGracePeriodSeconds: 1, ...spec, containers },
      status: { phase: 'Pending' },
    });
    kubelet.upsert(pod);
  }

  async function until(name: string, what: string, holds: (pod: Pod) => boolean): Promise<Pod> {
    for (let turn = 0; turn < 1000; turn += 1) {
      const pod = client.peek(pods, `default/${name}`);
      if (pod !== undefined && holds(pod)) return pod;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`${name} never ${what}: ${JSON.stringify(client.peek(pods, `default/${name}`)?.status)}\n${events.join('\n')}`);
  }

  function logOf(pod: Pod, container: string): Promise<string> {
    const directory = `default_${pod.metadata.name}_${pod.metadata.uid}`;
    return readFile(join(root, 'logs', directory, container, '0.log'), 'utf8');
  }

  it('runs a program with its user, environment and volumes, and reports how it ended', async () => {
    client.put(secrets, { metadata: { name: 'sec', namespace: 'default' }, data: { key: Buffer.from('hidden').toString('base64') } });
    await create('once', {
      securityContext: { runAsUser: 1234, runAsGroup: 2345, fsGroup: 3456 },
      containers: [
        {
          name: 'c',
          command: [
            'sh',
            '-c',
            'id; echo $GREETING; cat /sec/key; echo; hostname; echo kept > /data/f; cat /data/f; echo bye > /dev/termination-log; exit 7',
          ],
          env: [{ name: 'GREETING', value: 'hello' }],
          volumeMounts: [
            { name: 'sec', mountPath: '/sec' },
            { name: 'data', mountPath: '/data' },
          ],
        },
      ],
      volumes: [
        { name: 'sec', secret: { secretName: 'sec', defaultMode: 0o400 } },
        { name: 'data', emptyDir: {} },
      ],
    });
    const pod = await until('once', 'failed', ({ status }) => status.phase === 'Failed');
    const lines = (await logOf(pod, 'c'))
      .trim()
      .split('\n')
      .map((line) => line.split(' ').slice(3).join(' '));
    expect(lines).toEqual(['uid=1234 gid=2345 groups=2345,3456', 'hello', 'hidden', 'once', 'kept']);
    expect(pod.status.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 7, reason: 'Error', message: 'bye\n' });
  });

  it('goes on with what runs after a restart, and stops it when asked', async () => {
    await create('long', { restartPolicy: 'Always', containers: [{ name: 'c', command: ['sleep', '1000'] }] });
    const before = await until('long', 'ran', ({ status }) => status.phase === 'Running');
    const { containerID } = before.status.containerStatuses?.[0] ?? {};
    stop.abort();
    await running;
    await runtime[Symbol.asyncDispose]();
    await open();
    kubelet.upsert(client.peek(pods, 'default/long') as Pod);
    const status = await runtime.listContainers();
    expect(status.filter(({ state }) => state === 'running').map(({ id }) => `dure://${id}`)).toEqual([containerID]);
    await client.delete(pods, { namespace: 'default', name: 'long' }, { gracePeriodSeconds: 1 });
    kubelet.upsert(client.peek(pods, 'default/long') as Pod);
    for (let turn = 0; turn < 500 && client.peek(pods, 'default/long') !== undefined; turn += 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(client.peek(pods, 'default/long')).toBeUndefined();
    expect((await runtime.listContainers()).filter(({ state }) => state === 'running')).toEqual([]);
  });

  it('restarts a container whose program is killed from outside', async () => {
    await create('killed', { restartPolicy: 'Always', containers: [{ name: 'c', command: ['sleep', '1000'] }] });
    await until('killed', 'ran', ({ status }) => status.phase === 'Running');
    const [run] = (await runtime.listContainers()).filter(({ state }) => state === 'running');
    process.kill(run?.pid ?? -1, 'SIGKILL');
    const pod = await until(
      'killed',
      'restarted',
      ({ status }) => status.containerStatuses?.[0]?.restartCount === 1 && status.containerStatuses[0].state?.running !== undefined,
    );
    expect(pod.status.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({ exitCode: 137 });
  });

  it('says what is wrong with a program that does not exist', async () => {
    await create('absent', { containers: [{ name: 'c', command: ['/no/such/program'] }] });
    const pod = await until('absent', 'failed', ({ status }) => status.phase === 'Failed');
    expect(pod.status.containerStatuses?.[0]?.state).toMatchObject({ terminated: { reason: 'StartError', exitCode: 128 } });
    expect(events.some((event) => event.startsWith('absent Failed Error: ') && event.includes('/no/such/program'))).toBe(true);
  });
});
