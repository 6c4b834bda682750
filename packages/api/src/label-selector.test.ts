import { describe, expect, it } from 'vitest';
import {
  compileLabelSelector,
  formatLabelSelector,
  type Labels,
  parseLabelSelector,
  SelectorError,
  selectorOfLabels,
  validateLabelSelector,
} from './label-selector.ts';

interface MatchCase {
  readonly selector: string;
  readonly labels: Labels;
  readonly matches: boolean;
}

const matchCases: readonly MatchCase[] = [
  { selector: '', labels: {}, matches: true },
  { selector: 'a=1', labels: { a: '1' }, matches: true },
  { selector: 'a==1', labels: { a: '2' }, matches: false },
  { selector: 'a=', labels: { a: '' }, matches: true },
  { selector: 'a=', labels: {}, matches: false },
  { selector: 'a!=1', labels: {}, matches: true },
  { selector: 'a!=1', labels: { a: '1' }, matches: false },
  { selector: 'a in (1, 2)', labels: { a: '2' }, matches: true },
  { selector: 'a in (1,2)', labels: { a: '3' }, matches: false },
  { selector: 'a in (,2)', labels: { a: '' }, matches: true },
  { selector: 'a in ()', labels: { a: '' }, matches: true },
  { selector: 'a notin (1,2)', labels: { a: '3' }, matches: true },
  { selector: 'a notin (1,2)', labels: {}, matches: true },
  { selector: 'a', labels: { a: 'x' }, matches: true },
  { selector: '!a', labels: { a: 'x' }, matches: false },
  { selector: ' ! a ', labels: {}, matches: true },
  { selector: 'a>3', labels: { a: '4' }, matches: true },
  { selector: 'a<3', labels: { a: '4' }, matches: false },
  { selector: 'a>3', labels: { a: 'x' }, matches: false },
  { selector: 'a=1,b=2', labels: { a: '1', b: '2' }, matches: true },
  { selector: 'a=1,b=2', labels: { a: '1', b: '3' }, matches: false },
  { selector: 'in in (in,notin)', labels: { in: 'notin' }, matches: true },
  { selector: 'example.com/x=1', labels: { 'example.com/x': '1' }, matches: true },
  { selector: 'constructor', labels: {}, matches: false },
];

describe('label selectors', () => {
  it.each(matchCases)('$selector on $labels: $matches', ({ selector, labels, matches }) => {
    expect(parseLabelSelector(selector).matches(labels)).toBe(matches);
  });

  it.each([
    ['x in (a', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['x==a==b', "found '==', expected: ',' or 'end of string'"],
    ['a,,b', "found ',', expected: identifier after ','"],
    ['a,', "found '', expected: identifier after ','"],
    ['=a', "found '=', expected: !, identifier, or 'end of string'"],
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['!=x', "found '!=', expected: !, identifier, or 'end of string'"],
  ])('refuses %j: %s', (selector, message) => {
    expect(() => parseLabelSelector(selector)).toThrow(new SelectorError(message));
  });

  it('names the rule that a key or value breaks', () => {
    expect(() => parseLabelSelector('a/b/c=1')).toThrow(/^unable to parse requirement: <nil>: Invalid value: "a\/b\/c": a qualified name/);
    expect(() => parseLabelSelector('app=@')).toThrow(
      /^unable to parse requirement: values\[0\]\[app\]: Invalid value: "@": a valid label/,
    );
  });

  it.each([
    ['b=1,a=2', 'a=2,b=1'],
    ['a in (z,y)', 'a in (y,z)'],
    ['!a', '!a'],
    ['a notin (x)', 'a notin (x)'],
    ['a==1', 'a==1'],
  ])('prints %s as %s', (text, canonical) => {
    expect(parseLabelSelector(text).toString()).toBe(canonical);
  });

  it('compiles the object form; absent selects nothing and empty everything', () => {
    const selector = compileLabelSelector({ matchLabels: { a: '1' }, matchExpressions: [{ key: 'b', operator: 'Exists' }] });
    expect(selector.matches({ a: '1', b: '' })).toBe(true);
    expect(selector.matches({ a: '1' })).toBe(false);
    expect(compileLabelSelector(undefined).matches({})).toBe(false);
    expect(compileLabelSelector({}).matches({})).toBe(true);
    expect(selectorOfLabels({ a: '1' }).toString()).toBe('a=1');
    expect(formatLabelSelector({ matchLabels: { a: '1' } })).toBe('a=1');
    expect(formatLabelSelector({})).toBe('<none>');
  });

  it('validates the object form at its path', () => {
    const errors = validateLabelSelector(
      {
        matchExpressions: [
          { key: 'a', operator: 'In' },
          { key: 'a', operator: 'Exists', values: ['x'] },
          { key: '', operator: 'Is' },
        ],
      },
      'spec.selector',
    );
    expect(errors.map(({ field, reason }) => [field, reason])).toEqual([
      ['spec.selector.matchExpressions[0].values', 'FieldValueRequired'],
      ['spec.selector.matchExpressions[1].values', 'FieldValueForbidden'],
      ['spec.selector.matchExpressions[2].operator', 'FieldValueInvalid'],
      ['spec.selector.matchExpressions[2].key', 'FieldValueInvalid'],
      ['spec.selector.matchExpressions[2].key', 'FieldValueInvalid'],
    ]);
  });
});
