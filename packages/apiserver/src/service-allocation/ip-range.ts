import { isIPv4, isIPv6 } from 'node:net';

export type IpFamily = 'IPv4' | 'IPv6';

/** A range of addresses that Services get theirs from. */
export interface IpRange {
  readonly cidr: string;
  readonly family: IpFamily;
  /** How many addresses may be given out: the first, and IPv4's last, are not for Services. */
  readonly size: number;
  /** The address number `index`, from 0 to `size` - 1. */
  at(index: number): string;
  /** True where `address` may be given out. */
  contains(address: string): boolean;
}

/** Larger ranges are used up to here only: nobody has that many Services, and an index must stay a safe integer. */
const SIZE_MAX = 2 ** 20;

/** @throws {RangeError} It is no CIDR. */
export function parseIpRange(cidr: string): IpRange {
  const [base = '', prefixText = ''] = cidr.split('/');
  const family = familyOf(base);
  const bits = family === 'IPv4' ? 32 : 128;
  const prefix = Number(prefixText);
  if (family === undefined || !/^\d+$/.test(prefixText) || prefix > bits)
    throw new RangeError(`${JSON.stringify(cidr)}: expected an address range`);
  const total = 1n << BigInt(bits - prefix);
  const first = (toNumber(base) / total) * total;
  const reserved = family === 'IPv4' ? 2n : 1n;
  const usable = total > reserved ? total - reserved : 0n;
  const size = usable > BigInt(SIZE_MAX) ? SIZE_MAX : Number(usable);
  return {
    cidr,
    family,
    size,
    at(index) {
      if (!Number.isInteger(index) || index < 0 || index >= size) throw new RangeError(`${cidr}: has no address number ${index}`);
      return fromNumber(first + 1n + BigInt(index), family);
    },
    contains(address) {
      if (familyOf(address) !== family) return false;
      const offset = toNumber(address) - first - 1n;
      return offset >= 0n && offset < usable;
    },
  };
}

/** `undefined` where `address` is none. */
export function familyOf(address: string): IpFamily | undefined {
  if (isIPv4(address)) return 'IPv4';
  return isIPv6(address) ? 'IPv6' : undefined;
}

/** One spelling for each address, so that two spellings cannot be given out. */
export function canonicalAddress(address: string): string {
  const family = familyOf(address);
  return family === undefined ? address : fromNumber(toNumber(address), family);
}

function toNumber(address: string): bigint {
  if (isIPv4(address)) return address.split('.').reduce((value, octet) => value * 256n + BigInt(octet), 0n);
  const [left = '', right] = address.split('::');
  const groups = (text: string): string[] =>
    text
      .split(':')
      .filter((group) => group !== '')
      .flatMap((group) => (group.includes('.') ? ipv4Groups(group) : [group]));
  const before = groups(left);
  const after = right === undefined ? [] : groups(right);
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after];
  return all.reduce((value, group) => value * 65_536n + BigInt(`0x${group}`), 0n);
}

function ipv4Groups(address: string): string[] {
  const value = Number(toNumber(address));
  return [Math.floor(value / 65_536).toString(16), (value % 65_536).toString(16)];
}

function fromNumber(value: bigint, family: IpFamily): string {
  if (family === 'IPv4') return [24n, 16n, 8n, 0n].map((shift) => Number((value >> shift) & 255n)).join('.');
  const groups = Array.from({ length: 8 }, (_none, index) => Number((value >> BigInt(16 * (7 - index))) & 65_535n).toString(16));
  // The longest run of zeros is written as '::' (RFC 5952).
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (groups[start + length] === '0') length += 1;
    if (length > best.length) best = { start, length };
  }
  if (best.start < 0) return groups.join(':');
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`;
}
