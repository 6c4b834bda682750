/** A tar archive as its author wants it, however wrong: real tools refuse to write what hostile ones do. */
export interface RawMember {
  readonly name: string;
  /** Type flag. Default: `0`, a file. */
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly linkName?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  /** What the header claims. Default: the content's length. */
  readonly size?: number;
  readonly major?: number;
  readonly minor?: number;
  readonly pax?: Readonly<Record<string, string | Buffer>>;
}

/** The archive with its two closing blocks. */
export function tarBytes(members: readonly RawMember[]): Buffer {
  return Buffer.concat([...members.map(memberBytes), Buffer.alloc(1024)]);
}

/** Header and content of one member, with a PAX header before it if it has records. */
export function memberBytes(member: RawMember): Buffer {
  const { pax } = member;
  if (pax === undefined) return plainMember(member);
  const records = Buffer.concat(Object.entries(pax).map(([key, value]) => paxRecord(key, Buffer.from(value))));
  return Buffer.concat([plainMember({ name: 'PaxHeaders/x', type: 'x', content: records }), plainMember(member)]);
}

function plainMember(member: RawMember): Buffer {
  const { name, type = '0', content = '', linkName = '', mode = 0o644, uid = 0, gid = 0, mtime = 0, major = 0, minor = 0 } = member;
  const bytes = Buffer.from(content);
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number): void => {
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  };
  header.write(name.slice(0, 100), 0, 'latin1');
  octal(mode, 100, 8);
  octal(uid, 108, 8);
  octal(gid, 116, 8);
  octal(member.size ?? bytes.length, 124, 12);
  octal(mtime, 136, 12);
  header.write(type, 156, 'latin1');
  header.write(linkName.slice(0, 100), 157, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  octal(major, 329, 8);
  octal(minor, 337, 8);
  header.fill(0x20, 148, 156);
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
    'latin1',
  );
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

function paxRecord(key: string, value: Buffer): Buffer {
  const rest = 1 + Buffer.byteLength(key) + 1 + value.length + 1;
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from('\n')]);
}
