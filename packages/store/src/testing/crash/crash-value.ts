import { createHash } from 'node:crypto';

/** A value that says which write made it and whether it is whole: `serial`, a length from it, and a digest over all. */
export function crashValue(serial: number): Uint8Array {
  const body = Buffer.alloc(8 + ((serial * 37) % 3000), serial & 0xff);
  body.writeDoubleBE(serial);
  return Buffer.concat([createHash('sha256').update(body).digest(), body]);
}

/** The serial of a whole value. @throws {Error} It is torn, or none. */
export function readCrashValue(value: Uint8Array): number {
  const bytes = Buffer.from(value);
  const serial = bytes.length >= 40 ? bytes.readDoubleBE(32) : Number.NaN;
  if (!Number.isInteger(serial) || !bytes.equals(crashValue(serial))) throw new Error(`torn value of ${bytes.length} bytes`);
  return serial;
}
