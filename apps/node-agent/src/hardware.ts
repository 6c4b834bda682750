import { readFile, statfs } from 'node:fs/promises';
import { cpus, hostname, release, totalmem } from 'node:os';
import type { HardwareFacts, NodeUsage } from '@dure/kubelet';
import { system } from 'systeminformation';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'arm' };
/** The kernel counts CPU time in hundredths of a second, whatever its own tick. */
const NS_PER_TICK = 10_000_000;

/** Reads the machine once. What cannot be read stays empty. */
export async function readHardware(): Promise<HardwareFacts> {
  const [machine, osImage, machineID, bootID, meminfo] = await Promise.all([
    system().catch(() => undefined),
    readOsName(),
    readTrimmed('/etc/machine-id'),
    readTrimmed('/proc/sys/kernel/random/boot_id'),
    readMeminfo(),
  ]);
  const model = machine?.raspberry !== undefined ? [machine.model, machine.raspberry.revision].filter(Boolean).join(' ') : modelOf(machine);
  return {
    cpus: cpus().length,
    memoryBytes: totalmem(),
    swapBytes: meminfo.get('SwapTotal') ?? 0,
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    kernelVersion: release(),
    osImage,
    machineID,
    systemUUID: machine?.uuid && machine.uuid !== '-' ? machine.uuid : machineID,
    bootID,
    ...(model === undefined ? {} : { model }),
  };
}

/** What the node uses now, from the kernel's own counters. */
export async function readNodeUsage(dataDir: string): Promise<NodeUsage> {
  const [stat, meminfo, files] = await Promise.all([readFile('/proc/stat', 'utf8'), readMeminfo(), statfs(dataDir)]);
  const [user = 0, nice = 0, system_ = 0, , , irq = 0, softirq = 0, steal = 0] = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '')
    .split(' ')
    .map(Number);
  const total = meminfo.get('MemTotal') ?? 0;
  const available = meminfo.get('MemAvailable') ?? 0;
  return {
    cpuUsageNs: (user + nice + system_ + irq + softirq + steal) * NS_PER_TICK,
    memoryWorkingSetBytes: total - available,
    memoryAvailableBytes: available,
    fsCapacityBytes: files.blocks * files.bsize,
    fsAvailableBytes: files.bavail * files.bsize,
    bootedAtMs: Number(/^btime (\d+)$/m.exec(stat)?.[1] ?? 0) * 1000,
  };
}

/** Threads that exist, and how many there may be. */
export async function readProcessCount(): Promise<{ readonly threads: number; readonly threadsMax: number }> {
  const [loadavg, pidMax] = await Promise.all([readTrimmed('/proc/loadavg'), readTrimmed('/proc/sys/kernel/pid_max')]);
  return { threads: Number(/\/(\d+) /.exec(loadavg)?.[1] ?? 0), threadsMax: Number(pidMax) || Number.POSITIVE_INFINITY };
}

export function nodeHostname(): string {
  return hostname();
}

function modelOf(machine: Awaited<ReturnType<typeof system>> | undefined): string | undefined {
  const words = [machine?.manufacturer, machine?.model].filter((word) => word !== undefined && word !== '' && word !== '-');
  return words.length === 0 ? undefined : words.join(' ').trim();
}

async function readOsName(): Promise<string> {
  const text = await readTrimmed('/etc/os-release');
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? 'Linux';
}

async function readMeminfo(): Promise<ReadonlyMap<string, number>> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return new Map(
    text.split('\n').flatMap((line) => {
      const match = /^(\w+): +(\d+) kB$/.exec(line);
      return match === null ? [] : [[match[1] ?? '', Number(match[2]) * 1024] as const];
    }),
  );
}

function readTrimmed(path: string): Promise<string> {
  return readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => '',
  );
}
