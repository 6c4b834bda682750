import { describe, expect, it } from 'vitest';
import { examine } from './findings.ts';
import { type HostFacts, parseControllers } from './host-facts.ts';

const raspberry: HostFacts = {
  nodeVersion: '20.19.2',
  root: true,
  mounts: new Map([
    ['/', 'ext4'],
    ['/sys/fs/cgroup', 'cgroup2'],
  ]),
  controllers: parseControllers('#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t80\t1\nmemory\t0\t80\t1\npids\t0\t80\t1\n'),
  v2Controllers: new Set(['cpu', 'memory', 'pids']),
  filesystems: new Set(['overlay', 'tmpfs', 'proc', 'sysfs', 'devpts']),
  missingPrograms: [],
  hasDefaultRoute: true,
  addresses: ['192.0.2.7'],
  wallMs: Date.UTC(2027, 0, 1),
  dataFreeBytes: 20 * 1024 ** 3,
  dataFreeInodes: 1_000_000,
  dataFilesystem: 'ext4',
  bootLineFile: '/boot/firmware/cmdline.txt',
};

const trouble = (facts: Partial<HostFacts>) => examine({ ...raspberry, ...facts }).filter(({ level }) => level !== 'ok');

describe('examine', () => {
  it('finds nothing on a machine that has all', () => {
    expect(trouble({})).toEqual([]);
  });

  it('names the file and the words when the memory controller is switched off', () => {
    const controllers = parseControllers('#h\ncpu\t0\t80\t1\nmemory\t0\t80\t0\npids\t0\t80\t1\n');
    expect(trouble({ controllers, v2Controllers: new Set(['cpu', 'pids']) })).toEqual([
      {
        level: 'warning',
        subject: 'memory limits',
        message: 'not enforced: the memory controller is switched off in the boot line',
        remedy: 'add "cgroup_enable=memory cgroup_memory=1" to the one line of /boot/firmware/cmdline.txt and reboot',
      },
    ]);
  });

  it('says what to take away where the kernel knows no words against it', () => {
    const controllers = parseControllers('#h\ncpu\t0\t80\t1\nmemory\t0\t80\t0\npids\t0\t80\t1\n');
    const [finding] = trouble({ controllers, v2Controllers: new Set(['cpu', 'pids']), bootLineFile: undefined });
    expect(finding?.remedy).toBe('remove "cgroup_disable=memory" from the kernel command line and reboot');
  });

  it('tells a hybrid layout from a missing tree', () => {
    const controllers = parseControllers('#h\ncpu\t1\t1\t1\nmemory\t4\t40\t1\npids\t8\t1\t1\n');
    const hybrid = trouble({ controllers, v2Controllers: new Set(), mounts: new Map([['/sys/fs/cgroup/unified', 'cgroup2']]) });
    expect(hybrid.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      'warning: not enforced: the cpu controller belongs to cgroup v1',
      'warning: not enforced: the memory controller belongs to cgroup v1',
      'warning: not enforced: the pids controller belongs to cgroup v1',
    ]);
    expect(trouble({ mounts: new Map([['/', 'ext4']]) }).map(({ level }) => level)).toEqual(['error']);
  });

  it.each<[string, Partial<HostFacts>, string]>([
    ['an old Node.js', { nodeVersion: '18.20.0' }, 'Node.js'],
    ['a user who is not root', { root: false }, 'user'],
    ['missing programs', { missingPrograms: ['nft'] }, 'programs'],
    ['a kernel without overlay', { filesystems: new Set(['tmpfs', 'proc', 'sysfs', 'devpts']) }, 'kernel'],
    ['a clock at 1970', { wallMs: 0 }, 'clock'],
    ['no address', { addresses: [] }, 'addresses'],
    ['no default route', { hasDefaultRoute: false }, 'default route'],
    ['a full disk', { dataFreeBytes: 1 }, 'disk'],
    ['a disk without inodes', { dataFreeInodes: 1 }, 'disk'],
    ['data on an overlay', { dataFilesystem: 'overlay' }, 'data directory'],
  ])('names %s', (_what, facts, subject) => {
    expect(trouble(facts).map((finding) => finding.subject)).toEqual([subject]);
  });
});
