import { describe, expect, it } from 'vitest';
import { FairQueues, type QueuedWork } from './fair-queues.ts';

interface Named extends QueuedWork {
  readonly flow: string;
}

const work = (flow: string, seats = 1): Named => ({ flow, seats });

/** Runs what waits one after the other, each for `elapsedMs`, and says whose turn it was. */
function serve(queues: FairQueues<Named>, count: number, elapsedMs: (work: Named) => number): string {
  let order = '';
  for (let index = 0; index < count; index += 1) {
    const next = queues.next();
    if (next === undefined) break;
    queues.begin(next.work, next.place);
    queues.end(next.work, next.place, elapsedMs(next.work));
    order += next.work.flow;
  }
  return order;
}

describe('FairQueues', () => {
  it('serves queues in turn, however much stands in one', () => {
    const queues = new FairQueues<Named>({ queues: 2, lengthLimit: 50 });
    for (let index = 0; index < 20; index += 1) queues.add(work('a'), { queue: 0 });
    for (let index = 0; index < 3; index += 1) queues.add(work('b'), { queue: 1 });
    expect(serve(queues, 8, () => 10)).toBe('bababaaa');
    expect(queues.waiting).toBe(15);
  });

  it('charges a queue for the time and the width of what it ran', () => {
    const slow = new FairQueues<Named>({ queues: 2, lengthLimit: 50 });
    const wide = new FairQueues<Named>({ queues: 2, lengthLimit: 50 });
    for (let index = 0; index < 20; index += 1) {
      slow.add(work('a'), { queue: 0 });
      slow.add(work('b'), { queue: 1 });
      wide.add(work('a', 4), { queue: 0 });
      wide.add(work('b'), { queue: 1 });
    }
    const shareOfA = (order: string): number => order.split('a').length - 1;
    expect(shareOfA(serve(slow, 20, ({ flow }) => (flow === 'a' ? 40 : 10)))).toBe(4);
    expect(shareOfA(serve(wide, 20, () => 10))).toBe(4);
  });

  it('gives no credit for idleness', () => {
    const queues = new FairQueues<Named>({ queues: 2, lengthLimit: 500 });
    for (let index = 0; index < 100; index += 1) queues.add(work('a'), { queue: 0 });
    serve(queues, 50, () => 10);
    for (let index = 0; index < 50; index += 1) queues.add(work('b'), { queue: 1 });
    const order = serve(queues, 20, () => 10);
    expect(order.split('b').length - 1).toBeLessThanOrEqual(11);
  });

  it('chooses the queue of a hand with least in it, by seats, and says when that one is full', () => {
    const queues = new FairQueues<Named>({ queues: 3, lengthLimit: 2 });
    queues.add(work('a', 5), { queue: 0 });
    queues.add(work('b'), { queue: 1 });
    queues.add(work('b'), { queue: 1 });
    expect(queues.place([0, 1])).toBeUndefined();
    expect(queues.place([0, 1, 2])).toEqual({ queue: 2 });
    expect(queues.place([0])).toEqual({ queue: 0 });
  });

  it('serves what waits in queues that a new shape has not', () => {
    const queues = new FairQueues<Named>({ queues: 4, lengthLimit: 50 });
    queues.add(work('a'), { queue: 3 });
    queues.reshape({ queues: 1, lengthLimit: 50 });
    queues.add(work('b'), { queue: 0 });
    expect([...serve(queues, 5, () => 10)].sort().join('')).toBe('ab');
    expect(queues.dump()).toHaveLength(1);
  });

  it('takes back what waits, once', () => {
    const queues = new FairQueues<Named>({ queues: 1, lengthLimit: 50 });
    const one = work('a');
    queues.add(one, { queue: 0 });
    expect(queues.remove(one, { queue: 0 })).toBe(true);
    expect(queues.remove(one, { queue: 0 })).toBe(false);
    expect(queues.next()).toBeUndefined();
  });
});
