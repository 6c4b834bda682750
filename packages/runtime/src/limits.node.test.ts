import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@dure/foundation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Controller } from './cgroup-plan.ts';
import { CgroupTree, findCgroupMount } from './cgroup-tree.ts';
import { type Machine, openMachine, whyNot } from './testing/machine.ts';

const reason = whyNot();
const enforced = reason === undefined ? await enforcedHere() : new Set<Controller>();

/** Asked of the kernel before the tests are listed, so that what cannot be held here is skipped by name. */
async function enforcedHere(): Promise<ReadonlySet<Controller>> {
  const tree = await CgroupTree.open(await findCgroupMount(), `test-${process.pid}-probe`, systemClock);
  await tree.remove(tree.root);
  return new Set(
    tree
      .enforcement()
      .filter((one) => one.enforced)
      .map(({ controller }) => controller),
  );
}

function needs(...controllers: readonly Controller[]): { readonly skip: boolean; readonly why: string } {
  const missing = controllers.filter((controller) => !enforced.has(controller));
  return { skip: missing.length > 0, why: missing.length > 0 ? ` [skipped: no ${missing.join(', ')} controller in cgroup v2 here]` : '' };
}

describe.skipIf(reason !== undefined)(`limits${reason === undefined ? '' : ` [skipped: ${reason}]`}`, () => {
  let machine: Machine;
  let sandbox: string;

  beforeAll(async () => {
    machine = await openMachine();
    sandbox = await machine.sandbox({ resources: { memoryLimitBytes: 256 << 20, cpuLimitMillis: 1000, pidsMax: 200 } });
  });
  afterAll(() => machine.close());

  const file = async (id: string, name: string): Promise<string> => {
    const { pid } = (await machine.runtime.containerStatus(id)) ?? {};
    const line = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).split('\n').find((one) => one.startsWith('0::'));
    return (await readFile(join(await findCgroupMount(), line?.slice(3) ?? '', name), 'utf8')).trim();
  };

  const all = needs('cpu', 'memory', 'pids');
  it.skipIf(all.skip)(`are the kernel's own figures${all.why}`, async () => {
    const id = await machine.start(sandbox, ['sleep', '1000'], {
      resources: { cpuRequestMillis: 250, cpuLimitMillis: 500, memoryLimitBytes: 64 << 20, pidsMax: 50 },
    });
    expect(await file(id, 'cpu.max')).toBe('50000 100000');
    expect(await file(id, 'cpu.weight')).toBe('10');
    expect(await file(id, 'memory.max')).toBe(`${64 << 20}`);
    expect(await file(id, 'memory.oom.group')).toBe('1');
    expect(await file(id, 'pids.max')).toBe('50');
    expect(await file(id, '../memory.max')).toBe(`${256 << 20}`);
    await machine.runtime.updateContainerResources(id, { cpuLimitMillis: 5, memoryLimitBytes: 128 << 20 });
    expect(await file(id, 'cpu.max')).toBe('1000 100000');
    expect(await file(id, 'memory.max')).toBe(`${128 << 20}`);
    expect(await file(id, 'pids.max')).toBe('max');
    await machine.runtime.updateSandboxResources(sandbox, { memoryLimitBytes: 512 << 20 });
    expect(await file(id, '../memory.max')).toBe(`${512 << 20}`);
    await machine.runtime.removeContainer(id);
  });

  const memory = needs('memory');
  it.skipIf(memory.skip)(`report a program over its memory as OOMKilled, its neighbour unharmed${memory.why}`, async () => {
    const neighbour = await machine.start(sandbox, ['sleep', '1000']);
    const { status } = await machine.run(sandbox, ['tail', '/dev/zero'], { resources: { memoryLimitBytes: 30 << 20 } });
    expect(status).toMatchObject({ exitCode: 137, signal: 9, reason: 'OOMKilled' });
    expect((await machine.runtime.containerStatus(neighbour))?.state).toBe('running');
    const plain = await machine.run(sandbox, ['sh', '-c', 'kill -9 $$; exit 1'], { resources: { memoryLimitBytes: 30 << 20 } });
    expect(plain.status.reason).toBe('Error');
  });

  const pids = needs('pids');
  it.skipIf(pids.skip)(`keep a fork bomb inside${pids.why}`, async () => {
    const neighbour = await machine.start(sandbox, ['sleep', '1000']);
    const { status, stderr } = await machine.run(sandbox, ['sh', '-c', 'i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done'], {
      resources: { pidsMax: 20 },
    });
    expect(stderr).toContain("can't fork");
    expect(status.exitCode).not.toBe(0);
    expect((await machine.exec(neighbour, ['echo', 'fine'])).stdout).toBe('fine\n');
    await machine.runtime.removeContainer(neighbour);
  });

  const cpu = needs('cpu');
  it.skipIf(cpu.skip)(`slow down a busy loop${cpu.why}`, async () => {
    const id = await machine.start(sandbox, ['sh', '-c', 'while :; do :; done'], { resources: { cpuLimitMillis: 200 } });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const stats = await machine.runtime.containerStats(id);
    expect(stats?.cpuUsageNs).toBeLessThan(1.2e9);
    await machine.runtime.stopContainer(id, 0);
  });

  it('are told in words where they cannot be held', () => {
    for (const one of machine.runtime.enforcement()) {
      expect(one.enforced).toBe(enforced.has(one.controller));
      if (!one.enforced) expect([one.reason, one.remedy].join(' ').length).toBeGreaterThan(20);
    }
  });

  it('are never a reason not to run', async () => {
    const { status } = await machine.run(sandbox, ['true'], {
      resources: { cpuLimitMillis: 1, memoryLimitBytes: 64 << 20, pidsMax: 10, oomScoreAdj: 1000 },
    });
    expect(status.exitCode).toBe(0);
  });

  it('set the score of the OOM killer, as far as the kernel allows', async () => {
    const { stdout } = await machine.run(sandbox, ['cat', '/proc/self/oom_score_adj'], { resources: { oomScoreAdj: 987 } });
    expect(stdout).toBe('987\n');
    const lower = await machine.run(sandbox, ['true'], { resources: { oomScoreAdj: -900 } });
    expect(lower.status.exitCode).toBe(0);
  });
});
