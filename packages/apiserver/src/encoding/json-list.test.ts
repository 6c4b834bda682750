import type { Revision } from '@dure/store';
import { describe, expect, it } from 'vitest';
import { encodeStored, StoredObject } from '../registry/stored-object.ts';
import { joinList } from './json-list.ts';

const stored = (name: string, revision: number): StoredObject =>
  new StoredObject(`/x/${name}`, encodeStored({ kind: 'X', apiVersion: 'v1', metadata: { name }, text: 'é€😀' }), revision as Revision);

describe('joinList', () => {
  it('joins what is stored and what was encoded, each with its revision', () => {
    const items = [stored('a', 7), Buffer.from('{"metadata":{"name":"b"}}'), stored('c', 123_456_789)];
    expect(JSON.parse(Buffer.from(joinList('{"items":[', items)).toString())).toEqual({
      items: [
        { kind: 'X', apiVersion: 'v1', metadata: { resourceVersion: '7', name: 'a' }, text: 'é€😀' },
        { metadata: { name: 'b' } },
        { kind: 'X', apiVersion: 'v1', metadata: { resourceVersion: '123456789', name: 'c' }, text: 'é€😀' },
      ],
    });
  });

  it('is exactly as long as what it holds', () => {
    expect(Buffer.from(joinList('{"items":[', [])).toString()).toBe('{"items":[]}\n');
    expect(Buffer.from(joinList('{"items":[', [stored('a', 1)])).toString()).toMatch(/\}\]\}\n$/);
  });
});
