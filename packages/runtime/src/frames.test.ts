import { seededRandom } from '@dure/foundation';
import { describe, expect, it } from 'vitest';
import { encodeFrame, encodeSize, FRAME_BYTES_MAX, FrameDecoder } from './frames.ts';
import { parseNativeFailure } from './native-failure.ts';
import { renderPlan } from './plan.ts';
import { parseStat } from './process-identity.ts';

describe('frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    const seed = Number(process.env.DURE_SEED ?? Math.trunc(Math.random() * 2 ** 31));
    const random = seededRandom(seed);
    const sent = Array.from({ length: 50 }, () => Buffer.from(random.bytes(random.integer(300))));
    const stream = Buffer.concat(sent.map((data) => encodeFrame('I', data)));
    const decoder = new FrameDecoder();
    const received: Buffer[] = [];
    for (let at = 0; at < stream.length; ) {
      const size = 1 + random.integer(70);
      for (const { type, data } of decoder.push(stream.subarray(at, at + size))) {
        expect(type).toBe('I');
        received.push(Buffer.from(data));
      }
      at += size;
    }
    expect(received, `seed ${seed}`).toEqual(sent);
  });

  it('may not be larger than agreed', () => {
    const header = Buffer.alloc(5);
    header.writeUInt32BE(FRAME_BYTES_MAX + 1, 1);
    expect(() => new FrameDecoder().push(header)).toThrow(/65537 bytes announced/);
  });

  it('carry sizes within what a terminal can have', () => {
    expect([...encodeSize(80, 24)]).toEqual([0, 80, 0, 24]);
    expect([...encodeSize(-1, 100_000)]).toEqual([0, 0, 255, 255]);
  });
});

describe('texts from and for the native program', () => {
  it('writes fields by their length, so that they may hold anything', () => {
    expect(Buffer.from(renderPlan([['argument', 'é\n5:x'], ['user', 1, 2], ['home']])).toString()).toBe(
      'dure-run plan 1\nargument 6:é\n5:x\nuser 1:1 1:2\nhome\nend\n',
    );
  });

  it('reads a failure with the bytes of its path, and makes one of what is none', () => {
    const report = { step: 'open log', subject: Buffer.from('/täg').toString('latin1'), errno: 2, error: 'No such file or directory' };
    expect(parseNativeFailure(Buffer.from(JSON.stringify(report), 'latin1'))).toEqual({ ...report, subject: '/täg' });
    expect(parseNativeFailure(Buffer.from('nonsense'))).toMatchObject({ step: 'unreadable report of a failure', subject: 'nonsense' });
  });

  it('finds the start time behind a name that looks like fields', () => {
    const fields = Array.from({ length: 50 }, (_, index) => `${index + 4}`);
    expect(parseStat(`7 (a) S 1 (b)) R ${fields.join(' ')}`)).toEqual({ state: 'R', startTime: '22' });
  });
});
