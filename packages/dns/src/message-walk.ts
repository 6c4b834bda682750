/** Walks over encoded messages without decoding them: where records begin and end, which bytes hold their TTL. Every walk is bounded by the message's length. */

const HEADER_BYTES = 12;
const POINTER = 0xc0;
const TYPE_OPT = 41;
/** A pointer to the question's name, which always stands right after the header. */
const QUESTION_POINTER = Buffer.from([POINTER, HEADER_BYTES]);
const TRUNCATED = 0x0200;
const OPT_BYTES = 11;

/** A record within a message. */
export interface RecordSpan {
  readonly section: 'answer' | 'authority' | 'additional';
  readonly start: number;
  readonly nameEnd: number;
  readonly type: number;
  readonly ttlOffset: number;
  readonly ttl: number;
  readonly end: number;
}

/** Where the only question ends, or `undefined`: it is cut short, has a pointer in its name, or is longer than a name may be. */
export function questionEnd(message: Buffer): number | undefined {
  let at = HEADER_BYTES;
  for (;;) {
    const length = message[at];
    if (length === undefined || (length & POINTER) !== 0 || at - HEADER_BYTES > 254) return undefined;
    at += 1 + length;
    if (length === 0) return at + 4 <= message.length ? at + 4 : undefined;
  }
}

/** Every record, in order; `undefined` if the message is malformed or has not exactly one question. */
export function walkRecords(message: Buffer): RecordSpan[] | undefined {
  if (message.length < HEADER_BYTES || message.readUInt16BE(4) !== 1) return undefined;
  let at = questionEnd(message);
  const counts = [message.readUInt16BE(6), message.readUInt16BE(8), message.readUInt16BE(10)];
  const spans: RecordSpan[] = [];
  for (const [index, section] of (['answer', 'authority', 'additional'] as const).entries()) {
    for (let count = counts[index] ?? 0; count > 0; count -= 1) {
      const nameEnd = at === undefined ? undefined : skipName(message, at);
      if (at === undefined || nameEnd === undefined || nameEnd + 10 > message.length) return undefined;
      const end: number = nameEnd + 10 + message.readUInt16BE(nameEnd + 8);
      if (end > message.length) return undefined;
      const ttlOffset = nameEnd + 4;
      spans.push({
        section,
        start: at,
        nameEnd,
        type: message.readUInt16BE(nameEnd),
        ttlOffset,
        ttl: message.readUInt32BE(ttlOffset),
        end,
      });
      at = end;
    }
  }
  return at === undefined ? undefined : spans;
}

/**
 * `encoded` with `question` as it was asked, owners equal to its name shortened to a pointer, and cut to `limit` bytes.
 * @param encoded Made by us: one question, no pointers.
 */
export function packMessage(
  encoded: Buffer,
  question: Buffer,
  { limit, withEdns, udpBytes }: { limit: number; withEdns: boolean; udpBytes: number },
): Buffer {
  const spans = walkRecords(encoded) ?? [];
  const asked = encoded.subarray(HEADER_BYTES, (questionEnd(encoded) ?? HEADER_BYTES) - 4);
  const parts: Buffer[] = [Buffer.from(encoded.subarray(0, HEADER_BYTES)), question];
  const counts = { answer: 0, authority: 0, additional: 0 };
  let length = HEADER_BYTES + question.length + (withEdns ? OPT_BYTES : 0);
  let isTruncated = false;
  for (const span of spans) {
    const name = encoded.subarray(span.start, span.nameEnd);
    const owner = name.equals(asked) ? QUESTION_POINTER : name;
    const bytes = owner.length + span.end - span.nameEnd;
    if (length + bytes > limit) {
      // Additional records are a courtesy: without them the answer is still whole.
      if (span.section === 'additional') break;
      isTruncated = true;
      break;
    }
    parts.push(owner, encoded.subarray(span.nameEnd, span.end));
    counts[span.section] += 1;
    length += bytes;
  }
  const [header] = parts;
  if (withEdns) parts.push(optRecord(udpBytes));
  header?.writeUInt16BE(header.readUInt16BE(2) | (isTruncated ? TRUNCATED : 0), 2);
  header?.writeUInt16BE(counts.answer, 6);
  header?.writeUInt16BE(counts.authority, 8);
  header?.writeUInt16BE(counts.additional + (withEdns ? 1 : 0), 10);
  return Buffer.concat(parts);
}

/**
 * A foreign answer for a client that takes `limit` bytes: cut between records, its EDNS record (which was for us) replaced by ours.
 * What is left is left as it was, since names in it point at each other.
 */
export function cutMessage(
  answer: Buffer,
  spans: readonly RecordSpan[],
  { limit, withEdns, udpBytes }: { limit: number; withEdns: boolean; udpBytes: number },
): Buffer {
  const counts = { answer: 0, authority: 0, additional: 0 };
  let end = questionEnd(answer) ?? HEADER_BYTES;
  let isTruncated = false;
  for (const span of spans) {
    if (span.type === TYPE_OPT) break;
    if (span.end + (withEdns ? OPT_BYTES : 0) > limit) {
      isTruncated = span.section !== 'additional';
      break;
    }
    counts[span.section] += 1;
    end = span.end;
  }
  const cut = Buffer.concat([answer.subarray(0, end), withEdns ? optRecord(udpBytes) : Buffer.alloc(0)]);
  cut.writeUInt16BE(cut.readUInt16BE(2) | (isTruncated ? TRUNCATED : 0), 2);
  cut.writeUInt16BE(counts.answer, 6);
  cut.writeUInt16BE(counts.authority, 8);
  cut.writeUInt16BE(counts.additional + (withEdns ? 1 : 0), 10);
  return cut;
}

/** The least TTL of the records that have one (OPT's field means something else). `undefined`: malformed, or no record at all. */
export function leastTtl(spans: readonly RecordSpan[]): number | undefined {
  const ttls = spans.filter(({ type }) => type !== TYPE_OPT).map(({ ttl }) => ttl);
  return ttls.length === 0 ? undefined : Math.min(...ttls);
}

/** Subtracts `seconds` from every TTL in place, down to 0. */
export function ageTtls(message: Buffer, spans: readonly RecordSpan[], seconds: number): void {
  for (const { type, ttl, ttlOffset } of spans) if (type !== TYPE_OPT) message.writeUInt32BE(Math.max(ttl - seconds, 0), ttlOffset);
}

function optRecord(udpBytes: number): Buffer {
  const record = Buffer.alloc(OPT_BYTES);
  record.writeUInt16BE(TYPE_OPT, 1);
  record.writeUInt16BE(udpBytes, 3);
  return record;
}

function skipName(message: Buffer, from: number): number | undefined {
  for (let at = from; ; ) {
    const length = message[at];
    if (length === undefined) return undefined;
    if ((length & POINTER) === POINTER) return at + 2 <= message.length ? at + 2 : undefined;
    if ((length & POINTER) !== 0) return undefined;
    at += 1 + length;
    if (length === 0) return at;
  }
}
