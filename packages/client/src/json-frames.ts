import { fromJsonText } from '@dure/api';

/** A frame larger than this cannot be an object that any store holds; reading on would only fill memory. */
export const FRAME_BYTES_MAX = 32 * 1024 * 1024;

const NEWLINE = 0x0a;

/** The server sent something that is not a sequence of JSON values, one per line. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
  readonly code = 'CLIENT_FRAME';
}

/**
 * Decodes newline-separated JSON as it arrives. Frames come out as soon as their newline is in; blank lines are skipped.
 * A half frame at the end of the stream is dropped: the connection broke inside it, and the watcher asks again from before it.
 * @throws {FrameError} A line is no JSON or longer than `maxBytes`.
 */
export async function* jsonFrames(
  chunks: AsyncIterable<Uint8Array>,
  { maxBytes = FRAME_BYTES_MAX }: { readonly maxBytes?: number } = {},
): AsyncGenerator<unknown, void, undefined> {
  let pieces: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const tail = chunk.subarray(start, end);
      const line = pieces.length === 0 ? tail : Buffer.concat([...pieces, tail]);
      pieces = [];
      pendingBytes = 0;
      start = end + 1;
      const frame = parseLine(line);
      if (frame !== undefined) yield frame;
    }
    if (start === chunk.length) continue;
    pieces.push(chunk.subarray(start));
    pendingBytes += chunk.length - start;
    if (pendingBytes > maxBytes) throw new FrameError(`read watch frame: more than ${maxBytes} bytes without an end`);
  }
}

function parseLine(line: Uint8Array): unknown {
  const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8').trim();
  if (text === '') return undefined;
  try {
    return fromJsonText(text);
  } catch (cause) {
    throw new FrameError(`read watch frame: ${text.length} characters that are no JSON`, { cause });
  }
}
