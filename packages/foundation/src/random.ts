import { randomBytes } from 'node:crypto';

/** Chance, passed in for the same reason as {@link Clock}. */
export interface Random {
  /** A float in [0, 1). */
  next(): number;
  /** An integer in [0, below). @throws {RangeError} `below` is not a positive integer. */
  integer(below: number): number;
  bytes(length: number): Uint8Array;
}

const POOL_BYTES = 4096;

/** Unpredictable; fit for names, tokens and identifiers. */
export const systemRandom: Random = fromBytes(pooled(randomBytes));

/** The same sequence for the same seed (mulberry32). For tests and simulation only: it can be predicted. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next32 = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return fromBytes((length) => Uint8Array.from({ length }, () => next32() & 0xff));
}

/** A version 4 UUID (RFC 9562). */
export function uuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Asking the system costs the same for sixteen bytes as for some thousand. What was given out is forgotten. */
function pooled(draw: (length: number) => Buffer): (length: number) => Uint8Array {
  let pool: Buffer = Buffer.alloc(0);
  let at = 0;
  return (length) => {
    if (length > POOL_BYTES) return draw(length);
    if (pool.length - at < length) {
      pool = draw(POOL_BYTES);
      at = 0;
    }
    const drawn = Buffer.from(pool.subarray(at, at + length));
    pool.fill(0, at, at + length);
    at += length;
    return drawn;
  };
}

function fromBytes(bytes: (length: number) => Uint8Array): Random {
  const next = (): number => {
    const drawn = bytes(6);
    return Buffer.from(drawn).readUIntBE(0, 6) / 2 ** 48;
  };
  return {
    next,
    integer(below) {
      if (!Number.isInteger(below) || below < 1) throw new RangeError(`below must be an integer >= 1, got ${below}`);
      return Math.floor(next() * below);
    },
    bytes,
  };
}
