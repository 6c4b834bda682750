import { isIPv4 } from 'node:net';

/**
 * The address `index` after the first of an IPv4 range: 1 is where the `kubernetes` Service stands.
 * @throws {RangeError} The range is not IPv4, or not that large.
 */
export function addressInCidr(cidr: string, index: number): string {
  const [base = '', prefix = ''] = cidr.split('/');
  if (!isIPv4(base)) throw new RangeError(`${cidr}: expected an IPv4 range`);
  const size = 2 ** (32 - Number(prefix));
  if (index < 0 || index >= size) throw new RangeError(`${cidr}: has no address number ${index}`);
  const number = base.split('.').reduce((value, octet) => value * 256 + Number(octet), 0);
  const first = number - (number % size);
  return [24, 16, 8, 0].map((shift) => Math.floor((first + index) / 2 ** shift) % 256).join('.');
}
