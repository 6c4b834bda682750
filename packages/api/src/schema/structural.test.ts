import { describe, expect, it } from 'vitest';
import type { Json, JsonObject, SchemaNode } from '../definition.ts';
import { DecodeError } from './decode.ts';
import { decodeStructural } from './structural.ts';
import { validateNode, validateStructural } from './structural-validation.ts';

const widget: SchemaNode = {
  type: 'object',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 1, maximum: 10 },
        color: { type: 'string', default: 'red', enum: ['red', 'green'] },
        note: { type: 'string', nullable: true },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        labels: { type: 'object', additionalProperties: { type: 'string' } },
        parts: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: { type: 'object', properties: { name: { type: 'string', pattern: '^[a-z]+$' }, count: { type: 'integer', default: 1 } } },
        },
        port: { 'x-kubernetes-int-or-string': true },
      },
    },
  },
};

const object = (spec: Json): JsonObject => ({ apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'a' }, spec });

describe('custom objects', () => {
  it('are pruned and get their defaults', () => {
    const { object: decoded, unknown } = decodeStructural(
      object({ size: 1, color: null, extra: 1, free: { any: { thing: 1 } }, note: null, parts: [{ name: 'x', y: 1 }] }),
      widget,
    );
    expect(decoded.spec).toEqual({ size: 1, color: 'red', free: { any: { thing: 1 } }, note: null, parts: [{ name: 'x', count: 1 }] });
    expect(unknown).toEqual(['spec.extra', 'spec.parts[0].y']);
  });

  it('have metadata like all others', () => {
    const { object: decoded, unknown } = decodeStructural(
      { ...object({ size: 1 }), metadata: { name: 'a', creationTimestamp: null, x: 1 } },
      widget,
    );
    expect(decoded.metadata).toEqual({ name: 'a' });
    expect(unknown).toEqual(['metadata.x']);
    expect(() => decodeStructural({ ...object({}), metadata: { labels: { a: 1 } } }, widget)).toThrow(DecodeError);
    expect(() => decodeStructural([], widget)).toThrow(DecodeError);
  });

  it.each([
    [{ size: 1 }, []],
    [{}, ['spec.size: Required value']],
    [{ size: 'x' }, ['spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"']],
    [{ size: 11 }, ['spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10']],
    [{ size: 1, color: 'blue' }, ['spec.color: Unsupported value: "blue": supported values: "red", "green"']],
    [{ size: 1, labels: { a: 1 } }, ['spec.labels.a: Invalid value: "integer": spec.labels.a in body must be of type string: "integer"']],
    [
      { size: 1, parts: [{ name: 'a' }, { name: 'a' }, { name: 'B' }] },
      [
        'spec.parts[1]: Duplicate value: {"name":"a"}',
        'spec.parts[2].name: Invalid value: "B": spec.parts[2].name in body should match \'^[a-z]+$\'',
      ],
    ],
    [{ size: 1, port: true }, ['spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"']],
    [{ size: 1, color: null }, ['spec.color: Invalid value: "null": spec.color in body must be of type string: "null"']],
  ])('%j has %j', (spec, faults) => {
    expect(validateStructural(object(spec), widget).map(({ field, message }) => `${field}: ${message}`)).toEqual(faults);
  });

  it('are held to combinations of schemas', () => {
    const either: SchemaNode = { anyOf: [{ type: 'string' }, { type: 'integer' }], not: { enum: [7] } };
    expect(validateNode('x', either, 'a')).toEqual([]);
    expect(validateNode(true, either, 'a')).toHaveLength(1);
    expect(validateNode(7, either, 'a')).toHaveLength(1);
    const one: SchemaNode = { oneOf: [{ required: ['a'] }, { required: ['b'] }] };
    expect(validateNode({ a: 1 }, one, 'x')).toEqual([]);
    expect(validateNode({ a: 1, b: 1 }, one, 'x')).toHaveLength(1);
  });

  it('cannot stall the server with a pattern', () => {
    const schema: SchemaNode = { type: 'string', pattern: '^(a+)+$' };
    expect(validateNode(`${'a'.repeat(40)}!`, schema, 'x')).toHaveLength(1);
  });
});
