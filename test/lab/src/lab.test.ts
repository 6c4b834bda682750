import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emulator } from './emulator.ts';
import { labUnavailable, makeLabNetwork } from './lab-network.ts';
import { VirtualMachine } from './virtual-machine.ts';
import { vmImage } from './vm-image.ts';

const unavailable = labUnavailable();

describe.skipIf(unavailable !== undefined)(`a lab machine${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  let directory: string;
  let machine: VirtualMachine;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dure-lab-'));
    await makeLabNetwork();
    machine = await VirtualMachine.start({ image: await vmImage(), emulator: await emulator(), directory, name: 'vm-1', number: 1 });
  });
  afterAll(async () => {
    await machine?.crash();
    await rm(directory, { recursive: true, force: true });
  });

  it('has a whole cgroup v2 tree', async () => {
    expect((await machine.run('cat /sys/fs/cgroup/cgroup.controllers')).split(/\s+/)).toEqual(
      expect.arrayContaining(['cpu', 'memory', 'pids']),
    );
  });

  it('answers with exit code and both outputs, also to commands at the same time', async () => {
    const [one, other] = await Promise.all([machine.sh('echo out; echo err >&2; exit 7'), machine.sh('printf %s "$(uname -n)"')]);
    expect(one).toEqual({ code: 7, stdout: 'out\n', stderr: 'err\n' });
    expect(other).toEqual({ code: 0, stdout: 'vm-1', stderr: '' });
  });

  it('runs Node.js, and reaches this side of the switch', async () => {
    expect(await machine.run('node -p process.version')).toBe(`${process.version}\n`);
    expect(await machine.run('ip route get 10.77.0.1')).toContain('dev eth0 src 10.77.0.11');
  });
});
