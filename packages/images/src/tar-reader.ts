import { LayerRejectedError } from './errors.ts';

/**
 * Why not a library: extended attributes are bytes, and so are names. The readers at hand decode PAX records as UTF-8, which turns
 * the capability bit 7 (0x80) of `security.capability` into another value, and they lose step with archives whose directories have a size.
 */
export type TarEntryKind = 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';

/** One member. Names and link targets hold one character per byte (latin1), since they need not be UTF-8. */
export interface TarEntry {
  readonly kind: TarEntryKind;
  readonly name: string;
  readonly linkName: string;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, with a fraction where the archive has one. */
  readonly mtimeSeconds: number;
  /** Bytes of content that follow; 0 for all but files. */
  readonly sizeBytes: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

const BLOCK = 512;
/** Bounds a PAX or GNU long-name record in memory. */
const RECORD_BYTES_MAX = 1024 * 1024;
const NOTHING = Buffer.alloc(0);

type PaxRecords = Map<string, Buffer>;

/** Reads POSIX (ustar, PAX), GNU and old V7 archives, in order, holding no more than one chunk. @throws {LayerRejectedError} from every method */
export class TarReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Buffer = NOTHING;
  /** Content of the current entry not yet read, then the zeros that fill its last block. */
  #contentLeft = 0;
  #padding = 0;
  #ended = false;
  /** Records that hold for all members after them. */
  #globalPax: PaxRecords | undefined;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next member; what was not read of the one before is passed over. `undefined` at the end of the archive. */
  async next(): Promise<TarEntry | undefined> {
    let longName: string | undefined;
    let longLink: string | undefined;
    let pax: PaxRecords | undefined;
    for (;;) {
      if (this.#contentLeft + this.#padding > 0) await this.#skip();
      if (this.#ended) return undefined;
      if (this.#chunk.length < BLOCK && !(await this.#fill(BLOCK))) {
        // Archives without the two closing blocks exist; half a header does not.
        if (this.#chunk.length > 0) throw new LayerRejectedError('archive ends inside a header');
        this.#ended = true;
        return undefined;
      }
      const header = this.#chunk.subarray(0, BLOCK);
      this.#chunk = this.#chunk.subarray(BLOCK);
      if (isZero(header)) {
        this.#ended = true;
        return undefined;
      }
      verifyChecksum(header);
      const flag = String.fromCharCode(header[156] ?? 0);
      const size = readNumber(header, 124, 12);
      if (!Number.isSafeInteger(size) || size < 0) throw new LayerRejectedError(`member with impossible size ${size}`);
      switch (flag) {
        case 'x':
          pax = parsePax(await this.#record(size));
          continue;
        case 'g':
          this.#globalPax = parsePax(await this.#record(size));
          continue;
        case 'L':
          longName = cString(await this.#record(size));
          continue;
        case 'K':
          longLink = cString(await this.#record(size));
          continue;
        default: {
          const records = this.#globalPax === undefined ? (pax ?? new Map()) : new Map([...this.#globalPax, ...(pax ?? [])]);
          const entry = toEntry(header, flag, size, records, longName, longLink);
          this.#contentLeft = entry?.sizeBytes ?? size;
          this.#padding = (BLOCK - (this.#contentLeft % BLOCK)) % BLOCK;
          if (entry !== undefined) return entry;
          // An unknown kind: readers are to pass over it.
          longName = undefined;
          longLink = undefined;
          pax = undefined;
        }
      }
    }
  }

  /** The next piece of the current member's content; `undefined` when all is read. */
  async read(): Promise<Buffer | undefined> {
    if (this.#contentLeft === 0) return undefined;
    if (this.#chunk.length === 0 && !(await this.#fill(1))) throw new LayerRejectedError('archive ends inside a file');
    const piece = this.#chunk.subarray(0, this.#contentLeft);
    this.#chunk = this.#chunk.subarray(piece.length);
    this.#contentLeft -= piece.length;
    return piece;
  }

  /** All of the current member's content, for members whose `sizeBytes` the caller has checked. */
  async readAll(): Promise<Buffer> {
    const size = this.#contentLeft;
    if (size === 0) return NOTHING;
    if (this.#chunk.length < size && !(await this.#fill(size))) throw new LayerRejectedError('archive ends inside a file');
    // A copy: the chunk it lies in is much larger, and would be kept alive as long as this content waits.
    const content = Buffer.from(this.#chunk.subarray(0, size));
    this.#chunk = this.#chunk.subarray(size);
    this.#contentLeft = 0;
    return content;
  }

  /** Reads to the end of the stream, so that whoever hashes it has seen all of it. */
  async drain(): Promise<void> {
    this.#chunk = NOTHING;
    while ((await this.#source.next()).done !== true);
  }

  /** Gives up the source early. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #record(size: number): Promise<Buffer> {
    if (size > RECORD_BYTES_MAX) throw new LayerRejectedError(`header record of ${size} bytes, more than ${RECORD_BYTES_MAX}`);
    this.#contentLeft = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    return this.readAll();
  }

  async #skip(): Promise<void> {
    let left = this.#contentLeft + this.#padding;
    this.#contentLeft = 0;
    this.#padding = 0;
    while (left > 0) {
      if (this.#chunk.length === 0 && !(await this.#fill(1))) throw new LayerRejectedError('archive ends inside a file');
      const passed = Math.min(left, this.#chunk.length);
      this.#chunk = this.#chunk.subarray(passed);
      left -= passed;
    }
  }

  /** Makes at least `length` bytes available in one piece, if the source has them. */
  async #fill(length: number): Promise<boolean> {
    const pieces = [this.#chunk];
    let have = this.#chunk.length;
    while (have < length) {
      const { done, value } = await this.#source.next();
      if (done === true) break;
      if (value.length === 0) continue;
      pieces.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      have += value.length;
    }
    this.#chunk = pieces.length === 1 ? this.#chunk : Buffer.concat(pieces.filter((piece) => piece.length > 0));
    return have >= length;
  }
}

const KINDS: Readonly<Record<string, TarEntryKind>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

function toEntry(
  header: Buffer,
  flag: string,
  headerSize: number,
  pax: PaxRecords,
  longName: string | undefined,
  longLink: string | undefined,
): TarEntry | undefined {
  if (flag === 'S' || pax.has('GNU.sparse.major') || pax.has('GNU.sparse.map')) {
    throw new LayerRejectedError('archive holds a sparse member, which layers may not');
  }
  const named = KINDS[flag];
  if (named === undefined) return undefined;
  const name = pax.get('path')?.toString('latin1') ?? longName ?? headerName(header);
  // Old archives mark directories by a slash alone.
  const kind = named === 'file' && name.endsWith('/') ? 'directory' : named;
  const size = paxNumber(pax, 'size') ?? headerSize;
  if (!Number.isSafeInteger(size) || size < 0) throw new LayerRejectedError(`member with impossible size ${size}`);
  return {
    kind,
    name,
    linkName: pax.get('linkpath')?.toString('latin1') ?? longLink ?? cString(header.subarray(157, 257)),
    mode: readNumber(header, 100, 8) & 0o7777,
    uid: paxNumber(pax, 'uid') ?? readNumber(header, 108, 8),
    gid: paxNumber(pax, 'gid') ?? readNumber(header, 116, 8),
    mtimeSeconds: paxNumber(pax, 'mtime') ?? readNumber(header, 136, 12),
    // Only files carry content, but writers put sizes elsewhere, too: links with the size of their target have none behind them.
    sizeBytes: kind === 'file' ? size : 0,
    deviceMajor: readNumber(header, 329, 8),
    deviceMinor: readNumber(header, 337, 8),
    xattrs: xattrsOf(pax),
  };
}

function headerName(header: Buffer): string {
  const name = cString(header.subarray(0, 100));
  // Only POSIX archives have the prefix; GNU's keep times at the same place.
  const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? cString(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function xattrsOf(pax: PaxRecords): ReadonlyMap<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (const [key, value] of pax) {
    if (key.startsWith('SCHILY.xattr.')) xattrs.set(key.slice('SCHILY.xattr.'.length), value);
  }
  return xattrs;
}

/** `length SP key=value NL`, where `length` counts itself. @see pax(1), POSIX.1-2001 */
function parsePax(bytes: Buffer): PaxRecords {
  const records: PaxRecords = new Map();
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    const space = bytes.indexOf(0x20, at);
    const length = space === -1 ? Number.NaN : Number(bytes.toString('latin1', at, space));
    const end = at + length;
    if (!Number.isInteger(length) || end > bytes.length || end <= space + 1 || bytes[end - 1] !== 0x0a) {
      throw new LayerRejectedError('damaged PAX record');
    }
    const equals = bytes.indexOf(0x3d, space + 1);
    if (equals === -1 || equals >= end) throw new LayerRejectedError('damaged PAX record');
    const key = bytes.toString('latin1', space + 1, equals);
    const value = bytes.subarray(equals + 1, end - 1);
    // An empty value takes back what a global record set.
    if (value.length === 0 && !key.startsWith('SCHILY.xattr.')) records.delete(key);
    else records.set(key, value);
    at = end;
  }
  return records;
}

function paxNumber(pax: PaxRecords, key: string): number | undefined {
  const value = pax.get(key);
  if (value === undefined) return undefined;
  const number = Number(value.toString('latin1'));
  if (!Number.isFinite(number)) throw new LayerRejectedError(`damaged PAX record ${key}`);
  return number;
}

/** Octal text, or two's complement in base 256 if the first bit is set (GNU). */
function readNumber(header: Buffer, offset: number, length: number): number {
  const first = header[offset] ?? 0;
  if (first === 0x80 || first === 0xff) {
    let value = first === 0xff ? -1 : 0;
    for (let at = offset + 1; at < offset + length; at += 1) value = value * 256 + (header[at] ?? 0);
    return value;
  }
  const digits = /^[ \0]*([0-7]*)/.exec(header.toString('latin1', offset, offset + length))?.[1] ?? '';
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
}

function isZero(header: Buffer): boolean {
  return header[0] === 0 && header.every((byte) => byte === 0);
}

function verifyChecksum(header: Buffer): void {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at += 1) {
    if (at < 148 || at >= 156) sum += header[at] ?? 0;
  }
  if (sum !== readNumber(header, 148, 8))
    throw new LayerRejectedError('member with a wrong checksum: the archive is damaged, or no tar archive');
}
