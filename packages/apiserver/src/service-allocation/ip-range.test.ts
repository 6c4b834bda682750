import { describe, expect, it } from 'vitest';
import { canonicalAddress, parseIpRange } from './ip-range.ts';

describe('parseIpRange', () => {
  it('counts addresses without the first and, for IPv4, the last', () => {
    const range = parseIpRange('10.43.0.0/30');
    expect(range.size).toBe(2);
    expect([range.at(0), range.at(1)]).toEqual(['10.43.0.1', '10.43.0.2']);
    expect(range.contains('10.43.0.0')).toBe(false);
    expect(range.contains('10.43.0.3')).toBe(false);
    expect(range.contains('10.43.0.2')).toBe(true);
    expect(() => range.at(2)).toThrow(RangeError);
  });

  it('knows IPv6', () => {
    const range = parseIpRange('fd00:43::/112');
    expect(range).toMatchObject({ family: 'IPv6', size: 65_535 });
    expect(range.at(0)).toBe('fd00:43::1');
    expect(range.contains('fd00:43:0:0:0:0:0:ff')).toBe(true);
    expect(range.contains('10.43.0.1')).toBe(false);
  });

  it('refuses what is no range', () => {
    for (const text of ['', '10.0.0.0', '10.0.0.0/33', 'x/8', '10.0.0.0/-1']) expect(() => parseIpRange(text)).toThrow(RangeError);
  });

  it('spells each address one way', () => {
    expect(canonicalAddress('FD00:0:0::1')).toBe('fd00::1');
    expect(canonicalAddress('::ffff:10.0.0.1')).toBe('::ffff:a00:1');
    expect(canonicalAddress('1:0:0:2:0:0:0:3')).toBe('1:0:0:2::3');
  });
});
