import { createHash } from 'node:crypto';

/** Bits of a flow's hash that choose its queues: what a double holds exactly. Upstream's largest decks ask for 60; the few hands beyond 48 are never dealt. */
const HASH_BYTES = 6;

/** The hash of a flow: requests of one schema with one distinguisher. */
export function flowHash(schema: string, distinguisher: string): number {
  return createHash('sha256').update(schema).update('\0').update(distinguisher).digest().readUIntBE(0, HASH_BYTES);
}

/**
 * Deals `handSize` different queues of `queues` to a flow. Two flows seldom get the same hand, so a flow that fills all of its queues leaves others one that is free.
 * @param hash An integer in [0, 2^48). @param handSize At most `queues`.
 */
export function dealHand(hash: number, queues: number, handSize: number): readonly number[] {
  const hand: number[] = [];
  let rest = hash;
  for (let dealt = 0; dealt < handSize; dealt += 1) {
    const left = queues - dealt;
    let card = rest % left;
    rest = Math.floor(rest / left);
    // The card counts among those not dealt yet; `taken` is in ascending order.
    for (const taken of hand.toSorted((one, other) => one - other)) if (card >= taken) card += 1;
    hand.push(card);
  }
  return hand;
}
