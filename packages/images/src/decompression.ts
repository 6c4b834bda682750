import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { errnoCode } from '@dure/foundation';
import { LayerRejectedError } from './errors.ts';
import { unzstd } from './zstd.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

const CHUNK_BYTES = 256 * 1024;

/** What the first bytes show; media types are not always right about it. */
export function compressionOf(start: Uint8Array): Compression {
  if (start[0] === 0x1f && start[1] === 0x8b) return 'gzip';
  const isZstd = start[0] === 0x28 && start[1] === 0xb5 && start[2] === 0x2f && start[3] === 0xfd;
  // A skippable frame (zstd:chunked and pzstd begin with one): 0x184D2A5?.
  const isSkippable = ((start[0] ?? 0) & 0xf0) === 0x50 && start[1] === 0x2a && start[2] === 0x4d && start[3] === 0x18;
  return isZstd || isSkippable ? 'zstd' : 'none';
}

/** `source` without its compression, found out by its first bytes. @throws {LayerRejectedError} The compressed data is damaged. */
export async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = source[Symbol.asyncIterator]();
  try {
    let start: Uint8Array = new Uint8Array(0);
    while (start.length < 4) {
      const { done, value } = await chunks.next();
      if (done === true) break;
      start = start.length === 0 ? value : Buffer.concat([start, value]);
    }
    const whole = startingWith(start, chunks);
    switch (compressionOf(start)) {
      case 'none':
        yield* whole;
        return;
      case 'gzip':
        yield* gunzip(whole);
        return;
      case 'zstd':
        yield* unzstd(whole);
    }
  } finally {
    await chunks.return?.();
  }
}

async function* startingWith(start: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  if (start.length > 0) yield start;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

async function* gunzip(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const stream = createGunzip({ chunkSize: CHUNK_BYTES });
  let failure: { readonly error: unknown } | undefined;
  const feeding = pipeline(source, stream).catch((error: unknown) => {
    failure = { error };
  });
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (cause) {
    await feeding;
    // What zlib itself says comes with its code; all else is the source's failure and passes through.
    const error = failure?.error ?? cause;
    throw errnoCode(error)?.startsWith('Z_') === true || errnoCode(error) === 'ERR_STREAM_PREMATURE_CLOSE'
      ? new LayerRejectedError('damaged gzip data', { cause: error })
      : error;
  } finally {
    stream.destroy();
    await feeding;
  }
}
