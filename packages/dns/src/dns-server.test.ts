import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { seededRandom, silentLogger, systemClock } from '@dure/foundation';
import { type DecodedPacket, decode, encode } from 'dns-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serveDns } from './dns-server.ts';
import { encodeQuestion } from './message.ts';
import { createResponder } from './responder.ts';
import type { Upstream } from './upstream.ts';

/** Knows example.org, and answers late. */
const upstream: Upstream = {
  hasServers: true,
  cached: () => undefined,
  async resolve({ id, name, type }) {
    await new Promise((resolve) => setImmediate(resolve));
    if (name !== 'example.org' || type !== 'A') return undefined;
    return encode({ type: 'response', id, questions: [{ name, type: 'A' }], answers: [{ type: 'A', name, ttl: 60, data: '192.0.2.1' }] });
  },
  dropLoops: async () => {},
};

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

const question = (name: string, id: number): Buffer => encode({ type: 'query', id, flags: 0x100, questions: [{ name, type: 'A' }] });
const framed = (message: Buffer): Buffer => Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]);

describe('a DNS server', () => {
  const stop = new AbortController();
  let running: Promise<void>;
  let udp: UdpSocket;
  let port: number;

  beforeAll(async () => {
    const responder = createResponder({ upstream, random: seededRandom(1), log: silentLogger });
    responder.update({
      clusterDomain: 'cluster.local',
      services: [
        { namespace: 'default', name: 'web', clusterIPs: ['10.43.0.5'], ports: [], endpoints: [] },
        { namespace: 'default', name: 'out', clusterIPs: [], externalName: 'example.org', ports: [], endpoints: [] },
      ],
    });
    port = await freePort();
    udp = createSocket('udp4');
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    running = serveDns({ responder, udp: [udp], tcp: [{ host: '127.0.0.1', port }], clock: systemClock, log: silentLogger }, stop.signal);
  });
  afterAll(async () => {
    stop.abort();
    await running;
  });

  const overUdp = async (name: string): Promise<DecodedPacket> => {
    const client = createSocket('udp4');
    client.send(question(name, 5), udp.address().port, '127.0.0.1');
    const [answer] = (await once(client, 'message')) as [Buffer];
    client.close();
    return decode(answer);
  };

  it('answers over UDP, from the zone and from upstream', async () => {
    expect(await overUdp('web.default.svc.cluster.local')).toMatchObject({ id: 5, answers: [{ data: '10.43.0.5' }] });
    expect(await overUdp('example.org')).toMatchObject({ id: 5, answers: [{ data: '192.0.2.1' }] });
    expect(await overUdp('other.example')).toMatchObject({ id: 5, rcode: 'SERVFAIL' });
  });

  it('puts the address of an alias that leaves the zone below it', async () => {
    expect(await overUdp('out.default.svc.cluster.local')).toMatchObject({
      questions: [{ name: 'out.default.svc.cluster.local' }],
      answers: [
        { type: 'CNAME', name: 'out.default.svc.cluster.local', data: 'example.org' },
        { type: 'A', name: 'example.org', data: '192.0.2.1' },
      ],
    });
  });

  it('answers every question of a stream that sends many at once, in any pieces', async () => {
    const client = connect(port, '127.0.0.1');
    const names = ['web.default.svc.cluster.local', 'example.org'];
    const stream = Buffer.concat(Array.from({ length: 500 }, (_, id) => framed(question(names[id % 2] ?? '', id))));
    for (let at = 0; at < stream.length; at += 777) client.write(stream.subarray(at, at + 777));
    const ids = new Set<number>();
    let received: Buffer = Buffer.alloc(0);
    while (ids.size < 500) {
      const [chunk] = (await once(client, 'data')) as [Buffer];
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const message = decode(received.subarray(2, 2 + received.readUInt16BE(0)));
        expect(message.answers).toHaveLength(1);
        ids.add(message.id ?? -1);
        received = received.subarray(2 + received.readUInt16BE(0));
      }
    }
    client.destroy();
  });

  it('answers what is no question with a refusal, and goes on', async () => {
    const client = connect(port, '127.0.0.1');
    client.write(Buffer.concat([framed(Buffer.alloc(12)), framed(question('web.default.svc.cluster.local', 9))]));
    let received: Buffer = Buffer.alloc(0);
    while (received.length < 14 + 20) received = Buffer.concat([received, ...((await once(client, 'data')) as [Buffer])]);
    expect(decode(received.subarray(2, 14))).toMatchObject({ rcode: 'FORMERR' });
    expect(decode(received.subarray(16))).toMatchObject({ id: 9, answers: [{ data: '10.43.0.5' }] });
    client.destroy();
  });
});

describe('a question', () => {
  it('is encoded as a resolver would', () => {
    expect(encodeQuestion('a.bc', 'AAAA')).toEqual(Buffer.from([1, 97, 2, 98, 99, 0, 0, 28, 0, 1]));
  });
});
