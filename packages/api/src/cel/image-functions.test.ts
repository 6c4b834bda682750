import { describe, expect, it } from 'vitest';
import { Budget } from './budget.ts';
import { CelCompiler } from './expression.ts';

const compiler = new CelCompiler();
const run = (text: string) => compiler.compile(text, []).evaluate([], new Budget(1_000_000));
const DIGEST = `sha256:${'6aefddb645ee6963'.repeat(4)}`;

describe('images', () => {
  it.each<{ text: string; parts: readonly [string, string, string, string, string] }>([
    { text: 'nginx', parts: ['index.docker.io', 'library/nginx', 'latest', '', 'latest'] },
    { text: 'team/app:v1', parts: ['index.docker.io', 'team/app', 'v1', '', 'v1'] },
    { text: 'registry.k8s.io/pause:3.10', parts: ['registry.k8s.io', 'pause', '3.10', '', '3.10'] },
    { text: 'localhost:5000/a/b', parts: ['localhost:5000', 'a/b', 'latest', '', 'latest'] },
    { text: `registry.k8s.io/pause:3.10@${DIGEST}`, parts: ['registry.k8s.io', 'pause', '', DIGEST, DIGEST] },
  ])('$text', ({ text, parts }) => {
    const read = ['registry', 'repository', 'tag', 'digest', 'identifier'].map((part) => `image('${text}').${part}()`).join(', ');
    expect(run(`[${read}]`)).toEqual(parts);
    expect(run(`isImage('${text}') && image('${text}').containsDigest() == ${text.includes('@')}`)).toBe(true);
  });

  it('are no references with empty parts, odd letters or half a digest', () => {
    for (const text of ['', 'registry.k8s.io//pause', 'Upper/Case', 'a:b:c/d e', 'pause@sha256:12', 'registry.k8s.io/pause:'])
      expect(run(`isImage('${text}')`)).toBe(false);
    expect(() => run("image('Not An Image')")).toThrow('could not parse reference');
  });

  it('are equal by what they say', () => {
    expect(run("image('nginx') == image('index.docker.io/library/nginx:latest')")).toBe(true);
  });
});
