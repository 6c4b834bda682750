import { createHash, randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { silentLogger, systemClock } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../testing/duplex-pair.ts';
import { FakeRuntime } from '../testing/fake-runtime.ts';
import { inflateBlock, SpdyClient } from '../testing/spdy-client.ts';
import { forwardSpdy } from './port-forward.ts';
import { serveRemoteCommand } from './remote-command.ts';
import { SUCCESS } from './remote-streams.ts';
import { SpdyConnection, type SpdyStream } from './spdy-connection.ts';
import { SPDY_DICTIONARY } from './spdy-dictionary.ts';
import { spdyStreams } from './spdy-streams.ts';

/** Adler-32, by which zlib knows a dictionary. */
function adler32(data: Buffer): number {
  let a = 1;
  let b = 0;
  for (const byte of data) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return ((b << 16) | a) >>> 0;
}

describe('SPDY/3.1', () => {
  it('primes its compression with the dictionary of the specification', () => {
    expect(adler32(SPDY_DICTIONARY)).toBe(0xe3c6a7c2);
  });

  it('opens streams with their headers, replies, and carries data both ways to the end', async () => {
    const [server, wire] = duplexPair();
    const opened: SpdyStream[] = [];
    new SpdyConnection(server, Buffer.alloc(0), (stream) => {
      opened.push(stream);
      stream.pipe(stream);
    });
    const client = new SpdyClient(wire);
    const first = await client.open({ streamtype: 'data', port: '80' });
    const second = await client.open({ streamtype: 'error', port: '80' });
    client.send(second, 'two', true);
    client.send(first, 'one');
    client.send(first, ' more', true);
    expect(await client.readAll(first)).toBe('one more');
    expect(await client.readAll(second)).toBe('two');
    expect(opened.map(({ headers }) => headers.get('streamtype'))).toEqual(['data', 'error']);
    const reply = await client.frame(({ type, stream }) => type === 'reply' && stream === first);
    expect((await inflateBlock(reply.body.subarray(4))).readUInt32BE(0)).toBe(0);
  });

  it('answers pings', async () => {
    const [server, wire] = duplexPair();
    new SpdyConnection(server, Buffer.alloc(0), () => undefined);
    const client = new SpdyClient(wire);
    client.ping(7);
    expect((await client.frame(({ type }) => type === 'ping')).stream).toBe(7);
  });

  it('carries megabytes unchanged while the reader is slow', async () => {
    const [server, wire] = duplexPair();
    const sent = randomBytes(3 << 20);
    const hash = createHash('sha256');
    let size = 0;
    const finished = new Promise<void>((resolve) => {
      new SpdyConnection(server, Buffer.alloc(0), async (stream) => {
        for await (const chunk of stream as AsyncIterable<Buffer>) {
          hash.update(chunk);
          size += chunk.length;
          await new Promise((next) => setImmediate(next));
        }
        resolve();
      });
    });
    const client = new SpdyClient(wire);
    const id = await client.open({});
    for (let at = 0; at < sent.length; at += 100_000) client.send(id, sent.subarray(at, at + 100_000), at + 100_000 >= sent.length);
    await finished;
    expect(size).toBe(sent.length);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'));
  });

  it('ends a connection that speaks another version or sends nonsense', async () => {
    for (const bytes of [Buffer.from([0x80, 2, 0, 1, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), Buffer.alloc(64, 0xff)]) {
      const [server, wire] = duplexPair();
      const { closed } = new SpdyConnection(server, Buffer.alloc(0), () => undefined);
      wire.on('error', () => undefined);
      wire.resume();
      wire.write(bytes);
      await closed;
    }
  });
});

describe('a remote command over SPDY', () => {
  it('gives output, errors and the exit code', async () => {
    const runtime = new FakeRuntime(new FakeClock());
    const id = await runtime.createContainer('s', { metadata: { name: 'web', attempt: 0 } } as Parameters<
      FakeRuntime['createContainer']
    >[1]);
    runtime.onExec = () => ({ exitCode: 3, output: 'said\n' });
    const [server, wire] = duplexPair();
    const request = { stdin: false, stdout: true, stderr: true, tty: false };
    const serving = spdyStreams(server, Buffer.alloc(0), request, 'v4.channel.k8s.io', systemClock).then((streams) =>
      serveRemoteCommand('exec', () => runtime.exec(id, { command: ['x'], tty: false, stdin: false }), streams),
    );
    const client = new SpdyClient(wire);
    const error = await client.open({ streamtype: 'error' });
    const stdout = await client.open({ streamtype: 'stdout' });
    await client.open({ streamtype: 'stderr' });
    expect(await client.readAll(stdout)).toBe('said\n');
    expect(JSON.parse(await client.readAll(error))).toMatchObject({
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '3' }] },
    });
    await serving;
  });

  it('leaves input open until the command has ended, since clients take our end of that stream for theirs', async () => {
    const [server, wire] = duplexPair();
    const request = { stdin: true, stdout: true, stderr: false, tty: true };
    const opening = spdyStreams(server, Buffer.alloc(0), request, 'v4.channel.k8s.io', systemClock);
    const client = new SpdyClient(wire);
    await client.open({ streamtype: 'error' });
    const stdin = await client.open({ streamtype: 'stdin' });
    for (const streamtype of ['stdout', 'resize']) await client.open({ streamtype });
    const streams = await opening;
    let inputEnded = false;
    const end = client.frame(({ type, stream, fin }) => type === 'data' && stream === stdin && fin).then(() => (inputEnded = true));
    client.ping(5);
    await client.frame(({ type }) => type === 'ping');
    expect(inputEnded).toBe(false);
    await streams.finish(SUCCESS);
    await end;
  });

  it('is given up when the client does not open its streams', async () => {
    const clock = new FakeClock();
    const [server, wire] = duplexPair();
    wire.on('error', () => undefined);
    const request = { stdin: false, stdout: true, stderr: false, tty: false };
    const serving = spdyStreams(server, Buffer.alloc(0), request, 'v4.channel.k8s.io', clock);
    const refused = expect(serving).rejects.toThrow('timed out waiting for the client to create streams');
    await clock.advance(30_000);
    await refused;
  });
});

describe('port forwarding', () => {
  it('joins each pair of streams to a connection of its own', async () => {
    const [server, wire] = duplexPair();
    const asked: number[] = [];
    const done = forwardSpdy(
      server,
      Buffer.alloc(0),
      async (port) => {
        asked.push(port);
        return new PassThrough();
      },
      silentLogger,
    );
    const client = new SpdyClient(wire);
    for (const requestid of ['0', '1']) {
      const error = await client.open({ streamtype: 'error', port: '8080', requestid }, true);
      const data = await client.open({ streamtype: 'data', port: '8080', requestid });
      client.send(data, `echo ${requestid}`, true);
      expect(await client.readAll(data)).toBe(`echo ${requestid}`);
      expect(await client.readAll(error)).toBe('');
    }
    expect(asked).toEqual([8080, 8080]);
    wire.end();
    await done;
  });

  it('says on the error stream why there is no connection', async () => {
    const [server, wire] = duplexPair();
    const refused = async (): Promise<never> => {
      throw new Error('connection refused');
    };
    forwardSpdy(server, Buffer.alloc(0), refused, silentLogger).catch(() => undefined);
    const client = new SpdyClient(wire);
    const error = await client.open({ streamtype: 'error', port: '81', requestid: '0' }, true);
    await client.open({ streamtype: 'data', port: '81', requestid: '0' });
    expect(await client.readAll(error)).toBe('error forwarding port 81 to pod: connection refused');
  });
});
