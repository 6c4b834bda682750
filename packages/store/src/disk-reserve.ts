import { open, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoCode } from '@dure/foundation';

const WRITE_BYTES = 1 << 20;

/**
 * A file of zeros that holds space back, to be let go when the disk is full: what follows (deletions, compaction, opening again) needs
 * a little space to free more.
 */
export class DiskReserve {
  readonly #path: string;
  readonly #bytes: number;

  constructor(path: string, bytes: number) {
    this.#path = path;
    this.#bytes = bytes;
  }

  /** How much must be free to take it: once for the file, once for work beside it. */
  get neededBytes(): number {
    return 2 * this.#bytes;
  }

  /** Makes the file unless it is there; false if the disk has less free than {@link neededBytes}. */
  async take(): Promise<boolean> {
    const present = await stat(this.#path).catch(() => undefined);
    if (present?.size === this.#bytes) return true;
    const { bavail, bsize } = await statfs(dirname(this.#path));
    if (bavail * bsize < this.neededBytes) return false;
    try {
      await this.#fill();
      return true;
    } catch (error) {
      await this.release();
      if (errnoCode(error) === 'ENOSPC' || errnoCode(error) === 'EDQUOT') return false;
      throw error;
    }
  }

  /** Gives the space back. */
  async release(): Promise<void> {
    await rm(this.#path, { force: true });
  }

  async #fill(): Promise<void> {
    const file = await open(this.#path, 'w', 0o600);
    try {
      const zeros = Buffer.alloc(Math.min(WRITE_BYTES, this.#bytes));
      // Written, not truncated to length: a hole holds no space back.
      for (let left = this.#bytes; left > 0; left -= zeros.length) await file.writeFile(zeros.subarray(0, Math.min(left, zeros.length)));
      await file.sync();
    } finally {
      await file.close();
    }
  }
}
