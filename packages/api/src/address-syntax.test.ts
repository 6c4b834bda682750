import { describe, expect, it } from 'vitest';
import { checkCidr, checkIP, cidrContains, formatCidr, formatIP, maskCidr, parseCidr, parseIP } from './address-syntax.ts';

describe('addresses', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ])('reads %s and writes %s', (text, canonical) => {
    const address = parseIP(text);
    expect(address && formatIP(address)).toBe(canonical);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    ':::',
    '1::2::3',
    '12345::',
    '::ffff:1.2.3.4',
    'g::',
    '1:2:3:4:5:6:7:8:9',
    '1.2.3.4::',
  ])('refuses %j', (text) => {
    expect(parseIP(text)).toBeUndefined();
    expect(checkIP(text)).not.toEqual([]);
  });

  it.each(['10.0.0.0/8', '::/0', '2001:db8::/64'])('reads the network %s', (text) => {
    const cidr = parseCidr(text);
    expect(cidr && formatCidr(cidr)).toBe(text);
    expect(checkCidr(text)).toEqual([]);
  });

  it.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.0/08', '10.0.0.0/-1', 'x/8', '10.0.0.0/8/8'])('refuses the network %j', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  it('finds bits behind the prefix', () => {
    expect(checkCidr('10.0.0.1/8')).toEqual(['must not have bits set beyond the prefix length (likely "10.0.0.0/8")']);
    const cidr = parseCidr('10.1.2.3/16');
    expect(cidr && formatCidr(maskCidr(cidr))).toBe('10.1.0.0/16');
  });

  it('tells which network holds an address', () => {
    const cidr = parseCidr('10.42.0.0/16');
    const inside = parseIP('10.42.3.4');
    const outside = parseIP('10.43.0.1');
    const other = parseIP('::1');
    expect([inside, outside, other].map((address) => cidr && address && cidrContains(cidr, address))).toEqual([true, false, false]);
  });
});
