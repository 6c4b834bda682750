import type { Revision } from '@dure/store';
import { describe, expect, it } from 'vitest';
import { encodeStored, StoredObject } from '../registry/stored-object.ts';
import { listPieces } from './json-list.ts';

const stored = (name: string, revision: number): StoredObject =>
  new StoredObject(`/x/${name}`, encodeStored({ kind: 'X', apiVersion: 'v1', metadata: { name }, text: 'é€😀' }), revision as Revision);

/** All pieces; as long as they say together. */
function joined(head: string, items: Parameters<typeof listPieces>[1]): { readonly text: string; readonly count: number } {
  const pieces = listPieces(head, items);
  const all = [...pieces];
  const bytes = Buffer.concat(all);
  expect(bytes.length).toBe(pieces.byteLength);
  return { text: bytes.toString(), count: all.length };
}

describe('listPieces', () => {
  it('joins what is stored and what was encoded, each with its revision', () => {
    const items = [stored('a', 7), Buffer.from('{"metadata":{"name":"b"}}'), stored('c', 123_456_789)];
    expect(JSON.parse(joined('{"items":[', items).text)).toEqual({
      items: [
        { kind: 'X', apiVersion: 'v1', metadata: { resourceVersion: '7', name: 'a' }, text: 'é€😀' },
        { metadata: { name: 'b' } },
        { kind: 'X', apiVersion: 'v1', metadata: { resourceVersion: '123456789', name: 'c' }, text: 'é€😀' },
      ],
    });
  });

  it('is a list also where nothing is in it', () => {
    expect(joined('{"items":[', [])).toEqual({ text: '{"items":[]}\n', count: 1 });
  });

  it('comes in many pieces where it is large, cut between objects, whatever their sizes', () => {
    const sizes = [10, 300_000, 100_000, 100_000, 100_000, 262_000, 1, 262_144, 5];
    const items = sizes.map((size, index) => Buffer.from(JSON.stringify({ name: `n${index}`, fill: 'x'.repeat(size) })));
    const { text, count } = joined('{"items":[', items);
    expect((JSON.parse(text) as { items: { fill: string }[] }).items.map(({ fill }) => fill.length)).toEqual(sizes);
    expect(count).toBeGreaterThan(4);
  });
});
