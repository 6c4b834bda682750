import { connect } from 'node:net';
import { eventually, freePort, type Kubectl } from '@dure/test-support';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clusterUnavailable } from './addresses.ts';
import { list, podObject } from './manifests.ts';
import { OneNode } from './one-node.ts';
import { inTerminal } from './terminal.ts';

const unavailable = clusterUnavailable();

/** Everything that flows between a person and a container, over each of the protocols that kubectl speaks. */
describe.skipIf(unavailable !== undefined)(
  `streams to and from containers${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let one: OneNode;
    let kubectl: Kubectl;

    beforeAll(async () => {
      one = await OneNode.start();
      kubectl = one.kubectl;
      const [busybox, web] = [one.image('library/busybox:1.37'), one.image('web:1')];
      await kubectl.apply(list(...objects({ busybox, web, tools: one.image('tools:1') })));
      await one.ready('talker', 'asker', 'echo', 'web', 'pair', 'tools');
    });

    afterAll(() => one?.[Symbol.asyncDispose]());

    describe.each([
      ['WebSocket', {}],
      ['SPDY', { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' }],
    ] as const)('over %s', (_protocol, protocolEnv) => {
      let spoken: Kubectl;
      beforeAll(() => {
        spoken = kubectl.withEnv(protocolEnv);
      });

      it('runs a command with input, both outputs and its exit code', async () => {
        expect(
          await spoken.run(['exec', '-i', 'talker', '--', 'sh', '-c', 'wc -c; echo to stderr >&2'], { input: 'x'.repeat(1_000_000) }),
        ).toBe('1000000\n');
        const failure = await spoken.fails(['exec', 'talker', '--', 'sh', '-c', 'echo out; echo err >&2; exit 42']);
        expect(failure).toContain('command terminated with exit code 42');
        expect(failure).toContain('err\n');
        expect(await spoken.fails(['exec', 'talker', '--', '/no/such'])).toMatch(/no such file or directory/i);
        const bytes = await spoken.run(['exec', 'talker', '--', 'sh', '-c', 'dd if=/dev/zero bs=1000 count=5000 2> /dev/null']);
        expect(bytes.length).toBe(5_000_000);
      });

      it('runs a command in a terminal of the right size', async () => {
        const { shown, code } = await inTerminal(spoken.program, ['exec', '-it', 'tools', '--', 'bash'], spoken.env, [
          { waitFor: /# /, type: 'tty; stty size\r' },
          { waitFor: /\/dev\/pts\/\d+\s+30 100/, type: 'exit 9\r' },
        ]);
        expect(shown).toContain('/dev/pts/');
        expect(code).toBe(9);
      });

      it('attaches to the program that runs', async () => {
        await using attached = await spoken.start(['attach', 'talker']);
        await attached.waitForLine(/^tick \d+$/);
        await one.ready('asker');
        const { shown } = await inTerminal(spoken.program, ['attach', '-it', 'asker'], spoken.env, [
          { waitFor: /If you don't see a command prompt/, type: 'ann\r' },
          { waitFor: /hello ann/, type: 'quit\r' },
        ]);
        expect(shown).toContain('hello ann');
      });

      it('forwards ports, both ways, many at once', async () => {
        const [http, echo] = [await freePort(), await freePort()];
        await using forward = await spoken.start(['port-forward', 'pod/web', `${http}:80`]);
        await using second = await spoken.start(['port-forward', 'pod/echo', `${echo}:7000`, '--address', '127.0.0.1']);
        await forward.waitForLine(/Forwarding from 127\.0\.0\.1/);
        await second.waitForLine(/Forwarding from 127\.0\.0\.1/);
        const answers = await Promise.all(Array.from({ length: 10 }, async () => (await request(`http://127.0.0.1:${http}/`)).body.text()));
        expect(new Set(answers)).toEqual(new Set(['dure web 1\n']));
        expect((await sendAndReceive(echo, Buffer.alloc(2_000_000, 'dure'))).equals(Buffer.alloc(2_000_000, 'dure'))).toBe(true);
        // A port that nobody listens on fails this connection and says so, but not the next.
        await using third = await spoken.start(['port-forward', 'pod/web', `${await freePort()}:81`]);
        const line = await third.waitForLine(/Forwarding from 127\.0\.0\.1/);
        await sendAndReceive(Number(/:(\d+) ->/.exec(line)?.[1]), Buffer.from('x')).catch(() => undefined);
        await third.waitForLine(/refused/);
      });
    });

    it('shows logs by container, age, stamp and number, and of the run before', async () => {
      expect(await kubectl.run(['logs', 'pair', '-c', 'b'])).toBe('b says hello\n');
      expect(sorted(await kubectl.run(['logs', 'pair', '--all-containers']))).toEqual(['a says hello', 'b says hello']);
      expect(sorted(await kubectl.run(['logs', 'pair', '--all-containers', '--prefix']))).toEqual([
        '[pod/pair/a] a says hello',
        '[pod/pair/b] b says hello',
      ]);
      expect(await kubectl.fails(['logs', 'pair', '-c', 'nobody'])).toContain('container nobody is not valid for pod pair');
      expect(await kubectl.run(['logs', 'counted', '--tail=3'])).toBe('8\n9\n10\n');
      expect(await kubectl.run(['logs', 'counted', '--limit-bytes=4'])).toBe('1\n2\n');
      const stamped = await kubectl.run(['logs', 'counted', '--timestamps', '--tail=1']);
      expect(stamped).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z 10\n$/);
      expect(await kubectl.run(['logs', 'counted', `--since-time=${new Date(Date.now() + 60_000).toISOString()}`])).toBe('');
      expect((await kubectl.run(['logs', 'talker', '--since=1s'])).trim().split('\n').length).toBeLessThan(6);
      await eventually('the run before', async () => ((await kubectl.run(['logs', 'twice', '--previous'])) === 'run\n' ? true : undefined));
      expect(await kubectl.fails(['logs', 'talker', '--previous'])).toContain(
        'previous terminated container "main" in pod "talker" not found',
      );
      expect(await kubectl.run(['logs', '-l', 'run in (counted)', '--tail=1'])).toBe('10\n');
      // Without an end of line, too.
      expect(await kubectl.run(['logs', 'unended'])).toBe('no end');
    });

    it('follows logs until the container ends', async () => {
      expect(await kubectl.run(['logs', '-f', 'passing'])).toBe('1\n2\n3\n');
      await using follow = await kubectl.start(['logs', '-f', 'talker', '--tail=1']);
      await follow.waitForLine(/^tick/);
    });

    it('copies a directory out and in, through tar', async () => {
      await one.inside('talker', 'mkdir -p /tmp/tree/deep; echo leaf > /tmp/tree/deep/leaf; ln -s deep/leaf /tmp/tree/link');
      await kubectl.run(['cp', 'talker:/tmp/tree', `${one.scratch}/tree`]);
      await kubectl.run(['cp', `${one.scratch}/tree`, 'pair:/tmp/again', '-c', 'a']);
      expect(await one.inside('pair', 'cat /tmp/again/deep/leaf', 'a')).toBe('leaf\n');
    });

    it('looks into a running Pod with a container that comes later', async () => {
      await kubectl.run(['debug', 'web', `--image=${one.image('tools:1')}`, '-c', 'late', '--target=web', '--', 'sleep', '3600']);
      await eventually('the late container', async () => ((await one.inside('web', 'true', 'late')) === '' ? true : undefined));
      expect(await one.inside('web', 'ps -eo args; curl -s http://127.0.0.1/', 'late')).toMatch(/nginx: master[\s\S]*dure web 1/);
      const state = await kubectl.run(['get', 'pod', 'web', '-o', 'jsonpath={.status.ephemeralContainerStatuses[0].state}']);
      expect(state).toContain('running');
    });

    it('looks around on the node', async () => {
      await kubectl.run(['debug', `node/${one.node}`, `--image=${one.image('tools:1')}`, '--', 'sh', '-c', 'hostname; ls -d /host/etc']);
      const helper = await eventually('its Pod', async () => {
        const names = (await kubectl.run(['get', 'pods', '-o', 'name'])).split('\n');
        return names.find((name) => name.startsWith(`pod/node-debugger-${one.node}`));
      });
      await kubectl.run(['wait', '--for=jsonpath={.status.phase}=Succeeded', helper, '--timeout=30s']);
      expect(await kubectl.run(['logs', helper])).toBe(`${one.node}\n/host/etc\n`);
    });

    it('refuses to stream with what is not there, in words', async () => {
      expect(await kubectl.fails(['exec', 'nobody', '--', 'true'])).toContain('pods "nobody" not found');
      expect(await kubectl.fails(['exec', 'talker', '-c', 'nobody', '--', 'true'])).toContain(
        'container nobody is not valid for pod talker',
      );
      expect(await kubectl.fails(['exec', 'counted', '--', 'true'])).toMatch(/completed pod|not running|container not found/);
      expect(await kubectl.fails(['port-forward', 'pod/counted', '1234:80'])).toMatch(/not running|Succeeded/);
    });

    it('knows what Pods and the node use', async () => {
      const line = await eventually('kubectl top', () => kubectl.run(['top', 'pod', 'busy', '--no-headers', '--containers']));
      const [, container, cpu, memory] = line.trim().split(/\s+/);
      expect(container).toBe('main');
      await eventually('the CPU that it uses', async () => {
        const used = await kubectl.run(['top', 'pod', 'busy', '--no-headers']);
        return Number.parseInt(used.trim().split(/\s+/)[1] ?? '0', 10) >= 10 ? true : undefined;
      });
      expect(cpu).toMatch(/^\d+m$/);
      expect(memory).toMatch(/^\d+Mi$/);
      expect(await kubectl.run(['top', 'node', '--no-headers'])).toMatch(new RegExp(`^${one.node}\\s+\\d+m\\s+\\d+%\\s+\\d+Mi\\s+\\d+%`));
    });

    it('reaches Pods and Services through the API server', async () => {
      expect(await kubectl.run(['get', '--raw', '/api/v1/namespaces/default/pods/web:80/proxy/version'])).toBe('1\n');
    });
  },
);

function sorted(text: string): string[] {
  return text.trim().split('\n').sort();
}

/** Sends all, then ends its side, and gives all that came back. */
function sendAndReceive(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const got: Buffer[] = [];
    let length = 0;
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('data', (data: Buffer) => {
      got.push(data);
      length += data.length;
      if (length >= bytes.length) socket.end();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(got)));
    socket.write(bytes);
  });
}

function objects({ busybox, web, tools }: { readonly busybox: string; readonly web: string; readonly tools: string }): readonly object[] {
  const sh = (script: string): { readonly command: readonly string[] } => ({ command: ['sh', '-c', script] });
  const once = { spec: { restartPolicy: 'Never' } };
  return [
    podObject('talker', busybox, sh('i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.5; done')),
    podObject('asker', busybox, {
      ...sh('while read name; do test "$name" = quit && exit; echo hello $name; done; sleep 3600'),
      container: { stdin: true, tty: true },
    }),
    podObject('echo', busybox, { command: ['nc', '-ll', '-p', '7000', '-e', 'cat'] }),
    podObject('tools', tools),
    podObject('web', web, { container: { name: 'web' } }),
    podObject('pair', busybox, {
      spec: { containers: ['a', 'b'].map((name) => ({ name, image: busybox, ...sh(`echo ${name} says hello; sleep 3600`) })) },
    }),
    podObject('counted', busybox, { ...once, ...sh('seq 10') }),
    podObject('unended', busybox, { ...once, ...sh('printf "no end"') }),
    podObject('passing', busybox, { ...once, ...sh('for i in 1 2 3; do echo $i; sleep 1; done') }),
    podObject('twice', busybox, { ...sh('echo run; sleep 1') }),
    // A tenth of a core: it must show, and not be in the way of the others.
    podObject('busy', busybox, sh('while true; do i=0; while [ $i -lt 5000 ]; do i=$((i+1)); done; sleep 0.1; done')),
  ];
}
