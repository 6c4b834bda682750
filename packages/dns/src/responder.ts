import type { Logger, Random } from '@dure/foundation';
import {
  decodeAddresses,
  encodeQuestion,
  encodeRefusal,
  encodeResponse,
  parseQuery,
  type Query,
  RCODE,
  type Response,
  TCP_BYTES_MAX,
  udpLimit,
} from './message.ts';
import { cutMessage, walkRecords } from './message-walk.ts';
import type { DnsRecord } from './records.ts';
import type { Upstream } from './upstream.ts';
import { compileZone, type Zone } from './zone.ts';
import type { ZoneTable } from './zone-table.ts';

export type DnsTransport = 'udp' | 'tcp';

/** Bytes in, bytes out. */
export interface Responder {
  /** Answers from this table from now on. */
  update(table: ZoneTable): void;
  /**
   * Answers one packet, at once where the zone or a cache knows, else when an upstream has. Never throws; hostile packets get a refusal or nothing.
   * `reply` is called at most once, with a buffer of its own.
   */
  respond(packet: Buffer, transport: DnsTransport, reply: (answer: Buffer) => void): void;
  /** Looks for upstreams that lead back here, once; then waits for `signal`. */
  run(signal: AbortSignal): Promise<void>;
  readonly counters: ResponderCounters;
}

export interface ResponderCounters {
  /** Answered from the encoded answers at hand. */
  repeated: number;
  zone: number;
  upstream: number;
  refused: number;
}

export interface ResponderOptions {
  readonly upstream: Upstream;
  readonly random: Random;
  readonly log: Logger;
}

/** Encoded answers kept per table. A flood of different names empties them, which costs those that repeat one slow answer each. */
const REPEATED_MAX = 8_192;
/** Packets longer than this are not worth remembering. */
const REPEATED_BYTES_MAX = 300;
/** Orders of a many-addressed answer that are kept, so that not everybody takes the same first address. */
const ROTATIONS_MAX = 8;
const ALIASES_MAX = 8;
const LOOP_LABEL = 'loop-probe';

interface Repeated {
  readonly variants: readonly Buffer[];
  next: number;
}

/** Starts without a zone: until the first table every name of the cluster is a server failure, so that nobody remembers it as absent. */
export function createResponder({ upstream, random, log }: ResponderOptions): Responder {
  let zone: Zone | undefined;
  let domain = '';
  let serial = 0;
  const repeated = new Map<string, Repeated>();
  /** Apart, so that names that do not exist, of which there is no end, cannot push out those that do. */
  const repeatedAbsent = new Map<string, Repeated>();
  const probes = new Map<string, boolean>();
  const counters: ResponderCounters = { repeated: 0, zone: 0, upstream: 0, refused: 0 };
  let stop: AbortSignal = new AbortController().signal;

  const failure = (rcode: Response['rcode']): Response => ({ rcode, authoritative: false, answers: [], authorities: [], additionals: [] });

  /** Answers from the zone, or says whom to ask: nobody else (`undefined`), or an upstream for `outside`. */
  const fromZone = (query: Query): { response: Response } | { outside: string; aliases: readonly DnsRecord[] } => {
    const aliases: DnsRecord[] = [];
    let name = query.name;
    for (let hops = 0; hops <= ALIASES_MAX; hops += 1) {
      const answer = zone?.answer({ name, type: query.type });
      if (!answer) return { response: failure(RCODE.SERVFAIL) };
      switch (answer.kind) {
        case 'outside':
          return { outside: name, aliases };
        case 'alias':
          aliases.push(answer.record);
          name = answer.target.replace(/\.$/, '');
          continue;
        case 'absent':
          return { response: { ...failure(RCODE.NXDOMAIN), authoritative: true, answers: aliases, authorities: [answer.authority] } };
        case 'found':
          return {
            response: {
              rcode: RCODE.NOERROR,
              authoritative: true,
              answers: [...aliases, ...answer.records],
              authorities: answer.authority ? [answer.authority] : [],
              additionals: answer.extra,
            },
          };
      }
    }
    return { response: failure(RCODE.SERVFAIL) };
  };

  /** An alias that leaves the zone: the address comes from upstream, and stands below the alias. */
  const followAlias = async (query: Query, target: string, aliases: readonly DnsRecord[]): Promise<Response> => {
    const authoritative = { rcode: RCODE.NOERROR, authoritative: true, answers: aliases, authorities: [], additionals: [] };
    if (!upstream.hasServers) return authoritative;
    const answer = await upstream.resolve({ ...query, name: target, questionBytes: encodeQuestion(target, query.type) }, stop);
    const records = answer ? decodeAddresses(answer) : [];
    return { ...authoritative, answers: [...aliases, ...records] };
  };

  const fromUpstream = async (query: Query, limit: number): Promise<Buffer> => {
    // With nobody to ask, no name outside the cluster exists; a failure would keep clients waiting and asking again.
    if (!upstream.hasServers) return encodeResponse(query, failure(RCODE.NXDOMAIN), limit);
    const answer = upstream.cached(query) ?? (await upstream.resolve(query, stop));
    if (!answer) return encodeResponse(query, failure(RCODE.SERVFAIL), limit);
    return fit(answer, query, limit);
  };

  const remember = (key: string, query: Query, response: Response, limit: number): Buffer => {
    const { answers } = response;
    const isRotatable = answers.length > 1 && answers.every(({ type }) => type === 'A' || type === 'AAAA');
    const variants = Array.from({ length: isRotatable ? Math.min(answers.length, ROTATIONS_MAX) : 1 }, (_, turn) =>
      encodeResponse(query, { ...response, answers: [...answers.slice(turn), ...answers.slice(0, turn)] }, limit),
    );
    const [first = Buffer.alloc(0)] = variants;
    const known = response.rcode === RCODE.NOERROR ? repeated : repeatedAbsent;
    if (known.size >= REPEATED_MAX) known.clear();
    known.set(key, { variants, next: 1 });
    return Buffer.from(first);
  };

  return {
    counters,
    update(table) {
      serial += 1;
      zone = compileZone(table, serial);
      domain = table.clusterDomain.toLowerCase();
      repeated.clear();
      repeatedAbsent.clear();
    },
    respond(packet, transport, reply) {
      // Everything but the id decides the answer.
      const isShort = packet.length <= REPEATED_BYTES_MAX;
      const key = isShort ? `${transport[0]}${packet.toString('latin1', 2)}` : '';
      const known = isShort ? (repeated.get(key) ?? repeatedAbsent.get(key)) : undefined;
      if (known) {
        counters.repeated += 1;
        const variant = known.variants[known.next % known.variants.length] ?? Buffer.alloc(0);
        known.next = (known.next + 1) % known.variants.length;
        const answer = Buffer.from(variant);
        answer[0] = packet[0] ?? 0;
        answer[1] = packet[1] ?? 0;
        reply(answer);
        return;
      }
      const parsed = parseQuery(packet);
      if (parsed.kind !== 'query') {
        counters.refused += 1;
        if (parsed.kind === 'refuse') reply(encodeRefusal(parsed.id, parsed.rcode));
        return;
      }
      const { query } = parsed;
      const limit = transport === 'tcp' ? TCP_BYTES_MAX : udpLimit(query);
      if (probes.has(query.name.toLowerCase())) probes.set(query.name.toLowerCase(), true);
      const found = fromZone(query);
      if ('response' in found) {
        counters.zone += 1;
        const isLasting = isShort && zone !== undefined && probes.size === 0;
        reply(isLasting ? remember(key, query, found.response, limit) : encodeResponse(query, found.response, limit));
        return;
      }
      counters.upstream += 1;
      const work =
        found.aliases.length > 0
          ? followAlias(query, found.outside, found.aliases).then((response) => encodeResponse(query, response, limit))
          : fromUpstream(query, limit);
      work.then(reply, (error: unknown) => {
        log.warn('question failed', { name: query.name, error });
        reply(encodeResponse(query, failure(RCODE.SERVFAIL), limit));
      });
    },
    async run(signal) {
      stop = signal;
      const probe = (): string => {
        const name = `${random.integer(2 ** 32).toString(16)}.${LOOP_LABEL}.${domain || 'invalid'}`;
        probes.set(name, false);
        return name;
      };
      await upstream.dropLoops(probe, (name) => probes.get(name) === true, signal);
      probes.clear();
      if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    },
  };
}

/** An upstream's answer within `limit`, its own EDNS record left out: that was for us. */
function fit(answer: Buffer, query: Query, limit: number): Buffer {
  const spans = walkRecords(answer);
  if (!spans)
    return encodeResponse(query, { rcode: RCODE.SERVFAIL, authoritative: false, answers: [], authorities: [], additionals: [] }, limit);
  return cutMessage(answer, spans, { limit, withEdns: query.edns !== undefined, udpBytes: 1232 });
}
