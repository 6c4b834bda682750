import { describe, expect, it } from 'vitest';
import type { Json, JsonObject, SchemaNode } from '../definition.ts';
import { ruleFaults, ValidationRules } from './validation-rules.ts';

function rules(schema: JsonObject): ValidationRules {
  return new ValidationRules(schema as unknown as SchemaNode);
}

function spec(schema: JsonObject): JsonObject {
  return { type: 'object', properties: { spec: schema } };
}

function faults(schema: JsonObject, now: Json, old?: Json): string[] {
  const object = { spec: now };
  return rules(spec(schema))
    .check(object, old === undefined ? undefined : { spec: old })
    .map(({ field, message }) => `${field}: ${message}`);
}

const integer = (rule: JsonObject): JsonObject => ({
  type: 'object',
  properties: { a: { type: 'integer', 'x-kubernetes-validations': [rule] }, b: { type: 'string' } },
});

describe('rules', () => {
  it('see integers as integers and numbers as doubles', () => {
    const schema: JsonObject = {
      type: 'object',
      properties: { i: { type: 'integer' }, n: { type: 'number' }, free: { 'x-kubernetes-int-or-string': true } },
      'x-kubernetes-validations': [{ rule: 'self.i / 2 == 1 && self.n / 2.0 == 1.5 && type(self.free) == int' }],
    };
    expect(faults(schema, { i: 3, n: 3, free: 5 })).toEqual([]);
    expect(faults(schema, { i: 3, n: 3, free: '5' })).toHaveLength(1);
  });

  it('fail with their message, their expression of one, or their own text', () => {
    expect(faults(integer({ rule: 'self > 3' }), { a: 1 })).toEqual(['spec.a: Invalid value: "integer": failed rule: self > 3']);
    expect(faults(integer({ rule: 'self > 3', message: 'too few' }), { a: 1 })).toEqual(['spec.a: Invalid value: "integer": too few']);
    const both = { rule: 'self > 3', message: 'too few', messageExpression: '"only " + string(self)' };
    expect(faults(integer(both), { a: 1 })).toEqual(['spec.a: Invalid value: "integer": only 1']);
    expect(faults(integer({ ...both, messageExpression: '"" + string(1 / (self - 1))' }), { a: 1 })).toEqual([
      'spec.a: Invalid value: "integer": too few',
    ]);
  });

  it.each([
    ['FieldValueForbidden', 'spec.b: Forbidden: no'],
    ['FieldValueRequired', 'spec.b: Required value: no'],
    ['FieldValueDuplicate', 'spec.b: Duplicate value: "object": no'],
    ['FieldValueInvalid', 'spec.b: Invalid value: "object": no'],
  ])('fail for the reason %s at the field they name', (reason, fault) => {
    const schema: JsonObject = {
      type: 'object',
      properties: { b: { type: 'string' } },
      'x-kubernetes-validations': [{ rule: 'false', message: 'no', reason, fieldPath: '.b' }],
    };
    expect(faults(schema, {})).toEqual([fault]);
  });

  it('that compare with the old value run on changes only, unless they can do without', () => {
    const immutable = integer({ rule: 'self == oldSelf', message: 'immutable' });
    expect(faults(immutable, { a: 1 })).toEqual([]);
    expect(faults(immutable, { a: 1 }, { a: 1 })).toEqual([]);
    expect(faults(immutable, { a: 2 }, { a: 1 })).toEqual(['spec.a: Invalid value: "integer": immutable']);
    expect(faults(immutable, { a: 2 }, {})).toEqual([]);
    const both = integer({
      rule: 'oldSelf.hasValue() ? self > oldSelf.value() : self == 1',
      message: 'counts up from one',
      optionalOldSelf: true,
    });
    expect(faults(both, { a: 1 })).toEqual([]);
    expect(faults(both, { a: 2 })).toHaveLength(1);
    expect(faults(both, { a: 2 }, { a: 1 })).toEqual([]);
    expect(faults(both, { a: 1 }, { a: 1 })).toHaveLength(1);
  });

  it('are not held against values that stay as they were', () => {
    const schema = integer({ rule: 'self > 3' });
    expect(faults(schema, { a: 1, b: 'new' }, { a: 1, b: 'old' })).toEqual([]);
    expect(faults(schema, { a: 2, b: 'new' }, { a: 1, b: 'old' })).toHaveLength(1);
  });

  it('go through lists by their keys, and through maps', () => {
    const item: JsonObject = {
      type: 'object',
      properties: {
        name: { type: 'string' },
        port: { type: 'integer', 'x-kubernetes-validations': [{ rule: 'self >= oldSelf', message: 'went down' }] },
      },
    };
    const list: JsonObject = { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'], items: item };
    const old = [
      { name: 'a', port: 1 },
      { name: 'b', port: 9 },
    ];
    expect(
      faults(
        list,
        [
          { name: 'b', port: 8 },
          { name: 'a', port: 2 },
        ],
        old,
      ),
    ).toEqual(['spec[0].port: Invalid value: "integer": went down']);
    const map: JsonObject = {
      type: 'object',
      additionalProperties: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self != ""' }] },
    };
    expect(faults(map, { 'x/y': '' })).toEqual(['spec[x/y]: Invalid value: "string": failed rule: self != ""']);
  });

  it('see names that no identifier can have by their escapes, and metadata by its name alone', () => {
    const schema: JsonObject = {
      type: 'object',
      properties: {
        metadata: { type: 'object' },
        spec: {
          type: 'object',
          properties: {
            'my-field': { type: 'string' },
            namespace: { type: 'string' },
            'a.b/c': { type: 'string' },
            x__y: { type: 'string' },
          },
        },
      },
      'x-kubernetes-validations': [
        {
          rule: 'self.spec.my__dash__field == "1" && self.spec.__namespace__ == "2" && self.spec.a__dot__b__slash__c == "3" && self.spec.x__underscores__y == "4"',
        },
        { rule: 'self.metadata.name.startsWith("ok-") && !has(self.metadata.generateName)', message: 'name' },
      ],
    };
    const object: JsonObject = {
      metadata: { name: 'ok-1', labels: { a: 'b' } },
      spec: { 'my-field': '1', namespace: '2', 'a.b/c': '3', x__y: '4' },
    };
    expect(ruleFaults(schema as unknown as SchemaNode, 's')).toEqual([]);
    expect(rules(schema).check(object, undefined)).toEqual([]);
    expect(
      rules(schema)
        .check({ ...object, metadata: { name: 'no' } }, undefined)
        .map(({ message }) => message),
    ).toEqual(['Invalid value: "object": name']);
  });

  it('see texts of a format as what they are', () => {
    const schema: JsonObject = {
      type: 'object',
      properties: {
        at: { type: 'string', format: 'date-time' },
        day: { type: 'string', format: 'date' },
        for: { type: 'string', format: 'duration' },
        data: { type: 'string', format: 'byte' },
      },
      'x-kubernetes-validations': [{ rule: 'self.at > self.day && self.__for__ < duration("1h") && self.data == b"abc"' }],
    };
    expect(faults(schema, { at: '2024-01-02T03:04:05Z', day: '2024-01-02', for: '30m', data: 'YWJj' })).toEqual([]);
    expect(faults(schema, { at: 'then', day: '2024-01-02', for: '30m', data: 'YWJj' })[0]).toContain('invalid timestamp');
  });

  it('fail with an error where they come to no value, and where they cost too much', () => {
    expect(faults(integer({ rule: '1 / self == 1' }), { a: 0 })[0]).toContain('division by zero');
    const costly = integer({ rule: 'lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))' });
    const before = performance.now();
    expect(faults(costly, { a: 0 })[0]).toContain('cost exceeds limit');
    const many: JsonObject = {
      type: 'array',
      items: { type: 'integer', 'x-kubernetes-validations': [{ rule: 'lists.range(1000).all(x, x >= 0)' }] },
    };
    expect(
      faults(
        many,
        Array.from({ length: 5_000 }, (_, index) => index),
      ).at(-1),
    ).toContain('out of cost budget');
    expect(performance.now() - before).toBeLessThan(5_000);
  });
});

describe('faults of rules', () => {
  const at = (schema: JsonObject): string[] =>
    ruleFaults(spec(schema) as unknown as SchemaNode, 's').map(({ field, message }) => `${field}: ${message}`);
  const base = 's.properties[spec].properties[a].x-kubernetes-validations[0]';

  it.each<[string, JsonObject, string, string]>([
    ['no text', { rule: ' ' }, `${base}.rule`, 'Required value: rule is not specified'],
    ['another type than bool', { rule: 'self + 1' }, `${base}.rule`, 'cel expression must evaluate to a bool'],
    ['no such field', { rule: 'self.x == 1' }, `${base}.rule`, 'compilation failed: ERROR: <input>:1:5'],
    ['broken syntax', { rule: 'self ==' }, `${base}.rule`, 'Syntax error'],
    ['an empty message', { rule: 'self > 1', message: '' }, `${base}.message`, 'message must be non-empty if specified'],
    ['a message of two lines', { rule: 'self > 1', message: 'a\nb' }, `${base}.message`, 'message must not contain line breaks'],
    [
      'two lines and no message',
      { rule: 'self > 1\n&& self < 3' },
      `${base}.message`,
      'message must be specified if rule contains line breaks',
    ],
    ['an unknown reason', { rule: 'self > 1', reason: 'Because' }, `${base}.reason`, 'Unsupported value: "Because"'],
    ['a path to nowhere', { rule: 'self > 1', fieldPath: '.nope' }, `${base}.fieldPath`, 'fieldPath must be a valid path'],
    [
      'a message that is no text',
      { rule: 'self > 1', messageExpression: 'self' },
      `${base}.messageExpression`,
      'must evaluate to a string',
    ],
    [
      'an optional old value that is not read',
      { rule: 'self > 1', optionalOldSelf: true },
      `${base}.optionalOldSelf`,
      'may not be set if oldSelf is not used in rule',
    ],
  ])('%s', (_name, rule, field, message) => {
    const found = at(integer(rule));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`${field}: `);
    expect(found[0]).toContain(message);
  });

  it('names transition rules where old and new cannot be told to be the same', () => {
    const items: JsonObject = { type: 'integer', 'x-kubernetes-validations': [{ rule: 'self == oldSelf' }] };
    expect(at({ type: 'array', items })[0]).toContain('uncorrelatable');
    expect(at({ type: 'object', additionalProperties: items })).toEqual([]);
    expect(at({ type: 'object', 'x-kubernetes-map-type': 'atomic', additionalProperties: items })[0]).toContain('uncorrelatable');
  });
});

describe('what rules may cost', () => {
  const pairs = (bounds: JsonObject, text: JsonObject = {}): JsonObject => ({
    type: 'array',
    items: { type: 'string', ...text },
    'x-kubernetes-validations': [{ rule: 'self.all(x, self.all(y, x != y || x == y))' }],
    ...bounds,
  });
  const costs = (schema: JsonObject, isStored = false): string[] =>
    ruleFaults(spec(schema) as unknown as SchemaNode, 's', isStored).map(({ field, message }) => `${field}: ${message}`);
  const advice =
    '(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)';
  const place = 's.properties[spec]';

  // Factors and places as k8s.io/apiextensions-apiserver v0.36.0 gives them.
  it('is bounded for each rule by what its values can hold', () => {
    expect(costs(pairs({ maxItems: 100 }, { maxLength: 10 }))).toEqual([]);
    const text: JsonObject = { type: 'string', maxLength: 20 };
    expect(costs({ type: 'array', items: text, 'x-kubernetes-validations': [{ rule: 'self.all(x, x.contains("a"))' }] })).toEqual([
      `${place}.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of 1.258290x ${advice}`,
    ]);
    const total = `s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x ${advice}`;
    expect(costs(pairs({}))).toEqual([
      `${place}.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x ${advice}`,
      `${place}.x-kubernetes-validations[0].rule: Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema`,
      total,
    ]);
  });

  it('grows with the lists and maps around a rule, whose bounds count', () => {
    const within = (outer: JsonObject): JsonObject => ({
      type: 'object',
      additionalProperties: {
        type: 'object',
        additionalProperties: {
          type: 'string',
          maxLength: 5,
          'x-kubernetes-validations': [{ rule: 'self.matches("abcdefgh" + "ijklmnopqrst")' }],
        },
        ...outer,
      },
      ...outer,
    });
    expect(costs(within({ maxProperties: 10 }))).toEqual([]);
    expect(costs(within({ maxProperties: 1000 }))[0]).toContain('estimated rule cost exceeds budget by factor of 1.8x');
  });

  it('is bounded for all rules together, naming those that contribute most', () => {
    const many = Object.fromEntries(
      Array.from({ length: 20 }, (_, index) => [
        `l${index}`,
        {
          type: 'array',
          items: { type: 'string', maxLength: 5 },
          'x-kubernetes-validations': [{ rule: 'self.all(x, x.contains("a"))' }],
        },
      ]),
    );
    const found = costs({ type: 'object', properties: many });
    expect(found).toHaveLength(5);
    expect(found.filter((fault) => fault.includes('contributed to'))).toHaveLength(4);
    expect(found.at(-1)).toContain('entire OpenAPIv3 schema exceeds budget by factor of 1.258290x');
  });

  it('is not held against a single rule that stands already', () => {
    const dear: JsonObject = {
      type: 'array',
      items: { type: 'string', maxLength: 20 },
      'x-kubernetes-validations': [{ rule: 'self.all(x, x.contains("a"))' }],
    };
    expect(costs(dear)).toHaveLength(1);
    expect(costs(dear, true)).toEqual([]);
  });

  it('counts messages once, not for each value', () => {
    const message = (length: JsonObject): JsonObject => ({
      type: 'array',
      items: { type: 'string', ...length, 'x-kubernetes-validations': [{ rule: 'self != ""', messageExpression: '"no " + self' }] },
    });
    expect(costs(message({ maxLength: 1000 }))).toEqual([]);
    expect(
      costs({ type: 'integer', 'x-kubernetes-validations': [{ rule: 'self > 1', messageExpression: '"not " + string(self)' }] })[0],
    ).toBe(
      `${place}.x-kubernetes-validations[0].messageExpression: Forbidden: estimated messageExpression cost exceeds budget by factor of more than 100x ${advice}`,
    );
  });
});
