import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dealHand, flowHash } from './shuffle-shard.ts';

describe('dealHand', () => {
  it('deals different queues, the same to the same flow', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 128 }), fc.integer({ min: 1, max: 12 }), (number, queues, size) => {
        const [hash, handSize] = [number % 2 ** 48, Math.min(size, queues)];
        const hand = dealHand(hash, queues, handSize);
        expect(new Set(hand).size).toBe(handSize);
        for (const queue of hand) expect(queue >= 0 && queue < queues).toBe(true);
        expect(dealHand(hash, queues, handSize)).toEqual(hand);
      }),
    );
  });

  it('deals every queue about as often as any other, in every place of a hand', () => {
    const counts = new Map<string, number>();
    for (let flow = 0; flow < 8000; flow += 1) {
      for (const [place, queue] of dealHand(flowHash('schema', String(flow)), 8, 3).entries())
        counts.set(`${place}/${queue}`, (counts.get(`${place}/${queue}`) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe('flowHash', () => {
  it('tells schema and distinguisher apart', () => {
    expect(flowHash('ab', 'c')).not.toBe(flowHash('a', 'bc'));
  });
});
