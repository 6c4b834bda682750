import { execFile } from 'node:child_process';
import { existsSync, readlinkSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { silentLogger, systemClock } from '@dure/foundation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NativeRuntime, openNativeRuntime } from './native-runtime.ts';
import { footprint, logged, type Machine, openMachine, whyNot } from './testing/machine.ts';

const reason = whyNot();

describe.skipIf(reason !== undefined)(`sandboxes${reason === undefined ? '' : ` [skipped: ${reason}]`}`, () => {
  let machine: Machine;

  beforeAll(async () => {
    machine = await openMachine();
  });
  afterAll(() => machine.close());

  it('has a hostname, a loopback that is up, and the usual network settings', async () => {
    const sandbox = await machine.sandbox({ hostname: 'web-0' });
    const { stdout } = await machine.run(sandbox, [
      'sh',
      '-c',
      'hostname; cat /etc/hostname; ip link show lo | grep -c UP; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range; ls /sys/class/net',
    ]);
    expect(stdout.replaceAll('\t', ' ')).toBe('web-0\nweb-0\n1\n0\n0 2147483647\nlo\n');
    await machine.runtime.removeSandbox(sandbox);
  });

  it('sets sysctls of its own namespaces, and none of the host', async () => {
    const sandbox = await machine.sandbox({ sysctls: { 'net.ipv4.ip_local_port_range': '40000 50000', 'kernel.shm_rmid_forced': '1' } });
    const { stdout } = await machine.run(sandbox, ['cat', '/proc/sys/net/ipv4/ip_local_port_range', '/proc/sys/kernel/shm_rmid_forced']);
    expect(stdout.replace(/\s+/g, ' ')).toBe('40000 50000 1 ');
    await machine.runtime.removeSandbox(sandbox);
  });

  it('says which sysctl there is not, and leaves nothing behind', async () => {
    const before = await machine.runtime.listSandboxes();
    await expect(machine.sandbox({ sysctls: { 'net.ipv4.wish': '1' } })).rejects.toThrow(
      'make sandbox: open /proc/sys/net/ipv4/wish: no such file or directory',
    );
    expect(await machine.runtime.listSandboxes()).toEqual(before);
    const left = await footprint(machine.directory);
    expect(left.mounts.filter((line) => !line.includes('/bin/dure-run'))).toEqual([]);
  });

  it('refuses a user namespace in so many words', async () => {
    const user = [{ containerId: 0, hostId: 100_000, size: 65_536 }];
    await expect(machine.sandbox({ namespaces: { network: 'pod', pid: 'container', ipc: 'pod', user } })).rejects.toMatchObject({
      code: 'RUNTIME_USER_NAMESPACE',
    });
  });

  it('lets two containers meet over the loopback and over shared memory', async () => {
    const sandbox = await machine.sandbox();
    const server = await machine.start(sandbox, [
      'sh',
      '-c',
      'echo from-shm > /dev/shm/note; echo listening; while :; do echo from-net | nc -l -p 8080; done',
    ]);
    await logged(machine, server, 'listening');
    const { stdout } = await machine.run(sandbox, [
      'sh',
      '-c',
      'cat /dev/shm/note; until nc 127.0.0.1 8080 2>/dev/null; do sleep 0.01; done',
    ]);
    expect(stdout).toBe('from-shm\nfrom-net\n');
    const elsewhere = await machine.sandbox();
    const { stdout: apart } = await machine.run(elsewhere, ['sh', '-c', 'ls /dev/shm; nc 127.0.0.1 8080 || echo refused']);
    expect(apart).toBe('refused\n');
    await machine.runtime.removeSandbox(sandbox);
    await machine.runtime.removeSandbox(elsewhere);
  });

  it('uses the namespaces of the node when told so', async () => {
    const sandbox = await machine.sandbox({ namespaces: { network: 'node', pid: 'node', ipc: 'node' } });
    const { stdout } = await machine.run(sandbox, ['sh', '-c', 'for n in net ipc uts pid; do readlink /proc/self/ns/$n; done'], {
      pid: 'node',
    });
    expect(stdout.trim().split('\n')).toEqual(['net', 'ipc', 'uts', 'pid'].map((kind) => readlinkSync(`/proc/self/ns/${kind}`)));
    const status = await machine.runtime.sandboxStatus(sandbox);
    expect(status).toMatchObject({ ips: [] });
    expect(status).not.toHaveProperty('networkNamespace');
    await machine.runtime.removeSandbox(sandbox);
  });

  it('shares a PID namespace whose first process reaps orphans and shows nothing of the host', async () => {
    const sandbox = await machine.sandbox({ namespaces: { network: 'pod', pid: 'pod', ipc: 'pod' } });
    const first = await machine.start(sandbox, ['sh', '-c', 'for i in 1 2 3 4 5; do (sleep 0.01 &) ; done; echo forked; sleep 1234'], {
      pid: 'pod',
    });
    await logged(machine, first, 'forked');
    const script = 'sleep 0.3; ps; cat /proc/1/comm; ls -A /proc/1/root/ | wc -l; grep -l "State:.Z" /proc/[0-9]*/status | wc -l';
    const { stdout } = await machine.run(sandbox, ['sh', '-c', script], {
      pid: 'pod',
      security: { capabilities: { add: ['SYS_PTRACE'], drop: [] } },
    });
    expect(stdout).toContain('sleep 1234');
    expect(stdout).toContain('dure-reaper');
    expect(stdout.trim().split('\n').slice(-2).map(Number)).toEqual([0, 0]);
    await machine.runtime.removeSandbox(sandbox);
  });

  it('joins the PID namespace of another container', async () => {
    const sandbox = await machine.sandbox();
    const target = await machine.start(sandbox, ['sleep', '4321']);
    const { stdout } = await machine.run(sandbox, ['ps'], { pid: { target } });
    expect(stdout).toContain('sleep 4321');
    await machine.runtime.stopContainer(target, 0);
    const late = await machine.create(sandbox, ['ps'], { pid: { target } });
    await expect(machine.runtime.startContainer(late)).rejects.toThrow(/does not run/);
    await machine.runtime.removeSandbox(sandbox);
  });

  it('is the same sandbox when asked for twice, also at once', async () => {
    const change = { metadata: { name: 'same', namespace: 'default', uid: 'same-uid', attempt: 0 }, cgroupParent: 'kubepods/podsame' };
    const ids = await Promise.all([machine.sandbox(change), machine.sandbox(change)]);
    expect(ids[0]).toBe(ids[1]);
    expect(await machine.sandbox(change)).toBe(ids[0]);
    expect(await machine.sandbox({ ...change, metadata: { ...change.metadata, attempt: 1 } })).not.toBe(ids[0]);
    for (const { id } of await machine.runtime.listSandboxes()) await machine.runtime.removeSandbox(id);
  });

  it('gives everything back: stopping and removing may be repeated', async () => {
    const sandbox = await machine.sandbox();
    const id = await machine.start(sandbox, ['sleep', '1000']);
    const { networkNamespace } = (await machine.runtime.sandboxStatus(sandbox)) ?? {};
    expect(existsSync(networkNamespace ?? '')).toBe(true);
    await machine.runtime.stopSandbox(sandbox);
    await machine.runtime.stopSandbox(sandbox);
    expect(await machine.runtime.sandboxStatus(sandbox)).toMatchObject({ state: 'not-ready' });
    expect(await machine.runtime.containerStatus(id)).toMatchObject({ state: 'exited', exitCode: 137 });
    await expect(machine.create(sandbox, ['true'])).rejects.toMatchObject({ code: 'RUNTIME_STATE' });
    await machine.runtime.removeSandbox(sandbox);
    await machine.runtime.removeSandbox(sandbox);
    await machine.runtime.removeContainer(id);
    expect(await machine.runtime.sandboxStatus(sandbox)).toBeUndefined();
    expect(existsSync(networkNamespace ?? '')).toBe(false);
    const left = await footprint(machine.directory);
    expect(left.processes).toEqual([]);
    expect(left.mounts.filter((line) => !line.includes('/bin/dure-run'))).toEqual([]);
    expect((await footprint(machine.nodeName)).cgroups.filter((path) => path.includes('/pod'))).toEqual([]);
  });

  it('leaves nothing when the network cannot be given', async () => {
    const directory = join(machine.directory, 'no-network');
    const runtime = await openNativeRuntime({
      nodeName: `${machine.nodeName}-no-network`,
      runDir: join(directory, 'run'),
      stateDir: join(directory, 'state'),
      network: { attach: () => Promise.reject(new Error('no address left')), detach: async () => undefined },
      clock: systemClock,
      log: silentLogger,
    });
    const config = {
      metadata: { name: 'a', namespace: 'b', uid: 'u', attempt: 0 },
      hostname: 'a',
      logDirectory: join(directory, 'logs'),
      labels: {},
      annotations: {},
      cgroupParent: 'kubepods/podu',
      namespaces: { network: 'pod', pid: 'pod', ipc: 'pod' },
      sysctls: {},
    } as const;
    await expect(runtime.runSandbox(config)).rejects.toThrow('no address left');
    expect(await runtime.listSandboxes()).toEqual([]);
    await runtime.tearDown();
    expect(await footprint(directory)).toMatchObject({ mounts: [], processes: [] });
    expect((await footprint(`${machine.nodeName}-no-network`)).cgroups).toEqual([]);
  });

  it('touches nothing that others keep in the run directory', async () => {
    const directory = join(machine.directory, 'shared-run');
    const open = (): Promise<NativeRuntime> =>
      openNativeRuntime({
        nodeName: `${machine.nodeName}-shared`,
        runDir: join(directory, 'run'),
        stateDir: join(directory, 'state'),
        network: { attach: async () => ({ ips: [] }), detach: async () => undefined },
        clock: systemClock,
        log: silentLogger,
      });
    const places = [join(directory, 'run', 'netns', 'services'), join(directory, 'run', 'volumes', 'secret')];
    for (const place of places) {
      await mkdir(place, { recursive: true });
      await promisify(execFile)('mount', ['-t', 'tmpfs', 'tmpfs', place]);
    }
    try {
      await (await open())[Symbol.asyncDispose]();
      await writeFile(join(directory, 'run', 'boot-id'), 'another boot');
      await (await open()).tearDown();
      const { mounts } = await footprint(directory);
      expect(mounts.map((line) => line.split(' ')[4])).toEqual(places);
    } finally {
      for (const place of places) await promisify(execFile)('umount', [place]);
    }
  });

  it('counts what a container uses', async () => {
    const sandbox = await machine.sandbox();
    const id = await machine.start(sandbox, ['sh', '-c', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo burnt; sleep 1000']);
    await logged(machine, id, 'burnt');
    const stats = await machine.runtime.containerStats(id);
    expect(stats?.cpuUsageNs).toBeGreaterThan(1_000_000);
    expect(stats?.memoryWorkingSetBytes).toBeGreaterThan(100_000);
    expect(stats?.pids).toBe(1);
    expect((await machine.runtime.sandboxStats(sandbox))?.cpuUsageNs).toBeGreaterThanOrEqual(stats?.cpuUsageNs ?? Number.NaN);
    await machine.runtime.stopContainer(id, 0);
    expect(await machine.runtime.containerStats(id)).toBeUndefined();
    await machine.runtime.removeSandbox(sandbox);
  });
});
