import { describe, expect, it } from 'vitest';
import { parseRegistries } from './registries-file.ts';

describe('parseRegistries', () => {
  it('reads mirrors and plain HTTP', () => {
    const text = '{"docker.io": {"mirrors": ["http://10.0.0.1:5000"]}, "10.0.0.1:5000": {"plainHttp": true}}';
    expect(parseRegistries(text, 'f')).toEqual(JSON.parse(text));
  });

  it.each([
    ['{', 'registries file f: '],
    ['[]', 'expected an object of registries by name'],
    ['{"docker.io": []}', 'docker.io: expected an object'],
    ['{"docker.io": {"mirror": "x"}}', 'docker.io.mirror: unknown'],
    ['{"docker.io": {"mirrors": ["not a url"]}}', 'docker.io.mirrors: malformed'],
    ['{"docker.io": {"plainHttp": "yes"}}', 'docker.io.plainHttp: malformed'],
  ])('refuses %s', (text, fault) => {
    expect(() => parseRegistries(text, 'f')).toThrow(fault);
  });
});
