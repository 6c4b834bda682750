import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@dure/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emptyDisk } from './disk-image.ts';
import { LabCluster } from './lab-cluster.ts';
import { gatewayAddress, labUnavailable } from './lab-network.ts';
import { LabNode, PACKED } from './lab-node.ts';
import { container, containerId, type PodShape, podManifest, untilPod } from './lab-pod.ts';

const unavailable = labUnavailable();
const NAME = 'vm-1';
const STATE_MIB = 1024;

interface CertificateRequestShape {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly username: string; readonly signerName: string };
  readonly status: { readonly conditions?: readonly { readonly type: string }[]; readonly certificate?: string };
}

/** One machine from its first boot on: each test leaves what the next goes on from. */
describe.skipIf(unavailable !== undefined)(
  `joining from another machine${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let cluster: LabCluster;
    let node: LabNode;
    let stateDisk: string;
    let token: string;

    const requests = async (): Promise<readonly CertificateRequestShape[]> =>
      (await cluster.kubectl.json<{ items: CertificateRequestShape[] }>(['get', 'csr'])).items;
    const isReady = ({ status }: PodShape): boolean | undefined =>
      status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True');
    const runsSince = (former: PodShape, pod: PodShape): boolean =>
      pod.status.containerStatuses?.[0]?.state?.running !== undefined &&
      containerId(pod.status, 'main') !== containerId(former.status, 'main') &&
      isReady(pod) === true;
    /** The agent run in the foreground with a token, until it gives up. */
    const joinWith = async (wrong: string): Promise<{ readonly code: number; readonly said: string }> => {
      const agent = `timeout 120 node ${PACKED}/apps/node-agent/dist/main.cjs`;
      const { code, stdout, stderr } = await node.machine.sh(
        `${agent} --node-name stranger --data-dir /var/lib/stranger --server ${cluster.server} --token ${wrong}`,
      );
      return { code, said: stdout + stderr };
    };

    beforeAll(async () => {
      cluster = await LabCluster.start();
      stateDisk = join(cluster.directory, 'state.img');
      await emptyDisk(stateDisk, STATE_MIB);
      node = await LabNode.boot(cluster, { name: NAME, number: 1, stateDisk });
      token = await cluster.joinToken();
    });
    afterAll(async () => {
      await node?.[Symbol.asyncDispose]();
      await cluster?.[Symbol.asyncDispose]();
    });

    it('changes nothing in a dry run, and says what it would do', async () => {
      const listing = 'find / /var/lib /run -xdev -mindepth 2 ! -path "/run/lab*" -exec ls -ldn --time-style=full-iso {} + | sort';
      const before = await node.machine.run(listing);
      const { code, stdout } = await node.tryInstall('--server', cluster.server, '--token', token, '--dry-run');
      expect(code).toBe(0);
      for (const change of ['/opt/dure', '/etc/dure/agent.env', '/usr/local/bin/dure']) expect(stdout).toContain(change);
      expect(stdout).not.toContain(token);
      expect(await node.machine.run(listing)).toBe(before);
    });

    it.each([
      ['no server', '--token x', '--server https://HOST:6443'],
      ['no token on a machine that never joined', '--server https://10.77.0.1:6443', 'dure token create'],
      ['an option it does not know', '--server https://10.77.0.1:6443 --tokne x', 'unknown option --tokne'],
    ])('refuses %s, with what is missing', async (_, args, hint) => {
      const { code, stderr } = await node.tryInstall(args);
      expect(code).not.toBe(0);
      expect(stderr).toContain(hint);
    });

    it('refuses a server whose authority is not the one that the token pins', async () => {
      const [, , id, secret] = token.split('.');
      const { code, said } = await joinWith(`dure1.${'0123456789abcdef'.repeat(4)}.${id}.${secret}`);
      expect(code).toBe(1);
      expect(said).toContain(`join ${cluster.server}: the server shows no authority with the pin sha256:0123456789abcdef`);
      expect(await requests()).toEqual([]);
    });

    it('refuses a token that nobody made, and one past its time, with what to do', async () => {
      const [version, pin] = token.split('.');
      const brief = await cluster.joinToken('1s');
      await sleep(1_000);
      for (const wrong of [`${version}.${pin}.abcdef.0123456789abcdef`, brief]) {
        const { code, said } = await joinWith(wrong);
        expect(code).toBe(1);
        expect(said).toContain(
          'the server does not accept the join token, it is unknown or expired; make another with "dure token create"',
        );
      }
      expect(await requests()).toEqual([]);
      expect(await cluster.kubectl.run(['get', 'nodes', '-o', 'name'])).toBe('');
    });

    it('tells service managers all that the agent and the proxy must be told', async () => {
      await node.install({ token, agent: ['--pod-max-pids', '4096'] });
      for (const [service, ...args] of [
        ['dure-agent', `--server ${cluster.server}`, `--node-name ${NAME}`, '--pod-max-pids 4096'],
        ['dure-proxy', `--node-name ${NAME}`, `--kubeconfig /var/lib/dure/nodes/${NAME}/kubeconfig`],
      ]) {
        // As OpenRC does: the script is read, then its variables are used.
        const asked = await node.machine.run(`. /opt/dure/infra/openrc/${service}; echo "$command_args"; env | grep ^DURE_`);
        for (const arg of args) expect(asked.split('\n')[0]).toContain(arg);
        expect(asked).toContain(`DURE_JOIN_TOKEN=${token}`);
        const unit = await node.machine.run(`cat /opt/dure/infra/systemd/${service}.service`);
        expect(unit).toContain('EnvironmentFile=/etc/dure/agent.env');
        expect(unit).toContain(asked.includes('node-agent') ? '$DURE_AGENT_ARGS' : '$DURE_PROXY_ARGS');
      }
    });

    it('gives the machine certificates of its own, approved without a hand', async () => {
      await node.join({ token });
      const made = (await requests()).map(({ spec, status }) => ({
        signer: spec.signerName,
        by: spec.username,
        types: status.conditions?.map(({ type }) => type),
        issued: status.certificate !== undefined,
      }));
      const [, , id] = token.split('.');
      expect(made).toHaveLength(2);
      expect(made).toContainEqual({
        signer: 'kubernetes.io/kube-apiserver-client-kubelet',
        by: `system:bootstrap:${id}`,
        types: ['Approved'],
        issued: true,
      });
      expect(made).toContainEqual({
        signer: 'kubernetes.io/kubelet-serving',
        by: `system:node:${NAME}`,
        types: ['Approved'],
        issued: true,
      });
      expect(await cluster.kubectl.run(['get', 'csr'])).toMatch(/Approved,Issued/);
      // Keys and token are nobody else's business.
      const open = 'find /var/lib/dure/nodes/vm-1/pki /var/lib/dure/nodes/vm-1/kubeconfig /etc/dure/agent.env -type f -perm /077';
      expect(await node.machine.run(open)).toBe('');
      expect(await node.machine.run('ls /var/lib/dure/nodes/vm-1/pki')).toContain('client.pem');
    });

    it('lets a node be itself only', async () => {
      const asNode = (path: string): Promise<string> =>
        node.machine.run(
          `cd /var/lib/dure/nodes/${NAME}/pki && curl -s -o /dev/null -w '%{http_code}' --cacert ca.crt --cert client.pem --key client.pem https://${gatewayAddress}:6443${path}`,
        );
      expect(await asNode(`/api/v1/nodes/${NAME}`)).toBe('200');
      expect(await asNode('/api/v1/namespaces/kube-system/secrets')).toBe('403');
    });

    it('runs Pods, and goes on with them when the agent is killed and started again without the token, which is deleted', async () => {
      const serve = 'date +%s%N > /state/born; exec sleep 100000';
      await cluster.kubectl.apply(
        podManifest(
          'kept',
          [container(cluster.image, ['sh', '-c', serve], { name: 'main', volumeMounts: [{ name: 'state', mountPath: '/state' }] })],
          { spec: { volumes: [{ name: 'state', emptyDir: {} }] } },
        ),
      );
      const before = await untilPod(cluster.kubectl, 'kept', 'is ready', isReady);
      const born = await cluster.kubectl.run(['exec', 'kept', '--', 'cat', '/state/born']);

      await cluster.dure('token', 'delete', token.split('.')[2] ?? '');
      await node.kill('agent');
      // Over the programs of a running Pod, which the kernel lets nobody write to.
      await node.install();
      expect(await node.machine.run('grep DURE_JOIN_TOKEN /etc/dure/agent.env')).toBe('DURE_JOIN_TOKEN=\n');
      await node.start('agent');
      // An exec goes through the new agent.
      const after = await untilPod(cluster.kubectl, 'kept', 'answers', isReady);
      expect(await eventuallyExec('cat', '/state/born')).toBe(born);
      expect(containerId(after.status, 'main')).toBe(containerId(before.status, 'main'));
      expect(after.status.containerStatuses?.[0]?.restartCount).toBe(0);
      expect(await requests()).toHaveLength(2);
    });

    it('survives a power cut: the node comes back by itself and its Pods run again', async () => {
      const before = await cluster.kubectl.json<PodShape>(['get', 'pod', 'kept']);
      const born = await cluster.kubectl.run(['exec', 'kept', '--', 'cat', '/state/born']);
      // Right after a Pod was started, so that little of it has reached the disk by itself.
      await cluster.kubectl.apply(podManifest('young', [container(cluster.image, ['sleep', '100000'], { name: 'main' })]));
      const young = await untilPod(cluster.kubectl, 'young', 'is ready', isReady);
      await node.machine.crash();

      node = await LabNode.boot(cluster, { name: NAME, number: 1, stateDisk });
      // The programs lay in the machine's memory; its state did not.
      await node.install();
      await node.start('agent');
      await node.start('proxy');
      await node.ready();
      const again = await untilPod(cluster.kubectl, 'kept', 'runs again', (pod) => runsSince(before, pod));
      expect(again.metadata.uid).toBe(before.metadata.uid);
      expect(again.status.containerStatuses?.[0]).toMatchObject({
        restartCount: 1,
        lastState: {
          terminated: { exitCode: 137, reason: 'ContainerStatusUnknown', containerID: before.status.containerStatuses?.[0]?.containerID },
        },
      });
      await untilPod(cluster.kubectl, 'young', 'runs again', (pod) => runsSince(young, pod));
      expect(await eventuallyExec('cat', '/state/born')).not.toBe(born);
      expect(await requests()).toHaveLength(2);
    });

    /** The agent serves a moment after its node is known. */
    async function eventuallyExec(...command: readonly string[]): Promise<string> {
      return eventually('exec answers', () => cluster.kubectl.run(['exec', 'kept', '--', ...command]), 60_000);
    }
  },
);
