import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseLogLine } from './cri-log.ts';
import { type LogOptions, readLog } from './log-reader.ts';

const never = new Promise<void>(() => undefined);

describe('a line of a log', () => {
  it.each([
    ['2026-01-01T00:00:00.1Z stdout F hello world', { stream: 'stdout', partial: false, text: 'hello world' }],
    ['2026-01-01T00:00:00.1Z stderr P part', { stream: 'stderr', partial: true, text: 'part' }],
    ['2026-01-01T00:00:00.1Z stdout F ', { stream: 'stdout', partial: false, text: '' }],
    ['2026-01-01T00:00:00.1Z stdout F', { stream: 'stdout', partial: false, text: '' }],
  ])('%j is read', (line, expected) => {
    const parsed = parseLogLine(Buffer.from(line));
    expect({ ...parsed, text: parsed?.text.toString() }).toMatchObject(expected);
  });

  it.each(['', 'torn', '2026-01-01T00:00:00Z nowhere F x', '2026-01-01T00:00:00Z stdout X x'])('%j is none', (line) => {
    expect(parseLogLine(Buffer.from(line))).toBeUndefined();
  });
});

describe('a log', () => {
  let root = '';
  let path = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dure-log-'));
    path = join(root, '0.log');
    const lines = [1, 2, 3, 4].map((n) => `2026-01-01T00:00:0${n}.5Z ${n === 2 ? 'stderr' : 'stdout'} F line ${n}\n`);
    await writeFile(path, lines.join(''));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const read = async (options: LogOptions): Promise<string> => {
    const chunks: Buffer[] = [];
    for await (const chunk of readLog(path, options, async () => false, never, new AbortController().signal)) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  };

  it.each<[string, LogOptions, string]>([
    ['all', {}, 'line 1\nline 2\nline 3\nline 4\n'],
    ['the last two', { tailLines: 2 }, 'line 3\nline 4\n'],
    ['none', { tailLines: 0 }, ''],
    ['more than there are', { tailLines: 99 }, 'line 1\nline 2\nline 3\nline 4\n'],
    ['since a time', { sinceMs: Date.UTC(2026, 0, 1, 0, 0, 3) }, 'line 3\nline 4\n'],
    ['with times', { tailLines: 1, timestamps: true }, '2026-01-01T00:00:04.5Z line 4\n'],
    ['so many bytes', { limitBytes: 9 }, 'line 1\nli'],
    ['one stream', { stream: 'Stderr' }, 'line 2\n'],
  ])('is read: %s', async (_title, options, expected) => {
    expect(await read(options)).toBe(expected);
  });

  it('joins what the runtime had to cut', async () => {
    await writeFile(path, '2026-01-01T00:00:01Z stdout P ab\n2026-01-01T00:00:02Z stdout F cd\n');
    expect(await read({ timestamps: true })).toBe('2026-01-01T00:00:01Z abcd\n');
  });

  it('is followed over a rotation until the container has ended', async () => {
    let running = true;
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const seen: string[] = [];
    const reader = (async () => {
      const { signal } = new AbortController();
      for await (const chunk of readLog(path, { follow: true, tailLines: 1 }, async () => running, ended, signal))
        seen.push(chunk.toString());
    })();
    const until = async (text: string): Promise<void> => {
      while (!seen.join('').includes(text)) await new Promise((resolve) => setTimeout(resolve, 2));
    };
    await until('line 4');
    await appendFile(path, '2026-01-01T00:00:05Z stdout F line 5\n');
    await until('line 5');
    await rename(path, `${path}.old`);
    await writeFile(path, '2026-01-01T00:00:06Z stdout F line 6\n');
    await until('line 6');
    await appendFile(path, '2026-01-01T00:00:07Z stdout F line 7\n');
    running = false;
    end();
    await reader;
    expect(seen.join('')).toBe('line 4\nline 5\nline 6\nline 7\n');
  });
});
