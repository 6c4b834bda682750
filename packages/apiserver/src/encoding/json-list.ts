import { type StoredObject, splicedLength, writeSpliced } from '../registry/stored-object.ts';

/**
 * The JSON of a list in one buffer. Objects that are shown as they are stored are copied there and nowhere else: a list of ten thousand is tens of megabytes.
 * @param head All before the first object, up to and with the opening bracket.
 * @param items What is stored, or JSON.
 */
export function joinList(head: string, items: readonly (StoredObject | Uint8Array)[]): Uint8Array {
  const opening = Buffer.from(head);
  const closing = Buffer.from(']}\n');
  let length = opening.length + Math.max(items.length - 1, 0) + closing.length;
  for (const item of items) length += item instanceof Uint8Array ? item.length : splicedLength(item.stored, item.revision);
  // Not from Node's pool, which such sizes never come from, and without zeroing what is written anyway.
  const target = Buffer.allocUnsafeSlow(length);
  let at = opening.copy(target);
  for (const [index, item] of items.entries()) {
    if (index > 0) at = target.writeUInt8(COMMA, at);
    if (item instanceof Uint8Array) {
      target.set(item, at);
      at += item.length;
    } else at = writeSpliced(target, at, item.stored, item.revision);
  }
  closing.copy(target, at);
  return target;
}

const COMMA = 0x2c;
