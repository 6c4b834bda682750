import { describe, expect, it } from 'vitest';
import { ChunkPool } from './chunk-pool.ts';

const bytes = (value: number, length = 4): Uint8Array => new Uint8Array(length).fill(value);

describe('a pool of chunks', () => {
  it('gives copies, which stay when what they were made of changes', () => {
    const pool = new ChunkPool(8, 2);
    const source = bytes(1);
    const { chunk } = pool.copy(source);
    source.fill(9);
    expect([...chunk]).toEqual([1, 1, 1, 1]);
  });

  it('never gives memory to a second chunk while the first is held', () => {
    const pool = new ChunkPool(8, 2);
    const [one, two] = [pool.copy(bytes(1)), pool.copy(bytes(2))];
    expect(one.chunk.buffer).not.toBe(two.chunk.buffer);
    one.release();
    const three = pool.copy(bytes(3));
    expect(three.chunk.buffer).toBe(one.chunk.buffer);
    expect([...two.chunk]).toEqual([2, 2, 2, 2]);
  });

  it('takes memory back once, however often it is told', () => {
    const pool = new ChunkPool(8, 4);
    const one = pool.copy(bytes(1));
    one.release();
    one.release();
    expect(pool.copy(bytes(2)).chunk.buffer).not.toBe(pool.copy(bytes(3)).chunk.buffer);
  });

  it('keeps no more than it may', () => {
    const pool = new ChunkPool(8, 1);
    const held = [pool.copy(bytes(1)), pool.copy(bytes(2))];
    for (const { release } of held) release();
    const again = [pool.copy(bytes(3)), pool.copy(bytes(4))];
    const known = held.map(({ chunk }) => chunk.buffer);
    expect(again.filter(({ chunk }) => known.includes(chunk.buffer))).toHaveLength(1);
  });

  it('refuses what does not fit', () => {
    expect(() => new ChunkPool(8, 1).copy(bytes(1, 9))).toThrow(RangeError);
  });
});
