import { watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { aborted, errnoCode } from '@dure/foundation';
import { parseLogLine } from './cri-log.ts';
import { tailOffset } from './tail.ts';

export interface LogOptions {
  /** Goes on until the container has ended and everything is read, or `signal` aborts. */
  readonly follow?: boolean;
  readonly tailLines?: number;
  /** Milliseconds since 1970. */
  readonly sinceMs?: number;
  /** Each line begins with its time. */
  readonly timestamps?: boolean;
  readonly limitBytes?: number;
  readonly stream?: 'All' | 'Stdout' | 'Stderr';
}

const BLOCK_BYTES = 64 * 1024;
const NEWLINE = Buffer.from('\n');

/**
 * A container's log as its reader wants it: plain text, rotated files followed over.
 * @param isRunning Asked when the end is reached while following. @param changed Resolves when asking again makes sense (the container ended).
 */
export async function* readLog(
  path: string,
  options: LogOptions,
  isRunning: () => Promise<boolean>,
  ended: Promise<unknown>,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const render = renderer(options);
  let remaining = options.limitBytes ?? Number.POSITIVE_INFINITY;
  for await (const line of lines(path, options, isRunning, ended, signal)) {
    const text = render(line);
    if (text === undefined) continue;
    const out = text.length > remaining ? text.subarray(0, remaining) : text;
    remaining -= out.length;
    if (out.length > 0) yield out;
    if (remaining <= 0) return;
  }
}

function renderer({ sinceMs, timestamps = false, stream = 'All' }: LogOptions): (line: Buffer) => Buffer | undefined {
  let midLine = false;
  return (line) => {
    const parsed = parseLogLine(line);
    if (parsed === undefined) return undefined;
    if (sinceMs !== undefined && Date.parse(parsed.timestamp) < sinceMs) return undefined;
    if (stream !== 'All' && parsed.stream !== stream.toLowerCase()) return undefined;
    const parts = [parsed.text];
    // The rest of a line that was cut has no stamp of its own.
    if (timestamps && !midLine) parts.unshift(Buffer.from(`${parsed.timestamp} `));
    if (!parsed.partial) parts.push(NEWLINE);
    midLine = parsed.partial;
    return Buffer.concat(parts);
  };
}

async function* lines(
  path: string,
  { follow = false, tailLines }: LogOptions,
  isRunning: () => Promise<boolean>,
  ended: Promise<unknown>,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let handle = await openWhenThere(path, follow, isRunning, signal);
  if (handle === undefined) return;
  let successor: FileHandle | undefined;
  try {
    let position = tailLines === undefined ? 0 : await tailOffset(handle, tailLines);
    let rest: Buffer = Buffer.alloc(0);
    const block = Buffer.alloc(BLOCK_BYTES);
    let wasRunning = true;
    for (;;) {
      const { bytesRead } = await handle.read(block, 0, BLOCK_BYTES, position);
      if (bytesRead > 0) {
        position += bytesRead;
        let data = rest.length === 0 ? block.subarray(0, bytesRead) : Buffer.concat([rest, block.subarray(0, bytesRead)]);
        for (let end = data.indexOf(0x0a); end !== -1; end = data.indexOf(0x0a)) {
          // The block is used again; what leaves here must not change.
          yield Buffer.from(data.subarray(0, end));
          data = data.subarray(end + 1);
        }
        rest = Buffer.from(data);
        continue;
      }
      if (!follow || signal.aborted) return;
      if (successor !== undefined) {
        await handle.close();
        handle = successor;
        successor = undefined;
        position = 0;
        rest = Buffer.alloc(0);
        continue;
      }
      // Once there is another file the old one gets nothing more: read it to its end, then go over.
      successor = await openSuccessor(path, handle);
      if (successor !== undefined) continue;
      // Once more after the end was seen: the last lines may have come in between.
      if (!wasRunning) return;
      wasRunning = await isRunning();
      if (wasRunning) await changeOf(path, handle, position, ended, signal);
    }
  } finally {
    await handle.close();
    await successor?.close();
  }
}

/** A container that is just being started has no log yet. */
async function openWhenThere(
  path: string,
  follow: boolean,
  isRunning: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
    if (!follow || signal.aborted || !(await isRunning())) return undefined;
    throw error;
  }
}

/** The file that stands at `path` now, if it is another one: the log was rotated. */
async function openSuccessor(path: string, current: FileHandle): Promise<FileHandle | undefined> {
  const [there, here] = await Promise.all([stat(path).catch(() => undefined), current.stat()]);
  if (there === undefined || there.ino === here.ino) return undefined;
  return open(path, 'r').catch(() => undefined);
}

/**
 * Resolves when the file grows or is replaced, when the container has ended, or on abort. Its directory is watched, since between the
 * two steps of a rotation there is no such file.
 */
async function changeOf(path: string, handle: FileHandle, position: number, ended: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const done = new AbortController();
  try {
    const changed = new Promise<void>((resolve, reject) => {
      const watcher = watch(dirname(path), { signal: done.signal }, () => resolve());
      watcher.on('error', reject);
    });
    changed.catch(() => undefined);
    // Written, or replaced, between the last look and the watch.
    const [here, there] = await Promise.all([handle.stat(), stat(path).catch(() => undefined)]);
    if (here.size > position || (there !== undefined && there.ino !== here.ino)) return;
    await Promise.race([changed, ended, aborted(signal)]);
  } finally {
    done.abort();
  }
}
