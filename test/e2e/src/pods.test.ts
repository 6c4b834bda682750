import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, type Kubectl } from '@dure/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clusterUnavailable, DNS_ADDRESS } from './addresses.ts';
import { list, podObject } from './manifests.ts';
import { OneNode } from './one-node.ts';

const unavailable = clusterUnavailable();

/** What a container finds around itself, in Pods that all start at once. */
describe.skipIf(unavailable !== undefined)(
  `what a container is given${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let one: OneNode;
    let kubectl: Kubectl;
    let hostFiles: string;

    beforeAll(async () => {
      one = await OneNode.start();
      kubectl = one.kubectl;
      hostFiles = join(one.scratch, 'host');
      await mkdir(hostFiles);
      await writeFile(join(hostFiles, 'file'), 'of the host\n');
      await kubectl.apply(list(...objects({ tools: one.image('tools:1'), busybox: one.image('library/busybox:1.37'), hostFiles })));
    });

    afterAll(() => one?.[Symbol.asyncDispose]());

    const inside = (pod: string, script: string, container?: string): Promise<string> => one.inside(pod, script, container);
    const waitingOf = (name: string): Promise<{ reason: string; message: string }> =>
      eventually(`${name} waiting for a reason`, async () => {
        const { status } = await kubectl.json<PodShape>(['get', 'pod', name]);
        const waiting = status.containerStatuses?.[0]?.state.waiting;
        return waiting === undefined || waiting.reason === 'ContainerCreating' ? undefined : waiting;
      });
    const terminatedOf = (name: string): Promise<{ exitCode: number; reason: string; message?: string }> =>
      eventually(`${name} to end`, async () => {
        const { status } = await kubectl.json<PodShape>(['get', 'pod', name]);
        return status.containerStatuses?.[0]?.state.terminated;
      });

    it('shares network, IPC and /dev/shm among containers, but not processes and files', async () => {
      await one.ready('several');
      const show = 'for n in net ipc uts pid mnt; do readlink /proc/self/ns/$n; done';
      const [a = '', b = ''] = await Promise.all([inside('several', show, 'a'), inside('several', show, 'b')]);
      const [ofA, ofB] = [a.trim().split('\n'), b.trim().split('\n')];
      expect(ofA.slice(0, 3)).toEqual(ofB.slice(0, 3));
      expect(ofA[3]).not.toBe(ofB[3]);
      expect(ofA[4]).not.toBe(ofB[4]);
      await inside('several', 'echo shared > /dev/shm/note; echo own > /tmp/note', 'a');
      expect(await inside('several', 'cat /dev/shm/note; ls /tmp', 'b')).toBe('shared\n');
      expect(await inside('several', 'cat /proc/1/cmdline | tr "\\0" " "', 'b')).toBe('sleep 1002 ');
      expect(await inside('several', 'ps -eo args', 'a')).not.toContain('1002');
    });

    it('shows processes of all containers where the Pod shares them', async () => {
      await one.ready('processes');
      expect(await inside('processes', 'ps -eo args', 'a')).toMatch(/sleep 1001[\s\S]*sleep 1002/);
      expect(await inside('processes', 'readlink /proc/self/ns/pid', 'a')).toBe(
        await inside('processes', 'readlink /proc/self/ns/pid', 'b'),
      );
      // The other container's files through its process, as the documentation of Pods shows.
      expect(await inside('processes', 'echo here > /tmp/mine; cat /proc/$(pgrep -f "sleep 1001" | head -n 1)/root/tmp/mine', 'a')).toBe(
        'here\n',
      );
    });

    it('names itself and others in /etc/hosts and the host name', async () => {
      await one.ready('named', 'fqdn');
      const hosts = await inside('named', 'cat /etc/hosts');
      const ip = await kubectl.run(['get', 'pod', 'named', '-o', 'jsonpath={.status.podIP}']);
      expect(hosts).toContain('127.0.0.1\tlocalhost');
      expect(hosts).toContain(`${ip}\tweb-7.group.default.svc.cluster.local\tweb-7`);
      expect(hosts).toContain('10.9.8.7\tfoo.example\tbar.example');
      expect(await inside('named', 'hostname; hostname -f')).toMatch(/^web-7\nweb-7\.group\.default\.svc\.cluster\.local\n$/);
      expect(await inside('fqdn', 'hostname')).toBe('fqdn.group.default.svc.cluster.local\n');
      expect(await inside('several', 'hostname', 'a')).toBe('several\n');
    });

    it('resolves names as dnsPolicy says', async () => {
      await one.ready('dns-first', 'dns-none', 'dns-default', 'on-host', 'on-host-first');
      const resolv = (pod: string): Promise<string> => inside(pod, 'cat /etc/resolv.conf');
      expect(await resolv('several')).toMatch(/^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local/m);
      expect(sorted(await resolv('on-host-first'))).toEqual(expect.arrayContaining([`nameserver ${DNS_ADDRESS}`, 'options ndots:5']));
      const host = await readFile('/etc/resolv.conf', 'utf8');
      const nameservers = (text: string): readonly string[] => text.match(/^nameserver .*$/gm) ?? [];
      expect(nameservers(await resolv('dns-default'))).toEqual(nameservers(host));
      expect(nameservers(await resolv('on-host'))).toEqual(nameservers(host));
      expect(sorted(await resolv('dns-none'))).toEqual(sorted('nameserver 192.0.2.53\nsearch a.example\noptions ndots:2 edns0\n'));
      const first = await resolv('dns-first');
      expect(first).toMatch(/^nameserver 10\.43\.0\.10\nnameserver 192\.0\.2\.53$/m);
      expect(first).toMatch(/^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local.* a\.example$/m);
      expect(first).toMatch(/^options .*ndots:2/m);
    });

    it('keeps what an ended container had to say', async () => {
      expect(await terminatedOf('says-file')).toMatchObject({ exitCode: 0, reason: 'Completed', message: 'said in a file\n' });
      expect(await terminatedOf('says-own-file')).toMatchObject({ exitCode: 3, reason: 'Error', message: 'elsewhere' });
      expect(await terminatedOf('says-log')).toMatchObject({ exitCode: 4, reason: 'Error', message: 'line 1\nline 2\n' });
      expect((await terminatedOf('says-nothing')).message).toBeUndefined();
      expect((await kubectl.json<PodShape>(['get', 'pod', 'says-log'])).status.phase).toBe('Failed');
      expect((await kubectl.json<PodShape>(['get', 'pod', 'says-file'])).status.phase).toBe('Succeeded');
    });

    it('gives environment from Services, ConfigMaps, Secrets and the Pod itself', async () => {
      await one.ready('environment', 'no-links');
      const lines = sorted(await inside('environment', 'env'));
      const { status, spec, metadata } = await kubectl.json<PodShape>(['get', 'pod', 'environment']);
      const ip = await kubectl.run(['get', 'service', 'some-service', '-o', 'jsonpath={.spec.clusterIP}']);
      expect(lines).toEqual(
        expect.arrayContaining(
          sorted(
            [
              'KUBERNETES_SERVICE_HOST=10.43.0.1',
              'KUBERNETES_SERVICE_PORT=443',
              `SOME_SERVICE_SERVICE_HOST=${ip}`,
              'SOME_SERVICE_SERVICE_PORT=8080',
              'SOME_SERVICE_SERVICE_PORT_FIRST=8080',
              `SOME_SERVICE_PORT=tcp://${ip}:8080`,
              `SOME_SERVICE_PORT_8080_TCP=tcp://${ip}:8080`,
              `SOME_SERVICE_PORT_8080_TCP_ADDR=${ip}`,
              'SOME_SERVICE_PORT_8080_TCP_PROTO=tcp',
              'PLAIN=value',
              'EXPANDED=value and $(PLAIN) and $(NOT_THERE)',
              'FROM_CONFIG=one',
              'FROM_SECRET=hush',
              'PRE_key=one',
              'PRE_other=two',
              'NAME=environment',
              'NAMESPACE=default',
              `UID=${metadata.uid}`,
              'LABEL=red',
              'ANNOTATION=noted',
              `NODE=${spec.nodeName}`,
              `IP=${status.podIP}`,
              `HOST_IP=${status.hostIP}`,
              'ACCOUNT=default',
              'CPU_LIMIT=2',
              'CPU_MILLIS=1500',
              'MEMORY_MIB=64',
            ].join('\n'),
          ),
        ),
      );
      expect(lines.some((line) => line.startsWith('OPTIONAL'))).toBe(false);
      // $(VAR) in a command, too.
      expect(await inside('environment', 'tr "\\0" " " < /proc/1/cmdline')).toContain('told value');
      expect(await inside('no-links', 'env')).not.toContain('SOME_SERVICE');
      expect(await inside('no-links', 'env')).toContain('KUBERNETES_SERVICE_HOST=');
    });

    it('says what is missing, and starts once it is there', async () => {
      expect(await waitingOf('missing-config')).toEqual({
        reason: 'CreateContainerConfigError',
        message: 'configmap "not-there" not found',
      });
      expect(await waitingOf('missing-key')).toEqual({
        reason: 'CreateContainerConfigError',
        message: "couldn't find key nope in ConfigMap default/settings",
      });
      expect(await waitingOf('missing-secret')).toMatchObject({
        reason: 'CreateContainerConfigError',
        message: 'secret "not-there" not found',
      });
      await kubectl.run(['create', 'configmap', 'not-there', '--from-literal=key=value']);
      await one.ready('missing-config');
      expect(await inside('missing-config', 'echo $KEY')).toBe('value\n');
    });

    it('mounts scratch space on disk and in memory, that containers share and restarts keep', async () => {
      await one.ready('scratch');
      expect(await inside('scratch', 'stat -c %a /disk; stat -f -c %T /memory; df -k --output=size /memory | tail -n 1')).toMatch(
        /^777\ntmpfs\n\s*16384\n$/,
      );
      await inside('scratch', 'echo kept > /disk/file; echo kept > /memory/file');
      await kubectl.fails(['exec', 'scratch', '--', 'sh', '-c', 'kill -TERM 1; sleep 5']);
      await eventually('a restart', async () =>
        (await kubectl.json<PodShape>(['get', 'pod', 'scratch'])).status.containerStatuses?.[0]?.restartCount === 1 ? true : undefined,
      );
      expect(await eventually('files', () => inside('scratch', 'cat /disk/file /memory/file'))).toBe('kept\nkept\n');
    });

    it('mounts paths of the host by their types', async () => {
      await one.ready('host-paths');
      expect(await inside('host-paths', 'cat /dir/file /file; ls -d /made; test -c /null-device && echo device')).toBe(
        'of the host\nof the host\n/made\ndevice\n',
      );
      await inside('host-paths', 'echo from the Pod > /dir/new');
      expect(await inside('host-paths', 'touch /read-only/new 2>&1 || true')).toContain('Read-only file system');
      expect(await readFile(join(hostFiles, 'new'), 'utf8')).toBe('from the Pod\n');
      const described = await eventually('an event', async () => {
        const text = await kubectl.run(['describe', 'pod', 'host-path-wrong']);
        return text.includes('FailedMount') ? text : undefined;
      });
      expect(described).toMatch(/MountVolume\.SetUp failed for volume "it" : hostPath type check failed: \S+\/file is not a directory/);
    });

    it('projects ConfigMaps, Secrets, its own fields and tokens as files', async () => {
      await one.ready('projections');
      expect(
        await inside('projections', 'cat /config/key /config/other; ls /config; readlink /config/key; stat -L -c %a /config/key'),
      ).toBe('onetwokey\nother\n..data/key\n644\n');
      expect(await inside('projections', 'ls -1 /chosen /chosen/deep; stat -L -c %a /chosen/deep/renamed')).toBe(
        '/chosen:\ndeep\n\n/chosen/deep:\nrenamed\n600\n',
      );
      expect(await inside('projections', 'cat /secret/password; stat -L -c %a /secret/password; stat -f -c %T /secret')).toBe(
        'hush400\ntmpfs\n',
      );
      expect(await inside('projections', 'cat /down/labels /down/cpu /down/name')).toBe('colour="red"\nrun="projections"250projections');
      expect(await inside('projections', 'ls -1 /all; cat /all/config /all/secret; stat -L -c %a /all/config')).toBe(
        'ca\nconfig\nname\nsecret\ntoken\nonehush440\n',
      );
      expect(await inside('projections', 'ls /optional | wc -l')).toBe('0\n');
      expect(await inside('projections', 'touch /config/new 2>&1 || true')).toContain('Read-only file system');
      const token = await inside('projections', 'cat /all/token');
      const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
      expect(claims).toMatchObject({ aud: ['somebody'], sub: 'system:serviceaccount:default:default' });
    });

    it('swaps files in when what they show changes, but not those mounted by subPath', async () => {
      await one.ready('projections');
      expect(await inside('projections', 'cat /single; ls /parts/one; ls /parts')).toBe('onehere\none\n');
      const before = await inside('projections', 'readlink /config/..data');
      await kubectl.run(['patch', 'configmap', 'settings', '-p', '{"data":{"key":"changed","other":null,"more":"new"}}']);
      await kubectl.run(['label', 'pod', 'projections', 'colour=blue', '--overwrite']);
      await eventually('the change', async () => {
        const shown = await inside('projections', 'cat /config/key /config/more; ls /config; cat /all/config; grep colour /down/labels');
        return shown === 'changednewkey\nmore\nchangedcolour="blue"\n' ? true : undefined;
      });
      expect(await inside('projections', 'readlink /config/..data')).not.toBe(before);
      expect(await inside('projections', 'cat /single; ls -A /config | grep -c "^\\.\\."')).toBe('one2\n');
      await kubectl.run(['create', 'secret', 'generic', 'later', '--from-literal=a=b']);
      await eventually('the optional Secret', async () => ((await inside('projections', 'cat /optional/a')) === 'b' ? true : undefined));
    });

    it('runs as the users and groups it is told', async () => {
      await one.ready('users', 'default-user', 'groups-volume');
      expect(await inside('users', 'id -u; id -g; id -G; grep Groups /proc/self/status')).toBe(
        '1234\n2345\n2345 3000 4000\nGroups:\t2345 3000 4000 \n',
      );
      expect(
        await inside('groups-volume', 'stat -c "%g %A" /disk; touch /disk/f; stat -c %g /disk/f; stat -L -c "%g %a" /config/key'),
      ).toMatch(/^5000 drwxrwsrwx\n5000\n5000 \d+\n$/);
      expect(await inside('groups-volume', 'cat /config/key | wc -c')).toMatch(/^\d+\n$/);
      expect(await inside('default-user', 'id -u; id -g; id -G')).toBe('1000\n1000\n1000 50\n');
      expect(await waitingOf('must-not-be-root')).toMatchObject({
        reason: 'CreateContainerConfigError',
        message: expect.stringContaining('container has runAsNonRoot and image will run as root'),
      });
      expect(await waitingOf('must-not-say-root')).toMatchObject({
        message: expect.stringContaining("container's runAsUser breaks non-root policy"),
      });
      const { status } = await kubectl.json<PodShape>(['get', 'pod', 'users']);
      expect(status.containerStatuses?.[0]?.user?.linux).toEqual({ uid: 1234, gid: 2345, supplementalGroups: [2345, 3000, 4000] });
    });

    it('has the capabilities, and only those, that it is told', async () => {
      await one.ready('plain', 'capable', 'incapable', 'almighty', 'users');
      const proc = async (pod: string, name: string): Promise<string> =>
        (await inside(pod, `grep ^${name}: /proc/self/status`)).split(':')[1]?.trim() ?? '';
      // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP, less NET_RAW or not.
      const usual = BigInt(`0x${await proc('plain', 'CapEff')}`);
      expect(usual.toString(16)).toBe('a80425fb');
      expect(await proc('plain', 'Seccomp')).toBe('0');
      expect(await proc('plain', 'NoNewPrivs')).toBe('0');
      expect(BigInt(`0x${await proc('capable', 'CapEff')}`)).toBe((usual | (1n << 12n)) & ~(1n << 13n));
      expect(await proc('incapable', 'CapEff')).toBe('0000000000000000');
      expect(await proc('incapable', 'CapBnd')).toBe('0000000000000000');
      expect(await proc('incapable', 'NoNewPrivs')).toBe('1');
      expect(await proc('incapable', 'Seccomp')).toBe('2');
      expect(BigInt(`0x${await proc('almighty', 'CapEff')}`)).toBe(await allCapabilities());
      // Of a user that is not root, nothing is left effective.
      expect(await proc('users', 'CapEff')).toBe('0000000000000000');
      expect(await inside('incapable', 'touch /new 2>&1 || true; mount -t tmpfs x /tmp 2>&1 || true')).toMatch(
        /Read-only file system[\s\S]*(permission denied|not permitted|must be superuser)/i,
      );
      expect(
        await inside(
          'almighty',
          'mount -t tmpfs x /tmp && umount /tmp && ls /dev | grep -c . && touch /sys/fs/cgroup 2>/dev/null; echo done',
        ),
      ).toContain('done');
      expect(await inside('plain', '(echo x > /proc/sys/kernel/hostname) 2>&1 || true')).toMatch(/Read-only file system/);
    });

    it("stands in the host's network and among its processes where it may", async () => {
      await one.ready('on-host', 'host-processes');
      const { status } = await kubectl.json<PodShape>(['get', 'pod', 'on-host']);
      expect(status.podIP).toBe(status.hostIP);
      expect(await inside('on-host', 'hostname')).toBe(`${one.node}\n`);
      expect(await inside('on-host', 'ip -o link')).toMatch(/dure/);
      expect(await inside('host-processes', 'ps -eo args')).toContain('control-plane');
      expect(await inside('several', 'ip -o link | wc -l', 'a')).toBe('2\n');
    });

    it('says in a condition and an Event which limits the kernel of this machine does not hold', async () => {
      const mounts = await readFile('/proc/self/mountinfo', 'utf8');
      const unified = /^\d+ \d+ \S+ \/ (\S+) .* - cgroup2 /m.exec(mounts)?.[1] ?? '';
      const held = new Set((await readFile(join(unified, 'cgroup.controllers'), 'utf8')).trim().split(' '));
      const missing = ['cpu', 'memory', 'pids'].filter((controller) => !held.has(controller));
      const { status } = await kubectl.json<{ status: { conditions: { type: string; status: string; message: string }[] } }>([
        ...['get', 'node', one.node],
      ]);
      const condition = status.conditions.find(({ type }) => type === 'ResourceLimitsEnforced');
      expect(condition?.status).toBe(missing.length === 0 ? 'True' : 'False');
      for (const controller of missing) {
        expect(condition?.message).toContain(`${controller} limits are not enforced`);
        expect(await kubectl.run(['get', 'events', '-A', '--field-selector', 'reason=ControllersMissing'])).toContain(
          `${controller} limits`,
        );
      }
      // Such a Pod runs all the same.
      await one.ready('environment');
    });
  },
);

interface PodShape {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly podIP: string;
    readonly hostIP: string;
    readonly phase: string;
    readonly containerStatuses?: readonly {
      readonly restartCount: number;
      readonly user?: { readonly linux: object };
      readonly state: {
        readonly waiting?: { readonly reason: string; readonly message: string };
        readonly terminated?: { readonly exitCode: number; readonly reason: string; readonly message?: string };
      };
    }[];
  };
}

function sorted(text: string): string[] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .sort();
}

async function allCapabilities(): Promise<bigint> {
  const match = /^CapBnd:\s*(\S+)$/m.exec(await readFile('/proc/self/status', 'utf8'));
  return BigInt(`0x${match?.[1] ?? '0'}`);
}

function objects({
  tools,
  busybox,
  hostFiles,
}: {
  readonly tools: string;
  readonly busybox: string;
  readonly hostFiles: string;
}): readonly object[] {
  const stay = { command: ['sleep', '3600'] };
  const once = { spec: { restartPolicy: 'Never' } };
  const two = [1, 2].map((at) => ({ name: 'ab'[at - 1], image: tools, command: ['sleep', `100${at}`] }));
  const field = (fieldPath: string): object => ({ valueFrom: { fieldRef: { fieldPath } } });
  const configKey = (name: string, key: string, optional?: boolean): object => ({
    valueFrom: { configMapKeyRef: { name, key, optional } },
  });
  const hostPath = (name: string, path: string, type: string): object => ({ name, hostPath: { path, type } });
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { key: 'one', other: 'two' } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'hidden' }, stringData: { password: 'hush' } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'some-service' },
      spec: { selector: { no: 'one' }, ports: [{ name: 'first', port: 8080 }] },
    },
    podObject('several', tools, { spec: { containers: two } }),
    podObject('processes', tools, { spec: { shareProcessNamespace: true, containers: two } }),
    podObject('named', tools, {
      spec: { hostname: 'web-7', subdomain: 'group', hostAliases: [{ ip: '10.9.8.7', hostnames: ['foo.example', 'bar.example'] }] },
    }),
    podObject('fqdn', tools, { spec: { subdomain: 'group', setHostnameAsFQDN: true } }),
    podObject('dns-first', tools, {
      spec: { dnsConfig: { nameservers: ['192.0.2.53'], searches: ['a.example'], options: [{ name: 'ndots', value: '2' }] } },
    }),
    podObject('dns-none', tools, {
      spec: {
        dnsPolicy: 'None',
        dnsConfig: { nameservers: ['192.0.2.53'], searches: ['a.example'], options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }] },
      },
    }),
    podObject('dns-default', tools, { spec: { dnsPolicy: 'Default' } }),
    podObject('on-host', tools, { spec: { hostNetwork: true } }),
    podObject('on-host-first', tools, { spec: { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' } }),
    podObject('host-processes', tools, { spec: { hostPID: true } }),
    podObject('says-file', busybox, { ...once, command: ['sh', '-c', 'echo said in a file > /dev/termination-log'] }),
    podObject('says-own-file', busybox, {
      ...once,
      command: ['sh', '-c', 'printf elsewhere > /tmp/end; exit 3'],
      container: { terminationMessagePath: '/tmp/end' },
    }),
    podObject('says-log', busybox, {
      ...once,
      command: ['sh', '-c', 'echo line 1; echo line 2 >&2; exit 4'],
      container: { terminationMessagePolicy: 'FallbackToLogsOnError' },
    }),
    podObject('says-nothing', busybox, { ...once, command: ['sh', '-c', 'echo only to the log; exit 5'] }),
    podObject('environment', tools, {
      metadata: { labels: { colour: 'red' }, annotations: { note: 'noted' } },
      container: {
        command: ['sh', '-c', 'sleep 3600; true', 'told $(PLAIN)'],
        resources: { limits: { cpu: '1500m', memory: '64Mi' } },
        envFrom: [{ prefix: 'PRE_', configMapRef: { name: 'settings' } }, { configMapRef: { name: 'never', optional: true } }],
        env: [
          { name: 'PLAIN', value: 'value' },
          { name: 'EXPANDED', value: '$(PLAIN) and $$(PLAIN) and $(NOT_THERE)' },
          { name: 'FROM_CONFIG', ...configKey('settings', 'key') },
          { name: 'OPTIONAL', ...configKey('settings', 'nope', true) },
          { name: 'FROM_SECRET', valueFrom: { secretKeyRef: { name: 'hidden', key: 'password' } } },
          { name: 'NAME', ...field('metadata.name') },
          { name: 'NAMESPACE', ...field('metadata.namespace') },
          { name: 'UID', ...field('metadata.uid') },
          { name: 'LABEL', ...field("metadata.labels['colour']") },
          { name: 'ANNOTATION', ...field("metadata.annotations['note']") },
          { name: 'NODE', ...field('spec.nodeName') },
          { name: 'IP', ...field('status.podIP') },
          { name: 'HOST_IP', ...field('status.hostIP') },
          { name: 'ACCOUNT', ...field('spec.serviceAccountName') },
          { name: 'CPU_LIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
          { name: 'CPU_MILLIS', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
          { name: 'MEMORY_MIB', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
        ],
      },
    }),
    podObject('no-links', tools, { spec: { enableServiceLinks: false } }),
    podObject('missing-config', tools, { container: { envFrom: [], env: [{ name: 'KEY', ...configKey('not-there', 'key') }] } }),
    podObject('missing-key', tools, { container: { env: [{ name: 'KEY', ...configKey('settings', 'nope') }] } }),
    podObject('missing-secret', tools, { container: { envFrom: [{ secretRef: { name: 'not-there' } }] } }),
    podObject('scratch', tools, {
      command: ['sh', '-c', 'trap "exit 1" TERM; while true; do sleep 0.1; done'],
      spec: {
        volumes: [
          { name: 'disk', emptyDir: {} },
          { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '16Mi' } },
        ],
      },
      container: {
        volumeMounts: [
          { name: 'disk', mountPath: '/disk' },
          { name: 'memory', mountPath: '/memory' },
        ],
      },
    }),
    podObject('host-paths', tools, {
      spec: {
        volumes: [
          hostPath('dir', hostFiles, 'Directory'),
          hostPath('file', join(hostFiles, 'file'), 'File'),
          hostPath('made', join(hostFiles, 'made/deep'), 'DirectoryOrCreate'),
          hostPath('null', '/dev/null', 'CharDevice'),
        ],
      },
      container: {
        volumeMounts: [
          { name: 'dir', mountPath: '/dir' },
          { name: 'file', mountPath: '/file' },
          { name: 'made', mountPath: '/made' },
          { name: 'null', mountPath: '/null-device' },
          { name: 'dir', mountPath: '/read-only', readOnly: true },
        ],
      },
    }),
    podObject('host-path-wrong', tools, {
      spec: { volumes: [hostPath('it', join(hostFiles, 'file'), 'Directory')] },
      container: { volumeMounts: [{ name: 'it', mountPath: '/it' }] },
    }),
    podObject('projections', tools, {
      metadata: { labels: { run: 'projections', colour: 'red' } },
      spec: {
        volumes: [
          { name: 'config', configMap: { name: 'settings' } },
          { name: 'chosen', configMap: { name: 'settings', items: [{ key: 'other', path: 'deep/renamed', mode: 0o600 }] } },
          { name: 'secret', secret: { secretName: 'hidden', defaultMode: 0o400 } },
          { name: 'optional', secret: { secretName: 'later', optional: true } },
          { name: 'parts', emptyDir: {} },
          {
            name: 'down',
            downwardAPI: {
              items: [
                { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
                { path: 'name', fieldRef: { fieldPath: 'metadata.name' } },
                { path: 'cpu', resourceFieldRef: { containerName: 'main', resource: 'requests.cpu', divisor: '1m' } },
              ],
            },
          },
          {
            name: 'all',
            projected: {
              defaultMode: 0o440,
              sources: [
                { configMap: { name: 'settings', items: [{ key: 'key', path: 'config' }] } },
                { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca' }] } },
                { secret: { name: 'hidden', items: [{ key: 'password', path: 'secret' }] } },
                { downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } },
                { serviceAccountToken: { path: 'token', audience: 'somebody', expirationSeconds: 600 } },
              ],
            },
          },
        ],
      },
      container: {
        resources: { requests: { cpu: '250m' } },
        env: [{ name: 'PART', value: 'one' }],
        lifecycle: { postStart: { exec: { command: ['sh', '-c', 'echo > /own/here'] } } },
        volumeMounts: [
          { name: 'config', mountPath: '/config' },
          { name: 'chosen', mountPath: '/chosen' },
          { name: 'secret', mountPath: '/secret' },
          { name: 'optional', mountPath: '/optional' },
          { name: 'down', mountPath: '/down' },
          { name: 'all', mountPath: '/all' },
          { name: 'config', mountPath: '/single', subPath: 'key' },
          { name: 'parts', mountPath: '/parts' },
          { name: 'parts', mountPath: '/own', subPathExpr: '$(PART)' },
        ],
      },
    }),
    podObject('users', tools, {
      spec: { securityContext: { runAsUser: 1, runAsGroup: 2345, supplementalGroups: [3000, 4000], runAsNonRoot: true } },
      container: { securityContext: { runAsUser: 1234 } },
    }),
    podObject('default-user', tools, { spec: { securityContext: { runAsUser: 1000 } } }),
    podObject('groups-volume', tools, {
      spec: {
        securityContext: { runAsUser: 1234, fsGroup: 5000 },
        volumes: [
          { name: 'disk', emptyDir: {} },
          { name: 'config', configMap: { name: 'settings', defaultMode: 0o400 } },
        ],
      },
      container: {
        volumeMounts: [
          { name: 'disk', mountPath: '/disk' },
          { name: 'config', mountPath: '/config' },
        ],
      },
    }),
    podObject('must-not-be-root', tools, { spec: { securityContext: { runAsNonRoot: true } } }),
    podObject('must-not-say-root', tools, { spec: { securityContext: { runAsNonRoot: true, runAsUser: 0 } } }),
    podObject('plain', busybox, stay),
    podObject('capable', busybox, { ...stay, container: { securityContext: { capabilities: { add: ['NET_ADMIN'], drop: ['NET_RAW'] } } } }),
    podObject('incapable', busybox, {
      ...stay,
      container: {
        securityContext: {
          capabilities: { drop: ['ALL'] },
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
          seccompProfile: { type: 'RuntimeDefault' },
        },
      },
    }),
    podObject('almighty', busybox, { ...stay, container: { securityContext: { privileged: true } } }),
  ];
}
