import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileStatic, footprint, logged, type Machine, openMachine, textOf, whyNot } from './testing/machine.ts';

const reason = whyNot();

describe.skipIf(reason !== undefined)(`running a container${reason === undefined ? '' : ` [skipped: ${reason}]`}`, () => {
  let machine: Machine;
  let sandbox: string;

  beforeAll(async () => {
    machine = await openMachine();
    sandbox = await machine.sandbox();
  });

  afterAll(async () => {
    await machine.close();
    expect(await footprint(machine.directory)).toEqual({ mounts: [], cgroups: [], processes: [], descriptors: expect.anything() });
    expect((await footprint(machine.nodeName)).cgroups).toEqual([]);
  });

  it.each([
    ['exit 0', 0, undefined, 'Completed'],
    ['exit 1', 1, undefined, 'Error'],
    ['exit 137', 137, undefined, 'Error'],
  ] as const)('tells the exit code of `%s`', async (script, exitCode, signal, reason) => {
    const { status } = await machine.run(sandbox, ['sh', '-c', script]);
    expect(status).toMatchObject({ exitCode, reason });
    expect(status.signal).toBe(signal);
    expect(status.finishedAtMs).toBeGreaterThanOrEqual(status.startedAtMs ?? Number.NaN);
  });

  it('tells a program killed by SIGKILL from one that exits with 137', async () => {
    const id = await machine.start(sandbox, ['sleep', '1000']);
    await machine.runtime.stopContainer(id, 0);
    expect(await machine.runtime.containerStatus(id)).toMatchObject({ exitCode: 137, signal: 9, reason: 'Error' });
  });

  it('ends a program that handles SIGTERM with its own code, well before the grace is over', async () => {
    const id = await machine.start(sandbox, ['sh', '-c', 'trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done']);
    await logged(machine, id, 'ready');
    const began = performance.now();
    await machine.runtime.stopContainer(id, 20_000);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(await machine.runtime.containerStatus(id)).toMatchObject({ exitCode: 7 });
  });

  it('kills what ignores its stop signal once the grace is over', async () => {
    const id = await machine.start(sandbox, ['sh', '-c', 'trap "" TERM; echo ready; sleep 1000']);
    await logged(machine, id, 'ready');
    await machine.runtime.stopContainer(id, 100);
    expect(await machine.runtime.containerStatus(id)).toMatchObject({ exitCode: 137, signal: 9 });
  });

  it('ends with 143 and SIGTERM where the program has the default action', async () => {
    // PID 1 of a PID namespace ignores what it does not handle; beside a shared one it does not.
    const shared = await machine.sandbox({ namespaces: { network: 'pod', pid: 'pod', ipc: 'pod' } });
    const id = await machine.start(shared, ['sleep', '1000'], { pid: 'pod' });
    await machine.runtime.stopContainer(id, 10_000);
    expect(await machine.runtime.containerStatus(id)).toMatchObject({ exitCode: 143, signal: 15 });
    await machine.runtime.removeSandbox(shared);
  });

  it('sends the stop signal the image asks for', async () => {
    const id = await machine.start(sandbox, ['sh', '-c', 'trap "exit 9" USR1; trap "" TERM; echo ready; while :; do sleep 0.05; done'], {
      stopSignal: 'SIGUSR1',
    });
    await logged(machine, id, 'ready');
    await machine.runtime.stopContainer(id, 20_000);
    expect(await machine.runtime.containerStatus(id)).toMatchObject({ exitCode: 9 });
  });

  it('starts with no signal ignored or blocked', async () => {
    const { stdout } = await machine.run(sandbox, ['cat', '/proc/self/status']);
    expect(/SigIgn:\s*(\w+)/.exec(stdout)?.[1]).toBe('0000000000000000');
    expect(/SigBlk:\s*(\w+)/.exec(stdout)?.[1]).toBe('0000000000000000');
  });

  it('passes nothing on but the three standard streams', async () => {
    const { stdout } = await machine.run(sandbox, ['sh', '-c', 'ls /proc/$$/fd; true']);
    expect(stdout.split('\n').filter((fd) => fd !== '' && Number(fd) < 10)).toEqual(['0', '1', '2']);
  });

  it('gives both streams to the log, the tail without a newline as a part', async () => {
    const id = await machine.start(sandbox, ['sh', '-c', 'echo out; sleep 0.05; echo err >&2; sleep 0.05; printf tail']);
    await machine.exited(id);
    const lines = await machine.log(id);
    expect(lines.map(({ stream, tag, text }) => [stream, tag, text])).toEqual([
      ['stdout', 'F', 'out'],
      ['stderr', 'F', 'err'],
      ['stdout', 'P', 'tail'],
    ]);
    for (const { time } of lines) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  });

  it('joins what is written in pieces to one line, and cuts lines of more than 16 KiB', async () => {
    const id = await machine.start(sandbox, [
      'sh',
      '-c',
      'printf a; sleep 0.05; printf b; sleep 0.05; echo c; head -c 40000 /dev/zero | tr "\\0" x; echo'.replace('tr', '/bin/busybox tr'),
    ]);
    await machine.exited(id);
    const lines = await machine.log(id);
    expect(lines.map(({ tag, text }) => [tag, text.length])).toEqual([
      ['F', 3],
      ['P', 16_384],
      ['P', 16_384],
      ['F', 40_000 - 2 * 16_384],
    ]);
  });

  it('loses no byte of a flood of 2 MB on both streams', async () => {
    const { stdout, stderr, status } = await machine.run(sandbox, ['sh', '-c', 'seq 1 200000 & seq 200001 400000 >&2; wait']);
    expect(status.exitCode).toBe(0);
    const numbers = (from: number, to: number): string => Array.from({ length: to - from + 1 }, (_, index) => `${from + index}\n`).join('');
    expect(stdout === numbers(1, 200_000)).toBe(true);
    expect(stderr === numbers(200_001, 400_000)).toBe(true);
  });

  it('goes on in a new log file after the old one was renamed', async () => {
    const id = await machine.start(sandbox, ['sh', '-c', 'trap "echo after; exit 0" TERM; echo before; while :; do sleep 0.02; done']);
    const { logPath } = (await machine.runtime.containerStatus(id)) ?? { logPath: '' };
    await logged(machine, id, 'before');
    await rename(logPath, `${logPath}.1`);
    await machine.runtime.reopenLog(id);
    await machine.runtime.stopContainer(id, 10_000);
    expect(await readFile(`${logPath}.1`, 'utf8')).toContain('before');
    const fresh = await readFile(logPath, 'utf8');
    expect(fresh).toContain('after');
    expect(fresh).not.toContain('before');
  });

  it('kills what a program leaves behind when it ends', async () => {
    const shared = await machine.sandbox({ namespaces: { network: 'pod', pid: 'pod', ipc: 'pod' } });
    const id = await machine.start(shared, ['sh', '-c', 'setsid sleep 4711 & echo done'], { pid: 'pod' });
    await machine.exited(id);
    const other = await machine.run(shared, ['ps'], { pid: 'pod' });
    expect(other.stdout).not.toContain('4711');
    await machine.runtime.removeSandbox(shared);
  });

  it('sets PATH, HOSTNAME and, from the passwd of the image, HOME', async () => {
    const { stdout } = await machine.run(sandbox, ['/bin/env'], { env: ['A=b'], security: { uid: 1000, gid: 1000 } });
    expect(stdout.split('\n')).toEqual(
      expect.arrayContaining([
        'A=b',
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        'HOSTNAME=pod-1',
        'HOME=/srv/web',
      ]),
    );
  });

  it('makes the working directory when the image has none', async () => {
    const { stdout } = await machine.run(sandbox, ['sh', '-c', 'pwd'], { workingDir: '/srv/app/deep' });
    expect(stdout).toBe('/srv/app/deep\n');
  });

  it('runs a static program in an image that holds nothing else', async () => {
    const scratch = join(machine.directory, 'scratch');
    await mkdir(scratch);
    await compileStatic(
      scratch,
      'hello',
      '#include <stdio.h>\n#include <unistd.h>\nint main(void) { printf("pid %d uid %d\\n", getpid(), getuid()); return 5; }\n',
    );
    const { status, stdout } = await machine.run(sandbox, ['/hello'], {
      rootfs: { kind: 'layers', lowerDirs: [scratch] },
      security: { uid: 65_532, gid: 65_532 },
    });
    expect(stdout).toBe('pid 1 uid 65532\n');
    expect(status.exitCode).toBe(5);
  });

  it('stacks layers, the topmost first, names with colons and commas included', async () => {
    const layers = ['sha256:top', 'with,comma', 'plain'].map((name) => join(machine.directory, 'layers', name));
    for (const [index, layer] of layers.entries()) {
      await mkdir(layer, { recursive: true });
      await writeFile(join(layer, 'who'), `layer ${index}\n`);
      await writeFile(join(layer, `only-${index}`), `only ${index}\n`);
    }
    const { stdout } = await machine.run(sandbox, ['sh', '-c', 'cat /who /only-*'], {
      rootfs: { kind: 'layers', lowerDirs: [...layers, machine.rootfs] },
    });
    expect(stdout).toBe('layer 0\nonly 0\nonly 1\nonly 2\n');
  });

  it('takes a hundred layers', async () => {
    const layers = Array.from({ length: 100 }, (_, index) => join(machine.directory, 'many', `sha256:${String(index).padStart(64, '0')}`));
    for (const [index, layer] of layers.entries()) {
      await mkdir(layer, { recursive: true });
      await writeFile(join(layer, `f${index}`), '');
    }
    const { stdout } = await machine.run(sandbox, ['sh', '-c', 'ls -d /f* | wc -l'], {
      rootfs: { kind: 'layers', lowerDirs: [...layers, machine.rootfs] },
    });
    expect(stdout.trim()).toBe('100');
  });

  it('keeps what one container writes from the next one of the same image', async () => {
    await machine.run(sandbox, ['sh', '-c', 'echo mine > /etc/mine']);
    const { stdout } = await machine.run(sandbox, ['ls', '/etc']);
    expect(stdout).not.toContain('mine');
  });

  it.each([
    [['nonexistent'], 'exec: "nonexistent": executable file not found in $PATH'],
    [['/bin/nonexistent'], 'exec: "/bin/nonexistent": no such file or directory'],
    [['/etc/passwd'], 'exec: "/etc/passwd": permission denied'],
    [['/etc'], 'exec: "/etc": permission denied'],
  ])('says why %j cannot be executed', async (command, message) => {
    const id = await machine.create(sandbox, command);
    await expect(machine.runtime.startContainer(id)).rejects.toMatchObject({
      code: 'RUNTIME_CONTAINER_START',
      reason: 'StartError',
      message,
    });
    expect(await machine.runtime.containerStatus(id)).toMatchObject({ state: 'exited', exitCode: 128, reason: 'StartError', message });
  });

  it('names the mount source that does not exist', async () => {
    const id = await machine.create(sandbox, ['true'], {
      mounts: [{ source: '/does/not/exist', target: '/x', readOnly: false, propagation: 'private' }],
    });
    await expect(machine.runtime.startContainer(id)).rejects.toThrow('open mount source /does/not/exist: no such file or directory');
    await machine.runtime.removeContainer(id);
  });

  it('ends what was begun when a start is called back', async () => {
    for (const delayMs of [0, 1, 3, 6, 12]) {
      const id = await machine.create(sandbox, ['sleep', '9191']);
      const stop = new AbortController();
      const started = machine.runtime.startContainer(id, stop.signal);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      stop.abort(new Error('no longer wanted'));
      const outcome = await started.then(
        () => 'started',
        (error: Error) => error.message,
      );
      // Whoever was told that it runs finds it running; nobody else finds anything.
      const state = (await machine.runtime.containerStatus(id))?.state;
      expect([outcome, state]).toEqual(outcome === 'started' ? ['started', 'running'] : ['no longer wanted', 'exited']);
      await machine.runtime.removeContainer(id);
    }
    expect((await footprint(machine.directory)).processes).toEqual([]);
  });

  it('creates the same container once', async () => {
    const metadata = { name: 'once', attempt: 3 };
    const first = await machine.create(sandbox, ['true'], { metadata });
    expect(await machine.create(sandbox, ['true'], { metadata })).toBe(first);
    await machine.runtime.removeContainer(first);
  });

  it('tells of start and exit as they happen', async () => {
    const over = new AbortController();
    const seen: string[] = [];
    const events = machine.runtime.events(over.signal);
    const id = await machine.start(sandbox, ['true']);
    for await (const event of events) {
      if ('containerId' in event && event.containerId === id) seen.push(event.kind);
      if (event.kind === 'exited') break;
    }
    over.abort();
    expect(seen).toEqual(['started', 'exited']);
  });

  it('starts a hundred at once without holding up the event loop', async () => {
    const busy = await machine.sandbox();
    const ids = await Promise.all(Array.from({ length: 100 }, () => machine.create(busy, ['sleep', '1000'])));
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    await Promise.all(ids.map((id) => machine.runtime.startContainer(id)));
    clearInterval(timer);
    const states = await machine.runtime.listContainers({ sandboxId: busy });
    expect(states.filter(({ state }) => state === 'running')).toHaveLength(100);
    await machine.runtime.removeSandbox(busy);
    expect(await machine.runtime.listContainers({ sandboxId: busy })).toEqual([]);
    // Generous: other work shares this machine. Starting one after the other would be far above.
    expect(longest).toBeLessThan(1000);
  });

  it('runs on the root of the host with its secrets hidden', async () => {
    const { stdout, status } = await machine.run(
      sandbox,
      [
        'sh',
        '-c',
        `ls /root /home | wc -c; cat /etc/shadow | wc -c; ls ${machine.directory}/run 2>/dev/null | wc -l; test -x /usr/bin/env && echo usr; touch /usr/bin/mine && echo wrote`,
      ],
      { rootfs: { kind: 'host', hide: [] }, env: [] },
    );
    expect(status.exitCode).toBe(0);
    const [home, shadow, run, usr] = stdout.split('\n').map((line) => line.trim());
    expect(Number(home)).toBeLessThanOrEqual('/home:\n\n/root:\n'.length);
    expect([shadow, run, usr]).toEqual(['0', '0', 'usr']);
  });

  it('keeps the text of a log whole', async () => {
    const id = await machine.start(sandbox, ['printf', 'a\\nb\\n\\nc']);
    await machine.exited(id);
    expect(textOf(await machine.log(id), 'stdout')).toBe('a\nb\n\nc');
  });
});
