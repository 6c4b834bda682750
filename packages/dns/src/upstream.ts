import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import type { Clock, Logger, Random } from '@dure/foundation';
import { AnswerCache } from './answer-cache.ts';
import { encodeQuestion, type Query, UDP_BYTES_MAX } from './message.ts';
import { questionEnd } from './message-walk.ts';

/** A resolver that knows the rest of the world. */
export interface UpstreamServer {
  readonly address: string;
  readonly port: number;
}

export interface UpstreamOptions {
  readonly servers: readonly UpstreamServer[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** For one attempt at one server. Default 2 s. */
  readonly timeoutMs?: number;
  /** Rounds over all servers. Default 2. */
  readonly rounds?: number;
  /** Questions under way at once; more are failed at once. Default 512. */
  readonly pendingMax?: number;
}

/** Asks the servers in turn, starting with the one that answered last. */
export interface Upstream {
  readonly hasServers: boolean;
  /** The answer's bytes with the id of `query`; `undefined`: no server answered. Equal questions at the same time are one. */
  resolve(query: Query, signal: AbortSignal): Promise<Buffer | undefined>;
  /** An answer at hand, or `undefined`. */
  cached(query: Query): Buffer | undefined;
  /**
   * Asks each server for the address of a name that only this responder could be asked for, and drops those through which the question came back.
   * @param probe Gives a fresh name. @param wasSeen Whether a question for it came in.
   */
  dropLoops(probe: () => string, wasSeen: (name: string) => boolean, signal: AbortSignal): Promise<void>;
}

const TIMEOUT_MS = 2_000;
const ROUNDS = 2;
const PENDING_MAX = 512;
const CACHE = { entriesMax: 4_096, positiveSecondsMax: 30, negativeSecondsMax: 30 };
const TRUNCATED = 0x0200;
const QR = 0x8000;
const HEADER_BYTES = 12;

export function createUpstream(options: UpstreamOptions): Upstream {
  const { clock, random, log, timeoutMs = TIMEOUT_MS, rounds = ROUNDS, pendingMax = PENDING_MAX } = options;
  let servers = [...options.servers];
  let preferred = 0;
  const cache = new AnswerCache(CACHE);
  const pending = new Map<string, Promise<Buffer | undefined>>();

  const attempt = async (server: UpstreamServer, question: Buffer, signal: AbortSignal): Promise<Buffer | undefined> => {
    const timer = new AbortController();
    // Taken off again below: the caller's signal lives as long as the process.
    const stop = (): void => timer.abort();
    signal.addEventListener('abort', stop, { once: true });
    const deadline = clock.sleep(timeoutMs, timer.signal).then(
      () => undefined,
      () => undefined,
    );
    try {
      const message = encodeRequest(random.integer(65_536), question);
      const answer = await Promise.race([askUdp(server, message, timer.signal), deadline]);
      if (!answer || (answer.readUInt16BE(2) & TRUNCATED) === 0) return answer;
      // What does not fit a datagram is asked for again over TCP; the cut answer is better than none.
      return (await Promise.race([askTcp(server, message, timer.signal), deadline])) ?? answer;
    } finally {
      signal.removeEventListener('abort', stop);
      timer.abort();
    }
  };

  const ask = async (question: Buffer, signal: AbortSignal): Promise<Buffer | undefined> => {
    for (let tries = 0; tries < rounds * servers.length && !signal.aborted; tries += 1) {
      const index = (preferred + tries) % servers.length;
      const server = servers[index];
      const answer = server && (await attempt(server, question, signal));
      // A server that only says that it failed is not the last word.
      if (!answer || isServerFailure(answer)) continue;
      preferred = index;
      return answer;
    }
    return undefined;
  };

  return {
    get hasServers() {
      return servers.length > 0;
    },
    cached(query) {
      const answer = cache.get(keyOf(query), clock.monotonicMs());
      return answer && withId(answer, query);
    },
    async resolve(query, signal) {
      const key = keyOf(query);
      let work = pending.get(key);
      if (!work) {
        if (pending.size >= pendingMax) return undefined;
        work = ask(query.questionBytes, signal)
          .then((answer) => {
            if (answer) cache.set(key, answer, clock.monotonicMs());
            return answer;
          })
          .finally(() => pending.delete(key));
        pending.set(key, work);
      }
      const answer = await work;
      return answer && withId(Buffer.from(answer), query);
    },
    async dropLoops(probe, wasSeen, signal) {
      for (const server of [...servers]) {
        const name = probe();
        await attempt(server, encodeQuestion(name, 'A'), signal);
        if (!wasSeen(name)) continue;
        log.error('upstream DNS server leads back to this responder, no longer asked', { server: server.address });
        servers = servers.filter((other) => other !== server);
        preferred = 0;
      }
    },
  };
}

/** One question per socket: the kernel picks the port, which an attacker would have to guess along with the id. */
function askUdp({ address, port }: UpstreamServer, message: Buffer, signal: AbortSignal): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    let isOpen = true;
    const finish = (answer?: Buffer): void => {
      if (!isOpen) return;
      isOpen = false;
      signal.removeEventListener('abort', onAbort);
      socket.close();
      resolve(answer);
    };
    const onAbort = (): void => finish();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', () => finish());
    socket.on('message', (answer) => {
      if (answersTo(answer, message)) finish(answer);
    });
    // The callback also hears of a failure (no way to the network), of which no 'error' event tells then.
    socket.connect(port, address, (error?: Error) => {
      if (error !== undefined && error !== null) finish();
      else if (isOpen) socket.send(message);
    });
  });
}

function askTcp({ address, port }: UpstreamServer, message: Buffer, signal: AbortSignal): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, signal });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    let received = Buffer.alloc(0);
    const finish = (answer?: Buffer): void => {
      resolve(answer);
      socket.destroy();
    };
    socket.on('error', () => finish());
    socket.on('close', () => finish());
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const answer = received.subarray(2, 2 + received.readUInt16BE(0));
      finish(answersTo(answer, message) ? answer : undefined);
    });
    socket.write(Buffer.concat([length, message]));
  });
}

/** Same id, same question: anything else is somebody else's answer, or a forged one. */
function answersTo(answer: Buffer, message: Buffer): boolean {
  if (answer.length < HEADER_BYTES || answer.readUInt16BE(0) !== message.readUInt16BE(0) || (answer.readUInt16BE(2) & QR) === 0)
    return false;
  const end = questionEnd(message);
  return (
    end !== undefined &&
    questionEnd(answer) === end &&
    answer.toString('latin1', 12, end).toLowerCase() === message.toString('latin1', 12, end).toLowerCase()
  );
}

/** Recursion desired, and EDNS so that most answers fit a datagram. */
function encodeRequest(id: number, question: Buffer): Buffer {
  const header = Buffer.from([id >> 8, id & 0xff, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1]);
  const opt = Buffer.from([0, 0, 41, UDP_BYTES_MAX >> 8, UDP_BYTES_MAX & 0xff, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, question, opt]);
}

function isServerFailure(answer: Buffer): boolean {
  const rcode = answer.readUInt16BE(2) & 0xf;
  return rcode === 2 || rcode === 5;
}

function keyOf({ questionBytes }: Query): string {
  return questionBytes.toString('latin1').toLowerCase();
}

/** The answer as this client asked: its id, its spelling of the name, its flags. */
function withId(answer: Buffer, { id, questionBytes, recursionDesired }: Query): Buffer {
  answer.writeUInt16BE(id, 0);
  answer.writeUInt16BE((answer.readUInt16BE(2) & ~0x0100) | (recursionDesired ? 0x0100 : 0), 2);
  questionBytes.copy(answer, HEADER_BYTES);
  return answer;
}
