import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect, footprint, logged, type Machine, openMachine, textOf, until, whyNot } from './testing/machine.ts';

const reason = whyNot();

describe.skipIf(reason !== undefined)(`exec, attach and terminals${reason === undefined ? '' : ` [skipped: ${reason}]`}`, () => {
  let machine: Machine;
  let sandbox: string;
  /** A container that only waits. */
  let idle: string;

  beforeAll(async () => {
    machine = await openMachine();
    sandbox = await machine.sandbox();
    idle = await machine.start(sandbox, ['sleep', '100000'], { env: ['PATH=/bin', 'FROM=container'] });
  });
  afterAll(() => machine.close());

  it('executes a program with its code and both streams', async () => {
    expect(await machine.exec(idle, ['sh', '-c', 'echo out; echo err >&2; exit 42'])).toEqual({
      code: 42,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  it('tells 137 for one that is killed', async () => {
    expect((await machine.exec(idle, ['sh', '-c', 'kill -9 $$'])).code).toBe(137);
  });

  it('stands in the cgroup, namespaces and environment of the container', async () => {
    const script =
      'cat /proc/self/cgroup | grep ^0::; for n in pid net ipc uts mnt cgroup; do readlink /proc/self/ns/$n; done; echo $FROM $HOSTNAME $HOME; cat /proc/1/cmdline';
    const inside = await machine.exec(idle, ['sh', '-c', script]);
    const { pid } = (await machine.runtime.containerStatus(idle)) ?? { pid: 0 };
    const kinds = ['pid', 'net', 'ipc', 'uts', 'mnt', 'cgroup'];
    const expected = await Promise.all(kinds.map((kind) => readlink(`/proc/${pid}/ns/${kind}`)));
    expect(inside.stdout.split('\n')).toEqual(['0::/', ...expected, `container pod-1 /root`, 'sleep\x00100000\x00']);
  });

  it('is seen from outside in the cgroup of the container', async () => {
    const session = await machine.runtime.exec(idle, { command: ['sh', '-c', 'echo up; exec sleep 4242'], tty: false, stdin: false });
    await until(session, 'up');
    const { pid } = (await machine.runtime.containerStatus(idle)) ?? { pid: 0 };
    const cgroup = (text: string): string | undefined => text.split('\n').find((line) => line.startsWith('0::'));
    await eventually(async () => (await processNamed('4242')).length === 1);
    const found = await processNamed('4242');
    expect(found).toHaveLength(1);
    expect(cgroup(await readFile(`/proc/${found[0]}/cgroup`, 'utf8'))).toBe(cgroup(await readFile(`/proc/${pid}/cgroup`, 'utf8')));
    session.destroy();
    await expect(session.exited).rejects.toThrow(/cut/);
  });

  it('has the security of the container', async () => {
    const id = await machine.start(sandbox, ['sleep', '1000'], {
      security: { uid: 1000, gid: 1000, supplementalGroups: [5000], noNewPrivileges: true, capabilities: { add: [], drop: ['ALL'] } },
    });
    const { stdout } = await machine.exec(id, ['cat', '/proc/self/status']);
    for (const line of [
      'Uid:\t1000\t1000\t1000\t1000',
      'Groups:\t1000 5000',
      'CapBnd:\t0000000000000000',
      'CapEff:\t0000000000000000',
      'NoNewPrivs:\t1',
      'Seccomp:\t2',
    ]) {
      expect(stdout).toContain(line);
    }
    await machine.runtime.removeContainer(id);
  });

  it('says why a command cannot be executed', async () => {
    await expect(machine.runtime.exec(idle, { command: ['nonexistent'], tty: false, stdin: false })).rejects.toMatchObject({
      code: 'RUNTIME_CONTAINER_EXEC',
      message: 'exec: "nonexistent": executable file not found in $PATH',
    });
  });

  it('carries stdin to its end', async () => {
    const session = await machine.runtime.exec(idle, { command: ['wc', '-c'], tty: false, stdin: true });
    const block = Buffer.alloc(1_000_000, 'x');
    for (let times = 0; times < 5; times += 1) session.stdin?.write(block);
    session.stdin?.end();
    const [stdout, code] = await Promise.all([collect(session.stdout), session.exited]);
    expect([stdout.trim(), code]).toEqual(['5000000', 0]);
  });

  it('carries 20 MB through cat, both ways at once', async () => {
    const session = await machine.runtime.exec(idle, { command: ['cat'], tty: false, stdin: true });
    const block = Buffer.alloc(100_000, 'y');
    const sender = (async () => {
      for (let times = 0; times < 200; times += 1) {
        if (session.stdin?.write(block) === false) await new Promise((resolve) => session.stdin?.once('drain', resolve));
      }
      session.stdin?.end();
    })();
    let received = 0;
    for await (const chunk of session.stdout) received += (chunk as Buffer).length;
    await sender;
    expect(received).toBe(20_000_000);
    expect(await session.exited).toBe(0);
  });

  it('waits for a slow reader instead of dropping what it has not read', async () => {
    const session = await machine.runtime.exec(idle, { command: ['head', '-c', '3000000', '/dev/zero'], tty: false, stdin: false });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const [stdout, code] = await Promise.all([collect(session.stdout), session.exited]);
    expect([stdout.length, code]).toEqual([3_000_000, 0]);
  });

  it('does not wait for what a command leaves in the background', async () => {
    const began = performance.now();
    const { stdout, code } = await machine.exec(idle, ['sh', '-c', 'sleep 5151 & echo started']);
    expect([stdout, code]).toEqual(['started\n', 0]);
    expect(performance.now() - began).toBeLessThan(3_000);
    await eventually(async () => (await processNamed('5151')).length === 1);
    await machine.exec(idle, ['sh', '-c', 'kill $(ps | grep 515[1] | while read p x; do echo $p; done)']);
  });

  it('kills the command and its descendants when the session is destroyed', async () => {
    const session = await machine.runtime.exec(idle, {
      command: ['sh', '-c', 'setsid sleep 6161 & sleep 6162 & echo up; trap "" TERM HUP; wait'],
      tty: false,
      stdin: false,
    });
    await until(session, 'up');
    await eventually(async () => (await processNamed('616[12]')).length === 2);
    session.destroy();
    await expect(session.exited).rejects.toThrow();
    await eventually(async () => (await processNamed('616[12]')).length === 0);
    expect((await machine.runtime.containerStatus(idle))?.state).toBe('running');
  });

  it('kills what runs longer than it may', async () => {
    const session = await machine.runtime.exec(idle, { command: ['sleep', '7171'], tty: false, stdin: false, timeoutMs: 100 });
    expect(await session.exited).toBe(137);
    await eventually(async () => (await processNamed('7171')).length === 0);
  });

  it('gives exec a terminal of the container, of the size asked', async () => {
    const session = await machine.runtime.exec(idle, { command: ['sh'], tty: true, stdin: true });
    expect(session.stderr).toBeUndefined();
    session.resize(101, 31);
    session.stdin?.write('tty; stty size; stty -echo; echo $((40+2)); exit 3\n');
    const [stdout, code] = await Promise.all([collect(session.stdout), session.exited]);
    expect(stdout).toMatch(/\/dev\/pts\/0/);
    expect(stdout).toContain('31 101');
    expect(stdout).toContain('42');
    expect(code).toBe(3);
  });

  it('lets Control-C end what runs in a terminal', async () => {
    const session = await machine.runtime.exec(idle, { command: ['sh', '-c', 'echo up; sleep 1000'], tty: true, stdin: true });
    await until(session, 'up');
    session.stdin?.write('\x03');
    expect(await session.exited).toBe(130);
  });

  it('runs a program with a terminal of its own, logged, attached, resized', async () => {
    const id = await machine.start(sandbox, ['sh'], { tty: true, stdin: true, stdinOnce: false });
    const session = await machine.runtime.attach(id);
    session.resize(77, 22);
    session.stdin?.write('tty; stty size; ls -l /dev/console; id -u; echo the end; exit 4\n');
    const [stdout, code] = await Promise.all([collect(session.stdout), session.exited]);
    expect(stdout).toContain('/dev/pts/0');
    expect(stdout).toContain('22 77');
    expect(code).toBe(4);
    expect((await machine.exited(id)).exitCode).toBe(4);
    expect(textOf(await machine.log(id), 'stdout')).toContain('the end');
  });

  it('ends stdin with its first giver where it is read once', async () => {
    const id = await machine.start(sandbox, ['sh', '-c', 'wc -c; echo after'], { stdin: true, stdinOnce: true });
    const session = await machine.runtime.attach(id);
    session.stdin?.write(Buffer.alloc(300_000, 'z'));
    session.stdin?.end();
    const [stdout, code] = await Promise.all([collect(session.stdout), session.exited]);
    expect(stdout.replace(/\s+/g, ' ').trim()).toBe('300000 after');
    expect(code).toBe(0);
  });

  it('keeps stdin open for the next giver where it is not read once', async () => {
    const id = await machine.start(sandbox, ['sh', '-c', 'read a; echo got $a; read b; echo got $b'], { stdin: true });
    const first = await machine.runtime.attach(id);
    first.stdin?.write('one\n');
    await until(first, 'got one');
    first.destroy();
    const second = await machine.runtime.attach(id);
    second.stdin?.write('two\n');
    const [stdout, code] = await Promise.all([collect(second.stdout), second.exited]);
    expect([stdout, code]).toEqual(['got two\n', 0]);
  });

  it('shows the same output to everyone attached, and the log', async () => {
    const id = await machine.start(sandbox, ['sh', '-c', 'read go; seq 1 5000; echo err >&2'], { stdin: true });
    const sessions = await Promise.all([1, 2, 3].map(() => machine.runtime.attach(id)));
    // The last to attach gives the sign: by then all are served.
    const said = sessions.map((session) =>
      Promise.all([collect(session.stdout), session.stderr === undefined ? '' : collect(session.stderr), session.exited]),
    );
    sessions[2]?.stdin?.write('go\n');
    const expected = Array.from({ length: 5000 }, (_, index) => `${index + 1}\n`).join('');
    for (const [stdout, stderr, code] of await Promise.all(said)) {
      expect(stdout === expected).toBe(true);
      expect([stderr, code]).toEqual(['err\n', 0]);
    }
    expect(textOf(await machine.log(id), 'stdout') === expected).toBe(true);
  });

  it('gives a program without stdin its end at once', async () => {
    const { status, stdout } = await machine.run(sandbox, ['sh', '-c', 'cat; echo eof']);
    expect([status.exitCode, stdout]).toEqual([0, 'eof\n']);
  });

  it('carries a connection to a port inside the sandbox', async () => {
    const id = await machine.start(sandbox, ['sh', '-c', 'echo listening; nc -l -p 7777 -e cat']);
    await logged(machine, id, 'listening');
    const connection = await retry(() => machine.runtime.connect(sandbox, 7777));
    connection.write('ping through\n');
    const [answer] = await Promise.all([new Promise((resolve) => connection.once('data', (chunk: Buffer) => resolve(chunk.toString())))]);
    expect(answer).toBe('ping through\n');
    connection.end();
    await new Promise((resolve) => connection.once('close', resolve).resume());
    await expect(machine.runtime.connect(sandbox, 7778)).rejects.toThrow(/connect to 127.0.0.1 and ::1, port 7778: connection refused/);
  });

  it('ends a connection with either side, and its carrier with it', async () => {
    const id = await machine.start(sandbox, ['sh', '-c', 'echo listening; nc -l -p 7780 -e sleep 100 & nc -l -p 7781 -e echo bye; wait']);
    await logged(machine, id, 'listening');
    const silent = await retry(() => machine.runtime.connect(sandbox, 7780));
    const carriers = async (): Promise<number> =>
      (await footprint(machine.directory)).processes.filter((line) => line.includes(' connect ')).length;
    expect(await carriers()).toBe(1);
    silent.destroy();
    await eventually(async () => (await carriers()) === 0);
    const brief = await retry(() => machine.runtime.connect(sandbox, 7781));
    expect(await collect(brief)).toBe('bye\n');
    brief.end();
    await eventually(async () => (await carriers()) === 0);
    await machine.runtime.removeContainer(id);
  });

  it('answers an exec in what does not run with its state', async () => {
    const id = await machine.create(sandbox, ['true']);
    await expect(machine.runtime.exec(id, { command: ['true'], tty: false, stdin: false })).rejects.toMatchObject({
      code: 'RUNTIME_STATE',
    });
    await expect(machine.runtime.exec('nothing', { command: ['true'], tty: false, stdin: false })).rejects.toMatchObject({
      code: 'RUNTIME_NOT_FOUND',
    });
  });

  it('leaves no plan of an exec behind', async () => {
    const left = await readdir(join(machine.directory, 'run', 'containers', idle));
    expect(left.filter((name) => name.startsWith('exec-'))).toEqual([]);
  });
});

async function processNamed(pattern: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (new RegExp(`^sleep\0${pattern}\0$`).test(command)) found.push(pid);
  }
  return found;
}

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error('it did not come true within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function retry<T>(attempt: () => Promise<T>): Promise<T> {
  for (let times = 0; ; times += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (times === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
