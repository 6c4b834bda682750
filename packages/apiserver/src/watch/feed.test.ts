import { describe, expect, it } from 'vitest';
import { iterate, mapped, whenClosed } from './feed.ts';
import { WatchQueue } from './watch-queue.ts';

const LIMITS = { events: 100, bytes: 1000 };

describe('iterate', () => {
  it('gives what is there and what comes, to the end, and closes the feed', async () => {
    const queue = new WatchQueue<string>(LIMITS);
    let closed = 0;
    const seen: string[] = [];
    queue.add('a', 1);
    const reading = (async () => {
      for await (const item of iterate(whenClosed(queue, () => closed++))) seen.push(item);
    })();
    await Promise.resolve();
    queue.add('b', 1);
    queue.add('c', 1);
    queue.wake();
    await expect.poll(() => seen).toEqual(['a', 'b', 'c']);
    queue.add('d', 1);
    queue.close();
    await reading;
    expect([seen, closed]).toEqual([['a', 'b', 'c', 'd'], 1]);
  });

  it('throws what broke the feed', async () => {
    const queue = new WatchQueue<string>(LIMITS);
    const next = iterate(queue).next();
    queue.destroy(new Error('too slow'));
    await expect(next).rejects.toThrow('too slow');
  });

  it('closes the feed of a reader who leaves', async () => {
    const queue = new WatchQueue<string>(LIMITS);
    queue.add('a', 1);
    queue.add('b', 1);
    for await (const item of iterate(queue)) if (item === 'a') break;
    expect(queue.add('c', 1)).toBe(true);
    expect(queue.take()).toBe('b');
    expect([queue.take(), queue.isOver]).toEqual([undefined, true]);
  });
});

describe('mapped', () => {
  it('asks the map once for each item, as it is taken', () => {
    const queue = new WatchQueue<number>(LIMITS);
    const asked: number[] = [];
    const feed = mapped(queue, (item) => {
      asked.push(item);
      return { item };
    });
    queue.add(1, 1);
    queue.add(2, 1);
    expect([feed.take(), asked]).toEqual([{ item: 1 }, [1]]);
    expect([feed.take(), feed.take(), asked]).toEqual([{ item: 2 }, undefined, [1, 2]]);
  });
});
