import { readFileSync } from 'node:fs';
import type { Command } from './virtual-node.ts';

/** What describes running things lies here, on tmpfs: gone with the processes it describes when the machine restarts. */
export const RUN_DIR = '/run/dure';

/** Mount points of this process, from /proc/self/mountinfo. */
export function mountPoints(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): ReadonlyMap<string, string> {
  const points = new Map<string, string>();
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const point = before.split(' ')[4];
    if (point !== undefined) points.set(point, after.split(' ')[0] ?? '');
  }
  return points;
}

/** Puts a tmpfs at {@link RUN_DIR} where /run itself is none. Shared, so that what agents mount below it is seen by all of the machine. */
export function planRunDirectory(points: ReadonlyMap<string, string>): readonly Command[] {
  if (points.get(RUN_DIR) === 'tmpfs') return [];
  const make: Command = { argv: ['mkdir', '-p', '-m', '755', RUN_DIR] };
  if (points.get('/run') === 'tmpfs') return [make];
  return [make, { argv: ['mount', '-t', 'tmpfs', '-o', 'mode=755,nosuid,nodev,size=64m', 'dure', RUN_DIR] }];
}

export function planRemoveRunDirectory(points: ReadonlyMap<string, string>): readonly Command[] {
  const unmount: readonly Command[] = points.get(RUN_DIR) === 'tmpfs' ? [{ argv: ['umount', RUN_DIR] }] : [];
  return [...unmount, { argv: ['rm', '-rf', RUN_DIR] }];
}
