import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { seededRandom, silentLogger, systemClock } from '@dure/foundation';
import { decode, encode, type Packet } from 'dns-packet';
import { afterEach, describe, expect, it } from 'vitest';
import { AnswerCache } from './answer-cache.ts';
import { encodeQuestion, type Query } from './message.ts';
import { createResponder } from './responder.ts';
import { createUpstream, type Upstream } from './upstream.ts';

const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** A resolver on loopback that answers each question with what `answer` says. */
async function resolver(
  answer: (question: Packet, raw: Buffer) => Packet | undefined,
): Promise<{ address: string; port: number; asked: () => number; udp: Socket }> {
  const udp = createSocket('udp4');
  let count = 0;
  udp.on('message', (raw, from) => {
    count += 1;
    const question = decode(raw);
    const reply = answer(question, raw);
    if (reply)
      udp.send(encode({ type: 'response', id: question.id ?? 0, questions: question.questions ?? [], ...reply }), from.port, from.address);
  });
  udp.bind(0, '127.0.0.1');
  await once(udp, 'listening');
  open.push(udp);
  return { address: '127.0.0.1', port: udp.address().port, asked: () => count, udp };
}

function query(name: string, id = 7): Query {
  return { id, name, type: 'A', recursionDesired: true, checkingDisabled: false, questionBytes: encodeQuestion(name, 'A') };
}

function upstreamOf(servers: readonly { address: string; port: number }[]): Upstream {
  return createUpstream({ servers, clock: systemClock, random: seededRandom(1), log: silentLogger, timeoutMs: 300 });
}

const signal = new AbortController().signal;
const a = (data: string, ttl = 60): Packet => ({ answers: [{ type: 'A', name: 'example.org', ttl, data }] });

describe('an upstream', () => {
  it('gives the answer with the id and spelling of the question, and asks once for equal questions', async () => {
    const server = await resolver(() => a('192.0.2.1'));
    const upstream = upstreamOf([server]);
    const answers = await Promise.all([
      upstream.resolve(query('example.org', 1), signal),
      upstream.resolve(query('Example.ORG', 2), signal),
    ]);
    expect(answers.map((answer) => answer && decode(answer))).toMatchObject([
      { id: 1, questions: [{ name: 'example.org' }], answers: [{ data: '192.0.2.1' }] },
      { id: 2, questions: [{ name: 'Example.ORG' }], answers: [{ data: '192.0.2.1' }] },
    ]);
    expect(server.asked()).toBe(1);
    expect(upstream.cached(query('example.org'))).toBeDefined();
  });

  it('goes to the next server when one is silent or says that it failed', async () => {
    const silent = await resolver(() => undefined);
    const failing = await resolver(() => ({ flags: 2 }));
    const good = await resolver(() => a('192.0.2.2'));
    const answer = await upstreamOf([silent, failing, good]).resolve(query('example.org'), signal);
    expect(answer && decode(answer)).toMatchObject({ answers: [{ data: '192.0.2.2' }] });
    expect([silent.asked(), failing.asked()]).toEqual([1, 1]);
  });

  it('goes on when a server cannot even be sent to', async () => {
    const good = await resolver(() => a('192.0.2.7'));
    // The limited broadcast address may not be connected to without asking for it.
    const answer = await upstreamOf([{ address: '255.255.255.255', port: 53 }, good]).resolve(query('example.org'), signal);
    expect(answer && decode(answer)).toMatchObject({ answers: [{ data: '192.0.2.7' }] });
  });

  it('gives up after its rounds', async () => {
    const silent = await resolver(() => undefined);
    expect(await upstreamOf([silent]).resolve(query('example.org'), signal)).toBeUndefined();
    expect(silent.asked()).toBe(2);
  });

  it('does not take an answer to another question', async () => {
    const forger = await resolver((question) => ({ ...a('192.0.2.66'), id: ((question.id ?? 0) + 1) & 0xffff }));
    expect(await upstreamOf([forger]).resolve(query('example.org'), signal)).toBeUndefined();
  });

  it('asks again over TCP for what did not fit', async () => {
    const server = await resolver(() => ({ flags: 0x0200 }));
    const tcp = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        const question = decode(bytes.subarray(2));
        const reply = encode({ type: 'response', id: question.id ?? 0, questions: question.questions ?? [], ...a('192.0.2.3') });
        socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 0xff]), reply]));
      });
    });
    tcp.listen(server.port, '127.0.0.1');
    await once(tcp, 'listening');
    open.push(tcp);
    const answer = await upstreamOf([server]).resolve(query('example.org'), signal);
    expect(answer && decode(answer)).toMatchObject({ answers: [{ data: '192.0.2.3' }] });
  });

  it('stops asking a server that leads back to the responder', async () => {
    let responder: ReturnType<typeof createResponder> | undefined;
    const mirror = await resolver((_, raw) => {
      responder?.respond(raw, 'udp', () => {});
      return a('192.0.2.4');
    });
    const good = await resolver(() => a('192.0.2.5'));
    const upstream = upstreamOf([mirror, good]);
    const stop = new AbortController();
    responder = createResponder({ upstream, random: seededRandom(1), log: silentLogger });
    responder.update({ clusterDomain: 'cluster.local', services: [] });
    const running = responder.run(stop.signal);
    while (good.asked() === 0) await once(good.udp, 'message');
    stop.abort();
    await running;
    const before = mirror.asked();
    const answer = await upstream.resolve(query('example.org'), signal);
    expect(answer && decode(answer)).toMatchObject({ answers: [{ data: '192.0.2.5' }] });
    expect(mirror.asked()).toBe(before);
  });
});

describe('an answer cache', () => {
  const limits = { entriesMax: 2, positiveSecondsMax: 30, negativeSecondsMax: 5 };
  const message = (packet: Packet): Buffer => encode({ type: 'response', questions: [{ name: 'example.org', type: 'A' }], ...packet });
  const soa = {
    type: 'SOA',
    name: 'org',
    ttl: 900,
    data: { mname: 'a', rname: 'b', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 600 },
  } as const;

  it('lowers TTLs by the age and forgets in time', () => {
    const cache = new AnswerCache(limits);
    cache.set('k', message(a('192.0.2.1', 20)), 0);
    const aged = cache.get('k', 7_500);
    expect(aged && decode(aged).answers).toMatchObject([{ ttl: 13 }]);
    expect(cache.get('k', 20_000)).toBeUndefined();
  });

  it('keeps negative answers by their SOA, and no failures', () => {
    const cache = new AnswerCache(limits);
    cache.set('absent', message({ flags: 3, authorities: [soa] }), 0);
    expect(cache.get('absent', 4_000)).toBeDefined();
    expect(cache.get('absent', 5_000)).toBeUndefined();
    cache.set('failed', message({ flags: 2 }), 0);
    cache.set('bare', message({ flags: 3 }), 0);
    cache.set('cut', message({ ...a('192.0.2.1'), flags: 0x0200 }), 0);
    cache.set('zero', message(a('192.0.2.1', 0)), 0);
    expect(cache.size).toBe(0);
  });

  it('never holds more than it may', () => {
    const cache = new AnswerCache(limits);
    for (const key of ['a', 'b', 'c']) cache.set(key, message(a('192.0.2.1')), 0);
    expect(cache.size).toBe(2);
    expect(cache.get('a', 1)).toBeUndefined();
  });
});
