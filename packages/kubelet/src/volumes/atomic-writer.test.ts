import { mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '@dure/foundation';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Payload, writeAtomically } from './atomic-writer.ts';

const random = seededRandom(3);

function payload(files: Readonly<Record<string, string>>, mode = 0o644): Payload {
  return new Map(Object.entries(files).map(([path, text]) => [path, { content: Buffer.from(text), mode }]));
}

describe('a rendered volume', () => {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dure-atomic-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('shows its files through one link that is swapped', async () => {
    expect(await writeAtomically(root, payload({ a: 'one', 'dir/b': 'two' }), random)).toBe(true);
    expect(await readFile(join(root, 'a'), 'utf8')).toBe('one');
    expect(await readFile(join(root, 'dir/b'), 'utf8')).toBe('two');
    expect(await readlink(join(root, 'a'))).toBe('..data/a');
    expect(await readlink(join(root, 'dir'))).toBe('..data/dir');
    const before = await readlink(join(root, '..data'));
    expect(await writeAtomically(root, payload({ a: 'changed', c: 'new' }), random)).toBe(true);
    expect(await readlink(join(root, '..data'))).not.toBe(before);
    expect((await readdir(root)).filter((name) => !name.startsWith('..')).sort()).toEqual(['a', 'c']);
    expect((await readdir(root)).filter((name) => name.startsWith('..'))).toHaveLength(2);
    expect(await readFile(join(root, 'a'), 'utf8')).toBe('changed');
  });

  it('is not touched when nothing differs', async () => {
    await writeAtomically(root, payload({ a: 'one' }), random);
    const before = await readlink(join(root, '..data'));
    expect(await writeAtomically(root, payload({ a: 'one' }), random)).toBe(false);
    expect(await readlink(join(root, '..data'))).toBe(before);
  });

  it('gives each file its mode, whatever the umask', async () => {
    await writeAtomically(root, payload({ a: 'x' }, 0o777), random);
    expect((await stat(join(root, 'a'))).mode & 0o777).toBe(0o777);
  });

  it('becomes empty when its source does', async () => {
    await writeAtomically(root, payload({ a: 'x' }), random);
    await writeAtomically(root, payload({}), random);
    expect((await readdir(root)).filter((name) => !name.startsWith('..'))).toEqual([]);
  });
});
