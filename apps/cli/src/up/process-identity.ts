import { readFileSync } from 'node:fs';
import { errnoCode } from '@dure/foundation';

/** A process that cannot be mistaken for a later one with the same number: pid, start time and boot. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. @see proc(5), /proc/pid/stat field 22. */
  readonly startTicks: string;
  readonly bootId: string;
}

/** The identity of a running process; `undefined` when there is none, or only its zombie. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name may hold spaces and parentheses; the fields after it start behind the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return { pid, startTicks: fields[19] ?? '', bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() };
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ESRCH') return undefined;
    throw error;
  }
}

/** True while exactly this process runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  const now = identityOf(identity.pid);
  return now !== undefined && now.startTicks === identity.startTicks && now.bootId === identity.bootId;
}
