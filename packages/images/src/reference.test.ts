import { describe, expect, test } from 'vitest';
import { InvalidImageNameError } from './errors.ts';
import { parseImageId, parseReference, renderReference } from './reference.ts';

const HEX = '0123456789abcdef'.repeat(4);

describe('parseReference', () => {
  const FULL: readonly (readonly [string, string])[] = [
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.25', 'docker.io/library/nginx:1.25'],
    ['foo/bar', 'docker.io/foo/bar:latest'],
    ['foo/bar/baz:x', 'docker.io/foo/bar/baz:x'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['docker.io/foo/bar', 'docker.io/foo/bar:latest'],
    ['localhost/x', 'localhost/x:latest'],
    ['localhost:5000/x', 'localhost:5000/x:latest'],
    ['127.0.0.1:5000/demo/web:1', '127.0.0.1:5000/demo/web:1'],
    ['[::1]:5000/x:y', '[::1]:5000/x:y'],
    ['registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:3.10'],
    ['REGISTRY/x', 'REGISTRY/x:latest'],
    ['Registry.Example.com:443/a/b', 'Registry.Example.com:443/a/b:latest'],
    [`nginx@sha256:${HEX}`, `docker.io/library/nginx@sha256:${HEX}`],
    [`nginx:1.25@sha256:${HEX}`, `docker.io/library/nginx@sha256:${HEX}`],
    [`r.io/x@sha512:${HEX}${HEX}`, `r.io/x@sha512:${HEX}${HEX}`],
    ['a--b/c__d/e.f_g:Tag_1.2-x', 'docker.io/a--b/c__d/e.f_g:Tag_1.2-x'],
    [`x:${'t'.repeat(128)}`, `docker.io/library/x:${'t'.repeat(128)}`],
  ];
  test.each(FULL)('reads %s as %s', (short, full) => {
    expect(renderReference(parseReference(short))).toBe(full);
    expect(renderReference(parseReference(full))).toBe(full);
  });

  const REFUSED: readonly (readonly [string, string])[] = [
    ['', 'nothing'],
    ['Nginx', 'capitals'],
    ['foo/Bar', 'capitals in a path'],
    [':tag', 'no name'],
    ['nginx:', 'an empty tag'],
    ['nginx:a b', 'a space'],
    ['nginx:-x', 'a tag that begins with a dash'],
    [`nginx:${'t'.repeat(129)}`, 'a long tag'],
    ['nginx@', 'an empty digest'],
    ['nginx@sha256:abc', 'a short digest'],
    [`nginx@sha256:${HEX.toUpperCase()}`, 'a digest in capitals'],
    [`nginx@md5:${HEX}`, 'an algorithm that proves nothing'],
    [`nginx@sha256:${HEX}@sha256:${HEX}`, 'two digests'],
    [HEX, 'an image id'],
    ['docker.io/', 'no repository'],
    ['r.io//x', 'an empty component'],
    ['r.io/x/', 'a closing slash'],
    ['/x', 'an opening slash'],
    ['r.io/../x', 'a climbing component'],
    ['r.io/a..b', 'two dots'],
    ['r.io/a___b', 'three underscores'],
    ['-r.io/x', 'a host that begins with a dash'],
    ['r.io:port/x', 'a port that is no number'],
    ['http://r.io/x', 'a URL'],
    [`r.io/${'x'.repeat(256)}`, 'a long repository'],
    [`r.io/${'-'.repeat(100_000)}`, 'very long text'],
    ['nginx\n', 'a line break'],
    ['nginx:1\n', 'a line break after the tag'],
  ];
  test.each(REFUSED)('refuses %j: %s', (text) => {
    expect(() => parseReference(text)).toThrow(InvalidImageNameError);
  });

  test('a digest wins over a tag, which is kept', () => {
    expect(parseReference(`nginx:1@sha256:${HEX}`)).toEqual({
      registry: 'docker.io',
      path: 'library/nginx',
      tag: '1',
      digest: `sha256:${HEX}`,
    });
  });
});

describe('parseImageId', () => {
  test('takes 64 digits with or without their algorithm, and nothing else', () => {
    expect(parseImageId(HEX)).toBe(`sha256:${HEX}`);
    expect(parseImageId(`sha256:${HEX}`)).toBe(`sha256:${HEX}`);
    expect(parseImageId(HEX.slice(1))).toBeUndefined();
    expect(parseImageId('nginx')).toBeUndefined();
  });
});
