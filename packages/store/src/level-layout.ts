import { crc32 } from 'node:zlib';
import type { Revision } from './contract.ts';
import { StoreDamagedError } from './errors.ts';
import type { LogRecord } from './history.ts';
import type { LostRange } from './journal.ts';

const KIND_PUT = 1;
const KIND_DELETE = 2;
const REVISION_BYTES = 8;
const CHECKSUM_BYTES = 4;

/**
 * What lies in LevelDB. Records and values stand apart, so that opening reads only the small ones; both are named by revision, so that writing
 * appends and compaction drops from the old end.
 *
 * `m` + revision: kind, createdAt, key. `v` + revision: checksum, value. `s`: {@link JournalState} as JSON.
 */
export const STATE_KEY = Buffer.from('s');

/** Bounds of all records, as LevelDB orders keys. */
export const RECORD_RANGE = { gte: recordKey(0 as Revision), lt: Buffer.from('n') } as const;
/** Bounds of everything. */
export const WHOLE_RANGE = { start: Buffer.from([0]), end: Buffer.from([0xff]) } as const;

export interface JournalState {
  readonly format: 1;
  /** No revision above this one has been given out. After a clean end: the newest. */
  readonly ceiling: Revision;
  /** The newest revision when the store was last opened. */
  readonly base: Revision;
  /** The store was closed in order: nothing above `ceiling`, nothing volatile missing. */
  readonly clean: boolean;
  readonly compactedAt: Revision;
  /** Prefixes of the keys that may be written volatile; absent: all keys. */
  readonly volatileUnder?: readonly string[];
  /** Revision of the first volatile write that was not on disk when this was written. */
  readonly dirtySince?: Revision;
  readonly lost?: LostRange;
}

export function recordKey(revision: Revision): Buffer {
  return revisionKey('m', revision);
}

export function valueKey(revision: Revision): Buffer {
  return revisionKey('v', revision);
}

export function encodeRecord({ kind, createdAt, key }: LogRecord): Buffer {
  const head = Buffer.alloc(1 + REVISION_BYTES);
  head[0] = kind === 'put' ? KIND_PUT : KIND_DELETE;
  head.writeBigUInt64BE(BigInt(createdAt), 1);
  return Buffer.concat([head, Buffer.from(key, 'utf8')]);
}

/** A record without what it replaced: that follows from the records before it. @throws {StoreDamagedError} `bytes` are no record. */
export function decodeRecord(key: Buffer, bytes: Buffer): Omit<LogRecord, 'previous'> {
  const kind = bytes[0];
  if (key.length !== 1 + REVISION_BYTES || bytes.length < 1 + REVISION_BYTES || (kind !== KIND_PUT && kind !== KIND_DELETE))
    throw new StoreDamagedError(`record ${key.toString('hex')}`);
  return {
    kind: kind === KIND_PUT ? 'put' : 'delete',
    revision: Number(key.readBigUInt64BE(1)) as Revision,
    createdAt: Number(bytes.readBigUInt64BE(1)) as Revision,
    key: bytes.toString('utf8', 1 + REVISION_BYTES),
  };
}

/** LevelDB checks its log but, as `classic-level` opens it, not its tables; an SD card going bad should be an error, not another object. */
export function encodeValue(value: Uint8Array): Buffer {
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  checksum.writeUInt32BE(crc32(value));
  return Buffer.concat([checksum, value]);
}

/** @throws {StoreDamagedError} The bytes do not fit their checksum. */
export function decodeValue(revision: Revision, bytes: Buffer): Uint8Array {
  const value = bytes.subarray(CHECKSUM_BYTES);
  if (bytes.length < CHECKSUM_BYTES || crc32(value) !== bytes.readUInt32BE(0)) throw new StoreDamagedError(`value of revision ${revision}`);
  return value;
}

export function encodeState(state: JournalState): Buffer {
  return Buffer.from(JSON.stringify(state));
}

/** @throws {Error} Another version of this program wrote it in a form that this one does not know. */
export function decodeState(bytes: Buffer): JournalState {
  const state: unknown = JSON.parse(bytes.toString());
  const format = typeof state === 'object' && state !== null && 'format' in state ? state.format : undefined;
  if (format !== 1) throw new Error(`read state: format ${String(format)} is unknown, this version reads format 1`);
  return state as JournalState;
}

function revisionKey(space: 'm' | 'v', revision: Revision): Buffer {
  const key = Buffer.alloc(1 + REVISION_BYTES);
  key.write(space);
  key.writeBigUInt64BE(BigInt(revision), 1);
  return key;
}
