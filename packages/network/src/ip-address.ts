import { isIP } from 'node:net';

export type IPFamily = 4 | 6;

/** A text was no address or no range. */
export class AddressError extends Error {
  override readonly name = 'AddressError';
  readonly code = 'NETWORK_ADDRESS';
}

export interface Cidr {
  readonly family: IPFamily;
  /** The first address of the range, in network byte order. */
  readonly base: Uint8Array;
  readonly prefixLength: number;
}

/** 4 or 6. @throws {AddressError} */
export function familyOf(address: string): IPFamily {
  const family = isIP(address);
  if (family === 4 || family === 6) return family;
  throw new AddressError(`parse address: ${JSON.stringify(address)} is neither IPv4 nor IPv6`);
}

/** The bytes of `address` in network order. @throws {AddressError} */
export function parseAddress(address: string): Uint8Array {
  return familyOf(address) === 4 ? Uint8Array.from(address.split('.'), Number) : parseIPv6(address);
}

/** The usual text: dotted for 4 bytes, RFC 5952 for 16. */
export function renderAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => ((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0));
  const run = longestZeroRun(groups);
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return run.length < 2 ? hex(groups) : `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`;
}

/** @param text Such as `10.42.1.0/24`; bits beyond the prefix are cleared. @throws {AddressError} */
export function parseCidr(text: string): Cidr {
  const [address = '', length = '', ...rest] = text.split('/');
  const bytes = parseAddress(address);
  const prefixLength = /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  if (rest.length > 0 || !(prefixLength <= bytes.length * 8))
    throw new AddressError(`parse range: ${JSON.stringify(text)} has no valid prefix length`);
  const base = bytes.map((byte, index) => byte & maskByte(prefixLength, index));
  return { family: bytes.length === 4 ? 4 : 6, base, prefixLength };
}

export function renderCidr({ base, prefixLength }: Cidr): string {
  return `${renderAddress(base)}/${prefixLength}`;
}

/** The address `offset` places after the range's first. @throws {RangeError} It is outside the range. */
export function addressAt(cidr: Cidr, offset: number): string {
  if (!Number.isInteger(offset) || offset < 0 || offset >= cidrSize(cidr))
    throw new RangeError(`offset ${offset} is outside ${renderCidr(cidr)}`);
  const bytes = Uint8Array.from(cidr.base);
  let carry = offset;
  for (let index = bytes.length - 1; index >= 0 && carry > 0; index -= 1) {
    carry += bytes[index] ?? 0;
    bytes[index] = carry & 0xff;
    carry = Math.floor(carry / 256);
  }
  return renderAddress(bytes);
}

/** Addresses in the range, at most 2^32: nobody counts further. */
export function cidrSize({ base, prefixLength }: Cidr): number {
  return 2 ** Math.min(base.length * 8 - prefixLength, 32);
}

export function cidrContains({ family, base, prefixLength }: Cidr, address: string): boolean {
  if (isIP(address) !== family) return false;
  return parseAddress(address).every((byte, index) => (byte & maskByte(prefixLength, index)) === base[index]);
}

function maskByte(prefixLength: number, index: number): number {
  const bits = Math.min(Math.max(prefixLength - index * 8, 0), 8);
  return (0xff00 >> bits) & 0xff;
}

function parseIPv6(address: string): Uint8Array {
  // The last 32 bits may be written dotted (::ffff:10.0.0.1). A zone (%eth0) names a link, not an address.
  const text = address.replace(/%.*$/, '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a: string, b: string, c: string, d: string) => {
    const pair = (high: string, low: string): string => ((Number(high) << 8) | Number(low)).toString(16);
    return `${pair(a, b)}:${pair(c, d)}`;
  });
  const [head = '', tail] = text.split('::');
  const groups = (part: string | undefined): string[] => (part ? part.split(':') : []);
  const front = groups(head);
  const back = groups(tail);
  const all = [...front, ...Array.from({ length: 8 - front.length - back.length }, () => '0'), ...back];
  return Uint8Array.from(all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]));
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  return best;
}
