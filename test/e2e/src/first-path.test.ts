import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  diffSnapshots,
  eventually,
  freePort,
  type HostSnapshot,
  type Kubectl,
  runCommand,
  type TestRegistry,
  takeHostSnapshot,
} from '@dure/test-support';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BRIDGE_ADDRESS, clusterUnavailable, DNS_ADDRESS } from './addresses.ts';
import { TestCluster } from './cluster.ts';
import { Load } from './load.ts';
import { pod, webDeployment } from './manifests.ts';
import { ownRunDirectory } from './own-run-directory.ts';
import { inTerminal } from './terminal.ts';
import { WatchedWrites } from './watched-writes.ts';
import { registriesFor, registryWithImages } from './web-cluster.ts';

const unavailable = clusterUnavailable();

interface PodShape {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly podIP: string;
    readonly phase: string;
    readonly containerStatuses?: readonly {
      readonly restartCount: number;
      readonly state: { readonly waiting?: { readonly reason: string }; readonly terminated?: { readonly exitCode: number } };
      readonly lastState: { readonly terminated?: { readonly exitCode: number; readonly reason: string } };
      readonly containerID: string;
    }[];
  };
}

/** One cluster of two nodes for all: each test leaves what the next may build on, in the order in which a user would go. */
describe.skipIf(unavailable !== undefined)(
  `the first path, on two nodes${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let before: HostSnapshot;
    let registry: TestRegistry;
    let cluster: TestCluster;
    let kubectl: Kubectl;
    let scratch: string;
    let image: (name: string) => string;

    const podsOf = async (selector: string): Promise<readonly PodShape[]> =>
      (await kubectl.json<{ items: PodShape[] }>(['get', 'pods', '-l', selector])).items;
    const clusterIP = async (service: string): Promise<string> =>
      kubectl.run(['get', 'service', service, '-o', 'jsonpath={.spec.clusterIP}']);
    const inside = (name: string, ...command: string[]): Promise<string> => kubectl.run(['exec', name, '--', ...command]);

    beforeAll(async () => {
      await ownRunDirectory();
      await runCommand('ip', ['link', 'set', 'lo', 'up']);
      registry = await registryWithImages();
      // With the registry in it, which is the test's own.
      before = await takeHostSnapshot({ processes: /dure/ });
      image = (name) => `${BRIDGE_ADDRESS}:${registry.port}/${name}`;
      scratch = await mkdtemp(join(tmpdir(), 'dure-e2e-files-'));
      cluster = await TestCluster.start({ nodes: 2, registries: registriesFor(registry) });
      kubectl = cluster.kubectl;
    });

    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]();
      await registry?.[Symbol.asyncDispose]();
      await rm(scratch, { recursive: true, force: true });
    });

    it('has two nodes that are ready, with what they really have', async () => {
      const { items } = await kubectl.json<{
        items: {
          metadata: { name: string; labels: Record<string, string> };
          status: { capacity: Record<string, string>; nodeInfo: Record<string, string> };
        }[];
      }>(['get', 'nodes']);
      expect(items.map(({ metadata }) => metadata.name)).toEqual(['node-1', 'node-2']);
      for (const { metadata, status } of items) {
        expect(metadata.labels).toMatchObject({
          'kubernetes.io/hostname': metadata.name,
          'kubernetes.io/os': 'linux',
          'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : 'arm64',
        });
        expect(status.capacity.cpu).toBe((await runCommand('nproc', [])).stdout.trim());
        expect(status.nodeInfo.kubeletVersion).toMatch(/^v1\.36\./);
      }
      expect(await kubectl.run(['get', 'nodes', '-o', 'wide'])).toMatch(/node-1\s+Ready\s+\S+\s+\S+\s+v1\.36\S*\s+10\.44\.0\.11/);
    });

    it('runs a Deployment of three replicas pulled from a registry', async () => {
      await kubectl.apply(webDeployment({ image: image('web:1'), replicas: 3 }));
      expect(await kubectl.run(['rollout', 'status', 'deployment/web', '--timeout=90s'])).toContain('successfully rolled out');
      const pods = await podsOf('app=web');
      expect(pods).toHaveLength(3);
      expect(new Set(pods.map(({ spec }) => spec.nodeName))).toEqual(new Set(['node-1', 'node-2']));
    });

    it('answers by service name from a Pod on the other node, every replica in turn', async () => {
      for (const node of ['node-1', 'node-2']) await kubectl.apply(pod(`tools-${node}`, image('tools:1'), { node }));
      await kubectl.run(['wait', '--for=condition=Ready', 'pod/tools-node-1', 'pod/tools-node-2', '--timeout=60s']);
      const names = new Set((await podsOf('app=web')).map(({ metadata }) => metadata.name));
      for (const node of ['node-1', 'node-2']) {
        const answers = await inside(`tools-${node}`, 'sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9; do curl -sS -m 5 http://web/hostname; done');
        expect(new Set(answers.trim().split('\n'))).toEqual(names);
      }
      expect(await inside('tools-node-1', 'curl', '-sS', 'http://web.default.svc.cluster.local/')).toBe('dure web 1\n');
    });

    it('answers on cluster IPs and names from the machine itself', async () => {
      const { body } = await request(`http://${await clusterIP('web')}/`);
      expect(await body.text()).toBe('dure web 1\n');
      const resolved = await inside('tools-node-2', 'dig', '+short', `@${DNS_ADDRESS}`, 'web.default.svc.cluster.local');
      expect(resolved.trim()).toBe(await clusterIP('web'));
    });

    it('scales to six and back', async () => {
      await kubectl.run(['scale', 'deployment/web', '--replicas=6']);
      await kubectl.run(['rollout', 'status', 'deployment/web', '--timeout=60s']);
      expect(await podsOf('app=web')).toHaveLength(6);
      await kubectl.run(['scale', 'deployment/web', '--replicas=3']);
      await eventually('three Pods', async () => ((await podsOf('app=web')).length === 3 ? true : undefined));
    });

    it('rolls to a second image under constant load without a failed request, and back', async () => {
      const url = `http://${await clusterIP('web')}/version`;
      const loads = [new Load(url, 8, 10, 'kept'), new Load(url, 8, 10, 'fresh')];
      await kubectl.run(['set', 'image', 'deployment/web', `web=${image('web:2')}`]);
      await kubectl.run(['rollout', 'status', 'deployment/web', '--timeout=90s']);
      await eventually('the old Pods to be gone', async () => ((await podsOf('app=web')).length === 3 ? true : undefined));
      for (const load of loads) {
        const { answers, failures, bodies } = await load.stop();
        expect(failures).toEqual([]);
        expect(answers).toBeGreaterThan(100);
        expect([...bodies.keys()].sort()).toEqual(['1', '2']);
      }
      await kubectl.run(['rollout', 'undo', 'deployment/web']);
      await kubectl.run(['rollout', 'status', 'deployment/web', '--timeout=90s']);
      expect(await kubectl.run(['rollout', 'history', 'deployment/web'])).toMatch(/^3\s/m);
      expect(await inside('tools-node-1', 'curl', '-sS', 'http://web/version')).toBe('1\n');
    });

    it('follows logs', async () => {
      await kubectl.apply(
        pod('counter', image('tools:1'), {
          command: ['sh', '-c', 'i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo line $i; sleep 0.1; done; sleep 3600'],
        }),
      );
      await kubectl.run(['wait', '--for=condition=Ready', 'pod/counter', '--timeout=60s']);
      await using logs = await kubectl.start(['logs', '-f', 'counter']);
      await logs.waitForLine(/^line 20$/);
      expect(logs.output.split('\n').filter((line) => line !== '')).toEqual(Array.from({ length: 20 }, (_, index) => `line ${index + 1}`));
      expect(await kubectl.run(['logs', 'counter', '--tail=2'])).toBe('line 19\nline 20\n');
    });

    it('runs commands in a container, with exit codes, input and a terminal', async () => {
      expect(await inside('counter', 'echo', 'hello')).toBe('hello\n');
      expect(await kubectl.fails(['exec', 'counter', '--', 'sh', '-c', 'exit 7'])).toContain('exit code 7');
      expect(await kubectl.run(['exec', '-i', 'counter', '--', 'wc', '-c'], { input: 'x'.repeat(200_000) })).toBe('200000\n');
      const { shown, code } = await inTerminal(kubectl.program, ['exec', '-it', 'counter', '--', 'bash'], kubectl.env, [
        { waitFor: /[#$] $/, type: 'tty; stty size\r' },
        { waitFor: /\/dev\/pts\/\d+\s+30 100/, type: 'exit 5\r' },
      ]);
      expect(shown).toContain('/dev/pts/0');
      expect(code).toBe(5);
    });

    it('copies files in and out', async () => {
      const [there, back] = [join(scratch, 'there'), join(scratch, 'back')];
      await writeFile(there, Buffer.alloc(1_000_000, 'dure'));
      await kubectl.run(['cp', there, 'counter:/tmp/copied']);
      await kubectl.run(['cp', 'counter:/tmp/copied', back]);
      expect((await readFile(back)).equals(await readFile(there))).toBe(true);
    });

    it('forwards a port', async () => {
      const port = await freePort();
      await using forward = await kubectl.start(['port-forward', 'service/web', `${port}:80`]);
      await forward.waitForLine(/Forwarding from 127\.0\.0\.1/);
      for (let round = 0; round < 5; round += 1) {
        const { body } = await request(`http://127.0.0.1:${port}/`);
        expect(await body.text()).toBe('dure web 1\n');
      }
    });

    it('runs a Pod once, in a terminal, and removes it', async () => {
      const { shown, code } = await inTerminal(
        kubectl.program,
        [
          'run',
          '-it',
          '--rm',
          'asker',
          `--image=${image('tools:1')}`,
          '--restart=Never',
          '--',
          'sh',
          '-c',
          'sleep 1; curl -sS http://web/; echo over',
        ],
        kubectl.env,
        [],
      );
      expect(shown).toContain('dure web 1');
      expect(shown).toContain('over');
      expect(code).toBe(0);
      expect(await kubectl.fails(['get', 'pod', 'asker'])).toContain('pods "asker" not found');
    });

    it('debugs a running Pod with an ephemeral container', async () => {
      const [target] = await podsOf('app=web');
      const name = target?.metadata.name ?? '';
      const { shown } = await inTerminal(
        kubectl.program,
        [
          'debug',
          '-it',
          name,
          `--image=${image('tools:1')}`,
          '--target=web',
          '--',
          'sh',
          '-c',
          'sleep 1; ps -eo args; curl -sS http://localhost/',
        ],
        kubectl.env,
        [],
      );
      expect(shown).toContain('nginx: master process');
      expect(shown).toContain('dure web 1');
    });

    it('describes, explains and tops', async () => {
      const [target] = await podsOf('app=web');
      const described = await kubectl.run(['describe', 'pod', target?.metadata.name ?? '']);
      for (const word of ['Scheduled', 'Pulled', 'Created', 'Started', 'Service Account', 'kube-api-access'])
        expect(described).toContain(word);
      expect(await kubectl.run(['describe', 'node', 'node-1'])).toContain('Allocated resources');
      expect(await kubectl.run(['explain', 'deployment.spec.strategy.rollingUpdate'])).toContain('maxSurge');
      const top = await eventually('kubectl top', async () => kubectl.run(['top', 'pod', 'counter']));
      expect(top).toMatch(/counter\s+\d+m\s+\d+Mi/);
      expect(await kubectl.run(['top', 'node'])).toMatch(/node-1\s+\d+m/);
    });

    it('backs off from a container that crashes', async () => {
      await kubectl.apply(pod('crash', image('tools:1'), { command: ['sh', '-c', 'echo failing; exit 3'] }));
      const crashed = await eventually('CrashLoopBackOff', async () => {
        const found = await kubectl.json<PodShape>(['get', 'pod', 'crash']);
        const [status] = found.status.containerStatuses ?? [];
        return status?.state.waiting?.reason === 'CrashLoopBackOff' && status.restartCount >= 1 ? status : undefined;
      });
      expect(crashed.lastState.terminated).toMatchObject({ exitCode: 3, reason: 'Error' });
      expect(await kubectl.run(['get', 'pod', 'crash'])).toContain('CrashLoopBackOff');
      expect(await kubectl.run(['logs', '--previous', 'crash'])).toBe('failing\n');
      expect(await kubectl.run(['describe', 'pod', 'crash'])).toContain('Back-off restarting failed container');
      await kubectl.run(['delete', 'pod', 'crash', '--wait=true']);
    });

    it('takes a Pod whose readiness probe fails out of the Service, and back', async () => {
      const [victim] = await podsOf('app=web');
      const name = victim?.metadata.name ?? '';
      const endpoints = async (): Promise<readonly string[]> => {
        const { items } = await kubectl.json<{ items: { endpoints?: { addresses: string[]; conditions: { ready: boolean } }[] }[] }>([
          'get',
          'endpointslices',
          '-l',
          'kubernetes.io/service-name=web',
        ]);
        return items.flatMap(({ endpoints: all = [] }) =>
          all.filter(({ conditions }) => conditions.ready).flatMap(({ addresses }) => addresses),
        );
      };
      await inside(
        name,
        'sh',
        '-c',
        'sed -i "s#location = /healthz { return 200#location = /healthz { return 503#" /etc/nginx/nginx.conf && /usr/sbin/nginx -s reload',
      );
      await eventually('two ready endpoints', async () => ((await endpoints()).length === 2 ? true : undefined));
      const answers = await inside('tools-node-1', 'sh', '-c', 'for i in 1 2 3 4 5 6; do curl -sS http://web/hostname; done');
      expect(answers).not.toContain(name);
      expect(await kubectl.run(['describe', 'pod', name])).toContain('Readiness probe failed: HTTP probe failed with statuscode: 503');
      await inside(
        name,
        'sh',
        '-c',
        'sed -i "s#location = /healthz { return 503#location = /healthz { return 200#" /etc/nginx/nginx.conf && /usr/sbin/nginx -s reload',
      );
      await eventually('three ready endpoints', async () => ((await endpoints()).length === 3 ? true : undefined));
    });

    it('breaks no connection, loses no line and no exit code when an agent is killed', async () => {
      const node = 'node-1';
      await kubectl.apply(
        pod('talker', image('tools:1'), { node, command: ['sh', '-c', 'i=0; while true; do i=$((i+1)); echo $i; sleep 0.02; done'] }),
      );
      await kubectl.apply(
        pod('ender', image('tools:1'), { node, command: ['sh', '-c', 'sleep 4; exit 42'], spec: { restartPolicy: 'Never' } }),
      );
      await kubectl.run(['wait', '--for=condition=Ready', 'pod/talker', 'pod/ender', '--timeout=60s']);
      const ids = async (): Promise<readonly (string | undefined)[]> =>
        (await podsOf('app=web')).map(({ status }) => status.containerStatuses?.[0]?.containerID);
      const idsBefore = await ids();
      const load = new Load(`http://${await clusterIP('web')}/`, 8, 5, 'held');
      const held = connect({ host: await clusterIP('web'), port: 80 });
      let cut: string | undefined;
      held.on('error', (error) => (cut = error.message)).on('close', () => (cut ??= 'closed'));
      const oldPid = await cluster.pid(`agent ${node}`);
      process.kill(oldPid, 'SIGKILL');
      await eventually('another agent', async () => ((await cluster.pid(`agent ${node}`)) === oldPid ? undefined : true));
      await eventually('the exit code', async () =>
        (await kubectl.json<PodShape>(['get', 'pod', 'ender'])).status.containerStatuses?.[0]?.state.terminated?.exitCode === 42
          ? true
          : undefined,
      );
      await eventually('the node to be ready', async () =>
        (await kubectl.run(['get', 'node', node])).includes(' Ready ') ? true : undefined,
      );
      const { failures } = await load.stop();
      expect(failures).toEqual([]);
      expect(cut).toBeUndefined();
      held.destroy();
      const lines = (await kubectl.run(['logs', 'talker'])).trim().split('\n').map(Number);
      expect(lines).toEqual(Array.from({ length: lines.length }, (_, index) => index + 1));
      expect(lines.length).toBeGreaterThan(100);
      expect(await ids()).toEqual(idsBefore);
      await kubectl.run(['delete', 'pod', 'talker', 'ender']);
    });

    it('loses nothing that was acknowledged, and no informer misses an event, when the control plane is killed', async () => {
      const watched = await WatchedWrites.start(join(cluster.dataDir, 'kubeconfig'));
      const load = new Load(`http://${await clusterIP('web')}/`, 8, 5, 'held');
      const uidsBefore = (await podsOf('app=web')).map(({ metadata }) => metadata.uid);
      for (let round = 0; round < 2; round += 1) {
        const oldPid = await cluster.pid('control-plane');
        const madeBefore = watched.made;
        await eventually('writes before the kill', async () => (watched.made >= madeBefore + 20 ? true : undefined));
        process.kill(oldPid, 'SIGKILL');
        await eventually('writes after the kill', async () =>
          (await cluster.pid('control-plane')) !== oldPid && watched.made >= madeBefore + 40 ? true : undefined,
        );
      }
      const { acknowledged, listed, informed, contradictions, made, removed, toldMade, toldRemoved } = await watched.stop();
      expect(listed).toEqual(acknowledged);
      expect(informed).toEqual(acknowledged);
      expect(contradictions).toEqual([]);
      // What came and went while nobody could watch is told as well.
      expect({ toldMade, toldRemoved }).toEqual({ toldMade: made, toldRemoved: removed });
      // Controllers, scheduler and agents all go on from what they watched before.
      await kubectl.run(['scale', 'deployment/web', '--replicas=4']);
      await kubectl.run(['rollout', 'status', 'deployment/web', '--timeout=60s']);
      const uidsAfter = (await podsOf('app=web')).map(({ metadata }) => metadata.uid);
      for (const uid of uidsBefore) expect(uidsAfter).toContain(uid);
      expect((await load.stop()).failures).toEqual([]);
      await kubectl.run(['scale', 'deployment/web', '--replicas=3']);
    });

    it("refuses a Pod's token what no role gives it", async () => {
      const ask = 'curl -sS --cacert $D/ca.crt -H "Authorization: Bearer $(cat $D/token)" https://kubernetes.default.svc';
      const reached = await inside(
        'tools-node-2',
        'sh',
        '-c',
        `D=/var/run/secrets/kubernetes.io/serviceaccount; ${ask}/api/v1/namespaces/default/pods`,
      );
      expect(JSON.parse(reached)).toMatchObject({
        kind: 'Status',
        code: 403,
        message:
          'pods is forbidden: User "system:serviceaccount:default:default" cannot list resource "pods" in API group "" in the namespace "default"',
      });
      await kubectl.run(['create', 'rolebinding', 'see', '--clusterrole=view', '--serviceaccount=default:default']);
      const allowed = await inside(
        'tools-node-2',
        'sh',
        '-c',
        `D=/var/run/secrets/kubernetes.io/serviceaccount; ${ask}/api/v1/namespaces/default/pods?limit=1`,
      );
      expect(JSON.parse(allowed)).toMatchObject({ kind: 'PodList' });
    });

    it('ends a namespace with all that is in it', async () => {
      await kubectl.run(['create', 'namespace', 'passing']);
      await kubectl.run(['-n', 'passing', 'apply', '-f', '-'], { input: webDeployment({ image: image('web:1'), replicas: 2 }) });
      await kubectl.run(['-n', 'passing', 'rollout', 'status', 'deployment/web', '--timeout=60s']);
      await kubectl.run(['delete', 'namespace', 'passing', '--timeout=60s']);
      expect(await kubectl.fails(['get', 'namespace', 'passing'])).toContain('namespaces "passing" not found');
    });

    it('drains a node under load, as a budget allows, and takes it back', async () => {
      await kubectl.run(['create', 'poddisruptionbudget', 'web', '--selector=app=web', '--min-available=2']);
      const load = new Load(`http://${await clusterIP('web')}/version`, 8, 10, 'kept');
      expect(await kubectl.fails(['drain', 'node-2', '--ignore-daemonsets'])).toContain('cannot delete');
      const drained = await kubectl.run(['drain', 'node-2', '--ignore-daemonsets', '--force', '--delete-emptydir-data', '--timeout=90s']);
      expect(drained).toContain('node/node-2 drained');
      await kubectl.run(['rollout', 'status', 'deployment/web', '--timeout=60s']);
      expect(new Set((await podsOf('app=web')).map(({ spec }) => spec.nodeName))).toEqual(new Set(['node-1']));
      expect((await load.stop()).failures).toEqual([]);
      expect(await kubectl.run(['get', 'node', 'node-2'])).toContain('Ready,SchedulingDisabled');
      await kubectl.run(['uncordon', 'node-2']);
      await kubectl.run(['scale', 'deployment/web', '--replicas=6']);
      await kubectl.run(['rollout', 'status', 'deployment/web', '--timeout=60s']);
      expect(new Set((await podsOf('app=web')).map(({ spec }) => spec.nodeName))).toEqual(new Set(['node-1', 'node-2']));
      await kubectl.run(['scale', 'deployment/web', '--replicas=3']);
      await eventually('three Pods', async () => ((await podsOf('app=web')).length === 3 ? true : undefined));
    });

    it('finds Pods running again after up was stopped and started', async () => {
      const idsBefore = (await podsOf('app=web')).map(({ status }) => status.containerStatuses?.[0]?.containerID).sort();
      // What Ctrl-C in its terminal would have sent.
      process.kill(await cluster.supervisorPid(), 'SIGINT');
      await eventually('up to have ended', async () =>
        (await cluster.dure('status').catch((error: Error) => error.message)).includes('supervisor  stopped') ? true : undefined,
      );
      await cluster.up({ nodes: 2, registries: registriesFor(registry) });
      const idsAfter = (await podsOf('app=web')).map(({ status }) => status.containerStatuses?.[0]?.containerID).sort();
      expect(idsAfter).toEqual(idsBefore);
      const { body } = await request(`http://${await clusterIP('web')}/`);
      expect(await body.text()).toBe('dure web 1\n');
    });

    it('leaves nothing behind', async () => {
      expect(await cluster.dure('down')).toContain('no process, link, route, mount, cgroup or namespace of Dure is left');
      const after = await takeHostSnapshot({ processes: /dure/ });
      // What has gone meanwhile (`-`) was somebody else's: this cluster came after the first look.
      const added = Object.values(diffSnapshots(before, after))
        .flat()
        .filter((line) => line.startsWith('+'));
      expect(added).toEqual([]);
    });
  },
);
