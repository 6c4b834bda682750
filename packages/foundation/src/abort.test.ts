import { expect, it } from 'vitest';
import { abortable } from './abort.ts';

it('lets work fail that nobody waits for any more', async () => {
  const failures: unknown[] = [];
  const note = (error: unknown): void => void failures.push(error);
  process.on('unhandledRejection', note);
  const gone = AbortSignal.abort(new Error('gone'));
  await expect(abortable(Promise.reject(new Error('too late')), gone)).rejects.toThrow('gone');
  // Node tells of rejections without a handler once the microtasks have run.
  await new Promise(setImmediate);
  process.off('unhandledRejection', note);
  expect(failures).toEqual([]);
});
