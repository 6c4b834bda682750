import { ageTtls, leastTtl, type RecordSpan, walkRecords } from './message-walk.ts';

interface Entry {
  readonly message: Buffer;
  readonly spans: readonly RecordSpan[];
  readonly storedMs: number;
  readonly untilMs: number;
}

export interface AnswerCacheLimits {
  readonly entriesMax: number;
  /** Seconds an answer is kept at most, whatever its TTL says. */
  readonly positiveSecondsMax: number;
  readonly negativeSecondsMax: number;
}

const NXDOMAIN = 3;
const SOA = 6;

/** What upstreams answered, for as long as it may be repeated. Bounded; the answer stored first gives way. */
export class AnswerCache {
  readonly #limits: AnswerCacheLimits;
  readonly #entries = new Map<string, Entry>();

  constructor(limits: AnswerCacheLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A copy of the stored answer with its TTLs lowered by its age; the caller puts its own id in. @param nowMs Monotonic. */
  get(key: string, nowMs: number): Buffer | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    if (entry.untilMs <= nowMs) {
      this.#entries.delete(key);
      return undefined;
    }
    const message = Buffer.from(entry.message);
    ageTtls(message, entry.spans, Math.floor((nowMs - entry.storedMs) / 1000));
    return message;
  }

  /** Keeps `message` if it may be kept: not failures, not cut answers, nothing with TTL 0, negative ones only with their SOA. */
  set(key: string, message: Buffer, nowMs: number): void {
    const { entriesMax, positiveSecondsMax, negativeSecondsMax } = this.#limits;
    const spans = walkRecords(message);
    const flags = message.readUInt16BE(2);
    const rcode = flags & 0xf;
    if (!spans || (flags & 0x0200) !== 0 || (rcode !== 0 && rcode !== NXDOMAIN)) return;
    const isNegative = rcode === NXDOMAIN || !spans.some(({ section }) => section === 'answer');
    const soa = spans.find(({ section, type }) => section === 'authority' && type === SOA);
    if (isNegative && !soa) return;
    // RFC 2308: the SOA's own TTL or its last field, whichever is less.
    const negativeTtl = soa ? Math.min(soa.ttl, message.readUInt32BE(soa.end - 4)) : 0;
    const seconds = isNegative ? Math.min(negativeTtl, negativeSecondsMax) : Math.min(leastTtl(spans) ?? 0, positiveSecondsMax);
    if (seconds <= 0) return;
    this.#entries.delete(key);
    this.#entries.set(key, { message: Buffer.from(message), spans, storedMs: nowMs, untilMs: nowMs + seconds * 1000 });
    if (this.#entries.size > entriesMax) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
  }
}
