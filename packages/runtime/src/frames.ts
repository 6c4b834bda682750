import type { Duplex } from 'node:stream';

/** From a supervisor; see `native/session.h`. */
export type FrameType = 'S' | 'F' | 'O' | 'E' | 'X' | 'R';
/** To a supervisor. */
export type RequestType = 'A' | 'I' | 'C' | 'W' | 'L' | 'K';

/** A letter and the length. */
export const FRAME_HEADER_BYTES = 5;
/** The largest payload either side sends. */
export const FRAME_BYTES_MAX = 65_536;

export interface Frame {
  readonly type: string;
  readonly data: Buffer;
}

/** One letter, a length of 32 bits in network order, the payload. */
export function encodeFrame(type: RequestType, data: Uint8Array = new Uint8Array(0)): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + data.length);
  frame.write(type, 0, 'latin1');
  frame.writeUInt32BE(data.length, 1);
  frame.set(data, FRAME_HEADER_BYTES);
  return frame;
}

/** Cuts a byte stream into frames. */
export class FrameDecoder {
  #pending: Buffer = Buffer.alloc(0);

  /** The frames that are whole with `chunk`. @throws {Error} The stream is no stream of frames. */
  push(chunk: Buffer): readonly Frame[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const frames: Frame[] = [];
    let at = 0;
    while (this.#pending.length - at >= FRAME_HEADER_BYTES) {
      const length = this.#pending.readUInt32BE(at + 1);
      if (length > FRAME_BYTES_MAX) throw new Error(`read frame: ${length} bytes announced, at most ${FRAME_BYTES_MAX} are allowed`);
      if (this.#pending.length - at < FRAME_HEADER_BYTES + length) break;
      frames.push({
        type: String.fromCharCode(this.#pending[at] ?? 0),
        data: this.#pending.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + length),
      });
      at += FRAME_HEADER_BYTES + length;
    }
    this.#pending = this.#pending.subarray(at);
    return frames;
  }
}

/** Columns and rows as a resize request carries them. */
export function encodeSize(columns: number, rows: number): Buffer {
  const data = Buffer.allocUnsafe(4);
  data.writeUInt16BE(clampSize(columns), 0);
  data.writeUInt16BE(clampSize(rows), 2);
  return data;
}

function clampSize(cells: number): number {
  return Math.min(Math.max(Math.trunc(cells), 0), 65_535);
}

/** Calls `onFrame` for each frame until `socket` closes, then `onClose` once, with what broke it if something did. */
export function readFrames(socket: Duplex, onFrame: (frame: Frame) => void, onClose: (error: Error | undefined) => void): void {
  const decoder = new FrameDecoder();
  let failure: Error | undefined;
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const frame of decoder.push(chunk)) onFrame(frame);
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  });
  socket.on('error', (error) => {
    failure = error;
  });
  // 'end' without our own end() would leave a half-open socket behind.
  socket.on('end', () => socket.destroy());
  socket.on('close', () => onClose(failure));
}
