import { describe, expect, test } from 'vitest';
import { CallerLeftError, SharedWork } from './shared-work.ts';

const never = new AbortController().signal;

/** Work that ends when told to, or when it is stopped. */
function controlled(): {
  readonly work: (signal: AbortSignal) => Promise<string>;
  readonly begun: () => number;
  readonly finish: (value: string) => void;
  readonly fail: (error: Error) => void;
} {
  let begun = 0;
  let finish: (value: string) => void = () => {};
  let fail: (error: Error) => void = () => {};
  return {
    begun: () => begun,
    finish: (value) => finish(value),
    fail: (error) => fail(error),
    work: (signal) => {
      begun += 1;
      return new Promise((resolve, reject) => {
        finish = resolve;
        fail = reject;
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    },
  };
}

describe('SharedWork', () => {
  test('is done once for all who want it at the same time, and anew later', async () => {
    const shared = new SharedWork<string>(() => false);
    const task = controlled();
    const both = [shared.run('k', task.work, never), shared.run('k', task.work, never)];
    expect(task.begun()).toBe(1);
    task.finish('done');
    expect(await Promise.all(both)).toEqual(['done', 'done']);
    const again = shared.run('k', task.work, never);
    expect(task.begun()).toBe(2);
    task.finish('again');
    expect(await again).toBe('again');
  });

  test('goes on while one of its callers still wants it, and stops with the last', async () => {
    const shared = new SharedWork<string>(() => false);
    const task = controlled();
    const [first, second] = [new AbortController(), new AbortController()];
    const [a, b] = [shared.run('k', task.work, first.signal), shared.run('k', task.work, second.signal)];
    first.abort(new Error('first left'));
    await expect(a).rejects.toThrow('first left');
    second.abort(new Error('second left'));
    await expect(b).rejects.toThrow('second left');
    expect(task.begun()).toBe(1);
  });

  test('a caller who comes while it is being stopped waits for its end and begins anew', async () => {
    const shared = new SharedWork<string>(() => false);
    let release: () => void = () => {};
    const slow = (signal: AbortSignal): Promise<string> =>
      new Promise((_, reject) => {
        release = () => reject(signal.reason);
      });
    const stop = new AbortController();
    const left = expect(shared.run('k', slow, stop.signal)).rejects.toThrow('left');
    stop.abort(new Error('left'));
    await new Promise((resolve) => setImmediate(resolve));
    const task = controlled();
    const b = shared.run('k', task.work, never);
    await new Promise((resolve) => setImmediate(resolve));
    expect(task.begun()).toBe(0);
    release();
    await left;
    await expect.poll(() => task.begun()).toBe(1);
    task.finish('fresh');
    expect(await b).toBe('fresh');
  });

  test('a personal failure is no answer for the others', async () => {
    const shared = new SharedWork<string>((error) => error instanceof CallerLeftError);
    const [mine, theirs] = [controlled(), controlled()];
    const a = shared.run('k', mine.work, never);
    const b = shared.run('k', theirs.work, never);
    mine.fail(new CallerLeftError());
    await expect(a).rejects.toThrow(CallerLeftError);
    await expect.poll(() => theirs.begun()).toBe(1);
    theirs.finish('ok');
    expect(await b).toBe('ok');
  });

  test('any other failure is', async () => {
    const shared = new SharedWork<string>(() => false);
    const [mine, theirs] = [controlled(), controlled()];
    const both = Promise.allSettled([shared.run('k', mine.work, never), shared.run('k', theirs.work, never)]);
    mine.fail(new Error('no'));
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(theirs.begun()).toBe(0);
  });
});
