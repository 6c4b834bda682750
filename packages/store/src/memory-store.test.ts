import { expect, test } from 'vitest';
import type { Revision } from './contract.ts';
import { RevisionConflictError } from './errors.ts';
import { openMemoryStore } from './memory-store.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

test('a key is made, watched, replaced only by who has seen it, and deleted', async () => {
  await using store = openMemoryStore();
  const stop = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const batch of store.watch('/a/', 0 as Revision, stop.signal)) {
      if ('kind' in batch) seen.push(`progress ${batch.revision}`);
      else for (const event of batch) seen.push(`${event.kind} ${event.key} ${event.revision} ${event.previous?.modifiedAt ?? 'new'}`);
      if (seen.length === 4) stop.abort();
    }
  })();
  const first = await store.append({ kind: 'put', key: '/a/x', value: bytes('1') }, 0 as Revision, 'durable');
  const second = await store.append({ kind: 'put', key: '/a/x', value: bytes('2') }, first, 'durable');
  await expect(store.append({ kind: 'put', key: '/a/x', value: bytes('3') }, first, 'durable')).rejects.toBeInstanceOf(
    RevisionConflictError,
  );
  const third = await store.append({ kind: 'delete', key: '/a/x' }, second, 'durable');
  await store.requestProgress();
  await watching;
  expect(seen).toEqual(['put /a/x 1 new', 'put /a/x 2 1', 'delete /a/x 3 2', 'progress 3']);
  expect(Buffer.from((await store.get('/a/x', first))?.value ?? []).toString()).toBe('1');
  expect(await store.get('/a/x')).toBeUndefined();
  expect(await store.revision()).toBe(third);
});
