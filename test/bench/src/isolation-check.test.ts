import { describe, expect, it } from 'vitest';
import { parseIsolation, renderIsolation } from './isolation-check.ts';

const OUTSIDE = new Set(['mnt:[1]', 'pid:[2]', 'net:[3]']);
const INSIDE = `ns mnt:[11]
ns pid:[12]
ns net:[3]
CapBnd:	00000000a80425fb
CapEff:	00000000a80425fb
NoNewPrivs:	1
Seccomp:	2
timer_list 0
proc_sys read-only
cgroup read-only
disk refused
`;

describe('parseIsolation', () => {
  it('tells own namespaces from those of the outside', () => {
    expect(parseIsolation(INSIDE, OUTSIDE).ownNamespaces).toEqual(['mnt', 'pid']);
  });

  it('sees every hole', () => {
    const open = INSIDE.replace('NoNewPrivs:	1', 'NoNewPrivs:	0')
      .replace('Seccomp:	2', 'Seccomp:	0')
      .replace('timer_list 0', 'timer_list 1')
      .replace('proc_sys read-only', 'proc_sys writable')
      .replace('cgroup read-only', 'cgroup writable')
      .replace('disk refused', 'disk readable');
    expect(renderIsolation(parseIsolation(open, OUTSIDE)).match(/NO/g)).toHaveLength(6);
    expect(renderIsolation(parseIsolation(INSIDE, OUTSIDE))).not.toContain('NO');
  });

  it('takes a missing line for a failure, not for safety', () => {
    expect(() => parseIsolation(INSIDE.replace('disk refused\n', ''), OUTSIDE)).toThrow('no disk');
  });
});
