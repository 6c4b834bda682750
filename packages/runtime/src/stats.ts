import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { processesBeneath } from './cgroup-tree.ts';

/** What the kernel says about a cgroup's use. */
export interface CgroupUsage {
  readonly cpuUsageNs: number;
  readonly memoryUsageBytes?: number;
  readonly memoryWorkingSetBytes: number;
  readonly memoryRssBytes: number;
  readonly pids: number;
}

/** Pages of every architecture we run on, unless its kernel was built otherwise; then the sum of RSS is told too low. */
const PAGE_BYTES = 4096;

/** `undefined` once the cgroup is gone. Without the memory controller memory is the sum of its processes' resident sets. */
export async function cgroupUsage(directory: string): Promise<CgroupUsage | undefined> {
  const [cpu, current, memory, pids] = await Promise.all([
    readFile(join(directory, 'cpu.stat'), 'utf8').catch(() => undefined),
    readFile(join(directory, 'memory.current'), 'utf8').catch(() => undefined),
    readFile(join(directory, 'memory.stat'), 'utf8').catch(() => undefined),
    processesBeneath(directory),
  ]);
  if (cpu === undefined) return undefined;
  const cpuUsageNs = field(cpu, 'usage_usec') * 1000;
  if (current === undefined || memory === undefined) {
    const rss = await residentBytes(pids);
    return { cpuUsageNs, memoryWorkingSetBytes: rss, memoryRssBytes: rss, pids: pids.length };
  }
  const memoryUsageBytes = Number(current);
  return {
    cpuUsageNs,
    memoryUsageBytes,
    // What could be dropped at once is not in use. @see cAdvisor, container_memory_working_set_bytes
    memoryWorkingSetBytes: Math.max(0, memoryUsageBytes - field(memory, 'inactive_file')),
    memoryRssBytes: field(memory, 'anon'),
    pids: pids.length,
  };
}

/** Received and sent bytes of `eth0` in the network of a process; `undefined` when it has none. */
export async function networkBytes(pid: number): Promise<{ readonly rxBytes: number; readonly txBytes: number } | undefined> {
  const table = await readFile(`/proc/${pid}/net/dev`, 'utf8').catch(() => '');
  const line = table.split('\n').find((candidate) => candidate.trim().startsWith('eth0:'));
  if (line === undefined) return undefined;
  const fields = line
    .slice(line.indexOf(':') + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  return { rxBytes: fields[0] ?? 0, txBytes: fields[8] ?? 0 };
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

async function residentBytes(pids: readonly number[]): Promise<number> {
  const each = await Promise.all(
    pids.map(async (pid) => {
      const statm = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '');
      return Number(statm.split(' ')[1] ?? 0) * PAGE_BYTES;
    }),
  );
  return each.reduce((sum, bytes) => sum + bytes, 0);
}
