import { readFile } from 'node:fs/promises';

/** A process by pid and start time (clock ticks since boot, decimal): pids are used again, the pair is not until the next boot. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

/** True while the process exists and is no zombie. */
export async function isAlive({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  try {
    const stat = parseStat(await readFile(`/proc/${pid}/stat`, 'latin1'));
    return stat.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X';
  } catch {
    return false;
  }
}

/** State letter and start time from the text of /proc/<pid>/stat. The name in parentheses may hold anything. @see proc_pid_stat(5) */
export function parseStat(text: string): { readonly state: string; readonly startTime: string } {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
}
