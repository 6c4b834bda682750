import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyFieldSet, FieldSet, type PathStep } from './field-set.ts';

const paths = fc.array(fc.array(fc.constantFrom('f:a', 'f:b', 'k:{"name":"c"}'), { minLength: 1, maxLength: 3 }), { maxLength: 8 });

function setOf(all: readonly (readonly PathStep[])[]): FieldSet {
  return all.reduce((set, path) => set.union(single(path)), emptyFieldSet);
}

function single([step = '', ...rest]: readonly PathStep[]): FieldSet {
  return rest.length === 0 ? new FieldSet(new Set([step])) : new FieldSet(new Set(), new Map([[step, single(rest)]]));
}

const textsOf = (set: FieldSet): readonly string[] => [...set.paths()].map((path) => path.join('/'));
const sorted = (texts: Iterable<string>): readonly string[] => [...new Set(texts)].sort();

describe('FieldSet', () => {
  it('does what sets of paths do, and leaves what it works on as it was', () => {
    fc.assert(
      fc.property(paths, paths, (one, other) => {
        const [left, right] = [setOf(one), setOf(other)];
        const [lefts, rights] = [one, other].map((all) => sorted(all.map((path) => path.join('/'))));
        const check = (result: FieldSet, expected: readonly string[] | undefined): void => {
          expect(sorted(textsOf(result))).toEqual(expected);
          expect(result.isEmpty).toBe(expected?.length === 0);
        };
        check(left.union(right), sorted([...(lefts ?? []), ...(rights ?? [])]));
        check(
          left.difference(right),
          lefts?.filter((text) => !rights?.includes(text)),
        );
        check(
          left.intersection(right),
          lefts?.filter((text) => rights?.includes(text)),
        );
        check(left.difference(left), []);
        for (const path of other) {
          const prefix = path.join('/');
          check(
            left.without(path),
            lefts?.filter((text) => text !== prefix && !text.startsWith(`${prefix}/`)),
          );
        }
        expect(left.equals(right)).toBe(JSON.stringify(lefts) === JSON.stringify(rights));
        check(left, lefts);
        check(right, rights);
      }),
    );
  });
});
