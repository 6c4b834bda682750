import { describe, expect, it } from 'vitest';
import type { Json } from './definition.ts';
import { fromJsonText, integerOf, toJsonText } from './json-text.ts';
import { equalJson } from './json-value.ts';

/** Take a failing run's seed back with DURE_SEED. */
const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));

describe('fromJsonText', () => {
  it.each<[text: string, value: unknown]>([
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['-9223372036854775808', -9223372036854775808n],
    ['9223372036854775808', 2 ** 63],
    ['{ "a" : [ ] , "b":{}, "c" : [[9223372036854775807 ], {"d":\n9223372036854775807}] }', bothWays()],
    ['{"n":9223372036854775807,"s":"\\"}9223372036854775808","t":"\\u00e9\\\\","f":-0.5e1,"l":[true,null]}', everyKind()],
    ['{"a":9223372036854775807,"a":1}', { a: 1 }],
    ['[0.12345678901234567890,1e-1234567890123456789]', [Number('0.12345678901234567890'), 0]],
    ['["1234567890123456789",1]', ['1234567890123456789', 1]],
  ])('reads %s', (text, value) => {
    expect(fromJsonText(text)).toEqual(value);
  });

  it.each(['', '{"a":9223372036854775807', '09223372036854775807', '9223372036854775807 1', '[9223372036854775807,]'])(
    'refuses %s',
    (text) => {
      expect(() => fromJsonText(text)).toThrow(SyntaxError);
    },
  );

  it('takes a key of any name', () => {
    expect(Object.keys(fromJsonText('{"__proto__":9223372036854775807}') as object)).toEqual(['__proto__']);
  });

  it(`reads what was written, in any shape (DURE_SEED=${seed})`, () => {
    const next = sequence(seed);
    for (let round = 0; round < 500; round += 1) {
      const value = document(next, 4);
      const indent = next(2) === 0 ? undefined : 2;
      expect(fromJsonText(toJsonText(value, indent))).toEqual(value);
    }
  });

  it(`says the same as the platform where no integer is wide (DURE_SEED=${seed})`, () => {
    const next = sequence(seed);
    for (let round = 0; round < 500; round += 1) {
      const value = JSON.parse(toJsonText(document(next, 4)).replace(/\d{16,}/g, '7'));
      // One wide integer beside it sends the rest the other way.
      expect(fromJsonText(`[${JSON.stringify(value, null, next(3))},9223372036854775807]`)).toEqual([value, 9223372036854775807n]);
    }
  });
});

describe('toJsonText', () => {
  it('writes bigints as digits, and the rest as JSON.stringify does', () => {
    const value = { a: 9007199254740993n, b: undefined, c: [undefined, '"', {}, [], Number.NaN], d: { e: -1n } };
    const other = { ...value, a: 1, d: { e: -1 } };
    for (const indent of [undefined, 2]) {
      expect(toJsonText(value, indent)).toBe(
        JSON.stringify(other, undefined, indent).replace('"a":1', '"a":9007199254740993').replace('"a": 1', '"a": 9007199254740993'),
      );
    }
  });
});

describe('integerOf', () => {
  it.each<[digits: string, value: number | bigint]>([
    ['-9007199254740991', -9007199254740991],
    ['-9007199254740992', -9007199254740992n],
    ['9223372036854775807', 9223372036854775807n],
    ['9223372036854775808', 2 ** 63],
  ])('of %s', (digits, value) => {
    expect(integerOf(digits)).toBe(value);
  });
});

describe('equalJson', () => {
  it('compares integers exactly, however they are held', () => {
    expect(equalJson(9223372036854775807n, 9223372036854775806n)).toBe(false);
    expect(equalJson({ a: 9007199254740993n }, { a: 9007199254740993n })).toBe(true);
    expect(equalJson(9007199254740993n, 9007199254740992)).toBe(false);
    expect(equalJson(100000000000000000n, 1e17)).toBe(true);
    expect(equalJson(1n, '1')).toBe(false);
  });
});

function bothWays(): unknown {
  return { a: [], b: {}, c: [[9223372036854775807n], { d: 9223372036854775807n }] };
}

function everyKind(): unknown {
  return { n: 9223372036854775807n, s: '"}9223372036854775808', t: 'é\\', f: -5, l: [true, null] };
}

/** Integers from 0 up to below what is asked for. */
function sequence(start: number): (below: number) => number {
  let state = start >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function document(next: (below: number) => number, depth: number): Json {
  switch (next(depth > 0 ? 8 : 6)) {
    case 0:
      return integerOf(String((BigInt(next(2 ** 31)) << 33n) * (next(2) === 0 ? 1n : -1n) + BigInt(next(1000))));
    case 1:
      return next(1000) - 500;
    case 2:
      return next(1000) / 7;
    case 3:
      return ['', '"', '\\', '}]', '9223372036854775807', ',9223372036854775807]', '\u2028é\u0001'][next(7)] ?? '';
    case 4:
      return next(2) === 0;
    case 5:
      return null;
    case 6:
      return Array.from({ length: next(5) }, () => document(next, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: next(5) }, () => [['a', 'b"', '9', '\\', '', 'constructor'][next(6)] ?? '', document(next, depth - 1)]),
      );
  }
}
