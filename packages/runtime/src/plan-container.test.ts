import { describe, expect, it } from 'vitest';
import type { ContainerConfig, MountSpec, SandboxConfig } from './contract.ts';
import { planHostRoot } from './host-root.ts';
import { parseMountTable } from './mount-table.ts';
import type { Directive } from './plan.ts';
import { type ContainerFacts, planContainer } from './plan-container.ts';
import { planExec } from './plan-exec.ts';
import { planSandbox, planSandboxRemoval, sysctlPath } from './plan-sandbox.ts';
import { statePaths } from './state-paths.ts';

const paths = statePaths('/run/dure/n', '/var/lib/dure/n');

const sandbox: SandboxConfig = {
  metadata: { name: 'web', namespace: 'default', uid: 'u', attempt: 0 },
  hostname: 'web',
  logDirectory: '/var/log/pods/web',
  labels: {},
  annotations: {},
  cgroupParent: 'kubepods/podu',
  namespaces: { network: 'pod', pid: 'container', ipc: 'pod' },
  sysctls: {},
};

const config: ContainerConfig = {
  metadata: { name: 'c', attempt: 0 },
  labels: {},
  annotations: {},
  image: 'i',
  rootfs: { kind: 'layers', lowerDirs: ['/l/top', '/l/base'] },
  command: ['run', 'it'],
  env: ['A=b'],
  workingDir: '',
  mounts: [],
  devices: [],
  security: {
    uid: 0,
    gid: 0,
    supplementalGroups: [],
    capabilities: { add: [], drop: [] },
    privileged: false,
    noNewPrivileges: false,
    readOnlyRoot: false,
    seccomp: { kind: 'default' },
    maskedPaths: ['/proc/keys'],
    readonlyPaths: ['/proc/sys'],
  },
  resources: {},
  logPath: 'c/0.log',
  stdin: false,
  stdinOnce: false,
  tty: false,
  stopSignal: 'SIGTERM',
  pid: 'container',
};

const facts: ContainerFacts = {
  sandbox,
  sandboxPaths: paths.sandbox('S'),
  paths: paths.container('C'),
  cgroup: '/cg/c',
  supervisorCgroup: '/cg/supervisors',
  logPath: '/var/log/pods/web/c/0.log',
  availableCapabilities: (1n << 41n) - 1n,
  devices: [],
};

const named = (plan: readonly Directive[], name: string): readonly Directive[] => plan.filter(([directive]) => directive === name);
const change = (extra: Partial<ContainerConfig>): ContainerConfig => ({ ...config, ...extra });
const secure = (extra: Partial<ContainerConfig['security']>): ContainerConfig => change({ security: { ...config.security, ...extra } });
const mount = (target: string, extra: Partial<MountSpec> = {}): MountSpec => ({
  source: `/src${target}`,
  target,
  readOnly: false,
  propagation: 'private',
  ...extra,
});

describe('the plan of a container', () => {
  it('joins what the sandbox holds and makes the rest anew', () => {
    const plan = planContainer(config, facts);
    expect(named(plan, 'join')).toEqual([
      ['join', 'net', '/run/dure/n/netns/S'],
      ['join', 'uts', '/run/dure/n/sandboxes/S/uts'],
      ['join', 'ipc', '/run/dure/n/sandboxes/S/ipc'],
    ]);
    expect(named(plan, 'unshare')).toEqual([
      ['unshare', 'pid'],
      ['unshare', 'cgroup'],
    ]);
  });

  it("stays in the node's namespaces where the Pod does", () => {
    const onNode = { ...facts, sandbox: { ...sandbox, namespaces: { network: 'node', pid: 'node', ipc: 'node' } as const } };
    const plan = planContainer(change({ pid: 'node' }), onNode);
    expect(named(plan, 'join')).toEqual([]);
    expect(named(plan, 'unshare')).toEqual([['unshare', 'cgroup']]);
    expect(named(plan, 'bind').find(([, , target]) => target === '/dev/shm')?.[1]).toBe('/dev/shm');
  });

  it('joins a PID namespace by the identity of a process', () => {
    const plan = planContainer(change({ pid: 'pod' }), { ...facts, pidNamespaceOf: { pid: 77, startTime: '123456' } });
    expect(named(plan, 'join-process')).toEqual([['join-process', 'pid', 77, '123456']]);
    expect(named(plan, 'unshare')).toEqual([['unshare', 'cgroup']]);
  });

  it('mounts the outer before the inner, volumes before masks, and turns the root read-only last', () => {
    const plan = planContainer(
      { ...secure({ readOnlyRoot: true }), mounts: [mount('/a/b/c'), mount('/a'), mount('/a/b/', { readOnly: true }), mount('/a//d')] },
      facts,
    );
    const targets = named(plan, 'bind').map(([, , target]) => target);
    expect(targets.slice(-4)).toEqual(['/a', '/a/b/', '/a//d', '/a/b/c']);
    const order = plan.map(([name]) => name);
    expect(order.lastIndexOf('bind')).toBeLessThan(order.indexOf('mask'));
    expect(named(plan, 'root-flags')).toEqual([['root-flags', 'ro,nodev']]);
    expect(order.indexOf('root-flags')).toBeGreaterThan(order.lastIndexOf('readonly'));
  });

  it('lets a volume take the place of what the runtime would mount', () => {
    const plan = planContainer(change({ mounts: [mount('/dev/shm'), mount('/etc/hostname')] }), facts);
    for (const target of ['/dev/shm', '/etc/hostname']) {
      expect(named(plan, 'bind').filter((bind) => bind[2] === target)).toEqual([['bind', `/src${target}`, target, 'rnodev', 'private']]);
    }
  });

  it('passes on read-only, recursion, propagation and size of volumes', () => {
    const plan = planContainer(
      change({
        mounts: [
          mount('/r', { readOnly: true }),
          mount('/rr', { readOnly: true, recursiveReadOnly: true, propagation: 'rslave' }),
          mount('/s', { propagation: 'rshared' }),
          mount('/t', { tmpfsSizeBytes: 1024 }),
        ],
      }),
      facts,
    );
    expect(plan).toContainEqual(['bind', '/src/r', '/r', 'rnodev,ro', 'private']);
    expect(plan).toContainEqual(['bind', '/src/rr', '/rr', 'rnodev,rro', 'rslave']);
    expect(plan).toContainEqual(['bind', '/src/s', '/s', 'rnodev', 'rshared']);
    expect(plan).toContainEqual(['mount', 'tmpfs', 'tmpfs', '/t', 'nosuid,nodev', 'mode=1777,size=1024']);
  });

  it('gives a user other than root no capabilities, but the bounding set', () => {
    const [caps] = named(planContainer(secure({ uid: 1000, gid: 1000, supplementalGroups: [7, 1000] }), facts), 'capabilities');
    expect(caps).toEqual(['capabilities', 'a80425fb', '0', '0', '0', '0']);
    const plan = planContainer(secure({ uid: 1000, gid: 1000, supplementalGroups: [7, 1000] }), facts);
    expect(named(plan, 'groups')).toEqual([['groups', 1000, 7]]);
  });

  it('keeps a privileged container in the cgroup namespace of the host, its devices made and its file systems writable', () => {
    const disk = {
      path: '/dev/sda',
      containerPath: '/dev/sda',
      permissions: 'rwm',
      type: 'b',
      major: 8,
      minor: 0,
      mode: 0o60660,
      uid: 0,
      gid: 6,
    } as const;
    const plan = planContainer(secure({ privileged: true }), { ...facts, devices: [disk] });
    expect(named(plan, 'unshare')).toEqual([['unshare', 'pid']]);
    expect(plan).toContainEqual(['mknod', '/dev/sda', 'b', 8, 0, 0o660, 0, 6]);
    expect(plan).toContainEqual(['mount', 'sysfs', 'sysfs', '/sys', 'nosuid,nodev,noexec', '']);
  });

  it('adds the usual variables beneath those that are given', () => {
    const env = (extra: Partial<ContainerConfig>): readonly unknown[] =>
      named(planContainer(change(extra), facts), 'environment').map(([, entry]) => entry);
    expect(env({})).toEqual(['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOSTNAME=web', 'A=b']);
    expect(env({ env: ['PATH=/x', 'HOSTNAME=y', 'TERM=z'], tty: true })).toEqual(['PATH=/x', 'HOSTNAME=y', 'TERM=z']);
    expect(env({ env: ['PATH=/x', 'HOSTNAME=y'], tty: true })).toContain('TERM=xterm');
  });

  it('refuses capabilities that nobody knows', () => {
    expect(() => planContainer(secure({ capabilities: { add: ['WISH'], drop: [] } }), facts)).toThrow(/unknown capability "WISH"/);
  });
});

describe('the plan of an exec', () => {
  it('has the last stage of its container, with its own terminal and stdin', () => {
    const target = { pid: 5, startTime: '9' };
    const plan = planExec(
      secure({ uid: 7, gid: 8, noNewPrivileges: true }),
      { command: ['ls'], tty: true, stdin: true, env: ['X=y'] },
      { ...facts, target, cgroupMount: '/cg' },
    );
    expect(plan).toContainEqual(['target', 5, '9', '/cg', '/cg/c']);
    expect(plan).toContainEqual(['user', 7, 8]);
    expect(plan).toContainEqual(['no-new-privileges']);
    expect(plan).toContainEqual(['terminal', 0, 0]);
    expect(plan).toContainEqual(['stdin', 'once']);
    expect(plan).toContainEqual(['environment', 'X=y']);
    expect(named(plan, 'argument')).toEqual([['argument', 'ls']]);
  });
});

describe('the plan of a sandbox', () => {
  it('makes, sets and keeps its namespaces in that order', () => {
    const plan = planSandbox({ ...sandbox, sysctls: { 'net.ipv4.ip_unprivileged_port_start': '1024' } }, paths.sandbox('S'), '');
    expect(plan.map(([name, first]) => [name, first])).toEqual([
      ['unshare', 'net'],
      ['unshare', 'ipc'],
      ['unshare', 'uts'],
      ['hostname', 'web'],
      ['loopback', undefined],
      ['sysctl', '/proc/sys/net/ipv4/ip_unprivileged_port_start'],
      ['sysctl', '/proc/sys/net/ipv4/ping_group_range'],
      ['keep', 'net'],
      ['keep', 'uts'],
      ['keep', 'ipc'],
      ['mount', 'tmpfs'],
    ]);
    expect(plan).toContainEqual(['sysctl', '/proc/sys/net/ipv4/ip_unprivileged_port_start', '1024']);
  });

  it("touches nothing of the node's network", () => {
    expect(planSandbox({ ...sandbox, namespaces: { network: 'node', pid: 'node', ipc: 'node' } }, paths.sandbox('S'), '')).toEqual([]);
  });

  it('gives back every mount it may have made', () => {
    const kept = planSandbox(sandbox, paths.sandbox('S'), '').flatMap((step) =>
      step[0] === 'keep' ? [step[2]] : step[0] === 'mount' ? [step[3]] : [],
    );
    expect(planSandboxRemoval(paths.sandbox('S')).map(([, path]) => path)).toEqual(expect.arrayContaining(kept));
  });

  it.each([
    ['net.ipv4.tcp_syncookies', '/proc/sys/net/ipv4/tcp_syncookies'],
    ['net/ipv4/conf/eth0.1/forwarding', '/proc/sys/net/ipv4/conf/eth0.1/forwarding'],
    ['net.ipv4.conf.eth0/1.forwarding', '/proc/sys/net/ipv4/conf/eth0.1/forwarding'],
  ])('finds the file of sysctl %s', (name, path) => {
    expect(sysctlPath(name)).toBe(path);
  });
});

describe("the host's root as an image", () => {
  it('brings program trees along that are mounts of their own, and hides secrets', () => {
    const table = parseMountTable(
      [
        '1 0 8:1 / / rw - ext4 /dev/sda1 rw',
        '2 1 8:2 / /usr rw - ext4 /dev/sda2 rw',
        '3 2 8:3 / /usr/local rw shared:3 - ext4 /dev/sda3 rw',
        '4 1 8:4 / /home rw - ext4 /dev/sda4 rw',
        '5 1 8:5 / /opt/with\\040blank rw - ext4 /dev/sda5 rw',
      ].join('\n'),
    );
    const { directives } = planHostRoot(table, ['/srv/dure']);
    expect(named(directives, 'bind').map(([, source]) => source)).toEqual(['/usr', '/opt/with blank']);
    const hidden = named(directives, 'mask').map(([, path]) => path);
    for (const path of ['/root', '/home', '/etc/shadow', '/etc/ssh', '/srv/dure']) expect(hidden).toContain(path);
    expect(named(directives, 'mount').map(([, , , target]) => target)).toEqual(['/run', '/tmp', '/var/tmp']);
  });
});
