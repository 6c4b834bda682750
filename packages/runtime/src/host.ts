import { lstat, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '@dure/foundation';
import { NativeStepError } from './errors.ts';
import { startNative } from './native-program.ts';
import { type Directive, renderPlan } from './plan.ts';
import type { HostDevice } from './plan-container.ts';

/** Performs host plans (`dure-run apply`). @throws {NativeStepError} with the step. */
export interface HostApplier {
  apply(doing: string, plan: readonly Directive[], signal?: AbortSignal): Promise<unknown>;
}

/** Plans go through a file of their own in `directory`, gone when the call ends. */
export function hostApplier(binary: string, directory: string, random: Random): HostApplier {
  return {
    async apply(doing, plan, signal) {
      if (plan.length === 0) return {};
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const path = join(directory, `apply-${Buffer.from(random.bytes(8)).toString('hex')}`);
      try {
        await writeFile(path, renderPlan(plan), { mode: 0o600 });
        const start = await startNative({ binary, args: ['apply', path], signal });
        if (start.kind === 'failed') throw new NativeStepError(doing, start.failure);
        return start.answer;
      } finally {
        await rm(path, { force: true });
      }
    },
  };
}

/** The capabilities of this process, which bound what it can give. */
export async function ownCapabilities(): Promise<bigint> {
  const status = await readFile('/proc/self/status', 'utf8');
  const mask = (field: string): bigint => BigInt(`0x${new RegExp(`^${field}:\\s*([0-9a-f]+)`, 'm').exec(status)?.[1] ?? '0'}`);
  return mask('CapEff') & mask('CapBnd');
}

/** The device at `path`, or every device beneath it when it is a directory. @throws when it is neither. */
export async function devicesAt(path: string): Promise<readonly HostDevice[]> {
  const status = await stat(path);
  if (status.isDirectory()) return devicesBeneath(path);
  if (!status.isBlockDevice() && !status.isCharacterDevice()) throw new Error(`device ${path}: it is no device node`);
  return [deviceOf(path, status)];
}

/** File systems and links of /dev that every container gets its own of. */
const NOT_DEVICES = new Set(['pts', 'shm', 'mqueue', 'fd', 'hugepages', 'console', 'core', 'ptmx', 'stdin', 'stdout', 'stderr', 'log']);

/** Every device of the host: what a privileged container has. */
export async function allDevices(): Promise<readonly HostDevice[]> {
  const found: HostDevice[] = [];
  for (const name of await readdir('/dev')) {
    if (!NOT_DEVICES.has(name)) found.push(...(await devicesOrNone(join('/dev', name))));
  }
  return found;
}

async function devicesBeneath(directory: string): Promise<readonly HostDevice[]> {
  const found: HostDevice[] = [];
  for (const name of await readdir(directory)) found.push(...(await devicesOrNone(join(directory, name))));
  return found;
}

async function devicesOrNone(path: string): Promise<readonly HostDevice[]> {
  try {
    const status = await lstat(path);
    if (status.isDirectory()) return await devicesBeneath(path);
    return status.isBlockDevice() || status.isCharacterDevice() ? [deviceOf(path, status)] : [];
  } catch {
    // Devices come and go.
    return [];
  }
}

function deviceOf(path: string, status: Awaited<ReturnType<typeof stat>>): HostDevice {
  const device = Number(status.rdev);
  return {
    path,
    type: status.isBlockDevice() ? 'b' : 'c',
    // glibc's packing, which Node hands through. @see makedev(3)
    major: ((device >> 8) & 0xfff) | (Math.floor(device / 2 ** 32) & ~0xfff),
    minor: (device & 0xff) | (Math.floor(device / 2 ** 12) & 0xfff00),
    mode: Number(status.mode),
    uid: Number(status.uid),
    gid: Number(status.gid),
  };
}
