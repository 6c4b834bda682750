import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { toJsonText } from '@dure/api';
import { type Clock, errnoCode, type Logger, messageOf } from '@dure/foundation';
import type { AuditEvent, AuditSink } from './audit-event.ts';

export interface LogSinkOptions {
  readonly path: string;
  /** A file that would grow beyond it is put aside; 0: never. */
  readonly bytesMax: number;
  /** How many files that were put aside are kept; 0: all. */
  readonly backupsMax: number;
  /** How long they are kept; 0: for ever. */
  readonly ageMaxMs: number;
  /** Whether they are compressed. */
  readonly compress: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What waits while the disk is slow; more is lost, and the log of the server says so. */
const WAITING_BYTES_MAX = 64 << 20;

/** Appends events to a file, one JSON text a line, and puts the file aside when it is large. */
export class LogSink implements AuditSink {
  readonly #options: LogSinkOptions;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lost = 0;
  /** The time in the last name that was given. */
  #asideMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> | undefined;
  #file: { readonly handle: FileHandle; size: number } | undefined;

  constructor(options: LogSinkOptions) {
    this.#options = options;
  }

  record(event: AuditEvent): void {
    const line = Buffer.from(`${toJsonText(event)}\n`);
    if (this.#waitingBytes + line.length > WAITING_BYTES_MAX) {
      this.#lost += 1;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  async #write(): Promise<void> {
    const { log, path } = this.#options;
    // Lets the request that was recorded go on first, and others join.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        await this.#append(lines);
      } catch (error) {
        this.#lost += lines.length;
        log.error('audit events were not written', { path, events: this.#lost, why: messageOf(error) });
        this.#lost = 0;
        await this.#file?.handle.close().catch(() => undefined);
        this.#file = undefined;
      }
      if (this.#lost > 0) log.error('audit events were lost: the disk is too slow', { path, events: this.#lost });
      this.#lost = 0;
    }
  }

  async #append(lines: readonly Buffer[]): Promise<void> {
    const { bytesMax } = this.#options;
    let held: Buffer[] = [];
    let file = await this.#opened();
    const flush = async (): Promise<void> => {
      if (held.length > 0) await file.handle.appendFile(Buffer.concat(held));
      held = [];
    };
    for (const line of lines) {
      if (bytesMax > 0 && file.size > 0 && file.size + line.length > bytesMax) {
        await flush();
        await this.#putAside();
        file = await this.#opened();
      }
      held.push(line);
      file.size += line.length;
    }
    await flush();
  }

  async #opened(): Promise<{ readonly handle: FileHandle; size: number }> {
    if (this.#file !== undefined) return this.#file;
    const { path } = this.#options;
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(path, 'a', 0o600);
    this.#file = { handle, size: (await handle.stat()).size };
    return this.#file;
  }

  async #putAside(): Promise<void> {
    const { path, compress, clock, log } = this.#options;
    await this.#file?.handle.close();
    this.#file = undefined;
    // Two within a millisecond must not become one; and their names tell which is older.
    let timeMs = Math.max(clock.now(), this.#asideMs + 1);
    while (await exists(asidePath(path, timeMs), compress)) timeMs += 1;
    this.#asideMs = timeMs;
    const aside = asidePath(path, timeMs);
    await rename(path, aside);
    try {
      if (compress) {
        await pipeline(createReadStream(aside), createGzip(), createWriteStream(`${aside}.gz`, { mode: 0o600 }));
        await rm(aside);
      }
      await this.#removeOld();
    } catch (error) {
      log.error('audit files that were put aside could not be tended', { path, why: messageOf(error) });
    }
  }

  async #removeOld(): Promise<void> {
    const { path, backupsMax, ageMaxMs, clock } = this.#options;
    const directory = dirname(path);
    const files = [];
    for (const name of (await readdir(directory)).filter((one) => isBackup(one, path))) {
      const { mtimeMs } = await stat(join(directory, name));
      files.push({ name, mtimeMs });
    }
    // Their names hold the time, so their order is that of age.
    const newestFirst = files.sort((a, b) => (a.name < b.name ? 1 : -1));
    const gone = newestFirst.filter(
      ({ mtimeMs }, index) => (backupsMax > 0 && index >= backupsMax) || (ageMaxMs > 0 && clock.now() - mtimeMs > ageMaxMs),
    );
    for (const { name } of gone) await rm(join(directory, name), { force: true });
  }
}

function asidePath(path: string, timeMs: number): string {
  const extension = extname(path);
  const time = new Date(timeMs).toISOString().replace(/:/g, '-').replace('Z', '');
  return `${path.slice(0, path.length - extension.length)}-${time}${extension}`;
}

function isBackup(name: string, path: string): boolean {
  const extension = extname(path);
  const stem = basename(path, extension);
  return (
    name.startsWith(`${stem}-`) &&
    /^\d{4}-\d\d-\d\dT/.test(name.slice(stem.length + 1)) &&
    (name.endsWith(extension) || name.endsWith(`${extension}.gz`))
  );
}

async function exists(path: string, compress: boolean): Promise<boolean> {
  for (const name of compress ? [path, `${path}.gz`] : [path]) {
    const found = await stat(name).then(
      () => true,
      (error: unknown) => {
        if (errnoCode(error) !== 'ENOENT') throw error;
        return false;
      },
    );
    if (found) return true;
  }
  return false;
}
