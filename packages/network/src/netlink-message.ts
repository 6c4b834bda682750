/**
 * rtnetlink messages as bytes: what `ip` would send. Host byte order throughout (every supported machine is little-endian); addresses are in network order.
 * @see https://man7.org/linux/man-pages/man7/rtnetlink.7.html
 */

export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
} as const;

export const NLM_F = { REQUEST: 1, ACK: 4, REPLACE: 0x100, EXCL: 0x200, DUMP: 0x300, CREATE: 0x400, APPEND: 0x800 } as const;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_BRIDGE = 7;
export const AF_INET6 = 10;

/** An attribute: a type and its bytes, or attributes nested in it. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]];

/** One received message. */
export interface NetlinkMessage {
  readonly type: number;
  readonly sequence: number;
  readonly payload: Buffer;
}

const HEADER_LENGTH = 16;
const align = (length: number): number => (length + 3) & ~3;

/** A whole request: header, the family's fixed part, attributes. */
export function encodeMessage(type: number, flags: number, sequence: number, fixed: Uint8Array, attributes: readonly Attribute[]): Buffer {
  const body = Buffer.concat([padded(fixed), encodeAttributes(attributes)]);
  const header = Buffer.alloc(HEADER_LENGTH);
  header.writeUInt32LE(HEADER_LENGTH + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, body]);
}

/** The messages of one datagram. A length that does not fit ends the list. */
export function decodeMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + HEADER_LENGTH <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < HEADER_LENGTH || at + length > datagram.length) break;
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      sequence: datagram.readUInt32LE(at + 8),
      payload: Buffer.from(datagram.subarray(at + HEADER_LENGTH, at + length)),
    });
    at += align(length);
  }
  return messages;
}

/** Attributes by type, after `fixedLength` bytes of the family's own header. The last of equal types wins. */
export function decodeAttributes(payload: Buffer, fixedLength: number): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = align(fixedLength); at + 4 <= payload.length; ) {
    const length = payload.readUInt16LE(at);
    if (length < 4 || at + length > payload.length) break;
    // The two high bits are flags (nested, network order), not part of the type.
    found.set(payload.readUInt16LE(at + 2) & 0x3fff, payload.subarray(at + 4, at + length));
    at += align(length);
  }
  return found;
}

export const u8 = (value: number): Buffer => Buffer.from([value]);
export const u16be = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
};
/** A C string with its end. */
export const text = (value: string): Buffer => Buffer.from(`${value}\0`);
export const readText = (bytes: Buffer | undefined): string => (bytes ?? Buffer.alloc(0)).toString('latin1').replace(/\0.*$/s, '');
/** `02:64:...` to its six bytes. */
export const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');

/** struct ifinfomsg. */
export function linkHeader({ index = 0, flags = 0, change = 0 }: { index?: number; flags?: number; change?: number }): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(change, 12);
  return bytes;
}

/** struct ifaddrmsg. */
export function addressHeader(family: number, prefixLength: number, linkIndex: number): Buffer {
  const bytes = Buffer.from([family, prefixLength, 0, 0, 0, 0, 0, 0]);
  bytes.writeUInt32LE(linkIndex, 4);
  return bytes;
}

export interface RouteHeader {
  readonly family: number;
  readonly prefixLength: number;
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
  readonly flags: number;
}

/** struct rtmsg. */
export function routeHeader({ family, prefixLength, table, protocol, scope, type, flags }: RouteHeader): Buffer {
  const bytes = Buffer.from([family, prefixLength, 0, 0, table, protocol, scope, type, 0, 0, 0, 0]);
  bytes.writeUInt32LE(flags, 8);
  return bytes;
}

/** struct ndmsg. */
export function neighbourHeader(family: number, linkIndex: number, state: number, flags: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt8(family, 0);
  bytes.writeInt32LE(linkIndex, 4);
  bytes.writeUInt16LE(state, 8);
  bytes.writeUInt8(flags, 10);
  return bytes;
}

/** Attributes without a message around them, for those that sit behind a header of their own. */
export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat(attributes.map(encodeAttribute));
}

function encodeAttribute([type, value]: Attribute): Buffer {
  const bytes = value instanceof Uint8Array ? value : encodeAttributes(value);
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + bytes.length, 0);
  header.writeUInt16LE(type, 2);
  return padded(Buffer.concat([header, bytes]));
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(align(bytes.length) - bytes.length)]);
}
