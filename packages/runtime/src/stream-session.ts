import type { Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import type { StreamSession } from './contract.ts';
import { encodeFrame, encodeSize, FRAME_BYTES_MAX, type Frame } from './frames.ts';

/** The session's socket closed before the program's end was told. */
export class SessionClosedError extends Error {
  override readonly name = 'SessionClosedError';
  readonly code = 'RUNTIME_SESSION_CLOSED';
}

export interface SessionOptions {
  readonly stdin: boolean;
  readonly tty: boolean;
  /** What `exited` becomes when the socket closes without telling the end: an attach has a code then, an execution has not. */
  readonly whenCut: (() => Promise<number>) | undefined;
}

/** A session's streams over its socket, frame by frame, with back-pressure both ways. Feed it every frame after the start. */
export class FramedSession implements StreamSession {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable | undefined;
  readonly exited: Promise<number>;
  readonly #socket: Socket;
  readonly #stopped = new Set<Readable>();
  #settle: { resolve: (code: number) => void; reject: (error: Error) => void } | undefined;
  readonly #whenCut: (() => Promise<number>) | undefined;

  constructor(socket: Socket, { stdin, tty, whenCut }: SessionOptions) {
    this.#socket = socket;
    this.#whenCut = whenCut;
    this.stdout = this.#output();
    this.stderr = tty ? undefined : this.#output();
    this.stdin = stdin ? this.#input() : undefined;
    this.exited = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Whoever only reads the streams need not look at the code.
    this.exited.catch(() => undefined);
  }

  handle({ type, data }: Frame): void {
    if (type === 'O') this.#push(this.stdout, data);
    else if (type === 'E') this.#push(this.stderr ?? this.stdout, data);
    else if (type === 'X') {
      const { exitCode } = JSON.parse(data.toString()) as { exitCode: number };
      this.#end();
      this.#settle?.resolve(exitCode);
    }
  }

  /** The socket is closed. */
  closed(error: Error | undefined): void {
    this.#end();
    if (this.#whenCut !== undefined) {
      this.#whenCut().then(this.#settle?.resolve, this.#settle?.reject);
    } else {
      this.#settle?.reject(new SessionClosedError('the session was cut before its program ended', { cause: error }));
    }
  }

  resize(columns: number, rows: number): void {
    if (!this.#socket.destroyed) this.#socket.write(encodeFrame('W', encodeSize(columns, rows)));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Ends the session, and with it its processes; `exited` is `code` unless it is settled. */
  kill(code: number): void {
    this.#settle?.resolve(code);
    this.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
    await this.exited.catch(() => undefined);
  }

  #push(stream: Readable, data: Buffer): void {
    // A destroyed reader wants no more; the program goes on.
    if (stream.destroyed || stream.push(data)) return;
    this.#stopped.add(stream);
    this.#socket.pause();
  }

  #output(): Readable {
    const stream: Readable = new Readable({
      read: () => this.#resume(stream),
      destroy: (error, callback) => {
        this.#resume(stream);
        callback(error);
      },
    });
    return stream;
  }

  #resume(stream: Readable): void {
    if (this.#stopped.delete(stream) && this.#stopped.size === 0) this.#socket.resume();
  }

  #input(): Writable {
    const socket = this.#socket;
    return new Writable({
      write(chunk: Buffer, _encoding, callback) {
        if (socket.destroyed) {
          callback();
          return;
        }
        let room = true;
        for (let at = 0; at < chunk.length; at += FRAME_BYTES_MAX)
          room = socket.write(encodeFrame('I', chunk.subarray(at, at + FRAME_BYTES_MAX)));
        if (room) callback();
        else {
          // 'close' too: a drained event never comes from a socket that was cut.
          const done = (): void => {
            socket.off('drain', done);
            socket.off('close', done);
            callback();
          };
          socket.once('drain', done);
          socket.once('close', done);
        }
      },
      final(callback) {
        if (!socket.destroyed) socket.write(encodeFrame('C'));
        callback();
      },
    });
  }

  #end(): void {
    for (const stream of [this.stdout, this.stderr])
      if (stream !== undefined && !stream.readableEnded && !stream.destroyed) stream.push(null);
    this.stdin?.destroy();
  }
}
