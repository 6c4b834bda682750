import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { eventually, type Kubectl, runCommand } from '@dure/test-support';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clusterUnavailable, DNS_ADDRESS } from './addresses.ts';
import { list, podObject } from './manifests.ts';
import { OneNode } from './one-node.ts';

const unavailable = clusterUnavailable();

interface ServiceShape {
  readonly spec: { readonly clusterIP: string; readonly ports: readonly { readonly name?: string; readonly nodePort?: number }[] };
}

describe.skipIf(unavailable !== undefined)(
  `Services and their names${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let one: OneNode;
    let kubectl: Kubectl;

    beforeAll(async () => {
      one = await OneNode.start();
      kubectl = one.kubectl;
      await kubectl.apply(list(...objects(one)));
      await one.ready('tools', 'busybox', 'on-host', 'web-0', 'web-1', 'udp');
    });

    afterAll(() => one?.[Symbol.asyncDispose]());

    const service = (name: string): Promise<ServiceShape> => kubectl.json<ServiceShape>(['get', 'service', name]);
    const podIP = (name: string): Promise<string> => kubectl.run(['get', 'pod', name, '-o', 'jsonpath={.status.podIP}']);
    const inside = (pod: string, script: string): Promise<string> => one.inside(pod, script);
    const dig = async (...args: string[]): Promise<string[]> =>
      (await inside('tools', `dig +short +time=2 +tries=2 ${args.join(' ')}`)).trim().split('\n').sort();
    const endpointsReady = (name: string, count: number): Promise<true> =>
      eventually(`${count} endpoints of ${name}`, async () => {
        const { items } = await kubectl.json<{ items: { endpoints?: { conditions: { ready: boolean } }[] }[] }>([
          ...['get', 'endpointslices', '-l', `kubernetes.io/service-name=${name}`],
        ]);
        const ready = items.flatMap(({ endpoints = [] }) => endpoints).filter(({ conditions }) => conditions.ready);
        return ready.length === count ? true : undefined;
      });

    it('reaches a NodePort over TCP and UDP from the machine itself, on each of its addresses', async () => {
      await endpointsReady('node-port', 2);
      const { spec } = await service('node-port');
      const port = spec.ports[0]?.nodePort ?? 0;
      expect(port).toBeGreaterThanOrEqual(30_000);
      const hostIP = await kubectl.run(['get', 'pod', 'tools', '-o', 'jsonpath={.status.hostIP}']);
      for (const host of ['127.0.0.1', hostIP]) {
        const { body } = await request(`http://${host}:${port}/version`);
        expect(await body.text()).toBe('1\n');
      }
      expect(await inside('tools', `curl -sS http://${hostIP}:${port}/version`)).toBe('1\n');
      expect((await service('node-port-udp')).spec.ports[0]?.nodePort).toBe(30_053);
      for (const host of ['127.0.0.1', hostIP])
        expect(await eventually('an answer', () => askUdp(host, 30_053, 'from the host'))).toBe('from the host');
      // Gone with the Service.
      await kubectl.run(['delete', 'service', 'node-port']);
      await eventually('the port to be closed', async () => ((await isOpen(port)) ? undefined : true));
    });

    it('carries UDP to a cluster IP, one conversation to one endpoint', async () => {
      const { spec } = await service('udp');
      const answer = await inside('tools', `for i in 1 2 3; do echo -n m$i | nc -u -w 1 ${spec.clusterIP} 53; done`);
      expect(answer).toBe('m1m2m3');
      expect(await askUdp(spec.clusterIP, 53, 'from the host')).toBe('from the host');
    });

    it('finds targets by port name, and several ports of one Service', async () => {
      const { spec } = await service('named');
      await endpointsReady('named', 2);
      expect(await inside('tools', 'curl -sS -m 5 http://named/version; curl -sS -m 5 http://named:8080/version')).toBe('1\n1\n');
      expect(spec.ports.map(({ name }) => name)).toEqual(['http', 'other']);
      expect(await inside('tools', 'curl -sS -m 5 http://named:81/ 2>&1 || true')).toMatch(/refused|Failed|timed out/i);
    });

    it('refuses connections to a Service without endpoints', async () => {
      expect(await inside('tools', 'nc -zv -w 5 empty 80 2>&1 || true')).toContain('Connection refused');
    });

    it('stays with one endpoint per client where it is told', async () => {
      const { spec } = await service('sticky');
      await endpointsReady('sticky', 2);
      const ask = `for i in 1 2 3 4 5 6 7 8 9 10; do curl -sS -m 5 http://${spec.clusterIP}/hostname; done`;
      expect(new Set((await inside('tools', ask)).trim().split('\n')).size).toBe(1);
      const unsticky = `for i in 1 2 3 4 5 6 7 8 9 10; do curl -sS -m 5 http://named/hostname; done`;
      expect(new Set((await inside('tools', unsticky)).trim().split('\n'))).toEqual(new Set(['web-0', 'web-1']));
    });

    it('serves endpoints that somebody else wrote', async () => {
      await kubectl.apply(
        list({
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: { name: 'by-hand-1', labels: { 'kubernetes.io/service-name': 'by-hand' } },
          addressType: 'IPv4',
          ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
          endpoints: [{ addresses: [await podIP('web-0')], conditions: { ready: true } }],
        }),
      );
      await eventually('an answer', async () =>
        (await inside('tools', 'curl -sS -m 2 http://by-hand/hostname')) === 'web-0\n' ? true : undefined,
      );
    });

    it('publishes addresses that are not ready only where it is told', async () => {
      await eventually('the address', async () =>
        (await dig('early.default.svc.cluster.local'))[0] === (await podIP('unready')) ? true : undefined,
      );
      expect(await dig('late.default.svc.cluster.local')).toEqual(['']);
      const ip = (await service('early-ip')).spec.clusterIP;
      expect(await inside('tools', `curl -sS -m 5 http://${ip}/version`)).toBe('1\n');
    });

    it('answers for Services of each sort', async () => {
      const name = (service: string): string => `${service}.default.svc.cluster.local`;
      expect(await dig(name('named'))).toEqual([(await service('named')).spec.clusterIP]);
      expect(await dig('-t', 'AAAA', name('named'))).toEqual(['']);
      expect(await dig(name('headless'))).toEqual([await podIP('web-0'), await podIP('web-1')].sort());
      expect(await dig(`web-0.${name('headless')}`)).toEqual([await podIP('web-0')]);
      expect(await dig('-t', 'SRV', `_http._tcp.${name('named')}`)).toEqual([`0 100 80 ${name('named')}.`]);
      expect(await dig('-t', 'SRV', `_http._tcp.${name('headless')}`)).toEqual([
        expect.stringMatching(/^0 \d+ 80 web-0\.headless\.default\.svc\.cluster\.local\.$/),
        expect.stringMatching(/^0 \d+ 80 web-1\.headless\.default\.svc\.cluster\.local\.$/),
      ]);
      expect(await dig('-x', (await service('named')).spec.clusterIP)).toEqual([`${name('named')}.`]);
      expect(await dig('-x', await podIP('web-1'))).toEqual([`web-1.${name('headless')}.`]);
      expect(await dig(name('elsewhere'))).toEqual([`${name('named')}.`, (await service('named')).spec.clusterIP].sort());
      expect(await dig(`${(await podIP('web-0')).replaceAll('.', '-')}.default.pod.cluster.local`)).toEqual([await podIP('web-0')]);
      expect(await inside('tools', `dig +noall +comments ${name('nobody')}`)).toContain('status: NXDOMAIN');
      // There, but not of this type.
      expect(await inside('tools', `dig +noall +comments -t MX ${name('named')}`)).toContain('status: NOERROR');
      expect(await inside('tools', `dig +tcp +short ${name('named')}`)).toBe(`${(await service('named')).spec.clusterIP}\n`);
      expect(await dig('dns-version.cluster.local', 'TXT')).toEqual(['"1.1.0"']);
    });

    it('answers by short names, in the C library and in busybox, and to the machine itself', async () => {
      const ip = (await service('named')).spec.clusterIP;
      for (const host of ['named', 'named.default', 'named.default.svc', 'named.default.svc.cluster.local']) {
        expect(await inside('tools', `curl -sS -m 5 -o /dev/null -w '%{remote_ip}' http://${host}/`)).toBe(ip);
        expect(await inside('busybox', `wget -qO- http://${host}/version`)).toBe('1\n');
      }
      expect(await inside('tools', 'curl -sS -m 5 http://web-1.headless/hostname')).toBe('web-1\n');
      expect(await inside('busybox', 'nslookup -type=a named.default.svc.cluster.local')).toContain(ip);
      const { stdout } = await runCommand(process.execPath, [
        '-e',
        `const r = new (require('dns').promises.Resolver)(); r.setServers(['${DNS_ADDRESS}']);
       r.resolve4('named.default.svc.cluster.local').then((found) => console.log(found.join()))`,
      ]);
      expect(stdout.trim()).toBe(ip);
    });

    it("answers in the host's network where the Pod asks for it", async () => {
      expect(await inside('on-host', 'curl -sS -m 5 http://named/version')).toBe('1\n');
    });

    it('lets a Pod reach itself through its Service', async () => {
      await endpointsReady('itself', 1);
      expect(
        await inside('web-0', 'curl -sS -m 5 http://itself/hostname; curl -sS -m 5 http://$(cat /etc/hostname).headless/hostname'),
      ).toBe('web-0\nweb-0\n');
    });

    it('opens host ports', async () => {
      const { body } = await request('http://127.0.0.1:18080/hostname');
      expect(await body.text()).toBe('web-1\n');
    });

    it('follows what becomes of a Service', async () => {
      await kubectl.run(['create', 'service', 'clusterip', 'changing', '--tcp=80:80']);
      await kubectl.run(['patch', 'service', 'changing', '-p', '{"spec":{"selector":{"app":"web"}}}']);
      await eventually('an answer', async () =>
        (await inside('tools', 'curl -sS -m 2 http://changing/version')) === '1\n' ? true : undefined,
      );
      await kubectl.run([
        'patch',
        'service',
        'changing',
        '-p',
        '{"spec":{"ports":[{"name":"80-80","port":80,"$patch":"delete"},{"name":"new","port":8081,"targetPort":80}]}}',
      ]);
      await eventually('the other port', async () =>
        (await inside('tools', 'curl -sS -m 2 http://changing:8081/version')) === '1\n' ? true : undefined,
      );
      await kubectl.run(['delete', 'service', 'changing']);
      await eventually('no name', async () => ((await dig('changing.default.svc.cluster.local'))[0] === '' ? true : undefined));
    });
  },
);

const UDP_ECHO = `socket(S, PF_INET, SOCK_DGRAM, 17) && bind(S, sockaddr_in(5353, INADDR_ANY)) or die $!;
  while (defined(my $peer = recv(S, my $text, 9000, 0))) { send(S, $text, 0, $peer) }`;

/** With a connection of its own: those that stand outlive the Service. */
function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function askUdp(host: string, port: number, text: string): Promise<string> {
  const socket = createSocket('udp4');
  return new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer from ${host}:${port}`)), 2_000);
    socket.once('message', (message) => {
      clearTimeout(timer);
      resolve(message.toString());
    });
    socket.once('error', reject);
    socket.send(text, port, host);
  }).finally(() => socket.close());
}

function objects(one: OneNode): readonly object[] {
  const [tools, web, busybox] = [one.image('tools:1'), one.image('web:1'), one.image('library/busybox:1.37')];
  const service = (name: string, spec: object): object => ({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec });
  const http = { name: 'http', port: 80, targetPort: 'web' };
  const webPod = (name: string, more: object = {}): object =>
    podObject(name, web, {
      metadata: { labels: { app: 'web', name } },
      spec: { hostname: name, subdomain: 'headless' },
      container: {
        ports: [{ name: 'web', containerPort: 80, ...more }],
        readinessProbe: { httpGet: { path: '/healthz', port: 'web' }, periodSeconds: 1 },
      },
    });
  const selector = { app: 'web' };
  return [
    podObject('tools', tools),
    podObject('busybox', busybox, { command: ['sleep', '3600'] }),
    podObject('on-host', tools, { spec: { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' } }),
    webPod('web-0'),
    webPod('web-1', { hostPort: 18_080 }),
    podObject('unready', web, {
      metadata: { labels: { app: 'unready' } },
      container: { readinessProbe: { exec: { command: ['false'] }, periodSeconds: 1 } },
    }),
    // Perl is in every Debian: nothing among the images' programs answers many peers over UDP.
    podObject('udp', 'host', { metadata: { labels: { app: 'udp' } }, command: ['perl', '-MSocket', '-e', UDP_ECHO] }),
    service('node-port', { type: 'NodePort', selector, ports: [http] }),
    service('node-port-udp', {
      type: 'NodePort',
      selector: { app: 'udp' },
      ports: [{ port: 53, targetPort: 5353, nodePort: 30_053, protocol: 'UDP' }],
    }),
    service('udp', { selector: { app: 'udp' }, ports: [{ port: 53, targetPort: 5353, protocol: 'UDP' }] }),
    service('named', { selector, ports: [http, { name: 'other', port: 8080, targetPort: 80 }] }),
    service('empty', { selector: { app: 'nobody' }, ports: [http] }),
    service('sticky', { selector, sessionAffinity: 'ClientIP', ports: [http] }),
    service('by-hand', { ports: [{ name: 'http', port: 80 }] }),
    service('headless', { clusterIP: 'None', selector, ports: [http] }),
    service('early', { clusterIP: 'None', selector: { app: 'unready' }, publishNotReadyAddresses: true, ports: [{ port: 80 }] }),
    service('early-ip', { selector: { app: 'unready' }, publishNotReadyAddresses: true, ports: [{ port: 80 }] }),
    service('late', { clusterIP: 'None', selector: { app: 'unready' }, ports: [{ port: 80 }] }),
    service('elsewhere', { type: 'ExternalName', externalName: 'named.default.svc.cluster.local' }),
    service('itself', { selector: { name: 'web-0' }, ports: [http] }),
  ];
}
