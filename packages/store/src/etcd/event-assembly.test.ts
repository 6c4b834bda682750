import { expect, test } from 'vitest';
import type { WatchEvent } from './etcd-messages.ts';
import { EventAssembly } from './event-assembly.ts';

const event = (modRevision: number): WatchEvent => ({
  type: 0,
  kv: { key: Buffer.of(1), value: Buffer.of(), createRevision: 1, modRevision },
});

test('events of one revision come together, however the answer was split, and an unfinished one not at all', () => {
  const taken: [number, number][] = [];
  const assembly = new EventAssembly((revision, events) => taken.push([revision, events.length]));
  assembly.add({ fragment: true, events: [event(5), event(6)] });
  expect(taken).toEqual([[5, 1]]);
  assembly.add({ fragment: true, events: [event(6), event(6)] });
  expect(taken).toEqual([[5, 1]]);
  assembly.add({ fragment: false, events: [event(6), event(7)] });
  expect(taken).toEqual([
    [5, 1],
    [6, 4],
    [7, 1],
  ]);
  assembly.add({ fragment: false, events: [] });
  assembly.add({ fragment: true, events: [event(8)] });
  expect(taken).toHaveLength(3);
});
