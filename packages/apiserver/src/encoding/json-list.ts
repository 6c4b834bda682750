import type { Pieces } from '../http/exchange.ts';
import { type StoredObject, splicedLength, writeSpliced } from '../registry/stored-object.ts';

/** Large enough to be worth a write, small enough to stay in the processor's cache on its way through TLS, and to let other requests in between. */
const PIECE_BYTES = 256 * 1024;
const COMMA = 0x2c;
const CLOSING = Buffer.from(']}\n');

/**
 * The JSON of a list. Objects that are shown as they are stored are copied into the pieces and nowhere else: a list of ten thousand is tens of megabytes.
 * @param head All before the first object, up to and with the opening bracket.
 * @param items What is stored, or JSON.
 */
export function listPieces(head: string, items: readonly (StoredObject | Uint8Array)[]): Pieces {
  const opening = Buffer.from(head);
  let byteLength = opening.length + Math.max(items.length - 1, 0) + CLOSING.length;
  for (const item of items) byteLength += lengthOf(item);
  return { byteLength, [Symbol.iterator]: () => pieces(opening, items, byteLength) };
}

function* pieces(opening: Buffer, items: readonly (StoredObject | Uint8Array)[], byteLength: number): Generator<Uint8Array> {
  let left = byteLength;
  let at = 0;
  let piece = Buffer.alloc(0);
  /** What is full, if anything is; `piece` has room for `length` then. */
  const room = (length: number): Uint8Array | undefined => {
    if (piece.length - at >= length) return undefined;
    const full = piece.subarray(0, at);
    left -= at;
    // Not zeroed, since all of it is written before anybody sees it.
    piece = Buffer.allocUnsafeSlow(Math.max(length, Math.min(left, PIECE_BYTES)));
    at = 0;
    return full.length === 0 ? undefined : full;
  };
  room(opening.length);
  at += opening.copy(piece, at);
  for (const [index, item] of items.entries()) {
    const full = room(lengthOf(item) + 1);
    if (full !== undefined) yield full;
    if (index > 0) at = piece.writeUInt8(COMMA, at);
    if (item instanceof Uint8Array) {
      piece.set(item, at);
      at += item.length;
    } else at = writeSpliced(piece, at, item.stored, item.revision);
  }
  const full = room(CLOSING.length);
  if (full !== undefined) yield full;
  at += CLOSING.copy(piece, at);
  yield piece.subarray(0, at);
}

function lengthOf(item: StoredObject | Uint8Array): number {
  return item instanceof Uint8Array ? item.length : splicedLength(item.stored, item.revision);
}
