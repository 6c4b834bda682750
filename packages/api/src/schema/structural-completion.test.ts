import { describe, expect, it } from 'vitest';
import type { JsonObject, SchemaNode } from '../definition.ts';
import { DecodeError } from './decode.ts';
import { completeStructural, decodeStructural } from './structural.ts';
import { validateStructural } from './structural-validation.ts';

const ROOT = { apiVersion: 'g/v1', kind: 'K' };

/** The value at `.a` as it is stored, and what was dropped. */
function decoded(node: SchemaNode, value: JsonObject[string]): { readonly a: unknown; readonly unknown: readonly string[] } {
  const { object, unknown } = decodeStructural({ ...ROOT, a: value }, { type: 'object', properties: { a: node } });
  return { a: object.a, unknown };
}

describe('pruning', () => {
  const known: SchemaNode = { type: 'object', properties: { k: { type: 'string' } } };

  it.each<[string, SchemaNode, JsonObject, unknown, string[]]>([
    ['drops what is not known', known, { k: 'x', u: 1 }, { k: 'x' }, ['a.u']],
    [
      'keeps anything where that is said',
      { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      { u: { v: [1] } },
      { u: { v: [1] } },
      [],
    ],
    [
      'goes on below known fields even there',
      { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { n: known } },
      { n: { u: 1 }, other: 1 },
      { n: {}, other: 1 },
      ['a.n.u'],
    ],
    ['goes through maps', { type: 'object', additionalProperties: known }, { one: { u: 1 } }, { one: {} }, ['a.one.u']],
    [
      'empties objects of which nothing is said',
      { type: 'object', additionalProperties: true },
      { n: 1, o: { p: 1 } },
      { n: 1, o: {} },
      ['a.o.p'],
    ],
    [
      'keeps what embedded objects are and are named',
      { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { spec: known } },
      { apiVersion: 'v1', kind: 'X', metadata: { name: 'n', odd: 1 }, spec: { u: 1 } },
      { apiVersion: 'v1', kind: 'X', metadata: { name: 'n' }, spec: {} },
      ['a.metadata.odd', 'a.spec.u'],
    ],
  ])('%s', (_name, node, value, wanted, unknown) => {
    expect(decoded(node, value)).toEqual({ a: wanted, unknown });
  });

  it('goes through lists', () => {
    expect(decoded({ type: 'array', items: known }, [{ k: 'x', u: 1 }, 7])).toEqual({
      a: [{ k: 'x' }, 7],
      unknown: ['a[0].u'],
    });
  });

  it('ends at a depth that no schema has', () => {
    let deep: JsonObject = {};
    for (let level = 0; level < 5_000; level += 1) deep = { n: deep };
    const node: SchemaNode = { type: 'object' };
    (node as { additionalProperties?: SchemaNode }).additionalProperties = node;
    expect(() => decoded(node, deep)).toThrow(DecodeError);
    expect(() => decoded({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true }, deep)).toThrow(DecodeError);
  });

  it('makes no object of this language out of a field name', () => {
    const { object } = decodeStructural(JSON.parse('{"__proto__":{"x":1},"constructor":1}'), { type: 'object', properties: {} });
    expect(Object.keys(object)).toEqual([]);
    expect(({} as { x?: number }).x).toBeUndefined();
  });
});

describe('defaults', () => {
  const text: SchemaNode = { type: 'string', default: 'd' };

  it.each<[string, SchemaNode, JsonObject, unknown]>([
    ['fill what is absent', { type: 'object', properties: { t: text } }, {}, { t: 'd' }],
    ['stand for a null that is not allowed', { type: 'object', properties: { t: text } }, { t: null }, { t: 'd' }],
    ['leave a null that is', { type: 'object', properties: { t: { ...text, nullable: true } } }, { t: null }, { t: null }],
    ['come after a null without one went', { type: 'object', properties: { t: { type: 'string' } } }, { t: null }, {}],
    [
      'fill what other defaults made',
      { type: 'object', properties: { o: { type: 'object', default: {}, properties: { t: text } } } },
      {},
      { o: { t: 'd' } },
    ],
    ['make no parent', { type: 'object', properties: { o: { type: 'object', properties: { t: text } } } }, {}, {}],
    [
      'go through maps',
      { type: 'object', additionalProperties: { type: 'object', properties: { t: text } } },
      { k: {} },
      { k: { t: 'd' } },
    ],
    ['stand for nulls in maps', { type: 'object', additionalProperties: text }, { k: null }, { k: 'd' }],
  ])('%s', (_name, node, value, wanted) => {
    expect(decoded(node, value).a).toEqual(wanted);
  });

  it('stand for nulls in lists', () => {
    expect(decoded({ type: 'array', items: text }, [null, 'x']).a).toEqual(['d', 'x']);
  });

  it('are not shared between objects', () => {
    const node: SchemaNode = { type: 'object', properties: { list: { type: 'array', items: { type: 'string' }, default: ['a'] } } };
    const first = decoded(node, {}).a as { list: string[] };
    first.list.push('b');
    expect(decoded(node, {}).a).toEqual({ list: ['a'] });
  });

  it('complete stored objects, and give those back that lack nothing', () => {
    const schema: SchemaNode = { type: 'object', properties: { a: text } };
    const whole: JsonObject = { ...ROOT, metadata: { name: 'n', odd: true }, a: 'x' };
    expect(completeStructural(whole, schema)).toBe(whole);
    expect(completeStructural({ ...ROOT, metadata: { name: 'n' }, gone: 1 }, schema)).toEqual({ ...ROOT, metadata: { name: 'n' }, a: 'd' });
  });
});

describe('validation of a change', () => {
  const schema: SchemaNode = {
    type: 'object',
    required: ['must'],
    properties: {
      spec: {
        type: 'object',
        properties: {
          n: { type: 'integer', maximum: 5 },
          list: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['k'],
            items: { type: 'object', properties: { k: { type: 'string' }, v: { type: 'string', maxLength: 1 } } },
          },
        },
      },
    },
  };
  const fields = (now: JsonObject, old?: JsonObject): string[] =>
    validateStructural({ ...ROOT, must: 1, spec: now }, schema, old === undefined ? undefined : { ...ROOT, must: 1, spec: old }).map(
      ({ field }) => field,
    );

  it('lets stand what stood', () => {
    expect(fields({ n: 9 })).toEqual(['spec.n']);
    expect(fields({ n: 9, list: [] }, { n: 9 })).toEqual([]);
    expect(fields({ n: 8 }, { n: 9 })).toEqual(['spec.n']);
  });

  it('knows entries of lists by their keys', () => {
    const old = { list: [{ k: 'a', v: 'long' }] };
    expect(
      fields(
        {
          list: [
            { k: 'b', v: 'x' },
            { k: 'a', v: 'long' },
          ],
        },
        old,
      ),
    ).toEqual([]);
    expect(fields({ list: [{ k: 'b', v: 'long' }] }, old)).toEqual(['spec.list[0].v']);
  });
});
