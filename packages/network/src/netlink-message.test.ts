import { describe, expect, it } from 'vitest';
import { decodeAttributes, decodeMessages, encodeMessage, linkHeader, readText, text, u32 } from './netlink-message.ts';

describe('netlink messages', () => {
  it('are padded to four bytes, with the lengths unpadded', () => {
    const message = encodeMessage(16, 5, 7, linkHeader({ index: 2 }), [
      [3, text('eth0')],
      [4, u32(1500)],
    ]);
    // 16 header, 16 fixed, 4 + 5 + 3 padding, 4 + 4.
    expect(message.length).toBe(52);
    expect(message.readUInt32LE(0)).toBe(52);
    expect(message.readUInt16LE(32)).toBe(9);
  });

  it('come back as they went, nested attributes too', () => {
    const message = encodeMessage(16, 5, 7, linkHeader({}), [
      [3, text('veth1')],
      [18, [[1, Buffer.from('veth')]]],
    ]);
    const [decoded] = decodeMessages(Buffer.concat([message, message]));
    expect(decoded).toMatchObject({ type: 16, sequence: 7 });
    const attributes = decodeAttributes(decoded?.payload ?? Buffer.alloc(0), 16);
    expect(readText(attributes.get(3))).toBe('veth1');
    expect(
      decodeAttributes(attributes.get(18) ?? Buffer.alloc(0), 0)
        .get(1)
        ?.toString(),
    ).toBe('veth');
  });

  it('end where a length does not fit', () => {
    const message = encodeMessage(16, 5, 7, linkHeader({}), []);
    expect(decodeMessages(message.subarray(0, 20))).toEqual([]);
    expect(decodeMessages(Buffer.concat([message, Buffer.alloc(8)]))).toHaveLength(1);
    expect(decodeAttributes(Buffer.from([200, 0, 1, 0]), 0).size).toBe(0);
  });
});
