import { describe, expect, it } from 'vitest';
import { type Controller, cpuWeight, describeEnforcement, planLimits } from './cgroup-plan.ts';

const ALL: ReadonlySet<Controller> = new Set(['cpu', 'memory', 'pids']);
const values = (...args: Parameters<typeof planLimits>) => Object.fromEntries(planLimits(...args).map(({ file, value }) => [file, value]));

describe('limits of a cgroup', () => {
  it('writes what is asked and opens what is not', () => {
    expect(values({ cpuRequestMillis: 500, cpuLimitMillis: 1500, memoryLimitBytes: 1 << 26, pidsMax: 100 }, ALL, true)).toEqual({
      'cpu.weight': '20',
      'cpu.max': '150000 100000',
      'memory.max': '67108864',
      'memory.swap.max': '0',
      'memory.oom.group': '1',
      'pids.max': '100',
    });
    expect(values({}, ALL, false)).toEqual({
      'cpu.weight': '1',
      'cpu.max': 'max 100000',
      'memory.max': 'max',
      'memory.swap.max': '0',
      'pids.max': 'max',
    });
  });

  it.each([1, 5, 9, 10])('gives %i millicores a quota that the kernel takes', (cpuLimitMillis) => {
    expect(values({ cpuLimitMillis }, ALL, true)['cpu.max']).toBe('1000 100000');
  });

  it('leaves out what the host cannot hold', () => {
    expect(Object.keys(values({ memoryLimitBytes: 1, pidsMax: 1 }, new Set(['pids']), true))).toEqual(['pids.max']);
    expect(planLimits({ memoryLimitBytes: 1 }, new Set(), true)).toEqual([]);
  });

  it.each([
    [0, 1],
    [1, 1],
    [100, 4],
    [1000, 39],
    [2000, 79],
    [256_000, 9999],
    [1_000_000, 10_000],
  ])('weighs %i millicores as %i', (millis, weight) => {
    expect(Math.abs(cpuWeight(millis) - weight)).toBeLessThanOrEqual(1);
    expect(cpuWeight(millis)).toBeGreaterThanOrEqual(1);
    expect(cpuWeight(millis)).toBeLessThanOrEqual(10_000);
  });
});

describe('what is enforced', () => {
  const line = (name: string, hierarchy: number, enabled: number): string => `${name}\t${hierarchy}\t1\t${enabled}`;
  const found = (procCgroups: string, refused = new Map<Controller, string>(), usable: ReadonlySet<Controller> = new Set()) =>
    Object.fromEntries(describeEnforcement({ usable, procCgroups, refused }).map((one) => [one.controller, one]));

  it('says so where it is', () => {
    expect(found('', new Map(), ALL).memory).toEqual({ controller: 'memory', enforced: true });
  });

  it('names the boot line of a Raspberry Pi', () => {
    const { memory } = found([line('cpu', 0, 1), line('memory', 0, 0), line('pids', 0, 1)].join('\n'));
    expect(memory).toMatchObject({ enforced: false, reason: expect.stringContaining('kernel command line') });
    expect(memory?.remedy).toContain('cgroup_enable=memory cgroup_memory=1');
    expect(memory?.remedy).toContain('/boot/firmware/cmdline.txt');
  });

  it('tells a hybrid layout from a controller that was not delegated, refused or not built', () => {
    const all = found([line('cpu', 3, 1), line('memory', 0, 1)].join('\n'), new Map([['memory', 'EBUSY']]));
    expect(all.cpu?.reason).toContain('cgroup v1');
    expect(all.memory?.reason).toContain('EBUSY');
    expect(all.pids?.reason).toContain('built without');
    expect(found(line('cpu', 0, 1)).cpu?.reason).toContain('not delegated');
  });
});
