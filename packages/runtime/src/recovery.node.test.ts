import { type ChildProcess, execFile, fork } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { seededRandom, silentLogger, systemClock } from '@dure/foundation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openNativeRuntime } from './native-runtime.ts';
import { parseStat } from './process-identity.ts';
import { footprint, logged, type Machine, openMachine, textOf, waitForExit, whyNot } from './testing/machine.ts';

const reason = whyNot();
const agentProcess = fileURLToPath(new URL('./testing/agent-process.ts', import.meta.url));
const tsx = createRequire(import.meta.url).resolve('tsx');

interface Agent {
  readonly process: ChildProcess;
  readonly started: string[];
  readonly ready: Promise<{ readonly sandbox: string; readonly ids: readonly string[] }>;
  readonly opened: Promise<void>;
  /** Settles when the process is gone. */
  readonly gone: Promise<void>;
}

describe.skipIf(reason !== undefined)(`what outlives whom${reason === undefined ? '' : ` [skipped: ${reason}]`}`, () => {
  let machine: Machine;

  beforeAll(async () => {
    machine = await openMachine();
  });
  afterAll(async () => {
    await machine.close();
    expect(await footprint(machine.directory)).toMatchObject({ mounts: [], cgroups: [], processes: [] });
    expect((await footprint(machine.nodeName)).cgroups).toEqual([]);
  });

  /** Another process that opens the runtime on the same state and starts containers there. */
  function startAgent(count: number, script: string): Agent {
    const child = fork(agentProcess, [machine.nodeName, machine.directory, machine.rootfs, `${count}`, script], {
      execArgv: ['--import', tsx],
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const started: string[] = [];
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    let opened = (): void => undefined;
    const whenOpened = new Promise<void>((resolve) => {
      opened = resolve;
    });
    const ready = new Promise<{ sandbox: string; ids: string[] }>((resolve, reject) => {
      child.on('message', (message: { sandbox?: string; ids?: string[]; started?: string; opened?: boolean }) => {
        if (message.opened) opened();
        if (message.started !== undefined) started.push(message.started);
        if (message.sandbox !== undefined && message.ids !== undefined) resolve({ sandbox: message.sandbox, ids: message.ids });
      });
      child.once('exit', () => reject(new Error('the agent ended before it was ready')));
    });
    ready.catch(() => undefined);
    return { process: child, started, ready, opened: whenOpened, gone };
  }

  /** Hands the state over: our own runtime lets go, as if this process were another agent. */
  async function letGo(): Promise<void> {
    await machine.runtime[Symbol.asyncDispose]();
  }

  it.each([
    ['SIGKILL to the process', (pid: number) => process.kill(pid, 'SIGKILL')],
    ['SIGKILL to its group', (pid: number) => process.kill(-pid, 'SIGKILL')],
    ['Control-C', (pid: number) => process.kill(-pid, 'SIGINT')],
    ['a closed terminal', (pid: number) => process.kill(-pid, 'SIGHUP')],
  ])('containers outlive their agent: %s', async (_, kill) => {
    await letGo();
    const agent = startAgent(2, `i=0; trap 'echo end $i; exit 11' TERM; while :; do i=$((i+1)); echo line $i; sleep 0.01; done`);
    const { sandbox, ids } = await agent.ready;
    kill(agent.process.pid ?? 0);
    await agent.gone;
    machine.runtime = await machine.reopen();
    const found = await machine.runtime.listContainers({ sandboxId: sandbox });
    expect(found.map(({ id, state }) => [id, state]).sort()).toEqual(ids.map((id) => [id, 'running']).sort());
    expect((await machine.runtime.sandboxStatus(sandbox))?.state).toBe('ready');
    expect((await machine.exec(ids[0] ?? '', ['echo', 'still here'])).stdout).toBe('still here\n');
    for (const id of ids) {
      await machine.runtime.stopContainer(id, 10_000);
      expect(await machine.runtime.containerStatus(id)).toMatchObject({ state: 'exited', exitCode: 11, reason: 'Error' });
      const lines = textOf(await machine.log(id), 'stdout')
        .trim()
        .split('\n');
      const last = lines.pop();
      expect(last).toBe(`end ${lines.length}`);
      expect(lines).toEqual(lines.map((_, index) => `line ${index + 1}`));
    }
    await machine.runtime.removeSandbox(sandbox);
  });

  it('containers outlive a runtime that is closed in order', async () => {
    const sandbox = await machine.sandbox();
    const id = await machine.start(sandbox, ['sh', '-c', 'trap "exit 12" TERM; echo ready; while :; do sleep 0.02; done']);
    await logged(machine, id, 'ready');
    for (let times = 0; times < 3; times += 1) {
      await letGo();
      await new Promise((resolve) => setTimeout(resolve, 30));
      machine.runtime = await machine.reopen();
      expect(await machine.runtime.containerStatus(id)).toMatchObject({ state: 'running' });
    }
    await machine.runtime.stopContainer(id, 10_000);
    expect(await machine.runtime.containerStatus(id)).toMatchObject({ exitCode: 12 });
    await machine.runtime.removeSandbox(sandbox);
  });

  it('finds the exit codes and whole logs of what ended while there was no agent', async () => {
    await letGo();
    const agent = startAgent(3, 'seq 1 20000; sleep 0.3; echo last; exit 23');
    const { sandbox, ids } = await agent.ready;
    process.kill(agent.process.pid ?? 0, 'SIGKILL');
    await agent.gone;
    await new Promise((resolve) => setTimeout(resolve, 600));
    machine.runtime = await machine.reopen();
    for (const id of ids) {
      expect(await machine.runtime.containerStatus(id)).toMatchObject({ state: 'exited', exitCode: 23, reason: 'Error' });
      const text = textOf(await machine.log(id), 'stdout');
      expect(text === `${Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join('')}last\n`).toBe(true);
    }
    await machine.runtime.removeSandbox(sandbox);
  });

  it('reports a container whose supervisor was killed, and kills it', async () => {
    const sandbox = await machine.sandbox();
    const id = await machine.start(sandbox, ['sh', '-c', 'setsid sleep 8181 & sleep 8182']);
    const { pid } = (await machine.runtime.containerStatus(id)) ?? {};
    process.kill(supervisorOf(id), 'SIGKILL');
    const status = await waitForExit(machine.runtime, id);
    expect(status).toMatchObject({ reason: 'ContainerStatusUnknown', exitCode: 137 });
    await machine.runtime.removeContainer(id);
    // Its new parent may not have reaped it yet; a zombie does nothing any more.
    const left = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => ') Z');
    expect(parseStat(left).state).toBe('Z');
    await machine.runtime.removeSandbox(sandbox);
  });

  it('does the same when it comes back to a container whose supervisor died meanwhile', async () => {
    await letGo();
    const agent = startAgent(1, 'sleep 100000');
    const { sandbox, ids } = await agent.ready;
    process.kill(agent.process.pid ?? 0, 'SIGKILL');
    await agent.gone;
    process.kill(supervisorOf(ids[0] ?? ''), 'SIGKILL');
    machine.runtime = await machine.reopen();
    expect(await machine.runtime.containerStatus(ids[0] ?? '')).toMatchObject({ state: 'exited', reason: 'ContainerStatusUnknown' });
    await machine.runtime.removeSandbox(sandbox);
  });

  it('takes a start that was cut off for no start', async () => {
    const sandbox = await machine.sandbox();
    const id = await machine.create(sandbox, ['true']);
    const untouched = await machine.create(sandbox, ['true']);
    await writeFile(join(machine.directory, 'run', 'containers', id, 'plan'), 'dure-run pl');
    await letGo();
    machine.runtime = await machine.reopen();
    expect(await machine.runtime.containerStatus(id)).toMatchObject({ state: 'exited', reason: 'ContainerStatusUnknown' });
    expect(await machine.runtime.containerStatus(untouched)).toMatchObject({ state: 'created' });
    await machine.runtime.startContainer(untouched);
    await machine.exited(untouched);
    await machine.runtime.removeSandbox(sandbox);
  });

  it('removes what a killed agent left half made', async () => {
    const sandbox = await machine.sandbox();
    await letGo();
    await rm(join(machine.directory, 'run', 'sandboxes', sandbox, 'status.json'));
    machine.runtime = await machine.reopen();
    expect(await machine.runtime.sandboxStatus(sandbox)).toBeUndefined();
    expect((await footprint(machine.directory)).mounts.filter((line) => !line.includes('/bin/dure-run'))).toEqual([]);
  });

  it('forgets what another boot left', async () => {
    const sandbox = await machine.sandbox();
    await machine.runtime.removeSandbox(sandbox);
    await letGo();
    await writeFile(join(machine.directory, 'run', 'boot-id'), 'another boot');
    const stale = join(machine.directory, 'run', 'containers', 'stale');
    await mkdir(stale, { recursive: true });
    machine.runtime = await machine.reopen();
    expect(readdirSync(join(machine.directory, 'run', 'containers'))).toEqual([]);
    await rm(stale, { recursive: true, force: true });
  });

  it('has nothing lost, doubled or leaked after kills at random instants', async () => {
    const seed = Number(process.env.DURE_SEED ?? Math.trunc(Math.random() * 2 ** 31));
    const random = seededRandom(seed);
    const note = `seed ${seed}`;
    for (let round = 0; round < 12; round += 1) {
      await letGo();
      const agent = startAgent(20, 'echo up; exec sleep 100000');
      await agent.opened;
      await new Promise((resolve) => setTimeout(resolve, random.integer(180)));
      process.kill(agent.process.pid ?? 0, 'SIGKILL');
      await agent.gone;
      machine.runtime = await machine.reopen();
      const containers = await machine.runtime.listContainers();
      const running = containers.filter(({ state }) => state === 'running');
      for (const id of agent.started)
        expect(
          running.map((status) => status.id),
          note,
        ).toContain(id);
      // Every process in the containers' cgroups is the program of a container we know.
      const known = new Set(running.map(({ pid }) => pid));
      for (const pid of await processesOfNode(machine.nodeName)) expect(known, note).toContain(pid);
      for (const { state, id } of containers) {
        expect(['created', 'running', 'exited'], note).toContain(state);
        if (state === 'exited') expect((await machine.runtime.containerStatus(id))?.reason, note).toBe('ContainerStatusUnknown');
      }
      for (const { id } of await machine.runtime.listSandboxes()) await machine.runtime.removeSandbox(id);
      expect(await machine.runtime.listContainers(), note).toEqual([]);
      const left = await footprint(machine.directory);
      expect(
        left.mounts.filter((line) => !line.includes('/bin/dure-run')),
        note,
      ).toEqual([]);
      expect(left.processes, note).toEqual([]);
    }
  }, 120_000);

  it('says what the machine lacks, and what to do', async () => {
    const options = {
      nodeName: `${machine.nodeName}-lacking`,
      network: { attach: async () => ({ ips: [] }), detach: async () => undefined },
      clock: systemClock,
      log: silentLogger,
    };
    const directory = join(machine.directory, 'lacking');
    await expect(
      openNativeRuntime({ ...options, runDir: join(directory, 'run'), stateDir: join(directory, 'state'), binary: '/gone' }),
    ).rejects.toMatchObject({
      code: 'RUNTIME_HOST',
      remedy: expect.stringContaining('build.mjs'),
    });
    // A container's own root is an overlay: from within, the same directory is refused.
    const overlay = join(directory, 'overlay');
    for (const name of ['lower', 'upper', 'work', 'target']) await mkdir(join(overlay, name), { recursive: true });
    await promisify(execFile)('mount', [
      '-t',
      'overlay',
      'overlay',
      '-o',
      `lowerdir=${overlay}/lower,upperdir=${overlay}/upper,workdir=${overlay}/work`,
      join(overlay, 'target'),
    ]);
    try {
      await expect(openNativeRuntime({ ...options, runDir: join(directory, 'run'), stateDir: join(overlay, 'target') })).rejects.toThrow(
        /lies on overlayfs, which cannot hold writable layers; put the data directory on/,
      );
    } finally {
      await promisify(execFile)('umount', [join(overlay, 'target')]);
    }
    expect((await footprint(options.nodeName)).cgroups).toEqual([]);
  });

  it('leaves no descriptor open after many containers', async () => {
    const sandbox = await machine.sandbox();
    await machine.run(sandbox, ['true']);
    const before = readdirSync('/proc/self/fd').length;
    for (let times = 0; times < 30; times += 1) {
      const id = await machine.start(sandbox, ['sleep', '1000']);
      await machine.exec(id, ['true']);
      await machine.runtime.removeContainer(id);
    }
    await machine.runtime.removeSandbox(sandbox);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + 1);
  });

  function supervisorOf(id: string): number {
    const text = readFileSync(join(machine.directory, 'run', 'containers', id, 'started'), 'utf8');
    return (JSON.parse(text) as { supervisor: number }).supervisor;
  }
});

async function processesOfNode(nodeName: string): Promise<readonly number[]> {
  const groups = (await footprint(`${nodeName}/kubepods`)).cgroups;
  const texts = await Promise.all(groups.map((group) => readFile(join(group, 'cgroup.procs'), 'utf8').catch(() => '')));
  return texts.flatMap((text) => text.split('\n').filter(Boolean).map(Number));
}
