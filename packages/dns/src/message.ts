import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, RECURSION_AVAILABLE, RECURSION_DESIRED, type RecordType } from 'dns-packet';
import { packMessage, questionEnd } from './message-walk.ts';
import type { DnsRecord, Question } from './records.ts';

export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
export type Rcode = (typeof RCODE)[keyof typeof RCODE];

/** What every resolver takes over UDP without asking. */
export const UDP_BYTES_MIN = 512;
/** More than this may be cut into fragments on the way. @see DNS Flag Day 2020 */
export const UDP_BYTES_MAX = 1232;
export const TCP_BYTES_MAX = 65_535;

/** A question that came in. */
export interface Query extends Question {
  readonly id: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  /** The question section as it came: names keep their case. */
  readonly questionBytes: Buffer;
  /** Present: the client speaks EDNS and takes datagrams of this size. */
  readonly edns?: { readonly udpBytes: number };
}

/** A packet that is no question we answer: answered with `rcode`, or not at all where there is not even a header, or it is an answer itself. */
export type BadQuery = { readonly kind: 'refuse'; readonly id: number; readonly rcode: Rcode } | { readonly kind: 'ignore' };

export interface Response {
  readonly rcode: Rcode;
  readonly authoritative: boolean;
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

const HEADER_BYTES = 12;
const QR = 0x8000;
const OPCODE = 0x7800;
const CD = 0x0010;
const CLASS_IN = 1;
const CLASS_ANY = 255;
/** A question, an OPT record and a TSIG at most; anything longer is nobody's resolver. */
const QUERY_BYTES_MAX = 1024;
const ADDITIONALS_MAX = 4;

/** Reads a packet of any origin. Its cost is bounded by its length. */
export function parseQuery(packet: Buffer): { readonly kind: 'query'; readonly query: Query } | BadQuery {
  if (packet.length < HEADER_BYTES) return { kind: 'ignore' };
  const id = packet.readUInt16BE(0);
  const flags = packet.readUInt16BE(2);
  if ((flags & QR) !== 0) return { kind: 'ignore' };
  const refuse = (rcode: Rcode): BadQuery => ({ kind: 'refuse', id, rcode });
  if ((flags & OPCODE) !== 0) return refuse(RCODE.NOTIMP);
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => packet.readUInt16BE(at)) as [
    number,
    number,
    number,
    number,
  ];
  const isShaped =
    questions === 1 && answers === 0 && authorities === 0 && additionals <= ADDITIONALS_MAX && packet.length <= QUERY_BYTES_MAX;
  const end = isShaped ? questionEnd(packet) : undefined;
  if (end === undefined) return refuse(RCODE.FORMERR);
  const questionClass = packet.readUInt16BE(end - 2);
  if (questionClass !== CLASS_IN && questionClass !== CLASS_ANY) return refuse(RCODE.NOTIMP);
  try {
    const decoded = decode(packet);
    const question = decoded.questions?.[0];
    if (!question) return refuse(RCODE.FORMERR);
    const opt = decoded.additionals?.find((record) => record.type === 'OPT');
    const edns = opt?.type === 'OPT' && { udpBytes: opt.udpPayloadSize };
    return {
      kind: 'query',
      query: {
        id,
        name: question.name === '.' ? '' : question.name,
        type: question.type,
        recursionDesired: (flags & RECURSION_DESIRED) !== 0,
        checkingDisabled: (flags & CD) !== 0,
        questionBytes: packet.subarray(HEADER_BYTES, end),
        ...(edns && { edns }),
      },
    };
  } catch {
    return refuse(RCODE.FORMERR);
  }
}

/** The question section that asks for `type` of `name`. */
export function encodeQuestion(name: string, type: string): Buffer {
  return encode({ type: 'query', questions: [{ name, type: type as RecordType }] }).subarray(HEADER_BYTES);
}

/** Addresses and aliases among a message's answers. @throws {Error} It is malformed. */
export function decodeAddresses(message: Buffer): DnsRecord[] {
  return (decode(message).answers ?? []).flatMap((answer): DnsRecord[] => {
    if (answer.type !== 'A' && answer.type !== 'AAAA' && answer.type !== 'CNAME') return [];
    return [{ name: answer.name, ttl: answer.ttl ?? 0, type: answer.type, data: answer.data }];
  });
}

/** How long an answer over UDP may be. */
export function udpLimit({ edns }: Query): number {
  return edns ? Math.min(Math.max(edns.udpBytes, UDP_BYTES_MIN), UDP_BYTES_MAX) : UDP_BYTES_MIN;
}

/** The answer's bytes, at most `limit`: extra records are left out first; answers that do not fit are cut off and the truncation bit says so. */
export function encodeResponse(query: Query, response: Response, limit: number): Buffer {
  const flags =
    (response.authoritative ? AUTHORITATIVE_ANSWER : 0) |
    (query.recursionDesired ? RECURSION_DESIRED : 0) |
    RECURSION_AVAILABLE |
    (query.checkingDisabled ? CD : 0) |
    response.rcode;
  const encoded = encode({
    type: 'response',
    id: query.id,
    flags,
    questions: [{ name: query.name, type: 'A' }],
    answers: response.answers.map(toAnswer),
    authorities: response.authorities.map(toAnswer),
    additionals: response.additionals.map(toAnswer),
  });
  return packMessage(encoded, query.questionBytes, { limit, withEdns: query.edns !== undefined, udpBytes: UDP_BYTES_MAX });
}

/** A bare refusal of a packet whose question cannot be repeated. */
export function encodeRefusal(id: number, rcode: Rcode): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(QR | rcode, 2);
  return header;
}

function toAnswer(record: DnsRecord): Answer {
  return record as Answer;
}
