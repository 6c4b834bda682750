import { eventually } from '@dure/test-support';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LabCluster } from './lab-cluster.ts';
import { labUnavailable } from './lab-network.ts';
import { LabNode } from './lab-node.ts';
import { container, containerId, type PodShape, podManifest, untilPod } from './lab-pod.ts';

const unavailable = labUnavailable();
const POD_PIDS_MAX = 64;
const NODE_PORT = 30_080;
const MIB = 1024 ** 2;

/** The kernel's weight for a request. @see KEP-2254 */
function weightOf(millis: number): string {
  const shares = Math.floor((millis * 1024) / 1000);
  return String(Math.floor(1 + ((shares - 2) * 9999) / 262_142));
}

/** `key value` lines, as in cpu.stat and pids.events. */
function figures(text: string): Readonly<Record<string, number>> {
  return Object.fromEntries(text.split('\n').map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]));
}

describe.skipIf(unavailable !== undefined)(
  `limits of Pods on a machine with a whole cgroup v2 tree${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let cluster: LabCluster;
    let node: LabNode;

    const pod = (name: string): Promise<PodShape> => cluster.kubectl.json<PodShape>(['get', 'pod', name]);
    const apply = (name: string, containers: readonly object[], labels = {}): Promise<string> =>
      cluster.kubectl.apply(podManifest(name, containers, { labels }));
    const neighbourAnswers = async (): Promise<void> => {
      const { statusCode, body } = await request(`http://${node.machine.address}:${NODE_PORT}/`, { headersTimeout: 30_000 });
      expect([statusCode, await body.text()]).toEqual([200, 'fine\n']);
    };

    beforeAll(async () => {
      cluster = await LabCluster.start();
      node = await LabNode.boot(cluster, { name: 'vm-1', number: 1 });
      await node.join({ token: await cluster.joinToken(), agent: ['--pod-max-pids', String(POD_PIDS_MAX)] });
      // Whom the others must not disturb.
      const serve = 'mkdir /www && echo fine > /www/index.html && exec httpd -f -h /www -p 80';
      await apply('neighbour', [container(cluster.image, ['sh', '-c', serve], { name: 'main', ports: [{ containerPort: 80 }] })], {
        app: 'neighbour',
      });
      await cluster.kubectl.apply(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'neighbour' },
          spec: { type: 'NodePort', selector: { app: 'neighbour' }, ports: [{ port: 80, nodePort: NODE_PORT }] },
        }),
      );
      await untilPod(cluster.kubectl, 'neighbour', 'is ready', ({ status }) =>
        status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True'),
      );
      await eventually('the neighbour answers at its node port', () => neighbourAnswers().then(() => true), 60_000);
    });
    afterAll(async () => {
      await node?.[Symbol.asyncDispose]();
      await cluster?.[Symbol.asyncDispose]();
    });

    it('are told to be enforced', async () => {
      const { status } = await node.ready();
      expect(status.conditions.find(({ type }) => type === 'ResourceLimitsEnforced')).toMatchObject({
        status: 'True',
        reason: 'ControllersAvailable',
      });
    });

    it("are the kernel's own figures, of each container and of the Pod", async () => {
      const idle = ['sleep', '100000'];
      await apply('figures', [
        container(cluster.image, idle, {
          name: 'one',
          resources: { requests: { cpu: '250m', memory: '32Mi' }, limits: { cpu: '500m', memory: '64Mi' } },
        }),
        container(cluster.image, idle, { name: 'other', resources: { limits: { cpu: '5m', memory: '16Mi' } } }),
      ]);
      const { metadata, status } = await untilPod(cluster.kubectl, 'figures', 'runs', (shape) => shape.status.phase === 'Running');
      const at = (file: string, id?: string): Promise<string> => node.cgroupFile(metadata.uid, file, id);
      const [one, other] = [containerId(status, 'one'), containerId(status, 'other')];

      expect(await at('cpu.max', one)).toBe('50000 100000');
      expect(await at('cpu.weight', one)).toBe(weightOf(250));
      expect(await at('memory.max', one)).toBe(String(64 * MIB));
      expect(await at('memory.oom.group', one)).toBe('1');
      // 500 us would be refused by the kernel.
      expect(await at('cpu.max', other)).toBe('1000 100000');
      expect(await at('cpu.weight', other)).toBe(weightOf(5));
      expect(await at('memory.max', other)).toBe(String(16 * MIB));

      expect(await at('cpu.max')).toBe('50500 100000');
      expect(await at('cpu.weight')).toBe(weightOf(255));
      expect(await at('memory.max')).toBe(String(80 * MIB));
      expect(await at('pids.max')).toBe(String(POD_PIDS_MAX));

      const seen = await cluster.kubectl.run([
        'exec',
        'figures',
        '-c',
        'one',
        '--',
        'cat',
        '/sys/fs/cgroup/cpu.max',
        '/sys/fs/cgroup/memory.max',
      ]);
      expect(seen).toBe(`50000 100000\n${64 * MIB}\n`);
    });

    it('slow a busy loop down to its share', async () => {
      await apply('busy', [
        container(cluster.image, ['sh', '-c', 'while :; do :; done'], { name: 'main', resources: { limits: { cpu: '200m' } } }),
      ]);
      const { metadata, status } = await untilPod(cluster.kubectl, 'busy', 'runs', (shape) => shape.status.phase === 'Running');
      const used = await eventually(
        'the loop is throttled',
        async () => {
          const stat = figures(await node.cgroupFile(metadata.uid, 'cpu.stat', containerId(status, 'main')));
          return (stat.nr_throttled ?? 0) >= 10 ? stat : undefined;
        },
        60_000,
      );
      // In the kernel's own count of periods of 100 ms, so that a slow machine changes nothing; slices of the scheduler overshoot a little.
      const perPeriodUs = (used.usage_usec ?? 0) / (used.nr_periods ?? 1);
      expect(perPeriodUs).toBeLessThan(30_000);
      expect(perPeriodUs).toBeGreaterThan(5_000);
      await cluster.kubectl.run(['delete', 'pod', 'busy']);
    });

    it('report a container over its memory as OOMKilled and start it again, while the neighbour runs on', async () => {
      await apply('hungry', [
        container(cluster.image, ['tail', '/dev/zero'], { name: 'main', resources: { limits: { memory: '32Mi' } } }),
        container(cluster.image, ['sleep', '100000'], { name: 'modest', resources: { limits: { memory: '16Mi' } } }),
      ]);
      const { status } = await untilPod(cluster.kubectl, 'hungry', 'was started again', (shape) => {
        const main = shape.status.containerStatuses?.find(({ name }) => name === 'main');
        return (main?.restartCount ?? 0) >= 1 && main?.lastState?.terminated !== undefined;
      });
      const main = status.containerStatuses?.find(({ name }) => name === 'main');
      expect(main?.lastState?.terminated).toMatchObject({ reason: 'OOMKilled', exitCode: 137 });
      // In its own Pod and beside it: only who was over the limit was hit.
      expect(status.containerStatuses?.find(({ name }) => name === 'modest')).toMatchObject({ restartCount: 0, state: { running: {} } });
      expect((await pod('neighbour')).status.containerStatuses?.[0]?.restartCount).toBe(0);
      await neighbourAnswers();
      await cluster.kubectl.run(['delete', 'pod', 'hungry']);
    });

    it('keep a fork bomb inside its Pod: the node stays ready, the neighbour answers, and the Pod can be deleted', async () => {
      const bomb = 'bomb() { bomb | bomb & }; bomb; while :; do sleep 1; done';
      await apply('bomb', [container(cluster.image, ['sh', '-c', bomb], { name: 'main' })]);
      const { metadata } = await untilPod(
        cluster.kubectl,
        'bomb',
        'runs',
        (shape) => shape.status.containerStatuses?.[0]?.containerID !== undefined,
      );
      // Kernels before 6.11 count a refusal where the process stands, younger ones where the limit does.
      const refusals = async (): Promise<number> => {
        const texts = await Promise.all([node.cgroupFile(metadata.uid, 'pids.events'), node.cgroupFile(metadata.uid, 'pids.events', '*')]);
        return texts.flatMap((text) => [...text.matchAll(/^max (\d+)$/gm)]).reduce((sum, [, count]) => sum + Number(count), 0);
      };
      await eventually('the kernel refuses processes to the bomb', async () => ((await refusals()) > 0 ? true : undefined), 60_000);
      expect(Number(await node.cgroupFile(metadata.uid, 'pids.current'))).toBeLessThanOrEqual(POD_PIDS_MAX);
      for (let round = 0; round < 5; round += 1) await neighbourAnswers();
      await node.ready();
      expect(await cluster.kubectl.run(['exec', 'neighbour', '--', 'echo', 'at work'])).toBe('at work\n');
      await cluster.kubectl.run(['delete', 'pod', 'bomb', '--grace-period=1']);
      await eventually('nothing is left of the bomb', async () => {
        const { stdout } = await node.machine.sh(`find /sys/fs/cgroup/dure -name 'pod${metadata.uid}'`);
        return stdout === '' ? true : undefined;
      });
      expect((await pod('neighbour')).status.containerStatuses?.[0]?.restartCount).toBe(0);
    });
  },
);
