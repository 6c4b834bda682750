import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decompress } from './decompression.ts';
import { LayerRejectedError } from './errors.ts';

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function plain(bytes: Buffer, size = 10_000): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of decompress(pieces(bytes, size))) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

const CONTENT = Buffer.concat([Buffer.alloc(500_000, 'abc'), randomBytes(300_000), Buffer.alloc(700_000)]);

describe('decompress', () => {
  test('passes plain bytes on', async () => {
    expect((await plain(CONTENT)).equals(CONTENT)).toBe(true);
    expect((await plain(Buffer.from('ab'), 1)).toString()).toBe('ab');
    expect((await plain(Buffer.alloc(0))).length).toBe(0);
  });

  test('reads gzip of several members, whatever the pieces', async () => {
    const two = Buffer.concat([gzipSync(CONTENT.subarray(0, 900_000)), gzipSync(CONTENT.subarray(900_000))]);
    expect((await plain(two)).equals(CONTENT)).toBe(true);
    expect((await plain(gzipSync(Buffer.from('hello')), 1)).toString()).toBe('hello');
  });

  test('rejects gzip that is cut off or damaged', async () => {
    const whole = gzipSync(CONTENT);
    await expect(plain(whole.subarray(0, whole.length - 100))).rejects.toThrow(LayerRejectedError);
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, 200, 260);
    await expect(plain(damaged)).rejects.toThrow(LayerRejectedError);
  });

  test("passes the source's own failure on", async () => {
    const failure = new Error('disk gone');
    const broken = async function* (): AsyncGenerator<Buffer, void, undefined> {
      yield gzipSync(CONTENT).subarray(0, 1000);
      throw failure;
    };
    const read = async (): Promise<void> => {
      for await (const _ of decompress(broken()));
    };
    await expect(read()).rejects.toBe(failure);
  });

  test('stops cleanly when its reader stops early', async () => {
    let ended = false;
    const source = async function* (): AsyncGenerator<Buffer, void, undefined> {
      try {
        yield* pieces(gzipSync(CONTENT), 1000);
      } finally {
        ended = true;
      }
    };
    for await (const _ of decompress(source())) break;
    expect(ended).toBe(true);
  });

  test('rejects zstd frames that ask for gigabytes of window', async () => {
    // Window descriptor 0xf8: 2^41 bytes.
    await expect(plain(Buffer.from('28b52ffd00f8010000', 'hex'))).rejects.toThrow(/window/);
  });

  test('reads a zstd frame whose few bytes stand for many blocks, one block at a time', async () => {
    const header = Buffer.from('28b52ffd0070', 'hex');
    const repeated = (isLast: boolean): Buffer => {
      const block = Buffer.alloc(4);
      block.writeUIntLE(((128 * 1024) << 3) | (1 << 1) | (isLast ? 1 : 0), 0, 3);
      return block;
    };
    const bomb = Buffer.concat([header, ...Array.from({ length: 400 }, () => repeated(false)), repeated(true)]);
    let largest = 0;
    let total = 0;
    for await (const chunk of decompress(pieces(bomb, bomb.length))) {
      largest = Math.max(largest, chunk.length);
      total += chunk.length;
    }
    expect(total).toBe(401 * 128 * 1024);
    expect(largest).toBe(128 * 1024);
  });
});

const zstd = (() => {
  try {
    execFileSync('zstd', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!zstd)('zstd beside its own program [skipped: zstd is not installed]', () => {
  const compress = (args: readonly string[], input = CONTENT): Buffer =>
    execFileSync('zstd', ['-q', '-c', ...args], { input, maxBuffer: 1e8 });

  test.each([[['-1']], [['-19']], [['--no-check']], [['--long=27']]])('reads what zstd %j wrote', async (args) => {
    expect((await plain(compress(args), 777)).equals(CONTENT)).toBe(true);
  });

  test('reads several frames with skippable ones between, and empty ones', async () => {
    const skippable = Buffer.from('502a4d1803000000aabbcc', 'hex');
    const all = Buffer.concat([
      skippable,
      compress([], CONTENT.subarray(0, 10)),
      skippable,
      compress([], Buffer.alloc(0)),
      compress([], CONTENT.subarray(10)),
    ]);
    expect((await plain(all)).equals(CONTENT)).toBe(true);
  });

  test('rejects zstd that is cut off', async () => {
    const whole = compress([]);
    for (const kept of [5, 100, whole.length - 10, whole.length - 2])
      await expect(plain(whole.subarray(0, kept))).rejects.toThrow(LayerRejectedError);
  });
});
