import { describe, expect, it } from 'vitest';
import { expandReferences } from './expansion.ts';

const values = new Map([
  ['A', 'alpha'],
  ['EMPTY', ''],
]);

describe('references in commands and variables', () => {
  it.each([
    ['$(A)', 'alpha'],
    ['x$(A)y$(A)', 'xalphayalpha'],
    ['$(UNKNOWN)', '$(UNKNOWN)'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$alpha'],
    ['$$$$(A)', '$$(A)'],
    ['$(EMPTY)|', '|'],
    ['$A $[A]', '$A $[A]'],
    ['$(A', '$(A'],
    ['a$', 'a$'],
    ['$$', '$'],
    ['$()', '$()'],
    ['$(A))', 'alpha)'],
  ])('%s becomes %s', (text, expected) => {
    expect(expandReferences(text, (name) => values.get(name))).toBe(expected);
  });
});
