import { describe, expect, it } from 'vitest';
import { AddressError, addressAt, cidrContains, cidrSize, parseAddress, parseCidr, renderAddress, renderCidr } from './ip-address.ts';

describe('addresses', () => {
  it.each([
    ['10.42.1.5', '10.42.1.5'],
    ['::', '::'],
    ['::1', '::1'],
    ['fd43:0:0:0:0:0:0:5', 'fd43::5'],
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
    ['fe80::1%eth0', 'fe80::1'],
  ])('reads %s and writes %s', (text, written) => {
    expect(renderAddress(parseAddress(text))).toBe(written);
  });

  it.each(['', '10.42.1', '10.42.1.256', 'web', '10.42.0.0/16'])('refuses %j', (text) => {
    expect(() => parseAddress(text)).toThrow(AddressError);
  });
});

describe('ranges', () => {
  it('clear the bits beyond the prefix', () => {
    expect(renderCidr(parseCidr('10.42.1.77/24'))).toBe('10.42.1.0/24');
    expect(renderCidr(parseCidr('10.42.255.255/12'))).toBe('10.32.0.0/12');
    expect(renderCidr(parseCidr('fd42:1::5/64'))).toBe('fd42:1::/64');
  });

  it.each(['10.42.0.0', '10.42.0.0/33', '10.42.0.0/-1', '10.42.0.0/x', '10.42.0.0/8/8', 'fd00::/129'])('refuse %j', (text) => {
    expect(() => parseCidr(text)).toThrow(AddressError);
  });

  it('count and contain their addresses, and no others', () => {
    const range = parseCidr('10.42.1.0/24');
    expect(cidrSize(range)).toBe(256);
    expect([addressAt(range, 0), addressAt(range, 255)]).toEqual(['10.42.1.0', '10.42.1.255']);
    expect(() => addressAt(range, 256)).toThrow(RangeError);
    expect(addressAt(parseCidr('10.42.0.0/16'), 513)).toBe('10.42.2.1');
    expect(addressAt(parseCidr('fd42::/64'), 65_537)).toBe('fd42::1:1');
    expect(cidrContains(range, '10.42.1.9')).toBe(true);
    expect(cidrContains(range, '10.42.2.9')).toBe(false);
    expect(cidrContains(range, '::1')).toBe(false);
  });
});
