import { Decompress } from 'fzstd';
import { LayerRejectedError } from './errors.ts';

/** What `zstd --long` uses at most without being asked for more. The decoder keeps this much of its past in memory. */
const WINDOW_BYTES_MAX = 128 * 1024 * 1024;
/** The format's own bound, for the content of one block before and after. */
const BLOCK_BYTES_MAX = 128 * 1024;
const FRAME_MAGIC = 0xfd2fb528;

/**
 * Content of zstd frames, one after the other. Walks the frames itself and hands the decoder one block at a time: a few bytes can stand for any
 * number of full blocks or for a window of gigabytes, and the decoder alone would take them all at once.
 * @throws {LayerRejectedError} Damaged, cut off, or wants more memory than a layer may. @see RFC 8878
 */
export async function* unzstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const input = new Input(source);
  while (!(await input.isAtEnd())) {
    const magic = (await input.take(4)).readUInt32LE(0);
    if (magic >>> 4 === 0x184d2a5) await input.skip((await input.take(4)).readUInt32LE(0));
    else if (magic === FRAME_MAGIC) yield* frame(input);
    else throw new LayerRejectedError('damaged zstd data: no frame where one should begin');
  }
}

async function* frame(input: Input): AsyncGenerator<Uint8Array, void, undefined> {
  const { header, hasChecksum } = await readHeader(input);
  let ready: Uint8Array[] = [];
  const decoder = new Decompress((data) => {
    if (data.length > 0) ready.push(data);
  });
  const push = (bytes: Uint8Array): readonly Uint8Array[] => {
    ready = [];
    try {
      decoder.push(bytes);
    } catch (cause) {
      throw new LayerRejectedError('damaged zstd data', { cause });
    }
    return ready;
  };
  yield* push(header);
  for (let isLast = false; !isLast; ) {
    const start = await input.take(3);
    const word = start.readUIntLE(0, 3);
    isLast = (word & 1) === 1;
    const kind = (word >> 1) & 3;
    const size = word >> 3;
    if (kind === 3 || size > BLOCK_BYTES_MAX) throw new LayerRejectedError('damaged zstd data: impossible block');
    // A block of kind 1 is one byte, to be repeated.
    const content = await input.take(kind === 1 ? 1 : size);
    yield* push(Buffer.concat([start, content]));
  }
  // Verified by the layer's digest, which is the better checksum.
  if (hasChecksum) await input.skip(4);
  yield* push(Buffer.alloc(hasChecksum ? 4 : 0));
}

async function readHeader(input: Input): Promise<{ readonly header: Buffer; readonly hasChecksum: boolean }> {
  const descriptor = await input.take(1);
  const flags = descriptor[0] ?? 0;
  const isSingleSegment = (flags & 0x20) !== 0;
  const windowLength = isSingleSegment ? 0 : 1;
  const dictionaryLength = [0, 1, 2, 4][flags & 3] ?? 0;
  const contentSizeLength = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  const rest = await input.take(windowLength + dictionaryLength + contentSizeLength);
  const window = isSingleSegment ? contentSize(rest.subarray(dictionaryLength)) : windowSize(rest[0] ?? 0);
  if (window > WINDOW_BYTES_MAX) {
    throw new LayerRejectedError(`zstd data that needs a window of ${window} bytes, more than ${WINDOW_BYTES_MAX}`);
  }
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(FRAME_MAGIC);
  return { header: Buffer.concat([magic, descriptor, rest]), hasChecksum: (flags & 4) !== 0 };
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function contentSize(field: Buffer): number {
  if (field.length === 8) return Number(field.readBigUInt64LE(0));
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0);
}

/** Bytes by count, from a stream of chunks. */
class Input {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #buffered: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  async isAtEnd(): Promise<boolean> {
    return this.#buffered.length === 0 && !(await this.#fill(1));
  }

  async take(length: number): Promise<Buffer> {
    if (this.#buffered.length < length && !(await this.#fill(length))) throw new LayerRejectedError('damaged zstd data: it is cut off');
    const taken = this.#buffered.subarray(0, length);
    this.#buffered = this.#buffered.subarray(length);
    return taken;
  }

  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) left -= (await this.take(Math.min(left, BLOCK_BYTES_MAX))).length;
  }

  async #fill(length: number): Promise<boolean> {
    const pieces = [this.#buffered];
    let have = this.#buffered.length;
    while (have < length) {
      const { done, value } = await this.#chunks.next();
      if (done === true) break;
      pieces.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      have += value.length;
    }
    this.#buffered = Buffer.concat(pieces);
    return have >= length;
  }
}
