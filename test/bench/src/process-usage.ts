/** What the kernel has counted for processes. */
import { readdirSync, readFileSync } from 'node:fs';

/** /proc counts in hundredths of a second on every Linux there is. @see proc(5), `_SC_CLK_TCK` */
const TICK_MS = 10;

/** CPU time of a process from the text of /proc/PID/stat, its threads included, its children not. */
export function parseCpuMs(stat: string): number {
  const { user, system } = parseStat(stat);
  return (user + system) * TICK_MS;
}

/** CPU time of the children that a process has waited for, from the text of /proc/PID/stat. */
export function parseChildrenCpuMs(stat: string): number {
  const { childrenUser, childrenSystem } = parseStat(stat);
  return (childrenUser + childrenSystem) * TICK_MS;
}

/** Parent of a process from the text of /proc/PID/stat. */
export function parseParent(stat: string): number {
  return parseStat(stat).parent;
}

/** PSS in bytes from the text of /proc/PID/smaps_rollup: memory shared with others counts in parts. @throws {Error} It has no such line. */
export function parsePssBytes(rollup: string): number {
  const [, kib] = /^Pss:\s+(\d+) kB$/m.exec(rollup) ?? [];
  if (kib === undefined) throw new Error(`no Pss in ${JSON.stringify(rollup.slice(0, 200))}`);
  return Number(kib) * 1024;
}

/** Bytes that a process caused to be sent to disk, from the text of /proc/PID/io, less what it took back by deleting before it was written. */
export function parseWrittenBytes(io: string): number {
  const field = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1] ?? Number.NaN);
  const written = field('write_bytes') - field('cancelled_write_bytes');
  if (Number.isNaN(written)) throw new Error(`not /proc/PID/io: ${JSON.stringify(io.slice(0, 200))}`);
  return written;
}

export function cpuMs(pid: number): number {
  return parseCpuMs(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** CPU time of children that have ended. */
export function childrenCpuMs(pid: number): number {
  return parseChildrenCpuMs(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

export function pssBytes(pid: number): number {
  return parsePssBytes(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
}

export function writtenBytes(pid: number): number {
  return parseWrittenBytes(readFileSync(`/proc/${pid}/io`, 'utf8'));
}

export interface RunningCommand {
  readonly pid: number;
  readonly parent: number;
  /** argv joined by spaces. */
  readonly command: string;
}

/** Every process this one can see, kernel threads left out. */
export function runningCommands(): readonly RunningCommand[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const parent = parseParent(readFileSync(`/proc/${name}/stat`, 'utf8'));
        return command === '' ? [] : [{ pid: Number(name), parent, command }];
      } catch {
        return []; // It ended meanwhile.
      }
    });
}

interface Stat {
  readonly parent: number;
  readonly user: number;
  readonly system: number;
  readonly childrenUser: number;
  readonly childrenSystem: number;
}

function parseStat(stat: string): Stat {
  // The name may hold spaces and brackets: the fields count from behind the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [parent = Number.NaN, user = Number.NaN, system = Number.NaN, childrenUser = Number.NaN, childrenSystem = Number.NaN] = [
    fields[1],
    ...fields.slice(11, 15),
  ].map(Number);
  if (Number.isNaN(parent + user + system + childrenUser + childrenSystem)) {
    throw new Error(`not a line of /proc/PID/stat: ${JSON.stringify(stat.slice(0, 200))}`);
  }
  return { parent, user, system, childrenUser, childrenSystem };
}
