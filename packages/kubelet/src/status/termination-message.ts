import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { errnoCode } from '@dure/foundation';
import type { ContainerStatus as RuntimeContainer } from '@dure/runtime';
import { parseLogLine } from '../logs/cri-log.ts';
import { readTail } from '../logs/tail.ts';
import { ANNOTATION } from '../pod-identity.ts';

const MESSAGE_BYTES_MAX = 4096;
const LOG_BYTES_MAX = 2048;
const LOG_LINES_MAX = 80;

/** What an ended container has to say: its termination message file, else (where asked for, after a failure) the end of its log. */
export async function readTerminationMessage(run: RuntimeContainer): Promise<string | undefined> {
  const path = run.annotations[ANNOTATION.terminationMessageFile];
  const message = path === undefined ? '' : await readMessageFile(path);
  if (message !== '') return message;
  const fallsBack = run.annotations[ANNOTATION.terminationMessagePolicy] === 'FallbackToLogsOnError' && run.exitCode !== 0;
  return fallsBack ? readLogEnd(run.logPath) : undefined;
}

/** The container owned the file: it may have replaced it by a link or a pipe, which must not be followed nor waited for. */
async function readMessageFile(path: string): Promise<string> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      if (!(await handle.stat()).isFile()) return '';
      const buffer = Buffer.alloc(MESSAGE_BYTES_MAX);
      const { bytesRead } = await handle.read(buffer, 0, MESSAGE_BYTES_MAX, 0);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'ENXIO'].includes(errnoCode(error) ?? '')) return '';
    throw error;
  }
}

async function readLogEnd(logPath: string): Promise<string | undefined> {
  // Stamps and tags take room that the message does not show.
  const tail = await readTail(logPath, LOG_BYTES_MAX * 4).catch(() => Buffer.alloc(0));
  const lines: string[] = [];
  for (const line of tail.toString('latin1').split('\n')) {
    const parsed = parseLogLine(Buffer.from(line, 'latin1'));
    if (parsed !== undefined) lines.push(`${parsed.text.toString('utf8')}${parsed.partial ? '' : '\n'}`);
  }
  const text = lines.slice(-LOG_LINES_MAX).join('');
  return text === '' ? undefined : Buffer.from(text, 'utf8').subarray(-LOG_BYTES_MAX).toString('utf8');
}
