import { execFile } from 'node:child_process';
import { mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capabilityBits } from './capabilities.ts';
import { type Change, compileStatic, logged, type Machine, openMachine, textOf, whyNot } from './testing/machine.ts';

const reason = whyNot();

/** A field of /proc/self/status. */
function field(status: string, name: string): string | undefined {
  return new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1];
}

describe.skipIf(reason !== undefined)(`what a container may do${reason === undefined ? '' : ` [skipped: ${reason}]`}`, () => {
  let machine: Machine;
  let sandbox: string;

  beforeAll(async () => {
    machine = await openMachine();
    sandbox = await machine.sandbox();
  });
  afterAll(() => machine.close());

  const statusOf = async (security: Change['security']): Promise<string> =>
    (await machine.run(sandbox, ['cat', '/proc/self/status'], security === undefined ? {} : { security })).stdout;

  it('has the usual capabilities and a seccomp filter', async () => {
    const status = await statusOf({});
    const usual = capabilityBits({ add: [], drop: [], privileged: false }, (1n << 41n) - 1n);
    for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect(BigInt(`0x${field(status, set)}`)).toBe(usual);
    for (const set of ['CapInh', 'CapAmb']) expect(BigInt(`0x${field(status, set)}`)).toBe(0n);
    expect(field(status, 'Seccomp')).toBe('2');
    expect(field(status, 'NoNewPrivs')).toBe('0');
  });

  it('adds and drops capabilities, ALL included', async () => {
    const one = await statusOf({ capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] } });
    expect(field(one, 'CapEff')).toBe('0000000000001000');
    expect(field(one, 'CapBnd')).toBe('0000000000001000');
    const none = await statusOf({ capabilities: { add: [], drop: ['ALL'] } });
    expect(field(none, 'CapBnd')).toBe('0000000000000000');
  });

  it('leaves a user other than root without capabilities, and with its groups', async () => {
    const status = await statusOf({ uid: 1000, gid: 1001, supplementalGroups: [2000, 3000] });
    expect(field(status, 'CapEff')).toBe('0000000000000000');
    expect(/^Uid:\s*1000\s+1000\s+1000\s+1000$/m.test(status)).toBe(true);
    expect(/^Gid:\s*1001\s+1001\s+1001\s+1001$/m.test(status)).toBe(true);
    expect(/^Groups:\s*1001 2000 3000\s*$/m.test(status)).toBe(true);
  });

  it('sets no_new_privs with the filter on top', async () => {
    const status = await statusOf({ noNewPrivileges: true, uid: 1000, gid: 1000 });
    expect(field(status, 'NoNewPrivs')).toBe('1');
    expect(field(status, 'Seccomp')).toBe('2');
  });

  it('gives a privileged container everything and no filter', async () => {
    const status = await statusOf({ privileged: true, seccomp: { kind: 'unconfined' } });
    expect(field(status, 'Seccomp')).toBe('0');
    expect(BigInt(`0x${field(status, 'CapEff')}`) & (1n << 21n)).not.toBe(0n);
  });

  it('refuses calls of the default profile with EPERM and unknown ones with ENOSYS', async () => {
    const directory = join(machine.directory, 'calls');
    await mkdir(directory);
    await compileStatic(
      directory,
      'calls',
      `#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
static void say(const char *name, long result) { printf("%s %d\\n", name, result < 0 ? errno : 0); }
int main(void) {
  say("unshare", unshare(CLONE_NEWUSER));
  say("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
  say("io_uring", syscall(425, 1, 0));
  say("clone3", syscall(435, 0, 0));
  say("unknown", syscall(5000));
  say("userns", syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0));
  say("vsock", socket(40, SOCK_STREAM, 0));
  say("inet", socket(AF_INET, SOCK_STREAM, 0));
  say("personality", syscall(SYS_personality, 0xffffffffL));
  say("odd personality", syscall(SYS_personality, 0x40000));
  return 0;
}
`,
    );
    const { stdout } = await machine.run(sandbox, ['/calls'], { rootfs: { kind: 'layers', lowerDirs: [directory] } });
    const EPERM = 1;
    const ENOSYS = 38;
    expect(
      Object.fromEntries(
        stdout
          .trim()
          .split('\n')
          .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
      ),
    ).toEqual({
      unshare: EPERM,
      keyctl: EPERM,
      io_uring: EPERM,
      clone3: ENOSYS,
      unknown: ENOSYS,
      userns: EPERM,
      vsock: EPERM,
      inet: 0,
      personality: 0,
      'odd personality': EPERM,
    });
  });

  it('obeys a profile from a file', async () => {
    const path = join(machine.directory, 'profile.json');
    await writeFile(
      path,
      JSON.stringify({
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }],
      }),
    );
    const { stderr } = await machine.run(sandbox, ['mkdir', '/tmp/x'], { security: { seccomp: { kind: 'file', path } } });
    expect(stderr).toContain('No space left on device');
  });

  it('says what is wrong with a profile', async () => {
    const path = join(machine.directory, 'bad.json');
    await writeFile(path, JSON.stringify({ defaultAction: 'SCMP_ACT_WISH' }));
    const id = await machine.create(sandbox, ['true'], { security: { seccomp: { kind: 'file', path } } });
    await expect(machine.runtime.startContainer(id)).rejects.toThrow(/SCMP_ACT_WISH/);
  });

  it('cannot open a block device, neither by a node it makes nor by one it is given', async () => {
    // The host's root disk, the thing a container must not read.
    const { dev } = await stat('/');
    const [major, minor] = [Math.trunc(dev / 256) & 0xfff, dev & 0xff];
    const script = `mknod /tmp/disk b ${major} ${minor}; head -c 1 /tmp/disk && echo READ; mknod /dev/disk b ${major} ${minor}; head -c 1 /dev/disk && echo READ; true`;
    const { stdout, stderr } = await machine.run(sandbox, ['sh', '-c', script]);
    expect(stdout).not.toContain('READ');
    expect(stderr).toMatch(/Permission denied|Operation not permitted/);
  });

  it('is held by the device program itself, not by nodev alone', async () => {
    const { dev } = await stat('/');
    const [major, minor] = [Math.trunc(dev / 256) & 0xfff, dev & 0xff];
    // SYS_ADMIN may mount a tmpfs without nodev; the cgroup's program still stands.
    const script = `mount -t tmpfs -o dev t /tmp && mknod /tmp/disk b ${major} ${minor} && head -c 1 /tmp/disk && echo READ; true`;
    const { stdout, stderr } = await machine.run(sandbox, ['sh', '-c', script], {
      security: { capabilities: { add: ['SYS_ADMIN'], drop: [] } },
    });
    expect(stdout).not.toContain('READ');
    expect(stderr).toContain('Operation not permitted');
  });

  it('can use the usual devices', async () => {
    const { stdout, stderr } = await machine.run(sandbox, [
      'sh',
      '-c',
      'head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/null; echo x > /dev/full; echo to-stdout > /dev/stdout',
    ]);
    expect(stdout).toContain('4\n4\nto-stdout\n');
    expect(stderr).toContain('No space left');
  });

  it('may open /dev/stdout and /dev/stderr as a user other than root', async () => {
    const { stdout, stderr } = await machine.run(sandbox, ['sh', '-c', 'echo out > /dev/stdout; echo err > /dev/stderr'], {
      security: { uid: 1000, gid: 1000 },
    });
    expect([stdout, stderr]).toEqual(['out\n', 'err\n']);
  });

  it('gets a device it is given, with the permissions named and no other', async () => {
    const devices = [{ hostPath: '/dev/loop-control', containerPath: '/dev/given', permissions: 'r' }];
    const { stdout, stderr } = await machine.run(
      sandbox,
      ['sh', '-c', 'dd if=/dev/given of=/dev/null count=0 2>/dev/null && echo opened; dd if=/dev/null of=/dev/given count=0'],
      { devices },
    );
    expect(stdout).toBe('opened\n');
    expect(stderr).toMatch(/Operation not permitted/);
  });

  it('sees masked paths empty and read-only paths unwritable', async () => {
    const { stdout, stderr } = await machine.run(
      sandbox,
      [
        'sh',
        '-c',
        'cat /proc/keys | wc -c; ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/domainname; umount /proc/keys; cat /etc/passwd | wc -c',
      ],
      {
        security: {
          maskedPaths: ['/proc/keys', '/sys/firmware', '/proc/absent', '/etc/passwd'],
          readonlyPaths: ['/proc/sys', '/proc/absent'],
        },
      },
    );
    expect(stdout.split('\n').map((line) => line.trim())).toEqual(['0', '0', '0', '']);
    expect(stderr).toContain('Read-only file system');
  });

  it('cannot write to a read-only root, but to its mounts', async () => {
    const writable = join(machine.directory, 'writable');
    await mkdir(writable);
    const { stdout, stderr } = await machine.run(
      sandbox,
      ['sh', '-c', 'touch /x; touch /data/x && echo data; touch /dev/shm/x && echo shm; touch /etc/hostname'],
      {
        security: { readOnlyRoot: true },
        mounts: [{ source: writable, target: '/data', readOnly: false, propagation: 'private' }],
      },
    );
    expect(stdout).toBe('data\nshm\n');
    expect(stderr.match(/Read-only file system/g)).toHaveLength(2);
  });

  it('mounts volumes: read-only, a single file, one within another, through links of the image, never outside the root', async () => {
    const volume = join(machine.directory, 'volume');
    await mkdir(join(volume, 'deep'), { recursive: true });
    await writeFile(join(volume, 'file'), 'content\n');
    const image = join(machine.directory, 'links');
    await mkdir(join(image, 'real'), { recursive: true });
    await symlink('/real', join(image, 'absolute'));
    await symlink('../../../../../../../../escaped', join(image, 'escape'));
    await symlink('../run/missing/resolv.conf', join(image, 'dangling'));
    const mount = (source: string, target: string, readOnly = false) => ({ source, target, readOnly, propagation: 'private' as const });
    const { stdout, stderr, status } = await machine.run(
      sandbox,
      [
        'sh',
        '-c',
        'cat /one/file /absolute/v/file /real/v/file /dangling /run/missing/resolv.conf; ls /escape; touch /one/x; touch /one/deep/x && echo inner',
      ],
      {
        rootfs: { kind: 'layers', lowerDirs: [image, machine.rootfs] },
        mounts: [
          mount(volume, '/one/deep'),
          mount(volume, '/one', true),
          mount(volume, '/absolute/v'),
          mount(join(volume, 'file'), '/dangling'),
          mount(volume, '/escape'),
        ],
      },
    );
    expect(status.exitCode).toBe(0);
    expect(stdout).toBe(`${'content\n'.repeat(5)}deep\nfile\ninner\n`);
    expect(stderr).toContain('/one/x: Read-only file system');
    await expect(stat('/escaped')).rejects.toThrow();
  });

  it('makes tmpfs volumes of the size asked', async () => {
    const { stdout, stderr } = await machine.run(
      sandbox,
      ['sh', '-c', 'df -k /scratch | tail -1; dd if=/dev/zero of=/scratch/x bs=1M count=3'],
      {
        mounts: [{ source: '', target: '/scratch', readOnly: false, propagation: 'private', tmpfsSizeBytes: 2 * 1024 * 1024 }],
      },
    );
    expect(stdout).toMatch(/tmpfs\s+2048/);
    expect(stderr).toContain('No space left');
  });

  it('stands at the root of a cgroup namespace of its own and cannot leave it', async () => {
    const { stdout } = await machine.run(sandbox, [
      'sh',
      '-c',
      'grep ^0:: /proc/self/cgroup; ls /sys/fs/cgroup | grep -c cgroup.procs; mkdir /sys/fs/cgroup/x || echo kept',
    ]);
    expect(stdout).toBe('0::/\n1\nkept\n');
  });

  it('names no file of the host in its mounts of layers', async () => {
    const { stdout } = await machine.run(sandbox, ['cat', '/proc/self/mountinfo']);
    expect(stdout.split('\n').find((line) => line.includes(' - overlay '))).not.toContain(machine.directory);
  });

  it('propagates mounts as asked', async () => {
    const shared = join(machine.directory, 'shared');
    await mkdir(join(shared, 'from-container'), { recursive: true });
    const run = promisify(execFile);
    await run('mount', ['--bind', shared, shared]);
    await run('mount', ['--make-shared', shared]);
    try {
      const id = await machine.start(
        sandbox,
        ['sh', '-c', 'mount -t tmpfs t /v/from-container && touch /v/from-container/here; echo done; sleep 1000'],
        {
          security: { privileged: true, seccomp: { kind: 'unconfined' } },
          mounts: [{ source: shared, target: '/v', readOnly: false, propagation: 'rshared' }],
        },
      );
      await logged(machine, id, 'done');
      await stat(join(shared, 'from-container', 'here'));
      await machine.runtime.stopContainer(id, 0);
    } finally {
      await run('umount', ['-R', shared]);
    }
  });

  it('keeps a helper that enters the container from being written to', async () => {
    // The known way out: the container's own shell is a link to the helper that enters, so its code can open the helper's file.
    const directory = join(machine.directory, 'overwrite');
    await mkdir(directory);
    await compileStatic(
      directory,
      'attack',
      `#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <dirent.h>
#include <stdlib.h>
int main(void) {
  int tries = 0, opened = 0;
  printf("ready\\n"); fflush(stdout);
  for (int round = 0; round < 400000 && !tries; round++) {
    DIR *all = opendir("/proc"); struct dirent *e;
    while ((e = readdir(all))) {
      int pid = atoi(e->d_name); char path[64], target[256];
      if (pid <= 1) continue;
      snprintf(path, sizeof path, "/proc/%d/exe", pid);
      ssize_t n = readlink(path, target, sizeof target - 1);
      if (n < 0) { if (errno == EACCES || errno == EPERM) tries = 1; continue; }
      target[n] = 0;
      if (!strstr(target, "dure-run")) continue;
      tries = 1;
      if (open(path, O_RDWR) >= 0 || open(path, O_WRONLY) >= 0) opened = 1;
    }
    closedir(all);
  }
  printf("%s\\n", opened ? "OPENED" : "kept out");
  fflush(stdout); pause(); return 0;
}
`,
    );
    const id = await machine.start(sandbox, ['/attack'], { rootfs: { kind: 'layers', lowerDirs: [directory, machine.rootfs] } });
    await logged(machine, id, 'ready');
    for (let times = 0; times < 20; times += 1) await machine.exec(id, ['true']);
    await machine.runtime.stopContainer(id, 0);
    expect(textOf(await machine.log(id), 'stdout')).not.toContain('OPENED');
  });
});
