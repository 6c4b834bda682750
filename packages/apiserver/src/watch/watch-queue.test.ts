import { describe, expect, it } from 'vitest';
import { WatchQueue } from './watch-queue.ts';

describe('WatchQueue', () => {
  it('takes so many events and no more, and others once some are gone', () => {
    const queue = new WatchQueue<number>({ events: 2, bytes: 1000 });
    expect([queue.add(1, 1), queue.add(2, 1), queue.add(3, 1)]).toEqual([true, true, false]);
    expect(queue.take()).toBe(1);
    expect(queue.add(4, 1)).toBe(true);
    expect([queue.take(), queue.take(), queue.take()]).toEqual([2, 4, undefined]);
  });

  it('takes so many bytes and no more, but one event whatever its size', () => {
    const queue = new WatchQueue<string>({ events: 10, bytes: 100 });
    expect([queue.add('large', 500), queue.add('small', 1)]).toEqual([true, false]);
    expect(queue.take()).toBe('large');
    expect([queue.add('a', 60), queue.add('b', 40), queue.add('c', 1)]).toEqual([true, true, false]);
  });

  it('keeps order and bounds over many thousands', () => {
    const queue = new WatchQueue<number>({ events: 1000, bytes: 1e9 });
    let taken = 0;
    for (let index = 0; index < 50_000; index += 1) {
      if (!queue.add(index, 10)) throw new Error(`full at ${index}`);
      if (index % 3 === 0 || index - taken > 900) expect(queue.take()).toBe(taken++);
      if (index - taken > 900) expect(queue.take()).toBe(taken++);
    }
    for (let item = queue.take(); item !== undefined; item = queue.take()) expect(item).toBe(taken++);
    expect(taken).toBe(50_000);
  });

  it('gives what waits after it is closed, and nothing but the error after it is destroyed', () => {
    const queue = new WatchQueue<number>({ events: 10, bytes: 1000 });
    queue.add(1, 1);
    queue.close();
    expect([queue.isOver, queue.take(), queue.isOver]).toEqual([false, 1, true]);
    const broken = new WatchQueue<number>({ events: 10, bytes: 1000 });
    broken.add(1, 1);
    broken.destroy(new Error('first'));
    broken.destroy(new Error('second'));
    expect(() => broken.take()).toThrow('first');
    expect([broken.take(), broken.isOver]).toEqual([undefined, true]);
  });
});
