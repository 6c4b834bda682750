import type { Duplex } from 'node:stream';
import { constants, createDeflate, createInflate } from 'node:zlib';
import { SPDY_DICTIONARY } from '../streaming/spdy-dictionary.ts';

export interface SpdyFrame {
  readonly type: 'data' | 'reply' | 'reset' | 'ping' | 'other';
  readonly stream: number;
  readonly fin: boolean;
  readonly body: Buffer;
}

/** The client's side of SPDY/3.1, as plain as tests need it, written without the server's code. */
export class SpdyClient {
  readonly #transport: Duplex;
  readonly #deflate = createDeflate({ dictionary: SPDY_DICTIONARY });
  readonly #frames: SpdyFrame[] = [];
  readonly #waiting: (() => void)[] = [];
  #pending = Buffer.alloc(0);
  #nextId = 1;

  constructor(transport: Duplex) {
    this.#transport = transport;
    transport.on('data', (chunk: Buffer) => {
      this.#pending = Buffer.concat([this.#pending, chunk]);
      this.#parse();
    });
    transport.on('error', () => undefined);
  }

  /** Opens a stream. @returns Its id. */
  async open(headers: Readonly<Record<string, string>>, fin = false): Promise<number> {
    const id = this.#nextId;
    this.#nextId += 2;
    const block = await this.#pack(headers);
    const body = Buffer.alloc(10);
    body.writeUInt32BE(id, 0);
    this.#control(1, fin ? 1 : 0, Buffer.concat([body, block]));
    return id;
  }

  send(id: number, text: string | Buffer, fin = false): void {
    const data = Buffer.from(text);
    const head = Buffer.alloc(8);
    head.writeUInt32BE(id, 0);
    head.writeUInt32BE(data.length, 4);
    head.writeUInt8(fin ? 1 : 0, 4);
    this.#transport.write(Buffer.concat([head, data]));
  }

  ping(id: number): void {
    const body = Buffer.alloc(4);
    body.writeUInt32BE(id);
    this.#control(6, 0, body);
  }

  /** All data of a stream up to its end. */
  async readAll(id: number): Promise<string> {
    for (;;) {
      const mine = this.#frames.filter(({ type, stream }) => type === 'data' && stream === id);
      if (mine.some(({ fin }) => fin) || this.#frames.some(({ type, stream }) => type === 'reset' && stream === id)) {
        return Buffer.concat(mine.map(({ body }) => body)).toString('utf8');
      }
      await this.#more();
    }
  }

  async frame(matches: (frame: SpdyFrame) => boolean): Promise<SpdyFrame> {
    for (;;) {
      const found = this.#frames.find(matches);
      if (found !== undefined) return found;
      await this.#more();
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #parse(): void {
    while (this.#pending.length >= 8) {
      const length = this.#pending.readUInt32BE(4) & 0xffffff;
      if (this.#pending.length < 8 + length) break;
      const word = this.#pending.readUInt32BE(0);
      const fin = (this.#pending.readUInt8(4) & 1) === 1;
      const body = Buffer.from(this.#pending.subarray(8, 8 + length));
      this.#pending = this.#pending.subarray(8 + length);
      if (word >>> 31 === 0) this.#frames.push({ type: 'data', stream: word, fin, body });
      else {
        const type = ({ 2: 'reply', 3: 'reset', 6: 'ping' } as const)[word & 0xffff] ?? 'other';
        this.#frames.push({ type, stream: body.length >= 4 ? body.readUInt32BE(0) : 0, fin, body });
      }
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #control(type: number, flags: number, body: Buffer): void {
    const head = Buffer.alloc(8);
    head.writeUInt32BE((0x80030000 | type) >>> 0, 0);
    head.writeUInt32BE(body.length, 4);
    head.writeUInt8(flags, 4);
    this.#transport.write(Buffer.concat([head, body]));
  }

  #pack(headers: Readonly<Record<string, string>>): Promise<Buffer> {
    const parts: Buffer[] = [];
    const number = (value: number): void => {
      const buffer = Buffer.alloc(4);
      buffer.writeUInt32BE(value);
      parts.push(buffer);
    };
    const entries = Object.entries(headers);
    number(entries.length);
    for (const pair of entries) {
      for (const text of pair) {
        number(text.length);
        parts.push(Buffer.from(text));
      }
    }
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      const take = (chunk: Buffer): void => void chunks.push(chunk);
      this.#deflate.on('data', take);
      this.#deflate.write(Buffer.concat(parts));
      this.#deflate.flush(constants.Z_SYNC_FLUSH, () => {
        this.#deflate.off('data', take);
        resolve(Buffer.concat(chunks));
      });
    });
  }
}

/** What a reply's header block says, for tests that look. */
export function inflateBlock(block: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const inflate = createInflate({ dictionary: SPDY_DICTIONARY });
    inflate.once('data', resolve);
    inflate.once('error', reject);
    inflate.write(block);
  });
}
