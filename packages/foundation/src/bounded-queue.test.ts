import { describe, expect, it } from 'vitest';
import { BoundedQueue, QueueFullError } from './bounded-queue.ts';

async function drain<T>(queue: BoundedQueue<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

describe('BoundedQueue', () => {
  it('gives items in the order they came, also those queued before close', async () => {
    const queue = new BoundedQueue<number>(1000);
    for (let item = 0; item < 500; item += 1) queue.push(item);
    queue.close();
    expect(await drain(queue)).toEqual(Array.from({ length: 500 }, (_, item) => item));
  });

  it('wakes a consumer that waits', async () => {
    const queue = new BoundedQueue<string>(1);
    const items = drain(queue);
    await Promise.resolve();
    queue.push('late');
    queue.close();
    expect(await items).toEqual(['late']);
  });

  it('refuses what exceeds its capacity and takes more once there is room', async () => {
    const queue = new BoundedQueue<number>(2);
    queue.push(1);
    queue.push(2);
    expect(() => queue.push(3)).toThrow(QueueFullError);
    const iterator = queue[Symbol.asyncIterator]();
    await iterator.next();
    queue.push(4);
    queue.close();
    expect(await drain(queue)).toEqual([2, 4]);
  });

  it('drops what is queued and throws the first error once destroyed', async () => {
    const queue = new BoundedQueue<number>(8);
    queue.push(1);
    queue.destroy(new Error('first'));
    queue.destroy(new Error('second'));
    queue.push(2);
    expect(queue.size).toBe(0);
    await expect(drain(queue)).rejects.toThrow('first');
  });

  it('keeps order across the compaction of its buffer', async () => {
    const queue = new BoundedQueue<number>(4096);
    const iterator = queue[Symbol.asyncIterator]();
    const taken: number[] = [];
    let next = 0;
    for (let round = 0; round < 50; round += 1) {
      for (let burst = 0; burst < 40; burst += 1) queue.push(next++);
      for (let burst = 0; burst < 35; burst += 1) taken.push((await iterator.next()).value as number);
    }
    expect(taken).toEqual(Array.from({ length: 50 * 35 }, (_, item) => item));
  });
});
