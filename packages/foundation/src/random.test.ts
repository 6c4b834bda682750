import { describe, expect, it } from 'vitest';
import { seededRandom, systemRandom, uuid } from './random.ts';

describe('Random', () => {
  it('repeats its sequence for the same seed and not for another', () => {
    const draw = (seed: number) =>
      Array.from(
        { length: 8 },
        (
          (random) => () =>
            random.integer(1_000_000)
        )(seededRandom(seed)),
      );
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it('stays in range and reaches both ends', () => {
    const random = seededRandom(1);
    const seen = new Set(Array.from({ length: 400 }, () => random.integer(6)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(() => random.integer(0)).toThrow(RangeError);
  });

  it('never gives out the same bytes twice, nor bytes that change later', () => {
    const made = Array.from({ length: 2000 }, (_, index) => systemRandom.bytes(8 + (index % 5)));
    const texts = made.map((bytes) => Buffer.from(bytes).toString('hex'));
    expect(new Set(texts.map((text) => text.slice(0, 16))).size).toBe(2000);
    for (let index = 0; index < 2000; index += 1) systemRandom.bytes(16);
    expect(made.map((bytes) => Buffer.from(bytes).toString('hex'))).toEqual(texts);
    expect(systemRandom.bytes(10_000)).toHaveLength(10_000);
  });

  it('makes version 4 UUIDs that differ', () => {
    const made = Array.from({ length: 100 }, () => uuid(systemRandom));
    for (const id of made) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set(made).size).toBe(100);
  });
});
