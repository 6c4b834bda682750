import { readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoCode } from '@dure/foundation';
import type { RuntimeService } from '@dure/runtime';

export interface RotationLimits {
  readonly bytesMax: number;
  /** The live one included. */
  readonly filesMax: number;
}

export const DEFAULT_ROTATION: RotationLimits = { bytesMax: 10 * 2 ** 20, filesMax: 5 };

/** Renames a container's log away once it is large enough, makes the runtime begin a new one, and drops the oldest. @returns Whether it did. */
export async function rotateLog(
  runtime: RuntimeService,
  container: { readonly id: string; readonly logPath: string },
  limits: RotationLimits,
  nowMs: number,
): Promise<boolean> {
  const { id, logPath } = container;
  const size = await stat(logPath).then(
    (found) => found.size,
    (error: unknown) => {
      if (errnoCode(error) === 'ENOENT') return 0;
      throw error;
    },
  );
  if (size < limits.bytesMax) return false;
  const stamp = new Date(nowMs).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  await rename(logPath, `${logPath}.${stamp}`);
  await runtime.reopenLog(id);
  const old = (await readdir(dirname(logPath))).filter((name) => name.startsWith(`${basename(logPath)}.`)).sort();
  for (const name of old.slice(0, Math.max(old.length - (limits.filesMax - 1), 0))) await rm(join(dirname(logPath), name), { force: true });
  return true;
}
