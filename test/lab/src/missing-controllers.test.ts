import { eventually } from '@dure/test-support';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LabCluster } from './lab-cluster.ts';
import { labUnavailable } from './lab-network.ts';
import { LabNode, type LabNodeOptions } from './lab-node.ts';
import { container, containerId, podManifest, untilPod } from './lab-pod.ts';

const unavailable = labUnavailable();

/** As Debian's systemd used to mount them: limits in cgroup v1 hierarchies, and a v2 tree without controllers beside them. */
const HYBRID = `
umount /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
for controllers in cpu,cpuacct memory pids; do
  mkdir /sys/fs/cgroup/$controllers
  mount -t cgroup -o $controllers cgroup /sys/fs/cgroup/$controllers
done
mkdir /sys/fs/cgroup/unified
mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
`;

interface Finding {
  readonly level: string;
  readonly subject: string;
  readonly message: string;
  readonly remedy?: string;
}

describe.skipIf(unavailable !== undefined)(
  `a machine that cannot hold Pods to all limits${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let cluster: LabCluster;
    let node: LabNode | undefined;

    beforeEach(async () => {
      cluster = await LabCluster.start();
    });
    afterEach(async () => {
      await node?.[Symbol.asyncDispose]();
      await cluster?.[Symbol.asyncDispose]();
    });

    /** Joins such a machine and runs a Pod with all limits on it. */
    const joined = async (options: Pick<LabNodeOptions, 'append' | 'setUp'>) => {
      const made = await LabNode.boot(cluster, { name: 'vm-1', number: 1, ...options });
      node = made;
      await made.join({ token: await cluster.joinToken() });
      const resources = { limits: { cpu: '500m', memory: '64Mi' } };
      const { metadata, status } = await (async () => {
        await cluster.kubectl.apply(podManifest('limited', [container(cluster.image, ['sleep', '100000'], { name: 'main', resources })]));
        return untilPod(cluster.kubectl, 'limited', 'runs', (pod) => pod.status.phase === 'Running');
      })();
      const condition = (await made.ready()).status.conditions.find(({ type }) => type === 'ResourceLimitsEnforced');
      const event = await eventually('an event says so, too', async () => {
        const selector = 'involvedObject.kind=Node,type=Warning,reason=ControllersMissing';
        const [first] = (
          await cluster.kubectl.json<{ items: { message: string }[] }>(['get', 'events', '-A', '--field-selector', selector])
        ).items;
        return first?.message;
      });
      const findings = JSON.parse((await made.machine.sh('dure doctor --json')).stdout) as readonly Finding[];
      const limits = new Map(findings.filter(({ subject }) => subject.endsWith(' limits')).map((finding) => [finding.subject, finding]));
      return { made, uid: metadata.uid, id: containerId(status, 'main'), condition, event, limits };
    };

    it('because its memory controller is switched off runs Pods, holds the other limits, and says which is missing, why, and the remedy', async () => {
      const { made, uid, id, condition, event, limits } = await joined({ append: 'cgroup_disable=memory' });
      expect(await cluster.kubectl.run(['exec', 'limited', '--', 'echo', 'at work'])).toBe('at work\n');
      expect(await made.cgroupFile(uid, 'cpu.max', id)).toBe('50000 100000');
      expect((await made.machine.run(`ls $(find /sys/fs/cgroup/dure -type d -name ${id})`)).split('\n')).not.toContain('memory.max');

      expect(condition).toMatchObject({ status: 'False', reason: 'ControllersMissing' });
      expect(condition?.message).toContain('memory limits are not enforced: it is switched off on the kernel command line');
      expect(condition?.message).not.toMatch(/cpu limits|pids limits/);
      expect(event).toBe(condition?.message);

      expect(limits.get('cpu limits')?.level).toBe('ok');
      expect(limits.get('pids limits')?.level).toBe('ok');
      expect(limits.get('memory limits')).toMatchObject({ level: 'warning', message: expect.stringContaining('switched off') });
      expect(limits.get('memory limits')?.remedy).toBe('remove "cgroup_disable=memory" from the kernel command line and reboot');
    });

    it('because its controllers belong to cgroup v1 runs Pods, and says so of each', async () => {
      const { condition, limits } = await joined({ setUp: HYBRID });
      expect(await cluster.kubectl.run(['exec', 'limited', '--', 'echo', 'at work'])).toBe('at work\n');
      expect(condition).toMatchObject({ status: 'False', reason: 'ControllersMissing' });
      for (const controller of ['cpu', 'memory', 'pids']) {
        expect(condition?.message).toContain(`${controller} limits are not enforced: it is bound to a cgroup v1 hierarchy`);
        expect(limits.get(`${controller} limits`)).toMatchObject({
          level: 'warning',
          message: `not enforced: the ${controller} controller belongs to cgroup v1`,
          remedy: expect.stringContaining('systemd.unified_cgroup_hierarchy=1'),
        });
      }
      // The Pod is in the tree all the same: it can be found, frozen and killed as a whole.
      await cluster.kubectl.run(['delete', 'pod', 'limited', '--grace-period=1']);
    });
  },
);
