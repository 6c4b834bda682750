import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';
import { SPDY_DICTIONARY } from './spdy-dictionary.ts';

/** Lower-case names; a name with several values has them joined by NUL. */
export type SpdyHeaders = ReadonlyMap<string, string>;

/** A header block that is larger, unpacked, ends the connection: a few KB of zeros could become gigabytes. */
const BLOCK_BYTES_MAX = 64 * 1024;

/** One direction's header compression: its state lives as long as the connection, so blocks go through strictly in order. */
export class HeaderInflater {
  readonly #inflate: Inflate = createInflate({ dictionary: SPDY_DICTIONARY });
  #tail: Promise<unknown> = Promise.resolve();

  /** @throws {Error} The block is damaged or too large; the connection cannot go on. */
  read(block: Buffer): Promise<SpdyHeaders> {
    const result = this.#tail.then(() => passThrough(this.#inflate, block)).then(decodeHeaders);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  close(): void {
    this.#inflate.close();
  }
}

export class HeaderDeflater {
  readonly #deflate: Deflate = createDeflate({ dictionary: SPDY_DICTIONARY, flush: constants.Z_SYNC_FLUSH });
  #tail: Promise<unknown> = Promise.resolve();

  write(headers: SpdyHeaders): Promise<Buffer> {
    const result = this.#tail.then(() => passThrough(this.#deflate, encodeHeaders(headers)));
    this.#tail = result.catch(() => undefined);
    return result;
  }

  close(): void {
    this.#deflate.close();
  }
}

function passThrough(stream: Inflate | Deflate, input: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (error?: Error): void => {
      stream.off('data', onData);
      stream.off('error', finish);
      if (error === undefined) resolve(Buffer.concat(chunks));
      else reject(error);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > BLOCK_BYTES_MAX) finish(new Error(`header block: more than ${BLOCK_BYTES_MAX} bytes`));
    };
    stream.on('data', onData);
    stream.on('error', finish);
    stream.write(input, (error) => {
      if (error) finish(error);
      else stream.flush(constants.Z_SYNC_FLUSH, () => finish());
    });
  });
}

function decodeHeaders(block: Buffer): SpdyHeaders {
  const headers = new Map<string, string>();
  let at = 4;
  const text = (): string => {
    const length = block.readUInt32BE(at);
    const value = block.toString('utf8', at + 4, at + 4 + length);
    at += 4 + length;
    return value;
  };
  for (let count = block.readUInt32BE(0); count > 0; count -= 1) {
    const name = text();
    headers.set(name.toLowerCase(), text());
  }
  return headers;
}

function encodeHeaders(headers: SpdyHeaders): Buffer {
  const parts: Buffer[] = [uint32(headers.size)];
  for (const pair of headers) for (const text of pair) parts.push(uint32(Buffer.byteLength(text)), Buffer.from(text));
  return Buffer.concat(parts);
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}
