import { describe, expect, it } from 'vitest';
import { escapeFieldValue, parseFieldSelector } from './field-selector.ts';

describe('field selectors', () => {
  it.each([
    ['', {}, true],
    ['status.phase=Running', { 'status.phase': 'Running' }, true],
    ['status.phase==Running', { 'status.phase': 'Pending' }, false],
    ['spec.nodeName!=a', { 'spec.nodeName': 'b' }, true],
    ['spec.nodeName=', {}, true],
    ['spec.nodeName!=', {}, false],
    ['a=1,b!=2', { a: '1', b: '3' }, true],
    ['a=x\\,y\\=z', { a: 'x,y=z' }, true],
    ['a=1,', { a: '1' }, true],
  ])('%j on %j: %s', (text, fields, matches) => {
    expect(parseFieldSelector(text).matches(fields)).toBe(matches);
  });

  it.each([
    ['abc', "invalid selector: 'abc'; can't understand 'abc'"],
    ['a=b=c', 'invalid field selector: unescaped character in value: 61'],
    ['a=\\x', 'invalid field selector: invalid escape sequence: \\x'],
  ])('refuses %j', (text, message) => {
    expect(() => parseFieldSelector(text)).toThrow(message);
  });

  it('names the one value that a field must have', () => {
    expect(parseFieldSelector('metadata.name=a,x!=b').exactValue('metadata.name')).toBe('a');
    expect(parseFieldSelector('metadata.name!=a').exactValue('metadata.name')).toBeUndefined();
  });

  it('prints what it parsed', () => {
    expect(parseFieldSelector(`a=${escapeFieldValue('x,y=\\z')}`).toString()).toBe('a=x\\,y\\=\\\\z');
  });
});
