/**
 * IP addresses and CIDRs as the API accepts them: strictly, and in their canonical spelling where a field asks for it.
 * Leading zeros and IPv4 written as IPv6 are refused: programs disagree about what they mean.
 * @see RFC 5952 for the spelling of IPv6.
 */

export type IPFamily = 'IPv4' | 'IPv6';

export interface ParsedIP {
  readonly family: IPFamily;
  /** 32 or 128 bits. */
  readonly value: bigint;
}

export interface Cidr extends ParsedIP {
  readonly prefixLength: number;
}

/** `undefined` where `text` is no address. */
export function parseIP(text: string): ParsedIP | undefined {
  if (!text.includes(':')) {
    const value = parseIPv4(text);
    return value === undefined ? undefined : { family: 'IPv4', value };
  }
  const value = parseIPv6(text);
  // ::ffff:1.2.3.4 would be one address under two names.
  return value === undefined || value >> 32n === 0xffffn ? undefined : { family: 'IPv6', value };
}

/** `undefined` where `text` is no CIDR. Bits behind the prefix are kept; see {@link maskCidr}. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', length = '', ...rest] = text.split('/');
  const parsed = parseIP(address);
  if (parsed === undefined || rest.length > 0 || !/^(?:0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const prefixLength = Number(length);
  return prefixLength <= bitsOf(parsed.family) ? { ...parsed, prefixLength } : undefined;
}

/** The canonical spelling. */
export function formatIP({ family, value }: ParsedIP): string {
  return family === 'IPv4' ? formatIPv4(value) : formatIPv6(value);
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIP(cidr)}/${cidr.prefixLength}`;
}

/** The same network with all bits behind the prefix cleared. */
export function maskCidr({ family, value, prefixLength }: Cidr): Cidr {
  const hostBits = BigInt(bitsOf(family) - prefixLength);
  return { family, value: (value >> hostBits) << hostBits, prefixLength };
}

export function cidrContains(cidr: Cidr, address: ParsedIP): boolean {
  if (cidr.family !== address.family) return false;
  const hostBits = BigInt(bitsOf(cidr.family) - cidr.prefixLength);
  return cidr.value >> hostBits === address.value >> hostBits;
}

/** What is wrong with `text` as an address, in the API's words. */
export function checkIP(text: string): string[] {
  const parsed = parseIP(text);
  if (parsed !== undefined) return [];
  if (/^[\d.]+$/.test(text) && parseIPv4(text.replace(/(^|\.)0+(?=\d)/g, '$1')) !== undefined) return ['must not have leading 0s'];
  if (text.includes(':') && parseIPv6(text) !== undefined) return ['must not be an IPv4-mapped IPv6 address'];
  return ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'];
}

/** What is wrong with `text` as a CIDR, in the API's words. */
export function checkCidr(text: string): string[] {
  const parsed = parseCidr(text);
  if (parsed === undefined) return ['must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'];
  const masked = maskCidr(parsed);
  if (masked.value === parsed.value) return [];
  return [`must not have bits set beyond the prefix length (likely ${JSON.stringify(formatCidr(masked))})`];
}

function bitsOf(family: IPFamily): number {
  return family === 'IPv4' ? 32 : 128;
}

function parseIPv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function parseIPv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...Array.from({ length: missing }, () => 0), ...tail].reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const embedded = last && index === parts.length - 1 ? parseIPv4(part) : undefined;
      if (embedded === undefined) return undefined;
      groups.push(Number(embedded >> 16n), Number(embedded & 0xffffn));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

function formatIPv4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join('.');
}

function formatIPv6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(16 * (7 - index))) & 0xffffn));
  const { start, length } = longestZeroRun(groups);
  const text = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
  return length < 2 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let end = start;
    while (groups[end] === 0) end += 1;
    if (end - start > best.length) best = { start, length: end - start };
  }
  return best;
}
