import { Duplex } from 'node:stream';
import { HeaderDeflater, HeaderInflater, type SpdyHeaders } from './spdy-headers.ts';

const VERSION = 3;
const TYPE = { synStream: 1, synReply: 2, rstStream: 3, settings: 4, ping: 6, goAway: 7, headers: 8, windowUpdate: 9 } as const;
const FLAG_FIN = 1;
const STATUS_CANCEL = 5;
const HEAD_BYTES = 8;
/** Larger frames are legal, and used by nobody: 16 MiB of one would have to be held at once. */
const FRAME_BYTES_MAX = 1 << 20;
const DATA_BYTES_MAX = 32 * 1024;
/** Held for a stream whose reader is slow before the connection as a whole waits for it. */
const STREAM_BUFFER_BYTES = 256 * 1024;
const STREAMS_MAX = 1000;

/** One stream of a connection: reading gives what the peer sends until its FIN, ending it sends ours. */
export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: SpdyHeaders;
  readonly #connection: SpdyConnection;
  #peerEnded = false;

  constructor(connection: SpdyConnection, id: number, headers: SpdyHeaders) {
    super({ allowHalfOpen: true, readableHighWaterMark: STREAM_BUFFER_BYTES, emitClose: true });
    this.#connection = connection;
    this.id = id;
    this.headers = headers;
  }

  /** @returns Whether more may come now. */
  receive(data: Buffer, fin: boolean): boolean {
    if (this.#peerEnded || this.destroyed) return true;
    const more = data.length === 0 || this.push(data);
    if (fin) {
      this.#peerEnded = true;
      this.push(null);
    }
    return more;
  }

  override _read(): void {
    this.#connection.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#connection.sendData(this.id, chunk, false, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#connection.sendData(this.id, Buffer.alloc(0), true, done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#connection.forget(this.id, !(this.#peerEnded && this.writableFinished));
    done(error);
  }
}

/**
 * The server's side of SPDY/3.1 as far as Kubernetes uses it. Peers of that family send no window updates and expect none, so TCP's own
 * flow control is all there is: a stream whose reader stops holds the connection back.
 */
export class SpdyConnection {
  readonly #transport: Duplex;
  readonly #inflater = new HeaderInflater();
  readonly #deflater = new HeaderDeflater();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #onStream: (stream: SpdyStream) => void;
  #pending: Buffer = Buffer.alloc(0);
  #working = false;
  #blocked = false;
  #closed = false;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;

  /** @param head Bytes that came with the upgrade request. */
  constructor(transport: Duplex, head: Buffer, onStream: (stream: SpdyStream) => void) {
    this.#transport = transport;
    this.#onStream = onStream;
    this.closed = new Promise((resolve) => {
      transport.once('close', () => {
        this.#end();
        resolve();
      });
    });
    transport.on('error', () => transport.destroy());
    transport.on('end', () => transport.end());
    transport.on('data', (chunk: Buffer) => this.#receive(chunk));
    if (head.length > 0) this.#receive(head);
  }

  /** Ends after what was written has gone out. */
  close(): void {
    if (!this.#closed) this.#transport.end();
  }

  destroy(): void {
    this.#transport.destroy();
  }

  sendData(id: number, data: Buffer, fin: boolean, done: (error?: Error | null) => void): void {
    if (this.#closed) {
      done(new Error(`write to SPDY stream ${id}: the connection has ended`));
      return;
    }
    const frames: Buffer[] = [];
    let at = 0;
    do {
      const part = data.subarray(at, at + DATA_BYTES_MAX);
      at += part.length;
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeUInt32BE(id & 0x7fffffff, 0);
      head.writeUInt32BE(part.length, 4);
      head.writeUInt8(fin && at >= data.length ? FLAG_FIN : 0, 4);
      frames.push(head, part);
    } while (at < data.length);
    this.#transport.write(Buffer.concat(frames), (error) => done(error));
  }

  /** A stream's reader wants more. */
  resume(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#transport.resume();
    this.#work();
  }

  forget(id: number, reset: boolean): void {
    if (!this.#streams.delete(id) || !reset || this.#closed) return;
    const body = Buffer.alloc(8);
    body.writeUInt32BE(id, 0);
    body.writeUInt32BE(STATUS_CANCEL, 4);
    this.#control(TYPE.rstStream, 0, body);
  }

  #receive(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    this.#work();
  }

  /** Takes whole frames off what came, one after the other: header blocks depend on those before. */
  #work(): void {
    if (this.#working) return;
    this.#working = true;
    this.#takeFrames().then(
      () => {
        this.#working = false;
        if (!this.#blocked && this.#hasFrame()) this.#work();
      },
      () => this.#transport.destroy(),
    );
  }

  async #takeFrames(): Promise<void> {
    while (!this.#blocked && this.#hasFrame()) {
      const length = this.#pending.readUInt32BE(4) & 0xffffff;
      const head = this.#pending.readUInt32BE(0);
      const flags = this.#pending.readUInt8(4);
      const body = this.#pending.subarray(HEAD_BYTES, HEAD_BYTES + length);
      this.#pending = this.#pending.subarray(HEAD_BYTES + length);
      if (head >>> 31 === 0) this.#onData(head, flags, body);
      else await this.#onControl(head, flags, body);
    }
  }

  #hasFrame(): boolean {
    if (this.#pending.length < HEAD_BYTES) return false;
    const length = this.#pending.readUInt32BE(4) & 0xffffff;
    if (length > FRAME_BYTES_MAX) {
      this.#transport.destroy();
      return false;
    }
    return this.#pending.length >= HEAD_BYTES + length;
  }

  #onData(id: number, flags: number, body: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    // The body is a view of a buffer that is not written again.
    if (!stream.receive(body, (flags & FLAG_FIN) !== 0)) {
      this.#blocked = true;
      this.#transport.pause();
    }
  }

  async #onControl(head: number, flags: number, body: Buffer): Promise<void> {
    if (((head >>> 16) & 0x7fff) !== VERSION) throw new Error('SPDY: another version');
    const id = body.length >= 4 ? body.readUInt32BE(0) & 0x7fffffff : 0;
    switch (head & 0xffff) {
      case TYPE.synStream: {
        const headers = await this.#inflater.read(body.subarray(10));
        if (this.#streams.size >= STREAMS_MAX) throw new Error('SPDY: too many streams');
        const stream = new SpdyStream(this, id, headers);
        // Whoever takes the stream listens too; an error that nobody took must not end the process.
        stream.on('error', () => undefined);
        this.#streams.set(id, stream);
        await this.#reply(id);
        this.#onStream(stream);
        if ((flags & FLAG_FIN) !== 0) stream.receive(Buffer.alloc(0), true);
        return;
      }
      case TYPE.synReply:
      case TYPE.headers:
        // Nothing in it for us, but the compression's state goes on.
        await this.#inflater.read(body.subarray(4));
        return;
      case TYPE.rstStream: {
        const stream = this.#streams.get(id);
        this.#streams.delete(id);
        stream?.destroy();
        return;
      }
      case TYPE.ping:
        this.#control(TYPE.ping, 0, body);
        return;
      case TYPE.goAway:
        return;
      default:
        return;
    }
  }

  async #reply(id: number): Promise<void> {
    const block = await this.#deflater.write(new Map());
    const body = Buffer.alloc(4 + block.length);
    body.writeUInt32BE(id, 0);
    block.copy(body, 4);
    this.#control(TYPE.synReply, 0, body);
  }

  #control(type: number, flags: number, body: Buffer): void {
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt32BE((0x80000000 | (VERSION << 16) | type) >>> 0, 0);
    head.writeUInt32BE(body.length, 4);
    head.writeUInt8(flags, 4);
    this.#transport.write(Buffer.concat([head, body]));
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const stream of this.#streams.values()) stream.destroy();
    this.#streams.clear();
    this.#inflater.close();
    this.#deflater.close();
  }
}
