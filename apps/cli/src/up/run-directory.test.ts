import { describe, expect, it } from 'vitest';
import { mountPoints, planRemoveRunDirectory, planRunDirectory } from './run-directory.ts';

const line = (point: string, type: string) => `36 35 98:0 / ${point} rw,noatime shared:1 - ${type} source rw`;
const programs = (commands: readonly { readonly argv: readonly string[] }[]) => commands.map(({ argv }) => argv[0]);

describe('the run directory', () => {
  it('is a plain directory where /run is tmpfs, and a tmpfs of its own elsewhere', () => {
    expect(programs(planRunDirectory(mountPoints(line('/run', 'tmpfs'))))).toEqual(['mkdir']);
    expect(programs(planRunDirectory(mountPoints(line('/', 'ext4'))))).toEqual(['mkdir', 'mount']);
    expect(planRunDirectory(mountPoints(`${line('/', 'ext4')}\n${line('/run/dure', 'tmpfs')}`))).toEqual([]);
  });

  it('is unmounted only where it was mounted', () => {
    expect(programs(planRemoveRunDirectory(mountPoints(line('/run', 'tmpfs'))))).toEqual(['rm']);
    expect(programs(planRemoveRunDirectory(mountPoints(line('/run/dure', 'tmpfs'))))).toEqual(['umount', 'rm']);
  });
});
