import { seededRandom, silentLogger } from '@dure/foundation';
import { type DecodedPacket, decode, encode, type RecordType, TRUNCATED_RESPONSE } from 'dns-packet';
import { describe, expect, it } from 'vitest';
import { createResponder, type DnsTransport, type Responder } from './responder.ts';
import type { Upstream } from './upstream.ts';
import type { ZoneTable } from './zone-table.ts';

const seed = Number(process.env.DURE_SEED ?? Date.now() % 1_000_000);

function table(addresses: readonly string[]): ZoneTable {
  return {
    clusterDomain: 'cluster.local',
    services: [
      { namespace: 'default', name: 'web', clusterIPs: ['10.43.0.5'], ports: [{ name: 'http', protocol: 'TCP', port: 80 }], endpoints: [] },
      { namespace: 'default', name: 'many', clusterIPs: [], ports: [], endpoints: addresses.map((address) => ({ address, ports: [] })) },
      { namespace: 'default', name: 'inner', clusterIPs: [], externalName: 'web.default.svc.cluster.local', ports: [], endpoints: [] },
      { namespace: 'default', name: 'loop', clusterIPs: [], externalName: 'loop.default.svc.cluster.local', ports: [], endpoints: [] },
    ],
  };
}

const nobody: Upstream = { hasServers: false, cached: () => undefined, resolve: async () => undefined, dropLoops: async () => {} };

function responder(addresses: readonly string[] = ['10.42.0.1'], upstream = nobody): Responder {
  const made = createResponder({ upstream, random: seededRandom(1), log: silentLogger });
  made.update(table(addresses));
  return made;
}

function packet(name: string, type: RecordType = 'A', udpPayloadSize?: number): Buffer {
  return encode({
    type: 'query',
    id: 4711,
    flags: 0x100,
    questions: [{ name, type }],
    ...(udpPayloadSize !== undefined && {
      additionals: [{ type: 'OPT', name: '.', udpPayloadSize, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] }],
    }),
  });
}

function ask(of: Responder, bytes: Buffer, transport: DnsTransport = 'udp'): Buffer | undefined {
  let reply: Buffer | undefined;
  of.respond(bytes, transport, (answer) => {
    reply = answer;
  });
  return reply;
}

/** The library decodes the response code, but its types do not know. */
type Answered = DecodedPacket & { readonly rcode: string };

function asked(of: Responder, bytes: Buffer, transport: DnsTransport = 'udp'): Answered {
  const reply = ask(of, bytes, transport);
  if (!reply) throw new Error('no answer at once');
  return decode(reply) as Answered;
}

const isCut = ({ flags }: DecodedPacket): boolean => ((flags ?? 0) & TRUNCATED_RESPONSE) !== 0;

describe('a responder', () => {
  it('repeats the id and the spelling of the question', () => {
    const answer = asked(responder(), packet('wEb.default.svc.cluster.local'));
    expect(answer).toMatchObject({
      id: 4711,
      questions: [{ name: 'wEb.default.svc.cluster.local' }],
      answers: [{ data: '10.43.0.5', ttl: 5 }],
    });
    expect(answer.flag_aa && answer.flag_ra && answer.flag_rd && answer.flag_qr).toBe(true);
  });

  it('answers from memory the second time, with the id of the second question, and forgets when the table changes', () => {
    const made = responder();
    const question = packet('many.default.svc.cluster.local');
    ask(made, question);
    question.writeUInt16BE(99, 0);
    expect(asked(made, question)).toMatchObject({ id: 99, answers: [{ data: '10.42.0.1' }] });
    expect(made.counters).toMatchObject({ repeated: 1, zone: 1 });
    made.update(table(['10.42.0.2']));
    expect(asked(made, question)).toMatchObject({ answers: [{ data: '10.42.0.2' }] });
  });

  it('puts another address first each time', () => {
    const made = responder(['10.42.0.1', '10.42.0.2', '10.42.0.3']);
    const firsts = Array.from({ length: 3 }, () => asked(made, packet('many.default.svc.cluster.local')).answers?.[0]);
    expect(new Set(firsts.map((record) => record && 'data' in record && record.data)).size).toBe(3);
  });

  it('cuts answers that do not fit a datagram, says so, and gives all over TCP', () => {
    const made = responder(Array.from({ length: 100 }, (_, index) => `10.42.0.${index}`));
    const name = 'many.default.svc.cluster.local';
    const plain = ask(made, packet(name)) ?? Buffer.alloc(0);
    expect(plain.length).toBeLessThanOrEqual(512);
    expect(isCut(decode(plain))).toBe(true);
    // 12 + 36 of header and question, 16 per record: shortened names.
    expect(decode(plain).answers).toHaveLength(29);
    const wide = ask(made, packet(name, 'A', 4096)) ?? Buffer.alloc(0);
    expect(wide.length).toBeGreaterThan(1000);
    expect(wide.length).toBeLessThanOrEqual(1232);
    const whole = asked(made, packet(name), 'tcp');
    expect(whole.answers).toHaveLength(100);
    expect(isCut(whole)).toBe(false);
  });

  it('leaves additional records out rather than cutting the answer', () => {
    const made = responder();
    const answer = asked(made, packet('_http._tcp.web.default.svc.cluster.local', 'SRV'));
    expect(answer).toMatchObject({ answers: [{ type: 'SRV' }], additionals: [{ type: 'A', data: '10.43.0.5' }] });
  });

  it('follows aliases inside the zone, and gives up on one that leads to itself', () => {
    expect(asked(responder(), packet('inner.default.svc.cluster.local'))).toMatchObject({
      answers: [{ type: 'CNAME' }, { type: 'A', data: '10.43.0.5' }],
    });
    expect(asked(responder(), packet('loop.default.svc.cluster.local')).rcode).toBe('SERVFAIL');
  });

  it('fails before it has a table, rather than denying names', () => {
    const made = createResponder({ upstream: nobody, random: seededRandom(1), log: silentLogger });
    expect(asked(made, packet('web.default.svc.cluster.local')).rcode).toBe('SERVFAIL');
    made.update(table([]));
    expect(asked(made, packet('web.default.svc.cluster.local')).rcode).toBe('NOERROR');
  });

  it('denies the rest of the world when there is nobody to ask', async () => {
    const reply = await new Promise<Buffer>((resolve) => responder().respond(packet('example.org'), 'udp', resolve));
    expect(decode(reply)).toMatchObject({ rcode: 'NXDOMAIN' });
  });

  it('refuses what is no plain question, and ignores answers', () => {
    const made = responder();
    const good = packet('web.default.svc.cluster.local');
    const changed = (change: (bytes: Buffer) => void): Buffer => {
      const bytes = Buffer.from(good);
      change(bytes);
      return bytes;
    };
    expect(ask(made, Buffer.alloc(5))).toBeUndefined();
    expect(
      ask(
        made,
        changed((bytes) => bytes.writeUInt16BE(0x8000, 2)),
      ),
    ).toBeUndefined();
    expect(
      asked(
        made,
        changed((bytes) => bytes.writeUInt16BE(0x2800, 2)),
      ).rcode,
    ).toBe('NOTIMP');
    expect(
      asked(
        made,
        changed((bytes) => bytes.writeUInt16BE(65_535, 6)),
      ).rcode,
    ).toBe('FORMERR');
    expect(
      asked(
        made,
        changed((bytes) => bytes.writeUInt16BE(2, 4)),
      ).rcode,
    ).toBe('FORMERR');
    expect(asked(made, good.subarray(0, 20)).rcode).toBe('FORMERR');
    // A name that points at itself.
    expect(asked(made, Buffer.concat([good.subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])])).rcode).toBe('FORMERR');
  });

  it(`survives any packet, and answers each in bounded time (DURE_SEED=${seed})`, () => {
    const random = seededRandom(seed);
    const made = responder();
    const good = packet('_http._tcp.web.default.svc.cluster.local', 'SRV', 1232);
    for (let round = 0; round < 20_000; round += 1) {
      const bytes = Buffer.from(good.subarray(0, 1 + random.integer(good.length)));
      for (let changes = random.integer(6); changes > 0; changes -= 1) bytes[random.integer(bytes.length)] = random.integer(256);
      const reply = ask(made, bytes);
      if (reply) expect(reply.readUInt16BE(0)).toBe(bytes.readUInt16BE(0));
    }
  });
});
