import { describe, expect, it } from 'vitest';
import { addressInCidr } from './service-range.ts';

describe('addressInCidr', () => {
  it.each([
    ['10.43.0.0/16', 1, '10.43.0.1'],
    ['10.43.0.0/16', 65_535, '10.43.255.255'],
    ['192.168.5.77/24', 10, '192.168.5.10'],
    ['255.255.255.252/30', 3, '255.255.255.255'],
  ])('%s, number %i: %s', (cidr, index, address) => {
    expect(addressInCidr(cidr, index)).toBe(address);
  });

  it('refuses what is outside, and other families', () => {
    expect(() => addressInCidr('10.0.0.0/30', 4)).toThrow(RangeError);
    expect(() => addressInCidr('fd00::/112', 1)).toThrow(RangeError);
  });
});
