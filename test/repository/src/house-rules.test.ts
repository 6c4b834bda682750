import { describe, expect, it } from 'vitest';
import { textOf, trackedFiles } from './tracked-files.ts';

/** Lines of `paths` that match, as `path:line: text`. */
function linesMatching(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    (textOf(path) ?? '').split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

const sources = trackedFiles('packages/*/src/*.ts', 'apps/*/src/*.ts').filter((path) => !path.endsWith('.d.ts'));
const production = sources.filter((path) => !path.endsWith('.test.ts') && !path.includes('/testing/') && !path.includes('/generated/'));

describe('house rules', () => {
  it('sees the sources it judges', () => {
    expect(production.length).toBeGreaterThan(20);
  });

  it('keeps time and chance inside foundation', () => {
    const outside = production.filter((path) => !path.startsWith('packages/foundation/'));
    expect(linesMatching(outside, /\bDate\.now\(|\bMath\.random\(|(?<![.\w])set(Timeout|Interval)\(|new Date\(\)/)).toEqual([]);
  });

  it('has an index that is a list', () => {
    const indexes = trackedFiles('packages/*/src/index.ts', 'packages/*/src/testing/index.ts');
    expect(indexes.length).toBeGreaterThan(5);
    const code = (path: string) => (textOf(path) ?? '').replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/\/\/.*$/gm, '');
    const beyondLists = indexes.filter(
      (path) =>
        code(path)
          .replaceAll(/export (type )?\{[^}]*\} from '[^']+';/g, '')
          .trim() !== '',
    );
    expect(beyondLists).toEqual([]);
  });

  it('does without dumping grounds', () => {
    expect(sources.filter((path) => /(^|\/)(utils?|helpers?|common|misc)(\.ts$|\/)/.test(path))).toEqual([]);
  });

  it('gives every workspace a README with the same headings', () => {
    const workspaces = trackedFiles('packages/*/package.json', 'apps/*/package.json').map((path) => path.replace('/package.json', ''));
    const lacking = workspaces.flatMap((workspace) => {
      const readme = textOf(`${workspace}/README.md`) ?? '';
      return ['Purpose', 'Contract', 'How it works', 'Files in reading order', 'Limits']
        .filter((heading) => !readme.includes(`## ${heading}`))
        .map((heading) => `${workspace}: ${heading}`);
    });
    expect(lacking).toEqual([]);
  });

  it('names no package-registry host and no path of a single machine', () => {
    const hosts = ['registry.npmjs', 'deb.debian', 'pypi.org', 'crates.io', 'repo1.maven']
      .map((host) => host.replaceAll('.', '\\.'))
      .join('|');
    const judged = trackedFiles().filter((path) => path !== 'test/repository/src/house-rules.test.ts');
    expect(linesMatching(judged, new RegExp(`${hosts}|/work/(main|shared)`))).toEqual([]);
  });
});
