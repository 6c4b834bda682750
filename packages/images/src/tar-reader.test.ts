import { pack } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { LayerRejectedError } from './errors.ts';
import { type TarEntry, TarReader } from './tar-reader.ts';
import { memberBytes, type RawMember, tarBytes } from './testing/tar-bytes.ts';

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Buffer, size = 1000): Promise<readonly (TarEntry & { readonly content: Buffer })[]> {
  const reader = new TarReader(pieces(bytes, size));
  const entries: (TarEntry & { content: Buffer })[] = [];
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const chunks: Buffer[] = [];
    for (let piece = await reader.read(); piece !== undefined; piece = await reader.read()) chunks.push(piece);
    entries.push({ ...entry, content: Buffer.concat(chunks) });
  }
  await reader.drain();
  return entries;
}

describe('TarReader', () => {
  test('reads every kind of member, however the bytes are cut', async () => {
    const bytes = tarBytes([
      { name: './', type: '5', mode: 0o755 },
      { name: 'a', content: 'hello', mode: 0o4755, uid: 1000, gid: 100, mtime: 1_700_000_000 },
      { name: 'b', type: '1', linkName: 'a' },
      { name: 'c', type: '2', linkName: '/etc/x', mode: 0o777 },
      { name: 'd', type: '3', major: 1, minor: 3 },
      { name: 'e', type: '4', major: 8, minor: 1 },
      { name: 'f', type: '6' },
      { name: 'old/', type: '\0' },
      { name: 'empty' },
    ]);
    for (const size of [1, 511, 512, 513, bytes.length]) {
      const entries = await read(bytes, size);
      expect(entries.map(({ kind, name, content }) => [kind, name, content.toString()])).toEqual([
        ['directory', './', ''],
        ['file', 'a', 'hello'],
        ['hardlink', 'b', ''],
        ['symlink', 'c', ''],
        ['char', 'd', ''],
        ['block', 'e', ''],
        ['fifo', 'f', ''],
        ['directory', 'old/', ''],
        ['file', 'empty', ''],
      ]);
      expect(entries[1]).toMatchObject({ mode: 0o4755, uid: 1000, gid: 100, mtimeSeconds: 1_700_000_000, sizeBytes: 5 });
      expect(entries[4]).toMatchObject({ deviceMajor: 1, deviceMinor: 3 });
    }
  });

  test('keeps every byte of an extended attribute and of a name', async () => {
    const capability = Buffer.from('010000028004000000000000ff000000fe0a3d20', 'hex');
    const [entry] = await read(
      tarBytes([{ name: 'short', pax: { 'SCHILY.xattr.security.capability': capability, path: Buffer.from([0x61, 0xff, 0x62]) } }]),
    );
    expect(entry?.xattrs.get('security.capability')).toEqual(capability);
    expect(entry?.name).toBe('a\xffb');
  });

  test('takes long names, sizes, ids and fractions of a second from PAX records', async () => {
    const long = `${'d/'.repeat(200)}file`;
    const [entry] = await read(
      tarBytes([
        {
          name: 'x',
          content: 'abc',
          size: 0,
          pax: { path: long, linkpath: 'y'.repeat(300), size: '3', uid: '3000000', gid: '3000001', mtime: '1700000000.25' },
        },
      ]),
    );
    expect(entry).toMatchObject({
      name: long,
      linkName: 'y'.repeat(300),
      sizeBytes: 3,
      uid: 3_000_000,
      gid: 3_000_001,
      mtimeSeconds: 1_700_000_000.25,
    });
    expect(entry?.content.toString()).toBe('abc');
  });

  test('PAX records hold for one member, global ones for the rest', async () => {
    const global = memberBytes({ name: 'g', type: 'g', content: '12 uid=1234\n' });
    const entries = await read(
      Buffer.concat([
        memberBytes({ name: 'a', pax: { uid: '7' } }),
        memberBytes({ name: 'b' }),
        global,
        tarBytes([{ name: 'c' }, { name: 'd', pax: { uid: '9' } }, { name: 'e' }]),
      ]),
    );
    expect(entries.map(({ name, uid }) => [name, uid])).toEqual([
      ['a', 7],
      ['b', 0],
      ['c', 1234],
      ['d', 9],
      ['e', 1234],
    ]);
  });

  test("takes GNU's long names and base-256 numbers", async () => {
    const long = 'n'.repeat(150);
    const bytes = tarBytes([
      { name: '././@LongLink', type: 'L', content: `${long}\0` },
      { name: '././@LongLink', type: 'K', content: `${long}2\0` },
      { name: 'cut', type: '2', linkName: 'cut' },
      { name: 'after' },
    ]);
    const entries = await read(bytes);
    expect(entries.map(({ name, linkName }) => [name, linkName])).toEqual([
      [long, `${long}2`],
      ['after', ''],
    ]);
  });

  test('stays in step with links and directories that claim a size', async () => {
    const entries = await read(
      tarBytes([
        { name: 'l', type: '1', linkName: 'x', size: 4000 },
        { name: 'd/', type: '5', size: 512 },
        { name: 'z', content: 'z' },
      ]),
    );
    expect(entries.map(({ name }) => name)).toEqual(['l', 'd/', 'z']);
  });

  test('passes over unknown kinds with their content', async () => {
    const entries = await read(tarBytes([{ name: 'v', type: 'V', content: 'volume' }, { name: 'a' }]));
    expect(entries.map(({ name }) => name)).toEqual(['a']);
  });

  const REFUSED: readonly (readonly [string, Buffer])[] = [
    ['a header with a wrong checksum', Buffer.concat([Buffer.alloc(512, 'x'), Buffer.alloc(1024)])],
    ['half a header', memberBytes({ name: 'a' }).subarray(0, 100)],
    ['content that is cut off', memberBytes({ name: 'a', content: 'x'.repeat(2000) }).subarray(0, 1500)],
    ['a PAX record with a wrong length', tarBytes([{ name: 'x', type: 'x', content: '99 path=abc\n' }, { name: 'a' }])],
    ['a PAX record without a length', tarBytes([{ name: 'x', type: 'x', content: 'path=abc\n' }, { name: 'a' }])],
    ['a PAX header of many megabytes', tarBytes([{ name: 'x', type: 'x', content: Buffer.alloc(2_000_000, 0x20) }, { name: 'a' }])],
    ['a size that is no number', tarBytes([{ name: 'a', pax: { size: '-5' } }])],
    ['a size beyond all numbers', tarBytes([{ name: 'a', pax: { size: '99999999999999999999' } }])],
    ['a sparse file', tarBytes([{ name: 'a', pax: { 'GNU.sparse.major': '1' } }])],
  ];
  test.each(REFUSED)('rejects %s', async (_, bytes) => {
    await expect(read(bytes)).rejects.toThrow(LayerRejectedError);
  });

  test('takes an archive without closing blocks', async () => {
    expect((await read(memberBytes({ name: 'a', content: 'x' }))).map(({ name }) => name)).toEqual(['a']);
  });

  test('never hangs, and fails only in its own words, on damaged archives', async () => {
    const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
    const { seededRandom } = await import('@dure/foundation');
    const random = seededRandom(seed);
    const members: RawMember[] = [
      { name: 'a/b', content: 'x'.repeat(700), pax: { mtime: '1.5', path: 'q/r' } },
      { name: 'l', type: 'L', content: 'long\0' },
      { name: 'c', type: '2', linkName: 'a' },
    ];
    for (let round = 0; round < 2000; round += 1) {
      const bytes = Buffer.from(tarBytes(members));
      for (let flips = random.integer(4); flips >= 0; flips -= 1) bytes[random.integer(bytes.length)] = random.integer(256);
      try {
        await read(bytes.subarray(0, random.integer(bytes.length) + 1), 1 + random.integer(900));
      } catch (error) {
        if (!(error instanceof LayerRejectedError)) throw new Error(`seed ${seed}, round ${round}`, { cause: error });
      }
    }
  });

  test('agrees with another writer', async () => {
    const archive = pack();
    archive.entry({ name: 'dir', type: 'directory', mode: 0o700 });
    archive.entry({ name: `dir/${'ü'.repeat(90)}`, mode: 0o600, uid: 5, gid: 6, mtime: new Date(1_600_000_000_000) }, 'content');
    archive.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of archive) chunks.push(chunk as Buffer);
    const [dir, file] = await read(Buffer.concat(chunks));
    expect(dir).toMatchObject({ kind: 'directory', name: 'dir', mode: 0o700 });
    expect(Buffer.from(file?.name ?? '', 'latin1').toString()).toBe(`dir/${'ü'.repeat(90)}`);
    expect(file).toMatchObject({ mode: 0o600, uid: 5, gid: 6, mtimeSeconds: 1_600_000_000 });
    expect(file?.content.toString()).toBe('content');
  });
});
